//! Device classes: what their devices have in common.

use std::time::Duration;

use model::contract::TsUnit;
use model::rules::{Computed, Quarantine};
use model::{Format, Millis, TenantId, UnknownFields};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::rules::{Units, check_computed, check_quarantine, check_tags, check_units, ts_unit_text};
use super::{check_metadata, check_name, duration_text};
use crate::{Error, Result};

/// What is decided about a class. Everything but the name has a default.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassSettings {
    pub name: String,
    #[serde(default)]
    pub retention: Retention,
    #[serde(default)]
    pub durability: Durability,
    /// The schema of devices that name none.
    #[serde(default)]
    pub schema_id: Option<Uuid>,
    /// The format of payloads that do not say theirs; `None` is JSON.
    #[serde(default, with = "format_text")]
    pub format: Option<Format>,
    #[serde(default)]
    pub unknown_fields: UnknownFields,
    /// How `ts` is written where the schema does not say it.
    #[serde(default, with = "ts_unit_text")]
    pub ts_unit: TsUnit,
    /// The units in which metrics are stored; before the tenant's.
    #[serde(default)]
    pub units: Units,
    /// Metrics made of others.
    #[serde(default)]
    pub computed: Vec<Computed>,
    /// When a device is flagged for what it sends; `None` is never.
    #[serde(default)]
    pub quarantine: Option<Quarantine>,
    /// What of the metadata every row carries as a tag: `NAME` of the device, `class.NAME`, `tenant.NAME`.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Whether its devices may publish to free topics.
    #[serde(default)]
    pub free_topics: bool,
    #[serde(default)]
    pub metadata: Map<String, Value>,
    #[serde(default)]
    pub limits: ClassLimits,
}

impl ClassSettings {
    /// A class as an unknown name creates it.
    pub fn defaults(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            retention: Retention::default(),
            durability: Durability::default(),
            schema_id: None,
            format: None,
            unknown_fields: UnknownFields::default(),
            ts_unit: TsUnit::default(),
            units: Units::new(),
            computed: Vec::new(),
            quarantine: None,
            tags: Vec::new(),
            free_topics: false,
            metadata: Map::new(),
            limits: ClassLimits::default(),
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        check_name("name", &self.name)?;
        check_metadata(&self.metadata)?;
        check_units(&self.units)?;
        check_computed(&self.computed)?;
        self.quarantine.as_ref().map_or(Ok(()), check_quarantine)?;
        check_tags(&self.tags)?;
        self.retention.check()
    }

    /// What is kept of its devices to hear them by: their profiles, and the format of what does not say its own.
    pub(crate) fn of_profiles(&self) -> impl PartialEq + use<> {
        let metadata = (!self.tags.is_empty()).then(|| self.metadata.clone());
        (self.tags.clone(), metadata, self.format)
    }

    /// What a session rests on: when something of it changes, its devices connect again. The rest of a class is about
    /// messages, and holds from the next one on.
    pub(crate) fn of_sessions(&self) -> impl PartialEq + use<> {
        (self.durability, self.free_topics, self.limits.clone())
    }
}

/// The ages at which a row leaves a tier, counted from the later of its time and its receipt. `None` is never: with
/// nothing set, data is kept for ever.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    #[serde(with = "duration_text::option")]
    pub hot: Option<Duration>,
    #[serde(with = "duration_text::option")]
    pub warm: Option<Duration>,
    #[serde(with = "duration_text::option")]
    pub cold: Option<Duration>,
}

impl Retention {
    fn check(&self) -> Result<()> {
        let tiers = [("hot", self.hot), ("warm", self.warm), ("cold", self.cold)];
        let mut last = ("", Duration::ZERO);
        for (tier, age) in tiers.into_iter().filter_map(|(tier, age)| Some((tier, age?))) {
            let field = format!("retention.{tier}");
            if age.is_zero() {
                return Err(Error::invalid(field, "must not be zero: use null to keep data for ever"));
            }
            if age < last.1 {
                let why = format!("must not be less than retention.{}: all are ages since receipt", last.0);
                return Err(Error::invalid(field, why));
            }
            last = (tier, age);
        }
        Ok(())
    }
}

/// What an acknowledgement promises.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// Survives nothing that ends the process.
    Memory,
    /// On the disk.
    #[default]
    Persisted,
}

/// How much one device of the class may; `None` is no limit.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClassLimits {
    pub messages_per_second: Option<u64>,
    pub bytes_per_second: Option<u64>,
}

/// A class of a tenant.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Class {
    pub tenant_id: TenantId,
    #[serde(flatten)]
    pub settings: ClassSettings,
    pub created_at: Millis,
}

/// The names of formats in settings.
const FORMATS: [(Format, &str); 5] = [
    (Format::Json, "json"),
    (Format::MessagePack, "msgpack"),
    (Format::Cbor, "cbor"),
    (Format::Avro, "avro"),
    (Format::Protobuf, "protobuf"),
];

/// The format of this name: json, msgpack, cbor, avro or protobuf.
pub fn format_from_name(name: &str) -> Option<Format> {
    FORMATS.iter().find(|(_, known)| *known == name).map(|(format, _)| *format)
}

/// [`Format`] by name.
mod format_text {
    use model::Format;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{FORMATS, format_from_name};

    pub fn serialize<S: Serializer>(value: &Option<Format>, serializer: S) -> Result<S::Ok, S::Error> {
        let name = |format: Format| FORMATS.iter().find(|(known, _)| *known == format).map(|(_, name)| *name);
        value.and_then(name).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Format>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        let wrong = || D::Error::custom(format!("`{text}` is not a format: json, msgpack, cbor, avro or protobuf"));
        format_from_name(&text).map(Some).ok_or_else(wrong)
    }
}
