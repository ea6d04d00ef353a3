//! What a class adds to the schemas of its devices. The registry decides it, it travels through `raw` as
//! [`crate::Control::Class`], and the pipeline follows it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::contract::TsUnit;

/// What to do with a top-level field that a message does not define, or a metric that its schema does not name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownFields {
    /// A number, boolean or short string is kept as a metric of that name; anything else is ignored.
    #[default]
    Keep,
    /// Ignored.
    Drop,
    /// The message is rejected (`unknown-field`).
    Reject,
}

/// The rules of one class.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClassRules {
    pub unknown_fields: UnknownFields,
    /// The schema, a (subject, major), of devices that name none.
    pub schema_id: Option<Uuid>,
    /// The unit of `ts` where the schema does not say it.
    pub ts_unit: TsUnit,
    /// Canonical units.
    pub units: Vec<CanonicalUnit>,
    /// Metrics made of others, in the order in which they are made.
    pub computed: Vec<Computed>,
    pub quarantine: Option<Quarantine>,
}

/// The unit in which a metric of a class is stored.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CanonicalUnit {
    pub metric: String,
    /// UCUM code.
    pub unit: String,
    /// From each other unit that a schema of the tenant gives the metric. A metric whose schema gives no unit is taken as
    /// sent in the canonical one.
    pub from: Vec<(String, Conversion)>,
}

/// `(value + before) × multiply ÷ divide + after`, in IEEE doubles and in this order; a step that would change nothing is
/// left out. Only one of `before` and `after` is used, whichever is the shorter number: −32 on the way from °F to °C, 32
/// on the way back.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Conversion {
    pub before: f64,
    pub multiply: f64,
    pub divide: f64,
    #[serde(default)]
    pub after: f64,
}

impl Conversion {
    /// Changes nothing.
    pub const NONE: Self = Self { before: 0.0, multiply: 1.0, divide: 1.0, after: 0.0 };

    /// The value in the canonical unit.
    #[inline]
    pub fn apply(&self, value: f64) -> f64 {
        (value + self.before) * self.multiply / self.divide + self.after
    }
}

/// A metric made of others of the same message, after defaults and conversion.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Computed {
    pub metric: String,
    /// See [`crate::expression`].
    pub expression: String,
    /// UCUM code, for readers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// When a device is flagged for what it sends: of its last `messages`, more than `rejected_percent` were rejected.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quarantine {
    /// Messages of one device that are looked at together, 1 to 65,535.
    pub messages: u16,
    /// More than this share of them, in percent.
    pub rejected_percent: f64,
    /// Whether its status becomes `quarantined`; else an event says so and nothing else happens.
    #[serde(default)]
    pub quarantine: bool,
}

/// What beside its class holds for one device: the schema that it names, and what the registry knows of it that every row is
/// to carry.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// A (subject, major); before the class's.
    pub schema_id: Option<Uuid>,
    /// Tags from the metadata of tenant, class and device, sorted by name; a tag that the message has itself is kept.
    pub tags: Vec<(String, String)>,
}
