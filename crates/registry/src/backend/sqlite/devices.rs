//! Devices and their tokens in SQLite.

use std::collections::HashSet;
use std::sync::Arc;

use model::{DeviceId, Millis, TenantId};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Sqlite, Transaction, classes, damaged, id, json, optional_id, tenants, to_json};
use crate::cache::{DeviceAuth, Identity};
use crate::error::Resource;
use crate::resource::class::ClassSettings;
use crate::resource::device::{Device, DeviceFilter, DeviceSettings, Status};
use crate::resource::tenant::TenantLimits;
use crate::secret::Digest;
use crate::{Error, Result};

const OTHER_CONTENT: &str = "exists with other content: change it with PATCH";
const TAKEN: &str = "is taken and is never given again: choose another device_id";

/// What became of a device that was to be registered.
#[derive(Debug)]
pub(crate) enum Admitted {
    New(Device),
    /// It was there with the same content; its token is not touched.
    Existing(Device),
}

/// A device that is to be registered.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub device: Device,
    pub token: Digest,
    /// The id came from outside, so it may be there already.
    pub id_given: bool,
    /// The status came from outside, so it is content that must agree with what is there.
    pub status_given: bool,
}

/// A transaction that registers devices of one tenant.
struct Registration<'t> {
    tx: Transaction<'t>,
    tenant: TenantId,
    limits: TenantLimits,
    devices: u64,
    added: i64,
    classes: HashSet<String>,
}

impl Sqlite {
    /// Registers devices of one tenant in one transaction. Each has an answer of its own; an error of the outer
    /// result means that none was registered.
    pub async fn insert_devices(&self, tenant: TenantId, candidates: Vec<Candidate>) -> Result<Vec<Result<Admitted>>> {
        let mut tx = self.begin().await?;
        let (limits, count) = tenants::usage(&mut tx, tenant).await?;
        let mut registration = Registration { tx, tenant, limits, devices: count, added: 0, classes: HashSet::new() };
        let mut answers = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            match registration.admit(candidate).await {
                Err(Error::Database(error)) => return Err(error.into()),
                answer => answers.push(answer),
            }
        }
        registration.commit().await?;
        Ok(answers)
    }

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

    /// One transaction; a time never goes back.
    pub async fn seen(&self, devices: &[(DeviceId, Millis)]) -> Result<()> {
        let mut tx = self.begin().await?;
        for (device, at) in devices {
            let sql = "UPDATE devices SET last_seen_at = ?2 \
                       WHERE device_id = ?1 AND deleted_at IS NULL AND (last_seen_at IS NULL OR last_seen_at < ?2)";
            sqlx::query(sql).bind(device.as_bytes().to_vec()).bind(*at).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }

    pub async fn identity(&self, device: DeviceId) -> Result<Option<Identity>> {
        let sql = "SELECT d.*, c.settings FROM devices d \
                   JOIN tenants t ON t.tenant_id = d.tenant_id AND t.deleted_at IS NULL \
                   JOIN classes c ON c.tenant_id = d.tenant_id AND c.name = d.device_class \
                   WHERE d.device_id = ?1 AND d.deleted_at IS NULL";
        let row = sqlx::query(sql).bind(device.as_bytes().to_vec()).fetch_optional(&self.readers).await?;
        row.as_ref().map(read_identity).transpose()
    }
}

impl Registration<'_> {
    async fn admit(&mut self, candidate: Candidate) -> Result<Admitted> {
        if candidate.id_given
            && let Some(existing) = self.existing(&candidate).await?
        {
            return Ok(Admitted::Existing(existing));
        }
        let Candidate { device, token, .. } = candidate;
        if let Some(max) = self.limits.devices.filter(|max| self.devices >= *max) {
            return Err(Error::Limit { what: Resource::Device, max });
        }
        if !self.classes.contains(&device.settings.device_class) {
            classes::ensure(&mut self.tx, self.tenant, &device.settings.device_class, device.registered_at).await?;
            self.classes.insert(device.settings.device_class.clone());
        }
        let sql = "INSERT INTO devices \
                   (device_id, tenant_id, device_class, schema_id, status, metadata, token_hash, registered_at) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let settings = &device.settings;
        let query = sqlx::query(sql).bind(device.device_id.as_bytes().to_vec());
        let query = query.bind(self.tenant.as_bytes().to_vec()).bind(&settings.device_class);
        let query = query.bind(settings.schema_id.map(|id| id.as_bytes().to_vec())).bind(settings.status.name());
        let query = query.bind(to_json(&settings.metadata)).bind(token.as_slice().to_vec());
        query.bind(device.registered_at).execute(&mut *self.tx).await?;
        self.devices += 1;
        self.added += 1;
        Ok(Admitted::New(device))
    }

    /// The device of this id, if it is this tenant's, alive and of the same content; a conflict if the id is taken
    /// otherwise. Another tenant's and a deleted one look the same.
    async fn existing(&mut self, candidate: &Candidate) -> Result<Option<Device>> {
        let device = &candidate.device;
        let query =
            sqlx::query("SELECT * FROM devices WHERE device_id = ?1").bind(device.device_id.as_bytes().to_vec());
        let Some(row) = query.fetch_optional(&mut *self.tx).await? else { return Ok(None) };
        let found = read(&row)?;
        if found.tenant_id != self.tenant || row.try_get::<Option<i64>, _>("deleted_at")?.is_some() {
            return Err(Error::conflict(Resource::Device, device.device_id, TAKEN));
        }
        let mut asked = device.settings.clone();
        if !candidate.status_given {
            asked.status = found.settings.status;
        }
        if found.settings != asked {
            return Err(Error::conflict(Resource::Device, device.device_id, OTHER_CONTENT));
        }
        Ok(Some(found))
    }

    async fn commit(mut self) -> Result<()> {
        if self.added > 0 {
            count(&mut self.tx, self.tenant, self.added).await?;
        }
        Ok(self.tx.commit().await?)
    }
}

async fn count(tx: &mut Transaction<'_>, tenant: TenantId, by: i64) -> Result<()> {
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

fn read(row: &SqliteRow) -> Result<Device> {
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

fn status(row: &SqliteRow) -> Result<Status> {
    let name: &str = row.try_get("status")?;
    Status::from_name(name).ok_or_else(|| damaged(Resource::Device, "status", name))
}

fn digest(row: &SqliteRow, column: &str) -> Result<Option<Digest>> {
    let bytes: Option<&[u8]> = row.try_get(column)?;
    let read = |bytes| Digest::from_slice(bytes).ok_or_else(|| damaged(Resource::Device, column, "it is not 32 bytes"));
    bytes.map(read).transpose()
}

fn read_identity(row: &SqliteRow) -> Result<Identity> {
    let class: ClassSettings = json(row, "settings", Resource::Class)?;
    let auth = DeviceAuth {
        tenant: TenantId(id(row, "tenant_id", Resource::Device)?),
        device: DeviceId(id(row, "device_id", Resource::Device)?),
        class: class.name.into(),
        status: status(row)?,
        schema_id: optional_id(row, "schema_id", Resource::Device)?.or(class.schema_id),
        format: class.format,
        durability: class.durability,
        unknown_fields: class.unknown_fields,
        free_topics: class.free_topics,
        limits: class.limits,
    };
    let previous_until: Option<Millis> = row.try_get("previous_until")?;
    Ok(Identity {
        auth: Arc::new(auth),
        token: digest(row, "token_hash")?,
        previous: digest(row, "previous_hash")?.zip(previous_until),
    })
}
