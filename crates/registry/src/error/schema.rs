//! What can be wrong with a schema, or with where it is to go.

use model::ErrorKind;
use model::limits::{SCHEMA_SUBJECT_BYTES_MAX, SCHEMA_VERSIONS_MAX, SCHEMAS_PER_TENANT_MAX};
use uuid::Uuid;

use crate::schema::Difference;

/// Why a schema is not taken, not found, or stays.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum SchemaError {
    /// The text is no schema, or what it refers to is not there.
    #[error("the schema is not valid: {0}")]
    Invalid(String),
    #[error(
        "`{0}` cannot be a subject: use 1 to {SCHEMA_SUBJECT_BYTES_MAX} bytes without control characters, that neither \
         begin with `:.` nor are `__GLOBAL` or `__EMPTY`"
    )]
    SubjectInvalid(String),
    #[error("there is no subject `{0}` here: list the schemas to see which there are")]
    SubjectUnknown(String),
    /// -1 is the latest.
    #[error("there is no version {0} of the subject: list its versions to see which there are")]
    VersionUnknown(i64),
    #[error("the subject does not have this schema")]
    NotInSubject,
    #[error("there is no schema with the id {0} here")]
    IdUnknown(u32),
    #[error("there is no schema with the GUID {0} here")]
    GuidUnknown(Uuid),
    /// The name of a major.
    #[error("there is no schema `{0}` here: list the schemas to see which there are")]
    Unknown(Uuid),
    #[error("the subject `{0}` is deleted already; delete it permanently to remove it")]
    SubjectSoftDeleted(String),
    #[error("the subject `{0}` must be deleted before it can be removed permanently")]
    SubjectNotDeleted(String),
    #[error("version {version} of `{subject}` is deleted already; delete it permanently to remove it")]
    VersionSoftDeleted { subject: String, version: u32 },
    #[error("version {version} of `{subject}` must be deleted before it can be removed permanently")]
    VersionNotDeleted { subject: String, version: u32 },
    #[error("the subject `{0}` has no compatibility level of its own")]
    NoConfig(String),
    #[error("the subject `{0}` has no mode of its own")]
    NoMode(String),
    /// The subject's level does not allow it; what a person reads, one entry a difference.
    #[error("it is not compatible with an earlier schema of `{subject}`: {}", messages.join(", "))]
    Incompatible { subject: String, messages: Vec<String> },
    /// It is more than the newest version of its major with optional fields added.
    #[error(
        "it is more than version {version} of `{subject}` (major {major}) with optional fields added: {}; \
         with `\"major\": true` it opens a new major, to which devices move when they are ready",
        listed(differences)
    )]
    NotAdditive { subject: String, version: u32, major: u32, differences: Vec<Difference> },
    #[error("the schemas of `{0}` are read-only: set its mode to READWRITE")]
    ReadOnly(String),
    #[error("`{0}` is not in the mode IMPORT, so an id or a version cannot be given")]
    NotImport(String),
    #[error("`{0}` is in the mode IMPORT, so the id must be given: set its mode to READWRITE to have ids given")]
    NotReadWrite(String),
    #[error("schemas can be imported only where there are none yet: delete those that there are, or force it")]
    ImportOverExisting,
    #[error("the id {0} names another schema already")]
    IdTaken(u32),
    #[error("the schema has the id {has} already, not {given}")]
    IdDiffers { has: u32, given: u32 },
    #[error("the version is not one more than the one before")]
    VersionNotNext,
    #[error("version {version} of `{subject}` is what other schemas refer to: delete those first")]
    Referenced { subject: String, version: u32 },
    /// Who names it: "class `pump`", "device …".
    #[error("the schema is in use by {}: give them another schema first", who.join(", "))]
    Named { who: Vec<String> },
    #[error("the subject has {SCHEMA_VERSIONS_MAX} versions, and more do not fit: use another subject")]
    TooManyVersions,
    #[error(
        "the tenant has {SCHEMAS_PER_TENANT_MAX} schemas, and more do not fit: remove some permanently \
         (through /schema-registry)"
    )]
    TooMany,
    #[error(
        "this data directory has schemas of its own (tenant `{tenant}` has {schemas}), whose ids would collide with those of \
         an external registry: set `schemas.url` to \"builtin:\", or start with a new data directory"
    )]
    HasOwn { tenant: String, schemas: u64 },
    #[error(
        "the schemas of this data directory are those of an external registry (tenant `{tenant}` has {schemas}): set \
         `schemas.url` to it again, or start with a new data directory and register them there"
    )]
    HasMirrored { tenant: String, schemas: u64 },
}

fn listed(differences: &[Difference]) -> String {
    differences.iter().map(|difference| difference.detail.as_str()).collect::<Vec<_>>().join("; ")
}

impl SchemaError {
    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) | Self::SubjectInvalid(_) | Self::NotImport(_) | Self::VersionNotNext => {
                ErrorKind::Invalid
            }
            Self::SubjectUnknown(_)
            | Self::VersionUnknown(_)
            | Self::NotInSubject
            | Self::IdUnknown(_)
            | Self::GuidUnknown(_)
            | Self::Unknown(_)
            | Self::NoConfig(_)
            | Self::NoMode(_) => ErrorKind::NotFound,
            Self::SubjectSoftDeleted(_)
            | Self::SubjectNotDeleted(_)
            | Self::VersionSoftDeleted { .. }
            | Self::VersionNotDeleted { .. }
            | Self::Incompatible { .. }
            | Self::NotAdditive { .. }
            | Self::ReadOnly(_)
            | Self::NotReadWrite(_)
            | Self::ImportOverExisting
            | Self::IdTaken(_)
            | Self::IdDiffers { .. }
            | Self::Referenced { .. }
            | Self::Named { .. }
            | Self::TooManyVersions
            | Self::TooMany
            | Self::HasOwn { .. }
            | Self::HasMirrored { .. } => ErrorKind::Conflict,
        }
    }

    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "schema-invalid",
            Self::SubjectInvalid(_) => "subject-invalid",
            Self::SubjectUnknown(_) => "subject-unknown",
            Self::VersionUnknown(_) => "schema-version-unknown",
            Self::NotInSubject | Self::IdUnknown(_) | Self::GuidUnknown(_) | Self::Unknown(_) => "schema-unknown",
            Self::SubjectSoftDeleted(_) | Self::VersionSoftDeleted { .. } => "schema-deleted",
            Self::SubjectNotDeleted(_) | Self::VersionNotDeleted { .. } => "schema-not-deleted",
            Self::NoConfig(_) => "schema-config-unknown",
            Self::NoMode(_) => "schema-mode-unknown",
            Self::Incompatible { .. } => "schema-incompatible",
            Self::NotAdditive { .. } => "schema-not-additive",
            Self::ReadOnly(_) => "schema-read-only",
            Self::NotImport(_) | Self::NotReadWrite(_) | Self::ImportOverExisting => "schema-import",
            Self::IdTaken(_) | Self::IdDiffers { .. } => "schema-id-conflict",
            Self::VersionNotNext => "schema-version-conflict",
            Self::Referenced { .. } => "schema-referenced",
            Self::Named { .. } => "schema-in-use",
            Self::TooManyVersions | Self::TooMany => "schema-limit",
            Self::HasOwn { .. } | Self::HasMirrored { .. } => "schema-source",
        }
    }
}
