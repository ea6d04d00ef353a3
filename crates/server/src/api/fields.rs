//! The query string of a query, field by field. What the route table does not name never gets here.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use model::Millis;

use crate::http::{Problem, times};

/// The fields of a request.
#[derive(Debug)]
pub struct Fields(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Fields {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(fields)) => Ok(Self(fields)),
            Err(error) => Err(Problem::invalid("parameter-invalid", format!("{}.", error.body_text()))),
        }
    }
}

impl Fields {
    /// Whether the field is there.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(field, _)| field == name)
    }

    /// The field's value, if it is there and not empty. Given twice, it cannot be known which is meant.
    pub fn take(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let mut values = self.0.extract_if(.., |(field, _)| field == name).map(|(_, value)| value);
        let value = values.next();
        if values.next().is_some() {
            return Err(Problem::invalid("parameter-invalid", format!("`{name}` is given twice; give it once.")));
        }
        Ok(value.filter(|value| !value.is_empty()))
    }

    /// The field's value; it must be there.
    pub fn require(&mut self, name: &str, example: &str) -> Result<String, Problem> {
        self.take(name)?.ok_or_else(|| {
            Problem::invalid(
                "parameter-missing",
                format!("`{name}` is missing: add it, for example `{name}={example}`."),
            )
        })
    }

    /// A field that is a time.
    pub fn time(&mut self, name: &str, now: Millis) -> Result<Option<Millis>, Problem> {
        self.take(name)?.map(|text| times::parameter(name, &text, now)).transpose()
    }

    /// How many rows an answer may have: `limit`, else `most`.
    pub fn limit(&mut self, most: usize) -> Result<usize, Problem> {
        let Some(text) = self.take("limit")? else { return Ok(most) };
        let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
        limit.ok_or_else(|| {
            Problem::invalid("parameter-invalid", format!("`limit={text}` is not a number from 1 to {most}."))
        })
    }

    /// The field that begins with `prefix`: the rest of its name, and its value. At most one.
    pub fn take_prefixed(&mut self, prefix: &str) -> Result<Option<(String, String)>, Problem> {
        let mut found = self.0.extract_if(.., |(field, _)| field.starts_with(prefix));
        let first = found.next();
        if found.next().is_some() {
            let detail = format!("`{prefix}…` is given twice; one of them can be answered at a time.");
            return Err(Problem::invalid("parameter-invalid", detail));
        }
        Ok(first.map(|(field, value)| (field[prefix.len()..].to_owned(), value)))
    }
}
