//! Takes in the fields of messages as a reader meets them, and checks each.
//!
//! A reader goes on after a message turned out to be unacceptable: only the payload's end says whether it is
//! well-formed at all.

use std::ops::Range;

use model::contract::TsUnit;
use model::limits::{
    EVENT_TYPE_BYTES_MAX, METRIC_NAME_BYTES_MAX, METRIC_TEXT_BYTES_MAX, METRICS_PER_MESSAGE_MAX, TAG_BYTES_MAX,
    TAGS_PER_MESSAGE_MAX,
};
use model::{PayloadKind, Reason, UnknownFields, ValueKind};

use super::scalar::{Scalar, is_exact};
use super::{Column, Drafts, Fresh, Metric, Tag, pointer, reject};
use crate::form::{Form, ts};
use crate::tables::Names;

mod formed;

pub use formed::Found;

/// What a top-level field is, and so what the reader does with its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    Ts,
    Metrics,
    Seq,
    Boot,
    Buffered,
    Tags,
    /// Of an event.
    Type,
    /// Of an event: any value, kept as JSON text.
    Data,
    /// Not defined, kept as a metric if it can be one.
    Kept,
    /// To be read over.
    Ignored,
}

/// What decides how messages are read, beside their bytes.
pub struct Reading<'s> {
    pub kind: PayloadKind,
    pub unknown_fields: UnknownFields,
    pub ts_unit: TsUnit,
    /// What their schema demands, if there is one.
    pub form: Option<&'s Form>,
    /// The name of each slot's metric, or [`NO_NAME`]: found once.
    pub slot_names: &'s mut [u32],
    /// The format is the schema's own.
    pub encoded: bool,
}

#[cfg(test)]
impl Reading<'_> {
    /// Without a schema, for a class that drops what it does not know.
    pub fn plain(kind: PayloadKind) -> Self {
        let (unknown_fields, ts_unit) = (UnknownFields::Drop, TsUnit::Milliseconds);
        Self { kind, unknown_fields, ts_unit, form: None, slot_names: &mut [], encoded: false }
    }
}

/// The place where the messages of one payload are put together.
pub struct Sink<'s> {
    pub drafts: &'s mut Drafts,
    names: &'s mut Names,
    reading: Reading<'s>,
    /// Fields met in this message, a bit each.
    met: u16,
}

impl<'s> Sink<'s> {
    pub fn new(drafts: &'s mut Drafts, names: &'s mut Names, reading: Reading<'s>) -> Self {
        drafts.clear();
        if let Some(form) = reading.form {
            let count = form.slots.len() + form.nodes.len() + 1;
            if drafts.met.len() < count {
                drafts.met.resize(count, 0);
            }
        }
        Self { drafts, names, reading, met: 0 }
    }

    /// A message begins at this byte of the payload.
    pub fn begin(&mut self, at: usize) {
        self.drafts.begin(at);
        self.met = 0;
        self.drafts.message += 1;
        self.names.begin_message();
    }

    /// Ends a message that is known to be good before this byte.
    pub fn end_shaped(&mut self, at: usize) {
        self.drafts.end(at);
        let tags = self.drafts.open().tags.clone();
        self.sort_tags(tags);
    }

    /// Undoes a message that was begun and turned out to be none.
    pub fn undo(&mut self, text_len: usize) {
        let Some(draft) = self.drafts.messages.pop() else { return };
        self.drafts.defaults.truncate(draft.defaults.start);
        self.drafts.metrics.truncate(draft.metrics.start);
        self.drafts.tags.truncate(draft.tags.start);
        self.drafts.text.truncate(text_len);
    }

    /// Whether shapes are for these messages.
    pub fn takes_shapes(&self) -> bool {
        self.reading.kind == PayloadKind::Data
    }

    /// Whether the latest message is one that others can be told to be like.
    pub fn has_shape(&self) -> bool {
        self.takes_shapes() && self.drafts.messages.last().is_some_and(|draft| draft.fault.is_none())
    }

    pub fn names(&self) -> &Names {
        self.names
    }

