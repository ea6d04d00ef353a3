//! From types to a contract: which fields of the top record are parts of a message and which are metrics, what they must
//! be, and how the binary encoding is read.
//!
//! Records inside are flattened. Arrays, maps, bytes, fixed and a record inside itself are known and read over. What is inside a
//! record that may be absent is never required, and has no default of its own: a default is applied to every message that lacks
//! the value, and would invent one for a record that is not there.

use model::contract::{Contract, Field, Language, Layout, MapOf, Others, Part, Root, TsUnit, Value};
use model::limits::{METRIC_NAME_BYTES_MAX, SCHEMA_DEPTH_MAX, SCHEMA_FIELDS_MAX};
use serde_json::{Map, Value as Json};

use super::super::Unusable;
use super::Avro;
use super::attributes::same;
use super::default::Defaults;
use super::logical::Logical;
use super::types::{self, Primitive, Record, Shape, TypeId, Types};

mod nodes;
mod values;

use nodes::Nodes;
use values::Values;

pub fn contract(schema: &Avro) -> Result<Contract, Unusable> {
    let top = &schema.types[schema.root].shape;
    let Shape::Record(named, record) = top else {
        return Err(Unusable {
            why: format!(
                "the schema's top level is of the type {}, and a message is a record; put it into a field of a record",
                top.word()
            ),
        });
    };
    let mut builder = Builder {
        types: &schema.types,
        whole: is_whole(&schema.types, record),
        nodes: Nodes::of(&schema.types),
        fields: Vec::new(),
        others: Others::Class,
        open: vec![schema.root],
    };
    builder.top(record)?;
    if !builder.fields.iter().any(|field| field.part == Part::Metric && !field.rule.kinds.is_empty())
        && builder.others == Others::Class
    {
        return Err(Unusable {
            why: format!(
                "no field of {} can be a metric: none is a number, a boolean, a string or an enum",
                named.name
            ),
        });
    }
    let root = Root {
        indexes: Vec::new(),
        name: named.name.to_string(),
        whole: builder.whole,
        fields: builder.fields,
        others: builder.others,
        layout: Some(Layout::Avro(builder.nodes.layout(schema.fingerprint)?)),
    };
    Ok(Contract { language: Language::Avro, roots: vec![root] })
}

/// Whether the metrics are what the field `metrics` holds.
fn is_whole(types: &Types, record: &Record) -> bool {
    let metrics = record.field("metrics").map(|field| Values::of(types, field));
    metrics
        .and_then(|values| values.alone())
        .is_some_and(|of| matches!(types[of].shape, Shape::Record(..) | Shape::Map(_)))
}

struct Builder<'a> {
    types: &'a Types,
    whole: bool,
    nodes: Nodes<'a>,
    fields: Vec<Field>,
    others: Others,
    /// The records around the field at hand.
    open: Vec<TypeId>,
}

/// Where a field is.
#[derive(Clone)]
struct Spot<'a> {
    /// Names down to the field itself.
    path: Vec<String>,
    /// Of these, names that are no part of the metric's: `metrics`, `tags`.
    outer: usize,
    /// What its values are.
    part: Part,
    /// Every message has the records around it.
    certain: bool,
    defaults: Applied<'a>,
}

/// Which default holds for a message that lacks a field.
#[derive(Clone, Copy)]
enum Applied<'a> {
    /// That of the field.
    Own,
    /// What the default of a record around it says, and its own.
    Given(&'a Map<String, Json>),
    /// None: the record around it may be absent.
    Never,
}

impl<'a> Builder<'a> {
    fn top(&mut self, record: &'a Record) -> Result<(), Unusable> {
        let node = self.nodes.reserve()?;
        let mut members = Vec::with_capacity(record.fields.len());
        for field in &record.fields {
            let spot = Spot {
                path: vec![field.name.clone()],
                outer: 0,
                part: Part::Metric,
                certain: true,
                defaults: Applied::Own,
            };
            members.push(self.top_field(field, spot)?);
        }
        self.nodes.record(node, members);
        Ok(())
    }

    fn top_field(&mut self, field: &'a types::Field, mut spot: Spot<'a>) -> Result<u32, Unusable> {
        let values = Values::of(self.types, field);
        let numbers = values.all(|shape| matches!(shape, Shape::Primitive(Primitive::Int | Primitive::Long)));
        match field.name.as_str() {
            "ts" if values.all(is_time) => {
                spot.part = Part::Ts(self.ts_unit(&values)?);
                self.leaf(field, &values, &spot)
            }
            "seq" if numbers => self.leaf(field, &values, &Spot { part: Part::Seq, ..spot }),
            "boot" if numbers => self.leaf(field, &values, &Spot { part: Part::Boot, ..spot }),
            "buffered" if values.all(|shape| matches!(shape, Shape::Primitive(Primitive::Boolean))) => {
                self.leaf(field, &values, &Spot { part: Part::Buffered, ..spot })
            }
            "tags" if self.is_tags(&values) => {
                self.group(field, &values, &Spot { outer: 1, part: Part::Tag, ..spot }, MapOf::Tags)
            }
            "metrics" if self.whole => self.group(field, &values, &Spot { outer: 1, ..spot }, MapOf::Metrics),
            _ if self.whole => self.over(field, &spot),
            _ => self.member(field, &spot),
        }
    }

