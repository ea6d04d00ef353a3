//! Whether one schema can read what another one wrote: the rules of Confluent's registry, and stricter ones where those let
//! data through that a reader fails on (bytes to string, a singular number to a repeated one, a field becoming required).
//!
//! Messages are matched by name within their scope, fields by number across the whole message. Options, services,
//! extensions, the syntax line, reserved numbers and names of fields are not compared.

use std::collections::BTreeSet;

use prost_reflect::{FieldDescriptor, FileDescriptor, Kind, MessageDescriptor};

use super::Difference;
use super::pairs::{Pairs, kind_text, nested, oneof_named, oneof_of, oneofs, path_of, type_text};

/// What keeps a reader of `new` from reading what a writer of `old` wrote.
pub(super) fn between(old: &FileDescriptor, new: &FileDescriptor) -> Vec<Difference> {
    let mut pairs = Pairs::new();
    if old.package_name() != new.package_name() {
        let detail = format!(
            "the package is `{}` for the reader and `{}` for the writer: they must be the same",
            new.package_name(),
            old.package_name()
        );
        pairs.tell("PACKAGE_CHANGED", String::new(), detail);
    }
    messages(&mut pairs, old.messages(), new.messages().collect());
    while let Some((old, new)) = pairs.pop() {
        message(&mut pairs, &old, &new);
    }
    pairs.found
}

fn messages(pairs: &mut Pairs, old: impl Iterator<Item = MessageDescriptor>, new: Vec<MessageDescriptor>) {
    let by_name: std::collections::HashMap<_, _> = new.iter().map(|message| (message.name(), message)).collect();
    for old in old {
        match by_name.get(old.name()) {
            Some(&new) => pairs.push(old, new.clone()),
            None => pairs.tell(
                "MESSAGE_REMOVED",
                path_of(&old),
                format!("message type `{}` is missing in the reader's schema: keep it", path_of(&old)),
            ),
        }
    }
}

fn message(pairs: &mut Pairs, old: &MessageDescriptor, new: &MessageDescriptor) {
    messages(pairs, nested(old), nested(new).collect());
    for field in old.fields() {
        match new.get_field(field.number()) {
            Some(now) => compare(pairs, &field, &now),
            None => removed(pairs, &field, new),
        }
    }
    for field in new.fields().filter(|field| field.is_required() && old.get_field(field.number()).is_none()) {
        let detail = format!("field `{}` is required for the reader, and the writer does not have it", field.name());
        pairs.tell("REQUIRED_FIELD_ADDED", path(&field), detail);
    }
    for oneof in oneofs(new) {
        let former: Vec<_> = oneof.fields().filter_map(|field| old.get_field(field.number())).collect();
        // A field outside of oneofs is an origin of its own, a oneof is one for all of its members.
        let outside = former.iter().filter(|field| oneof_of(field).is_none()).count();
        let from: BTreeSet<_> = former.iter().filter_map(oneof_of).map(|oneof| oneof.name().to_owned()).collect();
        if outside + from.len() > 1 {
            let kind = if outside > 1 { "MULTIPLE_FIELDS_MOVED_TO_ONEOF" } else { "FIELD_MOVED_TO_EXISTING_ONEOF" };
            let detail = format!(
                "the writer may set several fields of which the reader, by oneof `{}`, keeps only the last one: leave them \
                 where they were",
                oneof.name()
            );
            pairs.tell(kind, format!("{}.{}", path_of(new), oneof.name()), detail);
        }
    }
}

fn removed(pairs: &mut Pairs, field: &FieldDescriptor, new: &MessageDescriptor) {
    if field.is_required() {
        let detail = format!("field `{}` is required for the writer, and the reader does not have it", field.name());
        pairs.tell("REQUIRED_FIELD_REMOVED", path(field), detail);
        return;
    }
    let Some(oneof) = oneof_of(field) else { return };
    let survives = oneof.fields().any(|member| new.get_field(member.number()).is_some());
    if survives || oneof_named(new, oneof.name()) {
        let detail = format!("field `{}` of oneof `{}` is missing in the reader's schema", field.name(), oneof.name());
        pairs.tell("ONEOF_FIELD_REMOVED", path(field), detail);
    }
}

