//! Tenants in SQLite.

use model::{Millis, TenantId};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Sqlite, Transaction, id, json, to_json, unique_violation};
use crate::error::Resource;
use crate::resource::tenant::{Tenant, TenantLimits, TenantRef, TenantSettings};
use crate::{Error, Result};

const TAKEN: &str = "exists already: choose another name";

impl Sqlite {
    pub async fn insert_tenant(&self, tenant: &Tenant) -> Result<()> {
        let mut tx = self.begin().await?;
        insert(&mut tx, tenant).await?;
        Ok(tx.commit().await?)
    }

    pub async fn tenant(&self, tenant: &TenantRef) -> Result<Tenant> {
        let query = match tenant {
            TenantRef::Id(id) => sqlx::query("SELECT * FROM tenants WHERE tenant_id = ?1 AND deleted_at IS NULL")
                .bind(id.as_bytes().to_vec()),
            TenantRef::Name(name) => {
                sqlx::query("SELECT * FROM tenants WHERE name = ?1 AND deleted_at IS NULL").bind(name.clone())
            }
        };
        let row = query.fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()?.ok_or_else(|| Error::not_found(Resource::Tenant, tenant))
    }

    /// In the order of their names, after `after`.
    pub async fn tenants(&self, after: &str, rows: usize) -> Result<Vec<Tenant>> {
        let sql = "SELECT * FROM tenants WHERE deleted_at IS NULL AND name > ?1 ORDER BY name LIMIT ?2";
        let found = sqlx::query(sql).bind(after).bind(rows as i64).fetch_all(&self.readers).await?;
        found.iter().map(read).collect()
    }

    pub async fn update_tenant(
        &self,
        tenant: TenantId,
        change: impl FnOnce(&Tenant) -> Result<TenantSettings> + Send,
    ) -> Result<Tenant> {
        let mut tx = self.begin().await?;
        let mut current = live(&mut tx, tenant).await?;
        current.settings = change(&current)?;
        let sql = "UPDATE tenants SET name = ?2, limits = ?3, units = ?4, metadata = ?5 WHERE tenant_id = ?1";
        let TenantSettings { name, limits, units, metadata } = &current.settings;
        let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(name).bind(to_json(limits));
        let done = query.bind(to_json(units)).bind(to_json(metadata)).execute(&mut *tx).await;
        taken(done, &current.settings.name)?;
        tx.commit().await?;
        Ok(current)
    }

    /// Its keys and devices stay as they are: authentication asks for a live tenant.
    pub async fn delete_tenant(&self, tenant: TenantId, now: Millis) -> Result<()> {
        let sql = "UPDATE tenants SET deleted_at = ?2 WHERE tenant_id = ?1 AND deleted_at IS NULL";
        let done = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(now).execute(&self.writer).await?;
        if done.rows_affected() == 0 { Err(Error::not_found(Resource::Tenant, tenant)) } else { Ok(()) }
    }
}

pub(super) async fn insert(tx: &mut Transaction<'_>, tenant: &Tenant) -> Result<()> {
    let sql = "INSERT INTO tenants (tenant_id, name, limits, units, metadata, created_at) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let TenantSettings { name, limits, units, metadata } = &tenant.settings;
    let query = sqlx::query(sql).bind(tenant.tenant_id.as_bytes().to_vec()).bind(name).bind(to_json(limits));
    let query = query.bind(to_json(units)).bind(to_json(metadata)).bind(tenant.created_at);
    let done = query.execute(&mut **tx).await;
    taken(done, &tenant.settings.name)
}

/// The tenant, as the transaction sees it.
pub(super) async fn live(tx: &mut Transaction<'_>, tenant: TenantId) -> Result<Tenant> {
    let sql = "SELECT * FROM tenants WHERE tenant_id = ?1 AND deleted_at IS NULL";
    let row = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).fetch_optional(&mut **tx).await?;
    row.as_ref().map(read).transpose()?.ok_or_else(|| Error::not_found(Resource::Tenant, tenant))
}

/// The tenant's limits and its number of live devices.
pub(super) async fn usage(tx: &mut Transaction<'_>, tenant: TenantId) -> Result<(TenantLimits, u64)> {
    let sql = "SELECT limits, devices FROM tenants WHERE tenant_id = ?1 AND deleted_at IS NULL";
    let row = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).fetch_optional(&mut **tx).await?;
    let row = row.ok_or_else(|| Error::not_found(Resource::Tenant, tenant))?;
    Ok((json(&row, "limits", Resource::Tenant)?, row.try_get::<i64, _>("devices")?.max(0) as u64))
}

fn taken<T>(done: std::result::Result<T, sqlx::Error>, name: &str) -> Result<()> {
    match done {
        Ok(_) => Ok(()),
        Err(error) if unique_violation(&error) => Err(Error::conflict(Resource::Tenant, name, TAKEN)),
        Err(error) => Err(error.into()),
    }
}

fn read(row: &SqliteRow) -> Result<Tenant> {
    Ok(Tenant {
        tenant_id: TenantId(id(row, "tenant_id", Resource::Tenant)?),
        settings: TenantSettings {
            name: row.try_get("name")?,
            limits: json(row, "limits", Resource::Tenant)?,
            units: json(row, "units", Resource::Tenant)?,
            metadata: json(row, "metadata", Resource::Tenant)?,
        },
        created_at: row.try_get("created_at")?,
    })
}
