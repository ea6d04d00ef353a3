//! A set of numbers as ranges.

use std::collections::BTreeMap;

/// Disjoint ranges [from, to), merged where they touch.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// Adds [from, to).
    pub fn insert(&mut self, mut from: u64, mut to: u64) {
        if from >= to {
            return;
        }
        while let Some((&other_from, &other_to)) = self.0.range(..=to).next_back() {
            if other_to < from {
                break;
            }
            self.0.remove(&other_from);
            from = from.min(other_from);
            to = to.max(other_to);
        }
        self.0.insert(from, to);
    }

    /// Adds everything that is in `other`.
    pub fn extend(&mut self, other: &Self) {
        other.iter().for_each(|(from, to)| self.insert(from, to));
    }

    pub fn contains(&self, number: u64) -> bool {
        self.0.range(..=number).next_back().is_some_and(|(_, &to)| number < to)
    }

    /// How many numbers are in it.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(from, to)| to - from).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().map(|(&from, &to)| (from, to))
    }

    /// Every number, ascending.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.iter().flat_map(|(from, to)| from..to)
    }
}

impl FromIterator<(u64, u64)> for Ranges {
    fn from_iter<T: IntoIterator<Item = (u64, u64)>>(ranges: T) -> Self {
        let mut all = Self::default();
        ranges.into_iter().for_each(|(from, to)| all.insert(from, to));
        all
    }
}
