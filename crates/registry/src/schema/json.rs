//! JSON Schema, drafts 04, 06, 07, 2019-09 and 2020-12; a text without `$schema` is read as draft-07, as Confluent's
//! clients mean it.
//!
//! A text is checked against its draft's meta-schema by the `jsonschema` crate, whose registry also resolves `$ref`: among the
//! text's own parts and the references that came with it. Nothing is ever fetched.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use model::contract::Contract;
use serde_json::Value;

use super::{Difference, Invalid, ReferencedText, Unusable};

mod additions;
mod compare;
mod contract;
mod documents;
mod form;
mod pattern;
mod text;
mod value;
mod walk;

use documents::Documents;

/// A parsed JSON Schema.
#[derive(Clone, Debug)]
pub struct Json {
    parsed: Arc<Parsed>,
}

#[derive(Debug)]
struct Parsed {
    /// The text as it was sent, keys in order of their names.
    value: Value,
    /// What it refers to: name and value.
    references: Vec<(String, Value)>,
    /// All of them with their `$ref` resolved.
    documents: Documents,
}

impl Json {
    pub fn parse(text: &str, references: &[ReferencedText]) -> Result<Self, Invalid> {
        // The meta-schema check and the engine of regular expressions are others' code on a peer's input.
        catch_unwind(AssertUnwindSafe(|| Self::read(text, references))).unwrap_or_else(|_| {
            invalid("the schema cannot be compiled: a part of it makes the compiler fail; take its regular expressions out one by one to find which".to_owned())
        })
    }

    fn read(text: &str, references: &[ReferencedText]) -> Result<Self, Invalid> {
        walk::bounded(text, references)?;
        let value = text::read(text).map_err(|why| Invalid { why: format!("the schema {why}") })?;
        let references = references
            .iter()
            .map(|reference| match text::read(&reference.text) {
                Ok(value) => Ok((reference.name.clone(), value)),
                Err(why) => invalid(format!("the reference `{}` {why}", reference.name)),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let documents = Documents::open(&value, &references)?;
        walk::check(&documents.root())?;
        documents.compile()?;
        Ok(Self { parsed: Arc::new(Parsed { value, references, documents }) })
    }

    /// Compact, keys in order of their names: neither whitespace nor the order of keys says anything. Arrays keep their
    /// order and numbers their spelling (1.0 is not 1).
    pub fn canonical(&self) -> String {
        self.parsed.value.to_string()
    }

    pub fn normalized(&self) -> String {
        self.canonical()
    }

    pub fn contract(&self) -> Result<Contract, Unusable> {
        contract::contract(&self.parsed.documents)
    }

    /// By the rules of Confluent's registry, and stricter where those let data pass that the reader refuses.
    pub fn cannot_read(&self, writer: &Self) -> Vec<Difference> {
        if self.is(writer) {
            return Vec::new();
        }
        compare::compare(&writer.parsed.documents, &self.parsed.documents)
    }

    pub fn beyond_additions_to(&self, before: &Self) -> Vec<Difference> {
        if self.is(before) {
            return Vec::new();
        }
        additions::beyond(&before.parsed.documents, &self.parsed.documents)
    }

    fn is(&self, other: &Self) -> bool {
        self.parsed.value == other.parsed.value && self.parsed.references == other.parsed.references
    }
}

fn invalid<T>(why: String) -> Result<T, Invalid> {
    Err(Invalid { why })
}

#[cfg(test)]
mod tests;
