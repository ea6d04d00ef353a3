//! What a value of one member of a `oneof` does to the others (protobuf.dev, "Encoding", "Last One Wins"): they become absent,
//! with all that is in them.

use std::collections::HashSet;

use model::contract::{ProtobufField, ProtobufKind, ProtobufLayout};

use super::super::{Slots, kept};
use super::{Last, Scratch};

#[derive(Debug, Default)]
pub struct Rivals {
    slots: Vec<u32>,
    /// Messages of the layout.
    messages: HashSet<u32>,
}

impl Rivals {
    /// Of a field among those of its message; `None` if it is a member of no `oneof`, or nothing is kept of the others.
    pub fn of(
        layout: &ProtobufLayout,
        message: &[ProtobufField],
        field: &ProtobufField,
        slots: &Slots,
    ) -> Option<Self> {
        let oneof = field.oneof?;
        let mut rivals = Self::default();
        let others = message.iter().filter(|other| other.oneof == Some(oneof) && other.number != field.number);
        let mut waiting: Vec<&ProtobufField> = others.collect();
        while let Some(other) = waiting.pop() {
            rivals.slots.extend(kept(other.kind.keep(), slots));
            if let ProtobufKind::Message(child) = other.kind
                && rivals.messages.insert(child)
            {
                waiting.extend(layout.messages.get(child as usize).into_iter().flatten());
            }
        }
        (!rivals.slots.is_empty() || !rivals.messages.is_empty()).then_some(rivals)
    }

    #[inline(never)]
    pub fn clear(&self, scratch: &mut Scratch) {
        for slot in &self.slots {
            scratch.found[*slot as usize] = Last::Absent;
        }
        for message in &self.messages {
            scratch.present[*message as usize] = false;
        }
    }
}
