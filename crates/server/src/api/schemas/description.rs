//! What a schema means for messages, as a person and a program read it.

use model::contract::{Bound, Field, Kind, Language, Others, Part, Root, Rule, TsUnit, Value as Constant, Verdict};
use serde_json::{Value, json};

/// The description of a schema: whether messages can be checked by it, and field by field what it demands.
pub fn describe(language: Language, verdict: &Verdict) -> Value {
    let (why, messages) = match verdict {
        Verdict::Usable(contract) => (None, contract.roots.iter().map(message).collect()),
        Verdict::Unusable(why) => (Some(why.clone()), Vec::new()),
        Verdict::Unknown => (Some("the registry does not know it".to_owned()), Vec::new()),
    };
    json!({"type": language, "usable": why.is_none(), "why": why, "messages": messages})
}

fn message(root: &Root) -> Value {
    let others = match &root.others {
        Others::Class => "as the class says".to_owned(),
        Others::Reject => "rejected".to_owned(),
        Others::Like(rule) => match unit(rule) {
            Some(unit) => format!("metrics of type {} in {unit}", kinds(rule)),
            None => format!("metrics of type {}", kinds(rule)),
        },
    };
    json!({
        "name": root.name, "indexes": root.indexes, "form": if root.whole { "whole" } else { "flat" },
        "unknown_fields": others, "fields": root.fields.iter().map(field).collect::<Vec<_>>(),
    })
}

fn field(field: &Field) -> Value {
    let rule = &field.rule;
    let read_over = rule.kinds.is_empty();
    json!({
        "field": field.path.join("."),
        "name": field.name,
        "part": if read_over { "read over" } else { part(field.part) },
        "kind": if read_over { Value::Null } else { kinds(rule).into() },
        "unit": match field.part {
            Part::Ts(Some(unit)) => Some(ts_unit(unit)),
            _ => unit(rule),
        },
        "range": range(rule),
        "allowed": allowed(rule),
        "default": field.default.as_ref().map(constant),
        "required": field.required,
        "description": field.description,
    })
}

fn part(part: Part) -> &'static str {
    match part {
        Part::Metric => "metric",
        Part::Ts(_) => "ts",
        Part::Seq => "seq",
        Part::Boot => "boot",
        Part::Buffered => "buffered",
        Part::Tag => "tag",
    }
}

fn ts_unit(unit: TsUnit) -> &'static str {
    match unit {
        TsUnit::Seconds => "s",
        TsUnit::Milliseconds => "ms",
        TsUnit::Microseconds => "us",
        TsUnit::Nanoseconds => "ns",
        TsUnit::Iso8601 => "iso8601",
    }
}

fn kinds(rule: &Rule) -> String {
    let name = |kind: &Kind| match kind {
        Kind::Double => "double",
        Kind::Long => "long",
        Kind::Bool => "boolean",
        Kind::Text => "string",
    };
    let names = rule.kinds.iter().map(name).chain(rule.nullable.then_some("null"));
    names.collect::<Vec<_>>().join(" or ")
}

fn unit(rule: &Rule) -> Option<&str> {
    rule.unit.as_deref()
}

/// As an interval: `[0, 100)`, `[1, …`.
fn range(rule: &Rule) -> Option<String> {
    let end = |bound: Option<Bound>, closed: char, open: char| match bound {
        Some(bound) => (bound.value.to_string(), if bound.exclusive { open } else { closed }),
        None => ("…".to_owned(), open),
    };
    if rule.min.is_none() && rule.max.is_none() {
        return None;
    }
    let ((min, begins), (max, ends)) = (end(rule.min, '[', '('), end(rule.max, ']', ')'));
    Some(format!("{begins}{min}, {max}{ends}"))
}

/// What else a value must be.
fn allowed(rule: &Rule) -> Option<String> {
    let mut said = Vec::new();
    if !rule.one_of.is_empty() {
        let values: Vec<String> = rule.one_of.iter().map(|value| constant(value).to_string()).collect();
        said.push(format!("one of {}", values.join(", ")));
    }
    if let Some(divisor) = rule.multiple_of {
        said.push(format!("a multiple of {divisor}"));
    }
    match (rule.chars_min, rule.chars_max) {
        (Some(min), Some(max)) => said.push(format!("{min} to {max} characters")),
        (Some(min), None) => said.push(format!("at least {min} characters")),
        (None, Some(max)) => said.push(format!("at most {max} characters")),
        (None, None) => {}
    }
    if let Some(pattern) = &rule.pattern {
        said.push(format!("matches /{pattern}/"));
    }
    if said.is_empty() { None } else { Some(said.join("; ")) }
}

fn constant(value: &Constant) -> Value {
    match value {
        Constant::Double(number) => json!(number),
        Constant::Long(number) => json!(number),
        Constant::Bool(flag) => json!(flag),
        Constant::Text(text) => json!(text),
    }
}
