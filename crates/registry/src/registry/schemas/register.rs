//! What becomes of a schema that is to be a subject's next version.

use std::sync::Arc;

use model::TenantId;
use model::contract::Place;
use model::limits::SCHEMA_VERSIONS_MAX;
use uuid::Uuid;

use super::super::{Inner, Registry};
use super::compatibility::refused;
use super::parsed::{Understood, blocking};
use crate::backend::{NewVersion, on};
use crate::change::Change;
use crate::error::SchemaError;
use crate::resource::schema::{
    Deleted, Judge, NewSchema, SchemaConfig, SchemaMode, SchemaPlace, SchemaText, SchemaVersion, checked_subject,
};
use crate::schema::{Difference, Schema, Unusable};
use crate::{Error, Result};

/// A version of a subject, and whether this registration made it.
#[derive(Clone, PartialEq, Debug)]
pub struct Registered {
    pub version: SchemaVersion,
    /// False: the subject had the schema already.
    pub created: bool,
}

impl Registry {
    /// Makes the schema a version of the subject, unless it is one already.
    pub async fn register_schema(
        &self,
        tenant: TenantId,
        subject: &str,
        new: NewSchema,
        judge: Judge,
    ) -> Result<Registered> {
        let subject = checked_subject(subject)?.to_owned();
        self.to_the_end(async move |inner| {
            let turn = inner.schemas.turn(tenant).await;
            let registered = inner.add_version(tenant, &subject, new, judge).await?;
            drop(turn);
            if registered.created {
                inner.announce(Change::Schema(tenant));
            }
            Ok(registered)
        })
        .await
    }
}

impl Inner {
    async fn add_version(&self, tenant: TenantId, subject: &str, new: NewSchema, judge: Judge) -> Result<Registered> {
        let (mode, config) = (self.mode_in_force(tenant, subject).await?, self.config_in_force(tenant, subject).await?);
        check_mode(mode, subject, judge)?;
        let places = on!(self.backend, db => db.schema_places(tenant, subject))?;
        let live: Vec<SchemaPlace> = places.iter().filter(|place| !place.deleted).cloned().collect();
        let new = self.with_text(tenant, &live, new, judge).await?;
        let importing = mode == SchemaMode::Import;
        let new = self.understood(tenant, new, normalizes(judge, &config) && !importing, Deleted::Without).await?;
        if let Some(place) = self.same_among(tenant, &live, &new).await?
            && asked_version(judge).is_none_or(|version| version == place.place.version)
        {
            check_id(judge, place.id)?;
            let text = on!(self.backend, db => db.schema_text(tenant, place.id))?;
            return Ok(Registered { version: SchemaVersion { place, text }, created: false });
        }
        if let Judge::Level { force: false, .. } = judge
            && !importing
        {
            let messages = self.incompatible(tenant, &config, &live, &new).await?;
            if !messages.is_empty() {
                return Err(refused(subject, messages));
            }
        }
        let version = next_version(&places, asked_version(judge), importing)?;
        let major = self.major_of(tenant, subject, &places, &new, judge).await?;
        let place = Place { subject: subject.to_owned(), version, major, schema_id: Uuid::new_v4() };
        self.write(tenant, &places, place, new, judge).await
    }

    /// The schema with a text: where none is sent through Confluent's API, that of the latest version,
    /// which then gets other metadata.
    pub(super) async fn with_text(
        &self,
        tenant: TenantId,
        live: &[SchemaPlace],
        mut new: NewSchema,
        judge: Judge,
    ) -> Result<NewSchema> {
        if !new.text.trim().is_empty() {
            return Ok(new);
        }
        let Some(latest) = live.last().filter(|_| matches!(judge, Judge::Level { .. })) else {
            return Err(SchemaError::Invalid("Empty schema".to_owned()).into());
        };
        let latest = on!(self.backend, db => db.schema_text(tenant, latest.id))?;
        (new.language, new.text, new.references) = (latest.language, latest.text, latest.references);
        Ok(new)
    }

    /// The major that the schema belongs to: the newest, if it is only additions to the newest version of it.
    pub(super) async fn major_of(
        &self,
        tenant: TenantId,
        subject: &str,
        places: &[SchemaPlace],
        new: &Understood,
        judge: Judge,
    ) -> Result<u32> {
        let Some(newest) = places.last() else { return Ok(1) };
        let text = on!(self.backend, db => db.schema_text(tenant, newest.id))?;
        let old = self.parsed(tenant, &text).await?;
        let schema: Arc<_> = new.schema.clone();
        let differences = blocking(move || {
            let mut differences = schema.beyond_additions_to(&old);
            differences.extend(no_longer_usable(&schema, &old));
            differences
        });
        let differences = differences.await?;
        let (major, version) = (newest.place.major, newest.place.version);
        match judge {
            Judge::Additive { major: true } => Ok(major + 1),
            _ if differences.is_empty() => Ok(major),
            // Nobody is held to a major that is deleted.
            Judge::Additive { major: false }
                if places.iter().any(|place| place.place.major == major && !place.deleted) =>
            {
                Err(SchemaError::NotAdditive { subject: subject.to_owned(), version, major, differences }.into())
            }
            _ => Ok(major + 1),
        }
    }

