//! Schemas as they are registered: subjects with versions and majors, the texts behind them, and what is decided about
//! what may follow what.

use model::Millis;
use model::contract::{Language, Place};
use model::limits::{METADATA_BYTES_MAX, SCHEMA_REFERENCES_MAX, SCHEMA_SUBJECT_BYTES_MAX};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::error::{Result, SchemaError};

/// The languages as `schemaType` names them.
pub const LANGUAGES: [(&str, Language); 3] =
    [("AVRO", Language::Avro), ("JSON", Language::Json), ("PROTOBUF", Language::Protobuf)];

pub fn language_name(language: Language) -> &'static str {
    LANGUAGES.iter().find(|(_, known)| *known == language).map_or("", |(name, _)| name)
}

/// In capitals or not.
pub fn language_from_name(name: &str) -> Option<Language> {
    LANGUAGES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, language)| *language)
}

/// A schema to be registered, looked up or tested.
#[derive(Clone, PartialEq, Debug)]
pub struct NewSchema {
    pub language: Language,
    pub text: String,
    pub references: Vec<SchemaReference>,
    /// Kept and shown as it was given.
    pub metadata: Option<Value>,
    /// Kept and shown as it was given.
    pub rule_set: Option<Value>,
}

impl NewSchema {
    /// A schema that refers to nothing.
    pub fn new(language: Language, text: impl Into<String>) -> Self {
        Self { language, text: text.into(), references: Vec::new(), metadata: None, rule_set: None }
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.references.len() > SCHEMA_REFERENCES_MAX {
            let why = format!("it has {} references, at most {SCHEMA_REFERENCES_MAX} fit", self.references.len());
            return Err(SchemaError::Invalid(why).into());
        }
        for (name, value) in [("metadata", &self.metadata), ("ruleSet", &self.rule_set)] {
            let bytes = value.as_ref().map_or(0, |value| value.to_string().len());
            if bytes > METADATA_BYTES_MAX {
                let why = format!("its `{name}` has {bytes} bytes of JSON, at most {METADATA_BYTES_MAX} fit");
                return Err(SchemaError::Invalid(why).into());
            }
        }
        Ok(())
    }
}

/// A reference of a schema to a version of a subject.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SchemaReference {
    /// As the text says it: a full name, a `$ref`, an import path.
    pub name: String,
    pub subject: String,
    /// In a schema that is to be registered -1 is the latest; stored ones name their version.
    pub version: i64,
}

/// What an id names.
#[derive(Clone, PartialEq, Debug)]
pub struct SchemaText {
    pub id: u32,
    /// Follows from the content: the same in every registry that makes it as Confluent's does.
    pub guid: Uuid,
    pub language: Language,
    pub text: String,
    pub references: Vec<SchemaReference>,
    pub metadata: Option<Value>,
    pub rule_set: Option<Value>,
    pub created_at: Millis,
}

/// A version of a subject, without its text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SchemaPlace {
    pub place: Place,
    pub id: u32,
    pub created_at: Millis,
    /// Softly: its id can still be read.
    pub deleted: bool,
}

/// A version of a subject with its text.
#[derive(Clone, PartialEq, Debug)]
pub struct SchemaVersion {
    pub place: SchemaPlace,
    pub text: SchemaText,
}

/// A major of a subject: what devices and classes name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SchemaMajor {
    pub schema_id: Uuid,
    pub subject: String,
    pub major: u32,
    /// Those that are not deleted, from the oldest.
    pub versions: Vec<SchemaPlace>,
}

/// Which versions are meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Deleted {
    /// Those that are not deleted.
    #[default]
    Without,
    /// Softly deleted ones too.
    With,
    /// Softly deleted ones only.
    Only,
}

impl Deleted {
    pub(crate) fn admits(self, deleted: bool) -> bool {
        match self {
            Self::Without => !deleted,
            Self::With => true,
            Self::Only => deleted,
        }
    }
}

/// A version as it is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VersionRef {
    Latest,
    Number(u32),
}

impl VersionRef {
    /// As messages say it.
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Number(number) => number.into(),
        }
    }
}

/// How a new version is judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judge {
    /// It must be only additions to the newest version of its major, unless it is to open the next major.
    Additive { major: bool },
    /// The subject's compatibility level decides; what it allows and is more than additions opens the next major.
    Level {
        /// Registers what the level does not allow.
        force: bool,
        normalize: bool,
        /// The id and the version that an import gives.
        id: Option<u32>,
        version: Option<u32>,
    },
}

