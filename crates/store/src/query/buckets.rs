//! Aggregates over time: buckets aligned to the Unix epoch, of one device, of several, or of a class.

use std::fmt;
use std::str::FromStr;

use model::{DeviceId, Millis, TableKind, TenantId, ValueKind};

use super::scan::{Filter, Selection};
use super::{Budget, Devices, Meter, SourceRead, Span, Value};
use crate::error::Error;
use crate::store::Shared;

mod cells;
mod cover;
mod gather;
mod rolled_up;

use gather::Gather;

/// Whose rows a query is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    Device(DeviceId),
    Devices(Vec<DeviceId>),
    /// All devices of a class.
    Class(String),
    /// Some devices, as far as they are of a class.
    DevicesOfClass(String, Vec<DeviceId>),
}

/// How long a bucket is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resolution {
    /// Milliseconds, at least 1.
    Millis(i64),
    /// One bucket for the whole span; it starts at `from`.
    All,
}

/// What is asked of a bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aggregate {
    Avg,
    Min,
    Max,
    Sum,
    Count,
    First,
    Last,
    P50,
    P95,
    P99,
}

impl Aggregate {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Avg,
        Self::Min,
        Self::Max,
        Self::Sum,
        Self::Count,
        Self::First,
        Self::Last,
        Self::P50,
        Self::P95,
        Self::P99,
    ];

    /// As in `agg=`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Sum => "sum",
            Self::Count => "count",
            Self::First => "first",
            Self::Last => "last",
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
        }
    }

    pub(crate) const fn quantile(self) -> Option<f64> {
        match self {
            Self::P50 => Some(0.5),
            Self::P95 => Some(0.95),
            Self::P99 => Some(0.99),
            _ => None,
        }
    }

    /// Whether it can be asked of strings.
    const fn is_for_texts(self) -> bool {
        matches!(self, Self::Count | Self::First | Self::Last)
    }
}

impl FromStr for Aggregate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = Self::ALL.iter().copied().find(|aggregate| aggregate.name() == text);
        let names: Vec<_> = Self::ALL.iter().map(|aggregate| aggregate.name()).collect();
        found.ok_or_else(|| Error::Query(format!("`{text}` is not an aggregate: choose from {}", names.join(", "))))
    }
}

/// A question for buckets.
#[derive(Clone, Debug)]
pub struct BucketQuery {
    pub tenant: TenantId,
    pub scope: Scope,
    /// One series for each device instead of one over all.
    pub by_device: bool,
    pub metric: String,
    /// Only values of this type; otherwise numbers and booleans, and strings if there are no numbers.
    pub kind: Option<ValueKind>,
    /// Inclusive.
    pub from: Millis,
    /// Exclusive.
    pub to: Millis,
    pub resolution: Resolution,
    pub aggregates: Vec<Aggregate>,
    /// Only rows with this tag.
    pub tag: Option<(String, String)>,
    /// Buckets in the answer.
    pub limit: usize,
    pub cursor: Option<BucketCursor>,
    pub budget: Budget,
}

/// The first bucket of the next page.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct BucketCursor {
    pub device: Option<DeviceId>,
    pub start: Millis,
}

impl fmt::Display for BucketCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.device {
            Some(device) => write!(f, "{device}_{}", self.start),
            None => write!(f, "_{}", self.start),
        }
    }
}

impl FromStr for BucketCursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = || {
            let (device, start) = text.split_once('_')?;
            let device = if device.is_empty() { None } else { Some(device.parse().ok()?) };
            Some(Self { device, start: start.parse().ok()? })
        };
        parse().ok_or_else(|| Error::Query(format!("`{text}` is not a cursor: take `next` of the page before")))
    }
}

/// A bucket that has rows.
#[derive(Clone, PartialEq, Debug)]
pub struct Bucket {
    /// Its first millisecond.
    pub start: Millis,
    /// One for each aggregate asked for; `None` where there is nothing to aggregate.
    pub values: Vec<Option<Value>>,
    /// Percentiles come from a sketch (relative error 0.5 %).
    pub approximate: bool,
}

/// The buckets of one device, or of all devices in the scope.
#[derive(Clone, PartialEq, Debug)]
pub struct Series {
    pub device: Option<DeviceId>,
    /// Ascending; empty buckets are left out.
    pub buckets: Vec<Bucket>,
}

/// The answer. Without `by_device` it has exactly one series.
#[derive(Clone, PartialEq, Debug)]
pub struct Buckets {
    pub series: Vec<Series>,
    pub next: Option<BucketCursor>,
    pub sources: Vec<SourceRead>,
}

/// See [`crate::Store::buckets`].
pub(crate) fn run(shared: &Shared, query: &BucketQuery) -> Result<Buckets, Error> {
    check(query)?;
    let mut meter = Meter::new(&shared.clock, query.budget);
    let mut gather = Gather::new(query);
    let devices = shared.devices_of(&query.scope);
    for table in shared.tables_of(query.tenant, &query.scope, TableKind::Readings) {
        let snapshot = shared.snapshot(&table);
        let filter = Filter {
            span: Span {
                from: gather.from,
                to: query.to,
                tag: query.tag.as_ref().map(|(name, value)| (&**name, &**value)),
            },
            devices: Devices::of(&devices),
            selection: Selection::Metric { name: &query.metric, kind: query.kind },
            identity: gather.needs.edges,
            tags: false,
            kept_from: snapshot.kept_from,
            rows_max: usize::MAX,
        };
        for source in snapshot.sources(&filter) {
            gather.source(shared, &source, &filter, &mut meter)?;
        }
        gather.order += snapshot.len();
    }
    gather.finish(meter.sources())
}

fn check(query: &BucketQuery) -> Result<(), Error> {
    if matches!(query.resolution, Resolution::Millis(..1)) {
        return Err(Error::Query("`resolution` is at least 1 ms".to_owned()));
    }
    if query.aggregates.is_empty() || query.limit == 0 {
        return Err(Error::Query("at least one aggregate and one bucket must be asked for".to_owned()));
    }
    if query.kind == Some(ValueKind::Str) { check_texts(query) } else { Ok(()) }
}

fn check_texts(query: &BucketQuery) -> Result<(), Error> {
    match query.aggregates.iter().find(|aggregate| !aggregate.is_for_texts()) {
        None => Ok(()),
        Some(aggregate) => Err(Error::Query(format!(
            "`{}` holds strings, which have no `{}`: ask for first, last or count",
            query.metric,
            aggregate.name()
        ))),
    }
}
