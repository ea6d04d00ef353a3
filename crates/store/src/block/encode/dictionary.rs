//! The distinct values of a column, and for each cell the number of its value.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// A dictionary larger than this would not pay: 128 Ki doubles.
pub const VALUES_MAX: usize = 1 << 17;
/// Slots of the table at first.
const SLOTS_MIN: usize = 1 << 10;
/// Steps beyond the first that a look-up may take on average. Devices choose values: should they meet in a few slots in
/// spite of the random factor, the column does without a dictionary.
const STEPS_PER_CELL_MAX: usize = 8;

/// A dictionary that is filled anew for each column.
pub struct Dictionary {
    pub values: Vec<u64>,
    /// For each cell the number of its value.
    pub cells: Vec<u32>,
    /// Number of the value + 1 by hash; 0 is free. The length is a power of two.
    slots: Vec<u32>,
    /// A random odd factor.
    factor: u64,
}

impl Default for Dictionary {
    fn default() -> Self {
        let factor = RandomState::new().hash_one(0u8) | 1;
        Self { values: Vec::new(), cells: Vec::new(), slots: Vec::new(), factor }
    }
}

impl Dictionary {
    /// Takes all cells in; false if there are more than `distinct_max` values, or if looking for them takes too long.
    pub fn fill(&mut self, cells: impl ExactSizeIterator<Item = u64> + Clone, distinct_max: usize) -> bool {
        self.clear();
        // Boots and tags are mostly the same throughout.
        if let Some(first) = cells.clone().next()
            && cells.clone().all(|value| value == first)
        {
            self.values.push(first);
            self.cells.resize(cells.len(), 0);
            return true;
        }
        self.cells.reserve_exact(cells.len());
        let mut steps = cells.len() * STEPS_PER_CELL_MAX;
        for value in cells {
            let mut at = self.slot_of(value);
            let number = loop {
                match self.slots[at].checked_sub(1) {
                    None => break self.add(value, at),
                    Some(number) if self.values[number as usize] == value => break number,
                    Some(_) if steps == 0 => return false,
                    Some(_) => at = (at + 1) & (self.slots.len() - 1),
                }
                steps -= 1;
            };
            self.cells.push(number);
            if self.values.len() > distinct_max {
                return false;
            }
        }
        true
    }

    /// Adds a value to a free slot; returns its number.
    #[cold]
    fn add(&mut self, value: u64, at: usize) -> u32 {
        self.values.push(value);
        self.slots[at] = self.values.len() as u32;
        if self.values.len() * 2 > self.slots.len() {
            self.grow();
        }
        self.values.len() as u32 - 1
    }

    fn slot_of(&self, value: u64) -> usize {
        // The low bits of doubles with few digits are mostly zero: both halves of the product count.
        let product = u128::from(value) * u128::from(self.factor);
        let hash = product as u64 ^ (product >> 64) as u64;
        (hash >> (u64::BITS - self.slots.len().trailing_zeros())) as usize
    }

    fn grow(&mut self) {
        let len = self.slots.len() * 4;
        self.slots.clear();
        self.slots.resize(len, 0);
        for number in 0..self.values.len() {
            let mut at = self.slot_of(self.values[number]);
            while self.slots[at] != 0 {
                at = (at + 1) & (len - 1);
            }
            self.slots[at] = number as u32 + 1;
        }
    }

    fn clear(&mut self) {
        self.values.clear();
        self.cells.clear();
        self.slots.clear();
        self.slots.resize(SLOTS_MIN, 0);
    }
}
