//! `/schemas`: by id, by GUID, all of them.

use registry::{Deleted, SchemaPlace, SchemaVersion};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Result;
use crate::schema_registry::call::{self, Call};
use crate::schema_registry::failure::Failure;

impl Call {
    pub(super) async fn schemas(&self) -> Result<Value> {
        let mut places = self.app.registry.schema_places(self.tenant, self.prefix(), self.deleted()).await?;
        if self.flag("latestOnly") {
            let subjects = places.chunk_by(|one, next| one.place.subject == next.place.subject);
            places = subjects.filter_map(newest).cloned().collect();
        }
        let mut entities = Vec::new();
        for place in self.page(places) {
            let text = self.app.registry.schema_text(self.tenant, place.id).await?;
            entities.push(self.version_entity(&SchemaVersion { place, text }).await?);
        }
        Ok(Value::Array(entities))
    }

    /// An id that the subject does not have is answered all the same, without the subject.
    pub(super) async fn by_id(&self, id: &str) -> Result<Value> {
        let text = self.app.registry.schema_text(self.tenant, call::id(id)?).await?;
        let places = self.app.registry.places_of_schema(self.tenant, text.id, Deleted::With).await?;
        let deleted = places.iter().all(|place| place.deleted);
        let mut entity = self.text_entity(&text, deleted).await?;
        if let Some(place) = self.of_subject(&places) {
            entity.insert("subject".to_owned(), json!(place.place.subject));
            entity.insert("version".to_owned(), json!(place.place.version));
        }
        if self.flag("fetchMaxId") {
            entity.insert("maxId".to_owned(), json!(self.app.registry.schema_id_max(self.tenant).await?));
        }
        Ok(Value::Object(entity))
    }

    pub(super) async fn text_by_id(&self, id: &str) -> Result<String> {
        let text = self.app.registry.schema_text(self.tenant, call::id(id)?).await?;
        Ok(self.app.registry.schema_formatted(self.tenant, &text, self.format()).await?)
    }

    pub(super) async fn subjects_of(&self, id: &str) -> Result<Value> {
        let mut subjects: Vec<String> =
            self.places_of(id).await?.into_iter().map(|place| place.place.subject).collect();
        subjects.dedup();
        Ok(json!(self.page(subjects)))
    }

    pub(super) async fn versions_of(&self, id: &str) -> Result<Value> {
        let version = |place: &SchemaPlace| json!({"subject": place.place.subject, "version": place.place.version});
        let versions = self.places_of(id).await?.iter().map(version).collect();
        Ok(Value::Array(self.page(versions)))
    }

    pub(super) async fn by_guid(&self, guid: &str) -> Result<Value> {
        let unknown = || Failure::new(40403, format!("Schema {guid} not found"));
        let parsed: Uuid = guid.parse().map_err(|_| unknown())?;
        let text = self.app.registry.schema_text_by_guid(self.tenant, parsed).await?;
        Ok(Value::Object(self.text_entity(&text, false).await?))
    }

    pub(super) async fn ids_of(&self, guid: &str) -> Result<Value> {
        let Ok(guid) = guid.parse::<Uuid>() else { return Ok(json!([])) };
        match self.app.registry.schema_text_by_guid(self.tenant, guid).await.map_err(Failure::from) {
            Ok(text) => Ok(json!([{"context": ".", "id": text.id}])),
            Err(failure) if failure == Failure::new(40403, format!("Schema {guid} not found")) => Ok(json!([])),
            Err(failure) => Err(failure),
        }
    }

    /// The versions that have the id, of one subject if the call names one.
    async fn places_of(&self, id: &str) -> Result<Vec<SchemaPlace>> {
        let (id, subject) = (call::id(id)?, self.text("subject"));
        let places = self.app.registry.places_of_schema(self.tenant, id, self.deleted()).await;
        let mut places = places.map_err(|error| match Failure::from(error) {
            // Without the number here, for whatever reason.
            failure if failure == Failure::new(40403, format!("Schema {id} not found")) => {
                Failure::new(40403, "Schema not found")
            }
            failure => failure,
        })?;
        places.retain(|place| subject.is_none_or(|subject| place.place.subject == subject));
        Ok(places)
    }

    fn of_subject<'a>(&self, places: &'a [SchemaPlace]) -> Option<&'a SchemaPlace> {
        let subject = self.text("subject")?;
        places.iter().rfind(|place| place.place.subject == subject)
    }
}

/// The newest version that is not deleted, else the newest.
fn newest(versions: &[SchemaPlace]) -> Option<&SchemaPlace> {
    versions.iter().rfind(|place| !place.deleted).or(versions.last())
}
