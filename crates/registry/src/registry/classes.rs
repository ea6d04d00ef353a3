//! Device classes: create, read, change, delete.

use model::TenantId;

use super::Registry;
use crate::backend::{StoredRetention, on};
use crate::change::Change;
use crate::resource::class::{Class, ClassSettings};
use crate::resource::{Page, Paging, Patch, patched};
use crate::{Error, Result};

impl Registry {
    pub async fn create_class(&self, tenant: TenantId, settings: ClassSettings) -> Result<Class> {
        settings.check()?;
        self.to_the_end(async move |inner| {
            inner.check_class_schema(tenant, &settings).await?;
            let class = Class { tenant_id: tenant, settings, created_at: inner.clock.now_ms() };
            on!(inner.backend, db => db.insert_class(&class))?;
            inner.announce(Change::Rules(tenant, Some(class.settings.name.as_str().into())));
            Ok(class)
        })
        .await
    }

    pub async fn class(&self, tenant: TenantId, name: &str) -> Result<Class> {
        on!(self.0.backend, db => db.class(tenant, name))
    }

    /// In the order of their names.
    pub async fn classes(&self, tenant: TenantId, paging: &Paging) -> Result<Page<Class>> {
        let (after, rows) = (paging.cursor.as_deref().unwrap_or_default(), paging.rows());
        let found = on!(self.0.backend, db => db.classes(tenant, after, rows + 1))?;
        Ok(Page::from_rows(found, rows, |class| class.settings.name.clone()))
    }

    /// Every class's retention, of all tenants, deleted classes and tenants included: their data still ages.
    pub async fn retentions(&self) -> Result<Vec<StoredRetention>> {
        on!(self.0.backend, db => db.retentions())
    }

    pub async fn update_class(&self, tenant: TenantId, name: &str, patch: Patch) -> Result<Class> {
        let name = name.to_owned();
        self.to_the_end(async move |inner| {
            let current = on!(inner.backend, db => db.class(tenant, &name))?;
            let settings = change(&current, &patch)?;
            if (settings.schema_id, &settings.units) != (current.settings.schema_id, &current.settings.units) {
                inner.check_class_schema(tenant, &settings).await?;
            }
            let mut before = None;
            let change = |current: &Class| {
                before = Some(current.settings.clone());
                change(current, &patch)
            };
            let updated = on!(inner.backend, db => db.update_class(tenant, &name, change))?;
            let before = before.expect("a class that was changed was read");
            let ends_sessions = updated.settings.of_sessions() != before.of_sessions();
            let other_profiles = updated.settings.of_profiles() != before.of_profiles();
            if ends_sessions || other_profiles {
                inner.cache.devices.forget_all();
            }
            let name = name.into();
            inner.announce(if ends_sessions { Change::Class(tenant, name) } else { Change::Rules(tenant, Some(name)) });
            if other_profiles {
                inner.announce(Change::Profiles(tenant));
            }
            Ok(updated)
        })
        .await
    }

    /// Only a class without devices goes. Its readings stay until their retention ends.
    pub async fn delete_class(&self, tenant: TenantId, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.to_the_end(async move |inner| {
            on!(inner.backend, db => db.delete_class(tenant, &name, inner.clock.now_ms()))?;
            inner.announce(Change::Class(tenant, name.into()));
            Ok(())
        })
        .await
    }
}

fn change(current: &Class, patch: &Patch) -> Result<ClassSettings> {
    let settings: ClassSettings = patched(&current.settings, patch)?;
    settings.check()?;
    if settings.name != current.settings.name {
        let why = "cannot change, stored rows carry it: create another class and move the devices";
        return Err(Error::invalid("name", why));
    }
    Ok(settings)
}
