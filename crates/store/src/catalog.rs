//! The catalog: which blocks exist, which addresses they cover, and from where a restart derives again.
//!
//! It is one small file, replaced as a whole: `catalog-N`, with N growing. A change is durable once the new file is. The
//! one before is kept, and so are the blocks that it names, so that a damaged newest catalog loses no block.

use std::collections::BTreeMap;

use model::{DeviceId, Millis, Offset, Partition, Table};

pub mod choose;
mod files;
mod format;
#[cfg(test)]
mod tests;

pub use files::{Loaded, block_name, load, remove_before, save};

/// What the catalog says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Catalog {
    /// Grows with every change.
    pub generation: u64,
    /// The time up to which rows may be taken for old: it follows the clock, but not a jump of it (see
    /// [`choose::age_to`]).
    pub aged_to: Millis,
    /// From where each partition of `raw` is derived again.
    pub replay_from: BTreeMap<Partition, Offset>,
    /// For each partition and table, the first address at or behind `replay_from` that no block covers, where that is
    /// not `replay_from` itself.
    pub coverage: BTreeMap<(Partition, Table), (Offset, u32)>,
    /// Devices whose rows are hidden and go when their blocks are rewritten, and when they were erased.
    pub erased: BTreeMap<DeviceId, Millis>,
    /// In the order of sequences; of equal ones the late block comes after the other.
    pub blocks: Vec<Entry>,
}

/// One block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Names its file.
    pub id: u64,
    pub table: Table,
    pub partition: Partition,
    /// The first and last chunk whose rows are here. Blocks that were merged together share it.
    pub sequences: (u64, u64),
    /// Whether its rows came late.
    pub late: bool,
    /// Whether it has one row per value instead of one per message.
    pub narrow: bool,
    /// Whether its bytes were found not to be what was written: it is not read any more.
    pub damaged: bool,
    pub rows: u64,
    pub devices: u32,
    pub device_min: DeviceId,
    pub device_max: DeviceId,
    pub ts_min: Millis,
    pub ts_max: Millis,
    /// The greatest time from which the age of a row counts.
    pub newest: Millis,
    /// Length of the file.
    pub bytes: u64,
    /// Where the part of the file begins whose CRC32C is `tail_crc`.
    pub tail_at: u64,
    pub tail_crc: u32,
}

impl Catalog {
    /// The first address of a table that no block covers.
    pub fn covered_to(&self, partition: Partition, table: &Table) -> (Offset, u32) {
        let replay_from = (self.replay_from.get(&partition).copied().unwrap_or(0), 0);
        let covered = self.coverage.get(&(partition, table.clone())).copied();
        covered.map_or(replay_from, |covered| covered.max(replay_from))
    }

    /// Takes in that everything of a partition below `at` is in blocks.
    pub fn set_replay_from(&mut self, partition: Partition, at: Offset) {
        let replay_from = self.replay_from.entry(partition).or_default();
        *replay_from = (*replay_from).max(at);
        let replay_from = (*replay_from, 0);
        self.coverage.retain(|(of, _), covered| *of != partition || *covered > replay_from);
    }

    /// Adds blocks in their place.
    pub fn add(&mut self, blocks: impl IntoIterator<Item = Entry>) {
        self.blocks.extend(blocks);
        self.blocks.sort_by_key(|entry| (entry.sequences, entry.late, entry.id));
    }
}
