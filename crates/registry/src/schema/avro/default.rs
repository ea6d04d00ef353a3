//! Whether a default is a value of its type (specification, "Complex Types"): of a union, of any of its branches.

use model::limits::SCHEMA_NODES_MAX;
use serde_json::Value;

use super::types::{Field, Primitive, Shape, TypeId, Types};

/// Defaults that fill in each other's fields: the check recurses through them, and through each value.
const FILLED_MAX: usize = 8;

/// The check of a text's defaults, all together within one bound: branches of unions are tried one after the other.
pub struct Defaults<'a> {
    types: &'a Types,
    left: usize,
    /// Fields whose defaults fill in what the value at hand lacks, the outermost first.
    filling: Vec<(TypeId, &'a str)>,
}

impl<'a> Defaults<'a> {
    pub fn of(types: &'a Types) -> Self {
        Self { types, left: SCHEMA_NODES_MAX, filling: Vec::new() }
    }

    /// `Err`: a sentence why not. As deep as the value, which is no deeper than SCHEMA_DEPTH_MAX, and the defaults
    /// that fill it in.
    pub fn fits(&mut self, of: TypeId, value: &Value) -> Result<(), String> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            format!("the defaults take more than {SCHEMA_NODES_MAX} steps to check; make them simpler")
        })?;
        match (&self.types[of].shape, value) {
            (Shape::Primitive(primitive), value) => fits_primitive(*primitive, value),
            (Shape::Array(items), Value::Array(values)) => values.iter().try_for_each(|value| self.fits(*items, value)),
            (Shape::Map(of), Value::Object(members)) => members.values().try_for_each(|value| self.fits(*of, value)),
            (Shape::Union(branches), value) => {
                if self.branch(branches, value)?.is_none() {
                    return Err(format!("{} fits no branch of the union", shown(value)));
                }
                Ok(())
            }
            (Shape::Record(named, record), Value::Object(members)) => {
                for field in &record.fields {
                    match members.get(&field.name) {
                        Some(value) => self.fits(field.of, value)?,
                        None if let Some(default) = &field.default => self.fill(of, field, default)?,
                        None => return Err(format!("the field {} of {} has no value", field.name, named.name)),
                    }
                }
                Ok(())
            }
            (Shape::Enum(named, symbols), Value::String(symbol)) => {
                if symbols.symbols.contains(symbol) {
                    return Ok(());
                }
                Err(format!("{} is no symbol of {}", shown(value), named.name))
            }
            (Shape::Fixed(named, size), Value::String(text)) => {
                if is_bytes(text) && text.chars().count() == *size as usize {
                    return Ok(());
                }
                Err(format!(
                    "{} is no text of {size} characters up to U+00FF, for the bytes of {}",
                    shown(value),
                    named.name
                ))
            }
            (shape, value) => Err(format!("{} is no value of the type {}", shown(value), shape.word())),
        }
    }

    /// A record's value lacks the field: its default stands there, which must end. Its own defaults are filled in in turn.
    fn fill(&mut self, record: TypeId, field: &'a Field, default: &'a Value) -> Result<(), String> {
        if self.filling.contains(&(record, &field.name)) {
            return Err(format!(
                "the default of the field {} holds itself without end; make it null or empty",
                field.name
            ));
        }
        if self.filling.len() == FILLED_MAX {
            return Err(format!(
                "more than {FILLED_MAX} defaults fill in each other's fields; write the fields into the default"
            ));
        }
        self.filling.push((record, &field.name));
        let fits = self.fits(field.of, default);
        self.filling.pop();
        fits
    }

    /// The first branch that the value fits.
    pub fn branch(&mut self, branches: &[TypeId], value: &Value) -> Result<Option<TypeId>, String> {
        for branch in branches {
            if self.fits(*branch, value).is_ok() {
                return Ok(Some(*branch));
            }
            if self.left == 0 {
                return self.fits(*branch, value).map(|()| None);
            }
        }
        Ok(None)
    }
}

fn fits_primitive(primitive: Primitive, value: &Value) -> Result<(), String> {
    let fits = match primitive {
        Primitive::Null => value.is_null(),
        Primitive::Boolean => value.is_boolean(),
        Primitive::Int => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        Primitive::Long => value.as_i64().is_some(),
        Primitive::Float | Primitive::Double => value.is_number(),
        Primitive::Bytes => value.as_str().is_some_and(is_bytes),
        Primitive::String => value.is_string(),
    };
    if fits { Ok(()) } else { Err(format!("{} is no value of the type {}", shown(value), primitive.word())) }
}

/// Each character is a byte.
fn is_bytes(text: &str) -> bool {
    text.chars().all(|character| character <= '\u{ff}')
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(64) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
