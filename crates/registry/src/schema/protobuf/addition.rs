//! Whether a schema is another one with optional fields and new types added, and nothing else: what may stay in a major.
//!
//! Stricter than compatibility: a field keeps its number, name, type, label, oneof, default, unit and range; an enum keeps
//! its constants and gets none; message types keep their places, as the first one is what a payload without indexes is.

use std::collections::HashSet;

use prost_reflect::{EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor};

use super::Difference;
use super::options::Said;
use super::pairs::{Pairs, nested, oneof_named, oneof_of, path_of, path_of_enum, type_text};

/// What is in `now` beyond additions to `before`.
pub(super) fn beyond(before: &FileDescriptor, now: &FileDescriptor) -> Vec<Difference> {
    let mut beyond = Beyond { pairs: Pairs::new(), enums: HashSet::new() };
    if before.package_name() != now.package_name() {
        let detail = format!("the package was `{}` and is `{}`", before.package_name(), now.package_name());
        beyond.pairs.tell("PACKAGE_CHANGED", String::new(), detail);
    }
    if before.syntax() != now.syntax() {
        let detail =
            format!("the syntax was {:?} and is {:?}: absent fields mean other things", before.syntax(), now.syntax());
        beyond.pairs.tell("SYNTAX_CHANGED", String::new(), detail);
    }
    beyond.messages(before.messages(), now.messages().collect());
    beyond.enums(before.enums(), now.enums().collect());
    while let Some((before, now)) = beyond.pairs.pop() {
        beyond.message(&before, &now);
    }
    beyond.pairs.found
}

struct Beyond {
    pairs: Pairs,
    /// Full names of those that have been compared.
    enums: HashSet<String>,
}

impl Beyond {
    fn messages(&mut self, before: impl Iterator<Item = MessageDescriptor>, now: Vec<MessageDescriptor>) {
        let by_name: std::collections::HashMap<_, _> = now.iter().map(|message| (message.name(), message)).collect();
        for before in before {
            let path = path_of(&before);
            let Some(&now) = by_name.get(before.name()) else {
                self.pairs.tell("MESSAGE_REMOVED", path.clone(), format!("message type `{path}` was there and is not"));
                continue;
            };
            if before.path() != now.path() {
                let detail = format!("message type `{path}` has another place in the file: add new ones after the old");
                self.pairs.tell("MESSAGE_MOVED", path, detail);
            }
            self.pairs.push(before, now.clone());
        }
    }

    fn enums(&mut self, before: impl Iterator<Item = EnumDescriptor>, now: Vec<EnumDescriptor>) {
        for before in before {
            match now.iter().find(|now| now.name() == before.name()) {
                Some(now) => self.definition_of_enum(&before, now),
                None => {
                    let path = path_of_enum(&before);
                    self.pairs.tell("ENUM_REMOVED", path.clone(), format!("enum `{path}` was there and is not"));
                }
            }
        }
    }

    fn message(&mut self, before: &MessageDescriptor, now: &MessageDescriptor) {
        self.messages(nested(before), nested(now).collect());
        self.enums(before.child_enums(), now.child_enums().collect());
        for field in before.fields() {
            match now.get_field(field.number()) {
                Some(now) => self.field(&field, &now),
                None => self.removed(&field, now),
            }
        }
        for field in now.fields().filter(|field| before.get_field(field.number()).is_none()) {
            self.added(&field, before);
        }
    }

    fn removed(&mut self, field: &FieldDescriptor, now: &MessageDescriptor) {
        let name = field.name();
        let (kind, detail) = match now.get_field_by_name(name) {
            Some(now) => (
                "FIELD_NUMBER_CHANGED",
                format!("field `{name}` had number {} and has {}", field.number(), now.number()),
            ),
            None => ("FIELD_REMOVED", format!("field `{name}` was there and is not")),
        };
        self.pairs.tell(kind, path(field), detail);
    }

    fn added(&mut self, field: &FieldDescriptor, before: &MessageDescriptor) {
        let (name, number) = (field.name(), field.number());
        if field.is_required() || Said::of(field).required == Some(true) {
            let detail = format!("field `{name}` is new and required: messages of before do not have it");
            self.pairs.tell("REQUIRED_FIELD_ADDED", path(field), detail);
        }
        if let Some(oneof) = oneof_of(field).filter(|oneof| oneof_named(before, oneof.name())) {
            let detail = format!("field `{name}` is a new member of oneof `{}`, which was there", oneof.name());
            self.pairs.tell("ONEOF_FIELD_ADDED", path(field), detail);
        }
        let reserved = before.reserved_ranges().chain(before.extension_ranges()).any(|range| range.contains(&number));
        if reserved || before.reserved_names().any(|reserved| reserved == name) {
            let detail = format!("field `{name}` has a number or a name that was reserved: take number and name anew");
            self.pairs.tell("RESERVED_FIELD_ADDED", path(field), detail);
        }
    }

