//! API keys in SQLite.

use std::sync::Arc;

use model::{KeyId, Millis, TenantId};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Sqlite, Transaction, id, json, tenants, to_json};
use crate::cache::KeyAuth;
use crate::error::Resource;
use crate::resource::key::{ApiKey, KeySettings, Right};
use crate::resource::tenant::{DEFAULT_TENANT, Tenant};
use crate::secret::Digest;
use crate::{Error, Result};

const LAST_ADMIN: &str = "is the last one with the right admin in the default tenant: create another one first";

impl Sqlite {
    pub async fn insert_key(&self, key: &ApiKey, token: Digest) -> Result<()> {
        let mut tx = self.begin().await?;
        tenants::live(&mut tx, key.tenant_id).await?;
        insert(&mut tx, key, token).await?;
        Ok(tx.commit().await?)
    }

    pub async fn key(&self, tenant: TenantId, key: KeyId) -> Result<ApiKey> {
        let sql = "SELECT * FROM api_keys WHERE key_id = ?1 AND tenant_id = ?2 AND deleted_at IS NULL";
        let query = sqlx::query(sql).bind(key.as_bytes().to_vec()).bind(tenant.as_bytes().to_vec());
        let row = query.fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()?.ok_or_else(|| Error::not_found(Resource::Key, key))
    }

    /// In the order of their ids, after `after`.
    pub async fn keys(&self, tenant: TenantId, after: KeyId, rows: usize) -> Result<Vec<ApiKey>> {
        let sql = "SELECT * FROM api_keys WHERE tenant_id = ?1 AND key_id > ?2 AND deleted_at IS NULL \
                   ORDER BY key_id LIMIT ?3";
        let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(after.as_bytes().to_vec());
        query.bind(rows as i64).fetch_all(&self.readers).await?.iter().map(read).collect()
    }

    /// Gives back the key and the digest under which it may be in the cache.
    pub async fn update_key(
        &self,
        tenant: TenantId,
        key: KeyId,
        change: impl FnOnce(&ApiKey) -> Result<KeySettings> + Send,
    ) -> Result<(ApiKey, Digest)> {
        let mut tx = self.begin().await?;
        let (mut current, digest) = live(&mut tx, tenant, key).await?;
        let was_admin = current.settings.rights.allow(Right::Admin);
        current.settings = change(&current)?;
        let sql = "UPDATE api_keys SET name = ?2, rights = ?3 WHERE key_id = ?1";
        let query = sqlx::query(sql).bind(key.as_bytes().to_vec()).bind(&current.settings.name);
        query.bind(to_json(&current.settings.rights)).execute(&mut *tx).await?;
        if was_admin {
            keep_an_operator(&mut tx, tenant, key).await?;
        }
        tx.commit().await?;
        Ok((current, digest))
    }

    pub async fn delete_key(&self, tenant: TenantId, key: KeyId, now: Millis) -> Result<Digest> {
        let mut tx = self.begin().await?;
        let (current, digest) = live(&mut tx, tenant, key).await?;
        let sql = "UPDATE api_keys SET deleted_at = ?2, token_hash = NULL WHERE key_id = ?1";
        sqlx::query(sql).bind(key.as_bytes().to_vec()).bind(now).execute(&mut *tx).await?;
        if current.settings.rights.allow(Right::Admin) {
            keep_an_operator(&mut tx, tenant, key).await?;
        }
        tx.commit().await?;
        Ok(digest)
    }

    pub async fn key_auth(&self, token: Digest) -> Result<Option<Arc<KeyAuth>>> {
        let sql = "SELECT k.key_id, k.tenant_id, k.rights, t.name AS tenant FROM api_keys k \
                   JOIN tenants t ON t.tenant_id = k.tenant_id AND t.deleted_at IS NULL \
                   WHERE k.token_hash = ?1 AND k.deleted_at IS NULL";
        let row = sqlx::query(sql).bind(token.as_slice().to_vec()).fetch_optional(&self.readers).await?;
        let Some(row) = row else { return Ok(None) };
        let rights: crate::Rights = json(&row, "rights", Resource::Key)?;
        Ok(Some(Arc::new(KeyAuth {
            key: KeyId(id(&row, "key_id", Resource::Key)?),
            tenant: TenantId(id(&row, "tenant_id", Resource::Key)?),
            rights,
            operator: rights.allow(Right::Admin) && row.try_get::<&str, _>("tenant")? == DEFAULT_TENANT,
        })))
    }

