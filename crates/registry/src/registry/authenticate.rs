//! Who a credential is: first from the cache, then from the database.
//!
//! A session that was let in on a `Hit` of a `cached_` method, asked on the thread that also handles [`crate::Change`]s,
//! misses no change: the cache forgets before the change is announced. So a gateway loop that got its answer from the
//! waiting methods asks the cached one once more when it sets up the session.

use std::sync::Arc;

use model::{DeviceId, IdMap, TenantId};
use uuid::Uuid;

use super::Registry;
use crate::backend::on;
use crate::cache::{Cached, DeviceAuth, Identity, KeyAuth, Stamp, of_tenant};
use crate::secret::{Digest, SecretKind};
use crate::{Denial, Error, Result};

/// Devices asked for in one statement: its fixed costs are spread, and others need not wait long for a connection.
const LOOK_UPS_MAX: usize = 1024;
/// How often devices are asked for that change meanwhile.
const ATTEMPTS_MAX: usize = 3;

impl Registry {
    /// Whether the token is the device's. Unknown device, wrong and revoked token are one answer.
    pub fn cached_device_auth(&self, device: DeviceId, token: &str) -> Cached<Arc<DeviceAuth>> {
        self.0.cache.device_by_token(device, token)
    }

    /// As [`Registry::cached_device_auth`], and asks the database on a miss.
    pub async fn authenticate_device(&self, device: DeviceId, token: &str) -> Result<Arc<DeviceAuth>> {
        let digest = Digest::of_token(SecretKind::Device, token).ok_or(Error::Denied(Denial::Credential))?;
        let identity = self.identity(device).await?;
        self.0.cache.by_token(identity.as_ref(), &digest).map_err(Error::Denied)
    }

    /// What the key may do.
    pub fn cached_key(&self, token: &str) -> Cached<Arc<KeyAuth>> {
        self.0.cache.key(token)
    }

    /// As [`Registry::cached_key`], and asks the database on a miss.
    pub async fn authenticate_key(&self, token: &str) -> Result<Arc<KeyAuth>> {
        let digest = Digest::of_token(SecretKind::Key, token).ok_or(Error::Denied(Denial::Credential))?;
        let keys = &self.0.cache.keys;
        let key = match keys.get(&digest) {
            Some(key) => key,
            None => {
                let stamp = keys.stamp(&digest);
                let key = on!(self.0.backend, db => db.key_auth(digest))?;
                keys.put(digest, key.clone(), stamp);
                key
            }
        };
        key.ok_or(Error::Denied(Denial::Credential))
    }

    /// The device that a key of `tenant` speaks for.
    pub fn cached_device_of(&self, tenant: TenantId, device: DeviceId) -> Cached<Arc<DeviceAuth>> {
        self.0.cache.device_of_tenant(tenant, device)
    }

    /// As [`Registry::cached_device_of`], and asks the database on a miss.
    pub async fn device_of(&self, tenant: TenantId, device: DeviceId) -> Result<Arc<DeviceAuth>> {
        let identity = self.identity(device).await?;
        of_tenant(identity.as_ref(), tenant).map_err(Error::Denied)
    }

    /// The class of a device and the schema that it names itself, whatever its status; `None` if there is none. From the
    /// cache, or else from the database.
    pub async fn class_of(&self, tenant: TenantId, device: DeviceId) -> Result<Option<(Arc<str>, Option<Uuid>)>> {
        let identity = self.identity(device).await?.filter(|identity| identity.auth.tenant == tenant);
        Ok(identity.map(|identity| (identity.auth.class.clone(), identity.auth.profile.profile.schema_id)))
    }

    /// Sees to it that the `cached_` methods know these devices, whether they exist or not: what the cache does not know
    /// is asked for together. A look-up by itself costs a trip to the database's thread, which is twenty times as much.
    pub async fn learn(&self, devices: &[DeviceId]) -> Result<()> {
        let cache = &self.0.cache.devices;
        // In order, neighbours in the database are read together.
        let mut devices = devices.to_vec();
        devices.sort_unstable();
        devices.dedup();
        // What changed while it was read is read again, but not for ever: the cache then knows nothing, which is true.
        for _ in 0..ATTEMPTS_MAX {
            let missing = cache.missing(&devices);
            let mut changed = Vec::new();
            for asked in missing.chunks(LOOK_UPS_MAX) {
                let ids: Vec<DeviceId> = asked.iter().map(|(id, _)| *id).collect();
                let found = on!(self.0.backend, db => db.identities(&ids))?;
                let mut found: IdMap<_, _> =
                    found.into_iter().map(|identity| (identity.auth.device, identity)).collect();
                let answer = |(id, stamp): &(DeviceId, Stamp)| {
                    (*id, found.remove(id).map(|identity| identity.known_since(*stamp)), *stamp)
                };
                changed.extend(cache.put_all(asked.iter().map(answer)));
            }
            if changed.is_empty() {
                break;
            }
            devices = changed;
        }
        Ok(())
    }

    async fn identity(&self, device: DeviceId) -> Result<Option<Identity>> {
        let devices = &self.0.cache.devices;
        if let Some(identity) = devices.get(&device) {
            return Ok(identity);
        }
        let stamp = devices.stamp(&device);
        let identity = on!(self.0.backend, db => db.identity(device))?.map(|identity| identity.known_since(stamp));
        devices.put(device, identity.clone(), stamp);
        Ok(identity)
    }
}
