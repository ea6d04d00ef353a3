//! Messages under a schema: every value goes to a slot of its form, or to what becomes of fields without one.

use model::contract::Part;
use model::limits::TAG_BYTES_MAX;
use model::{PayloadKind, Reason, UnknownFields, ValueKind};

use super::{Column, Field, Metric, Scalar, Sink, Tag};
use crate::draft::pointer;
use crate::form::ts::Time;
use crate::form::{Form, Level, Member, Misfit, Node, Others, Slot, Value};
use crate::tables::NO_NAME;

/// What a field of a record is, and so what a reader does with its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    Slot(u32),
    /// A record.
    Node(u32),
    /// Tags of any name.
    Tags,
    /// A metric that the schema does not name, kept if it can be one.
    Other,
    /// A tag that the schema does not name.
    OtherTag,
    /// To be read over.
    Ignored,
}

impl<'s> Sink<'s> {
    /// What the next field of a record is. `next` is kept by the reader for the record, 0 at first.
    #[inline]
    pub fn member(&mut self, form: &Form, node: u32, key: &[u8], next: &mut usize) -> Found {
        let record = &form.nodes[node as usize];
        match record.member(key, next) {
            Some(Member::Slot(slot)) => Found::Slot(slot),
            Some(Member::Node(child)) => {
                self.met_once(form.slots.len() + child as usize, record, key, Found::Node(child))
            }
            Some(Member::Tags) => self.met_once(form.slots.len() + form.nodes.len(), record, key, Found::Tags),
            None => self.not_named(form, record, key),
        }
    }

    fn met_once(&mut self, place: usize, record: &Node, key: &[u8], found: Found) -> Found {
        if !self.meet(place) {
            let path = joined(record, key);
            self.reject(Reason::DuplicateField, pointer(&path), String::new());
        }
        found
    }

    /// Marks a slot or record as met in this message; `false` if it was already.
    #[inline]
    fn meet(&mut self, place: usize) -> bool {
        let message = self.drafts.message;
        std::mem::replace(&mut self.drafts.met[place], message) != message
    }

    fn is_met(&self, slot: u32) -> bool {
        self.drafts.met[slot as usize] == self.drafts.message
    }

    fn not_named(&mut self, form: &Form, record: &Node, key: &[u8]) -> Found {
        let policy = match (record.level, &form.others) {
            (Level::Metrics, Others::Like(_)) => return Found::Other,
            (Level::Metrics | Level::Nested, Others::Reject) => UnknownFields::Reject,
            _ => self.reading.unknown_fields,
        };
        match (policy, record.level) {
            (UnknownFields::Keep, Level::Tags) => return Found::OtherTag,
            (UnknownFields::Keep, _) => return Found::Other,
            (UnknownFields::Drop, _) => {}
            (UnknownFields::Reject, _) => {
                let path = joined(record, key);
                self.reject(Reason::UnknownField, pointer(&path), String::new());
            }
        }
        Found::Ignored
    }

    /// The value of a record's field that [`Sink::member`] told to be `found`, unless the reader goes into it.
    #[inline]
    pub fn take(&mut self, form: &Form, node: u32, found: Found, key: &[u8], value: &Scalar<'_>) {
        match found {
            Found::Slot(slot) => self.slot(form, slot, value),
            Found::Node(child) => self.no_record(form, child, value),
            Found::Tags => self.scalar(Field::Tags, key, value),
            Found::OtherTag => self.tag(key, value),
            Found::Other => self.other(form, node, key, value),
            Found::Ignored => {}
        }
    }

    /// A record is something else; `null` is a record that is absent.
    fn no_record(&mut self, form: &Form, node: u32, found: &Scalar<'_>) {
        if *found != Scalar::Null {
            let path: Vec<_> = form.nodes[node as usize].path.iter().map(|part| &**part).collect();
            let detail = format!("found {}, expected an object", found.describe());
            self.reject(Reason::WrongType, pointer(&path), detail);
        }
    }

    /// The name of a record's member is no string.
    pub fn no_name(&mut self, form: &Form, node: u32) {
        let path: Vec<_> = form.nodes[node as usize].path.iter().map(|part| &**part).collect();
        self.reject(Reason::NotAMessage, pointer(&path), "the name of a field is no string".to_owned());
    }

