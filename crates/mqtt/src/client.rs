//! The client's side: enough for a load generator and for tests.
//!
//! Encoders append one whole packet to `out`; [`decode`] reads what a server sends. There is no client session: a load
//! generator knows what it has sent.

use crate::encode;
use crate::error::Error;
use crate::frame::{Framed, frame, kind};
use crate::packet::ack::AckPacket;
use crate::packet::disconnect::DisconnectPacket;
use crate::packet::publish::{PublishPacket, packet_id};
use crate::packet::{Qos, Version};
use crate::property::{self, Properties, Property};
use crate::reason::Reason;
use crate::wire::{Input, put_binary, put_u16, variable_bytes};

/// What a client says of itself in CONNECT. `Default` is a clean 3.1.1 session without credential and keep-alive. No
/// `Debug`: it holds a credential.
#[derive(Clone, Copy)]
pub struct ConnectOptions<'a> {
    pub version: Version,
    pub clean_start: bool,
    /// Seconds; 0 is none.
    pub keep_alive: u16,
    pub client_id: &'a str,
    pub username: Option<&'a str>,
    pub password: Option<&'a [u8]>,
    /// Topic and payload of a will with QoS 1.
    pub will: Option<(&'a str, &'a [u8])>,
    /// MQTT 5 only.
    pub properties: &'a [Property<'a>],
}

impl Default for ConnectOptions<'_> {
    fn default() -> Self {
        Self {
            version: Version::V3,
            clean_start: true,
            keep_alive: 0,
            client_id: "",
            username: None,
            password: None,
            will: None,
            properties: &[],
        }
    }
}

/// Appends CONNECT.
pub fn connect(out: &mut Vec<u8>, options: &ConnectOptions<'_>) {
    let level = if options.version == Version::V3 { 4 } else { 5 };
    let flags = u8::from(options.clean_start) << 1
        | if options.will.is_some() { 0x0C } else { 0 }
        | u8::from(options.password.is_some()) << 6
        | u8::from(options.username.is_some()) << 7;
    out.push(kind::CONNECT << 4);
    encode::body(out, |out| {
        put_binary(out, b"MQTT");
        out.extend_from_slice(&[level, flags]);
        put_u16(out, options.keep_alive);
        put_properties(out, options.version, options.properties);
        put_binary(out, options.client_id.as_bytes());
        if let Some((topic, payload)) = options.will {
            put_properties(out, options.version, &[]);
            put_binary(out, topic.as_bytes());
            put_binary(out, payload);
        }
        for field in [options.username.map(str::as_bytes), options.password].into_iter().flatten() {
            put_binary(out, field);
        }
    });
}

