//! From a JSON Schema to the contract by which the pipeline checks messages.
//!
//! A contract means exactly what the schema means, or there is none: a keyword that asserts something the pipeline does not
//! check makes the schema unusable, with a sentence that names it.

use model::contract::{Contract, Field, Kind, Language, Others, Part, Root, Rule, TsUnit};
use model::limits::{METRIC_NAME_BYTES_MAX, PAYLOAD_DEPTH_MAX, SCHEMA_FIELDS_MAX, TAG_BYTES_MAX, TAGS_PER_MESSAGE_MAX};
use serde_json::Value;

use super::Unusable;
use super::documents::Documents;
use super::value::Types;

mod merged;
mod numbers;
mod object;
mod rule;

use merged::Merged;
use object::Object;

pub fn contract(documents: &Documents) -> Result<Contract, Unusable> {
    let root = documents.root();
    let mut message = Merged::of(&[(root.clone(), "#".to_owned())])?;
    if message.types.has(Types::OBJECT) {
        // A message is an object, whatever else the schema would take.
        message.types = Types::OBJECT;
    }
    let top = Object::of(&message)?;
    let metrics = top.property("metrics").map(Merged::of).transpose()?;
    let whole = metrics.as_ref().is_some_and(|metrics| metrics.types == Types::OBJECT);
    let mut builder = Builder { fields: Vec::new(), others: None, within: Vec::new() };
    match metrics {
        Some(metrics) if whole => {
            top.open("the top of the message")?;
            builder.level(&top, &mut Vec::new(), Level::Envelope)?;
            builder.level(&Object::of(&metrics)?, &mut vec!["metrics".to_owned()], Level::Metrics)?;
        }
        _ => builder.level(&top, &mut Vec::new(), Level::Flat)?,
    }
    let name = root.get("title").and_then(Value::as_str).unwrap_or_default().to_owned();
    let others = builder.others.unwrap_or(Others::Class);
    let root = Root { indexes: Vec::new(), name, whole, fields: builder.fields, others, layout: None };
    Ok(Contract { language: Language::Json, roots: vec![root] })
}

fn unusable<T>(why: impl Into<String>) -> Result<T, Unusable> {
    Err(Unusable { why: why.into() })
}

/// What an object is in its message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// The message, whose metrics are in `metrics`.
    Envelope,
    /// The message, whose fields are the metrics.
    Flat,
    Metrics,
    Tags,
    /// Inside what holds the metrics.
    Nested,
}

struct Builder {
    fields: Vec<Field>,
    /// Of what holds the metrics; objects inside it have to agree.
    others: Option<Others>,
    /// The objects around the one that is looked at.
    within: Vec<*const Value>,
}

impl Builder {
    fn level(&mut self, object: &Object<'_>, path: &mut Vec<String>, level: Level) -> Result<(), Unusable> {
        match level {
            Level::Flat | Level::Metrics => self.others = Some(object.others()?),
            Level::Nested => {
                let others = object.others()?;
                if self.others.as_ref().is_some_and(|outer| *outer != others) {
                    return unusable(format!(
                        "`additionalProperties` at `{}` is not what it is for the metrics around it; say the same in both",
                        object.path
                    ));
                }
            }
            Level::Tags => object.texts()?,
            Level::Envelope => {}
        }
        if self.within.contains(&object.at) || self.within.len() == PAYLOAD_DEPTH_MAX {
            return unusable(format!(
                "`{}` leads back to itself or nests more than {PAYLOAD_DEPTH_MAX} deep; metrics have to be finitely many",
                object.path
            ));
        }
        self.within.push(object.at);
        for (name, nodes) in &object.properties {
            if level == Level::Envelope && name == "metrics" {
                continue;
            }
            let value = Merged::of(nodes)?;
            path.push(name.clone());
            self.property(&value, path, level, object.required.contains(name.as_str()))?;
            path.pop();
        }
        self.within.pop();
        let known = |name: &&String| !object.properties.contains_key(*name);
        if let Some(name) = object.required.iter().find(known) {
            return unusable(format!(
                "`{name}` is required at `{}` and not among its `properties`; describe it there",
                object.path
            ));
        }
        Ok(())
    }

