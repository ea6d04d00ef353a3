//! Which schemas are one: they have the same identity, and so the same id.

use md5::Md5;
use model::contract::Language;
use serde_json::Value;
use sha2::Sha256;
use uuid::Uuid;

use crate::resource::schema::{SchemaReference, language_name};

/// What makes two schemas the same: type, canonical form, references, metadata and rule set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Identity {
    /// SHA-256 over all of it, each part with its length in front.
    pub digest: [u8; 32],
    /// MD5 over canonical form and references, as Confluent's registry makes it: Avro and JSON schemas without metadata and
    /// rules have the same one in every registry. A Protobuf file's canonical form is its descriptor here and its text there.
    pub guid: Uuid,
}

impl Identity {
    pub fn of(
        language: Language,
        canonical: &str,
        references: &[SchemaReference],
        metadata: &Option<Value>,
        rule_set: &Option<Value>,
    ) -> Self {
        let attached = [metadata, rule_set].map(|value| value.as_ref().map(Value::to_string));
        let mut parts: Vec<&[u8]> = vec![language_name(language).as_bytes(), canonical.as_bytes()];
        let versions: Vec<[u8; 4]> =
            references.iter().map(|reference| (reference.version as u32).to_be_bytes()).collect();
        for (reference, version) in references.iter().zip(&versions) {
            parts.extend([reference.name.as_bytes(), reference.subject.as_bytes(), version]);
        }
        let digest = {
            use sha2::Digest;
            let mut digest = Sha256::new();
            for part in
                parts.iter().copied().chain(attached.iter().map(|text| text.as_deref().unwrap_or("").as_bytes()))
            {
                digest.update((part.len() as u64).to_be_bytes());
                digest.update(part);
            }
            digest.finalize().into()
        };
        let guid: [u8; 16] = {
            use md5::Digest;
            let mut guid = Md5::new();
            // The language is no part of it.
            parts[1..].iter().for_each(|part| guid.update(part));
            for text in attached.iter().flatten() {
                guid.update([1]);
                guid.update(text.as_bytes());
            }
            guid.finalize().into()
        };
        Self { digest, guid: Uuid::from_bytes(guid) }
    }
}

#[cfg(test)]
mod tests;
