//! Which rows of a chunk hold the latest values of its devices, worked out by readers and kept for the next one.
//!
//! It grows with the chunk: a reader takes in the rows that came since the last one, a few nanoseconds each, and then
//! looks up a row per device and column. The writer has nothing to do with it. A chunk with few rows a device has none:
//! there, a device's rows are looked through.

use std::cmp;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::DeviceId;
use model::limits::HEAD_PAGE_ROWS;

use super::chunk::Visible;

/// Rows per device from which on it is kept; the memory is then at most a sixteenth of what the rows take.
const ROWS_PER_DEVICE_MIN: usize = 16;

/// What it costs to follow a device's rows, in rows that are taken in one after the other.
const LOOK_COST: usize = 8;

/// The latest rows of a chunk's devices.
#[derive(Default)]
pub struct LatestRows {
    /// Rows that were taken in.
    len: usize,
    /// By column and slot: the latest row with a cell there, + 1.
    columns: Vec<Vec<u32>>,
    devices: Arc<Vec<(DeviceId, u32)>>,
    /// By slot: the latest row of the page that is taken in, + 1; all 0 in between.
    of_page: Vec<u32>,
}

impl LatestRows {
    /// Memory that it takes.
    pub fn bytes(&self) -> usize {
        let columns: usize = self.columns.iter().map(|column| size_of_val(&**column)).sum();
        columns + size_of_val(&*self.of_page) + size_of_val(&**self.devices)
    }

    /// The devices and their slots, ascending by id.
    fn devices(&mut self, chunk: &Visible) -> Arc<Vec<(DeviceId, u32)>> {
        let known = self.devices.len();
        let new = chunk.chunk.devices.ids_from(known);
        if !new.is_empty() {
            let mut devices = Vec::with_capacity(known + new.len());
            devices.extend_from_slice(&self.devices);
            devices.extend(new.into_iter().zip(known as u32..));
            // Two runs, of which the first is long: a stable sort merges them.
            devices[known..].sort_unstable();
            devices.sort();
            self.devices = Arc::new(devices);
        }
        self.devices.clone()
    }

    /// Takes in the rows that are visible. False if it does not pay: for a question about few devices it is cheaper to
    /// look through their rows than to take many in.
    fn extend(&mut self, chunk: &Visible, devices: usize) -> bool {
        let slots = chunk.chunk.devices.len();
        let to_look_through = LOOK_COST * devices * (chunk.len / slots.max(1));
        if chunk.len < ROWS_PER_DEVICE_MIN * slots || to_look_through < chunk.len.saturating_sub(self.len) {
            return false;
        }
        self.of_page.resize(slots, 0);
        // A reader that came earlier may know fewer columns.
        self.columns.resize_with(chunk.columns.len().max(self.columns.len()), Vec::new);
        self.columns.iter_mut().for_each(|column| column.resize(slots, 0));
        while self.len < chunk.len {
            let end = chunk.len.min(self.len - self.len % HEAD_PAGE_ROWS + HEAD_PAGE_ROWS);
            self.take_page(chunk, self.len..end);
            self.len = end;
        }
        true
    }

    /// The latest row of a device with a cell in this column.
    pub fn row(&self, column: usize, slot: u32) -> Option<usize> {
        (*self.columns.get(column)?.get(slot as usize)? as usize).checked_sub(1)
    }

    /// Takes in rows of one page. Where a column has a cell in each of them, only one row per device is looked at.
    fn take_page(&mut self, chunk: &Visible, rows: Range<usize>) {
        let page = rows.start / HEAD_PAGE_ROWS;
        let mut touched = Vec::new();
        let links = chunk.chunk.links.page(page);
        let may_be_latest = chunk.may_be_latest(page);
        for row in rows.clone().filter(|row| may_be_latest(*row)) {
            let slot = (links[row % HEAD_PAGE_ROWS].load(Ordering::Relaxed) >> 32) as u32;
            let latest = &mut self.of_page[slot as usize];
            if *latest == 0 {
                touched.push(slot);
            }
            keep_later(chunk, latest, row);
        }
        for (column, latest) in chunk.columns.iter().zip(&mut self.columns) {
            if !column.has_page(page) {
                continue;
            }
            if column.is_full(rows.clone()) {
                for slot in &touched {
                    let row = self.of_page[*slot as usize] as usize - 1;
                    keep_later(chunk, &mut latest[*slot as usize], row);
                }
            } else {
                let present = rows.clone().filter(|row| column.get(*row).is_some() && may_be_latest(*row));
                present.for_each(|row| keep_later(chunk, &mut latest[chunk.slot(row) as usize], row));
            }
        }
        touched.into_iter().for_each(|slot| self.of_page[slot as usize] = 0);
    }
}

/// Replaces a row (+ 1) by one that came after it, unless that one stands before it in the order of keys.
fn keep_later(chunk: &Visible, latest: &mut u32, row: usize) {
    let is_later = |before: usize| match chunk.ts(row).cmp(&chunk.ts(before)) {
        cmp::Ordering::Less => false,
        cmp::Ordering::Equal => chunk.key(row) >= chunk.key(before),
        cmp::Ordering::Greater => true,
    };
    if (*latest as usize).checked_sub(1).is_none_or(is_later) {
        *latest = row as u32 + 1;
    }
}

impl Visible {
    /// Whether rows of a page may be their device's latest. Where no receive time is stored, all may.
    fn may_be_latest(&self, page: usize) -> impl Fn(usize) -> bool + '_ {
        let apart = self.chunk.received.has_page(page);
        move |row| !apart || self.key(row).may_be_latest()
    }

    /// Whether a receive time is stored for any row.
    pub fn has_received(&self) -> bool {
        self.chunk.received.is_used()
    }

    /// The latest rows, brought up to what is visible, for a question about so many devices; `None` if their rows are
    /// better looked through.
    pub fn latest_rows<T>(&self, devices: usize, read: impl FnOnce(Option<&LatestRows>) -> T) -> T {
        self.change_latest(|latest| {
            let pays = latest.extend(self, devices);
            read(pays.then_some(latest))
        })
    }

    /// The devices with their slots, ascending by id.
    pub fn devices(&self) -> Arc<Vec<(DeviceId, u32)>> {
        self.change_latest(|latest| latest.devices(self))
    }

    fn change_latest<T>(&self, change: impl FnOnce(&mut LatestRows) -> T) -> T {
        let mut latest = self.chunk.latest.lock().expect("no holder of this lock panics");
        let before = latest.bytes();
        let answer = change(&mut latest);
        self.chunk.count_latest(before, latest.bytes());
        answer
    }
}
