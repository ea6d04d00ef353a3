//! Schemas: registered, found, tested, deleted.
//!
//! [`parsed`] keeps what texts mean, [`register`] decides what a new version becomes, [`compatibility`] what a level
//! allows, [`delete`] what may go, [`settings`] what is decided about subjects, [`mirror`] takes over what another registry has. Texts are parsed off the runtime's
//! threads. A tenant's changes take turns, so what a decision was made from is still true when it is written.

mod compatibility;
mod delete;
mod identity;
mod mirror;
mod parsed;
mod register;
mod settings;

use model::TenantId;
use model::contract::{Place, SchemaRecord, Verdict};
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

use super::{Inner, Registry};
use crate::backend::on;
use crate::error::SchemaError;
use crate::resource::schema::{
    Deleted, NewSchema, SchemaMajor, SchemaPlace, SchemaText, SchemaVersion, VersionRef, checked_subject,
};
use crate::schema::Schema;
use crate::{Error, Result};

pub use compatibility::Compatible;
pub use mirror::Mirrored;
pub use register::Registered;

/// Tenants that change schemas at the same moment seldom have to wait for each other.
const TURNS: usize = 64;

/// What the registry knows of schemas in the process.
#[derive(Debug)]
pub(super) struct Schemas {
    turns: [Mutex<()>; TURNS],
    parsed: parsed::Cache,
}

impl Default for Schemas {
    fn default() -> Self {
        Self { turns: std::array::from_fn(|_| Mutex::default()), parsed: parsed::Cache::default() }
    }
}

impl Schemas {
    /// Waits until no other change of the tenant's schemas is under way.
    async fn turn(&self, tenant: TenantId) -> MutexGuard<'_, ()> {
        let turn = tenant.as_bytes().iter().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()));
        self.turns[turn % TURNS].lock().await
    }
}

impl Registry {
    /// A version of a subject.
    pub async fn schema_version(
        &self,
        tenant: TenantId,
        subject: &str,
        version: VersionRef,
        deleted: Deleted,
    ) -> Result<SchemaVersion> {
        let place = self.schema_place(tenant, subject, version, deleted).await?;
        let text = on!(self.0.backend, db => db.schema_text(tenant, place.id))?;
        Ok(SchemaVersion { place, text })
    }

    /// A version of a subject, without its text. The latest is never a deleted one, if there are others.
    pub async fn schema_place(
        &self,
        tenant: TenantId,
        subject: &str,
        version: VersionRef,
        deleted: Deleted,
    ) -> Result<SchemaPlace> {
        let places = self.subject_versions(tenant, subject, deleted).await?;
        let found = match version {
            VersionRef::Number(number) => places.into_iter().find(|place| place.place.version == number),
            VersionRef::Latest if places.iter().any(|place| !place.deleted) => {
                places.into_iter().rfind(|place| !place.deleted)
            }
            VersionRef::Latest => places.into_iter().next_back(),
        };
        found.ok_or_else(|| SchemaError::VersionUnknown(version.number()).into())
    }

    /// A subject's versions, from the oldest; an error if there is none. An alias is followed.
    pub async fn subject_versions(
        &self,
        tenant: TenantId,
        subject: &str,
        deleted: Deleted,
    ) -> Result<Vec<SchemaPlace>> {
        let subject = checked_subject(subject)?;
        let subject = self.0.alias(tenant, subject).await?.unwrap_or_else(|| subject.to_owned());
        let mut places = on!(self.0.backend, db => db.schema_places(tenant, &subject))?;
        places.retain(|place| deleted.admits(place.deleted));
        if places.is_empty() { Err(SchemaError::SubjectUnknown(subject).into()) } else { Ok(places) }
    }

