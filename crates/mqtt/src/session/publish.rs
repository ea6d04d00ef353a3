//! A message from the client.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

use super::state::Held;
use super::{Action, Phase, Session, Topics};
use crate::error::Error;
use crate::frame::Frame;
use crate::packet::publish::PublishPacket;
use crate::packet::{Qos, Version};
use crate::property::{self, Properties, PropertyId};
use crate::reason::Reason;
use crate::text;

/// A message that the protocol lets pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Publish<'a> {
    pub topic: Topic<'a>,
    pub payload: &'a [u8],
    pub qos: Qos,
    pub dup: bool,
    pub retain: bool,
    /// 0 with QoS 0.
    pub packet_id: u16,
    pub properties: Properties<'a>,
    /// With QoS 2 what [`model::Control::Held`] records: a hash of topic and payload. Else 0.
    pub payload_hash: u128,
}

/// Where a message goes. The caller keeps what it bound each slot to; slots are small numbers, dense from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Topic<'a> {
    pub slot: u16,
    /// The topic name if the slot stands for another one than before: it is to be bound anew.
    pub name: Option<&'a str>,
}

/// What tells a message sent again from another one under the same packet identifier. The topic is part of it: two
/// messages that differ in it are two messages.
fn message_hash(topic: &[u8], payload: &[u8]) -> u128 {
    xxh3_128_with_seed(payload, xxh3_64(topic))
}

