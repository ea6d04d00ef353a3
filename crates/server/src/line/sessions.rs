//! MQTT QoS 2 packet ids that await PUBREL, as the log tells them.
//!
//! They belong to the session and survive a crash of the server: the ingest thread folds the control records of `raw`
//! into this value, the snapshot carries it, and the gateway takes it over at start.
//!
//! Stored form: session count u32, then per session: key u128, id count u32, then per id: packet id u16, payload hash
//! u128.

use std::collections::{BTreeMap, HashMap};

use model::wire::{Reader, Short, Writer};
use model::{Control, SessionKey};

#[cfg(test)]
mod tests;

/// The ids held by each session.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HeldIds(pub HashMap<SessionKey, BTreeMap<u16, u128>>);

impl HeldIds {
    /// Takes in one control record; records that are not about sessions change nothing.
    pub fn apply(&mut self, control: &Control) {
        match control {
            Control::Held { session, packet_id, payload_hash } => {
                self.0.entry(*session).or_default().insert(*packet_id, *payload_hash);
            }
            Control::Released { session, packet_id } => {
                if let Some(ids) = self.0.get_mut(session) {
                    ids.remove(packet_id);
                    if ids.is_empty() {
                        self.0.remove(session);
                    }
                }
            }
            Control::SessionEnded { session } => {
                self.0.remove(session);
            }
            Control::BindDevices { .. }
            | Control::BindTopic { .. }
            | Control::Schema { .. }
            | Control::SchemaSource(_)
            | Control::Class { .. } => {}
        }
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u32(self.0.len() as u32);
        for (session, ids) in &self.0 {
            out.u128(session.0);
            out.u32(ids.len() as u32);
            for (packet_id, hash) in ids {
                out.u16(*packet_id);
                out.u128(*hash);
            }
        }
    }

    pub fn decode(input: &mut &[u8]) -> Result<Self, Short> {
        let mut reader = Reader(input);
        let mut held = Self::default();
        for _ in 0..reader.u32()? {
            let session = SessionKey(reader.u128()?);
            let ids = held.0.entry(session).or_default();
            for _ in 0..reader.u32()? {
                ids.insert(reader.u16()?, reader.u128()?);
            }
        }
        *input = reader.0;
        Ok(held)
    }
}
