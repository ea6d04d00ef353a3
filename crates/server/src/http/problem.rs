//! Problem documents (RFC 9457): how every failure is told over HTTP.
//!
//! `code` is stable and for programs; `detail` is for a person and says what is wrong and what to do. The status comes
//! from [`ErrorKind`]'s one table; the few statuses that HTTP itself defines more finely (403, 405, 413, 415 …) are
//! named by the place that finds them.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::ErrorKind;
use model::error::LogLevel;
use registry::schema::Difference;
use registry::{Denial, SchemaError};
use serde_json::{Map, Value, json};

use crate::external::ExternalError;
use crate::line::plans::PlansError;

#[cfg(test)]
mod tests;

/// The media type of a problem document.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// A failed request.
#[derive(Clone, PartialEq, Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    log: LogLevel,
    retry_after: Option<Duration>,
    extra: Map<String, Value>,
}

impl Problem {
    /// A problem whose status follows from `kind`.
    pub fn new(kind: ErrorKind, code: &'static str, detail: impl Into<String>) -> Self {
        let meaning = kind.meaning();
        Self {
            status: StatusCode::from_u16(meaning.http_status).expect("the table holds valid status codes"),
            code,
            detail: detail.into(),
            log: meaning.log,
            retry_after: meaning.retry.then_some(Duration::from_secs(1)),
            extra: Map::new(),
        }
    }

    /// The request is wrong: 400.
    pub fn invalid(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, code, detail)
    }

    /// What was named does not exist: 404.
    pub fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, code, detail)
    }

    /// The credential is missing or wrong: 401.
    pub fn unauthorized(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Denied, code, detail)
    }

    /// The caller is known and may not do this: 403.
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Denied, code, detail).status(StatusCode::FORBIDDEN)
    }

    /// Replaces the status where HTTP has a finer one than the kind's.
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Says when to try again (whole seconds, rounded up, at least 1).
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Adds an extension member.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The document's members.
    pub fn document(&self) -> Value {
        let mut members = self.extra.clone();
        let title = self.status.canonical_reason().unwrap_or("Error");
        let fixed = json!({
            "type": format!("urn:tidewater:problem:{}", self.code),
            "title": title,
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        if let Value::Object(fixed) = fixed {
            members.extend(fixed);
        }
        Value::Object(members)
    }
}

impl From<registry::Error> for Problem {
    fn from(error: registry::Error) -> Self {
        let detail = sentence(&error.to_string());
        let problem = Self::new(error.kind(), error.code(), detail);
        match error {
            registry::Error::Denied(Denial::Inactive) => problem.status(StatusCode::FORBIDDEN),
            registry::Error::Denied(Denial::Unknown) => problem.status(StatusCode::NOT_FOUND),
            registry::Error::Schema(error) => with_differences(problem, *error),
            _ => problem,
        }
    }
}

impl From<ExternalError> for Problem {
    fn from(error: ExternalError) -> Self {
        match error {
            ExternalError::Registry(error) => error.into(),
            ExternalError::Plans(error) => error.into(),
            error => Self::new(error.kind(), error.code(), sentence(&error.to_string())),
        }
    }
}

impl From<PlansError> for Problem {
    fn from(error: PlansError) -> Self {
        match error {
            PlansError::Registry(error) => error.into(),
            error => Self::new(error.kind(), "not-in-force", sentence(&error.to_string())),
        }
    }
}

/// What a schema is refused for, one by one, for programs.
fn with_differences(problem: Problem, error: SchemaError) -> Problem {
    match error {
        SchemaError::NotAdditive { version, major, differences, .. } => {
            let shown = |difference: &Difference| json!({"kind": difference.kind, "path": difference.path, "detail": difference.detail});
            let shown: Vec<Value> = differences.iter().map(shown).collect();
            problem.with("version", version).with("major", major).with("differences", shown)
        }
        SchemaError::Named { who } => problem.with("who", who),
        _ => problem,
    }
}

/// An error's text as a sentence.
pub fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let mut out: String = chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect();
    if !out.ends_with(['.', '!', '?']) {
        out.push('.');
    }
    out
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match self.log {
            LogLevel::Debug => tracing::debug!(code = self.code, status = self.status.as_u16(), "{}", self.detail),
            LogLevel::Warn => tracing::warn!(code = self.code, status = self.status.as_u16(), "{}", self.detail),
            LogLevel::Error => tracing::error!(code = self.code, status = self.status.as_u16(), "{}", self.detail),
        }
        let mut response = (self.status, self.document().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tidewater\""));
        }
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}
