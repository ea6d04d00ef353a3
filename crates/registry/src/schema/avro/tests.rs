use serde_json::{Value, json};

use super::*;

mod addition;
mod contract;
mod fingerprint;
mod parse;
mod print;
mod properties;
mod resolution;

fn schema(value: &Value) -> Avro {
    Avro::parse(&value.to_string(), &[]).unwrap_or_else(|invalid| panic!("{value}: {}", invalid.why))
}

fn record(fields: &Value) -> Value {
    json!({"type": "record", "name": "R", "fields": fields})
}

/// A record with the one field `x`.
fn field(of: &Value) -> Value {
    record(&json!([{"name": "x", "type": of}]))
}

fn kinds(differences: &[Difference]) -> Vec<(&str, &str)> {
    differences.iter().map(|difference| (difference.kind, difference.path.as_str())).collect()
}
