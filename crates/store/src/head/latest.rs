//! Which rows of a chunk hold the latest values of its devices, worked out by readers and kept for the next one.
//!
//! It grows with the chunk: a reader takes in the rows that came since the last one, a few nanoseconds each, and then
//! looks up a row per device and column. The writer has nothing to do with it. A chunk with few rows a device has none:
//! there, a device's rows are looked through.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::limits::HEAD_PAGE_ROWS;
use model::{DeviceId, Millis};

use super::chunk::Visible;

/// Rows per device from which on it is kept; a device takes 16 bytes for each column, a row at least 32 and 8.
const ROWS_PER_DEVICE_MIN: usize = 16;

/// What it costs to follow a device's rows, in rows that are taken in one after the other.
const LOOK_COST: usize = 8;

/// A row that is the latest of those that were looked at, + 1, and its ts; 0 is none.
type Latest = (Millis, u32);

/// The latest rows of a chunk's devices.
#[derive(Default)]
pub struct LatestRows {
    /// Rows that were taken in.
    len: usize,
    /// By column and slot: the latest row with a cell there.
    columns: Vec<Vec<Latest>>,
    devices: Arc<Vec<(DeviceId, u32)>>,
    /// By slot: the latest row of those that are taken in; none in between.
    taken: Vec<Latest>,
}

impl LatestRows {
    /// Memory that it takes.
    pub fn bytes(&self) -> usize {
        let columns: usize = self.columns.iter().map(|column| size_of_val(&**column)).sum();
        columns + size_of_val(&*self.taken) + size_of_val(&**self.devices)
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
        self.taken.resize(slots, (0, 0));
        // A reader that came earlier may know fewer columns.
        self.columns.resize_with(chunk.columns.len().max(self.columns.len()), Vec::new);
        self.columns.iter_mut().for_each(|column| column.resize(slots, (0, 0)));
        if self.len < chunk.len {
            self.take(chunk, self.len..chunk.len);
            self.len = chunk.len;
        }
        true
    }

    /// The latest row of a device with a cell in this column.
    pub fn row(&self, column: usize, slot: u32) -> Option<usize> {
        (self.columns.get(column)?.get(slot as usize)?.1 as usize).checked_sub(1)
    }

    /// Takes in rows that came since. Where a column has a cell in each of them, only one row per device is looked at.
    fn take(&mut self, chunk: &Visible, rows: Range<usize>) {
        let mut touched = Vec::new();
        pages(rows.clone()).rev().for_each(|rows| self.take_page(chunk, rows, &mut touched));
        for (column, latest) in chunk.columns.iter().zip(&mut self.columns) {
            if pages(rows.clone()).all(|rows| column.is_full(rows)) {
                for slot in &touched {
                    let (ts, row) = self.taken[*slot as usize];
                    keep_later(chunk, &mut latest[*slot as usize], (ts, row));
                }
                continue;
            }
            for rows in pages(rows.clone()).filter(|rows| column.has_page(rows.start / HEAD_PAGE_ROWS)) {
                let may_be_latest = chunk.may_be_latest(rows.start / HEAD_PAGE_ROWS);
                for row in rows.filter(|row| column.get(*row).is_some() && may_be_latest(*row)) {
                    let slot = chunk.slot(row) as usize;
                    keep_later(chunk, &mut latest[slot], (chunk.ts(row), row as u32 + 1));
                }
            }
        }
        touched.into_iter().for_each(|slot| self.taken[slot as usize] = (0, 0));
    }

    /// Notes the latest row of each device among rows of one page, all of which came before those that were noted. They
    /// are looked at from the last one on: mostly it is the latest, and of the others only ts is read.
    fn take_page(&mut self, chunk: &Visible, rows: Range<usize>, touched: &mut Vec<u32>) {
        let (page, start) = (rows.start / HEAD_PAGE_ROWS, rows.start % HEAD_PAGE_ROWS);
        let links = &chunk.chunk.links.page(page)[start..start + rows.len()];
        let times = &chunk.chunk.ts.page(page)[start..start + rows.len()];
        let may_be_latest = chunk.may_be_latest(page);
        for ((row, link), ts) in rows.zip(links).zip(times).rev() {
            let (slot, ts) = ((link.load(Ordering::Relaxed) >> 32) as u32, ts.load(Ordering::Relaxed) as Millis);
            let (latest_ts, latest) = &mut self.taken[slot as usize];
            let is_later = match *latest {
                0 => true,
                _ if ts != *latest_ts => ts > *latest_ts,
                later => chunk.key(row) > chunk.key(later as usize - 1),
            };
            if is_later && may_be_latest(row) {
                if *latest == 0 {
                    touched.push(slot);
                }
                (*latest_ts, *latest) = (ts, row as u32 + 1);
            }
        }
    }
}

/// Rows, cut where pages end.
fn pages(rows: Range<usize>) -> impl DoubleEndedIterator<Item = Range<usize>> + Clone {
    let numbers = rows.start / HEAD_PAGE_ROWS..rows.end.div_ceil(HEAD_PAGE_ROWS);
    numbers.map(move |page| rows.start.max(page * HEAD_PAGE_ROWS)..rows.end.min((page + 1) * HEAD_PAGE_ROWS))
}

/// Replaces a row by one that came after it, unless that one stands before it in the order of keys.
fn keep_later(chunk: &Visible, latest: &mut Latest, found: Latest) {
    let is_later = match *latest {
        (_, 0) => true,
        (ts, _) if ts != found.0 => found.0 > ts,
        (_, row) => chunk.key(found.1 as usize - 1) >= chunk.key(row as usize - 1),
    };
    if is_later {
        *latest = found;
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
