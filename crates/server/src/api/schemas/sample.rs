//! What would become of a sample under a schema: it goes through a pipeline of its own, which knows this schema and the
//! rules of one class and has seen nothing. Nothing is stored, and no server is needed.

use std::sync::Arc;

use model::contract::{Language, Place, SchemaRecord, Verdict};
use model::dead_letter::Entry;
use model::limits::PAYLOAD_BYTES_MAX;
use model::normalized::{self, Normalized, NormalizedRow};
use model::{
    BatchPool, BatchView, ClassRules, Control, DeadLetter, DeviceId, DeviceIndex, Format, GroupFlags, GroupKey, Millis,
    PayloadKind, Reason, RowFlags, Source, TenantId,
};
use pipeline::{Counts, Output, Pipeline, Plan};
use registry::{MetricUnits, TenantRules};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::api::stream::{parsed, shown};
use crate::line::PARTITION;

pub mod sent;

#[cfg(test)]
mod tests;

/// Readings and dead letters that are shown; the counts are of all.
const SHOWN_MAX: usize = 100;
/// In the wire format a zero byte and the number of the schema stand before the message.
const WIRE_BYTES: usize = 5;

const DEVICE: DeviceIndex = DeviceIndex(0);
const CLASS: &str = "sample";
const SCHEMA: Uuid = Uuid::nil();

/// A payload to try a schema on.
#[derive(Clone, Debug)]
pub struct Sample {
    bytes: Vec<u8>,
    format: Format,
}

/// A schema as if it were registered, as the only one.
pub fn as_registered(contract: Verdict) -> SchemaRecord {
    let place = Place { subject: "sample".to_owned(), version: 1, major: 1, schema_id: SCHEMA };
    SchemaRecord { id: 1, places: vec![place], contract }
}

/// The format of samples that nothing else says it of.
pub fn usual_format(language: Language) -> Format {
    match language {
        Language::Avro => Format::Avro,
        Language::Json => Format::Json,
        Language::Protobuf => Format::Protobuf,
    }
}

impl Sample {
    /// An error, in a sentence, if a payload cannot be that long.
    pub fn new(bytes: Vec<u8>, format: Format) -> Result<Self, String> {
        if bytes.len() > PAYLOAD_BYTES_MAX {
            return Err(format!("the sample has {} bytes: a payload has at most {PAYLOAD_BYTES_MAX}", bytes.len()));
        }
        Ok(Self { bytes, format })
    }

    /// What would become of it under this schema, if a device of a class with these rules had sent it. The schema is taken
    /// to be the one that a sample in the wire format names.
    pub fn try_under(&self, schema: &SchemaRecord, rules: &ClassRules, received: Millis) -> Value {
        let Some(named) = self.named_id() else { return self.sent(schema.id, schema, rules, received).describe(None) };
        let wire = self.sent(named, schema, rules, received);
        // An Avro datum may begin with a zero byte without being in the wire format.
        if self.format == Format::Avro && wire.counts.rejected > 0 {
            let bare = self.sent(named.wrapping_add(1), schema, rules, received);
            if bare.counts.rejected == 0 || wire.is_not_well_formed() {
                return bare.describe(None);
            }
        }
        wire.describe(Some(named))
    }

    /// The schema that the payload names, if it is in the wire format.
    fn named_id(&self) -> Option<u32> {
        let head: &[u8; WIRE_BYTES] = self.bytes.first_chunk()?;
        (head[0] == 0).then_some(u32::from_be_bytes([head[1], head[2], head[3], head[4]]))
    }

    fn sent(&self, id: u32, schema: &SchemaRecord, rules: &ClassRules, received: Millis) -> Outcome {
        let (tenant, device) = (TenantId::from_bytes([0; 16]), DeviceId::from_bytes([0; 16]));
        let class: Arc<str> = CLASS.into();
        let mut plan = Plan::default();
        plan.set_schema(tenant, SchemaRecord { id, ..schema.clone() });
        plan.set_rules(tenant, class.clone(), rules.clone());
        let mut pipeline = Pipeline::new(PARTITION, plan);
        let mut batch = BatchPool::default().builder();
        batch.control(&Control::bind(DEVICE, Source::Device { tenant, device, class }));
        let (kind, format, flags) = (PayloadKind::Data, self.format, GroupFlags::default());
        batch.push(GroupKey { device: DEVICE, kind, format, flags }, &self.bytes);
        let batch = batch.seal(received);
        let view = BatchView::parse(batch.body()).expect("a batch that our own builder closed");
        let mut output = Output::default();
        pipeline.process(0, view, &mut output);

        let mut stored = Vec::new();
        output.rows.iter().for_each(|rows| normalized::encode(rows, |_| device, &mut stored));
        let letter = |entry| if let Entry::Letter(letter) = entry { Some(letter) } else { None };
        Outcome {
            tables: normalized::decode(&stored).expect("what was encoded just now"),
            letters: output.dead.drain(..).filter_map(letter).collect(),
            counts: output.counts,
            units: units(schema, rules),
        }
    }
}

/// What became of a sample.
struct Outcome {
    tables: Vec<Normalized>,
    letters: Vec<DeadLetter>,
    counts: Counts,
    units: MetricUnits,
}

impl Outcome {
    fn is_not_well_formed(&self) -> bool {
        self.letters.iter().any(|letter| letter.reason == Reason::NotWellFormed)
    }

    fn describe(&self, wire_id: Option<u32>) -> Value {
        let rows = self.tables.iter().flat_map(|table| table.rows.iter().map(move |row| (table, row)));
        let readings = rows.take(SHOWN_MAX).map(|(table, row)| self.reading(table, row));
        let letters = self.letters.iter().take(SHOWN_MAX).map(dead_letter);
        json!({
            "wire_id": wire_id, "accepted": self.counts.accepted, "duplicates": self.counts.duplicates,
            "rejected": self.counts.rejected, "readings": readings.collect::<Vec<_>>(),
            "dead_letters": letters.collect::<Vec<_>>(),
        })
    }

    fn reading(&self, table: &Normalized, row: &NormalizedRow) -> Value {
        let metric = |(at, value): &(u32, normalized::Value)| {
            let column = &table.columns[*at as usize];
            let unit = self.units.unit(CLASS, Some(SCHEMA), &column.name);
            (column.name.to_string(), json!({"value": shown(value), "unit": unit, "type": column.kind.name()}))
        };
        json!({
            "index": row.index, "ts": row.ts, "ts_received": row.flags.has(RowFlags::TS_RECEIVED), "seq": row.seq,
            "boot": row.boot, "buffered": row.flags.has(RowFlags::BUFFERED),
            "tags": row.tags.as_deref().and_then(parsed).unwrap_or_else(|| json!({})),
            "metrics": row.values.iter().map(metric).collect::<Map<_, _>>(),
        })
    }
}

/// The units of the only class.
fn units(schema: &SchemaRecord, rules: &ClassRules) -> MetricUnits {
    MetricUnits::of(&TenantRules { schemas: vec![schema.clone()], classes: vec![(CLASS.into(), rules.clone())] })
}

fn dead_letter(letter: &DeadLetter) -> Value {
    let detail = if letter.detail.is_empty() { letter.reason.sentence() } else { &letter.detail };
    json!({
        "index": letter.address.index, "reason": letter.reason.code(), "sentence": letter.reason.sentence(),
        "detail": detail, "path": letter.path,
    })
}