    /// A record of texts or a map of texts.
    fn is_tags(&self, values: &Values<'a>) -> bool {
        let texts = |of: TypeId| Values::of_type(self.types, of).all(is_text);
        values.alone().is_some_and(|of| match &self.types[of].shape {
            Shape::Record(_, record) => record.fields.iter().all(|field| texts(field.of)),
            Shape::Map(of) => texts(*of),
            _ => false,
        })
    }

    /// `metrics` or `tags`: a record or a map.
    fn group(
        &mut self,
        field: &'a types::Field,
        values: &Values<'a>,
        spot: &Spot<'a>,
        of: MapOf,
    ) -> Result<u32, Unusable> {
        let group = values.alone().expect("whole and is_tags looked at it");
        let Shape::Map(entries) = self.types[group].shape else { return self.record(field, values, group, spot) };
        if of == MapOf::Metrics {
            let entries = Values::of_type(self.types, entries);
            let rule = entries.rule("metrics")?;
            if rule.kinds.is_empty() || entries.has_others() {
                return Err(refuse(
                    "metrics",
                    "the map's values are no numbers, booleans, strings or enums, and no metric",
                ));
            }
            self.others = Others::Like(Box::new(rule));
        }
        self.nodes.map(field.of, group, entries, of)
    }

    /// A field that is a metric or a tag, or holds such.
    fn member(&mut self, field: &'a types::Field, spot: &Spot<'a>) -> Result<u32, Unusable> {
        let values = Values::of(self.types, field);
        match values.alone().filter(|of| matches!(self.types[*of].shape, Shape::Record(..))) {
            Some(of) if self.open.contains(&of) => self.over(field, spot),
            Some(of) => self.record(field, &values, of, spot),
            None if values.any(|shape| matches!(shape, Shape::Record(..))) => Err(refuse(
                &spot.path.join("."),
                "a union of a record with other types cannot be checked; give each its own field",
            )),
            None if values.any(is_scalar) => self.leaf(field, &values, spot),
            None => self.over(field, spot),
        }
    }

    fn record(
        &mut self,
        field: &'a types::Field,
        values: &Values<'a>,
        of: TypeId,
        spot: &Spot<'a>,
    ) -> Result<u32, Unusable> {
        let Shape::Record(_, record) = &self.types[of].shape else { unreachable!("callers looked at the shape") };
        if spot.path.len() > SCHEMA_DEPTH_MAX {
            return Err(refuse(
                &spot.path.join("."),
                format_args!("records nest deeper than {SCHEMA_DEPTH_MAX} levels"),
            ));
        }
        let certain = spot.certain && values.required(field, &spot.path.join("."))?;
        let defaults = match self.default_of(field, spot)? {
            _ if values.nullable => Applied::Never,
            Some(Json::Object(given)) => Applied::Given(given),
            _ if certain => Applied::Own,
            _ => Applied::Never,
        };
        let (union, node) = self.nodes.reserve_branch(field.of, of)?;
        self.open.push(of);
        let mut members = Vec::with_capacity(record.fields.len());
        for field in &record.fields {
            let mut inside = Spot { certain, defaults, ..spot.clone() };
            inside.path.push(field.name.clone());
            members.push(self.member(field, &inside)?);
        }
        self.open.pop();
        self.nodes.record(node, members);
        Ok(union)
    }

    /// A field with a value.
    fn leaf(&mut self, field: &'a types::Field, values: &Values<'a>, spot: &Spot<'a>) -> Result<u32, Unusable> {
        let path = spot.path.join(".");
        let default = match self.default_of(field, spot)? {
            Some(default) => self.value(field.of, default),
            None => None,
        };
        let required = spot.certain && !values.has_others() && values.required(field, &path)?;
        let keep = self.keep(field, spot, values.rule(&path)?, required, default)?;
        self.nodes.kept(field.of, keep)
    }

    /// A field that is known and read over.
    fn over(&mut self, field: &'a types::Field, spot: &Spot<'a>) -> Result<u32, Unusable> {
        self.keep(field, spot, model::contract::Rule::default(), false, None)?;
        self.nodes.over(field.of)
    }

