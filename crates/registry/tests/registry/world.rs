//! A registry with a clock that is turned by hand, on a database of its own.

use model::contract::Language;
use model::{Clock, TenantId};
use registry::{Judge, KeySettings, NewDevice, NewKey, NewSchema, Patch, Registry, Right, Secret, TenantSettings};
use serde_json::{Value, json};
use tempfile::TempDir;

/// 2027-01-15.
pub const NOW: i64 = 1_800_000_000_000;

pub struct World {
    pub registry: Registry,
    pub clock: Clock,
    pub tenant: TenantId,
    pub url: String,
    pub directory: TempDir,
}

impl World {
    /// On SQLite, with the tenant `acme`.
    pub async fn sqlite() -> Self {
        let directory = TempDir::new().unwrap();
        let url = format!("sqlite:{}", directory.path().join("registry.db").display());
        let clock = Clock::manual(NOW);
        let registry = Registry::open(&url, clock.clone()).await.unwrap();
        let tenant = registry.create_tenant(tenant_settings("acme")).await.unwrap().tenant_id;
        Self { registry, clock, tenant, url, directory }
    }

    pub async fn key(&self, rights: &[Right]) -> NewKey {
        let settings = KeySettings { name: "a key".to_owned(), rights: rights.iter().copied().collect() };
        self.registry.create_key(self.tenant, settings).await.unwrap()
    }

    /// A schema of the metric `temperature` in `unit`, as devices and classes name it.
    pub async fn schema(&self, subject: &str, unit: &str) -> uuid::Uuid {
        let temperature = json!({"name": "temperature", "type": "double", "unit": unit});
        let text = json!({"type": "record", "name": "Reading", "fields": [temperature]}).to_string();
        let new = NewSchema::new(Language::Avro, text);
        let made = self.registry.register_schema(self.tenant, subject, new, Judge::Additive { major: false }).await;
        made.unwrap().version.place.place.schema_id
    }

    /// A device with the defaults, and its token.
    pub async fn device(&self) -> (model::DeviceId, Secret) {
        let created = self.registry.create_device(self.tenant, NewDevice::default()).await.unwrap();
        (created.device.device_id, created.token.unwrap())
    }
}

pub fn tenant_settings(name: &str) -> TenantSettings {
    TenantSettings::defaults(name)
}

pub fn patch(value: Value) -> Patch {
    serde_json::from_value(value).unwrap()
}

pub fn new_device(value: Value) -> NewDevice {
    serde_json::from_value(value).unwrap()
}

/// The error's code and text.
pub fn failure<T: std::fmt::Debug>(result: registry::Result<T>) -> (&'static str, String) {
    let error = result.unwrap_err();
    (error.code(), error.to_string())
}

pub fn code<T: std::fmt::Debug>(result: registry::Result<T>) -> &'static str {
    failure(result).0
}
