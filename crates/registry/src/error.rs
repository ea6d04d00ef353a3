//! What can go wrong here, and what to do about it.

mod schema;

use std::fmt;

use model::ErrorKind;

pub use schema::SchemaError;

pub type Result<T> = std::result::Result<T, Error>;

/// A failure of the registry. The text says what was wrong, where, and what to do; [`Error::code`] is for programs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value of a request.
    #[error("`{field}` {why}")]
    Invalid { field: String, why: String },
    /// No such resource on this tenant's side of the wall.
    #[error("there is no {what} `{name}` here: list the {} to see which there are", what.plural())]
    NotFound { what: Resource, name: String },
    /// The name or id is taken.
    #[error("{what} `{name}` {why}")]
    Conflict { what: Resource, name: String, why: &'static str },
    /// A limit of the tenant.
    #[error("the tenant has reached its limit of {max} {}: delete some or have its limits raised", what.plural())]
    Limit { what: Resource, max: u64 },
    /// Who asks may not.
    #[error("{0}")]
    Denied(Denial),
    /// A schema.
    #[error(transparent)]
    Schema(#[from] Box<SchemaError>),
    /// The configuration's `registry.url`.
    #[error("registry.url `{url}` {why}: use for example sqlite:./tidewater-data/registry.db")]
    Url { url: String, why: &'static str },
    /// The file could not be opened or brought to this version's tables.
    #[error("the registry `{url}` cannot be opened: {why}")]
    Open { url: String, why: String },
    /// The admin key could not be handed over, so it was not created.
    #[error("the first admin key could not be written, so none was created: {0}")]
    Deliver(std::io::Error),
    /// A stored value that this version did not write.
    #[error("the registry's {what} `{name}` is damaged: {why}; restore the registry from a backup")]
    Damaged { what: Resource, name: String, why: String },
    #[error("the registry's database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// A task of ours ended before its work was done.
    #[error("the registry's work was cut short: {0}")]
    Cut(String),
}

impl From<SchemaError> for Error {
    fn from(error: SchemaError) -> Self {
        Self::Schema(Box::new(error))
    }
}

/// Why someone may not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Denial {
    /// Unknown, wrong, revoked or mistyped: one answer for all of them.
    Credential,
    /// The credential is right and the device's status is `inactive`.
    Inactive,
    /// A key named a device that its tenant does not have.
    Unknown,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Credential => {
                "the credential is not valid: check that it was copied whole, that it was not replaced or deleted, and \
                 that a device token comes with its own device id"
            }
            Self::Inactive => "the device is inactive: set its status to active to let it speak",
            Self::Unknown => "the tenant has no such device: create it first",
        })
    }
}

/// What a name or id names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resource {
    Tenant,
    Key,
    Class,
    Device,
    Schema,
}

impl Resource {
    fn word(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Key => "key",
            Self::Class => "class",
            Self::Device => "device",
            Self::Schema => "schema",
        }
    }

    fn plural(self) -> &'static str {
        match self {
            Self::Tenant => "tenants",
            Self::Key => "keys",
            Self::Class => "classes",
            Self::Device => "devices",
            Self::Schema => "schemas",
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// SQLite's primary result codes that mean "not now": busy, locked, I/O error, full, cannot open.
const SQLITE_NOT_NOW: [i32; 5] = [5, 6, 10, 13, 14];
/// SQLite's primary result codes for a damaged file: corrupt, not a database.
const SQLITE_DAMAGED: [i32; 2] = [11, 26];

impl Error {
    pub(crate) fn invalid(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), why: why.into() }
    }

    pub(crate) fn not_found(what: Resource, name: impl ToString) -> Self {
        Self::NotFound { what, name: name.to_string() }
    }

    pub(crate) fn conflict(what: Resource, name: impl ToString, why: &'static str) -> Self {
        Self::Conflict { what, name: name.to_string(), why }
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid { .. } | Self::Url { .. } => ErrorKind::Invalid,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Limit { .. } => ErrorKind::Limited,
            Self::Denied(_) => ErrorKind::Denied,
            Self::Schema(error) => error.kind(),
            Self::Open { .. } | Self::Deliver(_) => ErrorKind::Unavailable,
            Self::Damaged { .. } => ErrorKind::Corrupt,
            Self::Database(error) => database_kind(error),
            Self::Cut(_) => ErrorKind::Internal,
        }
    }

    /// A stable word for programs; problem documents carry it.
    pub fn code(&self) -> &'static str {
        use Resource::{Class, Device, Key, Schema, Tenant};
        match self {
            Self::Invalid { .. } => "invalid-value",
            Self::NotFound { what, .. } => match what {
                Tenant => "tenant-unknown",
                Key => "key-unknown",
                Class => "class-unknown",
                Device => "device-unknown",
                Schema => "schema-unknown",
            },
            Self::Conflict { what, .. } => match what {
                Tenant => "tenant-conflict",
                Key => "key-conflict",
                Class => "class-conflict",
                Device => "device-conflict",
                Schema => "schema-conflict",
            },
            Self::Limit { what, .. } => match what {
                Tenant => "tenant-limit",
                Key => "key-limit",
                Class => "class-limit",
                Device => "device-limit",
                Schema => "schema-limit",
            },
            Self::Schema(error) => error.code(),
            Self::Denied(Denial::Credential) => "credential-invalid",
            Self::Denied(Denial::Inactive) => "device-inactive",
            Self::Denied(Denial::Unknown) => "device-unknown",
            Self::Url { .. } => "registry-url",
            Self::Open { .. } | Self::Deliver(_) | Self::Database(_) => "registry-unavailable",
            Self::Damaged { .. } => "registry-damaged",
            Self::Cut(_) => "internal",
        }
    }
}

fn database_kind(error: &sqlx::Error) -> ErrorKind {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => {
            ErrorKind::Unavailable
        }
        sqlx::Error::Database(cause) => {
            let extended: i32 = cause.code().and_then(|code| code.parse().ok()).unwrap_or(0);
            match extended & 0xff {
                code if SQLITE_NOT_NOW.contains(&code) => ErrorKind::Unavailable,
                code if SQLITE_DAMAGED.contains(&code) => ErrorKind::Corrupt,
                _ => ErrorKind::Internal,
            }
        }
        _ => ErrorKind::Internal,
    }
}
