//! The contract of a file: one root for each message type that has metrics, in the order of the file, an outer type before
//! those within it.
//!
//! A metric has the name of its field, after those of the messages that it is in. A number, text or enum that proto3 leaves
//! out when it is zero is zero when it is left out (`implicit`); what plays another part (`ts`, `seq`, `boot`, tags) is
//! absent then, as no device means the year 1970, and a counter that is never set must not make all messages one. The value
//! of a wrapper (`google.protobuf.DoubleValue`) may be absent. Repeated fields, bytes, groups, a message within itself and
//! maps other than `metrics` and `tags` are read over.

use model::contract::{
    Contract, Field, Kind, Language, Layout, MapOf, Others, Part, ProtobufField, ProtobufKind, ProtobufLayout, Root,
    Rule, TsUnit,
};
use model::limits::{METRIC_NAME_BYTES_MAX, SCHEMA_DEPTH_MAX, SCHEMA_FIELDS_MAX};
use prost_reflect::{FieldDescriptor, FileDescriptor, Kind as Type, MessageDescriptor};

use super::Unusable;
use super::link::Comments;
use super::options::Said;
use super::pairs::{nested, path_of};
use super::rule::{self, Scalar};

/// Fields, messages and constants of all roots together, each counted wherever it is used: a contract is one record of `raw`.
const PARTS_MAX: usize = 10_000;
/// Bytes of a description that are kept.
const DESCRIPTION_BYTES_MAX: usize = 512;

pub(super) fn contract(file: &FileDescriptor, comments: &Comments) -> Result<Contract, Unusable> {
    let mut parts_left = PARTS_MAX;
    let mut roots = Vec::new();
    let mut waiting: Vec<_> = file.messages().collect();
    waiting.reverse();
    while let Some(message) = waiting.pop() {
        let root = Expansion::new(comments, &mut parts_left).root(&message);
        roots.extend(root.map_err(|why| Unusable { why })?);
        let within: Vec<_> = nested(&message).collect();
        waiting.extend(within.into_iter().rev());
    }
    if roots.is_empty() {
        let why = "no message type has a metric, which is a field of a number, bool, string or enum that is not repeated: \
                   add one, or a `map<string, double> metrics`";
        return Err(Unusable { why: why.to_owned() });
    }
    Ok(Contract { language: Language::Protobuf, roots })
}

/// A message type as it is expanded to a tree.
struct Expansion<'a> {
    comments: &'a Comments,
    parts_left: &'a mut usize,
    fields: Vec<Field>,
    messages: Vec<Vec<ProtobufField>>,
    /// Full names of the types that the walk is in.
    open: Vec<String>,
}

/// Where in the tree a field is.
#[derive(Clone, Default)]
struct At {
    /// Of the message that the field is in.
    path: Vec<String>,
    /// Names of the messages that belong to the metric's name.
    name: String,
    /// The message is in every message of the root type.
    certain: bool,
    /// It holds tags.
    tags: bool,
}

impl<'a> Expansion<'a> {
    fn new(comments: &'a Comments, parts_left: &'a mut usize) -> Self {
        Self { comments, parts_left, fields: Vec::new(), messages: vec![Vec::new()], open: Vec::new() }
    }

    fn root(mut self, message: &MessageDescriptor) -> Result<Option<Root>, String> {
        let metrics = message.get_field_by_name("metrics");
        let map = metrics.as_ref().and_then(map_value);
        let whole = map.is_some() || metrics.as_ref().is_some_and(|field| record(field).is_some());
        let top = At { certain: true, ..At::default() };
        self.open.push(message.full_name().to_owned());
        let mut others = Others::Class;
        for field in in_order(message) {
            let said = Said::of(&field);
            let kind = match (field.name(), &map) {
                ("metrics", Some(value)) => {
                    others = Others::Like(Box::new(rule::rule(value, &said).map_err(|why| told(&field, &why))?));
                    Some(ProtobufKind::Map(MapOf::Metrics, Box::new(value.layout(None))))
                }
                ("metrics", None) if whole => {
                    let certain = field.is_required();
                    let within = At { path: vec!["metrics".to_owned()], certain, ..At::default() };
                    Some(self.within(&field, within)?)
                }
                _ => self.part(&field, &said, &top)?,
            };
            match kind {
                Some(kind) => self.messages[0].push(proto_field(&field, kind, false)),
                None if whole => {
                    let kind = self.read_over(&field, &top)?;
                    self.messages[0].push(proto_field(&field, kind, false));
                }
                None => {
                    let (kind, implicit) = self.value(&field, &said, &top)?;
                    self.messages[0].push(proto_field(&field, kind, implicit));
                }
            }
        }
        let is_metric = |field: &Field| field.part == Part::Metric && !field.rule.kinds.is_empty();
        if map.is_none() && !self.fields.iter().any(is_metric) {
            return Ok(None);
        }
        Ok(Some(Root {
            // The path in the descriptor is 4, index of the message, 3, index of a nested one, and so on.
            indexes: message.path().iter().skip(1).step_by(2).filter_map(|&index| u32::try_from(index).ok()).collect(),
            name: message.full_name().to_owned(),
            whole,
            fields: self.fields,
            others,
            layout: Some(Layout::Protobuf(ProtobufLayout { messages: self.messages })),
        }))
    }