    fn property(
        &mut self,
        value: &Merged<'_>,
        path: &mut Vec<String>,
        level: Level,
        required: bool,
    ) -> Result<(), Unusable> {
        let name = path.last().map_or("", String::as_str);
        let top = matches!(level, Level::Envelope | Level::Flat);
        if value.types == Types::OBJECT {
            let inner = match name {
                "tags" if top => Level::Tags,
                _ if level == Level::Tags => {
                    return unusable(format!("`{}` is a tag and an object; a tag is a string", value.path()));
                }
                _ if level == Level::Envelope => {
                    return unusable(format!(
                        "`{}` is an object beside `metrics`, and is not checked; move it into `metrics`, or give it no `type` and \
                         no other keyword that demands something",
                        value.path()
                    ));
                }
                _ => Level::Nested,
            };
            let object = Object::of(value)?;
            if required && object.required.is_empty() {
                return unusable(format!(
                    "`{}` is required and none of its properties is: name in its own `required` one that every message has, or take it \
                     out of `required`",
                    value.path()
                ));
            }
            // An object that may be left out, with parts that may not: the pipeline demands a part of every message.
            if !required && !object.required.is_empty() {
                return unusable(format!(
                    "`{}` may be left out and has required properties; require it as well, or none of its properties",
                    value.path()
                ));
            }
            let before = self.fields.len();
            self.level(&object, path, inner)?;
            if inner == Level::Nested && self.fields.len() == before {
                return unusable(format!(
                    "`{}` is an object without `properties`; describe them, or leave it out",
                    value.path()
                ));
            }
            return Ok(());
        }
        let rule = rule::of(value)?;
        let part = part(value, name, level, &rule)?;
        self.field(value, path, part, rule, required)
    }

    fn field(
        &mut self,
        value: &Merged<'_>,
        path: &[String],
        part: Part,
        rule: Rule,
        required: bool,
    ) -> Result<(), Unusable> {
        if self.fields.len() == SCHEMA_FIELDS_MAX {
            return unusable(format!(
                "the schema describes more than {SCHEMA_FIELDS_MAX} fields; as many metrics fit a message"
            ));
        }
        let start = usize::from(part == Part::Metric && path.len() > 1 && path[0] == "metrics");
        let name = match part {
            Part::Metric => path[start..].join("."),
            _ => path.last().cloned().unwrap_or_default(),
        };
        let most = if part == Part::Tag { TAG_BYTES_MAX } else { METRIC_NAME_BYTES_MAX };
        if name.is_empty() || name.len() > most || name.chars().any(char::is_control) {
            return unusable(format!(
                "`{}` has a name that no metric or tag may have: 1 to {most} printable bytes",
                value.path()
            ));
        }
        if self.fields.iter().any(|field| field.name == name && field.part == part) {
            return unusable(format!("`{}` has the name `{name}` of another metric; rename one of them", value.path()));
        }
        let default = if rule.kinds.is_empty() { None } else { rule::default(value, &rule)? };
        let field = Field {
            path: path.to_vec(),
            name,
            part,
            rule,
            required,
            default,
            description: value.annotation("description").and_then(Value::as_str).map(str::to_owned),
        };
        self.fields.push(field);
        let tags = self.fields.iter().filter(|field| field.part == Part::Tag).count();
        if tags > TAGS_PER_MESSAGE_MAX {
            return unusable(format!(
                "the schema describes more than {TAGS_PER_MESSAGE_MAX} tags; a message has no more"
            ));
        }
        Ok(())
    }
}

/// What a value that is no object is of its message.
fn part(value: &Merged<'_>, name: &str, level: Level, rule: &Rule) -> Result<Part, Unusable> {
    let only = |kinds: &[Kind]| !rule.kinds.is_empty() && rule.kinds.iter().all(|kind| kinds.contains(kind));
    let numeric = [Kind::Double, Kind::Long];
    let top = matches!(level, Level::Envelope | Level::Flat);
    let part = match name {
        _ if level == Level::Tags => Part::Tag,
        "ts" if top && (only(&numeric) || only(&[Kind::Text])) => Part::Ts(ts_unit(value, rule)?),
        "seq" if top && only(&numeric) => Part::Seq,
        "boot" if top && only(&numeric) => Part::Boot,
        "buffered" if top && only(&[Kind::Bool]) => Part::Buffered,
        _ => Part::Metric,
    };
    if level == Level::Envelope && matches!(name, "ts" | "seq" | "boot" | "buffered" | "tags") && part == Part::Metric {
        return unusable(format!(
            "`{}` is not of the type that `{name}` has in a message: ts is a number or a string, seq and boot are integers, buffered is \
             a boolean, tags is an object of strings",
            value.path()
        ));
    }
    Ok(part)
}

fn ts_unit(value: &Merged<'_>, rule: &Rule) -> Result<Option<TsUnit>, Unusable> {
    let text = rule.kinds == [Kind::Text];
    let unit = match value.annotation("ts_unit") {
        None => text.then(|| value.date_time()).filter(|date_time| *date_time).map(|_| TsUnit::Iso8601),
        Some(named) => Some(match named.as_str() {
            Some("s") => TsUnit::Seconds,
            Some("ms") => TsUnit::Milliseconds,
            Some("us") => TsUnit::Microseconds,
            Some("ns") => TsUnit::Nanoseconds,
            Some("iso8601") => TsUnit::Iso8601,
            _ => return unusable(format!("`ts_unit` at `{}` is {named}; use s, ms, us, ns or iso8601", value.path())),
        }),
    };
    if unit.is_some_and(|unit| text != (unit == TsUnit::Iso8601)) {
        return unusable(format!("`{}` has a type in which a time of its `ts_unit` cannot be written", value.path()));
    }
    Ok(unit)
}

#[cfg(test)]
mod tests;
