//! The resources as they are asked for, shown and stored: plain values with their checks.
//!
//! A *settings* type is what a person decides (unknown fields are refused, absent ones have defaults); the resource
//! type adds what the registry decides. A patch is a JSON merge patch (RFC 7396) on the settings.

pub mod class;
pub mod device;
pub mod duration_text;
pub mod key;
pub mod rules;
pub mod schema;
pub mod tenant;

use model::limits::{LIST_ROWS_MAX, METADATA_BYTES_MAX, NAME_BYTES_MAX};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Error, Result};

/// Rows of a list when the request does not say how many.
const LIST_ROWS_DEFAULT: usize = 100;

/// Changes to a resource's settings: a JSON merge patch (RFC 7396). `null` takes a value back to its default.
pub type Patch = Map<String, Value>;

/// Which part of a list is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Paging {
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// Rows, at most [`LIST_ROWS_MAX`]; 100 if absent.
    pub limit: Option<usize>,
}

impl Paging {
    pub(crate) fn rows(&self) -> usize {
        self.limit.unwrap_or(LIST_ROWS_DEFAULT).clamp(1, LIST_ROWS_MAX)
    }
}

/// A part of a list, in the order of id or name.
#[derive(Clone, Debug)]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// The cursor of the next part; `None` at the end.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// From one row more than asked for, which says whether there is more.
    pub(crate) fn from_rows(mut rows: Vec<T>, asked: usize, cursor: impl Fn(&T) -> String) -> Self {
        let more = rows.len() > asked;
        rows.truncate(asked);
        let next = if more { rows.last().map(cursor) } else { None };
        Self { rows, next }
    }
}

/// Settings with the patch applied.
pub(crate) fn patched<T: Serialize + DeserializeOwned>(settings: &T, patch: &Patch) -> Result<T> {
    let mut value = serde_json::to_value(settings).expect("settings are plain JSON");
    if let Value::Object(fields) = &mut value {
        merge(fields, patch);
    }
    serde_json::from_value(value).map_err(|error| Error::invalid("patch", format!("does not fit: {error}")))
}

/// RFC 7396, section 2. The nesting is bounded by the JSON parser's.
pub(crate) fn merge(target: &mut Patch, patch: &Patch) {
    for (name, change) in patch {
        match change {
            Value::Null => {
                target.remove(name);
            }
            Value::Object(changes) => {
                let entry = target.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
                if !entry.is_object() {
                    *entry = Value::Object(Map::new());
                }
                if let Value::Object(inner) = entry {
                    merge(inner, changes);
                }
            }
            other => {
                target.insert(name.clone(), other.clone());
            }
        }
    }
}

/// Names of tenants and classes appear in URLs, topics of rules and file names.
pub(crate) fn check_name(field: &str, name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | ' ');
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(Error::invalid(field, format!("must have 1 to {NAME_BYTES_MAX} characters")));
    }
    if let Some(wrong) = name.chars().find(|c| !fits(*c)) {
        let why = format!("must not contain {wrong:?}: use letters, digits, space and _ - . :");
        return Err(Error::invalid(field, why));
    }
    if name.starts_with([' ', '.']) || name.ends_with(' ') {
        return Err(Error::invalid(field, "must not begin with a space or a full stop, nor end with a space"));
    }
    Ok(())
}

pub(crate) fn check_metadata(metadata: &Map<String, Value>) -> Result<()> {
    let bytes = serde_json::to_string(metadata).expect("a JSON object is plain JSON").len();
    if bytes > METADATA_BYTES_MAX {
        return Err(Error::invalid("metadata", format!("has {bytes} bytes of JSON: at most {METADATA_BYTES_MAX} fit")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
