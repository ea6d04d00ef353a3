//! What is decided about subjects, and about all of a tenant's that say nothing themselves.

use model::TenantId;
use serde_json::Value;

use super::super::{Inner, Registry};
use crate::Result;
use crate::backend::on;
use crate::change::Change;
use crate::error::SchemaError;
use crate::resource::schema::{Deleted, SchemaConfig, SchemaMode, checked_subject};

/// The name under which the tenant's own settings are kept.
const TENANT: &str = "";

/// Which settings a change is about.
fn scope(subject: Option<&str>) -> Result<&str> {
    subject.map_or(Ok(TENANT), checked_subject)
}

impl Registry {
    /// What is decided about the subject itself, or about the tenant.
    pub async fn schema_config(&self, tenant: TenantId, subject: Option<&str>) -> Result<Option<SchemaConfig>> {
        Ok(on!(self.0.backend, db => db.schema_settings(tenant, scope(subject)?))?.0)
    }

    /// What holds for the subject.
    pub async fn schema_config_in_force(&self, tenant: TenantId, subject: &str) -> Result<SchemaConfig> {
        self.0.config_in_force(tenant, checked_subject(subject)?).await
    }

    /// Changes what is named: a JSON object in which null takes a decision back.
    pub async fn change_schema_config(
        &self,
        tenant: TenantId,
        subject: Option<&str>,
        change: impl FnOnce(&mut SchemaConfig) + Send + 'static,
    ) -> Result<SchemaConfig> {
        let subject = scope(subject)?.to_owned();
        self.to_the_end(async move |inner| {
            let _turn = inner.schemas.turn(tenant).await;
            inner.check_writable(tenant, &subject).await?;
            let mut config = on!(inner.backend, db => db.schema_settings(tenant, &subject))?.0.unwrap_or_default();
            change(&mut config);
            config.others.retain(|name, value| SchemaConfig::OTHERS.contains(&name.as_str()) && *value != Value::Null);
            on!(inner.backend, db => db.set_schema_config(tenant, &subject, Some(&config)))?;
            Ok(config)
        })
        .await
    }

    /// Takes the decisions back, and says what they were.
    pub async fn delete_schema_config(&self, tenant: TenantId, subject: Option<&str>) -> Result<SchemaConfig> {
        let subject = scope(subject)?.to_owned();
        self.to_the_end(async move |inner| {
            let _turn = inner.schemas.turn(tenant).await;
            inner.check_writable(tenant, &subject).await?;
            let config = on!(inner.backend, db => db.schema_settings(tenant, &subject))?.0;
            if config.is_none() && subject != TENANT {
                return Err(SchemaError::SubjectUnknown(subject).into());
            }
            on!(inner.backend, db => db.set_schema_config(tenant, &subject, None))?;
            Ok(config.unwrap_or_default())
        })
        .await
    }

    /// The subject's own mode, or the tenant's.
    pub async fn schema_mode(&self, tenant: TenantId, subject: Option<&str>) -> Result<Option<SchemaMode>> {
        Ok(on!(self.0.backend, db => db.schema_settings(tenant, scope(subject)?))?.1)
    }

    /// What may be changed of the subject.
    pub async fn schema_mode_in_force(&self, tenant: TenantId, subject: &str) -> Result<SchemaMode> {
        self.0.mode_in_force(tenant, checked_subject(subject)?).await
    }

    /// An import begins where there is nothing: what is deleted softly is removed, and live schemas refuse it unless it
    /// is forced.
    pub async fn set_schema_mode(
        &self,
        tenant: TenantId,
        subject: Option<&str>,
        mode: SchemaMode,
        force: bool,
    ) -> Result<()> {
        let subject = scope(subject)?.to_owned();
        self.to_the_end(async move |inner| {
            let _turn = inner.schemas.turn(tenant).await;
            let mut removed = false;
            if mode == SchemaMode::Import && !force {
                removed = inner.make_room(tenant, &subject).await?;
            }
            on!(inner.backend, db => db.set_schema_mode(tenant, &subject, Some(mode)))?;
            if removed {
                inner.announce(Change::Schema(tenant));
            }
            Ok(())
        })
        .await
    }

    /// Takes the mode back, and says what it was.
    pub async fn delete_schema_mode(&self, tenant: TenantId, subject: Option<&str>) -> Result<SchemaMode> {
        let subject = scope(subject)?.to_owned();
        self.to_the_end(async move |inner| {
            let _turn = inner.schemas.turn(tenant).await;
            let mode = on!(inner.backend, db => db.schema_settings(tenant, &subject))?.1;
            if mode.is_none() && subject != TENANT {
                return Err(SchemaError::SubjectUnknown(subject).into());
            }
            on!(inner.backend, db => db.set_schema_mode(tenant, &subject, None))?;
            Ok(mode.unwrap_or_default())
        })
        .await
    }
}

impl Inner {
    pub(super) async fn config_in_force(&self, tenant: TenantId, subject: &str) -> Result<SchemaConfig> {
        let wider = on!(self.backend, db => db.schema_settings(tenant, TENANT))?.0.unwrap_or_default();
        let own = on!(self.backend, db => db.schema_settings(tenant, subject))?.0.unwrap_or_default();
        Ok(own.within(wider))
    }

    pub(super) async fn mode_in_force(&self, tenant: TenantId, subject: &str) -> Result<SchemaMode> {
        let own = on!(self.backend, db => db.schema_settings(tenant, subject))?.1;
        match own {
            Some(mode) => Ok(mode),
            None => Ok(on!(self.backend, db => db.schema_settings(tenant, TENANT))?.1.unwrap_or_default()),
        }
    }

    /// The subject that is read in place of this one.
    pub(super) async fn alias(&self, tenant: TenantId, subject: &str) -> Result<Option<String>> {
        let config = on!(self.backend, db => db.schema_settings(tenant, subject))?.0;
        Ok(config.and_then(|config| config.alias).filter(|alias| !alias.is_empty()))
    }

    /// Fails if the subject, or everything, is read-only.
    pub(super) async fn check_writable(&self, tenant: TenantId, subject: &str) -> Result<()> {
        let mode = self.mode_in_force(tenant, subject).await?;
        if mode.read_only() { Err(SchemaError::ReadOnly(subject.to_owned()).into()) } else { Ok(()) }
    }

    /// Removes what is deleted softly, of one subject or of all; an error if there is more. Whether there was anything.
    async fn make_room(&self, tenant: TenantId, subject: &str) -> Result<bool> {
        let mut places = match subject {
            TENANT => on!(self.backend, db => db.all_schema_places(tenant))?,
            subject => on!(self.backend, db => db.schema_places(tenant, subject))?,
        };
        if places.iter().any(|place| Deleted::Without.admits(place.deleted)) {
            return Err(SchemaError::ImportOverExisting.into());
        }
        let removed = !places.is_empty();
        // What is referred to goes after what refers to it, which was registered later.
        places.sort_by_key(|place| std::cmp::Reverse(place.id));
        for place in places {
            self.remove(tenant, &place.place.subject, &[place.place.version], &[]).await?;
        }
        Ok(removed)
    }
}
