//! Questions to the store and their answers.
//!
//! A query takes one consistent view of a table, reads the head and the blocks that may hold what it asks for, and is
//! bounded in rows and in time. A question about one device never scans the rows of others.

use std::sync::Arc;
use std::time::Duration;

use model::{Clock, DeviceId, Millis, ValueKind, limits};

use crate::error::Error;

pub(crate) mod accumulate;
pub(crate) mod buckets;
mod cursor;
pub(crate) mod events;
pub(crate) mod latest;
pub(crate) mod points;
pub(crate) mod scan;
mod sketch;

pub use buckets::{Aggregate, Bucket, BucketCursor, BucketQuery, Buckets, Resolution, Scope, Series};
pub use cursor::Cursor;
pub use events::{Event, EventQuery, Events};
pub use latest::{DeviceLatest, Latest, LatestMetric, LatestOfMany};
pub use points::{Point, PointQuery, Points};

/// A value of a metric.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    F64(f64),
    I64(i64),
    Bool(bool),
    Str(Arc<str>),
}

impl Value {
    pub fn kind(&self) -> ValueKind {
        match self {
            Self::F64(_) => ValueKind::F64,
            Self::I64(_) => ValueKind::I64,
            Self::Bool(_) => ValueKind::Bool,
            Self::Str(_) => ValueKind::Str,
        }
    }
}

/// Where rows were read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Tier {
    /// Memory.
    Head,
    /// Local blocks.
    Hot,
    /// Blocks on the object store.
    Warm,
    /// The archive.
    Cold,
}

impl Tier {
    const ALL: [Self; 4] = [Self::Head, Self::Hot, Self::Warm, Self::Cold];

    /// As in an answer's `sources`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Hot => "hot",
            Self::Warm => "warm",
            Self::Cold => "cold",
        }
    }
}

/// How many rows of a tier a query read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SourceRead {
    pub tier: Tier,
    pub rows: u64,
}

/// What a query may cost.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Rows that it may read.
    pub rows: u64,
    /// How long it may take.
    pub wait: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self { rows: limits::QUERY_ROWS_MAX, wait: limits::QUERY_WAIT_MAX }
    }
}

/// The part of a query that says which rows are meant.
#[derive(Clone, Debug)]
pub(crate) struct Span<'a> {
    /// Inclusive.
    pub from: Millis,
    /// Exclusive.
    pub to: Millis,
    pub tag: Option<(&'a str, &'a str)>,
}

/// Counts what a query reads against its budget.
pub(crate) struct Meter<'a> {
    clock: &'a Clock,
    budget: Budget,
    started: Duration,
    /// Rows that were read one by one.
    read: u64,
    /// Rows that the answer covers.
    rows: [u64; Tier::ALL.len()],
}

impl<'a> Meter<'a> {
    pub fn new(clock: &'a Clock, budget: Budget) -> Self {
        Self { clock, budget, started: clock.monotonic(), read: 0, rows: [0; Tier::ALL.len()] }
    }

    /// Counts `rows` that are about to be read. The clock is read each time, so callers charge by the slice.
    pub fn charge(&mut self, tier: Tier, rows: usize) -> Result<(), Error> {
        self.covered(tier, rows as u64);
        self.read += rows as u64;
        if self.read > self.budget.rows {
            return Err(Error::Budget { what: format!("would read more than {} rows", self.budget.rows) });
        }
        if self.clock.monotonic().saturating_sub(self.started) > self.budget.wait {
            return Err(Error::Budget { what: format!("took longer than {} s", self.budget.wait.as_secs()) });
        }
        Ok(())
    }

    /// Counts rows whose totals were known.
    pub fn covered(&mut self, tier: Tier, rows: u64) {
        self.rows[tier as usize] += rows;
    }

    /// What was read, by tier.
    pub fn sources(&self) -> Vec<SourceRead> {
        let read = Tier::ALL.into_iter().zip(self.rows).filter(|(_, rows)| *rows > 0);
        read.map(|(tier, rows)| SourceRead { tier, rows }).collect()
    }
}

/// A device's rows, or all devices', or those of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Devices<'a> {
    One(DeviceId),
    /// Ascending.
    List(&'a [DeviceId]),
    All,
}

impl<'a> Devices<'a> {
    /// `None` is all.
    pub fn of(ids: &'a Option<Vec<DeviceId>>) -> Self {
        match ids.as_deref() {
            None => Self::All,
            Some([one]) => Self::One(*one),
            Some(list) => Self::List(list),
        }
    }
}