    /// Of one number.
    fn field(&mut self, before: &FieldDescriptor, now: &FieldDescriptor) {
        let name = before.name();
        let mut changed = |kind, what: &str, was: String, is: String| {
            if was != is {
                self.pairs.tell(kind, path(before), format!("the {what} of field `{name}` was {was} and is {is}"));
            }
        };
        changed("FIELD_NAME_CHANGED", "name", quoted(name), quoted(now.name()));
        changed("FIELD_TYPE_CHANGED", "type", quoted(&type_text(before)), quoted(&type_text(now)));
        changed("FIELD_LABEL_CHANGED", "presence", presence(before), presence(now));
        let oneof = |field| oneof_of(field).map_or_else(|| "none".to_owned(), |oneof| quoted(oneof.name()));
        changed("FIELD_ONEOF_CHANGED", "oneof", oneof(before), oneof(now));
        let default = |field: &FieldDescriptor| told(field.field_descriptor_proto().default_value.as_ref());
        changed("FIELD_DEFAULT_CHANGED", "default", default(before), default(now));
        let (was, is) = (Said::of(before), Said::of(now));
        changed("FIELD_UNIT_CHANGED", "unit", told(was.unit.as_ref()), told(is.unit.as_ref()));
        changed("FIELD_UNIT_CHANGED", "unit of time", told(was.ts_unit.as_ref()), told(is.ts_unit.as_ref()));
        changed("FIELD_RANGE_CHANGED", "minimum", told(was.min.as_ref()), told(is.min.as_ref()));
        changed("FIELD_RANGE_CHANGED", "maximum", told(was.max.as_ref()), told(is.max.as_ref()));
        let must = |said: &Said| (said.required == Some(true)).to_string();
        changed("FIELD_LABEL_CHANGED", "option `required`", must(&was), must(&is));
        self.types(before.kind(), now.kind());
    }

    /// Types may be those of other files, which are not compared as parts of this one.
    fn types(&mut self, before: Kind, now: Kind) {
        match (before, now) {
            (Kind::Message(before), Kind::Message(now)) if before.full_name() == now.full_name() => {
                self.pairs.push(before, now);
            }
            (Kind::Message(before), Kind::Message(now)) if before.is_map_entry() && now.is_map_entry() => {
                self.types(before.map_entry_value_field().kind(), now.map_entry_value_field().kind());
            }
            (Kind::Enum(before), Kind::Enum(now)) if before.full_name() == now.full_name() => {
                self.definition_of_enum(&before, &now);
            }
            _ => {}
        }
    }

    fn definition_of_enum(&mut self, before: &EnumDescriptor, now: &EnumDescriptor) {
        if !self.enums.insert(before.full_name().to_owned()) {
            return;
        }
        let place = path_of_enum(before);
        let constants = |definition: &EnumDescriptor| -> HashSet<(i32, String)> {
            definition.values().map(|value| (value.number(), value.name().to_owned())).collect()
        };
        let (was, is) = (constants(before), constants(now));
        let mut gone: Vec<_> = was.difference(&is).collect();
        let mut added: Vec<_> = is.difference(&was).collect();
        gone.sort();
        added.sort();
        for (number, name) in gone {
            let detail = format!("constant `{name}` = {number} of enum `{place}` was there and is not");
            self.pairs.tell("ENUM_CONST_REMOVED", format!("{place}.{name}"), detail);
        }
        for (number, name) in added {
            let detail =
                format!("constant `{name}` = {number} of enum `{place}` is new: readers of before do not know it");
            self.pairs.tell("ENUM_CONST_ADDED", format!("{place}.{name}"), detail);
        }
    }
}

fn presence(field: &FieldDescriptor) -> String {
    match field {
        _ if field.is_required() => "required",
        _ if field.is_list() || field.is_map() => "repeated",
        _ if field.supports_presence() => "optional",
        _ => "implicit",
    }
    .to_owned()
}

fn quoted(text: &str) -> String {
    format!("`{text}`")
}

fn told(value: Option<&impl ToString>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| quoted(&value.to_string()))
}

fn path(field: &FieldDescriptor) -> String {
    format!("{}.{}", path_of(field.parent_message()), field.name())
}
