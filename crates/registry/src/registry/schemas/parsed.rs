//! What texts mean: parsed together with what they refer to, off the runtime's threads, and kept for a while.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::TenantId;
use model::contract::{Language, Verdict};
use model::limits::{SCHEMA_REFERENCES_MAX, SCHEMA_WITH_REFERENCES_BYTES_MAX};

use super::super::Inner;
use super::identity::Identity;
use crate::backend::on;
use crate::error::SchemaError;
use crate::resource::schema::{
    Deleted, NewSchema, SchemaPlace, SchemaReference, SchemaText, VersionRef, checked_subject,
};
use crate::schema::{ReferencedText, Schema};
use crate::{Error, Result};

/// Bytes of the texts whose meaning is kept, twice over. Parsed they take some ten times as much.
const CACHE_BYTES_MAX: usize = 4 << 20;
/// What a small text counts for.
const ENTRY_BYTES_MIN: usize = 1 << 10;

/// A schema that was sent, ready to be compared and written.
#[derive(Clone, Debug)]
pub(super) struct Understood {
    pub language: Language,
    /// As it is stored and shown.
    pub text: String,
    /// Each names its version.
    pub references: Vec<SchemaReference>,
    pub metadata: Option<serde_json::Value>,
    pub rule_set: Option<serde_json::Value>,
    pub schema: Arc<Schema>,
    pub identity: Identity,
}

/// What was parsed lately. A text never changes under its id, and an id is never given twice, so nothing here can be
/// out of date.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<Generations>);

type Key = (TenantId, u32);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Key, Meaning>,
    old: HashMap<Key, Meaning>,
    young_bytes: usize,
}

#[derive(Clone, Debug, Default)]
struct Meaning {
    schema: Option<Arc<Schema>>,
    verdict: Option<Verdict>,
}

impl Cache {
    fn schema(&self, tenant: TenantId, id: u32) -> Option<Arc<Schema>> {
        self.lock().get((tenant, id))?.schema.clone()
    }

    pub fn verdict(&self, tenant: TenantId, id: u32) -> Option<Verdict> {
        self.lock().get((tenant, id))?.verdict.clone()
    }

    fn keep_schema(&self, tenant: TenantId, id: u32, bytes: usize, schema: Arc<Schema>) {
        self.lock().keep((tenant, id), bytes, |meaning| meaning.schema = Some(schema));
    }

    pub fn keep_verdict(&self, tenant: TenantId, id: u32, bytes: usize, verdict: Verdict) {
        self.lock().keep((tenant, id), bytes, |meaning| meaning.verdict = Some(verdict));
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        // Nothing in here is left half done by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn get(&self, key: Key) -> Option<&Meaning> {
        self.young.get(&key).or_else(|| self.old.get(&key))
    }

    fn keep(&mut self, key: Key, bytes: usize, change: impl FnOnce(&mut Meaning)) {
        let mut meaning = self.get(key).cloned().unwrap_or_default();
        change(&mut meaning);
        if !self.young.contains_key(&key) {
            self.young_bytes += bytes.max(ENTRY_BYTES_MIN);
        }
        self.young.insert(key, meaning);
        if self.young_bytes > CACHE_BYTES_MAX {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }
}

/// Runs what may take milliseconds where it holds up no one.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Cut(error.to_string()))
}

impl Inner {
    /// What a stored text means.
    pub(super) async fn parsed(&self, tenant: TenantId, text: &SchemaText) -> Result<Arc<Schema>> {
        if let Some(schema) = self.schemas.parsed.schema(tenant, text.id) {
            return Ok(schema);
        }
        let (_, referenced) = self.referenced(tenant, &text.references, Deleted::With).await?;
        let bytes = text.text.len() + referenced.iter().map(|referenced| referenced.text.len()).sum::<usize>();
        let (language, source) = (text.language, text.text.clone());
        let parsed = blocking(move || Schema::parse(language, &source, &referenced)).await?;
        let schema = Arc::new(parsed.map_err(|invalid| Error::from(SchemaError::Invalid(invalid.why)))?);
        self.schemas.parsed.keep_schema(tenant, text.id, bytes, schema.clone());
        Ok(schema)
    }

    /// What a text means that was sent. `referred` says which versions it may refer to.
    pub(super) async fn understood(
        &self,
        tenant: TenantId,
        new: NewSchema,
        normalize: bool,
        referred: Deleted,
    ) -> Result<Understood> {
        new.check()?;
        let (mut references, referenced) = self.referenced(tenant, &new.references, referred).await?;
        if normalize {
            references.sort_by(|one, other| (&one.name, &one.subject).cmp(&(&other.name, &other.subject)));
            references.dedup();
        }
        blocking(move || {
            let schema = Schema::parse(new.language, &new.text, &referenced)
                .map_err(|invalid| Error::from(SchemaError::Invalid(invalid.why)))?;
            let canonical = if normalize { schema.normalized() } else { schema.canonical() };
            let identity = Identity::of(new.language, &canonical, &references, &new.metadata, &new.rule_set);
            // A file that is text keeps its comments, which describe its fields.
            let as_sent = new.language == Language::Protobuf && !is_base64(&new.text);
            Ok(Understood {
                language: new.language,
                text: if as_sent { new.text } else { canonical },
                references,
                metadata: new.metadata,
                rule_set: new.rule_set,
                schema: Arc::new(schema),
                identity,
            })
        })
        .await?
    }