    /// Creates the built-in tenants where they are missing and, if the default tenant has no admin key, this one.
    /// `deliver` is called before the commit: a key that could not be handed over does not come to exist.
    pub async fn bootstrap(
        &self,
        built_in: [&Tenant; 2],
        key: KeyId,
        settings: KeySettings,
        token: Digest,
        deliver: impl FnOnce() -> std::io::Result<()> + Send,
    ) -> Result<bool> {
        let mut tx = self.begin().await?;
        for tenant in built_in {
            let sql = "SELECT 1 FROM tenants WHERE name = ?1 AND deleted_at IS NULL";
            if sqlx::query(sql).bind(&tenant.settings.name).fetch_optional(&mut *tx).await?.is_none() {
                tenants::insert(&mut tx, tenant).await?;
            }
        }
        let sql = "SELECT tenant_id FROM tenants WHERE name = ?1 AND deleted_at IS NULL";
        let row = sqlx::query(sql).bind(DEFAULT_TENANT).fetch_one(&mut *tx).await?;
        let tenant_id = TenantId(id(&row, "tenant_id", Resource::Tenant)?);
        let created = !has_operator(&mut tx, tenant_id).await?;
        if created {
            insert(&mut tx, &ApiKey { key_id: key, tenant_id, settings, created_at: built_in[0].created_at }, token)
                .await?;
            deliver().map_err(Error::Deliver)?;
        }
        tx.commit().await?;
        Ok(created)
    }
}

async fn insert(tx: &mut Transaction<'_>, key: &ApiKey, token: Digest) -> Result<()> {
    let sql = "INSERT INTO api_keys (key_id, tenant_id, name, rights, token_hash, created_at) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let query = sqlx::query(sql).bind(key.key_id.as_bytes().to_vec()).bind(key.tenant_id.as_bytes().to_vec());
    let query = query.bind(&key.settings.name).bind(to_json(&key.settings.rights));
    query.bind(token.as_slice().to_vec()).bind(key.created_at).execute(&mut **tx).await?;
    Ok(())
}

async fn live(tx: &mut Transaction<'_>, tenant: TenantId, key: KeyId) -> Result<(ApiKey, Digest)> {
    let sql = "SELECT * FROM api_keys WHERE key_id = ?1 AND tenant_id = ?2 AND deleted_at IS NULL";
    let query = sqlx::query(sql).bind(key.as_bytes().to_vec()).bind(tenant.as_bytes().to_vec());
    let row = query.fetch_optional(&mut **tx).await?.ok_or_else(|| Error::not_found(Resource::Key, key))?;
    let digest = Digest::from_slice(row.try_get("token_hash")?);
    let digest = digest.ok_or_else(|| super::damaged(Resource::Key, "token_hash", "it is not 32 bytes"))?;
    Ok((read(&row)?, digest))
}

/// Refuses a change after which nobody could manage tenants any more.
async fn keep_an_operator(tx: &mut Transaction<'_>, tenant: TenantId, key: KeyId) -> Result<()> {
    let is_default = tenants::live(tx, tenant).await?.settings.name == DEFAULT_TENANT;
    if is_default && !has_operator(tx, tenant).await? {
        return Err(Error::conflict(Resource::Key, key, LAST_ADMIN));
    }
    Ok(())
}

async fn has_operator(tx: &mut Transaction<'_>, tenant: TenantId) -> Result<bool> {
    let sql =
        "SELECT 1 FROM api_keys WHERE tenant_id = ?1 AND deleted_at IS NULL AND rights LIKE '%\"admin\"%' LIMIT 1";
    Ok(sqlx::query(sql).bind(tenant.as_bytes().to_vec()).fetch_optional(&mut **tx).await?.is_some())
}

fn read(row: &SqliteRow) -> Result<ApiKey> {
    Ok(ApiKey {
        key_id: KeyId(id(row, "key_id", Resource::Key)?),
        tenant_id: TenantId(id(row, "tenant_id", Resource::Key)?),
        settings: KeySettings { name: row.try_get("name")?, rights: json(row, "rights", Resource::Key)? },
        created_at: row.try_get("created_at")?,
    })
}
