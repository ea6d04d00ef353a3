//! Of how many messages of a device how many were rejected, for classes that flag a device for it.
//!
//! Messages are looked at in runs: once so many were rejected that the run will be past the limit, the device is
//! flagged and a new run begins; so it does when the run is full. Only devices of classes with a rule take memory: the array
//! reaches to the last of their windows.
//!
//! Stored as count u32, then per window's slot messages u16 and rejected u16, as they are in memory.

use model::rules::Quarantine;
use model::wire::{Reader, Short, Writer};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

#[cfg(test)]
mod tests;

/// The runs of all devices, by the slots of their windows.
#[derive(Debug, Default)]
pub struct Tallies {
    list: Vec<Tally>,
}

/// A run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Tally {
    pub messages: u16,
    pub rejected: u16,
}

impl Tallies {
    /// Counts a message; if that decides that the run is past the limit, the run so far.
    pub fn count(&mut self, slot: u32, rejected: bool, rule: &Quarantine) -> Option<Tally> {
        let at = slot as usize;
        if at >= self.list.len() {
            self.list.resize(at + 1, Tally::default());
        }
        let tally = &mut self.list[at];
        tally.messages = tally.messages.saturating_add(1);
        tally.rejected = tally.rejected.saturating_add(u16::from(rejected));
        let length = rule.messages.max(1);
        let decided = rejected && f64::from(tally.rejected) * 100.0 > rule.rejected_percent * f64::from(length);
        if decided || tally.messages >= length {
            return Some(std::mem::take(tally)).filter(|_| decided);
        }
        None
    }

    pub fn bytes(&self) -> usize {
        self.list.capacity() * size_of::<Tally>()
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u32(self.list.len() as u32);
        out.extend_from_slice(self.list.as_bytes());
    }

    /// Fails where there are more than windows.
    pub fn decode(reader: &mut Reader<'_>, windows: usize) -> Result<Self, Short> {
        let count = reader.u32()? as usize;
        if count > windows {
            return Err(Short);
        }
        let bytes = reader.take(count * size_of::<Tally>())?;
        let mut list = vec![Tally::default(); count];
        list.as_mut_bytes().copy_from_slice(bytes);
        Ok(Self { list })
    }
}
