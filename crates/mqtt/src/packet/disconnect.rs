//! DISCONNECT (MQTT 5.0 section 3.14).

use crate::error::Error;
use crate::packet::Version;
use crate::property::{self, Properties, PropertyId};
use crate::reason::Reason;
use crate::wire::Input;

/// A decoded DISCONNECT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DisconnectPacket<'a> {
    /// Success in MQTT 3.1.1.
    pub reason: Reason,
    pub properties: Properties<'a>,
}

impl<'a> DisconnectPacket<'a> {
    pub(crate) fn decode(body: &'a [u8], version: Version) -> Result<Self, Error> {
        let mut input = Input(body);
        let mut packet = Self { reason: Reason::SUCCESS, properties: Properties::default() };
        if version == Version::V5 && !input.is_empty() {
            packet.reason = Reason(input.u8()?);
            if !input.is_empty() {
                packet.properties = Properties::decode(&mut input, property::DISCONNECT)?;
            }
        }
        input.end()?;
        Ok(packet)
    }

    /// Seconds that the session is to outlive the connection, where the sender changes them.
    pub fn session_expiry(&self) -> Option<u32> {
        self.properties.number(PropertyId::SessionExpiry)
    }
}
