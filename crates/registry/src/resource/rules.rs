//! What a class and its tenant say about messages: the rules that the pipeline follows, and the profile of a device.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use model::contract::{Contract, Others, Part, Root, SchemaRecord, Verdict};
use model::expression::Expression;
use model::limits::{
    COMPUTED_PER_CLASS_MAX, METRIC_NAME_BYTES_MAX, TAG_BYTES_MAX, TAGS_PER_MESSAGE_MAX, UNITS_PER_CLASS_MAX,
};
use model::rules::{CanonicalUnit, Computed, Quarantine};
use model::{ClassRules, Profile};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::class::ClassSettings;
use super::tenant::TenantSettings;
use crate::{Error, Result, units};

/// UCUM codes by metric.
pub type Units = BTreeMap<String, String>;

/// Metadata that becomes a tag and is not the device's own.
const OF_CLASS: &str = "class.";
const OF_TENANT: &str = "tenant.";

pub(crate) fn check_units(found: &Units) -> Result<()> {
    if found.len() > UNITS_PER_CLASS_MAX {
        return Err(Error::invalid("units", format!("name {} metrics: at most {UNITS_PER_CLASS_MAX}", found.len())));
    }
    for (metric, unit) in found {
        let field = format!("units.{metric}");
        check_metric(&field, metric)?;
        units::check(unit).map_err(|why| Error::invalid(field, format!("does not fit: {why}")))?;
    }
    Ok(())
}

pub(crate) fn check_computed(computed: &[Computed]) -> Result<()> {
    if computed.len() > COMPUTED_PER_CLASS_MAX {
        let why = format!("has {} entries: at most {COMPUTED_PER_CLASS_MAX}", computed.len());
        return Err(Error::invalid("computed", why));
    }
    let mut names = HashSet::new();
    for (at, Computed { metric, expression, unit }) in computed.iter().enumerate() {
        let field = |part: &str| format!("computed[{at}].{part}");
        check_metric(&field("metric"), metric)?;
        if !names.insert(metric) {
            return Err(Error::invalid(
                field("metric"),
                format!("`{metric}` is made twice: give each a name of its own"),
            ));
        }
        Expression::parse(expression)
            .map_err(|error| Error::invalid(field("expression"), format!("does not fit: {error}")))?;
        if let Some(unit) = unit {
            units::check(unit).map_err(|why| Error::invalid(field("unit"), format!("does not fit: {why}")))?;
        }
    }
    Ok(())
}

pub(crate) fn check_quarantine(rule: &Quarantine) -> Result<()> {
    if rule.messages == 0 {
        return Err(Error::invalid("quarantine.messages", "must be 1 to 65535: messages that are looked at together"));
    }
    if !(0.0..100.0).contains(&rule.rejected_percent) {
        let why = "must be 0 or more and less than 100: a device is flagged when more than this share is rejected";
        return Err(Error::invalid("quarantine.rejected_percent", why));
    }
    Ok(())
}

pub(crate) fn check_tags(tags: &[String]) -> Result<()> {
    if tags.len() > TAGS_PER_MESSAGE_MAX {
        return Err(Error::invalid("tags", format!("has {} names: at most {TAGS_PER_MESSAGE_MAX}", tags.len())));
    }
    let mut names = HashSet::new();
    for tag in tags {
        let name = tag.strip_prefix(OF_CLASS).or_else(|| tag.strip_prefix(OF_TENANT)).unwrap_or(tag);
        if name.is_empty() || tag.len() > TAG_BYTES_MAX {
            let why = format!(
                "has `{tag}`: name what the device's metadata has (`site`), or the class's (`class.NAME`) or the \
                 tenant's (`tenant.NAME`), in at most {TAG_BYTES_MAX} bytes"
            );
            return Err(Error::invalid("tags", why));
        }
        if !names.insert(tag) {
            return Err(Error::invalid("tags", format!("has `{tag}` twice")));
        }
    }
    Ok(())
}

