//! Constants and ranges.

use model::contract::{Bound, Kind, Rule, Value};
use referencing::Draft;
use serde_json::Value as Json;

use super::super::value::{equal, inexact};
use super::merged::{Merged, Piece};
use super::{Unusable, unusable};

/// Integers that a double holds exactly, with all below them.
const EXACT_MAX: f64 = (1_u64 << 53) as f64;

/// The values that `enum` and `const` of all pieces allow, null aside.
pub fn allowed(value: &Merged<'_>) -> Result<Option<Vec<Json>>, Unusable> {
    let mut allowed: Option<Vec<Json>> = None;
    for piece in &value.pieces {
        for listed in listed(piece) {
            let listed = listed.iter().filter(|constant| !constant.is_null());
            if let Some(inexact) =
                listed.clone().find(|constant| matches!(constant, Json::Number(number) if inexact(number)))
            {
                return unusable(format!(
                    "`{}` allows the number {inexact}, which a double does not hold exactly",
                    piece.path
                ));
            }
            allowed = Some(match allowed {
                None => listed.cloned().collect(),
                Some(before) => {
                    before.into_iter().filter(|one| listed.clone().any(|other| equal(one, other))).collect()
                }
            });
        }
    }
    Ok(allowed)
}

/// Whether null is among the values of each piece that lists values.
pub fn null_allowed(value: &Merged<'_>) -> bool {
    value.pieces.iter().all(|piece| piece.or_null || listed(piece).iter().all(|listed| listed.contains(&Json::Null)))
}

/// What `enum` and `const` list.
fn listed<'r>(piece: &Piece<'r>) -> Vec<&'r [Json]> {
    let list = piece.node.get("enum").and_then(Json::as_array).map(Vec::as_slice);
    // Draft-04 has no `const`.
    let one = piece.node.get("const").filter(|_| piece.node.draft != Draft::Draft4).map(std::slice::from_ref);
    list.into_iter().chain(one).collect()
}

/// The constant as one of the kinds.
pub fn constant(constant: &Json, kinds: &[Kind]) -> Option<Value> {
    match constant {
        Json::Bool(flag) => kinds.contains(&Kind::Bool).then_some(Value::Bool(*flag)),
        Json::String(text) => kinds.contains(&Kind::Text).then(|| Value::Text(text.clone())),
        Json::Number(number) if kinds.contains(&Kind::Double) => {
            number.as_f64().filter(|_| !inexact(number)).map(Value::Double)
        }
        Json::Number(number) if kinds.contains(&Kind::Long) => {
            let whole = || {
                number
                    .as_f64()
                    .filter(|number| number.fract() == 0.0 && number.abs() <= EXACT_MAX)
                    .map(|number| number as i64)
            };
            number.as_i64().or_else(whole).map(Value::Long)
        }
        _ => None,
    }
}

/// Whether a value is one that the rule allows; patterns and steps are not looked at.
pub fn fits(value: &Value, rule: &Rule) -> bool {
    let among = rule.one_of.is_empty() || rule.one_of.contains(value);
    let number = match value {
        Value::Double(number) => *number,
        Value::Long(number) => *number as f64,
        Value::Bool(_) => return among,
        Value::Text(text) => {
            let count = text.chars().count();
            return among
                && rule.chars_min.is_none_or(|least| count >= least as usize)
                && rule.chars_max.is_none_or(|most| count <= most as usize);
        }
    };
    let above = rule.min.is_none_or(|min| number > min.value || (!min.exclusive && number == min.value));
    let below = rule.max.is_none_or(|max| number < max.value || (!max.exclusive && number == max.value));
    among && above && below
}

/// Range and step.
pub fn range(value: &Merged<'_>, rule: &mut Rule) -> Result<(), Unusable> {
    for piece in &value.pieces {
        for (keyword, exclusive) in [("minimum", false), ("exclusiveMinimum", true)] {
            if let Some(end) = end(piece, keyword, exclusive)? {
                let wider = |now: &Bound| now.value > end.value || (now.value == end.value && now.exclusive);
                rule.min = Some(rule.min.filter(wider).unwrap_or(end));
            }
        }
        for (keyword, exclusive) in [("maximum", false), ("exclusiveMaximum", true)] {
            if let Some(end) = end(piece, keyword, exclusive)? {
                let wider = |now: &Bound| now.value < end.value || (now.value == end.value && now.exclusive);
                rule.max = Some(rule.max.filter(wider).unwrap_or(end));
            }
        }
        let Some(step) = piece.node.get("multipleOf").and_then(Json::as_f64) else { continue };
        if rule.multiple_of.is_some_and(|other| other != step) {
            return unusable(format!(
                "`{}` has two `multipleOf` by `allOf`; write their least common multiple",
                piece.path
            ));
        }
        rule.multiple_of = Some(step);
    }
    Ok(())
}

/// One end of a range. In draft-04 `exclusiveMinimum: true` makes `minimum` exclusive.
fn end(piece: &Piece<'_>, keyword: &str, exclusive: bool) -> Result<Option<Bound>, Unusable> {
    let Some(Json::Number(number)) = piece.node.get(keyword) else { return Ok(None) };
    if inexact(number) {
        return unusable(format!("`{keyword}` at `{}` is {number}, which a double does not hold exactly", piece.path));
    }
    let old = match keyword {
        "minimum" => "exclusiveMinimum",
        _ => "exclusiveMaximum",
    };
    let exclusive = exclusive || piece.node.get(old) == Some(&Json::Bool(true));
    Ok(number.as_f64().map(|value| Bound { value, exclusive }))
}