    pub fn form(&self) -> Option<&'s Form> {
        self.reading.form
    }

    pub fn ts_unit(&self) -> TsUnit {
        self.reading.ts_unit
    }

    /// Whether fields that nothing names are kept as metrics.
    pub fn keeps_unknown(&self) -> bool {
        self.reading.unknown_fields == UnknownFields::Keep
    }

    /// The message ends before this byte.
    pub fn end(&mut self, at: usize) {
        self.drafts.end(at);
        if !self.is_rejected() {
            self.check_whole();
        }
    }

    fn is_rejected(&mut self) -> bool {
        self.drafts.open().fault.is_some()
    }

    /// An element of an array payload is no object.
    pub fn not_a_message(&mut self, bytes: Range<usize>, found: &Scalar<'_>) {
        self.begin(bytes.start);
        self.reject(Reason::NotAMessage, String::new(), format!("found {}", found.describe()));
        self.end(bytes.end);
    }

    /// What the next top-level field is.
    pub fn field(&mut self, key: &[u8]) -> Field {
        let event = self.reading.kind == PayloadKind::Events;
        let field = match key {
            b"ts" => Field::Ts,
            b"metrics" if !event => Field::Metrics,
            b"seq" => Field::Seq,
            b"boot" => Field::Boot,
            b"buffered" => Field::Buffered,
            b"tags" => Field::Tags,
            b"type" if event => Field::Type,
            b"data" if event => Field::Data,
            _ => return self.unknown(key),
        };
        let bit = 1 << field as u16;
        if self.met & bit != 0 {
            self.reject(Reason::DuplicateField, pointer(&[key]), String::new());
        }
        self.met |= bit;
        field
    }

    fn unknown(&mut self, key: &[u8]) -> Field {
        match self.reading.unknown_fields {
            UnknownFields::Keep if self.reading.kind == PayloadKind::Data => return Field::Kept,
            UnknownFields::Keep | UnknownFields::Drop => {}
            UnknownFields::Reject => self.reject(Reason::UnknownField, pointer(&[key]), String::new()),
        }
        Field::Ignored
    }

    /// The value of a field other than a `metrics` or `tags` object and `data`.
    pub fn scalar(&mut self, field: Field, key: &[u8], value: &Scalar<'_>) {
        match field {
            Field::Ts => self.ts(self.reading.ts_unit, &[key], value),
            Field::Seq => self.seq(&[key], value),
            Field::Boot => self.boot(&[key], value),
            Field::Buffered => self.buffered(&[key], value),
            Field::Type => self.event_type(key, value),
            Field::Metrics => self.wrong(Reason::MetricsMissing, &[key], value),
            Field::Tags => self.wrong(Reason::TagsInvalid, &[key], value),
            Field::Kept if !matches!(value, Scalar::Null | Scalar::Object | Scalar::Array) => {
                self.metric_at(&[key], key, value);
            }
            Field::Kept | Field::Data | Field::Ignored => {}
        }
    }

    fn ts(&mut self, unit: TsUnit, path: &[&[u8]], value: &Scalar<'_>) {
        match ts::read(unit, value) {
            Some(time) => self.drafts.set_time(time),
            None if unit == TsUnit::Milliseconds => self.wrong(Reason::TsInvalid, path, value),
            None => {
                let detail = format!("found {}, expected {}", value.describe(), ts::describe(unit));
                self.reject(Reason::TsInvalid, pointer(path), detail);
            }
        }
    }

    fn seq(&mut self, path: &[&[u8]], value: &Scalar<'_>) {
        match value.integer().and_then(|seq| u64::try_from(seq).ok()) {
            Some(seq) => self.drafts.open().seq = Some(seq),
            None => self.wrong(Reason::SeqInvalid, path, value),
        }
    }

    fn boot(&mut self, path: &[&[u8]], value: &Scalar<'_>) {
        match value.integer().and_then(|boot| u32::try_from(boot).ok()) {
            Some(boot) => self.drafts.open().boot = Some(boot),
            None => self.wrong(Reason::BootInvalid, path, value),
        }
    }

    fn buffered(&mut self, path: &[&[u8]], value: &Scalar<'_>) {
        match value {
            Scalar::Bool(buffered) => self.drafts.open().buffered = *buffered,
            _ => self.wrong(Reason::BufferedInvalid, path, value),
        }
    }

    fn event_type(&mut self, key: &[u8], value: &Scalar<'_>) {
        match value {
            Scalar::Text(text) if (1..=EVENT_TYPE_BYTES_MAX).contains(&text.len()) => {
                self.drafts.open().event_type = self.drafts.keep(text);
            }
            Scalar::Text(text) => {
                let detail = format!("{} bytes, 1 to {EVENT_TYPE_BYTES_MAX} are allowed", text.len());
                self.reject(Reason::EventInvalid, pointer(&[key]), detail);
            }
            _ => self.wrong(Reason::EventInvalid, &[key], value),
        }
    }

    /// The `data` of an event, as JSON text.
    pub fn event_data(&mut self, json: &[u8]) {
        self.drafts.open().event_data = Some(self.drafts.keep(json));
    }

    /// One metric of the `metrics` object.
    pub fn metric(&mut self, name: &[u8], value: &Scalar<'_>) {
        self.metric_at(&[b"metrics", name], name, value);
    }

    fn metric_at(&mut self, path: &[&[u8]], name: &[u8], value: &Scalar<'_>) {
        if self.is_rejected() {
            return;
        }
        if let Some((kind, bits)) = self.value(path, value) {
            self.named(path, name, kind, bits);
        }
    }

    /// Adds a metric by its name.
    fn named(&mut self, path: &[&[u8]], name: &[u8], kind: ValueKind, bits: u64) {
        if self.is_full() {
            return self.too_many(path);
        }
        let column = match self.names.next(name) {
            Some(number) if !self.names.meet(number) => {
                return self.reject(Reason::DuplicateField, pointer(path), String::new());
            }
            Some(number) => self.names.column(number, kind).map(Column::Known),
            None if !is_name(name) => {
                let detail = format!("{} bytes", name.len());
                return self.reject(Reason::MetricName, pointer(path), detail);
            }
            None => None,
        };
        let column = column.unwrap_or_else(|| self.fresh(name, kind));
        self.drafts.metrics.push(Metric { column, bits });
    }

    fn is_full(&mut self) -> bool {
        self.drafts.metrics.len() - self.drafts.open().metrics.start == METRICS_PER_MESSAGE_MAX
    }

    #[cold]
    fn too_many(&mut self, path: &[&[u8]]) {
        let detail = format!("more than {METRICS_PER_MESSAGE_MAX}");
        self.reject(Reason::TooManyMetrics, pointer(&path[..path.len() - 1]), detail);
    }

    fn fresh(&mut self, name: &[u8], kind: ValueKind) -> Column {
        let name = self.drafts.keep(name);
        self.drafts.fresh.push(Fresh { name, kind });
        Column::Fresh((self.drafts.fresh.len() - 1) as u32)
    }

    /// The stored form of a metric's value.
    fn value(&mut self, path: &[&[u8]], value: &Scalar<'_>) -> Option<(ValueKind, u64)> {
        match *value {
            Scalar::Integer { negative, magnitude } if is_exact(magnitude) => {
                let number = magnitude as f64;
                Some((ValueKind::F64, if negative { -number } else { number }.to_bits()))
            }
            Scalar::Float(number) if number.is_finite() => Some((ValueKind::F64, number.to_bits())),
            Scalar::Bool(flag) => Some((ValueKind::Bool, flag.into())),
            Scalar::Text(text) if text.len() <= METRIC_TEXT_BYTES_MAX => {
                Some((ValueKind::Str, self.drafts.keep(text).to_bits()))
            }
            Scalar::Text(text) => {
                let detail = format!("{} bytes, at most {METRIC_TEXT_BYTES_MAX} are allowed", text.len());
                self.reject(Reason::MetricTextTooLong, pointer(path), detail);
                None
            }
            _ => {
                let reason = match value {
                    Scalar::Integer { .. } | Scalar::Inexact => Reason::NumberNotExact,
                    Scalar::Float(_) => Reason::NumberNotFinite,
                    _ => Reason::MetricType,
                };
                self.wrong(reason, path, value);
                None
            }
        }
    }

    /// One tag of the `tags` object.
    pub fn tag(&mut self, name: &[u8], value: &Scalar<'_>) {
        let short = |text: &[u8]| text.len() <= TAG_BYTES_MAX;
        match value {
            Scalar::Text(text) if short(text) && short(name) && !name.is_empty() => {
                let (name, value) = (self.drafts.keep(name), self.drafts.keep(text));
                self.add_tag(Tag { name, value: Some(value) });
            }
            Scalar::Text(_) => {
                let detail = format!("a name has 1 to {TAG_BYTES_MAX} bytes, a value at most {TAG_BYTES_MAX}");
                self.reject(Reason::TagsInvalid, pointer(&[b"tags", name]), detail);
            }
            _ => self.wrong(Reason::TagsInvalid, &[b"tags", name], value),
        }
    }

    fn add_tag(&mut self, tag: Tag) {
        if self.drafts.tags.len() - self.drafts.open().tags.start == TAGS_PER_MESSAGE_MAX {
            let detail = format!("more than {TAGS_PER_MESSAGE_MAX}");
            return self.reject(Reason::TagsInvalid, pointer(&[b"tags"]), detail);
        }
        self.drafts.tags.push(tag);
    }

    /// What only the whole message shows: what is missing, and names that appear twice.
    fn check_whole(&mut self) {
        if let Some(form) = self.reading.form {
            self.check_form(form);
        } else if self.reading.kind == PayloadKind::Events {
            if self.drafts.open().event_type.len == 0 {
                self.reject(Reason::EventInvalid, pointer(&[b"type"]), "missing".to_owned());
            }
        } else if self.drafts.open().metrics.is_empty() {
            let missing = self.met & 1 << Field::Metrics as u16 == 0;
            let (path, detail) = if missing { ("", "missing") } else { ("/metrics", "empty") };
            self.reject(Reason::MetricsMissing, path.to_owned(), detail.to_owned());
        }
        if let Some(path) = self.duplicate_metric().or_else(|| self.duplicate_tag()) {
            self.reject(Reason::DuplicateField, path, String::new());
        }
    }

    /// Names that the class knows were compared as they came; the new ones are sorted here.
    fn duplicate_metric(&mut self) -> Option<String> {
        let metrics = self.drafts.open().metrics.clone();
        let metrics = &self.drafts.metrics[metrics];
        let fresh = metrics.iter().filter_map(|metric| match metric.column {
            Column::Known(_) => None,
            Column::Fresh(at) => Some(self.drafts.text(self.drafts.fresh[at as usize].name)),
        });
        let mut names: Vec<&[u8]> = fresh.collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1])?;
        Some(match self.reading.form {
            Some(form) => form.pointer_of(twice[0]),
            None => pointer(&[b"metrics", twice[0]]),
        })
    }

    fn duplicate_tag(&mut self) -> Option<String> {
        let tags = self.drafts.open().tags.clone();
        self.sort_tags(tags.clone());
        let tags = &self.drafts.tags[tags];
        let name = |tag: &Tag| self.drafts.text(tag.name);
        let twice = tags.windows(2).find(|pair| name(&pair[0]) == name(&pair[1]))?;
        Some(pointer(&[b"tags", name(&twice[0])]))
    }

    fn sort_tags(&mut self, range: Range<usize>) {
        if range.len() > 1 {
            let Drafts { tags, text, .. } = &mut *self.drafts;
            let name = |tag: &Tag| &text[tag.name.start as usize..][..tag.name.len as usize];
            tags[range].sort_unstable_by(|a, b| name(a).cmp(name(b)));
        }
    }

    fn wrong(&mut self, reason: Reason, path: &[&[u8]], found: &Scalar<'_>) {
        self.reject(reason, pointer(path), format!("found {}", found.describe()));
    }

    /// Rejects the message; the first fault counts.
    pub fn reject(&mut self, reason: Reason, path: String, detail: String) {
        reject(self.drafts.open(), reason, path, detail);
    }
}

/// 1 to 128 bytes of printable UTF-8.
pub fn is_name(name: &[u8]) -> bool {
    (1..=METRIC_NAME_BYTES_MAX).contains(&name.len())
        && std::str::from_utf8(name).is_ok_and(|name| !name.chars().any(char::is_control))
}