    fn keep(
        &mut self,
        field: &types::Field,
        spot: &Spot<'_>,
        rule: model::contract::Rule,
        required: bool,
        default: Option<Value>,
    ) -> Result<u32, Unusable> {
        let name = spot.path[spot.outer..].join(".");
        if name.len() > METRIC_NAME_BYTES_MAX {
            return Err(refuse(&name, format_args!("the name is longer than {METRIC_NAME_BYTES_MAX} bytes")));
        }
        if self.fields.len() == SCHEMA_FIELDS_MAX {
            return Err(refuse(
                &name,
                format_args!("it is one more than the {SCHEMA_FIELDS_MAX} fields that a message may have"),
            ));
        }
        let described = field.attributes.get("description").and_then(Json::as_str);
        self.fields.push(Field {
            path: spot.path.clone(),
            name,
            part: spot.part,
            rule,
            required,
            default,
            description: field.doc.as_deref().or(described).map(str::to_owned),
        });
        Ok(u32::try_from(self.fields.len() - 1).expect("at most SCHEMA_FIELDS_MAX"))
    }

    /// What a message that lacks the field is to have.
    fn default_of(&self, field: &'a types::Field, spot: &Spot<'a>) -> Result<Option<&'a Json>, Unusable> {
        let own = field.default.as_ref().filter(|default| !default.is_null());
        match spot.defaults {
            Applied::Own => Ok(own),
            Applied::Never => Ok(None),
            Applied::Given(given) => match (given.get(&field.name), own) {
                (Some(given), Some(own)) if !same(Some(given), Some(own)) => Err(refuse(
                    &spot.path.join("."),
                    "its default and the one that the record around it gives it differ; make them one",
                )),
                (Some(given), _) => Ok(Some(given).filter(|given| !given.is_null())),
                (None, own) => Ok(own),
            },
        }
    }

    fn value(&self, of: TypeId, default: &Json) -> Option<Value> {
        let of = match &self.types[of].shape {
            Shape::Union(branches) => Defaults::of(self.types).branch(branches, default).ok().flatten()?,
            _ => of,
        };
        match &self.types[of].shape {
            Shape::Primitive(Primitive::Boolean) => default.as_bool().map(Value::Bool),
            Shape::Primitive(Primitive::Int | Primitive::Long) => default.as_i64().map(Value::Long),
            Shape::Primitive(Primitive::Float | Primitive::Double) => default.as_f64().map(Value::Double),
            Shape::Primitive(Primitive::String) | Shape::Enum(..) => {
                default.as_str().map(|text| Value::Text(text.to_owned()))
            }
            _ => None,
        }
    }

    /// By the attribute `ts_unit`, else by the logical type.
    fn ts_unit(&self, values: &Values<'a>) -> Result<Option<TsUnit>, Unusable> {
        if let Some(unit) = values.attribute("ts_unit") {
            return match unit.as_str() {
                Some("s") => Ok(Some(TsUnit::Seconds)),
                Some("ms") => Ok(Some(TsUnit::Milliseconds)),
                Some("us") => Ok(Some(TsUnit::Microseconds)),
                Some("ns") => Ok(Some(TsUnit::Nanoseconds)),
                Some("iso8601") => Ok(Some(TsUnit::Iso8601)),
                _ => Err(refuse("ts", "`ts_unit` is one of \"s\", \"ms\", \"us\", \"ns\" and \"iso8601\"")),
            };
        }
        match values.logical() {
            None | Some(Logical::Uuid) => Ok(None),
            Some(Logical::TimestampMillis) => Ok(Some(TsUnit::Milliseconds)),
            Some(Logical::TimestampMicros) => Ok(Some(TsUnit::Microseconds)),
            Some(Logical::TimestampNanos) => Ok(Some(TsUnit::Nanoseconds)),
            Some(other) => Err(refuse(
                "ts",
                format_args!("{} is no instant; use timestamp-millis, or say the unit in `ts_unit`", other.describe()),
            )),
        }
    }
}

fn is_time(shape: &Shape) -> bool {
    matches!(
        shape,
        Shape::Primitive(Primitive::Int | Primitive::Long | Primitive::Float | Primitive::Double | Primitive::String)
    )
}

fn is_text(shape: &Shape) -> bool {
    matches!(shape, Shape::Primitive(Primitive::String) | Shape::Enum(..))
}

fn is_scalar(shape: &Shape) -> bool {
    matches!(shape, Shape::Primitive(Primitive::Boolean)) || is_time(shape) || is_text(shape)
}

fn refuse(field: &str, why: impl std::fmt::Display) -> Unusable {
    Unusable { why: format!("the field {field}: {why}") }
}
