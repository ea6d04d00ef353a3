//! Taking over what an external registry has: subjects become copies in the registry's database, ids get verdicts in the log.
//!
//! Versions of a subject are taken in their order, since each is judged by those before it; what a version refers to is taken
//! first. A version that cannot be taken (no valid schema here, a reference to another tenant's subject, a limit) is told of in the
//! log as unusable, with the reason, and not tried again before the next start.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use model::TenantId;
use model::contract::{SchemaRecord, Verdict};
use model::limits::SCHEMA_BYTES_MAX;
use registry::{Mirrored, NewSchema, Registered, Registry, SchemaReference, language_from_name};

use super::ExternalError;
use super::client::{Client, Failure, Version};
use super::subjects::Owners;
use crate::line::plans::Plans;

/// How deep subjects may refer to each other.
const DEPTH_MAX: usize = 8;
/// Subjects that fail one after the other before the round ends.
const FAILURES_MAX: usize = 3;

/// The copies. One caller at a time.
pub struct Mirror {
    client: Client,
    registry: Registry,
    plans: Arc<Plans>,
    owners: Arc<Owners>,
    /// The versions of each subject that were taken, or refused for good, since the start.
    seen: HashMap<String, BTreeSet<u32>>,
    /// Tenants that the log is not told all of.
    changed: BTreeSet<TenantId>,
    /// What cannot be taken and the log is not told of.
    unusable: BTreeMap<TenantId, Vec<SchemaRecord>>,
}

/// A subject, whose it is and what it is called here.
struct Subject<'s> {
    outer: &'s str,
    tenant: TenantId,
    name: &'s str,
}

impl Mirror {
    pub fn new(client: Client, registry: Registry, plans: Arc<Plans>) -> Self {
        let (owners, seen) = (Arc::default(), HashMap::new());
        Self { client, registry, plans, owners, seen, changed: BTreeSet::new(), unusable: BTreeMap::new() }
    }

    /// Takes what is new of all subjects; how many versions that are.
    pub async fn take_all(&mut self) -> Result<usize, ExternalError> {
        let subjects = self.client.subjects().await.map_err(|failure| self.out_of_reach(failure))?;
        self.owners = Arc::new(Owners::load(&self.registry).await?);
        let listed: HashSet<&String> = subjects.iter().collect();
        self.seen.retain(|subject, _| listed.contains(subject));
        let (mut taken, mut in_a_row) = (0, 0);
        for subject in &subjects {
            match self.take_subject(subject, 0).await {
                Ok(new) => (taken, in_a_row) = (taken + new, 0),
                // The others go on, as long as it is this one and not the registry. It is tried again in the next round.
                Err(error) if in_a_row + 1 < FAILURES_MAX => {
                    tracing::warn!(subject, %error, "what is new of a subject of the external registry was not taken");
                    in_a_row += 1;
                }
                Err(error) => return Err(error),
            }
        }
        self.tell().await?;
        Ok(taken)
    }

    /// Sees to it that the log says what a tenant's id means, or that it means nothing.
    pub async fn take_id(&mut self, tenant: TenantId, id: u32) -> Result<(), ExternalError> {
        if self.plans.knows_schema(tenant, id) {
            return Ok(());
        }
        let places = match self.client.places(id).await {
            Ok(places) => places,
            Err(Failure::Unknown) => Vec::new(),
            Err(failure) => return Err(self.out_of_reach(failure)),
        };
        self.owners = Arc::new(Owners::load(&self.registry).await?);
        for place in places {
            if self.owners.of(&place.subject).is_none_or(|(owner, _)| owner != tenant) {
                continue;
            }
            self.take_subject(&place.subject, 0).await?;
            if self.registry.schema_text(tenant, id).await.is_err() {
                // The subject was removed there and begins again with numbers that were seen.
                self.forget(&place.subject);
                self.take_subject(&place.subject, 0).await?;
            }
        }
        self.tell().await?;
        if !self.plans.knows_schema(tenant, id) {
            let nothing = SchemaRecord { id, places: Vec::new(), contract: Verdict::Unknown };
            self.plans.tell(tenant, vec![nothing]).await?;
        }
        Ok(())
    }

    /// Registers a schema there that may be the subject's next version here, and takes it over.
    pub async fn register(
        &mut self,
        tenant: TenantId,
        subject: &str,
        schema: NewSchema,
        major: bool,
    ) -> Result<Registered, ExternalError> {
        self.owners = Arc::new(Owners::load(&self.registry).await?);
        let taken = || ExternalError::NameTaken(subject.to_owned());
        let outer = self.owners.outer(tenant, subject).ok_or_else(taken)?;
        self.take_subject(&outer, 0).await?;
        self.tell().await?;
        let weighed = self.registry.weigh_schema(tenant, subject, schema.clone(), major).await?;
        if let Some(version) = weighed {
            return Ok(Registered { version, created: false });
        }
        let mut sent = schema;
        for reference in &mut sent.references {
            let outer = self.owners.outer(tenant, &reference.subject);
            reference.subject = outer.ok_or_else(|| ExternalError::NameTaken(reference.subject.clone()))?;
        }
        let id = self.client.register(&outer, &sent).await.map_err(|failure| self.refusal(failure))?;
        let version = self.newest_with(&outer, id).await?;
        let subject = Subject { outer: &outer, tenant, name: subject };
        let found = self.version(&subject, version).await?;
        let registered = self.copy(&subject, version, found, major).await?;
        self.seen.entry(outer.clone()).or_default().insert(version);
        self.changed.insert(tenant);
        self.tell().await?;
        Ok(registered)
    }