    pub(super) async fn write(
        &self,
        tenant: TenantId,
        places: &[SchemaPlace],
        place: Place,
        new: Understood,
        judge: Judge,
    ) -> Result<Registered> {
        let replaces = self.replaced(tenant, places, &place, &new).await?;
        let mut text = SchemaText {
            id: asked_id(judge).unwrap_or(0),
            guid: new.identity.guid,
            language: new.language,
            text: new.text,
            references: new.references,
            metadata: new.metadata,
            rule_set: new.rule_set,
            created_at: self.clock.now_ms(),
        };
        let written = NewVersion { place, text: text.clone(), identity: new.identity.digest, replaces };
        let place = on!(self.backend, db => db.insert_schema(tenant, written))?;
        text.id = place.id;
        Ok(Registered { version: SchemaVersion { place, text }, created: true })
    }

    /// A deleted version of the same text, which the new one takes the place of: unless another schema refers to it, or
    /// its major would be left without a version.
    async fn replaced(
        &self,
        tenant: TenantId,
        places: &[SchemaPlace],
        new: &Place,
        text: &Understood,
    ) -> Result<Option<u32>> {
        let Some(id) = on!(self.backend, db => db.schema_id_of(tenant, text.identity.digest))? else {
            return Ok(None);
        };
        let Some(old) = places.iter().find(|place| place.deleted && place.id == id) else { return Ok(None) };
        let (major, version) = (old.place.major, old.place.version);
        let others = places.iter().any(|place| place.place.major == major && place.place.version != version);
        if major != new.major && !others {
            return Ok(None);
        }
        let referrers = on!(self.backend, db => db.schema_referrers(tenant, &new.subject, version))?;
        Ok(referrers.is_empty().then_some(version))
    }
}

/// Messages are checked by the newest version of a major: with one that has no contract, all of them would be dead letters.
fn no_longer_usable(now: &Schema, before: &Schema) -> Option<Difference> {
    let Err(Unusable { why }) = now.contract() else { return None };
    let detail = format!("messages could no longer be checked by this major: {why}");
    before.contract().ok().map(|_| Difference { kind: "CONTRACT_LOST", path: String::new(), detail })
}

fn normalizes(judge: Judge, config: &SchemaConfig) -> bool {
    config.normalize == Some(true) || matches!(judge, Judge::Level { normalize: true, .. })
}

fn asked_id(judge: Judge) -> Option<u32> {
    if let Judge::Level { id, .. } = judge { id } else { None }
}

fn asked_version(judge: Judge) -> Option<u32> {
    if let Judge::Level { version, .. } = judge { version } else { None }
}

fn check_mode(mode: SchemaMode, subject: &str, judge: Judge) -> Result<()> {
    let subject = subject.to_owned();
    let refused = match (mode, asked_id(judge)) {
        (SchemaMode::ReadOnly | SchemaMode::ReadOnlyOverride, _) => SchemaError::ReadOnly(subject),
        (SchemaMode::ReadWrite, Some(_)) => SchemaError::NotImport(subject),
        (SchemaMode::Import, None) => SchemaError::NotReadWrite(subject),
        (SchemaMode::ReadWrite, None) | (SchemaMode::Import, Some(_)) => return Ok(()),
    };
    Err(refused.into())
}

fn check_id(judge: Judge, has: u32) -> Result<()> {
    match asked_id(judge) {
        Some(given) if given != has => Err(SchemaError::IdDiffers { has, given }.into()),
        _ => Ok(()),
    }
}

/// One more than the greatest, deleted ones counted. An import may leave gaps.
fn next_version(places: &[SchemaPlace], asked: Option<u32>, importing: bool) -> Result<u32> {
    if places.len() >= SCHEMA_VERSIONS_MAX {
        return Err(Error::from(SchemaError::TooManyVersions));
    }
    let next = places.last().map_or(1, |newest| newest.place.version + 1);
    match asked {
        None => Ok(next),
        Some(version) if version == next || (importing && version > next) => Ok(version),
        Some(_) => Err(SchemaError::VersionNotNext.into()),
    }
}
