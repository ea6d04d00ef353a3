//! Attributes of ours, on a field or on the type of its values: `unit`, `min`, `max`, `exclusive_min`, `exclusive_max`,
//! `required`, `ts_unit`, `description`.

use serde_json::Value;

use super::types::Attributes;

/// Those by which a message is checked or read; `description` is for people.
pub const CHECKED: [&str; 7] = ["unit", "min", "max", "exclusive_min", "exclusive_max", "required", "ts_unit"];

/// The first that differs in meaning.
pub fn changed(now: &Attributes, before: &Attributes) -> Option<&'static str> {
    CHECKED.into_iter().find(|name| !same(now.get(*name), before.get(*name)))
}

/// Whether two values mean the same: 1 and 1.0 do.
pub fn same(left: Option<&Value>, right: Option<&Value>) -> bool {
    match (left, right) {
        (Some(Value::Number(one)), Some(Value::Number(two))) => one == two || one.as_f64() == two.as_f64(),
        (left, right) => left == right,
    }
}
