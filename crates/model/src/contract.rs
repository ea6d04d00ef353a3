//! The contract: what a schema demands of a message, in one form for every schema language.
//!
//! The registry makes it from a schema's text (Avro, JSON Schema, Protobuf); it travels through `raw` as
//! [`crate::Control::Schema`], so that a log explains itself; the pipeline compiles it to a plan. It is a description and
//! nothing else: no code here reads a message.
//!
//! A schema describes either the whole message (`ts`, `seq`, `metrics` …) or a flat record in which fields of those names
//! play those parts and every other field is a metric. Nested records are flattened: the field `temp` of the record
//! `motor` is the metric `motor.temp`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::TenantId;
use crate::limits::UNKNOWN_SCHEMA_IDS_MAX;

/// The language that a schema is written in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    Avro,
    Json,
    Protobuf,
}

/// A schema as the pipeline is told of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SchemaRecord {
    /// The number in the Confluent wire format, of one tenant. Its contract never changes; its places grow.
    pub id: u32,
    /// Where the text is registered.
    pub places: Vec<Place>,
    pub contract: Verdict,
}

/// A version of a subject.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Place {
    pub subject: String,
    pub version: u32,
    pub major: u32,
    /// Names (subject, major): what devices and classes refer to.
    pub schema_id: Uuid,
}

/// What became of a schema's text.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Usable(Contract),
    /// It may be registered, and messages under it cannot be checked or have no metrics: why, for a person.
    Unusable(String),
    /// The registry that was asked does not know the id.
    Unknown,
}

/// Where schemas come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SchemaSource {
    /// This server's own registry: every schema that there is has been told of.
    #[default]
    BuiltIn,
    /// A registry elsewhere: an id that was not told of may have a meaning yet.
    External,
}

/// Ids of which it was told that they mean nothing: a bounded number for each tenant. Who sends many loses what was told of
/// the lowest first, by the same rule wherever a log is followed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UnknownIds(BTreeMap<TenantId, BTreeSet<u32>>);

impl UnknownIds {
    /// Takes note of a verdict: whether the id means nothing. Gives back the id whose verdict is forgotten for it.
    pub fn told(&mut self, tenant: TenantId, id: u32, unknown: bool) -> Option<u32> {
        if !unknown {
            if let Some(ids) = self.0.get_mut(&tenant) {
                ids.remove(&id);
            }
            return None;
        }
        let ids = self.0.entry(tenant).or_default();
        ids.insert(id);
        if ids.len() <= UNKNOWN_SCHEMA_IDS_MAX {
            return None;
        }
        let lowest = ids.iter().copied().find(|known| *known != id)?;
        ids.remove(&lowest);
        Some(lowest)
    }

    /// Whether it was last told that the id means nothing.
    pub fn contains(&self, tenant: TenantId, id: u32) -> bool {
        self.0.get(&tenant).is_some_and(|ids| ids.contains(&id))
    }
}

/// What a schema demands.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Contract {
    pub language: Language,
    /// The message types: one for Avro and JSON Schema; for Protobuf each message type of the file, the first of which
    /// holds for payloads that do not say theirs.
    pub roots: Vec<Root>,
}

/// One message type.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Root {
    /// The message indexes of the Confluent wire format; empty but for Protobuf.
    pub indexes: Vec<u32>,
    /// Full name of the record or message; empty where the language has none.
    pub name: String,
    /// It describes the whole message: the metrics are what its field `metrics` (a record, object or map) holds. Else it is
    /// flat: every field that plays no other part is a metric.
    pub whole: bool,
    /// What a message may hold, in the order of the schema.
    pub fields: Vec<Field>,
    /// What becomes of a metric (of a flat message: a field) that is not among the fields.
    pub others: Others,
    /// How the language's own encoding is read; `None` for JSON Schema, which has none.
    pub layout: Option<Layout>,
}

/// What becomes of fields that a schema does not name.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Others {
    /// What the class says.
    Class,
    /// `unknown-field`.
    Reject,
    /// Metrics like this one, of any name (an Avro map, `additionalProperties` with a schema).
    Like(Box<Rule>),
}

/// A place for one value.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Field {
    /// Names from the message's top to the value, as in JSON: `["metrics", "temperature"]`, `["motor", "temp"]`.
    pub path: Vec<String>,
    /// The metric's or tag's name; for other parts that of the field.
    pub name: String,
    pub part: Part,
    pub rule: Rule,
    /// A message without it is rejected (`required-missing`), unless there is a default.
    pub required: bool,
    /// The value of a message that does not have it.
    pub default: Option<Value>,
    pub description: Option<String>,
}

/// What a value is of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    Metric,
    /// The time, in this unit; `None`: what the class says.
    Ts(Option<TsUnit>),
    Seq,
    Boot,
    Buffered,
    /// A tag of its own name.
    Tag,
}

/// How a time is written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TsUnit {
    /// Unix seconds; a fraction is allowed.
    Seconds,
    /// Unix milliseconds.
    #[default]
    Milliseconds,
    /// Unix microseconds.
    Microseconds,
    /// Unix nanoseconds.
    Nanoseconds,
    /// ISO 8601 text with an offset or `Z`.
    Iso8601,
}

