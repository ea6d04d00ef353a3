//! Avro schemas by the specification 1.12: parsed into a graph of types, compared by its schema resolution.
//!
//! Own code and not a crate, because what counts here is exact: the parsing canonical form (and so the fingerprint by which
//! a single-object payload names its schema), one answer for every reader and writer, and attributes at every place. Nothing
//! here recurses deeper than [`model::limits::SCHEMA_DEPTH_MAX`] levels of types or of a default.

use model::contract::Contract;

use super::{Difference, Invalid, ReferencedText, Unusable};

mod addition;
mod attributes;
mod contract;
mod default;
mod fingerprint;
mod finite;
mod logical;
mod name;
mod pairs;
mod parse;
mod place;
mod print;
mod resolution;
mod types;

use parse::Parser;
use types::{TypeId, Types};

/// A parsed Avro schema.
#[derive(Clone, Debug)]
pub struct Avro {
    types: Types,
    root: TypeId,
    /// CRC-64-AVRO of the parsing canonical form.
    fingerprint: u64,
}

impl Avro {
    /// Parses a text after the texts that it refers to, in their order: each may use the names that those before it define.
    pub fn parse(text: &str, references: &[ReferencedText]) -> Result<Self, Invalid> {
        let (types, root) = Parser::schema_of(text, references)?;
        let form = print::parsing_form(&types, root)?;
        Ok(Self { fingerprint: fingerprint::crc_64_avro(form.as_bytes()), types, root })
    }

    /// The text as Java's `Schema.toString()` orders it, without needless namespaces, with attributes sorted by name. Types
    /// of referenced texts stand by their names.
    pub fn canonical(&self) -> String {
        print::canonical(&self.types, self.root)
    }

    /// Full names everywhere, aliases sorted, `order` always written.
    pub fn normalized(&self) -> String {
        print::normalized(&self.types, self.root)
    }

    /// The canonical text with the types of referenced texts in their places.
    pub fn resolved(&self) -> String {
        print::resolved(&self.types, self.root)
    }

    /// What messages must be. The top level is a record.
    pub fn contract(&self) -> Result<Contract, Unusable> {
        contract::contract(self)
    }

    /// Every reason by which this schema, as the reader's, cannot read what `writer` wrote.
    pub fn cannot_read(&self, writer: &Self) -> Vec<Difference> {
        resolution::cannot_read(self, writer)
    }

    /// Everything by which this schema is more than `before` with optional fields added to its records.
    pub fn beyond_additions_to(&self, before: &Self) -> Vec<Difference> {
        addition::beyond_additions(self, before)
    }
}

#[cfg(test)]
mod tests;
