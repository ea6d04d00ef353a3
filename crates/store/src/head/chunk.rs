//! A chunk: rows of one table and partition in the order in which they came.
//!
//! Fixed columns and the first [`COLUMNS_PER_BLOCK_MAX`] metrics are paged columns; what goes beyond is a list of
//! single cells, so that a class with thousands of metric names cannot take thousands of pages. Each row points at the
//! previous row of its device, so a device's rows are found without a look at the others'.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use model::limits::COLUMNS_PER_BLOCK_MAX;
use model::{ColumnKey, DeviceId, Offset, Partition, RowFlags, Table, ValueKind};

use super::column::{Cells, Column};
use super::devices::Devices;
use super::latest::LatestRows;
use super::pool::PagePool;
use super::texts::Texts;
use crate::key::{RowKey, is_late};

/// Strings in one chunk; past it the chunk is frozen. Events would fill the memory long before they fill the rows.
pub const TEXT_BYTES_MAX: usize = 64 << 20;

/// The next address that a table has not seen: (offset, index within the payload).
pub type NextAddress = (Offset, u32);

/// A cell of a metric beyond the paged columns.
#[derive(Clone, Copy, Debug)]
pub struct SpillCell {
    pub row: u32,
    /// Position in [`Spill::keys`].
    pub key: u32,
    pub bits: u64,
}

/// The cells that have no column.
#[derive(Default)]
pub struct Spill {
    pub keys: Vec<ColumnKey>,
    pub cells: Vec<SpillCell>,
}

/// A chunk. See the module.
pub struct Chunk {
    pub table: Table,
    pub partition: Partition,
    /// Grows with every chunk of the store; rows of a later chunk came later.
    pub sequence: u64,
    pub ts: Cells,
    pub seq: Cells,
    /// boot << 32 | flags
    pub facts: Cells,
    /// device slot << 32 | previous row of the device + 1
    pub links: Cells,
    /// By slot: the last row of the device + 1.
    pub last_rows: Cells,
    /// Where it differs from ts by more than [`crate::key::RECEIVED_APART_MS`].
    pub received: Column,
    /// Number of the JSON text, where there are tags.
    pub tags: Column,
    pub devices: Devices,
    pub texts: Texts,
    pub spill: RwLock<Spill>,
    /// What readers know of the latest rows.
    pub latest: Mutex<LatestRows>,
    columns: RwLock<Arc<Vec<Arc<Column>>>>,
    rows_max: usize,
    published: AtomicUsize,
    end: OnceLock<NextAddress>,
    pool: Arc<PagePool>,
}

impl Chunk {
    pub fn new(table: Table, partition: Partition, sequence: u64, rows_max: usize, pool: Arc<PagePool>) -> Self {
        let hidden = |name: &str, kind| ColumnKey { name: name.into(), kind };
        Self {
            table,
            partition,
            sequence,
            ts: Cells::new(rows_max, &pool),
            seq: Cells::new(rows_max, &pool),
            facts: Cells::new(rows_max, &pool),
            links: Cells::new(rows_max, &pool),
            last_rows: Cells::new(rows_max, &pool),
            received: Column::new(hidden("received", ValueKind::I64), rows_max, &pool),
            tags: Column::new(hidden("tags", ValueKind::Str), rows_max, &pool),
            devices: Devices::new(rows_max, &pool),
            texts: Texts::new(pool.clone()),
            spill: RwLock::default(),
            latest: Mutex::default(),
            columns: RwLock::default(),
            rows_max,
            published: AtomicUsize::new(0),
            end: OnceLock::new(),
            pool,
        }
    }

    /// Whether the head as a whole holds more than it may.
    pub fn is_head_over(&self) -> bool {
        self.pool.is_over()
    }

    /// Adds cells of metrics that have no column; only the writer does. Returns how many there are.
    pub fn add_spill(&self, cells: impl Iterator<Item = SpillCell>) -> usize {
        let mut spill = self.spill.write().expect("no holder of this lock panics");
        let before = spill.cells.len();
        spill.cells.extend(cells);
        self.pool.reserve((spill.cells.len() - before) * size_of::<SpillCell>());
        spill.cells.len()
    }

    /// Counts memory that readers took.
    pub fn count_latest(&self, before: usize, now: usize) {
        self.pool.reserve(now - before);
    }

    pub fn rows_max(&self) -> usize {
        self.rows_max
    }

    /// Makes the pages of the fixed columns there for page `at`; false when the pool has none left.
    pub fn ensure(&self, at: usize) -> bool {
        [&self.ts, &self.seq, &self.facts, &self.links].into_iter().all(|cells| cells.ensure(at))
    }

