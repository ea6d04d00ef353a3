//! A device's place in the dense array: 32 bytes, in memory and stored alike, so that a snapshot of a million devices is a
//! copy of memory.
//!
//! Stored as packed form 30 bytes ([`Packed`]) | kind u8 (0 empty, 1 packed, 2 wide) | 0 u8. An empty slot is all zeros; of
//! a wide one the first eight bytes say where its window is in this process; stored they are 0.

use model::wire::Short;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::packed::Packed;

/// See the module. Aligned, so that it never lies in two lines of the cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(32))]
pub struct Slot {
    pub packed: Packed,
    kind: u8,
    zero: u8,
}

const _: () = assert!(size_of::<Slot>() == 32, "a regular device costs 32 bytes");
const _: () = assert!(cfg!(target_endian = "little"), "slots are stored as they are in memory");

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Empty,
    Packed,
    Wide,
}

const PACKED: u8 = 1;
const WIDE: u8 = 2;

impl Slot {
    pub const EMPTY: Self = Self { packed: Packed::ZERO, kind: 0, zero: 0 };

    pub fn packed(packed: Packed) -> Self {
        Self { packed, kind: PACKED, zero: 0 }
    }

    /// A slot whose window is at this place of the general forms.
    pub fn wide(at: u32) -> Self {
        Self { packed: Packed::holding(at), kind: WIDE, zero: 0 }
    }

    pub fn kind(&self) -> Kind {
        match self.kind {
            PACKED => Kind::Packed,
            WIDE => Kind::Wide,
            _ => Kind::Empty,
        }
    }

    /// The place of a wide slot's window.
    pub fn wide_at(&self) -> usize {
        self.packed.held() as usize
    }

    /// The kind of a slot that was read; fails where it contradicts itself.
    pub fn check(&self) -> Result<Kind, Short> {
        let sound = match self.kind() {
            Kind::Empty => *self == Self::EMPTY,
            Kind::Packed => self.packed.is_sound(),
            Kind::Wide => self.packed == Packed::ZERO,
        };
        if sound && self.zero == 0 { Ok(self.kind()) } else { Err(Short) }
    }
}
