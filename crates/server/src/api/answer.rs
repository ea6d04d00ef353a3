//! Answers of queries in the form that the caller accepts: JSON, CSV (RFC 4180) or an Arrow stream.

mod arrow;
mod csv;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::{ErrorKind, Millis};
use serde::Serialize;
use store::{SourceRead, Value};

use crate::http::Problem;

#[cfg(test)]
mod tests;

/// The header that carries `next` where the body has no place for it.
const NEXT: &str = "tidewater-next";
/// The header that names the unit of the values where the body has no place for it.
const UNIT: &str = "tidewater-unit";

/// The form of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    Json,
    Csv,
    Arrow,
}

/// The media types, in the order in which they are preferred if several are accepted alike.
const FORMS: [(&str, Form); 5] = [
    ("application/json", Form::Json),
    ("*/*", Form::Json),
    ("application/*", Form::Json),
    ("text/csv", Form::Csv),
    ("application/vnd.apache.arrow.stream", Form::Arrow),
];

impl<S: Send + Sync> FromRequestParts<S> for Form {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let accept = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Self::accepted(accept).ok_or_else(|| {
            let detail = format!(
                "`Accept: {accept}` names nothing that this can answer: ask for application/json, text/csv or \
                 application/vnd.apache.arrow.stream."
            );
            Problem::invalid("not-acceptable", detail).status(StatusCode::NOT_ACCEPTABLE)
        })
    }
}

impl Form {
    /// The first of a header's media types that can be answered; qualities are not weighed.
    fn accepted(accept: &str) -> Option<Self> {
        if accept.trim().is_empty() {
            return Some(Self::Json);
        }
        let names = accept.split(',').map(|part| part.split(';').next().unwrap_or_default().trim());
        names
            .filter_map(|name| FORMS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)))
            .map(|(_, form)| *form)
            .next()
    }
}

/// A column of an answer as a table.
pub struct Column {
    pub name: &'static str,
    pub cells: Cells,
}

/// The cells of a column.
pub enum Cells {
    Time(Vec<Option<Millis>>),
    Values(Vec<Option<Value>>),
    Counts(Vec<Option<u64>>),
    Texts(Vec<Option<Arc<str>>>),
    Flags(Vec<bool>),
}

/// What tables have no place for.
#[derive(Default)]
pub struct Beside {
    /// The cursor of the next page.
    pub next: Option<String>,
    /// The unit of the values.
    pub unit: Option<String>,
}

/// An answer in one of the forms. The table is only made if it is asked for.
pub fn respond(
    form: Form,
    document: &impl Serialize,
    beside: Beside,
    table: impl FnOnce() -> Vec<Column>,
) -> Result<Response, Problem> {
    let (bytes, media) = match form {
        Form::Json => (serde_json::to_vec(document).map_err(|error| unencodable(&error))?, "application/json"),
        Form::Csv => (csv::encode(&table()), "text/csv; charset=utf-8; header=present"),
        Form::Arrow => {
            let bytes = arrow::encode(table(), beside.unit.as_deref()).map_err(|error| unencodable(&error))?;
            (bytes, "application/vnd.apache.arrow.stream")
        }
    };
    let mut response = ([(header::CONTENT_TYPE, media)], bytes).into_response();
    for (name, value) in [(NEXT, beside.next), (UNIT, beside.unit)] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// An answer that cannot be encoded.
pub fn unencodable(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(ErrorKind::Internal, "internal", format!("The answer could not be encoded: {error}."))
}

/// A tier and the rows read there, as in `sources`.
#[derive(Debug, Serialize)]
pub struct Read {
    tier: &'static str,
    rows: u64,
}

impl Read {
    pub fn all(sources: &[SourceRead]) -> Vec<Self> {
        sources.iter().map(|source| Self { tier: source.tier.name(), rows: source.rows }).collect()
    }
}

/// A metric's value in JSON.
pub struct Shown<'a>(pub &'a Value);

impl Serialize for Shown<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::F64(number) => serializer.serialize_f64(*number),
            Value::I64(number) => serializer.serialize_i64(*number),
            Value::Bool(flag) => serializer.serialize_bool(*flag),
            Value::Str(text) => serializer.serialize_str(text),
        }
    }
}

/// A slice whose elements are shown through a wrapper.
pub struct List<'a, T, F>(pub &'a [T], pub F);

impl<'a, T, W: Serialize, F: Fn(&'a T) -> W> Serialize for List<'a, T, F> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(&self.1))
    }
}
