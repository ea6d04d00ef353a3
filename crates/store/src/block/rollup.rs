//! Rollups: totals of a block's numbers for each minute and each hour, over all devices and for each one, made when the
//! block is written, so that queries over long times and many devices hardly read rows.
//!
//! ```text
//! rollups = level count u8 | per level: its number u8, per metric column: length u32 of its part, 0 for none
//!         | the parts in the same order
//! part    = per device (levels by device, in the order of the directory), or once: buckets varint
//!         | per bucket: start zigzag (in periods, less the one before; the first one less 0) | count varint
//!           | sum, min, max (f64 each, or zigzag of 16 bytes, zigzag, zigzag for integers and booleans)
//!           | over all devices: first and last row, each
//!             device varint (its place in the directory) | key (`block/key.rs`, beside the bucket's start) | bits u64
//! ```
//!
//! A level is written only where a bucket stands for [`BUCKET_ROWS_MIN`] rows on average: with fewer, reading the rows
//! costs little, and buckets would take a notable part of the block.

use std::collections::HashMap;
use std::ops::Range;

use model::wire::{Reader, Short};
use model::{DeviceId, Millis, ValueKind};

use super::cache::Cached;
use super::directory::Directory;
use super::key::take_key;
use super::statistics::ColumnStatistics;
use super::varint;
use crate::key::RowKey;
use crate::query::accumulate::Totals;

mod build;
#[cfg(test)]
mod tests;

pub use build::encode;

/// Rows per bucket from which on a level is written. A bucket takes some 30 bytes and a metric: a tenth of a byte a row
/// at most; and 256 rows are read in a microsecond.
pub const BUCKET_ROWS_MIN: usize = 256;

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;

/// What a rollup's buckets are: how long, and whether each device has its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Level {
    Hours = 1,
    Minutes = 2,
    DeviceHours = 3,
    DeviceMinutes = 4,
}

impl Level {
    const ALL: [Self; 4] = [Self::Hours, Self::Minutes, Self::DeviceHours, Self::DeviceMinutes];

    /// The levels over all devices or by device, long buckets first.
    pub const fn of(by_device: bool) -> [Self; 2] {
        if by_device { [Self::DeviceHours, Self::DeviceMinutes] } else { [Self::Hours, Self::Minutes] }
    }

    pub const fn period(self) -> Millis {
        match self {
            Self::Hours | Self::DeviceHours => HOUR,
            Self::Minutes | Self::DeviceMinutes => MINUTE,
        }
    }

    const fn is_by_device(self) -> bool {
        matches!(self, Self::DeviceHours | Self::DeviceMinutes)
    }
}

/// Where the parts of a block's rollups are in its file.
#[derive(PartialEq, Eq, Debug, Default)]
pub struct RollupIndex(HashMap<(Level, usize), Range<u64>>);

impl Cached for RollupIndex {
    fn bytes(&self) -> usize {
        self.0.len() * 2 * size_of::<((Level, usize), Range<u64>)>()
    }
}

impl RollupIndex {
    /// The bytes of the index of a section for so many columns, as far as they are not beyond its end.
    pub const fn bytes_max(columns: usize) -> u64 {
        (1 + Level::ALL.len() * (1 + 4 * columns)) as u64
    }

    /// Reads the index of a section that stands at `at`.
    pub fn decode(bytes: &[u8], at: u64, columns: usize) -> Result<Self, Short> {
        let mut reader = Reader(bytes);
        let mut lengths = Vec::new();
        for _ in 0..reader.u8()? {
            let number = reader.u8()?;
            let level = Level::ALL.into_iter().find(|level| *level as u8 == number).ok_or(Short)?;
            for column in 0..columns {
                lengths.push(((level, column), u64::from(reader.u32()?)));
            }
        }
        let mut next = at + (bytes.len() - reader.0.len()) as u64;
        let mut places = HashMap::new();
        for (of, length) in lengths {
            if length > 0 {
                places.insert(of, next..next + length);
            }
            next += length;
        }
        Ok(Self(places))
    }

    /// The place of the part of a level and a column, by its number among the metrics.
    pub fn place(&self, level: Level, column: usize) -> Option<Range<u64>> {
        self.0.get(&(level, column)).cloned()
    }
}

/// A part: the totals of one column at one level.
#[derive(PartialEq, Debug)]
pub struct Rollup {
    /// For each device, or once, its first bucket; one more for the end.
    starts: Vec<u32>,
    /// Ascending by start.
    buckets: Vec<RolledUp>,
    /// Of each bucket, if it is over all devices.
    edges: Vec<[Edge; 2]>,
}

/// The totals of a bucket.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RolledUp {
    pub start: Millis,
    pub totals: Totals,
}

/// The first or the last row of a bucket in the order of (key, device).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Edge {
    pub key: RowKey,
    pub device: DeviceId,
    pub bits: u64,
}

impl Cached for Rollup {
    fn bytes(&self) -> usize {
        size_of_val(&*self.starts) + size_of_val(&*self.buckets) + size_of_val(&*self.edges)
    }
}

impl Rollup {
    /// The buckets over all devices, or those of the device at this place of the directory.
    pub fn buckets(&self, device: usize) -> &[RolledUp] {
        match self.starts.get(device..device + 2) {
            Some(&[start, end]) => &self.buckets[start as usize..end as usize],
            _ => &[],
        }
    }

    /// The first and last rows of the buckets over all devices; empty by device.
    pub fn edges(&self) -> &[[Edge; 2]] {
        &self.edges
    }

    pub fn decode(bytes: &[u8], level: Level, directory: &Directory, of: &ColumnStatistics) -> Result<Self, Short> {
        let mut reader = Reader(bytes);
        let mut rollup = Self { starts: vec![0], buckets: Vec::new(), edges: Vec::new() };
        let parts = if level.is_by_device() { directory.devices().len() } else { 1 };
        for _ in 0..parts {
            let mut number: i64 = 0;
            for _ in 0..varint::take(&mut reader)? {
                number = number.wrapping_add(varint::take_zigzag(&mut reader)?);
                let start = number.saturating_mul(level.period());
                let totals = take_totals(&mut reader, of.key.kind)?;
                rollup.buckets.push(RolledUp { start, totals });
                if !level.is_by_device() {
                    let edge = |reader: &mut Reader<'_>| take_edge(reader, start, directory);
                    rollup.edges.push([edge(&mut reader)?, edge(&mut reader)?]);
                }
            }
            rollup.starts.push(rollup.buckets.len() as u32);
        }
        if reader.0.is_empty() { Ok(rollup) } else { Err(Short) }
    }
}

fn take_totals(reader: &mut Reader<'_>, kind: ValueKind) -> Result<Totals, Short> {
    let count = varint::take(reader)?;
    Ok(match kind {
        ValueKind::F64 => {
            let mut value = || reader.u64().map(f64::from_bits);
            Totals::Doubles { count, sum: value()?, min: value()?, max: value()? }
        }
        ValueKind::I64 | ValueKind::Bool => {
            let sum = reader.u128()? as i128;
            Totals::Integers { count, sum, min: varint::take_zigzag(reader)?, max: varint::take_zigzag(reader)? }
        }
        ValueKind::Str => return Err(Short),
    })
}

fn take_edge(reader: &mut Reader<'_>, start: Millis, directory: &Directory) -> Result<Edge, Short> {
    let place = varint::take(reader)? as usize;
    let device = *directory.devices().get(place).ok_or(Short)?;
    Ok(Edge { key: take_key(reader, start)?, device, bits: reader.u64()? })
}