/// Of one number.
fn compare(pairs: &mut Pairs, old: &FieldDescriptor, new: &FieldDescriptor) {
    if shape(old) != shape(new) {
        let detail = format!("the type is `{}` for the reader and `{}` for the writer", type_text(new), type_text(old));
        pairs.tell("FIELD_KIND_CHANGED", path(new), detail);
        return;
    }
    if let (Shape::Map, Kind::Message(old_entry), Kind::Message(new_entry)) = (shape(old), old.kind(), new.kind()) {
        compare_kinds(pairs, &old_entry.map_entry_key_field(), &new_entry.map_entry_key_field(), path(new));
        compare_kinds(pairs, &old_entry.map_entry_value_field(), &new_entry.map_entry_value_field(), path(new));
        return;
    }
    compare_kinds(pairs, old, new, path(new));
    let is_number = shape(new) == Shape::Scalar && !matches!(new.kind(), Kind::String | Kind::Bytes);
    let required_now = new.is_required() && !old.is_required();
    if is_number && (old.is_list() != new.is_list() || old.is_required() != new.is_required()) {
        let detail = format!("the field is {} for the reader and {} for the writer", label(new), label(old));
        pairs.tell("FIELD_NUMERIC_LABEL_CHANGED", path(new), detail);
    } else if required_now {
        let detail = format!("field `{}` is required for the reader, and the writer may leave it out", new.name());
        pairs.tell("REQUIRED_FIELD_ADDED", path(new), detail);
    }
}

fn compare_kinds(pairs: &mut Pairs, old: &FieldDescriptor, new: &FieldDescriptor, path: String) {
    match (old.kind(), new.kind()) {
        (Kind::Message(was), Kind::Message(is)) => {
            if path_of(&was) == path_of(&is) {
                pairs.push(was, is);
            } else {
                let detail =
                    format!("the type is `{}` for the reader and `{}` for the writer", kind_text(new), kind_text(old));
                pairs.tell("FIELD_NAMED_TYPE_CHANGED", path, detail);
            }
        }
        (Kind::Message(_), _) | (_, Kind::Message(_)) => {
            let detail =
                format!("the type is `{}` for the reader and `{}` for the writer", kind_text(new), kind_text(old));
            pairs.tell("FIELD_KIND_CHANGED", path, detail);
        }
        (was, is) if reads(&is, &was) => {}
        _ => {
            let detail =
                format!("a `{}` cannot be read as a `{}`: give the field a new number", kind_text(old), kind_text(new));
            pairs.tell("FIELD_SCALAR_KIND_CHANGED", path, detail);
        }
    }
}

/// Whether the bytes of one scalar are those of the other (protobuf.dev, "Updating A Message Type").
fn reads(reader: &Kind, writer: &Kind) -> bool {
    let group = |kind: &Kind| match kind {
        Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 | Kind::Bool | Kind::Enum(_) => 0,
        Kind::Sint32 | Kind::Sint64 => 1,
        Kind::Fixed32 | Kind::Sfixed32 => 2,
        Kind::Fixed64 | Kind::Sfixed64 => 3,
        Kind::Float => 4,
        Kind::Double => 5,
        Kind::String => 6,
        Kind::Bytes => 7,
        Kind::Message(_) => 8,
    };
    // Every string is bytes; bytes need not be a string.
    group(reader) == group(writer) || matches!((reader, writer), (Kind::Bytes, Kind::String))
}

#[derive(PartialEq)]
enum Shape {
    Scalar,
    Map,
    Message,
    /// Another encoding than that of a message.
    Group,
}

fn shape(field: &FieldDescriptor) -> Shape {
    match field.kind() {
        _ if field.is_map() => Shape::Map,
        _ if field.is_group() => Shape::Group,
        Kind::Message(_) => Shape::Message,
        _ => Shape::Scalar,
    }
}

fn label(field: &FieldDescriptor) -> &'static str {
    match field {
        _ if field.is_list() => "repeated",
        _ if field.is_required() => "required",
        _ => "singular",
    }
}

fn path(field: &FieldDescriptor) -> String {
    format!("{}.{}", path_of(field.parent_message()), field.name())
}
