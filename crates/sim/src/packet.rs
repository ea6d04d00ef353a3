//! What a generator adds to the MQTT codec: a login, and packets with holes that are patched in place.
//!
//! The codec is crate `mqtt`; this module never opens a socket.

use mqtt::client::{self, ConnectOptions, PublishTemplate};
use mqtt::{Property, PropertyId, Qos, Reason, Value, Version};

#[cfg(test)]
mod tests;

/// Who connects.
#[derive(Clone, Debug)]
pub struct Login {
    pub version: Version,
    pub client_id: String,
    pub user: String,
    pub password: String,
    /// Keeps the session (QoS 2 state) over a lost connection.
    pub keep_session: bool,
    pub keep_alive_s: u16,
}

/// How long a kept session is wanted after the connection is gone, in seconds.
const SESSION_EXPIRY_S: u32 = 3600;

impl Login {
    /// Appends CONNECT.
    pub fn connect(&self, out: &mut Vec<u8>) {
        let expiry = [Property { id: PropertyId::SessionExpiry, value: Value::Four(SESSION_EXPIRY_S) }];
        let options = ConnectOptions {
            version: self.version,
            clean_start: !self.keep_session,
            keep_alive: self.keep_alive_s,
            client_id: &self.client_id,
            username: Some(&self.user),
            password: Some(self.password.as_bytes()),
            will: None,
            properties: if self.keep_session { &expiry } else { &[] },
        };
        client::connect(out, &options);
    }

    /// What a failed CONNACK says, for a person.
    pub fn refusal(&self, reason: Reason) -> String {
        match (self.version, reason.0) {
            (Version::V3, 1) => "protocol version not supported (return code 1)".to_owned(),
            (Version::V3, 2) => "client id refused (return code 2)".to_owned(),
            (Version::V3, 3) => "server unavailable (return code 3)".to_owned(),
            (Version::V3, 4) => "bad user name or password (return code 4)".to_owned(),
            (Version::V3, 5) => "not authorized (return code 5)".to_owned(),
            _ => reason.to_string(),
        }
    }

    /// Whether the same connection may be accepted later.
    pub fn may_retry(&self, reason: Reason) -> bool {
        may_retry(reason) || (self.version == Version::V3 && reason.0 == 3)
    }
}

/// Whether what was refused with this reason may be accepted later.
pub fn may_retry(reason: Reason) -> bool {
    let later = [
        Reason::SERVER_UNAVAILABLE,
        Reason::SERVER_BUSY,
        Reason::SERVER_SHUTTING_DOWN,
        Reason::QUOTA_EXCEEDED,
        Reason::CONNECTION_RATE_EXCEEDED,
    ];
    later.contains(&reason)
}

/// Whether the reason speaks of the server's trouble, such as a disk that failed, and not of what was sent.
pub fn is_trouble(reason: Reason) -> bool {
    [Reason::UNSPECIFIED_ERROR, Reason::IMPLEMENTATION_SPECIFIC_ERROR].contains(&reason)
}

/// The front of a PUBLISH, up to the payload, with the places of what changes from one to the next.
#[derive(Clone, Debug)]
pub struct PublishHead {
    pub bytes: Vec<u8>,
    /// Where the packet id stands; none with QoS 0.
    pub id_at: Option<usize>,
    /// Where the topic begins.
    pub topic_at: usize,
}

/// The first byte's bit that says: sent before.
pub const DUP: u8 = 0b1000;

impl PublishHead {
    /// Lays out a PUBLISH for payloads of exactly `payload_len` bytes.
    pub fn new(version: Version, qos: Qos, topic: &str, payload_len: usize) -> Self {
        let mut bytes = Vec::new();
        PublishTemplate::new(version, topic, qos, &[]).encode(&mut bytes, 1, &vec![0; payload_len]);
        bytes.truncate(bytes.len() - payload_len);
        let id_end = bytes.len() - usize::from(version == Version::V5);
        let topic_end = id_end - if qos == Qos::AtMostOnce { 0 } else { 2 };
        Self { id_at: (topic_end < id_end).then_some(topic_end), topic_at: topic_end - topic.len(), bytes }
    }
}
