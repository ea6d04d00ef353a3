//! What a scalar must be, from its type and options.

use std::collections::HashSet;

use model::contract::{Bound, Keep, Kind, ProtobufKind, Rule, TsUnit, Value};
use model::limits::SCHEMA_DEFAULT_BYTES_MAX;
use prost_reflect::{EnumDescriptor, EnumValueDescriptor, FieldDescriptor, Kind as Type, Value as Default};

use super::contract::ts_unit;
use super::options::Said;
use crate::units;

/// The type of a single value that is not a message and not bytes.
pub(super) struct Scalar(Type);

impl Scalar {
    pub(super) fn of(field: &FieldDescriptor) -> Option<Self> {
        match field.kind() {
            _ if field.is_list() || field.is_map() => None,
            Type::Message(_) | Type::Bytes => None,
            scalar => Some(Self(scalar)),
        }
    }

    /// The value of `google.protobuf.DoubleValue` and its kind.
    pub(super) fn of_wrapper(field: &FieldDescriptor) -> Option<Self> {
        let Type::Message(message) = field.kind() else { return None };
        let is_wrapper = matches!(
            message.full_name().strip_prefix("google.protobuf.")?,
            "DoubleValue"
                | "FloatValue"
                | "Int64Value"
                | "UInt64Value"
                | "Int32Value"
                | "UInt32Value"
                | "BoolValue"
                | "StringValue"
        );
        if field.is_list() || !is_wrapper {
            return None;
        }
        Self::of(&message.get_field(1)?)
    }

    pub(super) fn kind(&self) -> Kind {
        match self.0 {
            Type::Double | Type::Float => Kind::Double,
            Type::Bool => Kind::Bool,
            Type::String | Type::Enum(_) | Type::Bytes | Type::Message(_) => Kind::Text,
            _ => Kind::Long,
        }
    }

    pub(super) fn is_enum(&self) -> bool {
        matches!(self.0, Type::Enum(_))
    }

    /// How many constants it has.
    pub(super) fn constants(&self) -> usize {
        if let Type::Enum(definition) = &self.0 { definition.values().len() } else { 0 }
    }

    pub(super) fn layout(&self, keep: Keep) -> ProtobufKind {
        match &self.0 {
            Type::Double => ProtobufKind::Double(keep),
            Type::Float => ProtobufKind::Float(keep),
            Type::Int32 => ProtobufKind::Int32(keep),
            Type::Int64 => ProtobufKind::Int64(keep),
            Type::Uint32 => ProtobufKind::Uint32(keep),
            Type::Uint64 => ProtobufKind::Uint64(keep),
            Type::Sint32 => ProtobufKind::Sint32(keep),
            Type::Sint64 => ProtobufKind::Sint64(keep),
            Type::Fixed32 => ProtobufKind::Fixed32(keep),
            Type::Fixed64 => ProtobufKind::Fixed64(keep),
            Type::Sfixed32 => ProtobufKind::Sfixed32(keep),
            Type::Sfixed64 => ProtobufKind::Sfixed64(keep),
            Type::Bool => ProtobufKind::Bool(keep),
            Type::String => ProtobufKind::Text(keep),
            Type::Enum(definition) => ProtobufKind::Enum(constants(definition), keep),
            Type::Bytes => ProtobufKind::Bytes,
            Type::Message(_) => ProtobufKind::Ignored,
        }
    }
}

/// In the order of the file.
fn declared(definition: &EnumDescriptor) -> Vec<EnumValueDescriptor> {
    let mut values: Vec<_> = definition.values().collect();
    values.sort_by_key(|value| value.path().last().copied());
    values
}

/// Numbers and names; of several names for one number the first is its name.
fn constants(definition: &EnumDescriptor) -> Vec<(i32, String)> {
    let mut seen = HashSet::new();
    let first = declared(definition).into_iter().filter(|value| seen.insert(value.number()));
    first.map(|value| (value.number(), value.name().to_owned())).collect()
}

