//! Payloads of every format under schemas of every language, and events.
//!
//! The first byte chooses format, schema and kind; then payloads with 0xFF between them, each from a device of its own,
//! through one pipeline. The plan has an Avro schema (id 7), one of Protobuf (8) and a JSON Schema (9), which a payload in
//! the wire format may name.
//!
//! Holds: no panic, and none that a stage had to catch; the counts add up; what a payload becomes does not depend on those
//! before it, whose shapes and columns the pipeline has learned.

use std::sync::LazyLock;

use model::contract::{Language, Place, SchemaRecord, Verdict};
use model::{ClassRules, Format, Offset, PayloadKind, Rows};
use pipeline::{Output, Plan};
use registry::schema::Schema;
use uuid::Uuid;

use crate::input::Input;
use crate::payloads::{self, PAYLOADS_MAX};

const AVRO: &str = r#"{"type": "record", "name": "Pump", "fields": [
    {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "seq", "type": "long"},
    {"name": "temp", "type": "double", "minimum": -40, "maximum": 125},
    {"name": "count", "type": "long"},
    {"name": "on", "type": "boolean"},
    {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["idle", "busy"]}},
    {"name": "pressure", "type": ["null", "double"], "default": null},
    {"name": "tags", "type": {"type": "map", "values": "string"}, "default": {}},
    {"name": "motor", "type": ["null", {"type": "record", "name": "Motor", "fields": [
        {"name": "amps", "type": "float"}, {"name": "label", "type": "string", "default": "m"}]}], "default": null}
]}"#;

const PROTOBUF: &str = r#"syntax = "proto3"; message Pump {
    int64 ts = 1; uint64 seq = 2; double temp = 3; sint64 count = 4; bool on = 5;
    State state = 6; optional double pressure = 7; Motor motor = 8; map<string, string> tags = 9;
    enum State { IDLE = 0; BUSY = 1; } message Motor { float amps = 1; string label = 2; fixed32 turns = 3; }
} message Other { int32 x = 1; }"#;

const JSON: &str = r#"{"type": "object", "properties": {
    "ts": {"type": "integer"}, "seq": {"type": "integer"},
    "temp": {"type": "number", "minimum": -40, "maximum": 125}, "count": {"type": "integer", "multipleOf": 1},
    "on": {"type": "boolean"}, "state": {"enum": ["idle", "busy"]},
    "pressure": {"type": ["number", "null"], "default": 1.5},
    "motor": {"type": "object", "properties": {"label": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 8}},
        "additionalProperties": false}
}, "required": ["temp"], "additionalProperties": false}"#;

const SCHEMAS: [(Language, &str); 3] = [(Language::Avro, AVRO), (Language::Protobuf, PROTOBUF), (Language::Json, JSON)];

fn schema_id(number: usize) -> Uuid {
    Uuid::from_u128(number as u128 + 1)
}

static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let mut plan = Plan::default();
    for (number, (language, text)) in SCHEMAS.into_iter().enumerate() {
        let schema = Schema::parse(language, text, &[]).expect("a schema of this file");
        let contract = Verdict::Usable(schema.contract().expect("a schema for messages"));
        let place = Place { subject: format!("s{number}"), version: 1, major: 1, schema_id: schema_id(number) };
        plan.set_schema(payloads::tenant(), SchemaRecord { id: 7 + number as u32, places: vec![place], contract });
    }
    plan
});

pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let choice = usize::from(input.u8());
    let format = [Format::Json, Format::MessagePack, Format::Cbor, Format::Avro, Format::Protobuf][choice % 5];
    let kind = if choice / 20 % 4 == 3 { PayloadKind::Events } else { PayloadKind::Data };
    let rules = ClassRules { schema_id: (choice / 5 % 4).checked_sub(1).map(schema_id), ..ClassRules::default() };
    let parts: Vec<_> = input.parts().take(PAYLOADS_MAX).enumerate().collect();
    let keyed = |(number, part): &(usize, &'_ [u8])| (payloads::key(*number, kind, format), part.to_vec());
    let keyed: Vec<_> = parts.iter().map(keyed).collect();
    let fed: Vec<_> = keyed.iter().map(|(key, part)| (*key, part.as_slice())).collect();

    let mut together = payloads::pipeline(PLAN.clone(), rules.clone());
    let first = together.position();
    let mut told = Vec::new();
    payloads::feed(&mut together, &[], &fed, |output| {
        told = (first..).take(fed.len()).map(|offset| became(output, offset)).collect();
    });
    for (payload, told) in fed.iter().zip(told) {
        let mut alone = payloads::pipeline(PLAN.clone(), rules.clone());
        let offset = alone.position();
        payloads::feed(&mut alone, &[], &[*payload], |output| {
            assert_eq!(told, became(output, offset), "together and alone are two things");
        });
    }
}

/// What the messages of a payload became: their indexes, and their values or the reason.
fn became(output: &Output, offset: Offset) -> Vec<(u32, Vec<String>)> {
    let rows = output.rows.iter().flat_map(|rows| {
        let of = (0..rows.len()).filter(move |row| rows.offset[*row] == offset);
        of.map(move |row| (rows.index[row], values(rows, row)))
    });
    let dead = output.dead.iter().filter_map(|entry| entry.letter()).filter(|letter| letter.address.offset == offset);
    let dead = dead.map(|letter| (letter.address.index, vec![format!("{:?} {}", letter.reason, letter.path)]));
    let mut all: Vec<_> = rows.chain(dead).collect();
    all.sort();
    all
}

fn values(rows: &Rows, row: usize) -> Vec<String> {
    let at = |column: &model::RowColumn| column.rows.binary_search(&(row as u32)).ok().map(|at| column.bits[at]);
    let columns = rows.layout.columns.iter().zip(&rows.columns).filter_map(|(key, column)| {
        let bits = at(column)?;
        let text = if key.kind == model::ValueKind::Str { rows.text_of(bits).to_owned() } else { bits.to_string() };
        Some(format!("{} {:?} {text}", key.name, key.kind))
    });
    let mut values: Vec<_> = columns.collect();
    values.sort();
    let tags = at(&rows.tags).map(|bits| rows.text_of(bits));
    values.push(format!("{} {:?} {} {} {tags:?}", rows.ts[row], rows.flags[row], rows.seq[row], rows.boot[row]));
    values
}
