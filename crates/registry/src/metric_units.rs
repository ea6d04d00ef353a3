//! In which unit a metric of a tenant is answered, from the rules in force.
//!
//! A metric's values are stored in the unit that the rules gave it when they came in; what is told here is the unit that the
//! rules give it now. In this order: what a computed metric declares, the canonical unit (the class's before the
//! tenant's), what the schema of the device says, or else that of its class.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::ClassRules;
use model::contract::{Contract, Part, Verdict};
use uuid::Uuid;

use crate::registry::TenantRules;
use crate::resource::rules::unit_of_others;

#[cfg(test)]
mod tests;

/// The units of one tenant. Only metrics that have one take memory.
#[derive(Default, Debug)]
pub struct MetricUnits {
    classes: HashMap<Arc<str>, OfClass>,
    /// By the id of a major: what its newest version says.
    schemas: HashMap<Uuid, OfSchema>,
}

#[derive(Debug)]
struct OfClass {
    units: BTreeMap<String, String>,
    schema_id: Option<Uuid>,
}

#[derive(Default, Debug)]
struct OfSchema {
    version: u32,
    /// A metric without a unit is here if others have one.
    units: BTreeMap<String, Option<String>>,
    /// Of metrics that the schema does not name.
    others: Option<String>,
}

impl MetricUnits {
    pub fn of(rules: &TenantRules) -> Self {
        let mut schemas: HashMap<Uuid, OfSchema> = HashMap::new();
        for record in &rules.schemas {
            for place in &record.places {
                let known = schemas.entry(place.schema_id).or_default();
                if place.version >= known.version {
                    *known = OfSchema::new(place.version, &record.contract);
                }
            }
        }
        schemas.retain(|_, schema| !schema.units.is_empty() || schema.others.is_some());
        let classes = rules.classes.iter().map(|(class, rules)| (class.clone(), OfClass::new(rules))).collect();
        Self { classes, schemas }
    }

    /// The UCUM code of a metric's unit, for a class, and for a device of it that names a schema itself; `None` if nothing
    /// says it.
    pub fn unit(&self, class: &str, schema_id: Option<Uuid>, metric: &str) -> Option<&str> {
        let class = self.classes.get(class);
        if let Some(unit) = class.and_then(|class| class.units.get(metric)) {
            return Some(unit);
        }
        let schema_id = schema_id.or_else(|| class?.schema_id)?;
        let schema = self.schemas.get(&schema_id)?;
        schema.units.get(metric).unwrap_or(&schema.others).as_deref()
    }

    /// Whether nothing has a unit.
    pub fn is_empty(&self) -> bool {
        self.schemas.is_empty() && self.classes.values().all(|class| class.units.is_empty())
    }
}

impl OfClass {
    fn new(rules: &ClassRules) -> Self {
        let canonical = rules.units.iter().map(|canonical| (canonical.metric.clone(), canonical.unit.clone()));
        let mut units: BTreeMap<String, String> = canonical.collect();
        // An expression's value is not converted: its unit is the one that it declares.
        let declared = rules.computed.iter().filter_map(|computed| Some((&computed.metric, computed.unit.as_ref()?)));
        units.extend(declared.map(|(metric, unit)| (metric.clone(), unit.clone())));
        Self { units, schema_id: rules.schema_id }
    }
}

impl OfSchema {
    fn new(version: u32, verdict: &Verdict) -> Self {
        let Verdict::Usable(Contract { roots, .. }) = verdict else { return Self { version, ..Self::default() } };
        // As messages that do not say their type are read.
        let Some(root) = roots.first() else { return Self { version, ..Self::default() } };
        let others = unit_of_others(root).map(str::to_owned);
        let metrics = root.fields.iter().filter(|field| field.part == Part::Metric);
        let told = metrics.filter(|field| field.rule.unit.is_some() || others.is_some());
        let units = told.map(|field| (field.name.clone(), field.rule.unit.clone())).collect();
        Self { version, units, others }
    }
}