pub(super) fn rule(scalar: &Scalar, said: &Said) -> Result<Rule, String> {
    let is_number = matches!(scalar.kind(), Kind::Double | Kind::Long);
    if !is_number && (said.unit.is_some() || said.min.is_some() || said.max.is_some()) {
        return Err("`unit`, `min` and `max` are for numbers: leave them out".to_owned());
    }
    if said.ts_unit.is_some() {
        return Err("`ts_unit` is for the field `ts` of a message: leave it out".to_owned());
    }
    if let Some(unit) = &said.unit {
        units::check(unit).map_err(|why| why.to_string())?;
    }
    if said.min.is_some_and(f64::is_nan)
        || said.max.is_some_and(f64::is_nan)
        || said.min > said.max && said.max.is_some()
    {
        return Err("`min` and `max` must be numbers, and `min` not above `max`".to_owned());
    }
    let bound = |value: f64| Bound { value, exclusive: false };
    let one_of = match &scalar.0 {
        Type::Enum(definition) => {
            declared(definition).iter().map(|value| Value::Text(value.name().to_owned())).collect()
        }
        _ => Vec::new(),
    };
    Ok(Rule {
        kinds: vec![scalar.kind()],
        min: said.min.map(bound),
        max: said.max.map(bound),
        one_of,
        unit: said.unit.clone(),
        ..Rule::default()
    })
}

/// Whether the field can be a time, and in which unit.
pub(super) fn ts(
    field: &FieldDescriptor,
    scalar: Option<&Scalar>,
    said: &Said,
) -> Result<Option<Option<TsUnit>>, String> {
    let unit = match &said.ts_unit {
        Some(name) => {
            let unit = ts_unit(name);
            Some(unit.ok_or_else(|| format!("ts_unit `{name}` is none of s, ms, us, ns and iso8601"))?)
        }
        None => None,
    };
    let is_text = match scalar {
        // In JSON it is a text; its own encoding needs no unit.
        None => {
            let is_timestamp =
                matches!(field.kind(), Type::Message(message) if message.full_name() == "google.protobuf.Timestamp");
            return Ok((is_timestamp && !field.is_list()).then_some(Some(TsUnit::Iso8601)));
        }
        Some(scalar) if scalar.is_enum() || scalar.kind() == Kind::Bool => return Ok(None),
        Some(scalar) => scalar.kind() == Kind::Text,
    };
    match unit {
        Some(unit) if is_text != (unit == TsUnit::Iso8601) => {
            Err("ts_unit must be iso8601 for a string, and another one for a number".to_owned())
        }
        unit => Ok(Some(unit)),
    }
}

/// The default that proto2 declares.
pub(super) fn default(field: &FieldDescriptor) -> Result<Option<Value>, String> {
    let Some(declared) = &field.field_descriptor_proto().default_value else { return Ok(None) };
    let inexact = || "the default is no number that is stored: leave it out".to_owned();
    Ok(Some(match field.default_value() {
        Default::Bool(value) => Value::Bool(value),
        Default::I32(value) => Value::Long(value.into()),
        Default::I64(value) => Value::Long(value),
        Default::U32(value) => Value::Long(value.into()),
        Default::U64(value) => Value::Long(i64::try_from(value).map_err(|_| inexact())?),
        Default::F32(value) if value.is_finite() => Value::Double(value.into()),
        Default::F64(value) if value.is_finite() => Value::Double(value),
        Default::F32(_) | Default::F64(_) => return Err(inexact()),
        Default::String(value) if value.len() > SCHEMA_DEFAULT_BYTES_MAX => {
            return Err(format!("the default is longer than {SCHEMA_DEFAULT_BYTES_MAX} bytes"));
        }
        Default::String(value) => Value::Text(value),
        // It is declared by its name.
        Default::EnumNumber(_) => Value::Text(declared.clone()),
        _ => return Ok(None),
    }))
}
