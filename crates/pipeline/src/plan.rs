//! The plan: everything beside state and batch that decides what a message becomes. Its parts travel through `raw` as
//! [`model::Control::Class`] and hold from their batch on.
//!
//! Stored form (little-endian): format u8 = 1 | default class plan | count u32 | count × (tenant 16 bytes, class text,
//! class plan). A class plan is a blob (length u32, bytes), so that a later version can add to its end: unknown fields
//! u8 (1 keep, 2 drop, 3 reject). Compiled schemas take their place behind it.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::wire::{Reader, Short, Writer};
use model::{TenantId, UnknownFields};

#[cfg(test)]
mod tests;

const FORMAT: u8 = 1;

/// What holds for the messages of one class.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClassPlan {
    pub unknown_fields: UnknownFields,
}

/// The plan in force.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// For classes that have none of their own.
    pub default: ClassPlan,
    pub classes: BTreeMap<(TenantId, Arc<str>), ClassPlan>,
}

impl Plan {
    /// The plan of a tenant's class.
    pub fn class(&self, tenant: TenantId, class: &Arc<str>) -> &ClassPlan {
        self.classes.get(&(tenant, class.clone())).unwrap_or(&self.default)
    }

    /// Appends the stored form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u8(FORMAT);
        self.default.encode(out);
        out.u32(self.classes.len() as u32);
        for ((tenant, class), plan) in &self.classes {
            out.extend_from_slice(tenant.as_bytes());
            out.text(class);
            plan.encode(out);
        }
    }

    /// Reads what [`Plan::encode`] wrote. Fails where it is cut short, has bytes left over or is of a newer format.
    pub fn decode(body: &[u8]) -> Result<Self, Short> {
        let mut reader = Reader(body);
        if reader.u8()? != FORMAT {
            return Err(Short);
        }
        let default = ClassPlan::decode(&mut reader)?;
        let mut classes = BTreeMap::new();
        for _ in 0..reader.u32()? {
            let tenant = TenantId::from_bytes(reader.array()?);
            let class = reader.text()?.into();
            classes.insert((tenant, class), ClassPlan::decode(&mut reader)?);
        }
        if reader.0.is_empty() { Ok(Self { default, classes }) } else { Err(Short) }
    }
}

impl ClassPlan {
    fn encode(&self, out: &mut Vec<u8>) {
        let unknown_fields = match self.unknown_fields {
            UnknownFields::Keep => 1,
            UnknownFields::Drop => 2,
            UnknownFields::Reject => 3,
        };
        out.blob(&[unknown_fields]);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Short> {
        let mut body = Reader(reader.blob()?);
        let unknown_fields = match body.u8()? {
            1 => UnknownFields::Keep,
            2 => UnknownFields::Drop,
            3 => UnknownFields::Reject,
            _ => return Err(Short),
        };
        if body.0.is_empty() { Ok(Self { unknown_fields }) } else { Err(Short) }
    }
}
