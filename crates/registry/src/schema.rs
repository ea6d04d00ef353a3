//! Schemas: what their texts mean, which is equal to which, and what may follow what. No storage, no I/O.
//!
//! A schema is parsed together with the texts that it refers to; nothing is ever fetched. From it come its identity, the
//! answer whether it can read what another one wrote, and the [`Contract`] by which the pipeline checks messages.

use model::contract::{Contract, Language};

mod avro;
mod json;
mod protobuf;

pub use avro::Avro;
pub use json::Json;
pub use protobuf::Protobuf;

/// Another schema that a text refers to, by the name that it uses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReferencedText {
    /// Avro: the full name of a type; JSON Schema: the URI of `$ref`; Protobuf: the path of `import`.
    pub name: String,
    pub text: String,
}

/// A text that is no schema, or one that is beyond a limit.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{why}")]
pub struct Invalid {
    /// A sentence: what is wrong, where (line and column, or a path), and what to do.
    pub why: String,
}

/// A schema by which messages cannot be checked, though it may be registered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{why}")]
pub struct Unusable {
    /// A sentence: which part, by its path, and what to do.
    pub why: String,
}

/// Why one schema cannot read what another one wrote, or is more than an addition to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// Stable, in the words of the language's rules: `READER_FIELD_MISSING_DEFAULT_VALUE`, `TYPE_NARROWED` …
    pub kind: &'static str,
    /// Where in the schema (a JSON pointer; for Protobuf `Message.field`).
    pub path: String,
    /// A sentence for a person.
    pub detail: String,
}

/// A parsed schema of any language.
#[derive(Clone, Debug)]
pub enum Schema {
    Avro(Avro),
    Json(Json),
    Protobuf(Protobuf),
}

impl Schema {
    /// Parses a text within the limits of [`model::limits`]. Never panics, never fetches, takes bounded time and memory.
    pub fn parse(language: Language, text: &str, references: &[ReferencedText]) -> Result<Self, Invalid> {
        let parsed = match language {
            Language::Avro => Avro::parse(text, references).map(Self::Avro),
            Language::Json => Json::parse(text, references).map(Self::Json),
            Language::Protobuf => Protobuf::parse(text, references).map(Self::Protobuf),
        };
        parsed.map_err(|invalid| Invalid { why: sentence(invalid.why) })
    }

    pub fn language(&self) -> Language {
        match self {
            Self::Avro(_) => Language::Avro,
            Self::Json(_) => Language::Json,
            Self::Protobuf(_) => Language::Protobuf,
        }
    }

    /// The form in which equal schemas have equal texts: what decides whether one is registered already. It keeps all that
    /// means something to a reader: defaults, aliases, documentation, properties of our own.
    pub fn canonical(&self) -> String {
        match self {
            Self::Avro(schema) => schema.canonical(),
            Self::Json(schema) => schema.canonical(),
            Self::Protobuf(schema) => schema.canonical(),
        }
    }

    /// The text that is stored when normalisation is asked for (`normalize=true`).
    pub fn normalized(&self) -> String {
        match self {
            Self::Avro(schema) => schema.normalized(),
            Self::Json(schema) => schema.normalized(),
            Self::Protobuf(schema) => schema.normalized(),
        }
    }

    /// The text in another form (`format=`): Avro `resolved`, Protobuf `serialized`; `None`: as it was registered.
    pub fn formatted(&self, format: &str) -> Option<String> {
        match self {
            Self::Avro(schema) if format == "resolved" => Some(schema.resolved()),
            Self::Protobuf(schema) if format == "serialized" => Some(schema.serialized()),
            _ => None,
        }
    }

    /// By what messages are checked.
    pub fn contract(&self) -> Result<Contract, Unusable> {
        let contract = match self {
            Self::Avro(schema) => schema.contract(),
            Self::Json(schema) => schema.contract(),
            Self::Protobuf(schema) => schema.contract(),
        };
        contract.map_err(|unusable| Unusable { why: sentence(unusable.why) })
    }

    /// Everything that keeps this schema from reading what `writer` wrote; empty if nothing does. In doubt there is a
    /// difference.
    pub fn cannot_read(&self, writer: &Self) -> Vec<Difference> {
        shown(match (self, writer) {
            (Self::Avro(reader), Self::Avro(writer)) => reader.cannot_read(writer),
            (Self::Json(reader), Self::Json(writer)) => reader.cannot_read(writer),
            (Self::Protobuf(reader), Self::Protobuf(writer)) => reader.cannot_read(writer),
            _ => vec![Difference {
                kind: "SCHEMA_TYPE_CHANGED",
                path: String::new(),
                detail: "Incompatible because of different schema type".to_owned(),
            }],
        })
    }

    /// Everything by which this schema is more than `before` with optional fields added: what has to open a new major.
    pub fn beyond_additions_to(&self, before: &Self) -> Vec<Difference> {
        shown(match (self, before) {
            (Self::Avro(now), Self::Avro(before)) => now.beyond_additions_to(before),
            (Self::Json(now), Self::Json(before)) => now.beyond_additions_to(before),
            (Self::Protobuf(now), Self::Protobuf(before)) => now.beyond_additions_to(before),
            _ => self.cannot_read(before),
        })
    }
}

/// Differences that are told; a schema that differs in more is another one.
const DIFFERENCES_MAX: usize = 256;
/// Characters of a sentence, each at its beginning and at its end: a name in it may be as long as a text.
const SENTENCE_CHARS_MAX: usize = 500;

/// Differences as they can be shown.
fn shown(mut differences: Vec<Difference>) -> Vec<Difference> {
    differences.truncate(DIFFERENCES_MAX);
    for difference in &mut differences {
        difference.path = sentence(std::mem::take(&mut difference.path));
        difference.detail = sentence(std::mem::take(&mut difference.detail));
    }
    differences
}

/// A sentence with what a peer wrote in it, as it can be shown: its middle left out if it is long, control characters as
/// escapes.
fn sentence(text: String) -> String {
    let mut text = text;
    let chars = text.chars().count();
    if chars > 2 * SENTENCE_CHARS_MAX {
        let (begin, end) = (text.chars().take(SENTENCE_CHARS_MAX), text.chars().skip(chars - SENTENCE_CHARS_MAX));
        text = begin.chain(['…']).chain(end).collect();
    }
    if text.contains(char::is_control) {
        let escaped = |letter: char| letter.is_control().then(|| letter.escape_default().to_string());
        text = text.chars().map(|letter| escaped(letter).unwrap_or_else(|| letter.into())).collect();
    }
    text
}