/// Whether a new version can read what an older one wrote, or the other way round, and which older ones count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Compatibility {
    None,
    #[default]
    Backward,
    BackwardTransitive,
    Forward,
    ForwardTransitive,
    Full,
    FullTransitive,
}

impl Compatibility {
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Backward,
        Self::BackwardTransitive,
        Self::Forward,
        Self::ForwardTransitive,
        Self::Full,
        Self::FullTransitive,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Backward => "BACKWARD",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::Forward => "FORWARD",
            Self::ForwardTransitive => "FORWARD_TRANSITIVE",
            Self::Full => "FULL",
            Self::FullTransitive => "FULL_TRANSITIVE",
        }
    }

    /// In capitals or not.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(name))
    }

    /// The new schema reads what the older one wrote.
    pub(crate) fn backward(self) -> bool {
        matches!(self, Self::Backward | Self::BackwardTransitive | Self::Full | Self::FullTransitive)
    }

    /// The older schema reads what the new one writes.
    pub(crate) fn forward(self) -> bool {
        matches!(self, Self::Forward | Self::ForwardTransitive | Self::Full | Self::FullTransitive)
    }

    /// All older versions count, not the newest only.
    pub(crate) fn transitive(self) -> bool {
        matches!(self, Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive)
    }
}

/// What may be changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SchemaMode {
    #[default]
    ReadWrite,
    ReadOnly,
    /// As [`SchemaMode::ReadOnly`]; an older word.
    ReadOnlyOverride,
    /// Schemas come with the ids that they had elsewhere.
    Import,
}

impl SchemaMode {
    const ALL: [Self; 4] = [Self::ReadWrite, Self::ReadOnly, Self::ReadOnlyOverride, Self::Import];

    pub fn name(self) -> &'static str {
        match self {
            Self::ReadWrite => "READWRITE",
            Self::ReadOnly => "READONLY",
            Self::ReadOnlyOverride => "READONLY_OVERRIDE",
            Self::Import => "IMPORT",
        }
    }

    /// In capitals or not.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name().eq_ignore_ascii_case(name))
    }

    pub(crate) fn read_only(self) -> bool {
        matches!(self, Self::ReadOnly | Self::ReadOnlyOverride)
    }
}

/// What is decided about a subject, or about a tenant's subjects that say nothing themselves.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct SchemaConfig {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compatibility: Option<Compatibility>,
    /// Whether texts are normalized before they are registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalize: Option<bool>,
    /// Another subject that is read in place of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Kept and shown, without effect here, but for `compatibilityPolicy`.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

impl SchemaConfig {
    /// The names in [`SchemaConfig::others`].
    pub const OTHERS: [&str; 9] = [
        "validateFields",
        "validateNewSchemas",
        "validateRules",
        "compatibilityPolicy",
        "compatibilityGroup",
        "defaultMetadata",
        "overrideMetadata",
        "defaultRuleSet",
        "overrideRuleSet",
    ];

    /// This where it says something, else `wider`.
    pub(crate) fn within(self, wider: Self) -> Self {
        let mut others = wider.others;
        others.extend(self.others);
        Self {
            compatibility: self.compatibility.or(wider.compatibility),
            normalize: self.normalize.or(wider.normalize),
            // An alias is one subject's.
            alias: self.alias,
            others,
        }
    }

    pub(crate) fn lenient(&self) -> bool {
        self.others.get("compatibilityPolicy").and_then(Value::as_str) == Some("LENIENT")
    }
}

/// The words that Confluent keeps for itself.
const RESERVED: [&str; 2] = ["__GLOBAL", "__EMPTY"];

/// The subject that a name means. `:.:name` is `name` in the default context, which is the only one.
pub(crate) fn checked_subject(name: &str) -> Result<&str> {
    let subject = name.strip_prefix(":.:").unwrap_or(name);
    let wrong = subject.is_empty()
        || subject.len() > SCHEMA_SUBJECT_BYTES_MAX
        || subject.chars().any(char::is_control)
        || subject.starts_with(":.")
        || subject.starts_with(":*:")
        || RESERVED.contains(&subject);
    if wrong { Err(SchemaError::SubjectInvalid(name.to_owned()).into()) } else { Ok(subject) }
}
