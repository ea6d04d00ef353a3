//! What values a field may have: the branches of its union, or its one type, with the attributes that stand at the field or at the
//! types.

use model::contract::{Bound, Kind, Rule, Value};
use serde_json::Value as Json;

use super::super::logical::Logical;
use super::super::types::{Attributes, Field, Primitive, Shape, TypeId, Types};
use super::{Unusable, is_scalar, is_text, refuse};
use crate::units;

pub struct Values<'a> {
    types: &'a Types,
    /// The field's first.
    attributes: Vec<&'a Attributes>,
    pub nullable: bool,
    /// Without null.
    branches: Vec<TypeId>,
}

impl<'a> Values<'a> {
    pub fn of(types: &'a Types, field: &'a Field) -> Self {
        let mut values = Self::of_type(types, field.of);
        values.attributes.insert(0, &field.attributes);
        values
    }

    pub fn of_type(types: &'a Types, of: TypeId) -> Self {
        let all = match &types[of].shape {
            Shape::Union(branches) => branches.clone(),
            _ => vec![of],
        };
        let is_null = |of: &TypeId| matches!(types[*of].shape, Shape::Primitive(Primitive::Null));
        let nullable = all.iter().any(is_null);
        let branches: Vec<TypeId> = all.into_iter().filter(|of| !is_null(of)).collect();
        let attributes = branches.iter().map(|of| &types[*of].attributes).collect();
        Self { types, attributes, nullable, branches }
    }

    /// The one type beside null.
    pub fn alone(&self) -> Option<TypeId> {
        if let [of] = self.branches[..] { Some(of) } else { None }
    }

    /// Whether there is a type beside null and each is such.
    pub fn all(&self, such: impl Fn(&Shape) -> bool) -> bool {
        !self.branches.is_empty() && self.shapes().all(such)
    }

    pub fn any(&self, such: impl Fn(&Shape) -> bool) -> bool {
        self.shapes().any(such)
    }

    /// Some of the types have no value that is kept.
    pub fn has_others(&self) -> bool {
        self.any(|shape| !is_scalar(shape))
    }

    fn shapes(&self) -> impl Iterator<Item = &'a Shape> {
        self.branches.iter().map(|of| &self.types[*of].shape)
    }

    pub fn logical(&self) -> Option<Logical> {
        self.branches.iter().find_map(|of| self.types[*of].logical)
    }

    pub fn attribute(&self, name: &str) -> Option<&'a Json> {
        self.attributes.iter().find_map(|attributes| attributes.get(name))
    }

    /// By the attribute `required`; without it, a field that can be left out in no way is required.
    pub fn required(&self, field: &Field, path: &str) -> Result<bool, Unusable> {
        match self.attribute("required") {
            None => Ok(field.default.is_none() && !self.nullable),
            Some(required) => required.as_bool().ok_or_else(|| refuse(path, "`required` is true or false")),
        }
    }

    pub fn rule(&self, path: &str) -> Result<Rule, Unusable> {
        let mut kinds = Vec::new();
        for kind in self.shapes().filter_map(kind_of) {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        let numeric = kinds.iter().any(|kind| matches!(kind, Kind::Double | Kind::Long));
        let (min, max) = self.range(path, numeric)?;
        let one_of = self.symbols(path, &kinds)?;
        let unit = self.unit(path, numeric)?;
        Ok(Rule { kinds, nullable: self.nullable, min, max, one_of, unit, ..Rule::default() })
    }

    fn unit(&self, path: &str, numeric: bool) -> Result<Option<String>, Unusable> {
        match self.attribute("unit") {
            None => Ok(None),
            Some(_) if !numeric => Err(refuse(path, "`unit` is of numbers, and the field holds none")),
            Some(Json::String(unit)) => match units::check(unit) {
                Ok(_) => Ok(Some(unit.clone())),
                Err(why) => Err(refuse(path, why)),
            },
            Some(_) => Err(refuse(path, "`unit` is a text; use a UCUM code such as \"Cel\"")),
        }
    }

    fn symbols(&self, path: &str, kinds: &[Kind]) -> Result<Vec<Value>, Unusable> {
        let string = self.any(|shape| matches!(shape, Shape::Primitive(Primitive::String)));
        if string || !self.any(is_text) {
            return Ok(Vec::new());
        }
        if kinds != [Kind::Text] {
            return Err(refuse(
                path,
                "a union of an enum with other values cannot be checked; give each its own field",
            ));
        }
        let mut values = Vec::new();
        for shape in self.shapes() {
            if let Shape::Enum(_, symbols) = shape {
                values.extend(symbols.symbols.iter().cloned().map(Value::Text));
            }
        }
        Ok(values)
    }

    fn range(&self, path: &str, numeric: bool) -> Result<(Option<Bound>, Option<Bound>), Unusable> {
        let number = |name: &str| match self.attribute(name) {
            None => Ok(None),
            Some(_) if !numeric => Err(refuse(path, format_args!("`{name}` is of numbers, and the field holds none"))),
            Some(value) => value
                .as_f64()
                .map(Some)
                .ok_or_else(|| refuse(path, format_args!("`{name}` is a number without quotes"))),
        };
        let min = tighter(number("min")?, number("exclusive_min")?, |exclusive, inclusive| exclusive >= inclusive);
        let max = tighter(number("max")?, number("exclusive_max")?, |exclusive, inclusive| exclusive <= inclusive);
        if let (Some(min), Some(max)) = (min, max)
            && (min.value > max.value || min.value == max.value && (min.exclusive || max.exclusive))
        {
            return Err(refuse(path, "no number is within its range; `min` is below `max`"));
        }
        if !self.all_ints() {
            return Ok((min, max));
        }
        let within = |bound: Option<Bound>, end: i32, outside: fn(f64, f64) -> bool| {
            let end = f64::from(end);
            bound.filter(|bound| !outside(bound.value, end)).or(Some(Bound { value: end, exclusive: false }))
        };
        Ok((within(min, i32::MIN, |value, end| value < end), within(max, i32::MAX, |value, end| value > end)))
    }

    /// An `int` has 32 bits, in other formats too.
    fn all_ints(&self) -> bool {
        let mut numbers =
            self.shapes().filter(|shape| matches!(kind_of(shape), Some(Kind::Double | Kind::Long))).peekable();
        numbers.peek().is_some() && numbers.all(|shape| matches!(shape, Shape::Primitive(Primitive::Int)))
    }
}

fn tighter(inclusive: Option<f64>, exclusive: Option<f64>, tighter: impl Fn(f64, f64) -> bool) -> Option<Bound> {
    match (inclusive, exclusive) {
        (inclusive, Some(value)) if inclusive.is_none_or(|inclusive| tighter(value, inclusive)) => {
            Some(Bound { value, exclusive: true })
        }
        (inclusive, _) => inclusive.map(|value| Bound { value, exclusive: false }),
    }
}

fn kind_of(shape: &Shape) -> Option<Kind> {
    Some(match shape {
        Shape::Primitive(Primitive::Boolean) => Kind::Bool,
        Shape::Primitive(Primitive::Int | Primitive::Long) => Kind::Long,
        Shape::Primitive(Primitive::Float | Primitive::Double) => Kind::Double,
        Shape::Primitive(Primitive::String) | Shape::Enum(..) => Kind::Text,
        _ => return None,
    })
}
