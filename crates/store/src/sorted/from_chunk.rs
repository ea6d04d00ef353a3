//! A frozen chunk as sorted rows.

use model::{ColumnKey, DeviceId, RowFlags};

use super::order::{LEFT_OUT, Order};
use super::spare::Spare;
use super::{DeviceRows, Optional, Present, SortedRows};
use crate::head::{CellPages, Cells, Column, Visible};

/// See [`SortedRows::from_chunk`].
pub fn from_chunk(chunk: &Visible, is_erased: impl Fn(DeviceId) -> bool, spare: &mut Spare) -> [Option<SortedRows>; 2] {
    let (devices, ranks) = rank_rows(chunk, is_erased, spare);
    let is_late = |row: usize| chunk.is_late(row);
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
    let mut order = Order::new(ranks, devices.len(), &times, key, spare);
    if order.len() == 0 {
        return None;
    }
    let ts = std::mem::take(&mut order.ts);
    let spans = devices.iter().zip(order.starts.windows(2)).filter(|(_, span)| span[0] < span[1]);
    let devices = spans.map(|(device, span)| (*device, span[0] as usize..span[1] as usize));
    let devices = devices.map(|(device, rows)| DeviceRows { device, rows }).collect();
    let mut gather = Gather { chunk, places: &order.places, len: order.len(), spare };
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

/// Puts the cells of a chunk in order.
struct Gather<'a> {
    chunk: &'a Visible,
    /// By row: where it stands.
    places: &'a [u32],
    /// How many rows there are.
    len: usize,
    spare: &'a mut Spare,
}

impl Gather<'_> {
    /// Mostly a fleet's rows all say the same.
    fn facts(&mut self) -> Facts {
        let pages = CellPages::new(&self.chunk.chunk.facts, self.chunk.len);
        let first = pages.cells().next().unwrap_or(0);
        if pages.cells().all(|facts| facts == first) {
            return Facts::Same(first);
        }
        Facts::Each(self.scatter(&self.chunk.chunk.facts))
    }

    fn boot(&mut self, facts: &Facts) -> Optional {
        match facts {
            Facts::Same(facts) if has(*facts, RowFlags::HAS_BOOT) => {
                let mut values = self.spare.words(self.len);
                values.resize(self.len, *facts >> 32);
                Optional { present: Present::All, values }
            }
            Facts::Same(_) => Optional::none(),
            Facts::Each(facts) => self.flagged(RowFlags::HAS_BOOT, facts, |facts, _| facts >> 32),
        }
    }

    fn seq(&mut self, facts: &Facts) -> Optional {
        let seq = &self.chunk.chunk.seq;
        match facts {
            Facts::Same(facts) if has(*facts, RowFlags::HAS_SEQ) => {
                Optional { present: Present::All, values: self.scatter(seq) }
            }
            Facts::Same(_) => Optional::none(),
            Facts::Each(facts) => {
                let all = self.scatter(seq);
                let seqs = self.flagged(RowFlags::HAS_SEQ, facts, |_, at| all[at]);
                self.spare.give_words(all);
                seqs
            }
        }
    }

    fn buffered(&mut self, facts: &Facts) -> Vec<bool> {
        let mut buffered = self.spare.flags(self.len);
        match facts {
            Facts::Same(facts) => buffered.resize(self.len, has(*facts, RowFlags::BUFFERED)),
            Facts::Each(facts) => buffered.extend(facts.iter().map(|facts| has(*facts, RowFlags::BUFFERED))),
        }
        buffered
    }

    /// A column that is present where a flag is set; `value` gets the facts and the place.
    fn flagged(&mut self, flag: u8, facts: &[u64], value: impl Fn(u64, usize) -> u64) -> Optional {
        let count = facts.iter().filter(|facts| has(**facts, flag)).count();
        if count == 0 {
            return Optional::none();
        }
        let mut values = self.spare.words(count);
        let present = || facts.iter().enumerate().filter(|(_, facts)| has(**facts, flag));
        values.extend(present().map(|(at, facts)| value(*facts, at)));
        if count == facts.len() {
            return Optional { present: Present::All, values };
        }
        let mut rows = self.spare.numbers(count);
        rows.extend(present().map(|(at, _)| at as u32));
        Optional { present: Present::Rows(rows), values }
    }

    /// All cells in order.
    fn scatter(&mut self, cells: &Cells) -> Vec<u64> {
        let mut values = self.spare.filled_words(self.len);
        CellPages::new(cells, self.chunk.len).scatter(self.places, |cell| cell, &mut values);
        values
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
        let present = column.presence(self.chunk.len);
        // Rows that are not published yet may be present already, but only in a chunk that is not frozen.
        let mut values = self.scatter(column.cells());
        if present.count() == self.chunk.len {
            return Optional { present: Present::All, values };
        }
        let mut words = self.spare.words(self.len.div_ceil(64));
        words.resize(self.len.div_ceil(64), 0);
        present.scatter(self.places, &mut words);
        let mut places = self.spare.numbers(self.len);
        places.extend((0..self.len as u32).filter(|at| words[*at as usize / 64] >> (at % 64) & 1 == 1));
        self.spare.give_words(words);
        if places.len() == self.len {
            self.spare.give_numbers(places);
            return Optional { present: Present::All, values };
        }
        // A cell never moves back, so none is lost.
        for (to, from) in places.iter().enumerate() {
            values[to] = values[*from as usize];
        }
        values.truncate(places.len());
        Optional { present: Present::Rows(places), values }
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
        let mut cells: Vec<Vec<(u32, u64)>> = vec![Vec::new(); spill.keys.len()];
        for cell in spill.cells.iter().filter(|cell| (cell.row as usize) < chunk.len) {
            let place = self.places[cell.row as usize];
            if place != LEFT_OUT {
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
