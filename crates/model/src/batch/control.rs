//! Control records: what the log must say about itself, so that reading it again gives the same answer.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{DeviceIndex, Reader, SessionKey, Short, Source, Writer};
use crate::contract::{SchemaRecord, SchemaSource};
use crate::ids::{DeviceId, TenantId};
use crate::rules::{ClassRules, Profile};

/// A device in a binding: index and id.
const DEVICE_BYTES: usize = 4 + 16;

/// A control record of `raw`.
///
/// Stored as tag u8, length u32, then: 3 held: session u128, packet id u16, payload hash u128 · 4 released: session u128,
/// packet id u16 · 5 session ended: session u128 · 6 bind topic: index u32, tenant 16 bytes, topic text · 7 bind devices:
/// tenant 16 bytes, class text, profile JSON (empty: the default), per device index u32 and id 16 bytes · 8 schema: tenant
/// 16 bytes, JSON · 9 class: tenant 16 bytes, class text, JSON · 10 schema source: u8 (0 built in, 1 external).
#[derive(Clone, PartialEq, Debug)]
pub enum Control {
    /// From here on each index stands for its device, of this class and with this profile. Each segment repeats the binding of every index that
    /// it uses: with a large fleet nearly every message needs one, so that a batch has one record for each class.
    BindDevices { tenant: TenantId, class: Arc<str>, profile: Arc<Profile>, devices: Vec<(DeviceIndex, DeviceId)> },
    /// From here on `index` stands for a free topic; repeated as above.
    BindTopic { index: DeviceIndex, tenant: TenantId, topic: Arc<str> },
    /// From here on the tenant's schema with this id is this; said once, and again when it has more places.
    Schema { tenant: TenantId, record: Box<SchemaRecord> },
    /// From here on schemas come from there: it says what an id means that no record told of.
    SchemaSource(SchemaSource),
    /// From here on the class has these rules.
    Class { tenant: TenantId, class: Arc<str>, rules: Box<ClassRules> },
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
                Self::BindDevices { tenant, class, profile: Arc::default(), devices: vec![(index, device)] }
            }
            Source::Topic { tenant, topic } => Self::BindTopic { index, tenant, topic },
        }
    }

    /// At most the bytes that binding one device or topic by itself takes.
    pub fn binding_bytes(source: &Source, profile: &Profile) -> usize {
        const HEAD: usize = 1 + 4 + 16 + 4 + 4;
        match source {
            Source::Device { class, .. } => HEAD + class.len() + json(profile).len() + DEVICE_BYTES,
            Source::Topic { topic, .. } => HEAD + topic.len(),
        }
    }

    /// The indices that the record binds, and what each stands for.
    pub fn bindings(&self) -> impl Iterator<Item = (DeviceIndex, Source)> + '_ {
        let devices = match self {
            Self::BindDevices { tenant, class, devices, .. } => Some((tenant, class, devices)),
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
            Self::BindDevices { tenant, class, profile, devices } => {
                out.extend_from_slice(tenant.as_bytes());
                out.text(class);
                let usual = **profile == Profile::default();
                out.blob(&if usual { Vec::new() } else { json(&**profile) });
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
            Self::Schema { tenant, record } => {
                out.extend_from_slice(tenant.as_bytes());
                out.extend_from_slice(&json(record));
                8
            }
            Self::Class { tenant, class, rules } => {
                out.extend_from_slice(tenant.as_bytes());
                out.text(class);
                out.extend_from_slice(&json(rules));
                9
            }
            Self::SchemaSource(source) => {
                out.u8(match source {
                    SchemaSource::BuiltIn => 0,
                    SchemaSource::External => 1,
                });
                10
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
            3 => Self::Held { session: SessionKey(body.u128()?), packet_id: body.u16()?, payload_hash: body.u128()? },
            4 => Self::Released { session: SessionKey(body.u128()?), packet_id: body.u16()? },
            5 => Self::SessionEnded { session: SessionKey(body.u128()?) },
            6 => {
                let (index, tenant) = (DeviceIndex(body.u32()?), TenantId::from_bytes(body.array()?));
                Self::BindTopic { index, tenant, topic: body.text()?.into() }
            }
            7 => {
                let (tenant, class) = (TenantId::from_bytes(body.array()?), body.text()?.into());
                let profile = match body.blob()? {
                    [] => Arc::default(),
                    text => Arc::new(from_json(text)?),
                };
                let mut devices = Vec::with_capacity(body.0.len() / DEVICE_BYTES);
                while !body.0.is_empty() {
                    devices.push((DeviceIndex(body.u32()?), DeviceId::from_bytes(body.array()?)));
                }
                Self::BindDevices { tenant, class, profile, devices }
            }
            8 => {
                let tenant = TenantId::from_bytes(body.array()?);
                Self::Schema { tenant, record: from_json(std::mem::take(&mut body.0))? }
            }
            9 => {
                let (tenant, class) = (TenantId::from_bytes(body.array()?), body.text()?.into());
                Self::Class { tenant, class, rules: from_json(std::mem::take(&mut body.0))? }
            }
            10 => Self::SchemaSource(match body.u8()? {
                0 => SchemaSource::BuiltIn,
                1 => SchemaSource::External,
                _ => return Err(Short),
            }),
            _ => return Err(Short),
        };
        if body.0.is_empty() { Ok(control) } else { Err(Short) }
    }
}

/// Rare records are JSON: a person can read them in a dump, and a later version can add to them.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("descriptions hold texts and finite numbers only")
}

fn from_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, Short> {
    serde_json::from_slice(text).map_err(|_| Short)
}
