//! Under which schema, and in which format, a payload is read.
//!
//! A payload that begins with a zero byte is in the Confluent wire format: behind it the id of its schema (big-endian).
//! None of JSON, MessagePack, CBOR and Protobuf begins a message so; of Avro a bare datum can, and is one unless the tenant
//! has a schema of that id (or, with an external registry, may have). An Avro payload may also be in the single-object encoding. Everything else is read under what
//! the device, or its class, names.

use model::contract::{Contract, Language, SchemaSource, Verdict};
use model::{Format, PayloadKind, Reason};

use super::{Payload, Pipeline};
use crate::encoded::message_indexes;
use crate::lane::LaneKey;

/// What a payload in the wire format begins with: 0, and the id.
const WIRE_BYTES: usize = 5;

type Refusal = (Reason, String);

impl Pipeline {
    /// Sets the payload's lane and head, and says how its body is encoded.
    #[inline]
    pub(super) fn choose(&mut self, payload: &mut Payload<'_>) -> Result<Format, Refusal> {
        let format = payload.group.format;
        if payload.group.kind == PayloadKind::Events {
            let table = &mut self.tables.list[payload.group.table as usize];
            payload.lane = Some(table.lane(LaneKey::default(), &self.plan));
            return match format {
                Format::Avro | Format::Protobuf => {
                    Err((Reason::FormatUnsupported, "an event has no schema".to_owned()))
                }
                _ => Ok(format),
            };
        }
        let cohort = self.devices.cohorts.get(payload.group.route.cohort);
        let lane = match cohort.lane(self.plan.generation()) {
            Some(lane) => lane,
            None => self.find_lane(payload),
        };
        payload.lane = Some(lane);
        if format != Format::Avro && payload.bytes.first() != Some(&0) {
            return self.own(payload, lane);
        }
        self.named_by(payload, lane)
    }

    /// The lane of a device.
    #[cold]
    fn find_lane(&mut self, payload: &Payload<'_>) -> u32 {
        let cohort = self.devices.cohorts.get_mut(payload.group.route.cohort);
        let table = &mut self.tables.list[payload.group.table as usize];
        let schema_id = cohort.profile.schema_id.or(table.rules.schema_id);
        let lane = table.lane(LaneKey { schema_id, written: None }, &self.plan);
        cohort.set_lane(self.plan.generation(), lane);
        lane
    }

    /// The payload does not say its schema.
    #[inline]
    fn own(&self, payload: &Payload<'_>, lane: u32) -> Result<Format, Refusal> {
        let lane = &self.tables.list[payload.group.table as usize].lanes[lane as usize];
        if let Some(refusal) = &lane.refused {
            return Err(refusal.clone());
        }
        let format = payload.group.format;
        match (format, lane.language) {
            (Format::Avro, Some(Language::Avro)) | (Format::Protobuf, Some(Language::Protobuf)) => Ok(format),
            (Format::Avro | Format::Protobuf, None) => Err((Reason::FormatUnsupported, String::new())),
            (Format::Avro | Format::Protobuf, Some(language)) => {
                let name = match language {
                    Language::Avro => "an Avro schema",
                    Language::Json => "a JSON Schema",
                    Language::Protobuf => "a Protobuf schema",
                };
                Err((Reason::FormatUnsupported, format!("the device has {name}")))
            }
            _ => Ok(format),
        }
    }

    /// The payload may say its schema.
    fn named_by(&mut self, payload: &mut Payload<'_>, own: u32) -> Result<Format, Refusal> {
        let tenant = self.tables.list[payload.group.table as usize].tenant;
        let bytes = payload.bytes;
        let id = match bytes {
            [0, a, b, c, d, ..] => Some(u32::from_be_bytes([*a, *b, *c, *d])),
            _ => None,
        };
        if payload.group.format == Format::Avro {
            let key = self.tables.list[payload.group.table as usize].lanes[own as usize].key;
            let unknown = |contract: &Verdict| matches!(contract, Verdict::Unknown);
            let is_known = |id: &u32| self.plan.schema(tenant, *id).is_some_and(|record| !unknown(&record.contract));
            if let Some(id) = id.filter(is_known) {
                return self.written(payload, own, id, WIRE_BYTES);
            }
            if let Some(id) = id.filter(|id| self.plan.schema(tenant, *id).is_none())
                && self.plan.source() == SchemaSource::External
            {
                return Err(not_told(id));
            }
            if let [0xC3, 0x01, rest @ ..] = bytes
                && let Some(fingerprint) = rest.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
                && let Some(id) = self.plan.by_fingerprint(tenant, fingerprint, key.schema_id)
            {
                return self.written(payload, own, id, 2 + 8);
            }
            let names_one = bytes.first() == Some(&0) || bytes.starts_with(&[0xC3, 0x01]);
            if names_one && key.schema_id.is_none() {
                let detail = "the payload names a schema that the tenant does not have".to_owned();
                return Err((Reason::SchemaUnknown, detail));
            }
            return self.own(payload, own);
        }
        match id {
            Some(id) => self.written(payload, own, id, WIRE_BYTES),
            None => {
                let detail = format!("a payload that begins with a zero byte names its schema in {WIRE_BYTES} bytes");
                Err((Reason::NotWellFormed, detail))
            }
        }
    }

    /// The payload names this schema, and its message begins behind so many bytes.
    fn written(&mut self, payload: &mut Payload<'_>, own: u32, id: u32, head: usize) -> Result<Format, Refusal> {
        let table = &mut self.tables.list[payload.group.table as usize];
        payload.lane = None;
        let Some(record) = self.plan.schema(table.tenant, id) else {
            return Err(match self.plan.source() {
                SchemaSource::BuiltIn => (Reason::SchemaUnknown, format!("there is no schema {id}")),
                SchemaSource::External => not_told(id),
            });
        };
        let (root, indexes) = match &record.contract {
            Verdict::Usable(contract) if contract.language == Language::Protobuf => {
                message_type(contract, &payload.bytes[head..])?
            }
            _ => (0, 0),
        };
        let schema_id = table.lanes[own as usize].key.schema_id;
        let number = table.lane(LaneKey { schema_id, written: Some((id, root)) }, &self.plan);
        let lane = &table.lanes[number as usize];
        payload.lane = Some(number);
        if let Some(refusal) = &lane.refused {
            return Err(refusal.clone());
        }
        payload.head = head + indexes;
        Ok(match lane.language {
            Some(Language::Avro) => Format::Avro,
            Some(Language::Protobuf) => Format::Protobuf,
            _ => Format::Json,
        })
    }
}

/// The external registry has not been asked yet, or did not answer.
fn not_told(id: u32) -> Refusal {
    (Reason::SchemaUnavailable, format!("the external registry has not said yet what schema {id} is"))
}

/// The position of the message type that a Protobuf payload names, and how many bytes that takes.
fn message_type(contract: &Contract, body: &[u8]) -> Result<(u32, usize), Refusal> {
    // Nearly always the first one, in one byte.
    if body.first() == Some(&0) && contract.roots.first().is_some_and(|root| root.indexes == [0]) {
        return Ok((0, 1));
    }
    let (indexes, len) = message_indexes(body).map_err(|what| (Reason::NotWellFormed, what))?;
    match contract.roots.iter().position(|root| root.indexes == indexes) {
        Some(root) => Ok((root as u32, len)),
        None => {
            let detail = format!("the schema has no message type at {indexes:?} that has metrics");
            Err((Reason::NotWellFormed, detail))
        }
    }
}
