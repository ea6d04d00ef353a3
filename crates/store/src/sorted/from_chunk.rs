//! A frozen chunk as sorted rows.

use model::{ColumnKey, DeviceId, RowFlags};

use super::order::{LEFT_OUT, Order};
use super::spare::Spare;
use super::{DeviceRows, Optional, Present, SortedRows};
use crate::head::{CellPages, Column, Visible};

/// See [`SortedRows::from_chunk`].
pub fn from_chunk(chunk: &Visible, is_erased: impl Fn(DeviceId) -> bool, spare: &mut Spare) -> [Option<SortedRows>; 2] {
    let (devices, ranks) = rank_rows(chunk, is_erased, spare);
    // Without a stored receive time no row is late.
    let is_late = |row: usize| chunk.key(row).is_late();
    let has_late = chunk.chunk.received.is_used() && (0..chunk.len).any(is_late);
    let parts = if has_late {
        [false, true].map(|late| {
            let mut of_part = spare.numbers(ranks.len());
            of_part.extend((0..).zip(&ranks).map(|(row, rank)| if is_late(row) == late { *rank } else { LEFT_OUT }));
            let part = gather(chunk, &devices, &of_part, spare);
            spare.give_numbers(of_part);
            part
        })
    } else {
        [gather(chunk, &devices, &ranks, spare), None]
    };
    spare.give_numbers(ranks);
    parts
}

/// The devices, ascending and without the erased ones, and the rank that each row's device has among them.
fn rank_rows(chunk: &Visible, is_erased: impl Fn(DeviceId) -> bool, spare: &mut Spare) -> (Vec<DeviceId>, Vec<u32>) {
    let ids = chunk.chunk.devices.ids();
    let kept = (0..).zip(&ids).filter(|(_, id)| !is_erased(**id));
    // The first half of an id mostly decides, and is at hand while sorting.
    let half = |id: &DeviceId| u64::from_be_bytes(*id.as_bytes().first_chunk().expect("sixteen bytes"));
    let mut slots: Vec<(u64, u32)> = kept.map(|(slot, id)| (half(id), slot)).collect();
    slots.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| ids[a.1 as usize].cmp(&ids[b.1 as usize])));
    let mut by_slot = spare.numbers(ids.len());
    by_slot.resize(ids.len(), LEFT_OUT);
    let mut devices: Vec<DeviceId> = Vec::with_capacity(slots.len());
    for (_, slot) in slots {
        // A device whose index changed may have two slots.
        if devices.last() != Some(&ids[slot as usize]) {
            devices.push(ids[slot as usize]);
        }
        by_slot[slot as usize] = devices.len() as u32 - 1;
    }
    let mut ranks = spare.numbers(chunk.len);
    let links = CellPages::new(&chunk.chunk.links, chunk.len);
    ranks.extend(links.cells().map(|link| by_slot[(link >> 32) as usize]));
    spare.give_numbers(by_slot);
    (devices, ranks)
}

/// The rows that have a rank, in order; `None` if there are none.
fn gather(chunk: &Visible, devices: &[DeviceId], ranks: &[u32], spare: &mut Spare) -> Option<SortedRows> {
    let times = CellPages::new(&chunk.chunk.ts, chunk.len);
    let key = |row: u32| chunk.key(row as usize);
    let mut order = Order::new(ranks, devices.len(), |row| times.get(row) as i64, key, spare);
    if order.rows.is_empty() {
        return None;
    }
    let ts = std::mem::take(&mut order.ts);
    let spans = devices.iter().zip(order.starts.windows(2)).filter(|(_, span)| span[0] < span[1]);
    let devices = spans.map(|(device, span)| (*device, span[0] as usize..span[1] as usize));
    let devices = devices.map(|(device, rows)| DeviceRows { device, rows }).collect();
    let mut gather = Gather { chunk, rows: &order.rows, spare };
    let columns = gather.columns();
    let facts = gather.facts();
    let rows = SortedRows {
        devices,
        ts,
        boot: gather.boot(&facts),
        seq: gather.seq(&facts),
        received: gather.column(&chunk.chunk.received),
        buffered: gather.buffered(&facts),
        tags: gather.column(&chunk.chunk.tags),
        columns,
        texts: gather.texts(),
    };
    if let Facts::Each(facts) = facts {
        spare.give_words(facts);
    }
    order.give_back(spare);
    Some(rows)
}

/// Boot and flags of rows in order.
enum Facts {
    Same(u64),
    Each(Vec<u64>),
}

/// Picks the cells of a chunk in the order of rows.
struct Gather<'a> {
    chunk: &'a Visible,
    rows: &'a [u32],
    spare: &'a mut Spare,
}

