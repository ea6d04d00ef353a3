//! Where one packet ends and the next begins (MQTT 5.0 section 2.1). Stateless: it looks at the bytes that are there and
//! says how many are missing, so any chunking of the stream gives the same packets.

use crate::error::Error;
use crate::reason::Reason;
use crate::wire;

/// Control packet types: the upper four bits of the first byte.
pub(crate) mod kind {
    pub const RESERVED: u8 = 0;
    pub const CONNECT: u8 = 1;
    pub const CONNACK: u8 = 2;
    pub const PUBLISH: u8 = 3;
    pub const PUBACK: u8 = 4;
    pub const PUBREC: u8 = 5;
    pub const PUBREL: u8 = 6;
    pub const PUBCOMP: u8 = 7;
    pub const SUBSCRIBE: u8 = 8;
    pub const SUBACK: u8 = 9;
    pub const UNSUBSCRIBE: u8 = 10;
    pub const UNSUBACK: u8 = 11;
    pub const PINGREQ: u8 = 12;
    pub const PINGRESP: u8 = 13;
    pub const DISCONNECT: u8 = 14;
    pub const AUTH: u8 = 15;
}

/// One packet's bytes, or how many are missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framed<'a> {
    /// The packet is not complete: it cannot be before this many bytes are there in total, counted from its first one.
    /// Within the limit that was given, so memory can be reserved for it.
    Partial(usize),
    Whole(Frame<'a>),
}

/// A whole packet, not looked into yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// Packet type and flags.
    pub first: u8,
    /// What follows the fixed header.
    pub body: &'a [u8],
    /// Bytes of the whole packet.
    pub len: usize,
}

impl Frame<'_> {
    /// The packet type.
    pub(crate) fn kind(&self) -> u8 {
        self.first >> 4
    }

    /// The four bits beside the type.
    pub(crate) fn flags(&self) -> u8 {
        self.first & 0x0F
    }
}

/// Finds the packet at the front of `input`. A packet of more than `packet_bytes_max` bytes fails as soon as its length
/// can be read. [`Error::Framing`]: the length is no number, so the stream is lost.
pub fn frame(input: &[u8], packet_bytes_max: usize) -> Result<Framed<'_>, Error> {
    let Some((&first, rest)) = input.split_first() else { return Ok(Framed::Partial(2)) };
    if first >> 4 == kind::RESERVED {
        return Err(Error::Protocol("packet type 0 does not exist"));
    }
    let (body_len, length_len) = match rest.first() {
        Some(&byte) if byte < 0x80 => (usize::from(byte), 1),
        _ => match wire::variable(rest) {
            Ok(Some((value, len))) => (value as usize, len),
            Ok(None) => return Ok(Framed::Partial(input.len() + 1)),
            Err(error) => return Err(Error::Framing(error.what())),
        },
    };
    let len = 1 + length_len + body_len;
    if len > packet_bytes_max {
        return Err(Error::Refused(Reason::PACKET_TOO_LARGE, "the packet is larger than the receiver's limit"));
    }
    match input.get(1 + length_len..len) {
        Some(body) => Ok(Framed::Whole(Frame { first, body, len })),
        None => Ok(Framed::Partial(len)),
    }
}
