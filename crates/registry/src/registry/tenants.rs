//! Tenants: create, read, change, delete.

use model::TenantId;

use super::Registry;
use crate::backend::on;
use crate::change::Change;
use crate::error::Resource;
use crate::resource::tenant::{Tenant, TenantRef, TenantSettings, is_built_in};
use crate::resource::{Page, Paging, Patch, patched};
use crate::{Error, Result};

const BUILT_IN: &str = "is built in: it keeps its name and cannot be deleted";

impl Registry {
    pub async fn create_tenant(&self, settings: TenantSettings) -> Result<Tenant> {
        settings.check()?;
        self.to_the_end(async |inner| {
            let tenant = Tenant { tenant_id: TenantId::random(), settings, created_at: inner.clock.now_ms() };
            on!(inner.backend, db => db.insert_tenant(&tenant))?;
            Ok(tenant)
        })
        .await
    }

    pub async fn tenant(&self, tenant: &TenantRef) -> Result<Tenant> {
        on!(self.0.backend, db => db.tenant(tenant))
    }

    /// In the order of their names.
    pub async fn tenants(&self, paging: &Paging) -> Result<Page<Tenant>> {
        let (after, rows) = (paging.cursor.as_deref().unwrap_or_default(), paging.rows());
        let found = on!(self.0.backend, db => db.tenants(after, rows + 1))?;
        Ok(Page::from_rows(found, rows, |tenant| tenant.settings.name.clone()))
    }

    pub async fn update_tenant(&self, tenant: &TenantRef, patch: Patch) -> Result<Tenant> {
        let tenant = self.tenant(tenant).await?.tenant_id;
        self.to_the_end(async move |inner| {
            let mut before = None;
            let change = |current: &Tenant| {
                before = Some(current.settings.clone());
                change(current, &patch)
            };
            let updated = on!(inner.backend, db => db.update_tenant(tenant, change))?;
            let (before, now) = (before.expect("a tenant that was changed was read"), &updated.settings);
            if before.metadata != now.metadata {
                inner.cache.devices.forget_all();
                inner.announce(Change::Profiles(tenant));
            }
            if before.units != now.units {
                inner.announce(Change::Rules(tenant, None));
            }
            if before.limits != now.limits {
                inner.announce(Change::Tenant(tenant));
            }
            Ok(updated)
        })
        .await
    }

    /// Revokes everything of the tenant at once. Its readings stay until their retention ends; its id is never given
    /// again, its name may be.
    pub async fn delete_tenant(&self, tenant: &TenantRef) -> Result<()> {
        let found = self.tenant(tenant).await?;
        if found.built_in() {
            return Err(Error::conflict(Resource::Tenant, &found.settings.name, BUILT_IN));
        }
        self.to_the_end(async move |inner| {
            on!(inner.backend, db => db.delete_tenant(found.tenant_id, inner.clock.now_ms()))?;
            inner.cache.devices.forget_all();
            inner.cache.keys.forget_all();
            inner.announce(Change::Tenant(found.tenant_id));
            Ok(())
        })
        .await
    }
}

fn change(current: &Tenant, patch: &Patch) -> Result<TenantSettings> {
    let settings: TenantSettings = patched(&current.settings, patch)?;
    settings.check()?;
    if settings.name != current.settings.name && is_built_in(&current.settings.name) {
        return Err(Error::conflict(Resource::Tenant, &current.settings.name, BUILT_IN));
    }
    Ok(settings)
}
