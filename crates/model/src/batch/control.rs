//! Control records: what the log must say about itself, so that reading it again gives the same answer.

use std::sync::Arc;

use super::{DeviceIndex, Reader, SessionKey, Short, Source, Writer};
use crate::ids::{DeviceId, TenantId};

/// A device in a binding: index and id.
const DEVICE_BYTES: usize = 4 + 16;

/// A control record of `raw`.
///
/// Stored as tag u8, length u32, then: 2 plan: version u64, bytes · 3 held: session u128, packet id u16, payload hash
/// u128 · 4 released: session u128, packet id u16 · 5 session ended: session u128 · 6 bind topic: index u32, tenant 16
/// bytes, topic text · 7 bind devices: tenant 16 bytes, class text, per device index u32 and id 16 bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Control {
    /// From here on each index stands for its device, of this class. Each segment repeats the binding of every index that
    /// it uses: with a large fleet nearly every message needs one, so that a batch has one record for each class.
    BindDevices { tenant: TenantId, class: Arc<str>, devices: Vec<(DeviceIndex, DeviceId)> },
    /// From here on `index` stands for a free topic; repeated as above.
    BindTopic { index: DeviceIndex, tenant: TenantId, topic: Arc<str> },
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
    /// Binds one index.
    pub fn bind(index: DeviceIndex, source: Source) -> Self {
        match source {
            Source::Device { tenant, device, class } => {
                Self::BindDevices { tenant, class, devices: vec![(index, device)] }
            }
            Source::Topic { tenant, topic } => Self::BindTopic { index, tenant, topic },
        }
    }

    /// The indices that the record binds, and what each stands for.
    pub fn bindings(&self) -> impl Iterator<Item = (DeviceIndex, Source)> + '_ {
        let devices = match self {
            Self::BindDevices { tenant, class, devices } => Some((tenant, class, devices)),
            _ => None,
        };
        let topic = match self {
            Self::BindTopic { index, tenant, topic } => {
                Some((*index, Source::Topic { tenant: *tenant, topic: topic.clone() }))
            }
            _ => None,
        };
        let devices = devices.into_iter().flat_map(|(tenant, class, devices)| {
            let source = |device| Source::Device { tenant: *tenant, device, class: class.clone() };
            devices.iter().map(move |(index, device)| (*index, source(*device)))
        });
        devices.chain(topic)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.u8(0);
        out.u32(0);
        let tag = match self {
            Self::BindDevices { tenant, class, devices } => {
                out.extend_from_slice(tenant.as_bytes());
                out.text(class);
                for (index, device) in devices {
                    out.u32(index.0);
                    out.extend_from_slice(device.as_bytes());
                }
                7
            }
            Self::BindTopic { index, tenant, topic } => {
                out.u32(index.0);
                out.extend_from_slice(tenant.as_bytes());
                out.text(topic);
                6
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
            2 => {
                let version = body.u64()?;
                Self::Plan { version, body: std::mem::take(&mut body.0).to_vec() }
            }
            3 => Self::Held { session: SessionKey(body.u128()?), packet_id: body.u16()?, payload_hash: body.u128()? },
            4 => Self::Released { session: SessionKey(body.u128()?), packet_id: body.u16()? },
            5 => Self::SessionEnded { session: SessionKey(body.u128()?) },
            6 => {
                let (index, tenant) = (DeviceIndex(body.u32()?), TenantId::from_bytes(body.array()?));
                Self::BindTopic { index, tenant, topic: body.text()?.into() }
            }
            7 => {
                let (tenant, class) = (TenantId::from_bytes(body.array()?), body.text()?.into());
                let mut devices = Vec::with_capacity(body.0.len() / DEVICE_BYTES);
                while !body.0.is_empty() {
                    devices.push((DeviceIndex(body.u32()?), DeviceId::from_bytes(body.array()?)));
                }
                Self::BindDevices { tenant, class, devices }
            }
            _ => return Err(Short),
        };
        if body.0.is_empty() { Ok(control) } else { Err(Short) }
    }
}
