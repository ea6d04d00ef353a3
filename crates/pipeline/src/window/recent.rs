//! The last messages of a device that have no seq, or a seq and neither ts nor boot: hashes in a ring.
//!
//! Stored as minute u32 | next u8 | count u8 | count × hash u128.

use model::limits::DEDUP_RECENT_MAX;
use model::wire::{Reader, Short, Writer};

use super::runs::{Minute, is_past};

/// Hashes of the last [`DEDUP_RECENT_MAX`] messages of one kind.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recent {
    hashes: Vec<u128>,
    /// Where the next one goes once the ring is full.
    next: u8,
    /// When the last one came.
    at: Minute,
}

const _: () = assert!(DEDUP_RECENT_MAX < 256, "ring positions are stored in a byte");

impl Recent {
    /// Adds a hash; `false` if it was there.
    pub fn insert(&mut self, hash: u128, at: Minute) -> bool {
        if self.hashes.contains(&hash) {
            return false;
        }
        self.at = at;
        if self.hashes.len() < DEDUP_RECENT_MAX {
            self.hashes.push(hash);
        } else {
            self.hashes[usize::from(self.next)] = hash;
            self.next = (self.next + 1) % DEDUP_RECENT_MAX as u8;
        }
        true
    }

    /// Takes a hash out, if it is there.
    pub fn remove(&mut self, hash: u128) {
        // From the oldest on, so that what is left of a full ring is still forgotten in its order.
        let oldest = usize::from(self.next).min(self.hashes.len());
        self.hashes.rotate_left(oldest);
        self.next = 0;
        self.hashes.retain(|known| *known != hash);
    }

    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Forgets all once the last is out of the window.
    pub fn forget_past(&mut self, now: Minute) {
        if is_past(self.at, now) {
            *self = Self::default();
        }
    }

    pub fn bytes(&self) -> usize {
        self.hashes.capacity() * size_of::<u128>()
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u32(self.at);
        out.extend_from_slice(&[self.next, self.hashes.len() as u8]);
        self.hashes.iter().for_each(|hash| out.u128(*hash));
    }

    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Short> {
        let at = reader.u32()?;
        let [next, count] = reader.array()?;
        if usize::from(count) > DEDUP_RECENT_MAX || usize::from(next) >= DEDUP_RECENT_MAX {
            return Err(Short);
        }
        let hashes = (0..count).map(|_| reader.u128()).collect::<Result<_, _>>()?;
        Ok(Self { hashes, next, at })
    }
}
