//! Contracts for tests: schemas as the registry would describe them.

use model::contract::*;
use model::rules::{CanonicalUnit, Computed, Conversion};
use model::{ClassRules, Profile};
use uuid::Uuid;

use super::*;

pub fn tenant() -> TenantId {
    TenantId::from_bytes([1; 16])
}

/// The major 1 of the subject `pump` and the major 2, and that of the subject `other`.
pub const PUMP: Uuid = Uuid::from_bytes([11; 16]);
pub const PUMP_2: Uuid = Uuid::from_bytes([12; 16]);
pub const OTHER: Uuid = Uuid::from_bytes([13; 16]);

pub fn rule(kind: Kind) -> Rule {
    Rule { kinds: vec![kind], ..Rule::default() }
}

pub fn ranged(min: f64, max: f64, rule: Rule) -> Rule {
    let bound = |value| Some(Bound { value, exclusive: false });
    Rule { min: bound(min), max: bound(max), ..rule }
}

/// A field at a path with dots: its last name is the metric's, with the records before it.
pub fn field(path: &str, part: Part, rule: Rule) -> Field {
    let path: Vec<String> = path.split('.').map(str::to_owned).collect();
    let name = match part {
        Part::Metric if path[0] == "metrics" && path.len() > 1 => path[1..].join("."),
        Part::Metric => path.join("."),
        _ => path.last().cloned().unwrap_or_default(),
    };
    Field { path, name, part, rule, required: false, default: None, description: None }
}

pub fn metric(path: &str, rule: Rule) -> Field {
    field(path, Part::Metric, rule)
}

pub fn required(field: Field) -> Field {
    Field { required: true, ..field }
}

pub fn default(field: Field, value: Value) -> Field {
    Field { default: Some(value), ..field }
}

pub fn root(whole: bool, fields: Vec<Field>) -> Root {
    Root { indexes: Vec::new(), name: "reading".to_owned(), whole, fields, others: Others::Class, layout: None }
}

pub fn place(subject: &str, version: u32, schema_id: Uuid) -> Place {
    Place { subject: subject.to_owned(), version, major: 1, schema_id }
}

pub fn schema(id: u32, places: Vec<Place>, language: Language, root: Root) -> Control {
    let contract = Verdict::Usable(Contract { language, roots: vec![root] });
    Control::Schema { tenant: tenant(), record: Box::new(SchemaRecord { id, places, contract }) }
}

pub fn json_schema(id: u32, version: u32, root: Root) -> Control {
    schema(id, vec![place("pump", version, PUMP)], Language::Json, root)
}

pub fn rules(rules: ClassRules) -> Control {
    Control::Class { tenant: tenant(), class: class("pump"), rules: Box::new(rules) }
}

pub fn bind_with(index: u32, number: u8, profile: Profile) -> Control {
    Control::BindDevices {
        tenant: tenant(),
        class: class("pump"),
        profile: Arc::new(profile),
        devices: vec![(DeviceIndex(index), DeviceId::from_bytes([number; 16]))],
    }
}

/// A pipeline under which index 0 is device 1 of class `pump`, whose schema is this.
pub fn under(root: Root, class_rules: ClassRules) -> Pipeline {
    let mut pipeline = Pipeline::new(Partition(3), Plan::default());
    let rules = rules(ClassRules { schema_id: Some(PUMP), ..class_rules });
    let controls = [bind(0, device(1, "pump")), json_schema(7, 1, root), rules];
    process(&mut pipeline, &batch(RECEIVED, &controls, &[]), &mut Output::default());
    pipeline
}

/// °F to °C, as UCUM codes.
pub fn celsius(metric: &str) -> CanonicalUnit {
    let conversion = Conversion { before: -32.0, multiply: 5.0, divide: 9.0, after: 0.0 };
    CanonicalUnit { metric: metric.to_owned(), unit: "Cel".to_owned(), from: vec![("[degF]".to_owned(), conversion)] }
}

pub fn computed(metric: &str, expression: &str) -> Computed {
    Computed { metric: metric.to_owned(), expression: expression.to_owned(), unit: None }
}