    /// Every version of every subject that begins with `prefix`, in the order of subjects and versions.
    pub async fn schema_places(&self, tenant: TenantId, prefix: &str, deleted: Deleted) -> Result<Vec<SchemaPlace>> {
        let mut places = on!(self.0.backend, db => db.all_schema_places(tenant))?;
        places.retain(|place| deleted.admits(place.deleted) && place.place.subject.starts_with(prefix));
        Ok(places)
    }

    /// The subjects that begin with `prefix`, in order. One counts as deleted if all of its versions are.
    pub async fn subjects(&self, tenant: TenantId, prefix: &str, deleted: Deleted) -> Result<Vec<String>> {
        let places = self.schema_places(tenant, prefix, Deleted::With).await?;
        let subjects = places.chunk_by(|one, next| one.place.subject == next.place.subject);
        let subjects = subjects.filter(|versions| deleted.admits(versions.iter().all(|version| version.deleted)));
        Ok(subjects.map(|versions| versions[0].place.subject.clone()).collect())
    }

    /// What an id names. It stays readable when its versions are softly deleted.
    pub async fn schema_text(&self, tenant: TenantId, id: u32) -> Result<SchemaText> {
        on!(self.0.backend, db => db.schema_text(tenant, id))
    }

    pub async fn schema_text_by_guid(&self, tenant: TenantId, guid: Uuid) -> Result<SchemaText> {
        let found = on!(self.0.backend, db => db.schema_text_by_guid(tenant, guid))?;
        found.ok_or_else(|| SchemaError::GuidUnknown(guid).into())
    }

    /// The versions that have the id; an error if the id is unknown.
    pub async fn places_of_schema(&self, tenant: TenantId, id: u32, deleted: Deleted) -> Result<Vec<SchemaPlace>> {
        let mut places = on!(self.0.backend, db => db.schema_places_of(tenant, id))?;
        if places.is_empty() {
            return Err(SchemaError::IdUnknown(id).into());
        }
        places.retain(|place| deleted.admits(place.deleted));
        Ok(places)
    }

    /// The greatest id that the tenant was given.
    pub async fn schema_id_max(&self, tenant: TenantId) -> Result<u32> {
        on!(self.0.backend, db => db.schema_id_max(tenant))
    }

    /// The ids of the schemas that refer to a version. Those whose versions are all deleted count if `deleted` says so.
    pub async fn schema_referrers(
        &self,
        tenant: TenantId,
        subject: &str,
        version: VersionRef,
        deleted: Deleted,
    ) -> Result<Vec<u32>> {
        let place = self.schema_place(tenant, subject, version, Deleted::With).await?.place;
        let ids = on!(self.0.backend, db => db.schema_referrers(tenant, &place.subject, place.version))?;
        let mut found = Vec::new();
        for id in ids {
            let places = on!(self.0.backend, db => db.schema_places_of(tenant, id))?;
            if places.iter().any(|place| deleted.admits(place.deleted)) {
                found.push(id);
            }
        }
        Ok(found)
    }

    /// The version of the subject that is this schema: the same one if there is, else the newest that says the same.
    pub async fn find_schema(
        &self,
        tenant: TenantId,
        subject: &str,
        new: NewSchema,
        normalize: bool,
        deleted: Deleted,
    ) -> Result<SchemaVersion> {
        let places = self.subject_versions(tenant, subject, deleted).await?;
        let new = self.0.understood(tenant, new, normalize, Deleted::With).await?;
        let place = self.0.same_among(tenant, &places, &new).await?.ok_or(Error::from(SchemaError::NotInSubject))?;
        let text = on!(self.0.backend, db => db.schema_text(tenant, place.id))?;
        Ok(SchemaVersion { place, text })
    }

    /// The text of a schema in another form (`resolved`, `serialized`); unknown forms are the text as it is.
    pub async fn schema_formatted(&self, tenant: TenantId, text: &SchemaText, format: &str) -> Result<String> {
        if format.is_empty() {
            return Ok(text.text.clone());
        }
        let (schema, format) = (self.0.parsed(tenant, text).await?, format.to_owned());
        let formatted = parsed::blocking(move || schema.formatted(&format)).await?;
        Ok(formatted.unwrap_or_else(|| text.text.clone()))
    }