fn check_metric(field: &str, name: &str) -> Result<()> {
    if name.is_empty() || name.len() > METRIC_NAME_BYTES_MAX {
        return Err(Error::invalid(field, format!("must be a metric's name, of 1 to {METRIC_NAME_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// Whether tags come from the devices' own metadata.
pub(crate) fn has_device_tags(class: &ClassSettings) -> bool {
    class.tags.iter().any(|tag| !tag.starts_with(OF_CLASS) && !tag.starts_with(OF_TENANT))
}

/// What holds for one device beside its class's rules. A tag bears the name by which the class lists it.
pub(crate) fn profile(
    class: &ClassSettings,
    tenant: &Map<String, Value>,
    schema_id: Option<Uuid>,
    device: &Map<String, Value>,
) -> Profile {
    let value = |tag: &str| match (tag.strip_prefix(OF_CLASS), tag.strip_prefix(OF_TENANT)) {
        (Some(name), _) => class.metadata.get(name),
        (_, Some(name)) => tenant.get(name),
        (None, None) => device.get(tag),
    };
    let tag = |tag: &String| Some((tag.clone(), text(value(tag)?)?));
    let mut tags: Vec<(String, String)> = class.tags.iter().filter_map(tag).collect();
    tags.sort_unstable();
    Profile { schema_id, tags }
}

/// A value as a tag has it; nothing for what is no text, number or boolean, or is longer than a tag's value may be.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(boolean) => boolean.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    (text.len() <= TAG_BYTES_MAX).then_some(text)
}

/// The units that schemas give metrics: all that a metric may come in.
#[derive(Clone, Default, Debug)]
pub struct SentUnits(BTreeMap<String, BTreeSet<String>>);

impl SentUnits {
    /// Adds what a schema says.
    pub fn add(&mut self, schema: &SchemaRecord) {
        let Verdict::Usable(contract) = &schema.contract else { return };
        let fields = contract.roots.iter().flat_map(|root| &root.fields);
        for field in fields.filter(|field| field.part == Part::Metric) {
            if let Some(unit) = &field.rule.unit {
                self.0.entry(field.name.clone()).or_default().insert(unit.clone());
            }
        }
        // Metrics of any name: each that has a canonical unit may come in these.
        for unit in contract.roots.iter().filter_map(unit_of_others) {
            self.0.entry(String::new()).or_default().insert(unit.to_owned());
        }
    }

    fn of(&self, metric: &str) -> impl Iterator<Item = &String> {
        [metric, ""].into_iter().filter_map(|name| self.0.get(name)).flatten()
    }
}

pub fn unit_of_others(root: &Root) -> Option<&str> {
    match &root.others {
        Others::Like(rule) => rule.unit.as_deref(),
        Others::Class | Others::Reject => None,
    }
}

/// The canonical units of a class: its own before its tenant's.
pub fn canonical_units(class: &ClassSettings, tenant: &TenantSettings) -> Units {
    let mut canonical = tenant.units.clone();
    canonical.extend(class.units.iter().map(|(metric, unit)| (metric.clone(), unit.clone())));
    canonical
}

/// The rules of a class, with a conversion from each unit that a schema of the tenant gives a metric. A unit that cannot
/// become the canonical one has none.
pub fn class_rules(class: &ClassSettings, tenant: &TenantSettings, sent: &SentUnits) -> ClassRules {
    let with_conversions = |(metric, unit): (String, String)| {
        let from = sent.of(&metric).filter(|from| **from != unit).filter_map(|from| {
            let conversion = units::conversion(from, &unit).ok()?;
            Some((from.clone(), conversion))
        });
        let from = from.collect();
        CanonicalUnit { metric, unit, from }
    };
    ClassRules {
        unknown_fields: class.unknown_fields,
        schema_id: class.schema_id,
        ts_unit: class.ts_unit,
        units: canonical_units(class, tenant).into_iter().map(with_conversions).collect(),
        computed: class.computed.clone(),
        quarantine: class.quarantine,
    }
}

/// The rules of a class whose devices have this schema and no other, to try messages out: an error where such a class could
/// not be created.
pub fn rules_under(class: &ClassSettings, tenant: &TenantSettings, schema: &SchemaRecord) -> Result<ClassRules> {
    class.check()?;
    if let Verdict::Usable(contract) = &schema.contract {
        check_units_of(contract, class)?;
    }
    let mut sent = SentUnits::default();
    sent.add(schema);
    let schema_id = schema.places.first().map(|place| place.schema_id);
    Ok(ClassRules { schema_id, ..class_rules(class, tenant, &sent) })
}

/// Whether the units that a schema gives metrics become the class's.
pub(crate) fn check_units_of(contract: &Contract, class: &ClassSettings) -> Result<()> {
    for field in contract.roots.iter().flat_map(|root| &root.fields) {
        if let (Some(from), Some(to)) = (&field.rule.unit, class.units.get(&field.name)) {
            units::conversion(from, to).map_err(|why| {
                Error::invalid(format!("units.{}", field.name), format!("does not fit the schema: {why}"))
            })?;
        }
    }
    Ok(())
}

/// [`model::contract::TsUnit`] by the name that settings have.
pub(crate) mod ts_unit_text {
    use model::contract::TsUnit;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    const NAMES: [(TsUnit, &str); 5] = [
        (TsUnit::Seconds, "s"),
        (TsUnit::Milliseconds, "ms"),
        (TsUnit::Microseconds, "us"),
        (TsUnit::Nanoseconds, "ns"),
        (TsUnit::Iso8601, "iso8601"),
    ];

    pub fn serialize<S: Serializer>(value: &TsUnit, serializer: S) -> Result<S::Ok, S::Error> {
        NAMES.iter().find(|(unit, _)| unit == value).map(|(_, name)| *name).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TsUnit, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || D::Error::custom(format!("`{text}` is not a unit of time: s, ms, us, ns or iso8601"));
        NAMES.iter().find(|(_, name)| *name == text).map(|(unit, _)| *unit).ok_or_else(wrong)
    }
}
