//! What `tidewater/options.proto` says of a field.

use prost_reflect::{FieldDescriptor, Value};

/// The options of one field; a number is a double in any case.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Said {
    pub(super) unit: Option<String>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) required: Option<bool>,
    pub(super) ts_unit: Option<String>,
}

impl Said {
    pub(super) fn of(field: &FieldDescriptor) -> Self {
        if field.field_descriptor_proto().options.is_none() {
            return Self::default();
        }
        let options = field.options();
        let mut said = Self::default();
        for (extension, value) in options.extensions() {
            if extension.parent_file().name() != "tidewater/options.proto" {
                continue;
            }
            match (extension.name(), value) {
                ("unit", Value::String(unit)) => said.unit = Some(unit.clone()),
                ("min", Value::F64(min)) => said.min = Some(*min),
                ("max", Value::F64(max)) => said.max = Some(*max),
                ("required", Value::Bool(required)) => said.required = Some(*required),
                ("ts_unit", Value::String(unit)) => said.ts_unit = Some(unit.clone()),
                _ => {}
            }
        }
        said
    }
}
