//! A chunk that is being written.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::limits::{COLUMNS_PER_BLOCK_MAX, HEAD_PAGE_ROWS};
use model::{ColumnKey, DeviceId, DeviceIndex, Offset, RowColumn, Rows, TableKind, TableLayout, ValueKind};

use super::Bindings;
use crate::error::Error;
use crate::head::{Chunk, Column, SpillCell, TEXT_BYTES_MAX, TextNumbers};
use crate::key::is_received_apart;

/// Spilled cells in one chunk; past it the chunk is frozen.
const SPILL_CELLS_MAX: usize = 1 << 22;

/// Where a column of the layout is written.
#[derive(Clone, Copy)]
enum Target {
    Column(usize),
    Spill(u32),
}

/// An open chunk and what only its writer needs.
pub struct OpenChunk {
    chunk: Arc<Chunk>,
    number: u32,
    len: usize,
    columns: Vec<Arc<Column>>,
    targets_by_key: HashMap<ColumnKey, Target>,
    spill_cells: usize,
    /// The layout that was seen last, and the target of each of its columns.
    layout: Option<Arc<TableLayout>>,
    targets: Vec<Option<Target>>,
    /// Which values of each column stand in the rows that are being written.
    ranges: Vec<Range<usize>>,
    texts: TextNumbers,
}

