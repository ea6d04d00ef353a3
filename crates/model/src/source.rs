//! Who a payload came from.

use std::sync::Arc;

use crate::ids::{DeviceId, TenantId};
use crate::wire::{Reader, Short, Writer};

/// What a [`crate::DeviceIndex`] stands for. Immutable: a device that changes its class gets a new index, so that
/// rows keep the class under which they were received.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Source {
    /// A registered device, under the class that it had when it connected.
    Device { tenant: TenantId, device: DeviceId, class: Arc<str> },
    /// A free topic: local to its tenant, journaled and delivered, not readings.
    Topic { tenant: TenantId, topic: Arc<str> },
}

impl Source {
    /// The tenant on whose side of the wall this source is.
    pub fn tenant(&self) -> TenantId {
        match self {
            Self::Device { tenant, .. } | Self::Topic { tenant, .. } => *tenant,
        }
    }

    /// The device, unless the source is a free topic.
    pub fn device(&self) -> Option<DeviceId> {
        match self {
            Self::Device { device, .. } => Some(*device),
            Self::Topic { .. } => None,
        }
    }

    /// Appends the stored form: tag u8 (1 device, 2 topic), tenant 16 bytes, then device 16 bytes and class, or topic
    /// (texts as length u32 and UTF-8).
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Device { tenant, device, class } => {
                out.u8(1);
                out.extend_from_slice(tenant.as_bytes());
                out.extend_from_slice(device.as_bytes());
                out.text(class);
            }
            Self::Topic { tenant, topic } => {
                out.u8(2);
                out.extend_from_slice(tenant.as_bytes());
                out.text(topic);
            }
        }
    }

    /// Reads what [`Source::encode`] wrote from the front of `input` and moves `input` behind it.
    pub fn decode(input: &mut &[u8]) -> Result<Self, Short> {
        let mut reader = Reader(input);
        let tag = reader.u8()?;
        let tenant = TenantId::from_bytes(reader.array()?);
        let source = match tag {
            1 => Self::Device { tenant, device: DeviceId::from_bytes(reader.array()?), class: reader.text()?.into() },
            2 => Self::Topic { tenant, topic: reader.text()?.into() },
            _ => return Err(Short),
        };
        *input = reader.0;
        Ok(source)
    }
}