impl Gather<'_> {
    /// Mostly a fleet's rows all say the same, and one look in the order of arrival is cheaper than picking.
    fn facts(&mut self) -> Facts {
        let pages = CellPages::new(&self.chunk.chunk.facts, self.chunk.len);
        let first = pages.get(self.rows[0]);
        if pages.cells().all(|facts| facts == first) {
            return Facts::Same(first);
        }
        let mut facts = self.spare.words(self.rows.len());
        facts.extend(self.rows.iter().map(|row| pages.get(*row)));
        Facts::Each(facts)
    }

    fn boot(&mut self, facts: &Facts) -> Optional {
        match facts {
            Facts::Same(facts) => {
                let boot = *facts >> 32;
                self.same(has(*facts, RowFlags::HAS_BOOT), |_| boot)
            }
            Facts::Each(facts) => self.flagged(RowFlags::HAS_BOOT, facts, |at| facts[at] >> 32),
        }
    }

    fn seq(&mut self, facts: &Facts) -> Optional {
        let (pages, rows) = (CellPages::new(&self.chunk.chunk.seq, self.chunk.len), self.rows);
        let seq = |at: usize| pages.get(rows[at]);
        match facts {
            Facts::Same(facts) => self.same(has(*facts, RowFlags::HAS_SEQ), seq),
            Facts::Each(facts) => self.flagged(RowFlags::HAS_SEQ, facts, seq),
        }
    }

    fn buffered(&mut self, facts: &Facts) -> Vec<bool> {
        let mut buffered = self.spare.flags(self.rows.len());
        match facts {
            Facts::Same(facts) => buffered.resize(self.rows.len(), has(*facts, RowFlags::BUFFERED)),
            Facts::Each(facts) => buffered.extend(facts.iter().map(|facts| has(*facts, RowFlags::BUFFERED))),
        }
        buffered
    }

    /// A column that is present everywhere or nowhere.
    fn same(&mut self, is_present: bool, value: impl Fn(usize) -> u64) -> Optional {
        if !is_present {
            return Optional::none();
        }
        let mut values = self.spare.words(self.rows.len());
        values.extend((0..self.rows.len()).map(value));
        Optional { present: Present::All, values }
    }

    /// A column that is present where a flag is set.
    fn flagged(&mut self, flag: u8, facts: &[u64], value: impl Fn(usize) -> u64) -> Optional {
        let count = facts.iter().filter(|facts| has(**facts, flag)).count();
        if count == 0 || count == facts.len() {
            return self.same(count > 0, value);
        }
        let mut present = self.spare.numbers(count);
        present.extend((0..).zip(facts).filter(|(_, facts)| has(**facts, flag)).map(|(at, _)| at));
        let mut values = self.spare.words(count);
        values.extend(present.iter().map(|at| value(*at as usize)));
        Optional { present: Present::Rows(present), values }
    }

    fn columns(&mut self) -> Vec<(ColumnKey, Optional)> {
        let chunk = self.chunk;
        let paged = chunk.columns.iter().map(|column| (column.key.clone(), self.column(column)));
        let mut columns: Vec<(ColumnKey, Optional)> = paged.collect();
        columns.extend(self.spilled());
        columns.retain(|(_, cells)| !cells.values.is_empty());
        columns
    }

    fn column(&mut self, column: &Column) -> Optional {
        if !column.is_used() {
            return Optional::none();
        }
        let (len, rows) = (self.chunk.len, self.rows);
        let (pages, present) = (CellPages::new(column.cells(), len), column.presence(len));
        // Rows that are not published yet may be present already, but only in a chunk that is not frozen.
        if present.count() == len {
            let mut values = self.spare.words(rows.len());
            values.extend(rows.iter().map(|row| pages.get(*row)));
            return Optional { present: Present::All, values };
        }
        let mut places = self.spare.numbers(rows.len().min(present.count()));
        places.extend((0..).zip(rows).filter(|(_, row)| present.has(**row)).map(|(at, _)| at));
        let mut values = self.spare.words(places.len());
        values.extend(places.iter().map(|at| pages.get(rows[*at as usize])));
        if places.len() < rows.len() {
            return Optional { present: Present::Rows(places), values };
        }
        self.spare.give_numbers(places);
        Optional { present: Present::All, values }
    }

    fn texts(&mut self) -> Vec<std::sync::Arc<str>> {
        let mut texts = self.spare.texts();
        self.chunk.chunk.texts.copy_to(&mut texts);
        texts
    }

    /// The metrics beyond the paged columns.
    fn spilled(&mut self) -> Vec<(ColumnKey, Optional)> {
        let chunk = self.chunk;
        let spill = chunk.chunk.spill.read().expect("no holder of this lock panics");
        if spill.cells.is_empty() {
            return Vec::new();
        }
        let mut places = vec![u32::MAX; chunk.len];
        for (place, row) in self.rows.iter().enumerate() {
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
}

fn has(facts: u64, flag: u8) -> bool {
    RowFlags(facts as u8).has(flag)
}