impl OpenChunk {
    pub fn new(chunk: Arc<Chunk>, number: u32) -> Self {
        Self {
            chunk,
            number,
            len: 0,
            columns: Vec::new(),
            targets_by_key: HashMap::new(),
            spill_cells: 0,
            layout: None,
            targets: Vec::new(),
            ranges: Vec::new(),
            texts: TextNumbers::default(),
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_full(&self) -> bool {
        self.len == self.chunk.rows_max()
            || self.chunk.texts.bytes() > TEXT_BYTES_MAX
            || self.spill_cells > SPILL_CELLS_MAX
    }

    pub fn publish(&self) {
        self.chunk.publish(self.len);
    }

    pub fn freeze(self, end: (Offset, u32)) -> Arc<Chunk> {
        self.chunk.freeze(end);
        self.chunk
    }

    /// Writes rows from `from` on, up to the end of the page that is being filled, and returns the row behind them.
    pub fn write(&mut self, rows: &Rows, from: usize, bindings: &mut Bindings) -> Result<usize, Error> {
        let (page, at) = (self.len / HEAD_PAGE_ROWS, self.len % HEAD_PAGE_ROWS);
        let room = (HEAD_PAGE_ROWS - at).min(self.chunk.rows_max() - self.len);
        let to = rows.len().min(from + room);
        // What can fail comes first, so that a run of rows is in as a whole or not at all.
        let full = |has_room: bool| if has_room { Ok(()) } else { Err(Error::HeadFull) };
        full(!self.chunk.is_head_over() && self.chunk.ensure(page))?;
        full(self.find_columns(rows, page, from, to))?;
        self.find_slots(page, &rows.device[from..to], bindings)?;

        let chunk = &*self.chunk;
        fill(&chunk.ts.page(page)[at..], from..to, |row| rows.ts[row] as u64);
        fill(&chunk.seq.page(page)[at..], from..to, |row| rows.seq[row]);
        let facts = |row: usize| u64::from(rows.boot[row]) << 32 | u64::from(rows.flags[row].0);
        fill(&chunk.facts.page(page)[at..], from..to, facts);
        self.write_links(page, at, to - from);
        self.write_columns(rows, page, from, to);
        self.len += to - from;
        Ok(to)
    }

    /// Finds the device slot of each row and leaves it in the row's link. A device costs a look-up once per chunk.
    fn find_slots(&self, page: usize, devices: &[DeviceIndex], bindings: &mut Bindings) -> Result<(), Error> {
        let kind = match self.chunk.table.kind {
            TableKind::Readings => 0,
            TableKind::Events => 1,
        };
        let links = &self.chunk.links.page(page)[self.len % HEAD_PAGE_ROWS..];
        bindings.new.clear();
        for (at, (link, index)) in links.iter().zip(devices).enumerate() {
            let (chunk, slot) = bindings.slots.get(index.as_usize()).ok_or(Error::Unbound(*index))?[kind];
            link.store(u64::from(slot) << 32, Ordering::Relaxed);
            if chunk != self.number {
                bindings.new.push((at, *index));
            }
        }
        if bindings.new.is_empty() { Ok(()) } else { self.add_slots(links, kind, bindings) }
    }

    /// Finds the slots of devices that this chunk has not seen through these indices yet. In a fleet of a million each row
    /// may be one, and its id far from the others': ids are fetched in a loop that does nothing else, so that one does
    /// not wait for the other.
    #[cold]
    fn add_slots(&self, links: &[AtomicU64], kind: usize, bindings: &mut Bindings) -> Result<(), Error> {
        let Bindings { slots, devices, has_changed, new, new_devices } = bindings;
        new_devices.clear();
        new_devices.extend(new.iter().map(|(_, index)| devices[index.as_usize()]));
        for ((at, index), device) in new.iter().zip(new_devices) {
            let cached = &mut slots[index.as_usize()][kind];
            // A device may have several rows here.
            if cached.0 != self.number {
                let device = device.ok_or(Error::Unbound(*index))?;
                let known = if *has_changed { self.chunk.devices.slot(device) } else { None };
                *cached = (self.number, known.map_or_else(|| self.add_device(device), Ok)?);
            }
            links[*at].store(u64::from(cached.1) << 32, Ordering::Relaxed);
        }
        Ok(())
    }

    fn add_device(&self, device: DeviceId) -> Result<u32, Error> {
        // The cell is made first: a slot that readers can find has it.
        let slot = self.chunk.devices.len();
        if !self.chunk.last_rows.ensure(slot / HEAD_PAGE_ROWS) {
            return Err(Error::HeadFull);
        }
        self.chunk.last_rows.set_release(slot, 0);
        self.chunk.devices.add(device).ok_or(Error::HeadFull)
    }

    /// Chains each row to its device's previous one.
    fn write_links(&self, page: usize, at: usize, count: usize) {
        let links = &self.chunk.links.page(page)[at..at + count];
        for (link, row) in links.iter().zip(self.len as u64..) {
            let slot = link.load(Ordering::Relaxed);
            let last = self.chunk.last_rows.get((slot >> 32) as usize);
            link.store(slot | last, Ordering::Relaxed);
            self.chunk.last_rows.set_release((slot >> 32) as usize, row + 1);
        }
    }

    /// Finds where each column with values in these rows is written, and makes its page there.
    fn find_columns(&mut self, rows: &Rows, page: usize, from: usize, to: usize) -> bool {
        if !self.layout.as_ref().is_some_and(|layout| Arc::ptr_eq(layout, &rows.layout)) {
            let known = |key| self.targets_by_key.get(key).copied();
            self.targets = rows.layout.columns.iter().map(known).collect();
            self.layout = Some(rows.layout.clone());
        }
        self.ranges.clear();
        for (at, column) in rows.columns.iter().enumerate() {
            let range = range_of(column, from, to);
            self.ranges.push(range.clone());
            if range.is_empty() {
                continue;
            }
            let target = match self.targets[at] {
                Some(target) => target,
                None => self.add_target(at, &rows.layout.columns[at]),
            };
            if let Target::Column(column) = target
                && !self.columns[column].ensure(page)
            {
                return false;
            }
        }
        let apart = rows.ts[from..to].iter().any(|ts| is_received_apart(*ts, rows.received));
        (!apart || self.chunk.received.ensure(page))
            && (range_of(&rows.tags, from, to).is_empty() || self.chunk.tags.ensure(page))
    }

    fn add_target(&mut self, at: usize, key: &ColumnKey) -> Target {
        let target = if self.columns.len() < COLUMNS_PER_BLOCK_MAX {
            self.columns.push(self.chunk.add_column(key.clone()));
            Target::Column(self.columns.len() - 1)
        } else {
            let mut spill = self.chunk.spill.write().expect("no holder of this lock panics");
            spill.keys.push(key.clone());
            Target::Spill(spill.keys.len() as u32 - 1)
        };
        self.targets_by_key.insert(key.clone(), target);
        self.targets[at] = Some(target);
        target
    }

    fn write_columns(&mut self, rows: &Rows, page: usize, from: usize, to: usize) {
        let base = self.len % HEAD_PAGE_ROWS;
        for (at, column) in rows.columns.iter().enumerate() {
            let range = self.ranges[at].clone();
            let Some(target) = self.targets.get(at).copied().flatten().filter(|_| !range.is_empty()) else { continue };
            let (positions, bits) = (&column.rows[range.clone()], &column.bits[range]);
            let is_text = rows.layout.columns[at].kind == ValueKind::Str;
            let cells = positions.iter().map(|row| *row as usize - from).zip(bits.iter().copied());
            match target {
                Target::Column(column) if !is_text => {
                    let page = self.columns[column].writer(page);
                    cells.for_each(|(row, bits)| page.set(base + row, bits));
                }
                Target::Column(column) => {
                    let page = self.columns[column].writer(page);
                    cells.for_each(|(row, bits)| {
                        page.set(base + row, self.chunk.texts.number(&mut self.texts, rows, bits));
                    });
                }
                Target::Spill(key) => {
                    let base = self.len;
                    let (chunk, texts) = (&self.chunk, &mut self.texts);
                    self.spill_cells = chunk.add_spill(cells.map(|(row, bits)| {
                        let bits = if is_text { chunk.texts.number(texts, rows, bits) } else { bits };
                        SpillCell { row: (base + row) as u32, key, bits }
                    }));
                }
            }
        }
        self.write_tags(rows, page, from, to);
        self.write_received(rows, page, from, to);
    }

    fn write_tags(&mut self, rows: &Rows, page: usize, from: usize, to: usize) {
        let range = range_of(&rows.tags, from, to);
        if range.is_empty() {
            return;
        }
        let tags = self.chunk.tags.writer(page);
        let base = self.len % HEAD_PAGE_ROWS;
        for (row, bits) in rows.tags.rows[range.clone()].iter().zip(&rows.tags.bits[range]) {
            let number = self.chunk.texts.number(&mut self.texts, rows, *bits);
            tags.set(base + *row as usize - from, number);
        }
    }

    fn write_received(&self, rows: &Rows, page: usize, from: usize, to: usize) {
        let base = self.len % HEAD_PAGE_ROWS;
        let apart = (from..to).filter(|row| is_received_apart(rows.ts[*row], rows.received));
        let mut received = None;
        for row in apart {
            let page = received.get_or_insert_with(|| self.chunk.received.writer(page));
            page.set(base + row - from, rows.received as u64);
        }
    }
}

fn fill(cells: &[AtomicU64], rows: Range<usize>, value: impl Fn(usize) -> u64) {
    for (cell, row) in cells.iter().zip(rows) {
        cell.store(value(row), Ordering::Relaxed);
    }
}

/// Which of a column's values stand in rows `from..to`.
fn range_of(column: &RowColumn, from: usize, to: usize) -> Range<usize> {
    let start = column.rows.partition_point(|row| (*row as usize) < from);
    start..start + column.rows[start..].partition_point(|row| (*row as usize) < to)
}