    /// References with their versions, and the texts that they lead to, each after those that it refers to itself.
    async fn referenced(
        &self,
        tenant: TenantId,
        references: &[SchemaReference],
        deleted: Deleted,
    ) -> Result<(Vec<SchemaReference>, Vec<ReferencedText>)> {
        let mut resolved = Vec::with_capacity(references.len());
        for reference in references {
            let subject = checked_subject(&reference.subject)?.to_owned();
            let place = self.referenced_place(tenant, &subject, reference.version, deleted).await?;
            resolved.push(SchemaReference { subject, version: place.place.version.into(), ..reference.clone() });
        }
        let mut texts: Vec<ReferencedText> = Vec::new();
        let mut seen = HashSet::new();
        let mut bytes = 0;
        let mut steps: Vec<Step> = resolved.iter().rev().cloned().map(Step::Enter).collect();
        while let Some(step) = steps.pop() {
            let reference = match step {
                Step::Leave(text) => {
                    texts.push(text);
                    continue;
                }
                Step::Enter(reference) => reference,
            };
            if !seen.insert((reference.name.clone(), reference.subject.clone(), reference.version)) {
                continue;
            }
            // What is referred to was complete when it was registered, so its own references may be deleted by now.
            let place = self.referenced_place(tenant, &reference.subject, reference.version, Deleted::With).await?;
            let text = on!(self.backend, db => db.schema_text(tenant, place.id))?;
            bytes += text.text.len();
            check_references(seen.len(), bytes)?;
            steps.push(Step::Leave(ReferencedText { name: reference.name, text: text.text }));
            steps.extend(text.references.into_iter().rev().map(Step::Enter));
        }
        match one_meaning(&texts) {
            Ok(()) => Ok((resolved, texts)),
            Err(name) => {
                let why =
                    format!("`{name}` is referred to in two versions: let all references of it name the same one");
                Err(SchemaError::Invalid(why).into())
            }
        }
    }

    async fn referenced_place(
        &self,
        tenant: TenantId,
        subject: &str,
        version: i64,
        deleted: Deleted,
    ) -> Result<SchemaPlace> {
        let mut places = on!(self.backend, db => db.schema_places(tenant, subject))?;
        places.retain(|place| deleted.admits(place.deleted));
        let found = match version {
            -1 => places.into_iter().next_back(),
            number => places.into_iter().find(|place| i64::from(place.place.version) == number),
        };
        found.ok_or_else(|| {
            let why = format!("No schema reference found for subject \"{subject}\" and version {version}");
            SchemaError::Invalid(why).into()
        })
    }

    /// The place that has this schema: the very same, else the newest that says the same.
    pub(super) async fn same_among(
        &self,
        tenant: TenantId,
        places: &[SchemaPlace],
        new: &Understood,
    ) -> Result<Option<SchemaPlace>> {
        let id = on!(self.backend, db => db.schema_id_of(tenant, new.identity.digest))?;
        if let Some(place) = places.iter().rfind(|place| Some(place.id) == id) {
            return Ok(Some(place.clone()));
        }
        for place in places.iter().rev() {
            let text = on!(self.backend, db => db.schema_text(tenant, place.id))?;
            if text.language != new.language || (&text.metadata, &text.rule_set) != (&new.metadata, &new.rule_set) {
                continue;
            }
            let old = self.parsed(tenant, &text).await?;
            let (schema, references) = (new.schema.clone(), new.references.clone());
            if blocking(move || says_the_same(&schema, &references, &old, &text.references)).await? {
                return Ok(Some(place.clone()));
            }
        }
        Ok(None)
    }

    /// The newest version among `places`, which are from the oldest.
    pub(super) fn pick(places: &[SchemaPlace], version: VersionRef) -> Option<&SchemaPlace> {
        match version {
            VersionRef::Latest => places.last(),
            VersionRef::Number(number) => places.iter().find(|place| place.place.version == number),
        }
    }
}

/// A step of the way through references.
enum Step {
    Enter(SchemaReference),
    Leave(ReferencedText),
}

fn check_references(count: usize, bytes: usize) -> Result<()> {
    let why = if count > SCHEMA_REFERENCES_MAX {
        format!("it refers to more than {SCHEMA_REFERENCES_MAX} schemas, those of its references included")
    } else if bytes > SCHEMA_WITH_REFERENCES_BYTES_MAX {
        format!("what it refers to has more than {SCHEMA_WITH_REFERENCES_BYTES_MAX} bytes")
    } else {
        return Ok(());
    };
    Err(SchemaError::Invalid(why).into())
}

/// Each name means one text; else the name that does not.
fn one_meaning(texts: &[ReferencedText]) -> std::result::Result<(), String> {
    let mut meanings: HashMap<&str, &str> = HashMap::new();
    for text in texts {
        if meanings.insert(&text.name, &text.text).is_some_and(|other| other != text.text) {
            return Err(text.name.clone());
        }
    }
    Ok(())
}

/// Whether two schemas are equal but for their spelling, or one is the other with its references written out.
fn says_the_same(
    one: &Schema,
    one_refers: &[SchemaReference],
    other: &Schema,
    other_refers: &[SchemaReference],
) -> bool {
    if one_refers == other_refers {
        return one.normalized() == other.normalized();
    }
    if !one_refers.is_empty() && !other_refers.is_empty() {
        return false;
    }
    matches!((one.formatted("resolved"), other.formatted("resolved")), (Some(one), Some(other)) if one == other)
}

/// A serialized file descriptor. A file that is text has a semicolon or a brace.
fn is_base64(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte) || byte.is_ascii_whitespace();
    text.bytes().all(fits)
}
