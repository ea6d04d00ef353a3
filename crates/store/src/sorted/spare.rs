//! Vectors that go round: fresh memory costs more than the work that is done in it, so what one block was made in serves
//! the next.

use std::sync::Arc;

use super::{Optional, Present, SortedRows};

/// Memory that is kept for the next block: a full chunk's rows with a few metrics. What a wide table needs beyond it is
/// given back, or a class with hundreds of metrics would hold it for ever.
const SPARE_BYTES_MAX: usize = 64 << 20;

/// Vectors to be taken and given back. They keep what they hold, so that to fill one anew need not write it twice.
#[derive(Default)]
pub struct Spare {
    words: Vec<Vec<u64>>,
    times: Vec<Vec<i64>>,
    numbers: Vec<Vec<u32>>,
    flags: Vec<Vec<bool>>,
    texts: Vec<Arc<str>>,
    bytes: usize,
}

impl Spare {
    pub fn words(&mut self, len: usize) -> Vec<u64> {
        cleared(take(&mut self.words, len, &mut self.bytes))
    }

    /// Words that say anything, for who writes to each.
    pub fn filled_words(&mut self, len: usize) -> Vec<u64> {
        filled(take(&mut self.words, len, &mut self.bytes), len)
    }

    pub fn times(&mut self, len: usize) -> Vec<i64> {
        cleared(take(&mut self.times, len, &mut self.bytes))
    }

    /// Times that say anything, for who writes to each.
    pub fn filled_times(&mut self, len: usize) -> Vec<i64> {
        filled(take(&mut self.times, len, &mut self.bytes), len)
    }

    pub fn numbers(&mut self, len: usize) -> Vec<u32> {
        cleared(take(&mut self.numbers, len, &mut self.bytes))
    }

    pub fn flags(&mut self, len: usize) -> Vec<bool> {
        cleared(take(&mut self.flags, len, &mut self.bytes))
    }

    pub fn texts(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.texts)
    }

    pub fn give_words(&mut self, words: Vec<u64>) {
        give(&mut self.words, words, &mut self.bytes);
    }

    pub fn give_numbers(&mut self, numbers: Vec<u32>) {
        give(&mut self.numbers, numbers, &mut self.bytes);
    }

    /// Takes rows apart that are not needed any more.
    pub fn give_rows(&mut self, rows: SortedRows) {
        let columns = rows.columns.into_iter().map(|(_, cells)| cells);
        for cells in [rows.boot, rows.seq, rows.received, rows.tags].into_iter().chain(columns) {
            self.give_cells(cells);
        }
        give(&mut self.times, rows.ts, &mut self.bytes);
        give(&mut self.flags, rows.buffered, &mut self.bytes);
        self.texts = rows.texts;
        self.texts.clear();
    }

    fn give_cells(&mut self, cells: Optional) {
        self.give_words(cells.values);
        if let Present::Rows(rows) = cells.present {
            self.give_numbers(rows);
        }
    }
}

/// A vector with room for `len`: the smallest that has it, or else the largest. It holds what it held.
fn take<T>(shelf: &mut Vec<Vec<T>>, len: usize, bytes: &mut usize) -> Vec<T> {
    let enough = (0..shelf.len()).filter(|at| shelf[*at].capacity() >= len).min_by_key(|at| shelf[*at].capacity());
    let largest = || (0..shelf.len()).max_by_key(|at| shelf[*at].capacity());
    let mut taken = enough.or_else(largest).map_or_else(Vec::new, |at| shelf.swap_remove(at));
    *bytes -= taken.capacity() * size_of::<T>();
    taken.truncate(len);
    taken.reserve_exact(len - taken.len());
    taken
}

fn cleared<T>(mut taken: Vec<T>) -> Vec<T> {
    taken.clear();
    taken
}

fn filled<T: Clone + Default>(mut vector: Vec<T>, len: usize) -> Vec<T> {
    vector.resize(len, T::default());
    vector
}

fn give<T>(shelf: &mut Vec<Vec<T>>, given: Vec<T>, bytes: &mut usize) {
    let size = given.capacity() * size_of::<T>();
    if size > 0 && *bytes + size <= SPARE_BYTES_MAX {
        *bytes += size;
        shelf.push(given);
    }
}