    /// The value of a slot.
    #[inline]
    pub fn slot(&mut self, form: &Form, slot: u32, value: &Scalar<'_>) {
        if !self.meet(slot as usize) {
            return self.reject(Reason::DuplicateField, pointer(&form.path_of(slot)), String::new());
        }
        if self.is_rejected() {
            return;
        }
        let description = &form.slots[slot as usize];
        match description.part {
            Part::Metric if description.check.is_ignored() => {}
            Part::Metric => match description.check.fit(value) {
                Ok(value) => self.metric_of(description, slot, value),
                Err(misfit) => self.misfit(description, misfit),
            },
            _ => self.part(description, value),
        }
    }

    #[inline]
    fn metric_of(&mut self, description: &Slot, slot: u32, value: Value<'_>) {
        let (kind, bits) = match value {
            Value::Double(number) => {
                if description.conversion.is_some_and(|conversion| !conversion.apply(number).is_finite()) {
                    return self.misfit(description, beyond(number));
                }
                (ValueKind::F64, number.to_bits())
            }
            Value::Long(number) => (ValueKind::I64, number as u64),
            Value::Bool(flag) => (ValueKind::Bool, flag.into()),
            Value::Text(text) => (ValueKind::Str, self.drafts.keep(text).to_bits()),
            Value::Absent => return,
        };
        if self.is_full() {
            let path: Vec<_> = description.path.iter().map(|part| &**part).collect();
            return self.too_many(&path);
        }
        let known = &mut self.reading.slot_names[slot as usize];
        if *known == NO_NAME
            && let Some(number) = self.names.find(description.name.as_bytes())
        {
            *known = number;
        }
        let number = *known;
        let column = if number == NO_NAME {
            None
        } else if self.names.meet(number) {
            self.names.column(number, kind)
        } else {
            let misfit = Misfit { reason: Reason::DuplicateField, detail: String::new() };
            return self.misfit(description, misfit);
        };
        let column = match column {
            Some(column) => Column::Known(column),
            None => self.fresh(description.name.as_bytes(), kind),
        };
        self.drafts.metrics.push(Metric { column, bits });
    }

    fn part(&mut self, description: &Slot, value: &Scalar<'_>) {
        if *value == Scalar::Null && description.check.nullable {
            if description.part == Part::Tag && description.default.is_some() {
                let name = self.drafts.keep(description.name.as_bytes());
                self.add_tag(Tag { name, value: None });
            }
            return;
        }
        let path: Vec<_> = description.path.iter().map(|part| &**part).collect();
        match description.part {
            Part::Ts(_) => self.ts(description.ts_unit, &path, value),
            Part::Seq => self.seq(&path, value),
            Part::Boot => self.boot(&path, value),
            Part::Buffered => self.buffered(&path, value),
            Part::Tag => self.tag_of(description, &path, value),
            Part::Metric => {}
        }
        if let Err(misfit) = description.check.fit_part(value) {
            self.misfit(description, misfit);
        }
    }

    fn tag_of(&mut self, description: &Slot, path: &[&[u8]], value: &Scalar<'_>) {
        match value {
            Scalar::Text(text) if text.len() <= TAG_BYTES_MAX => match description.check.check_text(text) {
                Ok(()) => {
                    let (name, value) = (self.drafts.keep(description.name.as_bytes()), self.drafts.keep(text));
                    self.add_tag(Tag { name, value: Some(value) });
                }
                Err(misfit) => self.misfit(description, misfit),
            },
            Scalar::Text(_) => {
                let detail = format!("a tag has at most {TAG_BYTES_MAX} bytes");
                self.reject(Reason::TagsInvalid, pointer(path), detail);
            }
            _ => self.wrong(Reason::TagsInvalid, path, value),
        }
    }

    /// The time of a slot that a format gives as such; `None` is out of the range of milliseconds.
    pub fn time(&mut self, form: &Form, slot: u32, time: Option<Time>) {
        let description = &form.slots[slot as usize];
        self.meet(slot as usize);
        match time {
            Some(time) if matches!(description.part, Part::Ts(_)) => self.drafts.set_time(time),
            Some(_) => {}
            None => {
                let detail = "seconds and nanoseconds out of range".to_owned();
                self.misfit(description, Misfit { reason: Reason::TsInvalid, detail });
            }
        }
    }

