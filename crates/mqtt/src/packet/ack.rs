//! PUBACK, PUBREC, PUBREL and PUBCOMP (MQTT 5.0 sections 3.4 to 3.7): a packet identifier and what became of it.

use crate::error::Error;
use crate::packet::Version;
use crate::packet::publish::packet_id;
use crate::property::{self, Properties};
use crate::reason::Reason;
use crate::wire::Input;

/// A decoded acknowledgement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AckPacket<'a> {
    pub packet_id: u16,
    /// Always success in MQTT 3.1.1.
    pub reason: Reason,
    pub properties: Properties<'a>,
}

impl<'a> AckPacket<'a> {
    /// `fits` says which reason codes this kind of acknowledgement may carry.
    pub(crate) fn decode(body: &'a [u8], version: Version, fits: fn(Reason) -> bool) -> Result<Self, Error> {
        let mut input = Input(body);
        let packet_id = packet_id(&mut input)?;
        let mut ack = Self { packet_id, reason: Reason::SUCCESS, properties: Properties::default() };
        if version == Version::V5 && !input.is_empty() {
            ack.reason = Reason(input.u8()?);
            if !fits(ack.reason) {
                return Err(Error::Protocol("a reason code that this packet must not carry"));
            }
            if !input.is_empty() {
                ack.properties = Properties::decode(&mut input, property::ACK)?;
            }
        }
        input.end()?;
        Ok(ack)
    }
}
