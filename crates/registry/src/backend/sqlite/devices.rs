//! Devices and their tokens in SQLite. Who a token is: see [`super::identities`].

use model::{DeviceId, Millis, TenantId};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Sqlite, Transaction, classes, damaged, id, json, optional_id, to_json};
use crate::error::Resource;
use crate::resource::device::{Device, DeviceFilter, DeviceSettings, Status};
use crate::secret::Digest;
use crate::{Error, Result};

impl Sqlite {
    pub async fn device(&self, tenant: TenantId, device: DeviceId) -> Result<Device> {
        let sql = "SELECT * FROM devices WHERE device_id = ?1 AND tenant_id = ?2 AND deleted_at IS NULL";
        let query = sqlx::query(sql).bind(device.as_bytes().to_vec()).bind(tenant.as_bytes().to_vec());
        let row = query.fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()?.ok_or_else(|| Error::not_found(Resource::Device, device))
    }

    /// In the order of their ids, after `after`.
    pub async fn devices(
        &self,
        tenant: TenantId,
        filter: &DeviceFilter,
        after: DeviceId,
        rows: usize,
    ) -> Result<Vec<Device>> {
        const ALL: &str = "SELECT * FROM devices WHERE tenant_id = ?1 AND device_id > ?2 AND deleted_at IS NULL \
            ORDER BY device_id LIMIT ?3";
        const OF_CLASS: &str = "SELECT * FROM devices WHERE tenant_id = ?1 AND device_id > ?2 AND deleted_at IS NULL \
            AND device_class = ?4 ORDER BY device_id LIMIT ?3";
        const OF_STATUS: &str = "SELECT * FROM devices WHERE tenant_id = ?1 AND device_id > ?2 AND deleted_at IS NULL \
            AND status = ?4 ORDER BY device_id LIMIT ?3";
        const OF_BOTH: &str = "SELECT * FROM devices WHERE tenant_id = ?1 AND device_id > ?2 AND deleted_at IS NULL \
            AND device_class = ?4 AND status = ?5 ORDER BY device_id LIMIT ?3";
        let status = filter.status.map(Status::name);
        let sql = match (&filter.class, status) {
            (None, None) => ALL,
            (Some(_), None) => OF_CLASS,
            (None, Some(_)) => OF_STATUS,
            (Some(_), Some(_)) => OF_BOTH,
        };
        let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(after.as_bytes().to_vec());
        let mut query = query.bind(rows as i64);
        for text in filter.class.iter().map(String::as_str).chain(status) {
            query = query.bind(text.to_owned());
        }
        query.fetch_all(&self.readers).await?.iter().map(read).collect()
    }

    /// Gives back the device before and after.
    pub async fn update_device(
        &self,
        tenant: TenantId,
        device: DeviceId,
        now: Millis,
        change: impl FnOnce(&Device) -> Result<DeviceSettings> + Send,
    ) -> Result<(Device, Device)> {
        let mut tx = self.begin().await?;
        let before = live(&mut tx, tenant, device).await?;
        let after = Device { settings: change(&before)?, ..before.clone() };
        let settings = &after.settings;
        if settings.device_class != before.settings.device_class {
            classes::ensure(&mut tx, tenant, &settings.device_class, now).await?;
        }
        let sql = "UPDATE devices SET device_class = ?2, schema_id = ?3, status = ?4, metadata = ?5 \
                   WHERE device_id = ?1";
        let query = sqlx::query(sql).bind(device.as_bytes().to_vec()).bind(&settings.device_class);
        let query = query.bind(settings.schema_id.map(|id| id.as_bytes().to_vec())).bind(settings.status.name());
        query.bind(to_json(&settings.metadata)).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok((before, after))
    }

    /// Leaves a tombstone without credentials and metadata. Gives back the device as it was.
    pub async fn delete_device(&self, tenant: TenantId, device: DeviceId, now: Millis) -> Result<Device> {
        let mut tx = self.begin().await?;
        let before = live(&mut tx, tenant, device).await?;
        let sql = "UPDATE devices SET deleted_at = ?2, token_hash = NULL, previous_hash = NULL, \
                   previous_until = NULL, metadata = '{}' WHERE device_id = ?1";
        sqlx::query(sql).bind(device.as_bytes().to_vec()).bind(now).execute(&mut *tx).await?;
        count(&mut tx, tenant, -1).await?;
        tx.commit().await?;
        Ok(before)
    }

