//! Whether two schemas certainly have no value in common.

use serde_json::Value;

use super::super::form::{Criterion, Form, Kind, View};
use super::super::value::{Types, equal};

/// How deep is looked; deeper, anything may be in common.
const DEPTH_MAX: usize = 4;

impl View<'_> {
    pub(super) fn is_apart_from(&self, other: &View<'_>) -> bool {
        apart(self, other, DEPTH_MAX)
    }
}

fn apart(one: &View<'_>, other: &View<'_>, depth: usize) -> bool {
    if depth == 0 {
        return false;
    }
    if !types(one, depth).meets(types(other, depth)) {
        return true;
    }
    if let (Some(some), Some(others)) = (values(one, depth), values(other, depth)) {
        return !some.iter().any(|one| others.iter().any(|other| equal(one, other)));
    }
    // Objects that name a property differently: a discriminator.
    let (Form::Plain(Kind::Object, true, one), Form::Plain(Kind::Object, true, other)) = (one.form(), other.form())
    else {
        return false;
    };
    let required = one.get("required").and_then(Value::as_array).into_iter().flatten();
    required.filter_map(Value::as_str).any(|name| {
        let demanded = other
            .get("required")
            .and_then(Value::as_array)
            .is_some_and(|names| names.iter().any(|other| other == name));
        match (
            one.at("properties").and_then(|part| part.at(name)),
            other.at("properties").and_then(|part| part.at(name)),
        ) {
            (Some(one), Some(other)) => demanded && apart(&View::all(one), &View::all(other), depth - 1),
            _ => false,
        }
    })
}

/// The types that a value may have, at most.
fn types(view: &View<'_>, depth: usize) -> Types {
    if depth == 0 {
        return Types::ANY;
    }
    match view.form() {
        Form::Nothing => Types::NONE,
        Form::Plain(kind, true, _) => match kind {
            Kind::Null => Types::NULL,
            Kind::Boolean => Types::BOOLEAN,
            Kind::Integer => Types::INTEGER,
            Kind::Number => Types::NUMBER,
            Kind::String => Types::STRING,
            Kind::Array => Types::ARRAY,
            Kind::Object => Types::OBJECT,
        },
        Form::Enum(list) => list.iter().map(Types::of_value).fold(Types::NONE, Types::or),
        Form::Const(value) => Types::of_value(value),
        Form::Combined(Criterion::All, members) => {
            members.iter().map(|member| types(member, depth - 1)).fold(Types::ANY, Types::and)
        }
        Form::Combined(_, members) => {
            members.iter().map(|member| types(member, depth - 1)).fold(Types::NONE, Types::or)
        }
        Form::Plain(_, false, _) | Form::Anything | Form::Not(_) | Form::If(_) | Form::Opaque => Types::ANY,
    }
}

/// The values that are listed, if they are.
fn values(view: &View<'_>, depth: usize) -> Option<Vec<Value>> {
    match view.form() {
        Form::Enum(list) => Some(list.to_vec()),
        Form::Const(value) => Some(vec![value.clone()]),
        Form::Combined(Criterion::All, members) if depth > 0 => {
            members.iter().find_map(|member| values(member, depth - 1))
        }
        _ => None,
    }
}