    /// The newest version of a subject that has the id.
    async fn newest_with(&self, outer: &str, id: u32) -> Result<u32, ExternalError> {
        let places = self.client.places(id).await.map_err(|failure| self.refusal(failure))?;
        let versions = places.iter().filter(|place| place.subject == outer).map(|place| place.version);
        let lost = || self.out_of_reach(Failure::Unavailable(format!("it does not say where it put schema {id}")));
        versions.max().ok_or_else(lost)
    }

    /// Takes what is new of one subject, if it is a tenant's; how many versions that are.
    async fn take_subject(&mut self, outer: &str, depth: usize) -> Result<usize, ExternalError> {
        let owners = self.owners.clone();
        let Some((tenant, name)) = owners.of(outer) else { return Ok(0) };
        let subject = Subject { outer, tenant, name };
        let mut versions = match self.client.versions(outer).await {
            Ok(versions) => versions,
            Err(Failure::Unknown) => return Ok(0),
            Err(failure) => return Err(self.out_of_reach(failure)),
        };
        versions.sort_unstable();
        let seen = self.seen.get(outer).and_then(BTreeSet::last);
        if versions.last() < seen {
            // It was removed there and begins again.
            self.forget(outer);
        }
        let mut taken = 0;
        for version in versions {
            if self.seen.get(outer).is_some_and(|seen| seen.contains(&version)) {
                continue;
            }
            let found = match self.version(&subject, version).await {
                Err(ExternalError::Gone) => continue,
                found => found?,
            };
            taken += usize::from(self.take_version(&subject, version, found, depth).await?);
            self.seen.entry(outer.to_owned()).or_default().insert(version);
        }
        Ok(taken)
    }

    /// Takes one version, or notes why it cannot be taken; whether it is new.
    async fn take_version(
        &mut self,
        subject: &Subject<'_>,
        version: u32,
        found: Version,
        depth: usize,
    ) -> Result<bool, ExternalError> {
        let id = found.id;
        for reference in found.references.iter().flatten() {
            let foreign = self.owners.of(&reference.subject).is_none_or(|(owner, _)| owner != subject.tenant);
            if !foreign && depth < DEPTH_MAX && reference.subject != subject.outer {
                Box::pin(self.take_subject(&reference.subject, depth + 1)).await?;
            }
        }
        match self.copy(subject, version, found, false).await {
            Ok(registered) => {
                // Also after a start that came before the log was told.
                if registered.created || !self.plans.knows_schema(subject.tenant, id) {
                    self.changed.insert(subject.tenant);
                }
                Ok(registered.created)
            }
            Err(ExternalError::Registry(registry::Error::Schema(error))) => {
                tracing::warn!(subject = subject.outer, version, id, %error, "a schema of the external registry cannot be used");
                let record = SchemaRecord { id, places: Vec::new(), contract: Verdict::Unusable(error.to_string()) };
                self.unusable.entry(subject.tenant).or_default().push(record);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn version(&self, subject: &Subject<'_>, version: u32) -> Result<Version, ExternalError> {
        self.client.version(subject.outer, version).await.map_err(|failure| match failure {
            Failure::Unknown => ExternalError::Gone,
            failure => self.out_of_reach(failure),
        })
    }

    async fn copy(
        &self,
        subject: &Subject<'_>,
        version: u32,
        found: Version,
        major: bool,
    ) -> Result<Registered, ExternalError> {
        let id = found.id;
        let schema = self.schema_of(subject, found)?;
        let mirrored = Mirrored { id, version, schema, major };
        Ok(self.registry.mirror_schema(subject.tenant, subject.name, mirrored).await?)
    }

    fn schema_of(&self, subject: &Subject<'_>, found: Version) -> Result<NewSchema, ExternalError> {
        let invalid = |why: String| ExternalError::from(registry::Error::from(registry::SchemaError::Invalid(why)));
        let kind = found.schema_type.as_deref().unwrap_or("AVRO");
        let language = language_from_name(kind).ok_or_else(|| invalid(format!("its type is `{kind}`")))?;
        if found.id == 0 || found.schema.len() > SCHEMA_BYTES_MAX {
            return Err(invalid(format!("it has {} bytes, at most {SCHEMA_BYTES_MAX} fit", found.schema.len())));
        }
        let mut references = Vec::new();
        for reference in found.references.unwrap_or_default() {
            match self.owners.of(&reference.subject) {
                Some((owner, name)) if owner == subject.tenant => {
                    references.push(SchemaReference { subject: name.to_owned(), ..reference });
                }
                _ => {
                    let other = &reference.subject;
                    return Err(invalid(format!("it refers to the subject `{other}`, which is another tenant's")));
                }
            }
        }
        let new = NewSchema::new(language, found.schema);
        Ok(NewSchema { references, metadata: found.metadata, rule_set: found.rule_set, ..new })
    }

    /// Brings what was taken into the log.
    async fn tell(&mut self) -> Result<(), ExternalError> {
        while let Some(tenant) = self.changed.first().copied() {
            self.plans.settled(tenant).await?;
            self.changed.remove(&tenant);
        }
        while let Some((tenant, records)) = self.unusable.pop_first() {
            if let Err(error) = self.plans.tell(tenant, records.clone()).await {
                self.unusable.insert(tenant, records);
                return Err(error.into());
            }
        }
        Ok(())
    }

    fn forget(&mut self, outer: &str) {
        self.seen.remove(outer);
    }

    fn out_of_reach(&self, failure: Failure) -> ExternalError {
        ExternalError::Unavailable { url: self.client.url().to_owned(), why: failure.to_string() }
    }

    /// What was sent is not taken.
    fn refusal(&self, failure: Failure) -> ExternalError {
        match failure {
            Failure::Refused { status, message } => ExternalError::Refused { status, message },
            failure => self.out_of_reach(failure),
        }
    }
}
