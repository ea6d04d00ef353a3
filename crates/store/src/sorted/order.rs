//! The order of rows: a counting sort by device, then a look at each device's rows, which mostly are in order already.
//!
//! The order is kept as the place of each row, and columns are put in order by writing each cell to its place: cells are
//! read one after the other, and of the places only the next one of each device is written to, which fits a cache where
//! a chunk's column does not.

use model::Millis;

use super::spare::Spare;
use crate::head::CellPages;
use crate::key::RowKey;

/// The rank of a row that is left out, and its place.
pub const LEFT_OUT: u32 = u32::MAX;

/// Rows by device and key.
pub struct Order {
    /// For each row, in the order of arrival, its place.
    pub places: Vec<u32>,
    /// For each rank, the place of its first row; one more for the end.
    pub starts: Vec<u32>,
    /// The ts of the rows in order.
    pub ts: Vec<Millis>,
}

impl Order {
    /// Orders rows by the rank of their device and then by key; equal rows stay in the order of arrival. `row_ranks` has
    /// the rank of each row, which is less than `ranks` or [`LEFT_OUT`].
    pub fn new(
        row_ranks: &[u32],
        ranks: usize,
        times: &CellPages<'_>,
        key: impl Fn(u32) -> RowKey,
        spare: &mut Spare,
    ) -> Self {
        let (mut starts, mut next) = (spare.numbers(ranks + 1), spare.numbers(ranks + 1));
        count(row_ranks, ranks, &mut starts);
        next.extend_from_slice(&starts);
        let mut places = spare.numbers(row_ranks.len());
        places.extend(row_ranks.iter().map(|rank| match next.get_mut(*rank as usize) {
            Some(next) => {
                *next += 1;
                *next - 1
            }
            None => LEFT_OUT,
        }));
        spare.give_numbers(next);
        let mut ts = spare.filled_times(starts[ranks] as usize);
        times.scatter(&places, |ts| ts as i64, &mut ts);
        let mut order = Self { places, starts, ts };
        order.settle(&key, spare);
        order
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.starts.last().map_or(0, |end| *end as usize)
    }

    pub fn give_back(self, spare: &mut Spare) {
        spare.give_numbers(self.places);
        spare.give_numbers(self.starts);
    }

    /// Sorts the rows of those devices that are not in order yet. Mostly ts alone says that they are; the whole key is a
    /// dear look-up.
    fn settle(&mut self, key: &impl Fn(u32) -> RowKey, spare: &mut Spare) {
        let mut rows = None;
        for at in 0..self.starts.len() - 1 {
            let of_device = self.starts[at] as usize..self.starts[at + 1] as usize;
            if self.ts[of_device.clone()].is_sorted_by(|before, after| before < after) {
                continue;
            }
            let rows: &mut Vec<u32> = rows.get_or_insert_with(|| self.rows(spare));
            let of_device_rows = &mut rows[of_device.clone()];
            if of_device_rows.is_sorted_by(|a, b| key(*a) <= key(*b)) {
                continue;
            }
            of_device_rows.sort_by_cached_key(|row| key(*row));
            for (place, row) in of_device.zip(of_device_rows) {
                self.places[*row as usize] = place as u32;
                self.ts[place] = key(*row).ts;
            }
        }
        if let Some(rows) = rows {
            spare.give_numbers(rows);
        }
    }

    /// The row of each place.
    fn rows(&self, spare: &mut Spare) -> Vec<u32> {
        let mut rows = spare.numbers(self.len());
        rows.resize(self.len(), 0);
        for (row, place) in (0..).zip(&self.places) {
            if let Some(at) = rows.get_mut(*place as usize) {
                *at = row;
            }
        }
        rows
    }
}

/// For each rank, how many rows have a lesser one.
fn count(row_ranks: &[u32], ranks: usize, starts: &mut Vec<u32>) {
    starts.resize(ranks + 1, 0);
    for rank in row_ranks.iter().filter(|rank| **rank != LEFT_OUT) {
        starts[*rank as usize + 1] += 1;
    }
    for at in 0..ranks {
        starts[at + 1] += starts[at];
    }
}
