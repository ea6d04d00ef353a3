//! Control records: what the log must say about itself, so that reading it again gives the same answer.

use super::{DeviceIndex, Reader, SessionKey, Short, Source, Writer};

/// A control record of `raw`.
///
/// Stored as tag u8, length u32, then: 1 bind: index u32, source · 2 plan: version u64, bytes · 3 held: session u128,
/// packet id u16, payload hash u128 · 4 released: session u128, packet id u16 · 5 session ended: session u128.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Control {
    /// From here on `index` stands for `source`. Each segment repeats the binding of every index that it uses.
    Bind { index: DeviceIndex, source: Source },
    /// From here on the pipeline uses this immutable plan.
    Plan { version: u64, body: Vec<u8> },
    /// MQTT QoS 2: `packet_id` awaits PUBREL in this session, for a payload with this 128-bit hash.
    Held { session: SessionKey, packet_id: u16, payload_hash: u128 },
    /// MQTT QoS 2: `packet_id` was released by PUBREL.
    Released { session: SessionKey, packet_id: u16 },
    /// The session was discarded with all its packet ids.
    SessionEnded { session: SessionKey },
}

impl Control {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.u8(0);
        out.u32(0);
        let tag = match self {
            Self::Bind { index, source } => {
                out.u32(index.0);
                source.encode(out);
                1
            }
            Self::Plan { version, body } => {
                out.u64(*version);
                out.extend_from_slice(body);
                2
            }
            Self::Held { session, packet_id, payload_hash } => {
                out.u128(session.0);
                out.u16(*packet_id);
                out.u128(*payload_hash);
                3
            }
            Self::Released { session, packet_id } => {
                out.u128(session.0);
                out.u16(*packet_id);
                4
            }
            Self::SessionEnded { session } => {
                out.u128(session.0);
                5
            }
        };
        let len = (out.len() - start - 5) as u32;
        out[start] = tag;
        out[start + 1..start + 5].copy_from_slice(&len.to_le_bytes());
    }

    pub(super) fn decode(input: &mut &[u8]) -> Result<Self, Short> {
        let mut reader = Reader(input);
        let tag = reader.u8()?;
        let mut body = Reader(reader.blob()?);
        *input = reader.0;
        let control = match tag {
            1 => {
                let index = DeviceIndex(body.u32()?);
                let source = Source::decode(&mut body.0)?;
                Self::Bind { index, source }
            }
            2 => {
                let version = body.u64()?;
                Self::Plan { version, body: std::mem::take(&mut body.0).to_vec() }
            }
            3 => Self::Held { session: SessionKey(body.u128()?), packet_id: body.u16()?, payload_hash: body.u128()? },
            4 => Self::Released { session: SessionKey(body.u128()?), packet_id: body.u16()? },
            5 => Self::SessionEnded { session: SessionKey(body.u128()?) },
            _ => return Err(Short),
        };
        if body.0.is_empty() { Ok(control) } else { Err(Short) }
    }
}
