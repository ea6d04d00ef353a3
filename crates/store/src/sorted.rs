//! Rows in the order in which blocks keep them: by (device, ts, boot, seq), and by receipt and arrival where these are
//! equal. What a chunk is sealed from, what blocks are merged through, and what a block is written from.

use std::ops::Range;
use std::sync::Arc;

use model::{ColumnKey, DeviceId, Millis, ValueKind};

use crate::head::Visible;
use crate::key::RowKey;

mod from_chunk;
mod merge;
mod order;
mod spare;
mod spill;

pub use spare::Spare;

/// A column whose cells may be absent.
#[derive(Clone, PartialEq, Debug)]
pub struct Optional {
    pub present: Present,
    /// The present cells in order. Strings are numbers into [`SortedRows::texts`].
    pub values: Vec<u64>,
}

/// Which cells are present.
#[derive(Clone, PartialEq, Debug)]
pub enum Present {
    All,
    /// These rows, ascending.
    Rows(Vec<u32>),
}

impl Optional {
    /// No cell is present.
    pub fn none() -> Self {
        Self { present: Present::Rows(Vec::new()), values: Vec::new() }
    }

    /// The present ones of `rows` cells.
    pub fn gather(rows: usize, cells: impl Iterator<Item = Option<u64>>) -> Self {
        let mut values = Vec::with_capacity(rows);
        let mut positions = Vec::new();
        for (row, cell) in cells.enumerate() {
            match cell {
                // As long as no cell was absent, positions need not be kept.
                Some(value) if values.len() == row => values.push(value),
                Some(value) => {
                    if positions.is_empty() {
                        positions.extend(0..values.len() as u32);
                    }
                    positions.push(row as u32);
                    values.push(value);
                }
                None => {}
            }
        }
        if values.len() == rows {
            return Self { present: Present::All, values };
        }
        if positions.is_empty() {
            positions.extend(0..values.len() as u32);
        }
        values.shrink_to_fit();
        Self { present: Present::Rows(positions), values }
    }

    /// Present cells with their rows.
    pub fn cells(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        (0..self.values.len()).map(|at| match &self.present {
            Present::All => (at, self.values[at]),
            Present::Rows(rows) => (rows[at] as usize, self.values[at]),
        })
    }

    /// The cell of one row.
    pub fn cell(&self, row: usize) -> Option<u64> {
        match &self.present {
            Present::All => self.values.get(row).copied(),
            Present::Rows(rows) => rows.binary_search(&(row as u32)).ok().map(|at| self.values[at]),
        }
    }

    /// Every one of `rows` cells.
    pub fn all(&self, rows: usize) -> impl Iterator<Item = Option<u64>> + '_ {
        let mut next = 0;
        (0..rows).map(move |row| {
            let is_present = match &self.present {
                Present::All => true,
                Present::Rows(rows) => rows.get(next) == Some(&(row as u32)),
            };
            is_present.then(|| {
                next += 1;
                self.values[next - 1]
            })
        })
    }
}

/// The rows of one device.
#[derive(Clone, PartialEq, Debug)]
pub struct DeviceRows {
    pub device: DeviceId,
    pub rows: Range<usize>,
}

/// Rows in order.
#[derive(Clone, PartialEq, Debug)]
pub struct SortedRows {
    /// Ascending; their rows follow one another without a gap.
    pub devices: Vec<DeviceRows>,
    pub ts: Vec<Millis>,
    pub boot: Optional,
    pub seq: Optional,
    pub received: Optional,
    pub buffered: Vec<bool>,
    /// JSON texts.
    pub tags: Optional,
    pub columns: Vec<(ColumnKey, Optional)>,
    pub texts: Vec<Arc<str>>,
}

impl SortedRows {
    /// The rows of a chunk, those that are late apart from the others, without those of erased devices. A part without
    /// rows is `None`.
    pub fn from_chunk(chunk: &Visible, is_erased: impl Fn(DeviceId) -> bool, spare: &mut Spare) -> [Option<Self>; 2] {
        from_chunk::from_chunk(chunk, is_erased, spare)
    }

    /// All rows of the parts, without those of erased devices; `None` if there are none. The parts come in the order of
    /// arrival: of rows that are equal, those of an earlier part come first.
    pub fn merge(parts: &[Self], is_erased: impl Fn(DeviceId) -> bool, spare: &mut Spare) -> Option<Self> {
        merge::merge(parts, is_erased, spare)
    }

    pub fn len(&self) -> usize {
        self.ts.len()
    }

    /// The key of one row.
    pub fn key(&self, row: usize) -> RowKey {
        let ts = self.ts[row];
        RowKey {
            ts,
            boot: self.boot.cell(row).map(|boot| boot as u32),
            seq: self.seq.cell(row),
            received: self.received.cell(row).map_or(ts, |bits| bits as Millis),
        }
    }

    /// The first and the last ts; there are rows.
    pub fn ts_ends(&self) -> (Millis, Millis) {
        let first = self.devices.iter().map(|span| self.ts[span.rows.start]).min();
        let last = self.devices.iter().map(|span| self.ts[span.rows.end - 1]).max();
        first.zip(last).expect("rows belong to devices")
    }
}

/// The name under which a narrow block keeps a metric's name.
pub const NARROW_METRIC: &str = "metric";
/// The name under which a narrow block keeps values, in one column for each type.
pub const NARROW_VALUE: &str = "value";

/// The columns of a narrow block: the metric's name and its value, in a column of its type.
pub fn narrow_columns() -> [ColumnKey; 5] {
    let key = |name: &str, kind| ColumnKey { name: name.into(), kind };
    [
        key(NARROW_METRIC, ValueKind::Str),
        key(NARROW_VALUE, ValueKind::F64),
        key(NARROW_VALUE, ValueKind::I64),
        key(NARROW_VALUE, ValueKind::Bool),
        key(NARROW_VALUE, ValueKind::Str),
    ]
}
