//! A frozen chunk as sorted rows.

use model::{ColumnKey, DeviceId, RowFlags};

use super::order::{Order, order};
use super::{DeviceRows, Optional, Present, SortedRows};
use crate::head::{Column, Visible};

/// The rank of a device that has none.
const ERASED: u32 = u32::MAX;

/// See [`SortedRows::from_chunk`].
pub fn from_chunk(chunk: &Visible, is_erased: impl Fn(DeviceId) -> bool) -> [Option<SortedRows>; 2] {
    let mut gather = Gather::new(chunk, is_erased);
    // Without a stored receive time no row is late.
    let has_late = chunk.chunk.received.is_used() && (0..chunk.len).any(|row| chunk.key(row).is_late());
    if !has_late {
        return [gather.part(|_| true), None];
    }
    [false, true].map(|late| gather.part(|row| chunk.key(row as usize).is_late() == late))
}

/// A chunk's fixed columns as plain arrays, and room for one column at a time.
struct Gather<'a> {
    chunk: &'a Visible,
    /// Ascending, without the erased ones.
    devices: Vec<DeviceId>,
    /// By row.
    ranks: Vec<u32>,
    ts: Vec<u64>,
    facts: Vec<u64>,
    cells: Vec<u64>,
    present: Vec<u64>,
}

impl<'a> Gather<'a> {
    fn new(chunk: &'a Visible, is_erased: impl Fn(DeviceId) -> bool) -> Self {
        let ids = chunk.chunk.devices.ids();
        let mut slots: Vec<u32> = (0..ids.len() as u32).filter(|slot| !is_erased(ids[*slot as usize])).collect();
        slots.sort_unstable_by_key(|slot| ids[*slot as usize]);
        let mut by_slot = vec![ERASED; ids.len()];
        for (rank, slot) in slots.iter().enumerate() {
            by_slot[*slot as usize] = rank as u32;
        }
        let (mut ts, mut facts, mut cells) = (Vec::new(), Vec::new(), Vec::new());
        chunk.chunk.links.copy_to(chunk.len, &mut cells);
        chunk.chunk.ts.copy_to(chunk.len, &mut ts);
        chunk.chunk.facts.copy_to(chunk.len, &mut facts);
        Self {
            chunk,
            devices: slots.into_iter().map(|slot| ids[slot as usize]).collect(),
            ranks: cells.iter().map(|link| by_slot[(link >> 32) as usize]).collect(),
            ts,
            facts,
            cells,
            present: Vec::new(),
        }
    }

    /// The rows that belong to a part, in order.
    fn part(&mut self, is_part: impl Fn(u32) -> bool) -> Option<SortedRows> {
        let ranks = &self.ranks;
        let rows = (0..self.chunk.len as u32).filter(|row| ranks[*row as usize] != ERASED && is_part(*row));
        let ts = |row: u32| self.ts[row as usize] as i64;
        let key = |row: u32| self.chunk.key(row as usize);
        let order = order(rows.collect(), self.devices.len(), |row| ranks[row as usize], ts, key);
        (!order.rows.is_empty()).then(|| self.gather(&order))
    }

    fn gather(&mut self, order: &Order) -> SortedRows {
        let chunk = self.chunk;
        let spans = self.devices.iter().zip(order.starts.windows(2)).filter(|(_, span)| span[0] < span[1]);
        let devices = spans.map(|(device, span)| (*device, span[0] as usize..span[1] as usize));
        let devices = devices.map(|(device, rows)| DeviceRows { device, rows }).collect();
        let mut columns: Vec<(ColumnKey, Optional)> =
            chunk.columns.iter().map(|column| (column.key.clone(), self.column(column, order))).collect();
        columns.extend(spilled(chunk, order));
        columns.retain(|(_, cells)| !cells.values.is_empty());
        chunk.chunk.seq.copy_to(chunk.len, &mut self.cells);
        SortedRows {
            devices,
            ts: order.rows.iter().map(|row| self.ts[*row as usize] as i64).collect(),
            boot: self.flagged(RowFlags::HAS_BOOT, order, |row| self.facts[row] >> 32),
            seq: self.flagged(RowFlags::HAS_SEQ, order, |row| self.cells[row]),
            received: self.column(&chunk.chunk.received, order),
            buffered: order.rows.iter().map(|row| self.has(*row, RowFlags::BUFFERED)).collect(),
            tags: self.column(&chunk.chunk.tags, order),
            columns,
            texts: chunk.chunk.texts.all(),
        }
    }

    fn has(&self, row: u32, flag: u8) -> bool {
        RowFlags(self.facts[row as usize] as u8).has(flag)
    }

    /// A column that is present where a flag is set: mostly everywhere or nowhere.
    fn flagged(&self, flag: u8, order: &Order, value: impl Fn(usize) -> u64) -> Optional {
        let count = order.rows.iter().filter(|row| self.has(**row, flag)).count();
        let rows = order.rows.iter();
        if count == 0 {
            Optional::none()
        } else if count == order.rows.len() {
            Optional { present: Present::All, values: rows.map(|row| value(*row as usize)).collect() }
        } else {
            let cell = |row: &u32| self.has(*row, flag).then(|| value(*row as usize));
            Optional::gather(order.rows.len(), rows.map(cell))
        }
    }

    fn column(&mut self, column: &Column, order: &Order) -> Optional {
        if !column.is_used() {
            return Optional::none();
        }
        column.copy_to(self.chunk.len, &mut self.cells, &mut self.present);
        let (cells, present) = (&self.cells, &self.present);
        let count: u32 = present.iter().map(|word| word.count_ones()).sum();
        let rows = order.rows.iter().map(|row| *row as usize);
        // Rows that are not published yet may be present already, but only in a chunk that is not frozen.
        if count as usize == self.chunk.len {
            return Optional { present: Present::All, values: rows.map(|row| cells[row]).collect() };
        }
        let cell = |row: usize| (present[row / 64] >> (row % 64) & 1 == 1).then(|| cells[row]);
        Optional::gather(order.rows.len(), rows.map(cell))
    }
}

/// The metrics beyond the paged columns.
fn spilled(chunk: &Visible, order: &Order) -> Vec<(ColumnKey, Optional)> {
    let spill = chunk.chunk.spill.read().expect("no holder of this lock panics");
    if spill.cells.is_empty() {
        return Vec::new();
    }
    let mut places = vec![u32::MAX; chunk.len];
    for (place, row) in order.rows.iter().enumerate() {
        places[*row as usize] = place as u32;
    }
    let mut cells: Vec<Vec<(u32, u64)>> = vec![Vec::new(); spill.keys.len()];
    for cell in spill.cells.iter().filter(|cell| (cell.row as usize) < chunk.len) {
        let place = places[cell.row as usize];
        if place != u32::MAX {
            cells[cell.key as usize].push((place, cell.bits));
        }
    }
    let column = |mut cells: Vec<(u32, u64)>| {
        cells.sort_unstable();
        let (rows, values) = cells.into_iter().unzip();
        Optional { present: Present::Rows(rows), values }
    };
    spill.keys.iter().cloned().zip(cells.into_iter().map(column)).collect()
}
