//! `/subjects`: registering, looking up, listing, deleting.

use registry::{Deleted, Judge, SchemaPlace};
use serde_json::{Value, json};

use super::Result;
use crate::schema_registry::call::{self, Call};
use crate::schema_registry::failure::Failure;

impl Call {
    pub(super) async fn subjects(&self) -> Result<Value> {
        let subjects = self.app.registry.subjects(self.tenant, self.prefix(), self.deleted()).await?;
        Ok(json!(self.page(subjects)))
    }

    pub(super) async fn register(&self, subject: &str) -> Result<Value> {
        let sent = self.schema()?;
        let judge = Judge::Level {
            force: self.flag("force"),
            normalize: self.flag("normalize"),
            id: sent.id,
            version: sent.version,
        };
        let registered = self.app.registry.register_schema(self.tenant, subject, sent.new, judge).await?;
        self.app.plans.settled(self.tenant).await?;
        let (place, text) = (registered.version.place, registered.version.text);
        if !self.modern {
            return Ok(json!({"id": place.id}));
        }
        let mut entity = self.text_entity(&text, false).await?;
        entity.insert("id".to_owned(), json!(place.id));
        entity.insert("version".to_owned(), json!(place.place.version));
        Ok(Value::Object(entity))
    }

    pub(super) async fn look_up(&self, subject: &str) -> Result<Value> {
        let (new, normalize) = (self.schema()?.new, self.flag("normalize"));
        let found = self.app.registry.find_schema(self.tenant, subject, new, normalize, self.deleted()).await?;
        self.version_entity(&found).await
    }

    pub(super) async fn delete_subject(&self, subject: &str) -> Result<Value> {
        let deleted = self.app.registry.delete_subject(self.tenant, subject, self.flag("permanent")).await?;
        self.app.plans.settled(self.tenant).await?;
        Ok(json!(deleted))
    }

    /// The newest version whose metadata has all the pairs of `key` and `value`.
    pub(super) async fn latest_with_metadata(&self, subject: &str) -> Result<Value> {
        let pairs: Vec<(&str, &str)> = self.all("key").zip(self.all("value")).collect();
        let places = self.app.registry.subject_versions(self.tenant, subject, self.deleted()).await?;
        for place in places.into_iter().rev() {
            let text = self.app.registry.schema_text(self.tenant, place.id).await?;
            let properties = text.metadata.as_ref().map(|metadata| &metadata["properties"]);
            let has = |(name, value): &(&str, &str)| properties.is_some_and(|all| all[*name].as_str() == Some(*value));
            if pairs.iter().all(has) {
                return self.version_entity(&registry::SchemaVersion { place, text }).await;
            }
        }
        Err(Failure::new(40403, "Schema not found"))
    }

    pub(super) async fn versions(&self, subject: &str) -> Result<Value> {
        let negative = self.flag("deletedAsNegative");
        let deleted = if negative { Deleted::With } else { self.deleted() };
        let places = self.app.registry.subject_versions(self.tenant, subject, deleted).await?;
        let number = |place: SchemaPlace| match i64::from(place.place.version) {
            version if negative && place.deleted => -version,
            version => version,
        };
        Ok(json!(self.page(places.into_iter().map(number).collect())))
    }

    pub(super) async fn version(&self, subject: &str, version: &str) -> Result<Value> {
        let version = call::version(version)?;
        let found = self.app.registry.schema_version(self.tenant, subject, version, self.deleted()).await?;
        self.version_entity(&found).await
    }

    pub(super) async fn version_text(&self, subject: &str, version: &str) -> Result<String> {
        let version = call::version(version)?;
        let found = self.app.registry.schema_version(self.tenant, subject, version, self.deleted()).await?;
        Ok(self.app.registry.schema_formatted(self.tenant, &found.text, self.format()).await?)
    }

    pub(super) async fn referenced_by(&self, subject: &str, version: &str) -> Result<Value> {
        let version = call::version(version)?;
        let ids = self.app.registry.schema_referrers(self.tenant, subject, version, self.deleted()).await?;
        Ok(json!(self.page(ids)))
    }

    pub(super) async fn delete_version(&self, subject: &str, version: &str) -> Result<Value> {
        let (version, permanent) = (call::version(version)?, self.flag("permanent"));
        let deleted = self.app.registry.delete_schema_version(self.tenant, subject, version, permanent).await?;
        self.app.plans.settled(self.tenant).await?;
        Ok(json!(deleted))
    }
}
