//! The part of a session that outlives its connection: packet identifiers of QoS 2 that await PUBREL.
//!
//! It can be taken out of one connection and given to another, and is rebuilt after a restart from the control records
//! of `raw`.

use std::collections::BTreeMap;

use model::Control;

/// What is known of an identifier that awaits PUBREL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Held {
    /// The two halves of the hash of topic and payload; not a `u128`, which would align this to 16 bytes.
    hash: [u64; 2],
    /// It takes part in the Receive Maximum of the present connection.
    pub counted: bool,
    /// It was sent again on the present connection.
    pub repeated: bool,
}

impl Held {
    pub fn new(hash: u128, counted: bool) -> Self {
        Self { hash: [(hash >> 64) as u64, hash as u64], counted, repeated: false }
    }

    pub fn hash(self) -> u128 {
        u128::from(self.hash[0]) << 64 | u128::from(self.hash[1])
    }
}

/// A session without its connection.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SessionState {
    pub(super) held: BTreeMap<u16, Held>,
    /// Seconds that it is kept after its connection ended; 0: it ends with it, `u32::MAX`: as long as the server keeps any.
    pub expiry: u32,
}

impl SessionState {
    /// An empty session.
    pub fn new(expiry: u32) -> Self {
        Self { held: BTreeMap::new(), expiry }
    }

    /// Replays a control record that concerns this session; others change nothing. The caller has matched the key.
    pub fn apply(&mut self, control: &Control) {
        match control {
            Control::Held { packet_id, payload_hash, .. } => self.hold(*packet_id, *payload_hash),
            Control::Released { packet_id, .. } => self.release(*packet_id),
            Control::SessionEnded { .. } => self.held.clear(),
            Control::BindDevices { .. }
            | Control::BindTopic { .. }
            | Control::Schema { .. }
            | Control::SchemaSource(_)
            | Control::Class { .. } => {}
        }
    }

    /// From here on `packet_id` awaits PUBREL for the message with this hash.
    pub fn hold(&mut self, packet_id: u16, payload_hash: u128) {
        self.held.insert(packet_id, Held::new(payload_hash, false));
    }

    /// `packet_id` was released.
    pub fn release(&mut self, packet_id: u16) {
        self.held.remove(&packet_id);
    }

    /// Every identifier that awaits PUBREL, with its hash, in ascending order: for a snapshot.
    pub fn held(&self) -> impl Iterator<Item = (u16, u128)> {
        self.held.iter().map(|(id, held)| (*id, held.hash()))
    }

    /// Nothing would be lost with it.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Begins a new connection: Receive Maximum and re-sends are counted anew.
    pub(super) fn resume(&mut self) {
        for held in self.held.values_mut() {
            held.counted = false;
            held.repeated = false;
        }
    }
}
