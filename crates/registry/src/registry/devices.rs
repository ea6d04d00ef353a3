//! Devices and their tokens: register, read, change, rotate, delete.

use std::collections::HashSet;
use std::time::Duration;

use model::{DeviceId, Millis, TenantId};

use super::keys::id_cursor;
use super::{Inner, Registry};
use crate::backend::{Admitted, Candidate, on};
use crate::change::Change;
use crate::resource::device::{Device, DeviceFilter, DeviceSettings, NewDevice};
use crate::resource::{Page, Paging, Patch, patched};
use crate::secret::{Secret, SecretKind};
use crate::{Error, Result};

/// Devices registered in one transaction of an import: one sync for all of them, and a second's wait at most for
/// who else wants to write.
const IMPORT_ROWS: usize = 1000;
/// How long a rotation may keep the old token good: as long as a device in the field may take to pick up the new one.
const OVERLAP_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// What became of a device that was to be registered.
#[derive(Clone, Debug)]
pub struct Created {
    pub device: Device,
    /// Its token, shown this once; `None` if the device was there already with the same content.
    pub token: Option<Secret>,
}

/// A new token.
#[derive(Clone, Debug)]
pub struct Rotated {
    pub token: Secret,
    /// Until when the old one stays good.
    pub previous_until: Option<Millis>,
}

impl Registry {
    /// An unknown class is created with the defaults.
    pub async fn create_device(&self, tenant: TenantId, device: NewDevice) -> Result<Created> {
        let mut answers = self.import_chunk(tenant, vec![device]).await?;
        answers.pop().expect("one answer for each device")
    }

    /// Registers many devices, in transactions of a thousand. Each has an answer of its own, in the same order. An
    /// outer error means that the database failed: what was registered before it stays, and the import can be repeated
    /// if the devices have ids.
    pub async fn import_devices(
        &self,
        tenant: TenantId,
        devices: impl IntoIterator<Item = NewDevice, IntoIter: Send> + Send,
    ) -> Result<Vec<Result<Created>>> {
        let mut answers = Vec::new();
        let mut devices = devices.into_iter();
        loop {
            let chunk: Vec<NewDevice> = devices.by_ref().take(IMPORT_ROWS).collect();
            if chunk.is_empty() {
                return Ok(answers);
            }
            answers.extend(self.import_chunk(tenant, chunk).await?);
        }
    }

    pub async fn device(&self, tenant: TenantId, device: DeviceId) -> Result<Device> {
        on!(self.0.backend, db => db.device(tenant, device))
    }

    /// In the order of their ids.
    pub async fn devices(&self, tenant: TenantId, filter: &DeviceFilter, paging: &Paging) -> Result<Page<Device>> {
        let (after, rows) = (id_cursor(paging)?.unwrap_or(DeviceId::from_bytes([0; 16])), paging.rows());
        let found = on!(self.0.backend, db => db.devices(tenant, filter, after, rows + 1))?;
        Ok(Page::from_rows(found, rows, |device| device.device_id.to_string()))
    }

    /// A change of class or status ends the device's sessions; one of schema or metadata does not.
    pub async fn update_device(&self, tenant: TenantId, device: DeviceId, patch: Patch) -> Result<Device> {
        self.to_the_end(async move |inner| {
            let current = on!(inner.backend, db => db.device(tenant, device))?;
            let schema_id = change(&current, &patch)?.schema_id;
            if let Some(schema_id) = schema_id.filter(|_| schema_id != current.settings.schema_id) {
                inner.check_schema(tenant, schema_id).await?;
            }
            let (now, change) = (inner.clock.now_ms(), |current: &Device| change(current, &patch));
            let (before, after) = on!(inner.backend, db => db.update_device(tenant, device, now, change))?;
            let (before, now) = (before.settings, &after.settings);
            if before.device_class != now.device_class {
                // It may be new.
                inner.announce(Change::Rules(tenant, Some(now.device_class.as_str().into())));
            }
            if (&before.device_class, before.status) != (&now.device_class, now.status) {
                inner.device_changed(device);
            } else if before != *now {
                inner.cache.devices.forget(&device);
                inner.announce(Change::Profile(device));
            }
            Ok(after)
        })
        .await
    }

