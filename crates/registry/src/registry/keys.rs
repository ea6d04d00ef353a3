//! API keys: create, read, change, delete.

use model::{KeyId, TenantId};

use super::Registry;
use crate::backend::on;
use crate::change::Change;
use crate::resource::key::{ApiKey, KeySettings};
use crate::resource::{Page, Paging, Patch, patched};
use crate::secret::{Secret, SecretKind};
use crate::{Error, Result};

/// A key that was just made, with the token that is not shown again.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub key: ApiKey,
    pub token: Secret,
}

impl Registry {
    pub async fn create_key(&self, tenant: TenantId, settings: KeySettings) -> Result<NewKey> {
        settings.check()?;
        self.to_the_end(async move |inner| {
            let token = Secret::random(SecretKind::Key);
            let key = ApiKey { key_id: KeyId::random(), tenant_id: tenant, settings, created_at: inner.clock.now_ms() };
            on!(inner.backend, db => db.insert_key(&key, token.digest()))?;
            Ok(NewKey { key, token })
        })
        .await
    }

    pub async fn key(&self, tenant: TenantId, key: KeyId) -> Result<ApiKey> {
        on!(self.0.backend, db => db.key(tenant, key))
    }

    /// In the order of their ids.
    pub async fn keys(&self, tenant: TenantId, paging: &Paging) -> Result<Page<ApiKey>> {
        let (after, rows) = (id_cursor(paging)?.unwrap_or(KeyId::from_bytes([0; 16])), paging.rows());
        let found = on!(self.0.backend, db => db.keys(tenant, after, rows + 1))?;
        Ok(Page::from_rows(found, rows, |key| key.key_id.to_string()))
    }

    pub async fn update_key(&self, tenant: TenantId, key: KeyId, patch: Patch) -> Result<ApiKey> {
        self.to_the_end(async move |inner| {
            let change = |current: &ApiKey| change(current, &patch);
            let (updated, digest) = on!(inner.backend, db => db.update_key(tenant, key, change))?;
            inner.cache.keys.forget(&digest);
            inner.announce(Change::Key(key));
            Ok(updated)
        })
        .await
    }

    /// Revokes it at once.
    pub async fn delete_key(&self, tenant: TenantId, key: KeyId) -> Result<()> {
        self.to_the_end(async move |inner| {
            let digest = on!(inner.backend, db => db.delete_key(tenant, key, inner.clock.now_ms()))?;
            inner.cache.keys.forget(&digest);
            inner.announce(Change::Key(key));
            Ok(())
        })
        .await
    }
}

fn change(current: &ApiKey, patch: &Patch) -> Result<KeySettings> {
    let settings = patched(&current.settings, patch)?;
    settings.check()?;
    Ok(settings)
}

/// The id that a cursor is.
pub(super) fn id_cursor<T: std::str::FromStr>(paging: &Paging) -> Result<Option<T>> {
    let Some(text) = &paging.cursor else { return Ok(None) };
    let wrong = |_| Error::invalid("cursor", "is not one of this list: use `next` of the page before");
    text.parse().map(Some).map_err(wrong)
}