    /// Adds a paged column; only the writer does.
    pub fn add_column(&self, key: ColumnKey) -> Arc<Column> {
        let column = Arc::new(Column::new(key, self.rows_max, &self.pool));
        let mut columns = self.columns.write().expect("no holder of this lock panics");
        let mut longer = Vec::with_capacity(columns.len() + 1);
        longer.extend(columns.iter().cloned());
        longer.push(column.clone());
        debug_assert!(longer.len() <= COLUMNS_PER_BLOCK_MAX, "further columns are spilled");
        *columns = Arc::new(longer);
        column
    }

    /// Shows rows up to `len` to readers.
    pub fn publish(&self, len: usize) {
        self.published.store(len, Ordering::Release);
    }

    /// Closes the chunk: no row follows. `end` is the next address of its table.
    pub fn freeze(&self, end: NextAddress) {
        self.end.get_or_init(|| end);
    }

    /// The address behind the chunk's last row; it is frozen.
    pub fn end(&self) -> NextAddress {
        *self.end.get().expect("only frozen chunks are sealed")
    }

    /// What a reader sees from now on.
    pub fn visible(self: &Arc<Self>) -> Visible {
        let len = self.published.load(Ordering::Acquire);
        let columns = self.columns.read().expect("no holder of this lock panics").clone();
        Visible { chunk: self.clone(), len, columns }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let spilled = self.spill.get_mut().expect("no holder of this lock panics").cells.len();
        let latest = self.latest.get_mut().expect("no holder of this lock panics").bytes();
        self.pool.release(spilled * size_of::<SpillCell>() + latest);
    }
}

/// The rows of a chunk that were published when the reader came.
pub struct Visible {
    pub columns: Arc<Vec<Arc<Column>>>,
    pub len: usize,
    pub chunk: Arc<Chunk>,
}

impl Visible {
    pub fn ts(&self, row: usize) -> i64 {
        self.chunk.ts.get(row) as i64
    }

    pub fn flags(&self, row: usize) -> RowFlags {
        RowFlags(self.chunk.facts.get(row) as u8)
    }

    pub fn seq(&self, row: usize) -> Option<u64> {
        self.flags(row).has(RowFlags::HAS_SEQ).then(|| self.chunk.seq.get(row))
    }

    pub fn boot(&self, row: usize) -> Option<u32> {
        let facts = self.chunk.facts.get(row);
        RowFlags(facts as u8).has(RowFlags::HAS_BOOT).then_some((facts >> 32) as u32)
    }

    pub fn slot(&self, row: usize) -> u32 {
        (self.chunk.links.get(row) >> 32) as u32
    }

    /// Receive time; exactly known only where it is far from ts.
    pub fn received(&self, row: usize) -> i64 {
        self.chunk.received.get(row).map_or_else(|| self.ts(row), |bits| bits as i64)
    }

    /// Whether the row belongs into a late block. Without a stored receive time none does, and no more is looked at.
    pub fn is_late(&self, row: usize) -> bool {
        let received = self.chunk.received.get(row);
        received.is_some_and(|bits| is_late(self.ts(row), bits as i64))
    }

    pub fn key(&self, row: usize) -> RowKey {
        RowKey { ts: self.ts(row), boot: self.boot(row), seq: self.seq(row), received: self.received(row) }
    }

    pub fn tags(&self, row: usize) -> Option<Arc<str>> {
        self.chunk.tags.get(row).map(|number| self.text(number))
    }

    /// A string of a published cell.
    pub fn text(&self, number: u64) -> Arc<str> {
        self.chunk.texts.get(number)
    }

    /// The rows of a device, latest arrival first.
    pub fn rows_of(&self, device: DeviceId) -> impl Iterator<Item = usize> + '_ {
        self.chunk.devices.slot(device).into_iter().flat_map(|slot| self.rows_of_slot(slot))
    }

    /// The rows of the device with this slot, latest arrival first.
    pub fn rows_of_slot(&self, slot: u32) -> impl Iterator<Item = usize> + '_ {
        let mut next = self.chunk.last_rows.get_acquire(slot as usize);
        std::iter::from_fn(move || {
            // Rows that came after the reader stand first in the chain.
            while next as usize > self.len {
                next = self.chunk.links.get(next as usize - 1) & u64::from(u32::MAX);
            }
            let row = (next as usize).checked_sub(1)?;
            next = self.chunk.links.get(row) & u64::from(u32::MAX);
            Some(row)
        })
    }
}