    /// Revokes it at once and gives it back as it was; the id is never given again.
    pub async fn delete_device(&self, tenant: TenantId, device: DeviceId) -> Result<Device> {
        self.to_the_end(async move |inner| {
            let before = on!(inner.backend, db => db.delete_device(tenant, device, inner.clock.now_ms()))?;
            inner.device_changed(device);
            Ok(before)
        })
        .await
    }

    /// Gives the device a new token. The old one ends at once, or after `overlap`; then too the sessions end that may
    /// still rest on it. A token from before the old one ends in any case.
    pub async fn rotate_token(&self, tenant: TenantId, device: DeviceId, overlap: Option<Duration>) -> Result<Rotated> {
        if overlap.is_some_and(|overlap| overlap > OVERLAP_MAX) {
            let why = format!("must not exceed {} (30 days)", OVERLAP_MAX.as_secs());
            return Err(Error::invalid("overlap_seconds", why));
        }
        self.to_the_end(async move |inner| {
            let token = Secret::random(SecretKind::Device);
            let overlap = overlap.filter(|overlap| !overlap.is_zero());
            let previous_until = overlap.map(|overlap| inner.clock.now_ms() + overlap.as_millis() as Millis);
            on!(inner.backend, db => db.rotate_token(tenant, device, token.digest(), previous_until))?;
            inner.cache.devices.forget(&device);
            if previous_until.is_none() {
                inner.announce(Change::Device(device));
            }
            Ok(Rotated { token, previous_until })
        })
        .await
    }

    async fn import_chunk(&self, tenant: TenantId, devices: Vec<NewDevice>) -> Result<Vec<Result<Created>>> {
        self.to_the_end(async move |inner| inner.register(tenant, devices).await).await
    }
}

impl Inner {
    async fn register(&self, tenant: TenantId, devices: Vec<NewDevice>) -> Result<Vec<Result<Created>>> {
        let now = self.clock.now_ms();
        let (mut candidates, mut tokens, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        // Those that may be named: many devices name few.
        let mut schemas = HashSet::new();
        for new in devices {
            let (id_given, status_given) = (new.device_id.is_some(), new.status.is_some());
            let device_id = new.device_id.unwrap_or_else(DeviceId::random);
            let settings = new.settings();
            // What is wrong in itself never reaches the database; its place among the answers is kept.
            let mut checked = settings.check();
            if let Some(schema_id) = settings.schema_id.filter(|id| checked.is_ok() && !schemas.contains(id)) {
                checked = self.check_schema(tenant, schema_id).await;
                schemas.extend(checked.is_ok().then_some(schema_id));
            }
            answers.push(checked);
            if answers.last().is_some_and(Result::is_ok) {
                let token = Secret::random(SecretKind::Device);
                let device = Device { device_id, tenant_id: tenant, settings, registered_at: now, last_seen_at: None };
                candidates.push(Candidate { device, token: token.digest(), id_given, status_given });
                tokens.push(token);
            }
        }
        let (admitted, new_classes) = on!(self.backend, db => db.insert_devices(tenant, candidates))?;
        for class in new_classes {
            self.announce(Change::Rules(tenant, Some(class.into())));
        }
        let mut created = admitted.into_iter().zip(tokens).map(|(admitted, token)| self.created(admitted?, token));
        let answer = |checked: Result<()>| checked.and_then(|()| created.next().expect("one for each that passed"));
        Ok(answers.into_iter().map(answer).collect())
    }

    fn created(&self, admitted: Admitted, token: Secret) -> Result<Created> {
        Ok(match admitted {
            Admitted::New(device) => {
                // It may be in the cache as unknown.
                self.cache.devices.forget(&device.device_id);
                Created { device, token: Some(token) }
            }
            Admitted::Existing(device) => Created { device, token: None },
        })
    }

    pub(super) fn device_changed(&self, device: DeviceId) {
        self.cache.devices.forget(&device);
        self.announce(Change::Device(device));
    }
}

fn change(current: &Device, patch: &Patch) -> Result<DeviceSettings> {
    let settings: DeviceSettings = patched(&current.settings, patch)?;
    settings.check()?;
    Ok(settings)
}