/// What a value must be.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// What it may be; more than one where the schema says so (a union, `"type": ["number", "string"]`). None: the field is
    /// known and read over, whatever it holds (an array, bytes, a type that no metric has).
    pub kinds: Vec<Kind>,
    /// `null` is allowed, and means that the value is absent.
    pub nullable: bool,
    /// Of a number, in the unit in which it is sent.
    pub min: Option<Bound>,
    pub max: Option<Bound>,
    /// A number is a multiple of this.
    pub multiple_of: Option<f64>,
    /// Characters of a text, at least and at most.
    pub chars_min: Option<u32>,
    pub chars_max: Option<u32>,
    /// A regular expression without look-around and back-references, found anywhere in the text.
    pub pattern: Option<String>,
    /// The only values allowed; empty: any.
    pub one_of: Vec<Value>,
    /// UCUM code of the unit in which it is sent.
    pub unit: Option<String>,
}

/// A type of value, and so of column.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A double; an integer that a double holds exactly is one.
    Double,
    /// An integer of 64 bits, exact.
    Long,
    Bool,
    Text,
}

/// An end of a range.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Bound {
    pub value: f64,
    /// The end itself is outside.
    pub exclusive: bool,
}

/// A value in a schema.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    Double(f64),
    Long(i64),
    Bool(bool),
    Text(String),
}

/// How the binary encoding of a schema's own language is read: the type expanded to a tree, in which what is kept leads to
/// a field of [`Root::fields`] and all else is read over.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    Avro(AvroLayout),
    Protobuf(ProtobufLayout),
}

/// An Avro schema for reading.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AvroLayout {
    /// The root first; nodes lead to others by position. Types that are only read over may lead back (recursion).
    pub nodes: Vec<AvroNode>,
    /// CRC-64-AVRO of the parsing canonical form, as in the single-object encoding (little-endian there).
    pub fingerprint: u64,
}

/// An Avro type at one place.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AvroNode {
    Null,
    Boolean(Keep),
    Int(Keep),
    Long(Keep),
    Float(Keep),
    Double(Keep),
    Text(Keep),
    /// The symbol is a text.
    Enum(Vec<String>, Keep),
    Bytes,
    Fixed(u32),
    /// Read over: elements are never kept.
    Array(u32),
    /// Entries are metrics ([`Others::Like`]), tags, or read over.
    Map(u32, MapOf),
    Union(Vec<u32>),
    Record(Vec<u32>),
}

/// The field of [`Root::fields`] that a value becomes; `None`: it is read over.
pub type Keep = Option<u32>;

impl AvroNode {
    /// The field that the value of a node becomes.
    pub fn keep(&self) -> Keep {
        match self {
            Self::Boolean(keep) | Self::Int(keep) | Self::Long(keep) | Self::Float(keep) => *keep,
            Self::Double(keep) | Self::Text(keep) | Self::Enum(_, keep) => *keep,
            _ => None,
        }
    }
}

/// What the entries of a map are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MapOf {
    Metrics,
    Tags,
    Nothing,
}

/// A Protobuf message type for reading.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ProtobufLayout {
    /// The root first; fields lead to others by position.
    pub messages: Vec<Vec<ProtobufField>>,
}

/// A field of a Protobuf message at one place.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ProtobufField {
    pub number: u32,
    pub kind: ProtobufKind,
    /// Absent from a message that is there, the field is zero (empty, `false`, the constant 0): proto3 without `optional`
    /// leaves zeros out when it encodes. A nested message that is absent says nothing of its fields. Such a field has no
    /// [`Field::default`], which would hold for those as well.
    pub implicit: bool,
    /// The `oneof` that it is a member of, by its position in the message: of its members the last on the wire counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oneof: Option<u32>,
}

/// What a Protobuf field holds. Fields that are not kept need no entry: the wire type says how to read over them; an entry
/// with `Keep` `None` makes the field a known one.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProtobufKind {
    Double(Keep),
    Float(Keep),
    Int32(Keep),
    Int64(Keep),
    Uint32(Keep),
    Uint64(Keep),
    Sint32(Keep),
    Sint64(Keep),
    Fixed32(Keep),
    Fixed64(Keep),
    Sfixed32(Keep),
    Sfixed64(Keep),
    Bool(Keep),
    Text(Keep),
    /// The constant's name is a text; numbers without a name are read as the number in digits.
    Enum(Vec<(i32, String)>, Keep),
    Bytes,
    /// `google.protobuf.Timestamp`: seconds (int64, number 1) and nanoseconds (int32, number 2), either of which may be
    /// left out as zero.
    Timestamp(Keep),
    /// A nested message, at this position of [`ProtobufLayout::messages`]. A wrapper (`google.protobuf.DoubleValue` …) is
    /// one with the single field 1.
    Message(u32),
    /// A `map<string, V>`: what its entries are, and V.
    Map(MapOf, Box<ProtobufKind>),
    /// Known and read over: repeated fields, groups, recursion.
    Ignored,
}

impl ProtobufKind {
    /// The field that a value becomes.
    pub fn keep(&self) -> Keep {
        match self {
            Self::Double(keep) | Self::Float(keep) | Self::Int32(keep) | Self::Int64(keep) => *keep,
            Self::Uint32(keep) | Self::Uint64(keep) | Self::Sint32(keep) | Self::Sint64(keep) => *keep,
            Self::Fixed32(keep) | Self::Fixed64(keep) | Self::Sfixed32(keep) | Self::Sfixed64(keep) => *keep,
            Self::Bool(keep) | Self::Text(keep) | Self::Enum(_, keep) | Self::Timestamp(keep) => *keep,
            Self::Bytes | Self::Message(_) | Self::Map(..) | Self::Ignored => None,
        }
    }
}

impl Contract {
    /// The message type that these message indexes of the wire format name.
    pub fn root(&self, indexes: &[u32]) -> Option<&Root> {
        if indexes.is_empty() { self.roots.first() } else { self.roots.iter().find(|root| root.indexes == indexes) }
    }
}