    /// A field at the top that is not a metric by its name; `None` if it does not fit the part.
    fn part(&mut self, field: &FieldDescriptor, said: &Said, at: &At) -> Result<Option<ProtobufKind>, String> {
        if field.name() == "tags" {
            return self.tags(field, at);
        }
        let scalar = Scalar::of(field);
        let is_long = scalar.as_ref().is_some_and(|scalar| scalar.kind() == Kind::Long && !scalar.is_enum());
        let part = match field.name() {
            "ts" => match rule::ts(field, scalar.as_ref(), said).map_err(|why| told(field, &why))? {
                Some(unit) => Part::Ts(unit),
                None => return Ok(None),
            },
            "seq" if is_long => Part::Seq,
            "boot" if is_long => Part::Boot,
            "buffered" if scalar.as_ref().is_some_and(|scalar| scalar.kind() == Kind::Bool) => Part::Buffered,
            _ => return Ok(None),
        };
        let kinds = vec![scalar.as_ref().map_or(Kind::Text, Scalar::kind)];
        let keep = self.keep(field, at, part, Rule { kinds, ..Rule::default() }, said)?;
        Ok(Some(scalar.map_or(ProtobufKind::Timestamp(Some(keep)), |scalar| scalar.layout(Some(keep)))))
    }

    /// A map or a message of texts.
    fn tags(&mut self, field: &FieldDescriptor, at: &At) -> Result<Option<ProtobufKind>, String> {
        match map_value(field) {
            Some(value) if value.kind() == Kind::Text && !value.is_enum() => {
                return Ok(Some(ProtobufKind::Map(MapOf::Tags, Box::new(value.layout(None)))));
            }
            _ => {}
        }
        if record(field).is_none() {
            return Ok(None);
        }
        let within = At {
            path: vec!["tags".to_owned()],
            certain: at.certain && field.is_required(),
            tags: true,
            ..At::default()
        };
        self.within(field, within).map(Some)
    }

    /// A metric, a message of metrics, or what is read over; and whether its absence means zero.
    fn value(&mut self, field: &FieldDescriptor, said: &Said, at: &At) -> Result<(ProtobufKind, bool), String> {
        if let Some(scalar) = Scalar::of(field) {
            if at.tags && scalar.kind() != Kind::Text {
                return Ok((self.read_over(field, at)?, false));
            }
            self.step(field, scalar.constants())?;
            let rule = rule::rule(&scalar, said).map_err(|why| told(field, &why))?;
            let part = if at.tags { Part::Tag } else { Part::Metric };
            let keep = self.keep(field, at, part, rule, said)?;
            return Ok((scalar.layout(Some(keep)), !at.tags && !field.supports_presence()));
        }
        if let Some(scalar) = Scalar::of_wrapper(field).filter(|_| !at.tags) {
            let mut rule = rule::rule(&scalar, said).map_err(|why| told(field, &why))?;
            rule.nullable = true;
            let keep = self.keep(field, at, Part::Metric, rule, said)?;
            let value = ProtobufField { number: 1, kind: scalar.layout(Some(keep)), implicit: true, oneof: None };
            self.messages.push(vec![value]);
            return Ok((ProtobufKind::Message(self.last_message()), false));
        }
        if at.tags || record(field).is_none_or(|message| self.is_open(&message)) {
            return Ok((self.read_over(field, at)?, false));
        }
        let mut within = at.clone();
        within.path.push(field.name().to_owned());
        within.name = format!("{}{}.", at.name, field.name());
        within.certain &= field.is_required();
        Ok((self.within(field, within)?, false))
    }

    /// The fields of the message that the field holds.
    fn within(&mut self, field: &FieldDescriptor, at: At) -> Result<ProtobufKind, String> {
        self.step(field, 1)?;
        let Some(message) = record(field).filter(|message| !self.is_open(message)) else {
            return Ok(ProtobufKind::Ignored);
        };
        if self.open.len() >= SCHEMA_DEPTH_MAX {
            return Err(told(field, &format!("messages are nested more than {SCHEMA_DEPTH_MAX} deep: flatten them")));
        }
        self.messages.push(Vec::new());
        let position = self.last_message();
        self.open.push(message.full_name().to_owned());
        for field in in_order(&message) {
            let (kind, implicit) = self.value(&field, &Said::of(&field), &at)?;
            self.messages[position as usize].push(proto_field(&field, kind, implicit));
        }
        self.open.pop();
        Ok(ProtobufKind::Message(position))
    }

