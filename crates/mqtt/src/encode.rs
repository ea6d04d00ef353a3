//! Packets into bytes. Every function appends one whole packet to `out` and allocates nothing else.

use crate::frame::kind;
use crate::packet::Version;
use crate::property::{self, Property, PropertyId, Value};
use crate::reason::Reason;
use crate::wire::{VARIABLE_MAX, put_u16, variable_bytes};

/// PUBACK, PUBREC, PUBREL or PUBCOMP by the first byte of the packet. A reason is only sent where it says something.
pub(crate) fn ack(out: &mut Vec<u8>, first: u8, packet_id: u16, version: Version, reason: Reason) {
    let [high, low] = packet_id.to_be_bytes();
    if reason == Reason::SUCCESS || version == Version::V3 {
        out.extend_from_slice(&[first, 2, high, low]);
    } else {
        out.extend_from_slice(&[first, 3, high, low, reason.0]);
    }
}

pub(crate) const PUBACK: u8 = kind::PUBACK << 4;
pub(crate) const PUBREC: u8 = kind::PUBREC << 4;
pub(crate) const PUBREL: u8 = kind::PUBREL << 4 | 2;
pub(crate) const PUBCOMP: u8 = kind::PUBCOMP << 4;

pub(crate) fn pingreq(out: &mut Vec<u8>) {
    out.extend_from_slice(&[kind::PINGREQ << 4, 0]);
}

pub(crate) fn pingresp(out: &mut Vec<u8>) {
    out.extend_from_slice(&[kind::PINGRESP << 4, 0]);
}

/// DISCONNECT; 3.1.1 has no reason.
pub(crate) fn disconnect(out: &mut Vec<u8>, version: Version, reason: Reason) {
    if reason == Reason::SUCCESS || version == Version::V3 {
        out.extend_from_slice(&[kind::DISCONNECT << 4, 0]);
    } else {
        out.extend_from_slice(&[kind::DISCONNECT << 4, 1, reason.0]);
    }
}

/// A CONNACK that refuses, in the form of 3.1.1.
pub(crate) fn refuse_connect_v3(out: &mut Vec<u8>, return_code: u8) {
    out.extend_from_slice(&[kind::CONNACK << 4, 2, 0, return_code]);
}

/// A CONNACK that refuses, in the form of 5.0.
pub(crate) fn refuse_connect_v5(out: &mut Vec<u8>, reason: Reason) {
    out.extend_from_slice(&[kind::CONNACK << 4, 3, 0, reason.0, 0]);
}

/// A CONNACK that accepts. `properties` are those of 5.0, in the order in which they are to be sent.
pub(crate) fn accept_connect(
    out: &mut Vec<u8>,
    version: Version,
    session_present: bool,
    properties: &mut dyn FnMut(&mut Vec<u8>),
) {
    out.push(kind::CONNACK << 4);
    body(out, |out| {
        out.extend_from_slice(&[u8::from(session_present), 0]);
        if version == Version::V5 {
            body(out, properties);
        }
    });
}

/// SUBACK: one code for each filter, and a reason in words for a person. 3.1.1 knows one failure and no words.
pub(crate) fn suback(out: &mut Vec<u8>, version: Version, packet_id: u16, codes: &[Reason], words: Option<&str>) {
    out.push(kind::SUBACK << 4);
    body(out, |out| {
        put_u16(out, packet_id);
        match version {
            Version::V3 => out.extend(codes.iter().map(|code| if code.is_failure() { 0x80 } else { code.0 })),
            Version::V5 => {
                body(out, |out| {
                    if let Some(words) = words {
                        property::put(out, Property { id: PropertyId::ReasonString, value: Value::Text(words) });
                    }
                });
                out.extend(codes.iter().map(|code| code.0));
            }
        }
    });
}

/// UNSUBACK: one code for each filter; 3.1.1 has none.
pub(crate) fn unsuback(out: &mut Vec<u8>, version: Version, packet_id: u16, codes: &[Reason]) {
    out.push(kind::UNSUBACK << 4);
    body(out, |out| {
        put_u16(out, packet_id);
        if version == Version::V5 {
            out.push(0);
            out.extend(codes.iter().map(|code| code.0));
        }
    });
}

/// Appends what `write` writes with its length in front. For packets off the hot path: the length is known last.
pub(crate) fn body(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.push(0);
    write(out);
    let len = (out.len() - start - 1) as u32;
    assert!(len <= VARIABLE_MAX, "callers bound what they write by the receiver's packet limit");
    let (head, head_len) = variable_bytes(len);
    out.splice(start..=start, head[..head_len].iter().copied());
}
