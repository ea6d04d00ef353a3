//! What a compatibility level allows.

use std::sync::Arc;

use model::TenantId;

use super::super::{Inner, Registry};
use super::parsed::{Understood, blocking};
use crate::backend::on;
use crate::error::SchemaError;
use crate::resource::schema::{
    Compatibility, Deleted, NewSchema, SchemaConfig, SchemaPlace, VersionRef, checked_subject,
};
use crate::schema::{Difference, Schema};
use crate::{Error, Result};

/// Characters of an older schema in a message.
const OLD_TEXT_CHARS_MAX: usize = 10_240;

/// What a test of a schema says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Compatible {
    /// Empty if it is compatible: what is not, one entry a difference, in Confluent's words.
    pub messages: Vec<String>,
}

/// The kinds of difference between JSON Schemas that the policy LENIENT lets pass.
const LENIENT: [&str; 11] = [
    "ADDITIONAL_PROPERTIES_NARROWED",
    "ADDITIONAL_PROPERTIES_REMOVED",
    "UNEVALUATED_PROPERTIES_NARROWED",
    "UNEVALUATED_PROPERTIES_REMOVED",
    "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL",
    "OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL",
    "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL",
    "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    "PROPERTY_ADDED_IS_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    "PROPERTY_REMOVED_IS_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
];

impl Registry {
    /// Whether the subject's level allows the schema: after one version, or (as at a registration) after the newest or
    /// all of them.
    pub async fn test_schema(
        &self,
        tenant: TenantId,
        subject: &str,
        version: Option<VersionRef>,
        new: NewSchema,
        normalize: bool,
    ) -> Result<Compatible> {
        let subject = checked_subject(subject)?;
        let config = self.0.config_in_force(tenant, subject).await?;
        let mut places = on!(self.0.backend, db => db.schema_places(tenant, subject))?;
        places.retain(|place| Deleted::Without.admits(place.deleted));
        if let Some(version) = version {
            match (Inner::pick(&places, version), version) {
                (Some(place), _) => places = vec![place.clone()],
                (None, VersionRef::Latest) => places.clear(),
                (None, VersionRef::Number(_)) => return Err(SchemaError::VersionUnknown(version.number()).into()),
            }
        }
        let normalize = normalize || config.normalize == Some(true);
        let new = self.0.understood(tenant, new, normalize, Deleted::Without).await?;
        Ok(Compatible { messages: self.0.incompatible(tenant, &config, &places, &new).await? })
    }
}

impl Inner {
    /// What keeps the new schema from following `places` (from the oldest, none deleted) at the level in force: the
    /// first version of those that count which it does not fit.
    pub(super) async fn incompatible(
        &self,
        tenant: TenantId,
        config: &SchemaConfig,
        places: &[SchemaPlace],
        new: &Understood,
    ) -> Result<Vec<String>> {
        let level = config.compatibility.unwrap_or_default();
        if level == Compatibility::None {
            return Ok(Vec::new());
        }
        let count = if level.transitive() { places.len() } else { 1 };
        for place in places.iter().rev().take(count) {
            let text = on!(self.backend, db => db.schema_text(tenant, place.id))?;
            let old = self.parsed(tenant, &text).await?;
            let (schema, lenient) = (new.schema.clone(), config.lenient());
            let mut messages = blocking(move || differences(level, lenient, &schema, &old)).await?;
            if !messages.is_empty() {
                messages.push(format!("{{oldSchemaVersion: {}}}", place.place.version));
                messages.push(shown(&text.text));
                messages.push(format!("{{validateFields: 'false', compatibility: '{}'}}", level.name()));
                return Ok(messages);
            }
        }
        Ok(Vec::new())
    }
}

/// Forward ones first, as Confluent has them.
fn differences(level: Compatibility, lenient: bool, new: &Schema, old: &Arc<Schema>) -> Vec<String> {
    if new.language() != old.language() {
        return vec!["Incompatible because of different schema type".to_owned()];
    }
    let mut found = Vec::new();
    if level.forward() {
        found.extend(old.cannot_read(new));
    }
    if level.backward() {
        found.extend(new.cannot_read(old));
    }
    found.retain(|difference| !(lenient && LENIENT.contains(&difference.kind)));
    found.iter().map(message).collect()
}

fn message(difference: &Difference) -> String {
    let Difference { kind, path, detail } = difference;
    format!("{{errorType:'{kind}', description:'{detail}', additionalInfo:'{path}'}}")
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(OLD_TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{{oldSchema: <truncated> '{}...'}}", &text[..end]),
        None => format!("{{oldSchema: '{text}'}}"),
    }
}

/// The error of a registration that the level does not allow.
pub(super) fn refused(subject: &str, messages: Vec<String>) -> Error {
    SchemaError::Incompatible { subject: subject.to_owned(), messages }.into()
}
