//! Two files side by side: the work that is common to every comparison of them, bounded and without recursion.

use std::collections::HashSet;

use model::limits::SCHEMA_NODES_MAX;
use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor};

use super::Difference;

/// Differences that are told; the first ones suffice for a person.
const DIFFERENCES_MAX: usize = 1_000;

/// What has been found and what is still to be compared, old and new.
pub(super) struct Pairs {
    pub(super) found: Vec<Difference>,
    waiting: Vec<(MessageDescriptor, MessageDescriptor)>,
    seen: HashSet<(String, String)>,
    steps_left: usize,
}

impl Pairs {
    pub(super) fn new() -> Self {
        Self { found: Vec::new(), waiting: Vec::new(), seen: HashSet::new(), steps_left: SCHEMA_NODES_MAX }
    }

    pub(super) fn tell(&mut self, kind: &'static str, path: String, detail: String) {
        if self.found.len() < DIFFERENCES_MAX {
            self.found.push(Difference { kind, path, detail });
        }
    }

    /// To be compared, if they have not been.
    pub(super) fn push(&mut self, old: MessageDescriptor, new: MessageDescriptor) {
        if self.seen.insert((old.full_name().to_owned(), new.full_name().to_owned())) {
            self.waiting.push((old, new));
        }
    }

    /// The next two; `None` at the end, and where it would take too long, which is a difference.
    pub(super) fn pop(&mut self) -> Option<(MessageDescriptor, MessageDescriptor)> {
        let (old, new) = self.waiting.pop()?;
        let steps = 1 + old.fields().len() + new.fields().len();
        let Some(left) = self.steps_left.checked_sub(steps) else {
            self.found.truncate(DIFFERENCES_MAX - 1);
            let detail = format!(
                "comparing the schemas takes more than {SCHEMA_NODES_MAX} steps; what is beyond counts as different: split \
                 them"
            );
            self.tell("SCHEMA_TOO_LARGE", path_of(&new), detail);
            return None;
        };
        self.steps_left = left;
        Some((old, new))
    }
}

/// The message's name without its package.
pub(super) fn path_of(message: &MessageDescriptor) -> String {
    within(message.full_name(), message.package_name()).to_owned()
}

pub(super) fn path_of_enum(definition: &EnumDescriptor) -> String {
    within(definition.full_name(), definition.package_name()).to_owned()
}

fn within<'a>(name: &'a str, package: &str) -> &'a str {
    if package.is_empty() { name } else { name.strip_prefix(package).map_or(name, |rest| rest.trim_start_matches('.')) }
}

/// The oneof that is written around the field.
pub(super) fn oneof_of(field: &FieldDescriptor) -> Option<OneofDescriptor> {
    field.containing_oneof().filter(|oneof| !oneof.is_synthetic())
}

pub(super) fn oneofs(message: &MessageDescriptor) -> impl Iterator<Item = OneofDescriptor> {
    message.oneofs().filter(|oneof| !oneof.is_synthetic())
}

pub(super) fn oneof_named(message: &MessageDescriptor, name: &str) -> bool {
    oneofs(message).any(|oneof| oneof.name() == name)
}

/// Nested message types that are written as such.
pub(super) fn nested(message: &MessageDescriptor) -> impl Iterator<Item = MessageDescriptor> {
    message.child_messages().filter(|nested| !nested.is_map_entry())
}

/// The type as it is written: `map<string, int32>`, `repeated pkg.Message`.
pub(super) fn type_text(field: &FieldDescriptor) -> String {
    if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
        let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        return format!("map<{}, {}>", kind_text(&key), kind_text(&value));
    }
    let kind = kind_text(field);
    if field.is_list() { format!("repeated {kind}") } else { kind }
}

/// The type without its label; messages and enums by their full name.
pub(super) fn kind_text(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Message(message) if field.is_group() => format!("group {}", message.full_name()),
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(definition) => definition.full_name().to_owned(),
        kind => format!("{kind:?}"),
    }
}
