//! Which devices a chunk holds, each under a dense slot.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

use model::DeviceId;
use model::limits::HEAD_PAGE_ROWS;
use uuid::Uuid;

use super::column::Cells;
use super::pool::PagePool;

/// Hashes ids and short strings with two random keys: tenants choose them, so the hash must not be foreseeable, and it
/// runs for whatever is looked up on the line, so it must be short.
#[derive(Clone)]
pub struct IdHash([u64; 2]);

impl Default for IdHash {
    fn default() -> Self {
        let random = RandomState::new();
        Self([random.hash_one(1u8), random.hash_one(2u8)])
    }
}

impl BuildHasher for IdHash {
    type Hasher = IdHasher;
    fn build_hasher(&self) -> IdHasher {
        IdHasher { keys: self.0, hash: 0 }
    }
}

/// See [`IdHash`].
pub struct IdHasher {
    keys: [u64; 2],
    hash: u64,
}

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for word in bytes.chunks(8) {
            let mut padded = [0; 8];
            padded[..word.len()].copy_from_slice(word);
            let mixed = u128::from(u64::from_le_bytes(padded) ^ self.keys[0]) * u128::from(self.keys[1] | 1);
            self.hash = self.hash.rotate_left(5) ^ (mixed as u64) ^ ((mixed >> 64) as u64);
        }
    }
    // The length of an id says nothing.
    fn write_usize(&mut self, _: usize) {}
    fn finish(&self) -> u64 {
        self.hash
    }
}

/// A map by device id.
pub type DeviceMap<V> = HashMap<DeviceId, V, IdHash>;

/// New devices among which a reader looks one by one before it takes them into its index.
const NEW_MAX: usize = 64;

/// The devices of one chunk. The writer only adds ids; which slot an id has is for readers to find out, who look for a
/// few devices where the writer meets each.
pub struct Devices {
    /// Two cells a slot: the halves of its id.
    ids: Cells,
    len: AtomicUsize,
    /// Slots by id, as far as readers have taken them in.
    index: RwLock<DeviceMap<u32>>,
}

impl Devices {
    pub fn new(rows_max: usize, pool: &Arc<PagePool>) -> Self {
        Self { ids: Cells::new(2 * rows_max, pool), len: AtomicUsize::new(0), index: RwLock::default() }
    }

    /// Adds a device that the chunk does not hold yet; only the writer does. It gets the next slot, [`Devices::len`].
    /// `None` when there is no room.
    pub fn add(&self, device: DeviceId) -> Option<u32> {
        let slot = self.len.load(Ordering::Relaxed);
        let at = 2 * slot;
        if !self.ids.ensure(at / HEAD_PAGE_ROWS) {
            return None;
        }
        let (high, low) = Uuid::from_bytes(*device.as_bytes()).as_u64_pair();
        self.ids.set_release(at, high);
        self.ids.set_release(at + 1, low);
        self.len.store(slot + 1, Ordering::Release);
        Some(slot as u32)
    }

    /// The slot of a device, if it has rows or is about to have its first.
    pub fn slot(&self, device: DeviceId) -> Option<u32> {
        let index = self.index.read().expect("no holder of this lock panics");
        if let Some(slot) = index.get(&device) {
            return Some(*slot);
        }
        let (known, len) = (index.len(), self.len());
        drop(index);
        if len - known <= NEW_MAX {
            return (known..len).find(|slot| self.id(*slot) == device).map(|slot| slot as u32);
        }
        let mut index = self.index.write().expect("no holder of this lock panics");
        for slot in index.len()..len {
            index.insert(self.id(slot), slot as u32);
        }
        index.get(&device).copied()
    }

    /// The ids by slot.
    pub fn ids(&self) -> Vec<DeviceId> {
        self.ids_from(0)
    }

    /// The ids of slots from `from` on.
    pub fn ids_from(&self, from: usize) -> Vec<DeviceId> {
        (from..self.len()).map(|slot| self.id(slot)).collect()
    }

    pub fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    fn id(&self, slot: usize) -> DeviceId {
        let halves = (self.ids.get(2 * slot), self.ids.get(2 * slot + 1));
        DeviceId::from_bytes(Uuid::from_u64_pair(halves.0, halves.1).into_bytes())
    }
}
