//! Reads Avro and Protobuf payloads: bytes that only their schema explains.
//!
//! The layout of a contract becomes a table that leads from each place in the encoding to a slot of the form; what leads
//! nowhere is read over, checked all the same. No tree, and nothing is reserved by a length that a payload claims. One
//! payload is one message.

use model::contract::{Layout, Root};

use crate::draft::{Failure, Sink};
use crate::form::Form;

mod avro;
mod input;
mod protobuf;

pub use protobuf::{Scratch, message_indexes};

/// A compiled layout.
#[derive(Debug)]
pub enum Encoded {
    Avro(avro::Program),
    Protobuf(protobuf::Program),
}

impl Encoded {
    /// The table by which what `writer` wrote becomes the slots of a form.
    pub fn compile(writer: &Root, form: &Form) -> Option<Self> {
        let slot = |keep: u32| form.slot_at(&writer.fields.get(keep as usize)?.path);
        let slots: Vec<_> = (0..writer.fields.len() as u32).map(slot).collect();
        Some(match writer.layout.as_ref()? {
            Layout::Avro(layout) => Self::Avro(avro::Program::compile(layout, &slots)?),
            Layout::Protobuf(layout) => Self::Protobuf(protobuf::Program::compile(layout, &slots, form)?),
        })
    }

    /// Reads a payload's message.
    pub fn read(&self, body: &[u8], scratch: &mut Scratch, sink: &mut Sink<'_>, form: &Form) -> Result<(), Failure> {
        sink.begin(0);
        match self {
            Self::Avro(program) => program.read(body, sink, form)?,
            Self::Protobuf(program) => program.read(body, scratch, sink, form)?,
        }
        sink.end(body.len());
        Ok(())
    }
}

/// The slot that each field of the writer's schema becomes.
type Slots = [Option<u32>];

/// Follows a [`model::contract::Keep`].
fn kept(keep: Option<u32>, slots: &Slots) -> Option<u32> {
    keep.and_then(|keep| slots.get(keep as usize).copied().flatten())
}
