//! What may happen within a major: optional fields are added to records, at any level, and documentation and aliases
//! anywhere. All else is told, although schema resolution may allow it.
//!
//! The order of the fields that were there counts: a payload without the mark of its schema is read in the order of the
//! newest version.

use serde_json::Value;

use super::attributes::{changed, same};
use super::pairs::{Pair, Pairs};
use super::types::{Enum, Field, Record, Shape, Type, TypeId};
use super::{Avro, Difference};

pub fn beyond_additions(now: &Avro, before: &Avro) -> Vec<Difference> {
    Pairs::walk(now, before, look)
}

fn look<'a>(pairs: &mut Pairs<'a>, pair: &Pair<'a>, _now: TypeId, _before: TypeId) {
    let (now, before) = (pair.left, pair.right);
    attributes(pairs, pair);
    names(pairs, pair);
    match (&now.shape, &before.shape) {
        (Shape::Primitive(one), Shape::Primitive(two)) if one == two => {}
        (Shape::Array(one), Shape::Array(two)) => pairs.inside(pair, "/items", *one, *two),
        (Shape::Map(one), Shape::Map(two)) => pairs.inside(pair, "/values", *one, *two),
        (Shape::Union(one), Shape::Union(two)) => unions(pairs, pair, one, two),
        (Shape::Record(_, one), Shape::Record(_, two)) => records(pairs, pair, one, two),
        (Shape::Enum(_, one), Shape::Enum(_, two)) => enums(pairs, pair, one, two),
        (Shape::Fixed(_, one), Shape::Fixed(_, two)) if one == two => {}
        (Shape::Fixed(_, one), Shape::Fixed(_, two)) => {
            pairs.differ(pair, "/size", "SIZE_CHANGED", format!("the size was {two} bytes and is {one} now"));
        }
        (one, two) => {
            pairs.differ(pair, "", "TYPE_CHANGED", format!("the type was {} and is {} now", two.word(), one.word()));
        }
    }
}

fn attributes(pairs: &mut Pairs<'_>, pair: &Pair<'_>) {
    let (now, before) = (pair.left, pair.right);
    let word = |of: &Type| match (of.logical, of.attributes.get("logicalType")) {
        (Some(logical), _) => logical.describe(),
        (None, Some(word)) => word.to_string(),
        (None, None) => "none".to_owned(),
    };
    let (one, two) = (word(now), word(before));
    if one != two {
        pairs.differ(pair, "", "LOGICAL_TYPE_CHANGED", format!("the logical type was {two} and is {one} now"));
    }
    if let Some(name) = changed(&now.attributes, &before.attributes) {
        pairs.differ(
            pair,
            "",
            "ATTRIBUTE_CHANGED",
            attribute_changed(name, now.attributes.get(name), before.attributes.get(name)),
        );
    }
}

fn attribute_changed(name: &str, now: Option<&Value>, before: Option<&Value>) -> String {
    format!("the attribute {name:?} was {} and is {} now", shown(before), shown(now))
}

fn names(pairs: &mut Pairs<'_>, pair: &Pair<'_>) {
    let (Some(now), Some(before)) = (pair.left.shape.named(), pair.right.shape.named()) else { return };
    if now.name != before.name {
        pairs.differ(pair, "/name", "NAME_CHANGED", format!("the name was {} and is {} now", before.name, now.name));
    }
    for alias in before.aliases.iter().filter(|alias| !now.aliases.contains(alias)) {
        pairs.differ(pair, "/aliases", "ALIAS_REMOVED", format!("the alias {alias} of {} is gone", now.name));
    }
}

fn unions(pairs: &mut Pairs<'_>, pair: &Pair<'_>, now: &[TypeId], before: &[TypeId]) {
    let one: Vec<&str> = now.iter().map(|id| pairs.left(*id).shape.word()).collect();
    let two: Vec<&str> = before.iter().map(|id| pairs.right(*id).shape.word()).collect();
    if one == two {
        for (position, (now, before)) in now.iter().zip(before).enumerate() {
            pairs.inside(pair, format_args!("/{position}"), *now, *before);
        }
    } else {
        let detail = format!("the union was [{}] and is [{}] now", two.join(", "), one.join(", "));
        pairs.differ(pair, "", "TYPE_CHANGED", detail);
    }
}