    /// Puts a new token; the one before stays good until `previous_until`, if that is given.
    pub async fn rotate_token(
        &self,
        tenant: TenantId,
        device: DeviceId,
        token: Digest,
        previous_until: Option<Millis>,
    ) -> Result<()> {
        let sql = "UPDATE devices SET previous_hash = CASE WHEN ?4 IS NULL THEN NULL ELSE token_hash END, \
                   previous_until = ?4, token_hash = ?3 \
                   WHERE device_id = ?1 AND tenant_id = ?2 AND deleted_at IS NULL";
        let query = sqlx::query(sql).bind(device.as_bytes().to_vec()).bind(tenant.as_bytes().to_vec());
        let query = query.bind(token.as_slice().to_vec()).bind(previous_until);
        let done = query.execute(&self.writer).await?;
        if done.rows_affected() == 0 { Err(Error::not_found(Resource::Device, device)) } else { Ok(()) }
    }

    /// Forgets old tokens whose overlap ended, at most `rows` of them.
    pub async fn expire_tokens(&self, now: Millis, rows: usize) -> Result<Vec<DeviceId>> {
        let sql = "UPDATE devices SET previous_hash = NULL, previous_until = NULL WHERE device_id IN \
                   (SELECT device_id FROM devices WHERE previous_until <= ?1 LIMIT ?2) RETURNING device_id";
        let found = sqlx::query(sql).bind(now).bind(rows as i64).fetch_all(&self.writer).await?;
        found.iter().map(|row| id(row, "device_id", Resource::Device).map(DeviceId)).collect()
    }

    /// A time never goes back. One statement for the devices that were seen at the same time, which are mostly all: the
    /// gateway tells of them together.
    pub async fn seen(&self, devices: &[(DeviceId, Millis)]) -> Result<()> {
        let mut devices = devices.to_vec();
        devices.sort_unstable_by_key(|(device, at)| (*at, *device));
        let mut tx = self.begin().await?;
        for together in devices.chunk_by(|(_, a), (_, b)| a == b) {
            let asked: Vec<u8> = together.iter().flat_map(|(device, _)| *device.as_bytes()).collect();
            sqlx::query(SEEN).bind(asked).bind(together[0].1).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }
}

/// Notes the time of the devices whose ids stand one after the other in the parameter.
const SEEN: &str = "WITH RECURSIVE asked (at) AS \
    (SELECT 1 UNION ALL SELECT at + 16 FROM asked WHERE at + 16 < length(?1)) \
    UPDATE devices SET last_seen_at = ?2 WHERE device_id IN (SELECT substr(?1, at, 16) FROM asked) \
    AND deleted_at IS NULL AND (last_seen_at IS NULL OR last_seen_at < ?2)";

/// Keeps the tenant's number of devices.
pub(super) async fn count(tx: &mut Transaction<'_>, tenant: TenantId, by: i64) -> Result<()> {
    let sql = "UPDATE tenants SET devices = devices + ?2 WHERE tenant_id = ?1";
    sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(by).execute(&mut **tx).await?;
    Ok(())
}

async fn live(tx: &mut Transaction<'_>, tenant: TenantId, device: DeviceId) -> Result<Device> {
    let sql = "SELECT * FROM devices WHERE device_id = ?1 AND tenant_id = ?2 AND deleted_at IS NULL";
    let query = sqlx::query(sql).bind(device.as_bytes().to_vec()).bind(tenant.as_bytes().to_vec());
    let row = query.fetch_optional(&mut **tx).await?;
    row.as_ref().map(read).transpose()?.ok_or_else(|| Error::not_found(Resource::Device, device))
}

pub(super) fn read(row: &SqliteRow) -> Result<Device> {
    Ok(Device {
        device_id: DeviceId(id(row, "device_id", Resource::Device)?),
        tenant_id: TenantId(id(row, "tenant_id", Resource::Device)?),
        settings: DeviceSettings {
            device_class: row.try_get("device_class")?,
            schema_id: optional_id(row, "schema_id", Resource::Device)?,
            status: status(row)?,
            metadata: json(row, "metadata", Resource::Device)?,
        },
        registered_at: row.try_get("registered_at")?,
        last_seen_at: row.try_get("last_seen_at")?,
    })
}

pub(super) fn status(row: &SqliteRow) -> Result<Status> {
    let name: &str = row.try_get("status")?;
    Status::from_name(name).ok_or_else(|| damaged(Resource::Device, "status", name))
}
