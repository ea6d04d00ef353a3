//! Avro's binary encoding (Apache Avro 1.12, "Binary Encoding").
//!
//! Beyond what the specification lets a reader reject, an int must fit 32 bits, a boolean be 0 or 1, and the byte size of a
//! block be true.

use model::contract::{AvroLayout, AvroNode, MapOf};
use model::limits::PAYLOAD_DEPTH_MAX;

use super::input::{Input, integer};
use super::{Slots, kept};
use crate::draft::{Failure, Scalar, Sink};
use crate::form::Form;

/// Elements, and values that take no bytes (nulls, records without fields), which a payload may have beside one for each
/// byte and for each type of its schema. Records of two such records each, thirty deep, would be a thousand million of them in
/// no byte at all.
const EMPTY_MAX: usize = 1024;

/// A compiled layout: the message first.
#[derive(Debug)]
pub struct Program {
    nodes: Vec<Node>,
}

/// A type at one place, and the slot that its value goes to.
#[derive(Debug)]
enum Node {
    Null,
    Boolean(Option<u32>),
    Int(Option<u32>),
    Long(Option<u32>),
    Float(Option<u32>),
    Double(Option<u32>),
    Text(Option<u32>),
    Enum(Vec<Box<[u8]>>, Option<u32>),
    Bytes,
    Fixed(u32),
    Array(u32),
    Map(u32, MapOf),
    /// The branches, and the slot that is absent where `null` is chosen.
    Union(Vec<u32>, Option<u32>),
    Record(Vec<u32>),
}

impl Program {
    /// `None` if a node leads to one that is not there.
    pub fn compile(layout: &AvroLayout, slots: &Slots) -> Option<Self> {
        let count = layout.nodes.len() as u32;
        let known = |places: &[u32]| places.iter().all(|place| *place < count);
        let node = |node: &AvroNode| {
            Some(match node {
                AvroNode::Null => Node::Null,
                AvroNode::Boolean(keep) => Node::Boolean(kept(*keep, slots)),
                AvroNode::Int(keep) => Node::Int(kept(*keep, slots)),
                AvroNode::Long(keep) => Node::Long(kept(*keep, slots)),
                AvroNode::Float(keep) => Node::Float(kept(*keep, slots)),
                AvroNode::Double(keep) => Node::Double(kept(*keep, slots)),
                AvroNode::Text(keep) => Node::Text(kept(*keep, slots)),
                AvroNode::Enum(symbols, keep) => {
                    Node::Enum(symbols.iter().map(|symbol| symbol.as_bytes().into()).collect(), kept(*keep, slots))
                }
                AvroNode::Bytes => Node::Bytes,
                AvroNode::Fixed(size) => Node::Fixed(*size),
                AvroNode::Array(items) if known(&[*items]) => Node::Array(*items),
                AvroNode::Map(values, what) if known(&[*values]) => Node::Map(*values, *what),
                AvroNode::Union(branches) if known(branches) => {
                    let absent = branches.iter().find_map(|branch| layout.nodes[*branch as usize].keep());
                    Node::Union(branches.clone(), kept(absent, slots))
                }
                AvroNode::Record(fields) if known(fields) => Node::Record(fields.clone()),
                _ => return None,
            })
        };
        let nodes: Vec<_> = layout.nodes.iter().map(node).collect::<Option<_>>()?;
        (!nodes.is_empty()).then_some(Self { nodes })
    }

    pub fn read(&self, body: &[u8], sink: &mut Sink<'_>, form: &Form) -> Result<(), Failure> {
        let (elements, empty) = (body.len() + EMPTY_MAX, body.len() + self.nodes.len() + EMPTY_MAX);
        let mut reader = Reader { nodes: &self.nodes, input: Input::new(body), sink, form, elements, empty };
        reader.value(0, 1, Target::Own)?;
        match reader.input.left() {
            0 => Ok(()),
            rest => Err(reader.input.error(format!("{rest} bytes behind the message"))),
        }
    }
}

struct Reader<'r, 'a, 's> {
    nodes: &'r [Node],
    input: Input<'a>,
    sink: &'r mut Sink<'s>,
    form: &'r Form,
    /// Elements that arrays and maps may still have.
    elements: usize,
    /// Values without bytes that it may still have.
    empty: usize,
}

