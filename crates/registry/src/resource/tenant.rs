//! Tenants.

use model::{Millis, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::rules::{Units, check_units};
use super::{check_metadata, check_name};
use crate::{Error, Result};

/// The tenant of the first start. The right `admin` in it is the operator's: it manages tenants.
pub const DEFAULT_TENANT: &str = "default";
/// The tenant as which the anonymous development listener acts.
pub const DEV_TENANT: &str = "dev";

/// What is decided about a tenant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantSettings {
    pub name: String,
    #[serde(default)]
    pub limits: TenantLimits,
    /// The units in which metrics are stored, of all classes that do not say it themselves.
    #[serde(default)]
    pub units: Units,
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

/// How much a tenant may; `None` is no limit of its own.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TenantLimits {
    pub messages_per_second: Option<u64>,
    pub bytes_per_second: Option<u64>,
    pub connections: Option<u64>,
    pub devices: Option<u64>,
    pub classes: Option<u64>,
    pub dead_letter_bytes: Option<u64>,
}

impl TenantSettings {
    /// A tenant with the defaults.
    pub fn defaults(name: impl Into<String>) -> Self {
        Self { name: name.into(), limits: TenantLimits::default(), units: Units::new(), metadata: Map::new() }
    }

    pub(crate) fn check(&self) -> Result<()> {
        check_name("name", &self.name)?;
        if self.name.parse::<TenantId>().is_ok() {
            return Err(Error::invalid("name", "must not be a UUID: a name is accepted wherever an id is"));
        }
        check_units(&self.units)?;
        check_metadata(&self.metadata)
    }
}

/// A tenant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Tenant {
    pub tenant_id: TenantId,
    #[serde(flatten)]
    pub settings: TenantSettings,
    pub created_at: Millis,
}

impl Tenant {
    /// Default and development tenant: they keep their names and cannot be deleted.
    pub fn built_in(&self) -> bool {
        is_built_in(&self.settings.name)
    }
}

pub(crate) fn is_built_in(name: &str) -> bool {
    name == DEFAULT_TENANT || name == DEV_TENANT
}

/// A tenant by id or by name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TenantRef {
    Id(TenantId),
    Name(String),
}

impl From<&str> for TenantRef {
    fn from(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Id)
    }
}

impl From<TenantId> for TenantRef {
    fn from(id: TenantId) -> Self {
        Self::Id(id)
    }
}

impl std::fmt::Display for TenantRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}
