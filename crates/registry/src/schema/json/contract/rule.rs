//! What one value must be.

use model::contract::{Kind, Rule, Value};
use serde_json::Value as Json;

use super::super::pattern;
use super::super::value::Types;
use super::merged::Merged;
use super::{Unusable, numbers, unusable};
use crate::units;

/// Keywords that assert something of any value and are not checked.
const UNCHECKED: [&str; 4] = ["if", "not", "$dynamicRef", "$recursiveRef"];
/// Of arrays.
const UNCHECKED_OF_ARRAYS: [&str; 12] = [
    "enum",
    "const",
    "items",
    "prefixItems",
    "additionalItems",
    "unevaluatedItems",
    "contains",
    "minContains",
    "maxContains",
    "minItems",
    "maxItems",
    "uniqueItems",
];
/// Of other values that are not kept because no type is said.
const UNCHECKED_OF_OTHERS: [&str; 19] = [
    "properties",
    "required",
    "additionalProperties",
    "unevaluatedProperties",
    "patternProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
];

/// A tag of any name.
pub fn text() -> Rule {
    Rule { kinds: vec![Kind::Text], ..Rule::default() }
}

/// The rule of a value that is no object.
pub fn of(value: &Merged<'_>) -> Result<Rule, Unusable> {
    value.refuse(&UNCHECKED)?;
    let mut rule = Rule { unit: unit(value)?, ..Rule::default() };
    let allowed = numbers::allowed(value)?;
    let mut types = value.types;
    if let Some(allowed) = &allowed {
        types = types.and(allowed.iter().map(Types::of_value).fold(Types::NULL, Types::or));
    }
    let kept = types.and(Types::SCALAR);
    if value.types == Types::ARRAY || (value.types == Types::ANY && allowed.is_none()) {
        return read_over(value, rule);
    }
    if types != kept {
        return unusable(format!(
            "`{}` may be an array or an object as well as something else, which is not checked; give it one `type`",
            value.path()
        ));
    }
    rule.nullable = types.has(Types::NULL) && numbers::null_allowed(value);
    rule.kinds = kinds(types, value.types);
    if rule.kinds.is_empty() {
        return unusable(format!("`{}` lets nothing but null in; leave it out", value.path()));
    }
    if rule.unit.is_some() && !types.meets(Types::NUMBER) {
        return unusable(format!(
            "`unit` at `{}` is of numbers, and no number is valid there; leave it out",
            value.path()
        ));
    }
    if let Some(allowed) = &allowed {
        rule.one_of = allowed.iter().filter_map(|constant| numbers::constant(constant, &rule.kinds)).collect();
        if rule.one_of.is_empty() {
            return unusable(format!("no value can be valid at `{}`: none of its `enum` is of its type", value.path()));
        }
    }
    if types.meets(Types::NUMBER) {
        numbers::range(value, &mut rule)?;
    }
    if types.has(Types::STRING) {
        texts(value, &mut rule)?;
    }
    Ok(rule)
}

/// An array, or a value of any type: known, and whatever it holds is read over. Of an array's elements a plain type may be
/// said.
fn read_over(value: &Merged<'_>, rule: Rule) -> Result<Rule, Unusable> {
    let plain = value.pieces.iter().all(|piece| piece.node.at("items").is_none_or(|items| is_plain(items.value)));
    let keywords = UNCHECKED_OF_ARRAYS.iter().filter(|keyword| !(plain && **keyword == "items"));
    let others = UNCHECKED_OF_OTHERS.iter().filter(|_| value.types == Types::ANY);
    let keywords: Vec<&str> = keywords.chain(others).copied().collect();
    value.refuse(&keywords).map_err(|refused| Unusable {
        why: format!("{} (arrays, and values without a `type`, are read over and not kept)", refused.why),
    })?;
    Ok(rule)
}

/// Nothing but a type and annotations.
fn is_plain(value: &Json) -> bool {
    const PLAIN: [&str; 9] =
        ["type", "description", "title", "default", "examples", "format", "unit", "$comment", "deprecated"];
    value.as_object().is_some_and(|object| object.keys().all(|key| PLAIN.contains(&key.as_str())))
}

/// `declared`: without regard to `enum`, unless it alone says the type.
fn kinds(types: Types, declared: Types) -> Vec<Kind> {
    let mut kinds = Vec::new();
    let numbers = if declared == Types::ANY { types } else { declared };
    if types.meets(Types::NUMBER) {
        let only_integers = numbers.and(Types::NUMBER) == Types::INTEGER;
        kinds.push(if only_integers { Kind::Long } else { Kind::Double });
    }
    if types.has(Types::BOOLEAN) {
        kinds.push(Kind::Bool);
    }
    if types.has(Types::STRING) {
        kinds.push(Kind::Text);
    }
    kinds
}

fn unit(value: &Merged<'_>) -> Result<Option<String>, Unusable> {
    let mut found: Option<&str> = None;
    for piece in &value.pieces {
        let Some(unit) = piece.node.get("unit") else { continue };
        match unit.as_str() {
            Some(unit) if found.is_none_or(|other| other == unit) => {
                units::check(unit).or_else(|why| unusable(format!("`unit` at `{}`: {why}", piece.path)))?;
                found = Some(unit);
            }
            Some(unit) => {
                return unusable(format!(
                    "`unit` at `{}` is `{unit}` and elsewhere for the same value `{}`",
                    piece.path,
                    found.unwrap_or_default()
                ));
            }
            None => {
                return unusable(format!(
                    "`unit` at `{}` is not a string; use a UCUM code such as \"Cel\"",
                    piece.path
                ));
            }
        }
    }
    Ok(found.map(str::to_owned))
}

/// Length and pattern.
fn texts(value: &Merged<'_>, rule: &mut Rule) -> Result<(), Unusable> {
    let length = |piece: &super::merged::Piece<'_>, keyword| {
        let length = piece.node.get(keyword).and_then(Json::as_f64)?;
        Some(length.min(f64::from(u32::MAX)) as u32)
    };
    for piece in &value.pieces {
        rule.chars_min = rule.chars_min.max(length(piece, "minLength").filter(|least| *least > 0));
        rule.chars_max = match (rule.chars_max, length(piece, "maxLength")) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let Some(written) = piece.node.get("pattern").and_then(Json::as_str) else { continue };
        let (translated, _) =
            pattern::translate(written).or_else(|why| unusable(format!("the `pattern` at `{}` {why}", piece.path)))?;
        if rule.pattern.as_ref().is_some_and(|pattern| *pattern != translated) {
            return unusable(format!("`{}` has two patterns by `allOf`; write them as one", piece.path));
        }
        rule.pattern = Some(translated);
    }
    Ok(())
}

/// The value of a message that does not have it.
pub fn default(value: &Merged<'_>, rule: &Rule) -> Result<Option<Value>, Unusable> {
    let Some(default) = value.annotation("default").filter(|default| !default.is_null()) else { return Ok(None) };
    let Some(constant) = numbers::constant(default, &rule.kinds) else {
        return unusable(format!("`default` at `{}` is not of the type that it has there", value.path()));
    };
    if !numbers::fits(&constant, rule) {
        return unusable(format!("`default` at `{}` is not among the values that are allowed there", value.path()));
    }
    Ok(Some(constant))
}