fn put_properties(out: &mut Vec<u8>, version: Version, properties: &[Property<'_>]) {
    if version == Version::V5 {
        encode::body(out, |out| properties.iter().for_each(|one| property::put(out, *one)));
    }
}

/// The part of a PUBLISH that all messages to one topic share, so that encoding one is a copy.
#[derive(Clone, Debug)]
pub struct PublishTemplate {
    /// First byte.
    first: u8,
    qos: Qos,
    /// Topic with its length.
    topic: Vec<u8>,
    /// What stands between packet identifier and payload: with MQTT 5 the property block.
    properties: Vec<u8>,
}

impl PublishTemplate {
    pub fn new(version: Version, topic: &str, qos: Qos, properties: &[Property<'_>]) -> Self {
        let mut template =
            Self { first: kind::PUBLISH << 4 | (qos as u8) << 1, qos, topic: Vec::new(), properties: Vec::new() };
        put_binary(&mut template.topic, topic.as_bytes());
        put_properties(&mut template.properties, version, properties);
        template
    }

    /// Appends a PUBLISH. `packet_id` is not used with QoS 0 and must not be 0 else.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>, packet_id: u16, payload: &[u8]) {
        self.encode_as(out, self.first, packet_id, payload);
    }

    /// Appends a PUBLISH that was sent before (DUP).
    pub fn encode_again(&self, out: &mut Vec<u8>, packet_id: u16, payload: &[u8]) {
        self.encode_as(out, self.first | 8, packet_id, payload);
    }

    #[inline]
    fn encode_as(&self, out: &mut Vec<u8>, first: u8, packet_id: u16, payload: &[u8]) {
        let id_len = if self.qos == Qos::AtMostOnce { 0 } else { 2 };
        let len = self.topic.len() + id_len + self.properties.len() + payload.len();
        let (length, length_len) = variable_bytes(len as u32);
        out.reserve(1 + 4 + len);
        out.push(first);
        out.extend_from_slice(&length[..length_len]);
        out.extend_from_slice(&self.topic);
        if id_len > 0 {
            out.extend_from_slice(&packet_id.to_be_bytes());
        }
        out.extend_from_slice(&self.properties);
        out.extend_from_slice(payload);
    }
}

/// Appends PUBREL.
pub fn pubrel(out: &mut Vec<u8>, packet_id: u16) {
    encode::ack(out, encode::PUBREL, packet_id, Version::V3, Reason::SUCCESS);
}

/// Appends PUBACK for a delivery with QoS 1.
pub fn puback(out: &mut Vec<u8>, packet_id: u16) {
    encode::ack(out, encode::PUBACK, packet_id, Version::V3, Reason::SUCCESS);
}

/// Appends PUBREC for a delivery with QoS 2.
pub fn pubrec(out: &mut Vec<u8>, packet_id: u16) {
    encode::ack(out, encode::PUBREC, packet_id, Version::V3, Reason::SUCCESS);
}

/// Appends PUBCOMP for a delivery with QoS 2.
pub fn pubcomp(out: &mut Vec<u8>, packet_id: u16) {
    encode::ack(out, encode::PUBCOMP, packet_id, Version::V3, Reason::SUCCESS);
}

/// Appends PINGREQ.
pub fn pingreq(out: &mut Vec<u8>) {
    encode::pingreq(out);
}

/// Appends DISCONNECT.
pub fn disconnect(out: &mut Vec<u8>, version: Version, reason: Reason) {
    encode::disconnect(out, version, reason);
}

/// Appends SUBSCRIBE with one filter.
pub fn subscribe(out: &mut Vec<u8>, version: Version, packet_id: u16, filter: &str, qos: Qos) {
    out.push(kind::SUBSCRIBE << 4 | 2);
    encode::body(out, |out| {
        put_u16(out, packet_id);
        put_properties(out, version, &[]);
        put_binary(out, filter.as_bytes());
        out.push(qos as u8);
    });
}

/// A packet from the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply<'a> {
    /// With 3.1.1 the reason is the return code: 0 is success and everything else a failure.
    Connack {
        session_present: bool,
        reason: Reason,
        properties: Properties<'a>,
    },
    Publish(PublishPacket<'a>),
    Puback(AckPacket<'a>),
    Pubrec(AckPacket<'a>),
    Pubrel(AckPacket<'a>),
    Pubcomp(AckPacket<'a>),
    /// One code for each filter.
    Suback {
        packet_id: u16,
        codes: &'a [u8],
    },
    Unsuback {
        packet_id: u16,
        codes: &'a [u8],
    },
    Pingresp,
    Disconnect(DisconnectPacket<'a>),
}

/// Reads one packet of a server from the front of `input`: the packet and its length, or `None` if it is not complete.
#[inline]
pub fn decode(input: &[u8], version: Version, packet_bytes_max: usize) -> Result<Option<(Reply<'_>, usize)>, Error> {
    let Framed::Whole(frame) = frame(input, packet_bytes_max)? else { return Ok(None) };
    let body = frame.body;
    let reply = match frame.kind() {
        kind::PUBACK => Reply::Puback(AckPacket::decode(body, version, Reason::fits_publish_ack)?),
        kind::PUBREC => Reply::Pubrec(AckPacket::decode(body, version, Reason::fits_publish_ack)?),
        kind::PUBREL => Reply::Pubrel(AckPacket::decode(body, version, Reason::fits_release)?),
        kind::PUBCOMP => Reply::Pubcomp(AckPacket::decode(body, version, Reason::fits_release)?),
        kind::PUBLISH => {
            let allowed = property::PUBLISH_DELIVERED;
            Reply::Publish(PublishPacket::decode(frame.flags(), body, version, allowed)?)
        }
        kind::CONNACK => connack(body, version)?,
        kind::SUBACK => {
            let (packet_id, codes) = subscription_ack(body, version)?;
            Reply::Suback { packet_id, codes }
        }
        kind::UNSUBACK => {
            let (packet_id, codes) = subscription_ack(body, version)?;
            Reply::Unsuback { packet_id, codes }
        }
        kind::PINGRESP => Reply::Pingresp,
        kind::DISCONNECT => Reply::Disconnect(DisconnectPacket::decode(body, version)?),
        _ => return Err(Error::Protocol("a packet that only a client sends")),
    };
    Ok(Some((reply, frame.len)))
}

fn connack(body: &[u8], version: Version) -> Result<Reply<'_>, Error> {
    let mut input = Input(body);
    let (flags, reason) = (input.u8()?, Reason(input.u8()?));
    // A server that does not speak 5.0 answers in the form of 3.1.1.
    let properties = if version == Version::V3 || input.is_empty() {
        Properties::default()
    } else {
        Properties::decode(&mut input, property::CONNACK)?
    };
    Ok(Reply::Connack { session_present: flags & 1 != 0, reason, properties })
}

fn subscription_ack(body: &[u8], version: Version) -> Result<(u16, &[u8]), Error> {
    let mut input = Input(body);
    let packet_id = packet_id(&mut input)?;
    if version == Version::V5 {
        Properties::decode(&mut input, property::ACK)?;
    }
    Ok((packet_id, input.0))
}
