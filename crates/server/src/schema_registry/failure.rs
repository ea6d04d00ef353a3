//! How failures are told: `{"error_code": 40401, "message": "…"}`, in the codes and words of Confluent's registry.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::ErrorKind;
use registry::{Error, SchemaError};
use serde_json::json;

use crate::line::plans::PlansError;

/// A failed call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    status: u16,
    code: u32,
    message: String,
}

impl Failure {
    /// The status is the first three digits of the code.
    pub fn new(code: u32, message: impl Into<String>) -> Self {
        let status = if code < 1000 { code } else { code / 100 };
        Self { status: status as u16, code, message: message.into() }
    }

    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized")
    }

    pub fn forbidden() -> Self {
        Self::new(403, "Forbidden: the key needs the right `schemas` (for reading, `query` will do)")
    }

    pub fn no_such_path() -> Self {
        Self::new(404, "HTTP 404 Not Found")
    }

    /// 421: this server is not the one to ask.
    pub fn elsewhere(url: &str) -> Self {
        let what = format!("The schemas of this server are in the registry at {url}");
        Self::new(421, format!("{what}: set schema.registry.url to that; what is registered there is taken over here"))
    }

    pub fn version_invalid(version: &str) -> Self {
        let what = format!("The specified version '{version}' is not a valid version id.");
        Self::new(42202, format!("{what} Allowed values are between [1, 2^31-1] and the string \"latest\""))
    }

    pub fn level_invalid() -> Self {
        let levels = "none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive";
        Self::new(42203, format!("Invalid compatibility level. Valid values are {levels}"))
    }

    pub fn mode_invalid() -> Self {
        Self::new(42204, "Invalid mode. Valid values are READWRITE, READONLY, IMPORT and FORWARD.")
    }

    pub fn schema_invalid(why: &str) -> Self {
        Self::new(42201, format!("Invalid schema, details: {why}"))
    }

    pub fn too_large() -> Self {
        Self::new(42209, "Register operation failed because schema is too large")
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Schema(error) => (*error).into(),
            Error::Denied(_) => Self::unauthorized(),
            error => match error.kind() {
                ErrorKind::Invalid => Self::new(422, error.to_string()),
                ErrorKind::NotFound => Self::new(404, error.to_string()),
                ErrorKind::Conflict | ErrorKind::Limited | ErrorKind::Denied => Self::new(42205, error.to_string()),
                ErrorKind::Unavailable | ErrorKind::Corrupt | ErrorKind::Internal => {
                    tracing::error!(%error, "the schema registry failed");
                    Self::new(50001, error.to_string())
                }
            },
        }
    }
}

impl From<PlansError> for Failure {
    fn from(error: PlansError) -> Self {
        match error {
            PlansError::Registry(error) => error.into(),
            PlansError::Journal(_) | PlansError::ShuttingDown => Self::new(50001, error.to_string()),
        }
    }
}

impl From<SchemaError> for Failure {
    fn from(error: SchemaError) -> Self {
        use SchemaError as E;
        match error {
            E::Invalid(why) => Self::schema_invalid(&why),
            E::SubjectInvalid(subject) => {
                Self::new(42208, format!("The specified subject '{subject}' is not a valid."))
            }
            E::SubjectUnknown(subject) => Self::new(40401, format!("Subject '{subject}' not found.")),
            E::VersionUnknown(version) => Self::new(40402, format!("Version {version} not found.")),
            E::NotInSubject => Self::new(40403, "Schema not found"),
            E::IdUnknown(id) => Self::new(40403, format!("Schema {id} not found")),
            E::GuidUnknown(guid) => Self::new(40403, format!("Schema {guid} not found")),
            E::Unknown(schema_id) => Self::new(40403, format!("Schema {schema_id} not found")),
            E::SubjectSoftDeleted(subject) => Self::new(
                40404,
                format!("Subject '{subject}' was soft deleted.Set permanent=true to delete permanently"),
            ),
            E::SubjectNotDeleted(subject) => {
                Self::new(40405, format!("Subject '{subject}' was not deleted first before being permanently deleted"))
            }
            E::VersionSoftDeleted { subject, version } => Self::new(
                40406,
                format!(
                    "Subject '{subject}' Version {version} was soft deleted.Set permanent=true to delete permanently"
                ),
            ),
            E::VersionNotDeleted { subject, version } => Self::new(
                40407,
                format!("Subject '{subject}' Version {version} was not deleted first before being permanently deleted"),
            ),
            E::NoConfig(subject) => {
                Self::new(40408, format!("Subject '{subject}' does not have subject-level compatibility configured"))
            }
            E::NoMode(subject) => {
                Self::new(40409, format!("Subject '{subject}' does not have subject-level mode configured"))
            }
            E::Incompatible { subject, messages } => Self::new(
                409,
                format!(
                    "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", \
                     details: [{}]",
                    messages.join(", ")
                ),
            ),
            E::NotAdditive { .. } => Self::new(409, error.to_string()),
            // The default context's name is empty.
            E::ReadOnly(subject) => Self::new(42205, format!("Subject {subject} in context  is in read-only mode")),
            E::NotImport(subject) => Self::new(42205, format!("Subject {subject} in context  is not in import mode")),
            E::NotReadWrite(subject) => {
                Self::new(42205, format!("Subject {subject} in context  is not in read-write mode"))
            }
            E::ImportOverExisting => Self::new(42205, "Cannot import since found existing subjects"),
            E::IdTaken(id) => {
                Self::new(42205, format!("Overwrite new schema with id {id} in context  is not permitted."))
            }
            E::IdDiffers { .. } => Self::new(42207, error.to_string()),
            E::VersionNotNext => Self::schema_invalid("Version is not one more than previous version"),
            E::Referenced { subject, version } => Self::new(
                42206,
                format!(
                    "One or more references exist to the schema {{magic=1,keytype=SCHEMA,subject={subject},version={version}}}."
                ),
            ),
            E::Named { .. } => Self::new(42206, error.to_string()),
            E::TooManyVersions | E::TooMany | E::HasOwn { .. } | E::HasMirrored { .. } => {
                Self::new(42205, error.to_string())
            }
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response =
            (status, json!({"error_code": self.code, "message": self.message}).to_string()).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"tidewater\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
