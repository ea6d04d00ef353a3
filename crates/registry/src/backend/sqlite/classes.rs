//! Device classes in SQLite.

use model::{Millis, TenantId};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Sqlite, Transaction, id, json, tenants, to_json};
use crate::error::Resource;
use crate::resource::class::{Class, ClassSettings, Retention};
use crate::{Error, Result};

const TAKEN: &str = "exists already: change it with PATCH";
const IN_USE: &str = "still has devices: move or delete them first";

/// A class's retention as the store needs it, deleted classes included: their data still ages.
pub(crate) type StoredRetention = (TenantId, String, Retention);

impl Sqlite {
    pub async fn insert_class(&self, class: &Class) -> Result<()> {
        let mut tx = self.begin().await?;
        if find(&mut tx, class.tenant_id, &class.settings.name).await?.is_some() {
            return Err(Error::conflict(Resource::Class, &class.settings.name, TAKEN));
        }
        insert(&mut tx, class).await?;
        Ok(tx.commit().await?)
    }

    pub async fn class(&self, tenant: TenantId, name: &str) -> Result<Class> {
        let sql = "SELECT * FROM classes WHERE tenant_id = ?1 AND name = ?2 AND deleted_at IS NULL";
        let row = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(name).fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()?.ok_or_else(|| Error::not_found(Resource::Class, name))
    }

    /// In the order of their names, after `after`.
    pub async fn classes(&self, tenant: TenantId, after: &str, rows: usize) -> Result<Vec<Class>> {
        let sql = "SELECT * FROM classes WHERE tenant_id = ?1 AND name > ?2 AND deleted_at IS NULL \
                   ORDER BY name LIMIT ?3";
        let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(after).bind(rows as i64);
        query.fetch_all(&self.readers).await?.iter().map(read).collect()
    }

    pub async fn retentions(&self) -> Result<Vec<StoredRetention>> {
        let rows = sqlx::query("SELECT * FROM classes").fetch_all(&self.readers).await?;
        let class = |row| read(row).map(|class| (class.tenant_id, class.settings.name, class.settings.retention));
        rows.iter().map(class).collect()
    }

    pub async fn update_class(
        &self,
        tenant: TenantId,
        name: &str,
        change: impl FnOnce(&Class) -> Result<ClassSettings> + Send,
    ) -> Result<Class> {
        let mut tx = self.begin().await?;
        let mut current = find(&mut tx, tenant, name).await?.ok_or_else(|| Error::not_found(Resource::Class, name))?;
        current.settings = change(&current)?;
        let sql = "UPDATE classes SET settings = ?3 WHERE tenant_id = ?1 AND name = ?2";
        let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(name);
        query.bind(to_json(&current.settings)).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(current)
    }

    pub async fn delete_class(&self, tenant: TenantId, name: &str, now: Millis) -> Result<()> {
        let mut tx = self.begin().await?;
        find(&mut tx, tenant, name).await?.ok_or_else(|| Error::not_found(Resource::Class, name))?;
        let sql = "SELECT 1 FROM devices WHERE tenant_id = ?1 AND device_class = ?2 AND deleted_at IS NULL LIMIT 1";
        let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(name);
        if query.fetch_optional(&mut *tx).await?.is_some() {
            return Err(Error::conflict(Resource::Class, name, IN_USE));
        }
        let sql = "UPDATE classes SET deleted_at = ?3 WHERE tenant_id = ?1 AND name = ?2";
        sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(name).bind(now).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }
}

/// Creates the class with the defaults unless it is there; whether it did.
pub(super) async fn ensure(tx: &mut Transaction<'_>, tenant: TenantId, name: &str, now: Millis) -> Result<bool> {
    if find(tx, tenant, name).await?.is_some() {
        return Ok(false);
    }
    insert(tx, &Class { tenant_id: tenant, settings: ClassSettings::defaults(name), created_at: now }).await?;
    Ok(true)
}

/// The caller has seen that no live class has this name. A deleted one gives its row back.
async fn insert(tx: &mut Transaction<'_>, class: &Class) -> Result<()> {
    let (limits, _) = tenants::usage(tx, class.tenant_id).await?;
    if let Some(max) = limits.classes {
        let sql = "SELECT count(*) AS n FROM classes WHERE tenant_id = ?1 AND deleted_at IS NULL";
        let row = sqlx::query(sql).bind(class.tenant_id.as_bytes().to_vec()).fetch_one(&mut **tx).await?;
        if row.try_get::<i64, _>("n")? as u64 >= max {
            return Err(Error::Limit { what: Resource::Class, max });
        }
    }
    let sql = "INSERT INTO classes (tenant_id, name, settings, created_at) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT (tenant_id, name) DO UPDATE SET \
               settings = excluded.settings, created_at = excluded.created_at, deleted_at = NULL";
    let query = sqlx::query(sql).bind(class.tenant_id.as_bytes().to_vec()).bind(&class.settings.name);
    query.bind(to_json(&class.settings)).bind(class.created_at).execute(&mut **tx).await?;
    Ok(())
}

async fn find(tx: &mut Transaction<'_>, tenant: TenantId, name: &str) -> Result<Option<Class>> {
    let sql = "SELECT * FROM classes WHERE tenant_id = ?1 AND name = ?2 AND deleted_at IS NULL";
    let row = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(name).fetch_optional(&mut **tx).await?;
    row.as_ref().map(read).transpose()
}

fn read(row: &SqliteRow) -> Result<Class> {
    Ok(Class {
        tenant_id: TenantId(id(row, "tenant_id", Resource::Class)?),
        settings: json(row, "settings", Resource::Class)?,
        created_at: row.try_get("created_at")?,
    })
}
