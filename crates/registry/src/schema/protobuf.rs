//! Protobuf schemas: a .proto text, or the base64 of a serialized FileDescriptorProto, which is what clients in Python send.
//!
//! Imports resolve among the references, by the path of `import`, and among the files that everybody has (`known`): one of
//! them is `tidewater/options.proto`, by which a field says its unit and range. Nothing is read from a disk. proto2 and
//! proto3 are known, editions are not.
//!
//! Two files are one schema if their descriptors are equal: names and numbers, options, the order of declarations.
//! Comments and spacing are not in a descriptor.

use std::sync::Arc;

use model::contract::Contract;
use prost_reflect::FileDescriptor;

use super::{Difference, Invalid, ReferencedText, Unusable};

mod addition;
mod contract;
mod difference;
mod form;
mod known;
mod link;
mod options;
mod pairs;
mod rule;
mod source;
#[cfg(test)]
mod tests;
mod wire;

/// A parsed Protobuf schema.
#[derive(Clone, Debug)]
pub struct Protobuf {
    file: FileDescriptor,
    /// What is written before fields, for people.
    comments: Arc<link::Comments>,
}

impl Protobuf {
    pub fn parse(text: &str, references: &[ReferencedText]) -> Result<Self, Invalid> {
        let (file, comments) = link::link(text, references)?;
        Ok(Self { file, comments: Arc::new(comments) })
    }

    /// The base64 of the descriptor; [`Self::parse`] reads it.
    pub fn canonical(&self) -> String {
        form::canonical(&self.file)
    }

    pub fn normalized(&self) -> String {
        form::normalized(&self.file)
    }

    /// The descriptor for a client: its dependencies have the names of the references, its parts the order in which they
    /// were declared.
    pub fn serialized(&self) -> String {
        form::serialized(&self.file)
    }

    pub fn contract(&self) -> Result<Contract, Unusable> {
        contract::contract(&self.file, &self.comments)
    }

    pub fn cannot_read(&self, writer: &Self) -> Vec<Difference> {
        difference::between(&writer.file, &self.file)
    }

    pub fn beyond_additions_to(&self, before: &Self) -> Vec<Difference> {
        addition::beyond(&before.file, &self.file)
    }
}
