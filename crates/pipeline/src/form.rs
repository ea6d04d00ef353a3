//! Forms: what a schema and the rules of a class demand of messages, compiled for reading.
//!
//! A form is a tree of field names that lead to slots, one for each value that is kept. A reader of JSON, MessagePack or
//! CBOR goes down the tree by names; readers of Avro and Protobuf name slots by number. What a value must be is a
//! [`Check`]; times are read by their declared unit ([`ts`]).
//!
//! Where a class has no schema there is no form, and the words of DESIGN §5 alone give the parts of a message.

use std::collections::HashMap;
use std::sync::Arc;

use model::contract::{Part, TsUnit};
use model::rules::Conversion;

use crate::draft::pointer;

mod check;
mod compile;
mod patterns;
#[cfg(test)]
mod tests;
pub mod ts;

pub use check::{Check, Misfit, Value};
pub use compile::{Unusable, compile};
pub use patterns::Patterns;

/// A compiled schema.
#[derive(Debug)]
pub struct Form {
    /// The metrics are inside a field `metrics`; else beside the other parts.
    pub whole: bool,
    /// The message first.
    pub nodes: Vec<Node>,
    pub slots: Vec<Slot>,
    /// Slots that a message must have.
    pub required: Vec<u32>,
    /// Metrics' slots that have a default.
    pub defaults: Vec<u32>,
    /// Tags of messages that do not have them, sorted by name.
    pub default_tags: Vec<(Arc<str>, Arc<str>)>,
    /// The record that holds the metrics.
    pub metrics: u32,
    pub others: Others,
    /// Metrics that are sent in another unit than the class's.
    pub conversions: Vec<(Arc<str>, Conversion)>,
}

/// A record of the message.
#[derive(Debug)]
pub struct Node {
    /// Names from the top.
    pub path: Vec<Box<[u8]>>,
    /// In front of the names of metrics that it does not name.
    pub prefix: Box<[u8]>,
    pub level: Level,
    members: Vec<(Box<[u8]>, Member)>,
    by_name: HashMap<Box<[u8]>, u32>,
}

/// Fields of a record that are compared one by one: that is quicker than a hash for so many.
const SCANNED_MAX: usize = 16;

/// What a record is in its message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// The message, whose metrics are elsewhere.
    Envelope,
    /// What holds the metrics: `metrics`, or a flat message.
    Metrics,
    Tags,
    /// Inside what holds the metrics.
    Nested,
}

/// What a field of a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Member {
    Slot(u32),
    Node(u32),
    /// Tags of any name.
    Tags,
}

/// What becomes of metrics that the schema does not name.
#[derive(Debug)]
pub enum Others {
    Class,
    Reject,
    Like(Check),
}

/// A place for one value.
#[derive(Debug)]
pub struct Slot {
    /// Of the metric or tag.
    pub name: Arc<str>,
    pub path: Vec<Box<[u8]>>,
    pub part: Part,
    /// Of [`Part::Ts`].
    pub ts_unit: TsUnit,
    pub check: Arc<Check>,
    /// Into the class's unit. Not applied while reading: two messages are told apart by what was sent.
    pub conversion: Option<Conversion>,
    /// Converted already.
    pub default: Option<Default>,
}

/// The value of a message that does not have it.
#[derive(Clone, PartialEq, Debug)]
pub enum Default {
    Double(f64),
    Long(i64),
    Bool(bool),
    Text(Arc<str>),
}

impl Form {
    /// The slot of the part, or metric, at these names.
    pub fn slot_at(&self, path: &[String]) -> Option<u32> {
        let same = |slot: &Slot| {
            slot.path.len() == path.len() && slot.path.iter().zip(path).all(|(a, b)| **a == *b.as_bytes())
        };
        self.slots.iter().position(same).map(|slot| slot as u32)
    }

    /// JSON pointer to the metric of this name.
    pub fn pointer_of(&self, metric: &[u8]) -> String {
        let slot = self.slots.iter().find(|slot| slot.part == Part::Metric && slot.name.as_bytes() == metric);
        match slot {
            Some(slot) => pointer(&slot.path.iter().map(|part| &**part).collect::<Vec<_>>()),
            None if self.whole => pointer(&[b"metrics", metric]),
            None => pointer(&[metric]),
        }
    }

    pub fn path_of(&self, slot: u32) -> Vec<&[u8]> {
        self.slots[slot as usize].path.iter().map(|part| &**part).collect()
    }
}

impl Node {
    /// What a field of this name is. `next` is where its name stands if the fields come in the schema's order.
    #[inline]
    pub fn member(&self, name: &[u8], next: &mut usize) -> Option<Member> {
        if let Some((expected, member)) = self.members.get(*next)
            && **expected == *name
        {
            *next += 1;
            return Some(*member);
        }
        let at = match self.members.len() {
            0..=SCANNED_MAX => self.members.iter().position(|(other, _)| **other == *name)?,
            _ => *self.by_name.get(name)? as usize,
        };
        *next = at + 1;
        Some(self.members[at].1)
    }
}
