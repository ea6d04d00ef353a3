//! What the server offers to every client, as its CONNACK says and as the session enforces.

use model::limits;

use crate::packet::Qos;

/// Limits and abilities of the server side. A 5.0 CONNACK names those that differ from what the specification assumes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offer {
    /// The largest packet that the server takes (Maximum Packet Size).
    pub packet_bytes_max: u32,
    /// The largest CONNECT, which comes before anyone is known.
    pub connect_bytes_max: u32,
    /// Unacknowledged publishes with QoS 1 and 2 (Receive Maximum), at least 1.
    pub receive_max: u16,
    /// Topic aliases that a client may use (Topic Alias Maximum).
    pub topic_alias_max: u16,
    /// The longest topic name.
    pub topic_bytes_max: u16,
    /// The longest client identifier.
    pub client_id_bytes_max: u16,
    /// Seconds; a 5.0 client that asks for more, or for none, is given this (Server Keep Alive). 0 leaves it to the client.
    pub keep_alive_max: u16,
    /// Seconds for which a session is kept without connection; a client that asks for more is told (Session Expiry).
    pub session_expiry_max: u32,
    /// The highest QoS of a publish (Maximum QoS).
    pub qos_max: Qos,
    /// Whether a publish may carry RETAIN (Retain Available).
    pub retain_available: bool,
    /// Whether filters may have wildcards (Wildcard Subscription Available).
    pub wildcard_available: bool,
    /// Whether subscriptions may have identifiers (Subscription Identifiers Available).
    pub subscription_id_available: bool,
    /// Whether `$share/` filters are served (Shared Subscription Available).
    pub shared_available: bool,
}

impl Default for Offer {
    fn default() -> Self {
        Self {
            packet_bytes_max: limits::MQTT_PACKET_BYTES_MAX as u32,
            connect_bytes_max: limits::MQTT_CONNECT_BYTES_MAX as u32,
            receive_max: limits::MQTT_RECEIVE_MAX,
            topic_alias_max: limits::MQTT_TOPIC_ALIAS_MAX,
            topic_bytes_max: limits::TOPIC_BYTES_MAX as u16,
            client_id_bytes_max: limits::MQTT_CLIENT_ID_BYTES_MAX as u16,
            keep_alive_max: limits::MQTT_KEEP_ALIVE_MAX.as_secs() as u16,
            session_expiry_max: limits::MQTT_SESSION_EXPIRY_MAX.as_secs() as u32,
            qos_max: Qos::ExactlyOnce,
            retain_available: true,
            wildcard_available: true,
            subscription_id_available: true,
            shared_available: true,
        }
    }
}