impl Session {
    /// Takes what almost every packet is from the front of `input`: a whole PUBLISH with QoS 0 or 1, without flags and
    /// properties; with it the bytes that it took. `None`: whatever is there, [`Session::step`] takes it, as it would
    /// have taken this one. Inlined, or the result is copied three times.
    #[inline(always)]
    pub fn plain_publish<'a>(&mut self, input: &'a [u8]) -> Option<(usize, Publish<'a>)> {
        let (first, start, len) = match *input {
            [first @ (0x30 | 0x32), low @ 0..0x80, ..] => (first, 2, usize::from(low)),
            [first @ (0x30 | 0x32), low, high @ 1..0x80, ..] => {
                (first, 3, usize::from(low & 0x7F) | usize::from(high) << 7)
            }
            _ => return None,
        };
        let body = input.get(start..start + len)?;
        let (topic_len, rest) = body.split_first_chunk::<2>()?;
        let (topic, mut payload) = rest.split_at_checked(usize::from(u16::from_be_bytes(*topic_len)))?;
        let (mut qos, mut packet_id) = (Qos::AtMostOnce, 0);
        if first == 0x32 {
            let (id, rest) = payload.split_first_chunk::<2>()?;
            (qos, packet_id, payload) = (Qos::AtLeastOnce, u16::from_be_bytes(*id), rest);
        }
        if self.version == Version::V5 {
            payload = payload.strip_prefix(&[0])?;
        }
        let counted = u32::from(qos == Qos::AtLeastOnce);
        let refused = self.phase != Phase::Open
            || start + len > self.offer.packet_bytes_max as usize
            || qos > self.offer.qos_max
            || counted > u32::from(packet_id)
            || self.in_flight + counted > u32::from(self.offer.receive_max);
        if refused {
            return None;
        }
        let topic = self.named_topic(topic).ok()?;
        self.in_flight += counted;
        let (dup, retain, properties, payload_hash) = (false, false, Properties::default(), 0);
        Some((start + len, Publish { topic, payload, qos, dup, retain, packet_id, properties, payload_hash }))
    }

    pub(super) fn publish<'a>(&mut self, frame: Frame<'a>) -> Result<Action<'a>, Error> {
        let packet = PublishPacket::decode(frame.flags(), frame.body, self.version, property::PUBLISH)?;
        if packet.retain && !self.offer.retain_available {
            return Err(Error::Refused(Reason::RETAIN_NOT_SUPPORTED, "a retained message"));
        }
        if packet.qos > self.offer.qos_max {
            return Err(Error::Refused(Reason::QOS_NOT_SUPPORTED, "a message with a higher QoS than offered"));
        }
        let topic = self.topic(&packet)?;
        let PublishPacket { qos, dup, retain, packet_id, properties, payload, .. } = packet;
        let mut payload_hash = 0;
        match qos {
            Qos::AtMostOnce => {}
            Qos::AtLeastOnce => self.count_in_flight()?,
            Qos::ExactlyOnce => {
                payload_hash = message_hash(self.topics.get(topic.slot), payload);
                if !self.hold(packet_id, payload_hash)? {
                    return Ok(Self::repeat(packet_id, topic));
                }
            }
        }
        Ok(Action::Publish(Publish { topic, payload, qos, dup, retain, packet_id, properties, payload_hash }))
    }

    /// Notes that a message with QoS 2 awaits PUBREL. False if it does already.
    fn hold(&mut self, packet_id: u16, hash: u128) -> Result<bool, Error> {
        let Some(mut held) = self.state.held.get(&packet_id).copied() else {
            self.count_in_flight()?;
            self.state.held.insert(packet_id, Held::new(hash, true));
            return Ok(true);
        };
        if held.hash() != hash {
            return Err(Error::Protocol("the packet identifier awaits PUBREL for another message"));
        }
        // Once per connection is what a reconnecting client may do (section 4.4); a client that goes on is in a loop.
        if held.repeated {
            return Err(Error::Protocol("the same message sent again and again without PUBREL"));
        }
        if !held.counted {
            self.count_in_flight()?;
        }
        (held.counted, held.repeated) = (true, true);
        self.state.held.insert(packet_id, held);
        Ok(false)
    }

    /// One more publish awaits its acknowledgement. Only MQTT 5 clients were told how many may.
    fn count_in_flight(&mut self) -> Result<(), Error> {
        if self.in_flight >= u32::from(self.offer.receive_max) && self.version == Version::V5 {
            return Err(Error::Refused(Reason::RECEIVE_MAXIMUM_EXCEEDED, "more publishes in flight than allowed"));
        }
        self.in_flight = self.in_flight.saturating_add(1);
        Ok(())
    }

    fn topic<'a>(&mut self, packet: &PublishPacket<'a>) -> Result<Topic<'a>, Error> {
        if !packet.properties.is_empty()
            && let Some(alias) = packet.properties.number(PropertyId::TopicAlias)
        {
            return self.aliased_topic(packet.topic, alias as u16);
        }
        self.named_topic(packet.topic)
    }

    #[inline]
    fn named_topic<'a>(&mut self, topic: &'a [u8]) -> Result<Topic<'a>, Error> {
        match self.topics.last(topic) {
            Some(slot) => Ok(Topic { slot, name: None }),
            None => self.another_topic(topic),
        }
    }

    #[inline(never)]
    fn another_topic<'a>(&mut self, topic: &'a [u8]) -> Result<Topic<'a>, Error> {
        if let Some(slot) = self.topics.other(topic) {
            return Ok(Topic { slot, name: None });
        }
        let name = self.check_topic(topic)?;
        Ok(Topic { slot: self.topics.remember(topic), name: Some(name) })
    }

    fn aliased_topic<'a>(&mut self, topic: &'a [u8], alias: u16) -> Result<Topic<'a>, Error> {
        if alias == 0 || alias > self.offer.topic_alias_max {
            return Err(Error::Refused(Reason::TOPIC_ALIAS_INVALID, "a topic alias beyond the Topic Alias Maximum"));
        }
        let slot = Topics::alias_slot(alias);
        let known = self.topics.get(slot);
        if topic.is_empty() && known.is_empty() {
            return Err(Error::Protocol("a topic alias that stands for nothing yet"));
        }
        if topic.is_empty() || known == topic {
            return Ok(Topic { slot, name: None });
        }
        let name = self.check_topic(topic)?;
        self.topics.put(slot, topic);
        Ok(Topic { slot, name: Some(name) })
    }

    fn check_topic<'a>(&self, topic: &'a [u8]) -> Result<&'a str, Error> {
        if topic.len() > usize::from(self.offer.topic_bytes_max) {
            return Err(Error::Refused(Reason::TOPIC_NAME_INVALID, "the topic is too long"));
        }
        text::topic_name(topic).ok_or(Error::Malformed("the topic is not a topic name"))
    }
}
