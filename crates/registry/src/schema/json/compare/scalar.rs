//! Keywords of strings and numbers, and ends of ranges in general.

use std::cmp::Ordering;

use referencing::Draft;
use serde_json::{Number, Value};

use super::super::documents::Node;
use super::super::form::Kind;
use super::{Found, add};

/// A keyword and what is said of it: added, more, less.
pub struct Limit {
    pub keyword: &'static str,
    pub added: &'static str,
    /// When the value changes so that less is let in.
    pub tightened: &'static str,
    pub upper: bool,
}

const fn upper(keyword: &'static str, added: &'static str, tightened: &'static str) -> Limit {
    Limit { keyword, added, tightened, upper: true }
}

const fn lower(keyword: &'static str, added: &'static str, tightened: &'static str) -> Limit {
    Limit { keyword, added, tightened, upper: false }
}

const LENGTHS: [Limit; 2] = [
    upper("maxLength", "MAX_LENGTH_ADDED", "MAX_LENGTH_DECREASED"),
    lower("minLength", "MIN_LENGTH_ADDED", "MIN_LENGTH_INCREASED"),
];
const RANGE: [Limit; 4] = [
    upper("maximum", "MAXIMUM_ADDED", "MAXIMUM_DECREASED"),
    lower("minimum", "MINIMUM_ADDED", "MINIMUM_INCREASED"),
    upper("exclusiveMaximum", "EXCLUSIVE_MAXIMUM_ADDED", "EXCLUSIVE_MAXIMUM_DECREASED"),
    lower("exclusiveMinimum", "EXCLUSIVE_MINIMUM_ADDED", "EXCLUSIVE_MINIMUM_INCREASED"),
];
pub const ITEMS: [Limit; 2] = [
    upper("maxItems", "MAX_ITEMS_ADDED", "MAX_ITEMS_DECREASED"),
    lower("minItems", "MIN_ITEMS_ADDED", "MIN_ITEMS_INCREASED"),
];
pub const PROPERTIES: [Limit; 2] = [
    upper("maxProperties", "MAX_PROPERTIES_ADDED", "MAX_PROPERTIES_DECREASED"),
    lower("minProperties", "MIN_PROPERTIES_ADDED", "MIN_PROPERTIES_INCREASED"),
];

pub fn limits(old: &Node<'_>, new: &Node<'_>, limits: &[Limit], all: &mut Vec<Found>) {
    for limit in limits {
        match (end(old, limit.keyword), end(new, limit.keyword)) {
            (_, None) => {}
            (None, Some(_)) => add(all, limit.added, limit.keyword),
            (Some(before), Some(now)) => {
                let tightened = if limit.upper { Ordering::Less } else { Ordering::Greater };
                if order(now, before) == tightened {
                    add(all, limit.tightened, limit.keyword);
                }
            }
        }
    }
}

/// In draft-04 `exclusiveMinimum: true` says how `minimum` is meant.
fn end<'r>(node: &Node<'r>, keyword: &str) -> Option<&'r Number> {
    let number =
        |key: &str| node.get(key).and_then(|value| if let Value::Number(number) = value { Some(number) } else { None });
    let exclusive = |key: &str| node.draft == Draft::Draft4 && node.get(key) == Some(&Value::Bool(true));
    match keyword {
        "minimum" => number(keyword).filter(|_| !exclusive("exclusiveMinimum")),
        "maximum" => number(keyword).filter(|_| !exclusive("exclusiveMaximum")),
        "exclusiveMinimum" if exclusive(keyword) => number("minimum"),
        "exclusiveMaximum" if exclusive(keyword) => number("maximum"),
        _ => number(keyword),
    }
}

/// Exact for integers of any size.
pub fn order(one: &Number, other: &Number) -> Ordering {
    let double = |number: &Number| number.as_f64().unwrap_or_default();
    let whole = |number: &Number| {
        let float = Some(double(number)).filter(|double| double.fract() == 0.0 && double.abs() < 1e30);
        number.as_i128().or(float.map(|double| double as i128))
    };
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => double(one).total_cmp(&double(other)),
    }
}

pub fn strings(old: &Node<'_>, new: &Node<'_>, all: &mut Vec<Found>) {
    limits(old, new, &LENGTHS, all);
    match (old.get("pattern"), new.get("pattern")) {
        (_, None) => {}
        (None, Some(_)) => add(all, "PATTERN_ADDED", "pattern"),
        (before, now) if before == now => {}
        _ => add(all, "PATTERN_CHANGED", "pattern"),
    }
}

pub fn numbers(before: Kind, old: &Node<'_>, now: Kind, new: &Node<'_>, all: &mut Vec<Found>) {
    // In draft-04 5.0 is no integer.
    let literal = |node: &Node<'_>| node.draft == Draft::Draft4;
    if now == Kind::Integer && (before == Kind::Number || literal(new) && !literal(old)) {
        add(all, "TYPE_NARROWED", "type");
    }
    limits(old, new, &RANGE, all);
    if let Some(Value::Number(now)) = new.get("multipleOf") {
        match old.get("multipleOf") {
            Some(Value::Number(before)) if is_multiple(before, now) => {}
            Some(Value::Number(before)) => {
                add(
                    all,
                    if is_multiple(now, before) { "MULTIPLE_OF_EXPANDED" } else { "MULTIPLE_OF_CHANGED" },
                    "multipleOf",
                );
            }
            _ => add(all, "MULTIPLE_OF_ADDED", "multipleOf"),
        }
    }
}

/// Keywords whose value has to stay, or go.
pub fn words(old: &Node<'_>, new: &Node<'_>, keywords: &[&str], all: &mut Vec<Found>) {
    for keyword in keywords {
        match (old.get(keyword), new.get(keyword)) {
            (_, None) => {}
            (None, Some(_)) => add(all, "FORMAT_ADDED", keyword),
            (before, now) if before == now => {}
            _ => add(all, "FORMAT_CHANGED", keyword),
        }
    }
}

/// As decimals: 0.5 is a multiple of 0.25.
fn is_multiple(of: &Number, step: &Number) -> bool {
    let (Some((of, of_scale)), Some((step, step_scale))) = (decimal(of), decimal(step)) else { return false };
    let scale = of_scale.max(step_scale);
    let raised = |value: i128, by: u32| 10_i128.checked_pow(by).and_then(|power| value.checked_mul(power));
    match (raised(of, scale - of_scale), raised(step, scale - step_scale)) {
        (Some(of), Some(step)) => step != 0 && of % step == 0,
        _ => false,
    }
}

/// Digits and how many of them are behind the point; `None` if it takes an exponent to write it.
fn decimal(number: &Number) -> Option<(i128, u32)> {
    if let Some(integer) = number.as_i128() {
        return Some((integer, 0));
    }
    let text = format!("{}", number.as_f64()?);
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    Some((format!("{whole}{fraction}").parse().ok()?, u32::try_from(fraction.len()).ok()?))
}
