//! One pass over the rows of a table that a query asks for, whatever holds them.

use std::collections::HashMap;
use std::sync::Arc;

use model::{ColumnKey, DeviceId, Millis, ValueKind};

use super::{Devices, Meter, Span, Value};
use crate::block::Block;
use crate::error::Error;
use crate::head::Visible;
use crate::key::RowKey;
use crate::store::Shared;
use crate::view::TableState;

mod blocks;
mod head;

/// Which columns a query reads. A row has at most two values for it: a metric's, or an event's type and data.
#[derive(Clone, Copy, Debug)]
pub enum Selection<'a> {
    /// A metric, of one kind or of any.
    Metric { name: &'a str, kind: Option<ValueKind> },
    /// Two string columns.
    Texts([&'a str; 2]),
}

impl Selection<'_> {
    /// Which of the two values this column gives.
    pub fn place(&self, key: &ColumnKey) -> Option<usize> {
        match self {
            Self::Metric { name, kind } => {
                (&*key.name == *name && kind.is_none_or(|kind| kind == key.kind)).then_some(0)
            }
            Self::Texts(names) if key.kind == ValueKind::Str => names.iter().position(|name| *key.name == **name),
            Self::Texts(_) => None,
        }
    }
}

/// Which rows and which parts of them a query reads.
#[derive(Clone, Debug)]
pub struct Filter<'a> {
    pub span: Span<'a>,
    pub devices: Devices<'a>,
    pub selection: Selection<'a>,
    /// Whether boot, seq and receive time of each row are needed; otherwise the key has only its ts right.
    pub identity: bool,
    /// Whether tags are needed for the answer.
    pub tags: bool,
    /// Rows whose age counts from before it are past retention.
    pub kept_from: Millis,
    /// At most this many wanted rows are needed of each device and source, in the order of keys.
    pub rows_max: usize,
}

/// One row that has at least one of the selected values.
#[derive(Debug)]
pub struct Row {
    pub device: DeviceId,
    pub key: RowKey,
    pub values: [Option<Value>; 2],
    pub tags: Option<Arc<str>>,
}

/// Called for each row; says whether it is wanted, and so counts against [`Filter::rows_max`].
pub type Visit<'a> = &'a mut dyn FnMut(Row) -> Result<bool, Error>;

/// What a query sees of one table, from now until it is done.
pub struct Snapshot {
    pub kept_from: Millis,
    pub chunks: Vec<Visible>,
    pub blocks: Vec<Arc<Block>>,
}

impl Snapshot {
    pub fn new(table: &TableState, now: Millis) -> Self {
        let view = table.view();
        Self {
            kept_from: table.kept_from(now),
            chunks: view.chunks.iter().map(|chunk| chunk.visible()).collect(),
            blocks: view.blocks.clone(),
        }
    }

    /// How many sources there are.
    pub fn len(&self) -> usize {
        self.chunks.len() + self.blocks.len()
    }

    /// The sources that may hold what the filter asks for: blocks in the order of their first ts, then chunks.
    pub fn sources(&self, filter: &Filter<'_>) -> Vec<Source<'_>> {
        let blocks = self.blocks.iter().enumerate().filter(|(_, block)| block.may_hold(filter));
        let mut sources: Vec<_> = blocks.map(|(order, block)| Source { order, place: Held::Block(block) }).collect();
        sources.sort_by_key(Source::ts_min);
        let chunks = self.chunks.iter().enumerate();
        sources.extend(chunks.map(|(at, chunk)| Source { order: self.blocks.len() + at, place: Held::Chunk(chunk) }));
        sources
    }
}

/// A place that holds rows of a table.
pub struct Source<'a> {
    /// Grows with the order of arrival: of rows that are equal otherwise, those of the lower order come first.
    pub order: usize,
    pub place: Held<'a>,
}

/// What holds the rows.
pub enum Held<'a> {
    Chunk(&'a Visible),
    Block(&'a Arc<Block>),
}

impl Source<'_> {
    /// No row has a lower ts.
    pub fn ts_min(&self) -> Millis {
        match self.place {
            Held::Chunk(_) => Millis::MIN,
            Held::Block(block) => block.entry.ts_min,
        }
    }

    /// Visits the rows that the filter lets through. Rows of one device come in the order of keys from a block, and
    /// from a chunk if the filter names devices.
    pub fn scan(
        &self,
        shared: &Shared,
        filter: &Filter<'_>,
        meter: &mut Meter<'_>,
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        match self.place {
            Held::Chunk(chunk) => head::scan(shared, chunk, filter, meter, visit),
            Held::Block(block) => blocks::scan(shared, block, filter, meter, visit),
        }
    }
}

/// Whether tags, by the number of their text, match; each text is parsed once.
struct TagFilter<'a> {
    tag: Option<(&'a str, &'a str)>,
    known: HashMap<u64, bool>,
}

impl<'a> TagFilter<'a> {
    fn new(tag: Option<(&'a str, &'a str)>) -> Self {
        Self { tag, known: HashMap::new() }
    }

    /// What follows numbers its texts anew.
    fn renumbered(&mut self) {
        self.known.clear();
    }

    fn matches(&mut self, number: Option<u64>, text: impl FnOnce(u64) -> Arc<str>) -> bool {
        let Some((name, value)) = self.tag else { return true };
        let Some(number) = number else { return false };
        let check = || {
            let tags: HashMap<String, String> = serde_json::from_str(&text(number)).unwrap_or_default();
            tags.get(name).is_some_and(|found| found == value)
        };
        *self.known.entry(number).or_insert_with(check)
    }
}

/// A value from its cell.
pub fn value_of(kind: ValueKind, bits: u64, text: impl FnOnce(u64) -> Arc<str>) -> Value {
    match kind {
        ValueKind::F64 => Value::F64(f64::from_bits(bits)),
        ValueKind::I64 => Value::I64(bits as i64),
        ValueKind::Bool => Value::Bool(bits != 0),
        ValueKind::Str => Value::Str(text(bits)),
    }
}

const SLICE_ROWS: usize = 8192;
