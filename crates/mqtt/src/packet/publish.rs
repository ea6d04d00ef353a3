//! PUBLISH (MQTT 5.0 section 3.3).

use crate::error::Error;
use crate::packet::{Qos, Version};
use crate::property::{Allowed, Properties};
use crate::wire::Input;

/// A PUBLISH as it stands in the bytes. The topic is not checked yet: a receiver that knows its bytes already saves that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PublishPacket<'a> {
    pub qos: Qos,
    pub dup: bool,
    pub retain: bool,
    /// Unchecked; see [`crate::text::topic_name`].
    pub topic: &'a [u8],
    /// 0 with QoS 0.
    pub packet_id: u16,
    pub properties: Properties<'a>,
    pub payload: &'a [u8],
}

impl<'a> PublishPacket<'a> {
    #[inline]
    pub(crate) fn decode(flags: u8, body: &'a [u8], version: Version, allowed: Allowed) -> Result<Self, Error> {
        let qos = Qos::from_bits(flags >> 1 & 3).ok_or(Error::Malformed("QoS 3 does not exist"))?;
        let dup = flags & 8 != 0;
        if dup && qos == Qos::AtMostOnce {
            return Err(Error::Malformed("DUP is set on a message with QoS 0"));
        }
        let mut input = Input(body);
        let topic = input.binary()?;
        let packet_id = if qos == Qos::AtMostOnce { 0 } else { packet_id(&mut input)? };
        let properties = match version {
            Version::V3 => Properties::default(),
            Version::V5 => Properties::decode(&mut input, allowed)?,
        };
        Ok(Self { qos, dup, retain: flags & 1 != 0, topic, packet_id, properties, payload: input.0 })
    }
}

/// Reads a packet identifier, which is never 0.
pub(crate) fn packet_id(input: &mut Input<'_>) -> Result<u16, Error> {
    match input.u16()? {
        0 => Err(Error::Protocol("packet identifier 0")),
        id => Ok(id),
    }
}
