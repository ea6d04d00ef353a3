//! Which devices a chunk holds, each under a dense slot.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::RwLock;

use model::DeviceId;

/// Hashes the 16 bytes of an id with two random keys: tenants choose ids, so the hash must not be foreseeable, and it
/// runs once per device and chunk, so it must be short.
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

/// The devices of one chunk. Written once per device and chunk, read by every query.
#[derive(Default)]
pub struct Devices(RwLock<Inner>);

#[derive(Default)]
struct Inner {
    slots: DeviceMap<u32>,
    ids: Vec<DeviceId>,
}

impl Devices {
    /// The slot of a device; a new one gets the next number, [`Devices::len`].
    pub fn slot_or_new(&self, device: DeviceId) -> u32 {
        let mut inner = self.0.write().expect("no holder of this lock panics");
        let next = inner.ids.len() as u32;
        let slot = *inner.slots.entry(device).or_insert(next);
        if slot == next {
            inner.ids.push(device);
        }
        slot
    }

    /// The slot of a device, if it has rows or is about to have its first.
    pub fn slot(&self, device: DeviceId) -> Option<u32> {
        self.0.read().expect("no holder of this lock panics").slots.get(&device).copied()
    }

    /// The ids by slot.
    pub fn ids(&self) -> Vec<DeviceId> {
        self.0.read().expect("no holder of this lock panics").ids.clone()
    }

    /// The ids of slots from `from` on.
    pub fn ids_from(&self, from: usize) -> Vec<DeviceId> {
        self.0.read().expect("no holder of this lock panics").ids[from..].to_vec()
    }

    pub fn len(&self) -> usize {
        self.0.read().expect("no holder of this lock panics").ids.len()
    }
}