/// Where a value goes.
#[derive(Clone, Copy, Debug)]
enum Target<'k> {
    /// To the slot of its node.
    Own,
    /// To the metric of this name.
    Metric(&'k [u8]),
    Tag(&'k [u8]),
    Nowhere,
}

impl<'r, 'a> Reader<'r, 'a, '_> {
    /// A value of any type. Recursion is bounded by [`PAYLOAD_DEPTH_MAX`].
    fn value(&mut self, node: u32, depth: usize, target: Target<'_>) -> Result<(), Failure> {
        let nodes = self.nodes;
        match &nodes[node as usize] {
            Node::Null => {
                self.take_nothing()?;
                self.put(None, target, Scalar::Null);
            }
            Node::Boolean(slot) => {
                let flag = match self.input.array("a boolean")? {
                    [0] => false,
                    [1] => true,
                    [byte] => return Err(self.input.error(format!("a boolean is 0 or 1, found 0x{byte:02x}"))),
                };
                self.put(*slot, target, Scalar::Bool(flag));
            }
            Node::Int(slot) => {
                let value = self.input.zig_zag()?;
                if i32::try_from(value).is_err() {
                    return Err(self.input.error(format!("an int of more than 32 bits: {value}")));
                }
                self.put(*slot, target, integer(value));
            }
            Node::Long(slot) => {
                let value = self.input.zig_zag()?;
                self.put(*slot, target, integer(value));
            }
            Node::Float(slot) => {
                let value = f32::from_le_bytes(self.input.array("a float")?);
                self.put(*slot, target, Scalar::Float(value.into()));
            }
            Node::Double(slot) => {
                let value = f64::from_le_bytes(self.input.array("a double")?);
                self.put(*slot, target, Scalar::Float(value));
            }
            Node::Text(slot) => {
                let len = self.length()?;
                let text = self.input.text(len)?;
                self.put(*slot, target, Scalar::Text(text));
            }
            Node::Enum(symbols, slot) => {
                let number = self.input.zig_zag()?;
                let Some(symbol) = usize::try_from(number).ok().and_then(|number| symbols.get(number)) else {
                    let count = symbols.len();
                    return Err(self.input.error(format!("an enum of {count} symbols has no symbol {number}")));
                };
                self.put(*slot, target, Scalar::Text(symbol));
            }
            Node::Bytes => {
                let len = self.length()?;
                self.input.take(len, "bytes")?;
                self.put(None, target, Scalar::Bytes);
            }
            Node::Fixed(size) => {
                self.input.take(u64::from(*size), "a fixed")?;
                self.put(None, target, Scalar::Bytes);
            }
            Node::Union(branches, absent) => {
                let number = self.input.zig_zag()?;
                let Some(branch) = usize::try_from(number).ok().and_then(|number| branches.get(number)) else {
                    let count = branches.len();
                    return Err(self.input.error(format!("a union of {count} branches has no branch {number}")));
                };
                match &nodes[*branch as usize] {
                    Node::Null => self.put(*absent, target, Scalar::Null),
                    _ => self.value(*branch, self.deeper(depth)?, target)?,
                }
            }
            Node::Record(fields) => {
                if fields.is_empty() {
                    self.take_nothing()?;
                }
                let (depth, within) = (self.deeper(depth)?, self.container(target, Scalar::Object));
                for field in fields {
                    self.value(*field, depth, within)?;
                }
            }
            Node::Array(items) => {
                let depth = self.deeper(depth)?;
                self.container(target, Scalar::Array);
                self.blocks(|reader| reader.value(*items, depth, Target::Nowhere))?;
            }
            Node::Map(values, what) => {
                let what = if matches!(target, Target::Own) { *what } else { MapOf::Nothing };
                let depth = self.deeper(depth)?;
                self.container(target, Scalar::Object);
                self.blocks(|reader| reader.entry(*values, what, depth))?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, values: u32, what: MapOf, depth: usize) -> Result<(), Failure> {
        let len = self.length()?;
        let name = self.input.text(len)?;
        let target = match what {
            MapOf::Metrics => Target::Metric(name),
            MapOf::Tags => Target::Tag(name),
            MapOf::Nothing => Target::Nowhere,
        };
        self.value(values, depth, target)
    }

    /// The elements of an array or map: blocks of a count, with a byte size where the count is negative, until an empty one.
    fn blocks(&mut self, mut element: impl FnMut(&mut Self) -> Result<(), Failure>) -> Result<(), Failure> {
        loop {
            let count = self.input.zig_zag()?;
            if count == 0 {
                return Ok(());
            }
            let size = if count < 0 { Some(self.length()?) } else { None };
            let start = self.input.at();
            let Some(left) = self.elements.checked_sub(usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX))
            else {
                return Err(self.input.error(format!("a block of {} elements, which cannot be", count.unsigned_abs())));
            };
            self.elements = left;
            for _ in 0..count.unsigned_abs() {
                element(self)?;
            }
            let taken = (self.input.at() - start) as u64;
            if let Some(size) = size
                && size != taken
            {
                return Err(self.input.error(format!("a block that says {size} bytes and has {taken}")));
            }
        }
    }

    /// Counts a value that takes no bytes.
    fn take_nothing(&mut self) -> Result<(), Failure> {
        self.empty = self
            .empty
            .checked_sub(1)
            .ok_or_else(|| self.input.error("more values without bytes than a message has"))?;
        Ok(())
    }

    fn length(&mut self) -> Result<u64, Failure> {
        let length = self.input.zig_zag()?;
        u64::try_from(length).map_err(|_| self.input.error(format!("a length of {length}")))
    }

    fn deeper(&self, depth: usize) -> Result<usize, Failure> {
        if depth >= PAYLOAD_DEPTH_MAX { Err(Failure::too_deep(self.input.at())) } else { Ok(depth + 1) }
    }

    /// Where the values inside a container go. One that stands where a single value should be is named as such.
    fn container<'k>(&mut self, target: Target<'k>, what: Scalar<'static>) -> Target<'k> {
        match target {
            Target::Own => Target::Own,
            _ => {
                self.put(None, target, what);
                Target::Nowhere
            }
        }
    }

    #[inline]
    fn put(&mut self, slot: Option<u32>, target: Target<'_>, value: Scalar<'_>) {
        match target {
            Target::Own => {
                if let Some(slot) = slot {
                    self.sink.slot(self.form, slot, &value);
                }
            }
            Target::Metric(name) => self.sink.entry(self.form, name, &value),
            Target::Tag(name) => self.sink.tag(name, &value),
            Target::Nowhere => {}
        }
    }
}
