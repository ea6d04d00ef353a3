//! The writer: one per partition, on the ingest thread. It puts rows into chunks and never touches the disk.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::{DeviceId, DeviceIndex, Offset, Partition, Rows, Source, Table};

use crate::error::Error;
use crate::seal::Job;
use crate::store::{PartitionState, Shared};
use crate::view::TableState;

mod open;

use open::OpenChunk;

/// What became of inserted rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Inserted {
    /// Rows that are in the head now.
    pub taken: usize,
    /// Rows that the store had already: before a restart, or from an attempt that found the head full.
    pub covered: usize,
}

/// What device indices stand for, and where their devices are in the chunks that they were last written to.
#[derive(Default)]
struct Bindings {
    /// By index and table kind: the chunk (numbered by the writer) and the slot in it. On their own, because each row
    /// looks here, with a million devices in any order.
    slots: Vec<[(u32, u32); 2]>,
    devices: Vec<Option<DeviceId>>,
    /// Whether an index ever changed its meaning: a device may then have had another index in the same chunk.
    has_changed: bool,
    /// Of the rows that are written: those whose devices are new to the chunk.
    new: Vec<(usize, DeviceIndex)>,
    new_devices: Vec<Option<DeviceId>>,
}

impl Bindings {
    fn bind(&mut self, index: DeviceIndex, device: DeviceId) {
        let at = index.as_usize();
        if self.devices.len() <= at {
            self.devices.resize(at + 1, None);
            self.slots.resize(at + 1, [(0, 0); 2]);
        }
        if let Some(before) = self.devices[at].replace(device)
            && before != device
        {
            self.has_changed = true;
            self.slots[at] = [(0, 0); 2];
        }
    }
}

/// The single owner of a partition's open chunks.
pub struct Writer {
    shared: Arc<Shared>,
    partition: Partition,
    state: Arc<PartitionState>,
    bindings: Bindings,
    tables: Vec<OpenTable>,
    by_table: HashMap<Table, usize>,
    /// Numbers chunks within this writer, so that slots of older chunks are known to be stale; 0 is none.
    chunk_number: u32,
}

struct OpenTable {
    state: Arc<TableState>,
    chunk: Option<OpenChunk>,
    /// The first address that this table has not seen.
    next: (Offset, u32),
    dirty: bool,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, partition: Partition) -> Self {
        Self {
            state: shared.partition(partition),
            shared,
            partition,
            bindings: Bindings::default(),
            tables: Vec::new(),
            by_table: HashMap::new(),
            chunk_number: 0,
        }
    }

    /// Says what a device index stands for. A source has one index at a time. A free topic has no rows and is passed
    /// over.
    pub fn bind(&mut self, index: DeviceIndex, source: &Source) {
        if let Some(device) = source.device() {
            self.bindings.bind(index, device);
        }
    }

    /// Takes rows in, in the order of `raw`; rows at addresses that the store covers are dropped. They become visible
    /// with [`Writer::publish`].
    ///
    /// [`Error::HeadFull`]: a part may be in. Wait for [`crate::Store::wait_room`] and insert the same rows again; what
    /// is in is not taken twice.
    pub fn insert(&mut self, rows: &Rows) -> Result<Inserted, Error> {
        let at = self.open_table(&rows.layout.table);
        let next = self.tables[at].next;
        let covered = count_before(rows, next);
        let mut from = covered;
        while from < rows.len() {
            match self.insert_into_chunk(at, rows, from) {
                Ok(to) => from = to,
                Err(error) => {
                    if matches!(error, Error::HeadFull) {
                        self.freeze_largest();
                    }
                    return Err(error);
                }
            }
        }
        Ok(Inserted { taken: from - covered, covered })
    }

    /// Writes rows from `from` on into the table's open chunk, as many as fit; returns the first row that did not.
    fn insert_into_chunk(&mut self, at: usize, rows: &Rows, from: usize) -> Result<usize, Error> {
        if self.tables[at].chunk.as_ref().is_some_and(OpenChunk::is_full) {
            self.freeze_table(at);
        }
        let table = &mut self.tables[at];
        let chunk = table.chunk.get_or_insert_with(|| {
            self.chunk_number += 1;
            let chunk = self.shared.new_chunk(&table.state.table, self.partition);
            table.state.change(|view| view.chunks.push(chunk.clone()));
            OpenChunk::new(chunk, self.chunk_number)
        });
        let to = chunk.write(rows, from, &mut self.bindings)?;
        table.next = (rows.offset[to - 1], rows.index[to - 1] + 1);
        table.dirty = true;
        Ok(to)
    }

    /// Makes everything inserted visible to queries. `next` is the offset behind what was inserted.
    pub fn publish(&mut self, next: Offset) {
        for table in self.tables.iter_mut().filter(|table| table.dirty) {
            table.dirty = false;
            if let Some(chunk) = &table.chunk {
                chunk.publish();
            }
        }
        self.state.visible_to.store(next, Ordering::Release);
    }

    /// The barrier: all chunks go to the sealing thread. Once they are sealed, [`crate::Store::sealed_to`] is `at`: all
    /// rows of offsets below it have been inserted.
    pub fn freeze(&mut self, at: Offset) {
        for table in 0..self.tables.len() {
            self.freeze_table(table);
        }
        self.shared.queue.push(Job::Barrier { partition: self.partition, at });
    }

    fn freeze_table(&mut self, at: usize) {
        let table = &mut self.tables[at];
        if let Some(open) = table.chunk.take() {
            open.publish();
            table.dirty = false;
            self.shared.queue.push(Job::Chunk(open.freeze(table.next)));
        }
    }

    /// Hands over the chunk that gives most pages back.
    fn freeze_largest(&mut self) {
        let rows = |table: &OpenTable| table.chunk.as_ref().map_or(0, OpenChunk::len);
        let largest = (0..self.tables.len()).max_by_key(|at| rows(&self.tables[*at]));
        if let Some(at) = largest.filter(|at| rows(&self.tables[*at]) > 0) {
            self.freeze_table(at);
        }
    }

    fn open_table(&mut self, table: &Table) -> usize {
        if let Some(at) = self.by_table.get(table) {
            return *at;
        }
        let state = self.shared.tables.get_or_new(table);
        let next = self.shared.covered_to(self.partition, table);
        self.tables.push(OpenTable { state, chunk: None, next, dirty: false });
        self.by_table.insert(table.clone(), self.tables.len() - 1);
        self.tables.len() - 1
    }
}

/// How many rows, from the first on, stand at addresses before `next`.
fn count_before(rows: &Rows, next: (Offset, u32)) -> usize {
    let first = rows.offset.partition_point(|offset| *offset < next.0);
    let same = rows.offset[first..].partition_point(|offset| *offset == next.0);
    first + rows.index[first..first + same].partition_point(|index| *index < next.1)
}
