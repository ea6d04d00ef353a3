//! The order of rows: a counting sort by device, then a look at each device's rows, which mostly are in order already
//! (4–9 ns a row, where a comparison sort takes 63).

use model::Millis;

use super::spare::Spare;
use crate::key::RowKey;

/// The rank of a row that is left out.
pub const LEFT_OUT: u32 = u32::MAX;

/// Rows by device and key.
pub struct Order {
    /// Rows in order.
    pub rows: Vec<u32>,
    /// For each rank, where its rows begin in `rows`; one more for the end.
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
        ts: impl Fn(u32) -> Millis,
        key: impl Fn(u32) -> RowKey,
        spare: &mut Spare,
    ) -> Self {
        let (mut starts, mut next) = (spare.numbers(ranks + 1), spare.numbers(ranks + 1));
        count(row_ranks, ranks, &mut starts);
        next.extend_from_slice(&starts);
        let mut rows = spare.numbers(starts[ranks] as usize);
        rows.resize(starts[ranks] as usize, 0);
        for (row, rank) in row_ranks.iter().enumerate().filter(|(_, rank)| **rank != LEFT_OUT) {
            let place = &mut next[*rank as usize];
            rows[*place as usize] = row as u32;
            *place += 1;
        }
        spare.give_numbers(next);
        let mut times = spare.times(rows.len());
        times.extend(rows.iter().map(|row| ts(*row)));
        let mut order = Self { rows, starts, ts: times };
        order.settle(&key);
        order
    }

    pub fn give_back(self, spare: &mut Spare) {
        spare.give_numbers(self.rows);
        spare.give_numbers(self.starts);
    }

    /// Sorts the rows of those devices that are not in order yet. Mostly ts alone says that they are; the whole key is a
    /// dear look-up.
    fn settle(&mut self, key: &impl Fn(u32) -> RowKey) {
        for at in 0..self.starts.len() - 1 {
            let of_device = self.starts[at] as usize..self.starts[at + 1] as usize;
            let times = &mut self.ts[of_device.clone()];
            if times.windows(2).all(|pair| pair[0] < pair[1]) {
                continue;
            }
            let rows = &mut self.rows[of_device];
            if !rows.is_sorted_by(|a, b| key(*a) <= key(*b)) {
                rows.sort_by_cached_key(|row| key(*row));
                times.iter_mut().zip(rows).for_each(|(ts, row)| *ts = key(*row).ts);
            }
        }
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
