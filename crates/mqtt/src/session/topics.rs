//! Which topics a connection has used: so that a publisher that repeats itself, or uses an alias, is recognised by
//! comparing bytes, and the topic is checked, copied and bound by the caller only when it changes.
//!
//! Slots 0 and 1 hold the two topics used last without an alias (a device has `…/data` and `…/events`); from slot 2 on
//! each topic alias has its own.

/// Slots for topics without alias.
pub(super) const RECENT: usize = 2;

/// The topics of one connection by slot. An empty slot is unused: no topic is empty.
#[derive(Debug, Default)]
pub(super) struct Topics {
    slots: Vec<Vec<u8>>,
    /// The slot without alias that was used last; the other one is replaced next.
    last: u16,
}

impl Topics {
    /// The slot used last, if it holds `topic`.
    #[inline]
    pub fn last(&self, topic: &[u8]) -> Option<u16> {
        self.slots
            .get(usize::from(self.last))
            .is_some_and(|known| known == topic && !topic.is_empty())
            .then_some(self.last)
    }

    /// The slot used before the last, if it holds `topic`; it is then the last.
    pub fn other(&mut self, topic: &[u8]) -> Option<u16> {
        let other = 1 - self.last;
        if self.get(other) != topic || topic.is_empty() {
            return None;
        }
        self.last = other;
        Some(other)
    }

    /// The slot of an alias, counted from 1.
    pub fn alias_slot(alias: u16) -> u16 {
        alias + RECENT as u16 - 1
    }

    /// What a slot holds; empty if nothing.
    pub fn get(&self, slot: u16) -> &[u8] {
        self.slots.get(usize::from(slot)).map_or(&[], Vec::as_slice)
    }

    /// Puts a checked topic into the slot that is free next and returns it.
    pub fn remember(&mut self, topic: &[u8]) -> u16 {
        self.last = 1 - self.last;
        self.put(self.last, topic);
        self.last
    }

    /// Puts a checked topic into a slot.
    pub fn put(&mut self, slot: u16, topic: &[u8]) {
        let at = usize::from(slot);
        if self.slots.len() <= at {
            self.slots.resize_with(at + 1, Vec::new);
        }
        let known = &mut self.slots[at];
        known.clear();
        known.extend_from_slice(topic);
    }
}
