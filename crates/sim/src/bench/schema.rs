//! The class of a load with a schema: what it declares is what the payloads are, so that every message passes.

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::CLASS;
use crate::api::Api;
use crate::load::payload::Shape;

/// In which unit a metric is sent, and in which it is stored.
const UNITS: [(&str, &str, &str); 4] =
    [("temperature", "[degF]", "Cel"), ("pressure", "[psi]", "kPa"), ("humidity", "%", "1"), ("voltage", "mV", "V")];
/// How many of them are converted.
const CONVERTED: usize = 2;
/// Metadata of each device that becomes tags.
const TAGS: [&str; 3] = ["site", "line", "model"];

/// Registers the schema and makes the class that has it, its units and its tags.
pub fn declare(api: &Api, shape: Shape) -> Result<()> {
    let converted: Vec<_> =
        UNITS.iter().filter(|(metric, ..)| shape.metrics().contains(metric)).take(CONVERTED).collect();
    let rule = |metric: &str| {
        let unit = converted.iter().find(|(name, ..)| *name == metric).map(|(_, sent, _)| json!({"unit": sent}));
        let mut rule = json!({"type": "number", "minimum": 0, "maximum": 1000});
        for (key, value) in unit.iter().flat_map(|unit| unit.as_object()).flatten() {
            rule[key] = value.clone();
        }
        (metric.to_owned(), rule)
    };
    let metrics: Map<String, Value> = shape.metrics().iter().map(|metric| rule(metric)).collect();
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "required": ["ts", "metrics", "seq"],
        "properties": {
            "ts": {"type": "integer"},
            "seq": {"type": "integer", "minimum": 0},
            "boot": {"type": "integer", "minimum": 0},
            "metrics": {"type": "object", "required": shape.metrics(), "properties": metrics},
        },
    });
    let registered: Value = api.post("/v1/schemas", &json!({"subject": CLASS, "type": "json", "schema": schema}))?;
    let units: Map<String, Value> =
        converted.iter().map(|(metric, _, stored)| ((*metric).to_owned(), (*stored).into())).collect();
    let class = json!({"name": CLASS, "schema_id": registered["schema_id"], "units": units, "tags": TAGS});
    api.post::<Value>("/v1/classes", &class).map(|_| ())
}

/// What is known of a device of the class.
pub fn metadata(number: usize) -> Value {
    json!({"site": format!("plant-{}", number % 7), "line": format!("line-{}", number % 3), "model": "TW-1"})
}
