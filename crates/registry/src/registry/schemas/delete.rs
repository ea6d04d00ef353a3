//! What may be deleted: softly what no live schema refers to, permanently what is deleted already and what nothing
//! refers to, no class and no device either.

use model::TenantId;
use uuid::Uuid;

use super::super::{Inner, Registry};
use crate::backend::on;
use crate::change::Change;
use crate::error::SchemaError;
use crate::resource::schema::{SchemaPlace, VersionRef, checked_subject};
use crate::{Error, Result};

impl Registry {
    /// Deletes a subject: softly its live versions, or permanently all of them, once none is live. Says which.
    pub async fn delete_subject(&self, tenant: TenantId, subject: &str, permanent: bool) -> Result<Vec<u32>> {
        let subject = checked_subject(subject)?.to_owned();
        self.to_the_end(async move |inner| {
            let turn = inner.schemas.turn(tenant).await;
            inner.check_writable(tenant, &subject).await?;
            let mut places = on!(inner.backend, db => db.schema_places(tenant, &subject))?;
            let own: Vec<u32> = places.iter().map(|place| place.id).collect();
            let live = places.iter().any(|place| !place.deleted);
            match (places.is_empty(), permanent, live) {
                (true, ..) => return Err(SchemaError::SubjectUnknown(subject).into()),
                (_, true, true) => return Err(SchemaError::SubjectNotDeleted(subject).into()),
                (_, false, false) => return Err(SchemaError::SubjectSoftDeleted(subject).into()),
                (_, true, false) => {}
                (_, false, true) => places.retain(|place| !place.deleted),
            }
            let versions: Vec<u32> = places.iter().map(|place| place.place.version).collect();
            if permanent {
                inner.remove(tenant, &subject, &versions, &own).await?;
            } else {
                inner.soft_delete(tenant, &subject, &versions, &own, false).await?;
            }
            drop(turn);
            inner.announce(Change::Schema(tenant));
            Ok(versions)
        })
        .await
    }

    /// Deletes a version, softly or, once it is deleted, permanently. Says which it was.
    pub async fn delete_schema_version(
        &self,
        tenant: TenantId,
        subject: &str,
        version: VersionRef,
        permanent: bool,
    ) -> Result<u32> {
        let subject = checked_subject(subject)?.to_owned();
        self.to_the_end(async move |inner| {
            let turn = inner.schemas.turn(tenant).await;
            inner.check_writable(tenant, &subject).await?;
            let places = on!(inner.backend, db => db.schema_places(tenant, &subject))?;
            let place = to_delete(&subject, &places, version, permanent)?;
            let version = place.place.version;
            if permanent {
                inner.remove(tenant, &subject, &[version], &[]).await?;
            } else {
                inner.soft_delete(tenant, &subject, &[version], &[], false).await?;
            }
            drop(turn);
            inner.announce(Change::Schema(tenant));
            Ok(version)
        })
        .await
    }

    /// Deletes the versions of a major softly, unless a class or a device names it.
    pub async fn delete_schema_major(&self, tenant: TenantId, schema_id: Uuid) -> Result<()> {
        let major = self.schema_major(tenant, schema_id).await?;
        self.to_the_end(async move |inner| {
            let turn = inner.schemas.turn(tenant).await;
            inner.check_writable(tenant, &major.subject).await?;
            let versions: Vec<u32> = major.versions.iter().map(|place| place.place.version).collect();
            let own: Vec<u32> = major.versions.iter().map(|place| place.id).collect();
            inner.soft_delete(tenant, &major.subject, &versions, &own, true).await?;
            drop(turn);
            inner.announce(Change::Schema(tenant));
            Ok(())
        })
        .await
    }
}

impl Inner {
    /// `own` are ids whose references do not count: they go with it.
    async fn soft_delete(
        &self,
        tenant: TenantId,
        subject: &str,
        versions: &[u32],
        own: &[u32],
        unless_named: bool,
    ) -> Result<()> {
        for version in versions {
            for id in on!(self.backend, db => db.schema_referrers(tenant, subject, *version))? {
                let places = on!(self.backend, db => db.schema_places_of(tenant, id))?;
                let elsewhere = |place: &SchemaPlace| place.place.subject != subject;
                if places.iter().any(|place| !place.deleted && (elsewhere(place) || !own.contains(&id))) {
                    return Err(referenced(subject, *version));
                }
            }
        }
        let now = self.clock.now_ms();
        on!(self.backend, db => db.soft_delete_schemas(tenant, subject, versions, unless_named, now))
    }

    /// As [`Inner::soft_delete`], for good: any reference counts.
    pub(super) async fn remove(&self, tenant: TenantId, subject: &str, versions: &[u32], own: &[u32]) -> Result<()> {
        for version in versions {
            for id in on!(self.backend, db => db.schema_referrers(tenant, subject, *version))? {
                let places = on!(self.backend, db => db.schema_places_of(tenant, id))?;
                if !own.contains(&id) || places.iter().any(|place| place.place.subject != subject) {
                    return Err(referenced(subject, *version));
                }
            }
        }
        on!(self.backend, db => db.remove_schemas(tenant, subject, versions))
    }
}

fn referenced(subject: &str, version: u32) -> Error {
    SchemaError::Referenced { subject: subject.to_owned(), version }.into()
}

/// The version that a deletion is about, if it may be deleted.
fn to_delete<'a>(
    subject: &str,
    places: &'a [SchemaPlace],
    version: VersionRef,
    permanent: bool,
) -> Result<&'a SchemaPlace> {
    if places.is_empty() {
        return Err(SchemaError::SubjectUnknown(subject.to_owned()).into());
    }
    let found = match version {
        VersionRef::Number(number) => places.iter().find(|place| place.place.version == number),
        VersionRef::Latest => places.iter().rfind(|place| !place.deleted).or(places.last()),
    };
    let place = found.ok_or_else(|| Error::from(SchemaError::VersionUnknown(version.number())))?;
    let (subject, version) = (subject.to_owned(), place.place.version);
    match (permanent, place.deleted) {
        (false, true) => Err(SchemaError::VersionSoftDeleted { subject, version }.into()),
        (true, false) => Err(SchemaError::VersionNotDeleted { subject, version }.into()),
        (false, false) | (true, true) => Ok(place),
    }
}