    /// The walk is within a message of that type: it would not end.
    fn is_open(&self, message: &MessageDescriptor) -> bool {
        self.open.iter().any(|open| open == message.full_name())
    }

    fn step(&mut self, field: &FieldDescriptor, parts: usize) -> Result<(), String> {
        let left = self.parts_left.checked_sub(parts).ok_or_else(|| {
            let what = "the message types of the file, each with all that is in it, have more than";
            told(field, &format!("{what} {PARTS_MAX} fields and constants: register them in several files"))
        });
        *self.parts_left = left?;
        Ok(())
    }

    fn last_message(&self) -> u32 {
        u32::try_from(self.messages.len() - 1).expect("an expansion has at most PARTS_MAX messages")
    }

    /// A field that is known, and is nothing.
    fn read_over(&mut self, field: &FieldDescriptor, at: &At) -> Result<ProtobufKind, String> {
        self.keep(field, at, Part::Metric, Rule::default(), &Said::default())?;
        let is_bytes = field.kind() == Type::Bytes && !field.is_list();
        Ok(if is_bytes { ProtobufKind::Bytes } else { ProtobufKind::Ignored })
    }

    /// Adds the field, and answers its position.
    fn keep(&mut self, field: &FieldDescriptor, at: &At, part: Part, rule: Rule, said: &Said) -> Result<u32, String> {
        let description = self.description(field);
        self.step(field, 1 + description.as_ref().map_or(0, |text| text.len() / 64))?;
        let position = self.fields.len();
        if position >= SCHEMA_FIELDS_MAX {
            let root = self.open.first().map_or("", String::as_str);
            return Err(format!(
                "message type `{root}` has more than {SCHEMA_FIELDS_MAX} fields, with those of the messages in it: split it"
            ));
        }
        let name = if part == Part::Metric { format!("{}{}", at.name, field.name()) } else { field.name().to_owned() };
        if name.len() > METRIC_NAME_BYTES_MAX {
            return Err(told(
                field,
                &format!("the metric's name `{name}` is longer than {METRIC_NAME_BYTES_MAX} bytes"),
            ));
        }
        let default = rule::default(field).map_err(|why| told(field, &why))?;
        let default = default.filter(|_| !rule.kinds.is_empty() && !matches!(part, Part::Ts(_)));
        self.fields.push(Field {
            path: at.path.iter().cloned().chain([field.name().to_owned()]).collect(),
            name,
            part,
            rule,
            required: said.required == Some(true) || at.certain && field.is_required(),
            default,
            description,
        });
        Ok(u32::try_from(position).expect("SCHEMA_FIELDS_MAX fits"))
    }

    /// The comment before the field, without the decoration of its lines.
    fn description(&self, field: &FieldDescriptor) -> Option<String> {
        let place = (field.parent_message().parent_file().name().to_owned(), field.path().to_vec());
        let comment = self.comments.get(&place)?;
        let lines: Vec<_> = comment.lines().map(|line| line.trim().trim_start_matches('*').trim()).collect();
        let text = lines.join("\n");
        let text = text.trim();
        (!text.is_empty()).then(|| text[..text.floor_char_boundary(DESCRIPTION_BYTES_MAX)].to_owned())
    }
}

fn proto_field(field: &FieldDescriptor, kind: ProtobufKind, implicit: bool) -> ProtobufField {
    let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
    let oneof = oneof.and_then(|oneof| u32::try_from(oneof.path().last().copied()?).ok());
    ProtobufField { number: field.number(), kind, implicit, oneof }
}

fn in_order(message: &MessageDescriptor) -> Vec<FieldDescriptor> {
    let mut fields: Vec<_> = message.fields().collect();
    fields.sort_by_key(|field| field.path().last().copied());
    fields
}

/// The message of a field that is to be expanded: not those that mean something as a whole.
fn record(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Type::Message(message) if !field.is_list() && !field.is_map() && !field.is_group() => {
            Some(message).filter(|message| message.package_name() != "google.protobuf")
        }
        _ => None,
    }
}

/// The value of a `map<string, scalar>`.
fn map_value(field: &FieldDescriptor) -> Option<Scalar> {
    match field.kind() {
        Type::Message(entry) if field.is_map() && entry.map_entry_key_field().kind() == Type::String => {
            Scalar::of(&entry.map_entry_value_field())
        }
        _ => None,
    }
}

fn told(field: &FieldDescriptor, why: &str) -> String {
    format!("field `{}.{}`: {why}", path_of(field.parent_message()), field.name())
}

/// A unit of time by its name in a schema.
pub(super) fn ts_unit(name: &str) -> Option<TsUnit> {
    Some(match name {
        "s" => TsUnit::Seconds,
        "ms" => TsUnit::Milliseconds,
        "us" => TsUnit::Microseconds,
        "ns" => TsUnit::Nanoseconds,
        "iso8601" => TsUnit::Iso8601,
        _ => return None,
    })
}