    /// What a schema means for messages, without registering it.
    pub async fn explain_schema(&self, tenant: TenantId, new: NewSchema) -> Result<Verdict> {
        let schema = self.0.understood(tenant, new, false, Deleted::Without).await?.schema;
        parsed::blocking(move || verdict(&schema)).await
    }

    /// The majors of the tenant, or of one subject, that have versions which are not deleted.
    pub async fn schema_majors(&self, tenant: TenantId, subject: Option<&str>) -> Result<Vec<SchemaMajor>> {
        let mut places = match subject {
            Some(subject) => on!(self.0.backend, db => db.schema_places(tenant, checked_subject(subject)?))?,
            None => on!(self.0.backend, db => db.all_schema_places(tenant))?,
        };
        places.retain(|place| !place.deleted);
        // Majors grow with versions, so those of one are neighbours.
        let majors = places.chunk_by(|one, next| one.place.schema_id == next.place.schema_id);
        let major = |versions: &[SchemaPlace]| SchemaMajor {
            schema_id: versions[0].place.schema_id,
            subject: versions[0].place.subject.clone(),
            major: versions[0].place.major,
            versions: versions.to_vec(),
        };
        Ok(majors.map(major).collect())
    }

    /// The major that a `schema_id` names, if it has versions that are not deleted.
    pub async fn schema_major(&self, tenant: TenantId, schema_id: Uuid) -> Result<SchemaMajor> {
        let unknown = || Error::from(SchemaError::Unknown(schema_id));
        let (subject, _) = self.find_major(tenant, schema_id).await?.ok_or_else(unknown)?;
        let majors = self.schema_majors(tenant, Some(&subject)).await?;
        majors.into_iter().find(|major| major.schema_id == schema_id).ok_or_else(unknown)
    }

    /// The subject and the major that a `schema_id` names, deleted or not.
    pub async fn find_major(&self, tenant: TenantId, schema_id: Uuid) -> Result<Option<(String, u32)>> {
        on!(self.0.backend, db => db.schema_major(tenant, schema_id))
    }

    /// Everything that the pipeline has to know of the tenant's schemas, softly deleted ones included, by id.
    pub async fn schema_records(&self, tenant: TenantId) -> Result<Vec<SchemaRecord>> {
        let mut places = on!(self.0.backend, db => db.all_schema_places(tenant))?;
        places.sort_by_key(|place| place.id);
        let mut records = Vec::new();
        for places in places.chunk_by(|one, next| one.id == next.id) {
            let contract = self.0.verdict(tenant, places[0].id).await?;
            let id = places[0].id;
            let places: Vec<Place> = places.iter().map(|place| place.place.clone()).collect();
            records.push(SchemaRecord { id, places, contract });
        }
        Ok(records)
    }
}

impl Inner {
    pub(super) async fn verdict(&self, tenant: TenantId, id: u32) -> Result<Verdict> {
        if let Some(verdict) = self.schemas.parsed.verdict(tenant, id) {
            return Ok(verdict);
        }
        let text = on!(self.backend, db => db.schema_text(tenant, id))?;
        let verdict = match self.parsed(tenant, &text).await {
            Ok(schema) => parsed::blocking(move || verdict(&schema)).await?,
            // It was taken once; this version of the parser is stricter.
            Err(Error::Schema(error)) => Verdict::Unusable(error.to_string()),
            Err(error) => return Err(error),
        };
        self.schemas.parsed.keep_verdict(tenant, id, text.text.len(), verdict.clone());
        Ok(verdict)
    }
}

fn verdict(schema: &Schema) -> Verdict {
    match schema.contract() {
        Ok(contract) => Verdict::Usable(contract),
        Err(unusable) => Verdict::Unusable(unusable.why),
    }
}
