//! The recent end of a log in memory, so that live readers never touch the disk.

use std::collections::VecDeque;
use std::sync::Arc;

use model::{Batch, Offset};

use crate::Frame;

#[cfg(test)]
mod tests;

/// Durable batches in order, the oldest first; without a hole, except where offsets were skipped.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    batches: VecDeque<Entry>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    base: Offset,
    /// Where the frame begins, in bytes since the log's oldest segment at open.
    place: u64,
    batch: Arc<Batch>,
}

impl Entry {
    fn end(&self) -> Offset {
        self.base + u64::from(self.batch.count())
    }
}

impl Tail {
    /// Adds the next batch.
    pub(crate) fn push(&mut self, base: Offset, place: u64, batch: Arc<Batch>) {
        self.bytes += batch.memory();
        self.batches.push_back(Entry { base, place, batch });
    }

    /// Bytes of memory of the batches held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Lets the oldest batches go until at most `bytes_max` are held; the newest stays. They are given back so that
    /// the caller drops them outside its lock.
    pub(crate) fn shrink(&mut self, bytes_max: usize) -> Vec<Arc<Batch>> {
        let mut gone = Vec::new();
        while self.bytes > bytes_max && self.batches.len() > 1 {
            gone.extend(self.pop());
        }
        gone
    }

    /// The first offset held.
    pub(crate) fn first(&self) -> Option<Offset> {
        self.batches.front().map(|entry| entry.base)
    }

    /// Lets batches go that end at or before `offset`.
    pub(crate) fn drop_before(&mut self, offset: Offset) {
        while self.batches.front().is_some_and(|entry| entry.end() <= offset) {
            drop(self.pop());
        }
    }

    fn pop(&mut self) -> Option<Arc<Batch>> {
        let entry = self.batches.pop_front()?;
        self.bytes -= entry.batch.memory();
        Some(entry.batch)
    }

    /// The place of the batch that holds `offset`; `None` if it is not held.
    pub(crate) fn place_of(&self, offset: Offset) -> Option<u64> {
        self.position(offset).map(|at| self.batches[at].place)
    }

    /// Batches from the one that holds `from`, until `bytes_max` are reached (at least one) or offsets were skipped;
    /// `None` if `from` is not held.
    pub(crate) fn read(&self, from: Offset, bytes_max: usize) -> Option<Vec<Frame>> {
        let (mut bytes, mut expected) = (0, None);
        let fitting = self.batches.range(self.position(from)?..).take_while(|entry| {
            let (first, follows) = (expected.is_none(), expected.is_none_or(|expected| expected == entry.base));
            bytes += entry.batch.frame().len();
            expected = Some(entry.end());
            first || (follows && bytes <= bytes_max)
        });
        Some(fitting.map(|entry| Frame { base: entry.base, batch: entry.batch.clone() }).collect())
    }

    /// The end of the last batch that ends at or before `offset`.
    pub(crate) fn end_before(&self, offset: Offset) -> Option<Offset> {
        let at = self.batches.partition_point(|entry| entry.end() <= offset);
        Some(self.batches.get(at.checked_sub(1)?)?.end())
    }

    /// The base of the first batch that begins after `offset`.
    pub(crate) fn base_after(&self, offset: Offset) -> Option<Offset> {
        let at = self.batches.partition_point(|entry| entry.base <= offset);
        self.batches.get(at).map(|entry| entry.base)
    }

    fn position(&self, offset: Offset) -> Option<usize> {
        let at = self.batches.partition_point(|entry| entry.end() <= offset);
        self.batches.get(at).filter(|entry| entry.base <= offset).map(|_| at)
    }
}