    /// An entry of a map of metrics.
    pub fn entry(&mut self, form: &Form, name: &[u8], value: &Scalar<'_>) {
        match self.member(form, form.metrics, name, &mut 0) {
            Found::Slot(slot) => self.slot(form, slot, value),
            Found::Other => self.other(form, form.metrics, name, value),
            _ => {}
        }
    }

    /// What becomes of fields that nothing names.
    pub fn policy(&self) -> UnknownFields {
        self.reading.unknown_fields
    }

    /// The value of a field that the schema does not name.
    pub fn other(&mut self, form: &Form, node: u32, key: &[u8], value: &Scalar<'_>) {
        if self.is_rejected() {
            return;
        }
        let record = &form.nodes[node as usize];
        let path = joined(record, key);
        let mut name = record.prefix.to_vec();
        name.extend_from_slice(key);
        match (&form.others, record.level) {
            (Others::Like(check), Level::Metrics) => match check.fit(value) {
                _ if check.is_ignored() => {}
                Ok(Value::Double(number)) => {
                    let conversion = form.conversions.iter().find(|(metric, _)| metric.as_bytes() == name);
                    if conversion.is_some_and(|(_, conversion)| !conversion.apply(number).is_finite()) {
                        let Misfit { reason, detail } = beyond(number);
                        return self.reject(reason, pointer(&path), detail);
                    }
                    self.named(&path, &name, ValueKind::F64, number.to_bits());
                }
                Ok(Value::Long(number)) => self.named(&path, &name, ValueKind::I64, number as u64),
                Ok(Value::Bool(flag)) => self.named(&path, &name, ValueKind::Bool, flag.into()),
                Ok(Value::Text(text)) => {
                    let bits = self.drafts.keep(text).to_bits();
                    self.named(&path, &name, ValueKind::Str, bits);
                }
                Ok(Value::Absent) => {}
                Err(Misfit { reason, detail }) => self.reject(reason, pointer(&path), detail),
            },
            _ if matches!(value, Scalar::Null | Scalar::Object | Scalar::Array) => {}
            _ => self.metric_at(&path, &name, value),
        }
    }

    fn misfit(&mut self, description: &Slot, misfit: Misfit) {
        let path: Vec<_> = description.path.iter().map(|part| &**part).collect();
        self.reject(misfit.reason, pointer(&path), misfit.detail);
    }

    /// What only the whole message shows.
    pub(super) fn check_form(&mut self, form: &Form) {
        // What is read over is not told of by every format.
        let told = |slot: u32| !self.reading.encoded || !form.slots[slot as usize].check.is_ignored();
        let missing = form.required.iter().find(|slot| !self.is_met(**slot) && told(**slot));
        if let Some(missing) = missing {
            return self.reject(Reason::RequiredMissing, pointer(&form.path_of(*missing)), "missing".to_owned());
        }
        if form.defaults.is_empty() {
            self.check_metrics(form);
            return;
        }
        let message = self.drafts.message;
        let before = self.drafts.defaults.len();
        let drafts = &mut *self.drafts;
        let lacking = form.defaults.iter().filter(|slot| drafts.met[**slot as usize] != message);
        drafts.defaults.extend(lacking);
        let end = drafts.defaults.len();
        drafts.open().defaults.end = end;
        if end == before {
            self.check_metrics(form);
        }
    }

    fn check_metrics(&mut self, form: &Form) {
        if self.drafts.open().metrics.is_empty() && self.reading.kind == PayloadKind::Data {
            let path = if form.whole { "/metrics" } else { "" };
            self.reject(Reason::MetricsMissing, path.to_owned(), "no field is a metric".to_owned());
        }
    }
}

/// A record's path and the name of one of its fields.
fn joined<'n>(record: &'n Node, key: &'n [u8]) -> Vec<&'n [u8]> {
    record.path.iter().map(|part| &**part).chain([key]).collect()
}

#[cold]
fn beyond(number: f64) -> Misfit {
    let detail = format!("found {number:e}, which in the class's unit is beyond a double");
    Misfit { reason: Reason::NumberNotFinite, detail }
}
