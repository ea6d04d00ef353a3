//! Accepted messages as columns: what the pipeline makes of a batch and what the store takes in.

use std::sync::Arc;

use crate::ids::{DeviceIndex, Offset, TenantId};

/// What a table's rows are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TableKind {
    /// One row per message, one column per metric.
    Readings,
    /// One row per event, with the string columns `type` and `data` (JSON text).
    Events,
}

/// A table of the store: one tenant's class.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Table {
    pub tenant: TenantId,
    pub class: Arc<str>,
    pub kind: TableKind,
}

/// The type of a column. A metric that comes as a number and as a string has two columns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum ValueKind {
    /// IEEE 754 double, as its bits.
    F64 = 1,
    /// Signed 64-bit integer (a schema's long), as its two's complement bits.
    I64 = 2,
    /// 0 or 1.
    Bool = 3,
    /// UTF-8 text: start << 32 | length, in [`Rows::text`].
    Str = 4,
}

impl ValueKind {
    /// The kind whose stored tag this is.
    pub fn from_tag(tag: u8) -> Option<Self> {
        [Self::F64, Self::I64, Self::Bool, Self::Str].into_iter().find(|kind| *kind as u8 == tag)
    }

    /// The name that `type=` takes in a query.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F64 => "double",
            Self::I64 => "long",
            Self::Bool => "boolean",
            Self::Str => "string",
        }
    }
}

/// A column: (metric, type).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ColumnKey {
    pub name: Arc<str>,
    pub kind: ValueKind,
}

/// The columns of a table so far. It only grows: a new column makes a new layout whose front is the old one, so a
/// column's position never changes within a process. Positions are not stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableLayout {
    pub table: Table,
    pub columns: Vec<ColumnKey>,
}

/// Facts about one row.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct RowFlags(pub u8);

impl RowFlags {
    pub const HAS_SEQ: u8 = 1;
    pub const HAS_BOOT: u8 = 2;
    /// The device had kept the message back through an outage.
    pub const BUFFERED: u8 = 4;
    /// The message had no `ts`; it is the receive time.
    pub const TS_RECEIVED: u8 = 8;

    pub fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }
}

/// Rows of one table from one raw batch, in the order of `raw`. The vectors up to `flags` have one element per row.
#[derive(Clone, Debug)]
pub struct Rows {
    pub layout: Arc<TableLayout>,
    /// Receive time of the batch (Unix ms).
    pub received: i64,
    pub offset: Vec<Offset>,
    /// The address's index within the payload.
    pub index: Vec<u32>,
    pub device: Vec<DeviceIndex>,
    /// Unix ms.
    pub ts: Vec<i64>,
    /// Meaningful where [`RowFlags::HAS_SEQ`].
    pub seq: Vec<u64>,
    /// Meaningful where [`RowFlags::HAS_BOOT`].
    pub boot: Vec<u32>,
    pub flags: Vec<RowFlags>,
    /// Parallel to `layout.columns`; columns past its end are absent in all rows.
    pub columns: Vec<RowColumn>,
    /// Tags where a message has any: bits as for [`ValueKind::Str`], a JSON object of strings with sorted names.
    pub tags: RowColumn,
    /// The bytes of strings and tags.
    pub text: Vec<u8>,
}

/// The present values of one column: `rows[i]` (ascending) has the value `bits[i]`.
#[derive(Clone, Debug, Default)]
pub struct RowColumn {
    pub rows: Vec<u32>,
    pub bits: Vec<u64>,
}

impl Rows {
    /// No rows yet.
    pub fn new(layout: Arc<TableLayout>, received: i64) -> Self {
        Self {
            layout,
            received,
            offset: Vec::new(),
            index: Vec::new(),
            device: Vec::new(),
            ts: Vec::new(),
            seq: Vec::new(),
            boot: Vec::new(),
            flags: Vec::new(),
            columns: Vec::new(),
            tags: RowColumn::default(),
            text: Vec::new(),
        }
    }

    /// Forgets all rows and keeps the memory, for the next batch.
    pub fn clear(&mut self, received: i64) {
        self.received = received;
        self.offset.clear();
        self.index.clear();
        self.device.clear();
        self.ts.clear();
        self.seq.clear();
        self.boot.clear();
        self.flags.clear();
        for column in self.columns.iter_mut().chain([&mut self.tags]) {
            column.rows.clear();
            column.bits.clear();
        }
        self.text.clear();
    }

    pub fn len(&self) -> usize {
        self.ts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ts.is_empty()
    }

    /// The text that the bits of a string value or of tags point at.
    pub fn text_of(&self, bits: u64) -> &str {
        let (start, len) = ((bits >> 32) as usize, bits as u32 as usize);
        self.text
            .get(start..start + len)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .expect("the pipeline writes only UTF-8 and points only at what it wrote")
    }
}
