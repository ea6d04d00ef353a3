//! Protobuf schemas.

use model::contract::Contract;

use super::{Difference, Invalid, ReferencedText, Unusable};

/// A parsed Protobuf schema.
#[derive(Clone, Debug)]
pub struct Protobuf {
    text: String,
}

impl Protobuf {
    pub fn parse(text: &str, _references: &[ReferencedText]) -> Result<Self, Invalid> {
        Ok(Self { text: text.to_owned() })
    }

    pub fn canonical(&self) -> String {
        self.text.clone()
    }

    pub fn normalized(&self) -> String {
        self.text.clone()
    }

    pub fn serialized(&self) -> String {
        self.canonical()
    }

    pub fn contract(&self) -> Result<Contract, Unusable> {
        Err(Unusable { why: "Protobuf schemas cannot be used yet".to_owned() })
    }

    pub fn cannot_read(&self, _writer: &Self) -> Vec<Difference> {
        Vec::new()
    }

    pub fn beyond_additions_to(&self, _before: &Self) -> Vec<Difference> {
        Vec::new()
    }
}
