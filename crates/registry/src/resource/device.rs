//! Devices.

use model::{DeviceId, Millis, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{check_metadata, check_name};
use crate::Result;

/// The class of a device that names none.
pub const DEFAULT_CLASS: &str = "default";

/// Whether a device may speak.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    #[default]
    Active,
    /// Refused.
    Inactive,
    /// Accepted, acknowledged and dead-lettered.
    Quarantined,
}

impl Status {
    pub const ALL: [Self; 3] = [Self::Active, Self::Inactive, Self::Quarantined];

    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Quarantined => "quarantined",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// What is decided about a device. Everything has a default.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceSettings {
    pub device_class: String,
    /// `None` is its class's.
    pub schema_id: Option<Uuid>,
    pub status: Status,
    pub metadata: Map<String, Value>,
}

impl Default for DeviceSettings {
    fn default() -> Self {
        Self {
            device_class: DEFAULT_CLASS.to_owned(),
            schema_id: None,
            status: Status::default(),
            metadata: Map::new(),
        }
    }
}

impl DeviceSettings {
    pub(crate) fn check(&self) -> Result<()> {
        check_name("device_class", &self.device_class)?;
        check_metadata(&self.metadata)
    }
}

/// A device to be registered: its settings, and its id if the fleet already has one. Registering it again with the
/// same content is no error; a status that is not given is not compared, so that a fleet's import can be repeated
/// after someone set a device inactive.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewDevice {
    pub device_id: Option<DeviceId>,
    pub device_class: Option<String>,
    pub schema_id: Option<Uuid>,
    pub status: Option<Status>,
    pub metadata: Map<String, Value>,
}

impl NewDevice {
    pub(crate) fn settings(self) -> DeviceSettings {
        DeviceSettings {
            device_class: self.device_class.unwrap_or_else(|| DEFAULT_CLASS.to_owned()),
            schema_id: self.schema_id,
            status: self.status.unwrap_or_default(),
            metadata: self.metadata,
        }
    }
}

/// A registered device.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Device {
    pub device_id: DeviceId,
    pub tenant_id: TenantId,
    #[serde(flatten)]
    pub settings: DeviceSettings,
    pub registered_at: Millis,
    /// Written every few seconds, so a few seconds behind.
    pub last_seen_at: Option<Millis>,
}

/// Which devices of a list.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct DeviceFilter {
    pub class: Option<String>,
    pub status: Option<Status>,
}
