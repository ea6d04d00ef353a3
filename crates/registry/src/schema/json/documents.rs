//! A schema and what it refers to, with every `$ref` resolved among them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jsonschema::{PatternOptions, ValidationError};
use model::limits::{SCHEMA_PATTERN_COMPILED_BYTES_MAX, SCHEMA_PATTERN_DFA_BYTES_MAX};
use referencing::{Draft, Error, Registry, Resolver, ResourceRef, SPECIFICATIONS, Uri};
use serde_json::Value;

use super::{Invalid, invalid};

/// Where a text without `$id` is: names of references are relative to it.
const BASE: &str = "json-schema:///";
/// What a text without `$schema` is.
const SCHEMA_DEFAULT: &str = "http://json-schema.org/draft-07/schema#";

pub struct Documents {
    registry: Registry<'static>,
    root: Arc<Value>,
    draft: Draft,
    base: Uri<String>,
}

impl std::fmt::Debug for Documents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Documents").field("root", &self.root).finish_non_exhaustive()
    }
}

/// A schema at one place of the documents.
#[derive(Clone)]
pub struct Node<'r> {
    pub value: &'r Value,
    pub draft: Draft,
    resolver: Resolver<'r>,
}

impl Documents {
    /// References are known under their names relative to where the text is and to each `$id`.
    pub fn open(root: &Value, references: &[(String, Value)]) -> Result<Self, Invalid> {
        let draft = dialect(root, "the schema")?;
        let base = referencing::uri::from_str(BASE).expect("a constant URI");
        let root = Arc::new(in_dialect(root));
        let mut bases = vec![base.clone()];
        bases.extend(identity(&root, draft, &base));
        let mut texts = Vec::new();
        for (name, value) in references {
            let draft = dialect(value, &format!("the reference `{name}`"))?;
            let value = Arc::new(in_dialect(value));
            let at = referencing::uri::resolve_against(&base.borrow(), name).or_else(|error| {
                invalid(format!("the reference `{name}` has a name that is no URI ({error}); name it as `$ref` does"))
            })?;
            let own = identity(&value, draft, &at);
            texts.push((name, value, own.clone()));
            bases.extend(own);
        }
        bases.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        bases.dedup();

        let mut places: BTreeMap<String, Arc<Value>> = BTreeMap::new();
        for (name, value, own) in &texts {
            let named = bases.iter().filter_map(|base| referencing::uri::resolve_against(&base.borrow(), name).ok());
            for place in own.iter().cloned().chain(named) {
                places.entry(place.as_str().trim_end_matches('#').to_owned()).or_insert_with(|| Arc::clone(value));
            }
        }
        places.insert(BASE.to_owned(), Arc::clone(&root));
        let registry = SPECIFICATIONS
            .extend(places)
            .and_then(|builder| builder.retrieve_known_draft_meta_schemas(false).prepare())
            .map_err(|error| Invalid { why: unresolved(&error) })?;
        Ok(Self { registry, root, draft, base })
    }

    pub fn root(&self) -> Node<'_> {
        let resolver = self.registry.resolver(self.base.clone());
        match resolver.lookup("") {
            Ok(resolved) => {
                let (value, resolver, draft) = resolved.into_inner();
                Node { value, draft, resolver }
            }
            Err(_) => Node { value: &self.root, draft: self.draft, resolver },
        }
    }

    /// Checks the text against its draft's meta-schema, and that all of it makes a validator.
    pub fn compile(&self) -> Result<(), Invalid> {
        match self.options().build(&self.root) {
            Ok(_) => Ok(()),
            Err(error) => invalid(sentence(&error)),
        }
    }

    pub fn options(&self) -> jsonschema::ValidationOptions<'_> {
        jsonschema::options()
            .with_draft(self.draft)
            .offline()
            .with_registry(&self.registry)
            .with_base_uri(BASE)
            .with_pattern_options(
                PatternOptions::regex()
                    .size_limit(SCHEMA_PATTERN_COMPILED_BYTES_MAX)
                    .dfa_size_limit(SCHEMA_PATTERN_DFA_BYTES_MAX),
            )
            .should_validate_formats(false)
    }
}

impl<'r> Node<'r> {
    pub fn get(&self, key: &str) -> Option<&'r Value> {
        self.value.as_object()?.get(key)
    }

    /// The schema that is a part of this one.
    pub fn part(&self, value: &'r Value) -> Self {
        let draft = self.draft.detect(value);
        let resolver =
            self.resolver.in_subresource(ResourceRef::new(value, draft)).unwrap_or_else(|_| self.resolver.clone());
        Self { value, draft, resolver }
    }

    /// The part under a keyword.
    pub fn at(&self, key: &str) -> Option<Self> {
        self.get(key).map(|value| self.part(value))
    }

    /// What a `$ref` in this schema leads to, or the sentence that says why it leads nowhere.
    pub fn follow(&self, reference: &str) -> Result<Self, String> {
        let resolved = self.resolver.lookup(reference).map_err(|error| unresolved(&error))?;
        let (value, resolver, draft) = resolved.into_inner();
        Ok(Self { value, draft, resolver })
    }
}

/// The draft that a text is written in.
fn dialect(value: &Value, what: &str) -> Result<Draft, Invalid> {
    let Some(named) = value.get("$schema") else { return Ok(Draft::Draft7) };
    match named.as_str().map(Draft::from_schema_uri) {
        Some(draft) if draft != Draft::Unknown => Ok(draft),
        _ => invalid(format!(
            "{what} has `$schema` {named}, which is none of draft-04, draft-06, draft-07, 2019-09 and 2020-12; use for example \
             \"https://json-schema.org/draft/2020-12/schema\""
        )),
    }
}

/// The value with the `$schema` that it means.
fn in_dialect(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(object) = value.as_object_mut() {
        object.entry("$schema").or_insert_with(|| SCHEMA_DEFAULT.into());
    }
    value
}

/// The `$id` of a text that is at `base`.
fn identity(value: &Value, draft: Draft, base: &Uri<String>) -> Option<Uri<String>> {
    let id = value.get(draft.id_keyword())?.as_str()?;
    let mut uri = referencing::uri::resolve_against(&base.borrow(), id).ok()?;
    uri.set_fragment(None);
    Some(uri)
}

fn unresolved(error: &Error) -> String {
    match error {
        Error::Unretrievable { uri, .. } => format!(
            "`$ref` or `$schema` leads to {uri}, which is not among the references of this schema, and nothing is ever fetched: \
             register that schema first and name it in `references`"
        ),
        error => format!("a `$ref` leads nowhere: {error}"),
    }
}

/// What the meta-schema or the compiler found wrong.
fn sentence(error: &ValidationError<'_>) -> String {
    use jsonschema::error::ValidationErrorKind;
    let path = error.instance_path().as_str();
    let place = if path.is_empty() { "at its top".to_owned() } else { format!("at `#{path}`") };
    let text: String = match error.kind() {
        ValidationErrorKind::Referencing(error) => {
            return format!("the schema cannot be used {place}: {}", unresolved(error));
        }
        _ => error.masked().to_string(),
    };
    let text: String = text.chars().take(300).collect();
    format!("the schema is not what its draft allows {place}: {text}")
}
