//! The plan: everything beside state and batch that decides what a message becomes, as the control records of `raw` built
//! it up: the rules of classes and the schemas of tenants. A record holds from its batch on.
//!
//! Stored form (little-endian): classes u32, then per class tenant 16 bytes, class text, rules as JSON (blob) | schemas
//! u32, then per schema tenant 16 bytes, record as JSON (blob) | source of schemas u8: 0 built in, 1 external.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use model::contract::{Layout, Place, SchemaRecord, SchemaSource, UnknownIds, Verdict};
use model::wire::{Reader, Short, Writer};
use model::{ClassRules, TenantId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::form::Patterns;

#[cfg(test)]
mod tests;

/// The plan in force.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    classes: BTreeMap<(TenantId, Arc<str>), Arc<ClassRules>>,
    schemas: BTreeMap<(TenantId, u32), Arc<SchemaRecord>>,
    /// The newest version of each (subject, major), by its `schema_id`.
    majors: HashMap<(TenantId, Uuid), Newest>,
    /// Avro schemas by the fingerprint of the single-object encoding.
    fingerprints: HashMap<(TenantId, u64), BTreeSet<u32>>,
    unknown: UnknownIds,
    source: SchemaSource,
    usual: Arc<ClassRules>,
    patterns: Patterns,
    /// Counts changes: what was compiled from the plan is told to be old by it.
    generation: u64,
}

#[derive(Clone, Debug)]
struct Newest {
    version: u32,
    id: u32,
}

impl Plan {
    /// The rules of a tenant's class.
    pub fn rules(&self, tenant: TenantId, class: &Arc<str>) -> &Arc<ClassRules> {
        self.classes.get(&(tenant, class.clone())).unwrap_or(&self.usual)
    }

    /// A tenant's schema by its id in the wire format.
    pub fn schema(&self, tenant: TenantId, id: u32) -> Option<&Arc<SchemaRecord>> {
        self.schemas.get(&(tenant, id))
    }

    /// Where schemas come from.
    pub fn source(&self) -> SchemaSource {
        self.source
    }

    /// Every class that has rules.
    pub fn classes(&self) -> impl Iterator<Item = (TenantId, &Arc<str>, &ClassRules)> {
        self.classes.iter().map(|((tenant, class), rules)| (*tenant, class, &**rules))
    }

    /// Every schema.
    pub fn schemas(&self) -> impl Iterator<Item = (TenantId, &SchemaRecord)> {
        self.schemas.iter().map(|((tenant, _), record)| (*tenant, &**record))
    }

    /// The newest version of a (subject, major), and which of its schema's places that is.
    pub(crate) fn newest(&self, tenant: TenantId, schema_id: Uuid) -> Option<(&Arc<SchemaRecord>, &Place)> {
        let newest = self.majors.get(&(tenant, schema_id))?;
        let record = self.schema(tenant, newest.id)?;
        let place =
            record.places.iter().find(|place| place.schema_id == schema_id && place.version == newest.version)?;
        Some((record, place))
    }

    /// The id of the Avro schema with this fingerprint. Texts that differ in what the fingerprint leaves out have the same:
    /// one of the subject that `schema_id` names is preferred, else the newest.
    pub(crate) fn by_fingerprint(&self, tenant: TenantId, fingerprint: u64, schema_id: Option<Uuid>) -> Option<u32> {
        let ids = self.fingerprints.get(&(tenant, fingerprint))?;
        let subject = schema_id.and_then(|schema_id| self.newest(tenant, schema_id)).map(|(_, place)| &place.subject);
        let is_of = |id: &&u32| {
            let places = self.schema(tenant, **id).map_or(&[][..], |record| &record.places);
            places.iter().any(|place| Some(&place.subject) == subject)
        };
        ids.iter().rev().find(is_of).or(ids.last()).copied()
    }

    /// Those that were compiled and are in use.
    pub(crate) fn patterns(&self) -> &Patterns {
        &self.patterns
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// From here on the class has these rules.
    pub fn set_rules(&mut self, tenant: TenantId, class: Arc<str>, rules: ClassRules) {
        self.generation += 1;
        self.classes.insert((tenant, class), Arc::new(rules));
    }

    /// From here on schemas come from there. Nothing that was compiled depends on it.
    pub fn set_source(&mut self, source: SchemaSource) {
        self.source = source;
    }

    /// From here on the tenant's schema with the record's id is this.
    pub fn set_schema(&mut self, tenant: TenantId, record: SchemaRecord) {
        self.generation += 1;
        for place in &record.places {
            let newest = Newest { version: place.version, id: record.id };
            let known = self.majors.entry((tenant, place.schema_id)).or_insert_with(|| newest.clone());
            if known.version <= place.version {
                *known = newest;
            }
        }
        if let Verdict::Usable(contract) = &record.contract
            && let Some(Layout::Avro(layout)) = contract.roots.first().and_then(|root| root.layout.as_ref())
        {
            self.fingerprints.entry((tenant, layout.fingerprint)).or_default().insert(record.id);
        }
        let unknown = matches!(record.contract, Verdict::Unknown);
        if let Some(forgotten) = self.unknown.told(tenant, record.id, unknown) {
            self.schemas.remove(&(tenant, forgotten));
        }
        self.schemas.insert((tenant, record.id), Arc::new(record));
    }

    /// Appends the stored form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u32(self.classes.len() as u32);
        for ((tenant, class), rules) in &self.classes {
            out.extend_from_slice(tenant.as_bytes());
            out.text(class);
            out.blob(&json(&**rules));
        }
        out.u32(self.schemas.len() as u32);
        for ((tenant, _), record) in &self.schemas {
            out.extend_from_slice(tenant.as_bytes());
            out.blob(&json(&**record));
        }
        out.u8(u8::from(self.source == SchemaSource::External));
    }

    /// Reads what [`Plan::encode`] wrote. Fails where it is cut short, has bytes left over or is of a newer version.
    pub fn decode(body: &[u8]) -> Result<Self, Short> {
        let (mut reader, mut plan) = (Reader(body), Self::default());
        for _ in 0..reader.u32()? {
            let tenant = TenantId::from_bytes(reader.array()?);
            let class = reader.text()?.into();
            plan.set_rules(tenant, class, from_json(reader.blob()?)?);
        }
        // In the order of their ids, as they are told of: of two versions the one that was said last counts.
        for _ in 0..reader.u32()? {
            let tenant = TenantId::from_bytes(reader.array()?);
            plan.set_schema(tenant, from_json(reader.blob()?)?);
        }
        plan.source = match reader.u8()? {
            0 => SchemaSource::BuiltIn,
            1 => SchemaSource::External,
            _ => return Err(Short),
        };
        if reader.0.is_empty() { Ok(plan) } else { Err(Short) }
    }
}

/// As in the control records.
pub fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("descriptions hold texts and finite numbers only")
}

pub fn from_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, Short> {
    serde_json::from_slice(text).map_err(|_| Short)
}
