//! A registry with a clock that is turned by hand, on a database of its own.

use model::{Clock, TenantId};
use registry::{KeySettings, NewDevice, NewKey, Patch, Registry, Right, Secret, TenantSettings};
use serde_json::Value;
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

    /// A device with the defaults, and its token.
    pub async fn device(&self) -> (model::DeviceId, Secret) {
        let created = self.registry.create_device(self.tenant, NewDevice::default()).await.unwrap();
        (created.device.device_id, created.token.unwrap())
    }
}

pub fn tenant_settings(name: &str) -> TenantSettings {
    TenantSettings { name: name.to_owned(), limits: Default::default() }
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
