//! The forms of a schema: descriptors, in base64. Two files that differ in whitespace and comments, or in whether they were
//! sent as a text or as a descriptor, have the same canonical form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::FileDescriptorProto;
use prost_reflect::{DynamicMessage, FileDescriptor, ReflectMessage as _, Value};

use super::link::FILE;

/// The file as it was declared.
pub(super) fn canonical(file: &FileDescriptor) -> String {
    encode(&declared(file))
}

/// The file as a compiler of a client wants it: the same with a name, which clients replace by their own.
pub(super) fn serialized(file: &FileDescriptor) -> String {
    let mut message = declared(file);
    message.set_field_by_name("name", Value::String(FILE.to_owned()));
    encode(&message)
}

/// The file with all that has no order in order: imports by name, fields and constants by number. Messages stay where they
/// are, as the wire format counts them.
pub(super) fn normalized(file: &FileDescriptor) -> String {
    let mut message = declared(file);
    sort_imports(&mut message);
    each(&mut message, "message_type", &mut order_message);
    each(&mut message, "enum_type", &mut order_enum);
    encode(&message)
}

fn encode(message: &DynamicMessage) -> String {
    STANDARD.encode(super::wire::ordered(&message.descriptor(), &message.encode_to_vec()))
}

/// The descriptor without a name, places in a text, and what compilers may leave out.
fn declared(file: &FileDescriptor) -> DynamicMessage {
    let shape = file
        .parent_pool()
        .get_message_by_name("google.protobuf.FileDescriptorProto")
        .unwrap_or_else(|| FileDescriptorProto::default().descriptor());
    let mut message =
        DynamicMessage::decode(shape, file.encode_to_vec().as_slice()).expect("a descriptor decodes as what it is");
    message.clear_field_by_name("name");
    message.clear_field_by_name("source_code_info");
    if text_of(&message, "syntax") == "proto2" {
        message.clear_field_by_name("syntax");
    }
    each(&mut message, "extension", &mut forget_json_name);
    each(&mut message, "message_type", &mut forget_json_names);
    message
}

fn forget_json_names(message: &mut DynamicMessage) {
    each(message, "field", &mut forget_json_name);
    each(message, "extension", &mut forget_json_name);
    each(message, "nested_type", &mut forget_json_names);
}

/// The name in JSON that follows from the field's own.
fn forget_json_name(field: &mut DynamicMessage) {
    if text_of(field, "json_name") == camel_case(&text_of(field, "name")) {
        field.clear_field_by_name("json_name");
    }
}

fn camel_case(name: &str) -> String {
    let mut upper = false;
    let mut camel = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            '_' => upper = true,
            _ if upper => {
                camel.push(letter.to_ascii_uppercase());
                upper = false;
            }
            _ => camel.push(letter),
        }
    }
    camel
}

fn order_message(message: &mut DynamicMessage) {
    // Members of a oneof stay together, as protoc demands it: they stand where the least of them does.
    let mut least = std::collections::HashMap::new();
    each(message, "field", &mut |field| {
        if field.has_field_by_name("oneof_index") {
            let first = least.entry(number_of(field, "oneof_index")).or_insert(i32::MAX);
            *first = (*first).min(number_of(field, "number"));
        }
    });
    sort(message, "field", |field| {
        let number = number_of(field, "number");
        let of_oneof = field.has_field_by_name("oneof_index").then(|| least.get(&number_of(field, "oneof_index")));
        (of_oneof.flatten().copied().unwrap_or(number), number)
    });
    sort(message, "reserved_range", |range| (number_of(range, "start"), 0));
    each(message, "enum_type", &mut order_enum);
    each(message, "nested_type", &mut order_message);
}

/// The first constant stays the first: it is the default.
fn order_enum(definition: &mut DynamicMessage) {
    let mut first = None;
    each(definition, "value", &mut |value| {
        first.get_or_insert_with(|| text_of(value, "name"));
    });
    sort(definition, "value", |value| {
        let is_first = first.as_ref().is_some_and(|first| *first == text_of(value, "name"));
        (i32::from(!is_first), number_of(value, "number"))
    });
    sort(definition, "reserved_range", |range| (number_of(range, "start"), 0));
}

/// Sorts the imports; public and weak ones are named by their position.
fn sort_imports(file: &mut DynamicMessage) {
    let Some(Value::List(imports)) = file.take_field_by_name("dependency") else { return };
    let mut order: Vec<usize> = (0..imports.len()).collect();
    order.sort_by_key(|&at| imports[at].as_str().unwrap_or("").to_owned());
    for positions in ["public_dependency", "weak_dependency"] {
        let Some(Value::List(old)) = file.take_field_by_name(positions) else { continue };
        let is_among = |at: usize| old.iter().any(|old| old.as_i32().is_some_and(|old| usize::try_from(old) == Ok(at)));
        let new = (0..).zip(&order).filter(|&(_, &at)| is_among(at)).map(|(new, _)| Value::I32(new));
        file.set_field_by_name(positions, Value::List(new.collect()));
    }
    let sorted = order.into_iter().map(|at| imports[at].clone()).collect();
    file.set_field_by_name("dependency", Value::List(sorted));
}

fn each(message: &mut DynamicMessage, list: &str, act: &mut dyn FnMut(&mut DynamicMessage)) {
    if !message.has_field_by_name(list) {
        return;
    }
    let items = message.get_field_by_name_mut(list).and_then(Value::as_list_mut);
    items.into_iter().flatten().filter_map(Value::as_message_mut).for_each(act);
}

fn sort(message: &mut DynamicMessage, list: &str, key: impl Fn(&DynamicMessage) -> (i32, i32)) {
    if !message.has_field_by_name(list) {
        return;
    }
    if let Some(items) = message.get_field_by_name_mut(list).and_then(Value::as_list_mut) {
        items.sort_by_key(|item| item.as_message().map(&key));
    }
}

fn text_of(message: &DynamicMessage, field: &str) -> String {
    message.get_field_by_name(field).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn number_of(message: &DynamicMessage, field: &str) -> i32 {
    message.get_field_by_name(field).and_then(|value| value.as_i32()).unwrap_or_default()
}