fn enums(pairs: &mut Pairs<'_>, pair: &Pair<'_>, now: &Enum, before: &Enum) {
    if !pairs.spend(now.symbols.len() + before.symbols.len()) {
        return;
    }
    if now.symbols != before.symbols {
        let detail =
            format!("the symbols were [{}] and are [{}] now", before.symbols.join(", "), now.symbols.join(", "));
        pairs.differ(pair, "/symbols", "SYMBOLS_CHANGED", detail);
    }
    if now.default != before.default {
        let shown = |default: &Option<String>| default.clone().unwrap_or_else(|| "none".to_owned());
        let detail = format!("the default was {} and is {} now", shown(&before.default), shown(&now.default));
        pairs.differ(pair, "/default", "DEFAULT_CHANGED", detail);
    }
}

fn records(pairs: &mut Pairs<'_>, pair: &Pair<'_>, now: &Record, before: &Record) {
    if !pairs.spend(now.fields.len() + before.fields.len()) {
        return;
    }
    for field in before.fields.iter().filter(|field| !now.by_name.contains_key(&field.name)) {
        removed(pairs, pair, now, field);
    }
    let mut last = None;
    for (position, field) in now.fields.iter().enumerate() {
        let way = format!("/fields/{position}");
        match before.by_name.get(&field.name) {
            None if field.default.is_some() => {}
            None => {
                let detail = format!("the field {:?} is new and has no default", field.name);
                pairs.differ(pair, way, "REQUIRED_FIELD_ADDED", detail);
            }
            Some(earlier) => {
                if last.is_some_and(|last| last > *earlier) {
                    let detail = format!("the field {:?} stood further up before", field.name);
                    pairs.differ(pair, &way, "FIELD_MOVED", detail);
                }
                last = last.max(Some(*earlier));
                fields(pairs, pair, &way, field, &before.fields[*earlier]);
            }
        }
    }
}

fn removed(pairs: &mut Pairs<'_>, pair: &Pair<'_>, now: &Record, field: &Field) {
    if !pairs.spend(now.fields.iter().map(|field| field.aliases.len()).sum()) {
        return;
    }
    match now.fields.iter().position(|other| other.aliases.contains(&field.name)) {
        Some(position) => {
            let detail = format!("the field {:?} is renamed to {:?}", field.name, now.fields[position].name);
            pairs.differ(pair, format_args!("/fields/{position}"), "FIELD_RENAMED", detail);
        }
        None => pairs.differ(pair, "/fields", "FIELD_REMOVED", format!("the field {:?} is gone", field.name)),
    }
}

fn fields(pairs: &mut Pairs<'_>, pair: &Pair<'_>, way: &str, now: &Field, before: &Field) {
    if !same(now.default.as_ref(), before.default.as_ref()) {
        let detail = format!(
            "the default of {:?} was {} and is {} now",
            now.name,
            shown(before.default.as_ref()),
            shown(now.default.as_ref())
        );
        pairs.differ(pair, format_args!("{way}/default"), "DEFAULT_CHANGED", detail);
    }
    if let Some(name) = changed(&now.attributes, &before.attributes) {
        let detail = attribute_changed(name, now.attributes.get(name), before.attributes.get(name));
        pairs.differ(pair, format_args!("{way}/{name}"), "ATTRIBUTE_CHANGED", detail);
    }
    for alias in before.aliases.iter().filter(|alias| !now.aliases.contains(alias)) {
        let detail = format!("the alias {alias:?} of the field {:?} is gone", now.name);
        pairs.differ(pair, format_args!("{way}/aliases"), "ALIAS_REMOVED", detail);
    }
    pairs.inside(pair, format_args!("{way}/type"), now.of, before.of);
}

/// As JSON, of any length up to that of a default.
fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "none".to_owned(), Value::to_string)
}
