//! Schemas of an external registry: kept here as copies with the ids that they have there.
//!
//! Ids are the other registry's; majors and their `schema_id` are ours. A copy is never taken back: what was sent under a schema
//! can be read as long as this registry lives. An id means one text there, so a subject that has the id has the version. The
//! numbers of versions are theirs too, unless a subject was removed there and begins again: then they go on.

use model::TenantId;
use model::contract::{Place, SchemaSource};
use model::limits::SCHEMA_VERSIONS_MAX;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::super::{Inner, Registry};
use crate::backend::on;
use crate::change::Change;
use crate::error::SchemaError;
use crate::resource::schema::{Deleted, Judge, NewSchema, SchemaVersion, checked_subject};
use crate::{Registered, Result};

/// A version of a subject of an external registry.
#[derive(Clone, PartialEq, Debug)]
pub struct Mirrored {
    pub id: u32,
    pub version: u32,
    pub schema: NewSchema,
    /// It opens a major, even if it is only additions.
    pub major: bool,
}

impl Registry {
    /// From now on schemas come from there. Refused while there are schemas that came from elsewhere: their ids would mean
    /// two things.
    pub async fn take_schemas_from(&self, source: SchemaSource) -> Result<()> {
        if on!(self.0.backend, db => db.schema_source())? == source {
            return Ok(());
        }
        if let Some((tenant, schemas)) = on!(self.0.backend, db => db.tenant_with_schemas())? {
            return Err(match source {
                SchemaSource::External => SchemaError::HasOwn { tenant, schemas },
                SchemaSource::BuiltIn => SchemaError::HasMirrored { tenant, schemas },
            }
            .into());
        }
        on!(self.0.backend, db => db.set_schema_source(source))
    }

    /// Takes a version over, unless the subject has its id already. One that is more than additions opens the next major.
    pub async fn mirror_schema(&self, tenant: TenantId, subject: &str, mirrored: Mirrored) -> Result<Registered> {
        let subject = checked_subject(subject)?.to_owned();
        self.to_the_end(async move |inner| {
            let turn = inner.schemas.turn(tenant).await;
            let registered = inner.mirror(tenant, &subject, mirrored).await?;
            drop(turn);
            if registered.created {
                inner.announce(Change::Schema(tenant));
            }
            Ok(registered)
        })
        .await
    }

    /// What registering the schema elsewhere would mean here: the version that says the same, or none if it would be a new one.
    /// Fails if it is not valid, or more than additions without being meant to open a major.
    pub async fn weigh_schema(
        &self,
        tenant: TenantId,
        subject: &str,
        new: NewSchema,
        major: bool,
    ) -> Result<Option<SchemaVersion>> {
        let (inner, judge) = (&self.0, Judge::Additive { major });
        let subject = checked_subject(subject)?;
        let places = on!(inner.backend, db => db.schema_places(tenant, subject))?;
        let new = inner.with_text(tenant, &places, new, judge).await?;
        let new = inner.understood(tenant, new, false, Deleted::With).await?;
        if let Some(place) = inner.same_among(tenant, &places, &new).await? {
            let text = on!(inner.backend, db => db.schema_text(tenant, place.id))?;
            return Ok(Some(SchemaVersion { place, text }));
        }
        inner.major_of(tenant, subject, &places, &new, judge).await?;
        Ok(None)
    }
}

impl Inner {
    async fn mirror(&self, tenant: TenantId, subject: &str, mirrored: Mirrored) -> Result<Registered> {
        let Mirrored { id, version, schema, major } = mirrored;
        let places = on!(self.backend, db => db.schema_places(tenant, subject))?;
        if let Some(place) = places.iter().rfind(|place| place.id == id) {
            let text = on!(self.backend, db => db.schema_text(tenant, id))?;
            return Ok(Registered { version: SchemaVersion { place: place.clone(), text }, created: false });
        }
        if places.len() >= SCHEMA_VERSIONS_MAX {
            return Err(SchemaError::TooManyVersions.into());
        }
        let mut new = self.understood(tenant, schema, false, Deleted::With).await?;
        new.identity.digest = with_id(new.identity.digest, id);
        let version = places.last().map_or(version, |newest| version.max(newest.place.version + 1));
        let judge = Judge::Level { force: true, normalize: false, id: Some(id), version: Some(version) };
        let placed = if major { Judge::Additive { major } } else { judge };
        let major = self.major_of(tenant, subject, &places, &new, placed).await?;
        let place = Place { subject: subject.to_owned(), version, major, schema_id: Uuid::new_v4() };
        self.write(tenant, &places, place, new, judge).await
    }
}

/// Another registry may tell texts apart that are one here: with the id each is its own.
fn with_id(identity: [u8; 32], id: u32) -> [u8; 32] {
    Sha256::new().chain_update(identity).chain_update(id.to_be_bytes()).finalize().into()
}
