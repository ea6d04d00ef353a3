//! The layout: types where they are kept, each at its place; types that are read over, each once, so that they may lead
//! back to themselves.

use std::collections::HashMap;

use model::contract::{AvroLayout, AvroNode, Keep, MapOf};
use model::limits::SCHEMA_NODES_MAX;

use super::super::types::{Primitive, Shape, TypeId, Types};
use super::{Unusable, is_scalar};

pub struct Nodes<'a> {
    types: &'a Types,
    nodes: Vec<AvroNode>,
    /// Where the types that are read over are.
    over: HashMap<TypeId, u32>,
    /// Those whose parts are still to be laid out.
    pending: Vec<TypeId>,
}

impl<'a> Nodes<'a> {
    pub fn of(types: &'a Types) -> Self {
        Self { types, nodes: Vec::new(), over: HashMap::new(), pending: Vec::new() }
    }

    pub fn layout(mut self, fingerprint: u64) -> Result<AvroLayout, Unusable> {
        while let Some(of) = self.pending.pop() {
            let node = self.node_over(of)?;
            self.nodes[self.over[&of] as usize] = node;
        }
        Ok(AvroLayout { nodes: self.nodes, fingerprint })
    }

    /// A place for a node that is said later.
    pub fn reserve(&mut self) -> Result<u32, Unusable> {
        self.add(AvroNode::Null)
    }

    pub fn record(&mut self, at: u32, members: Vec<u32>) {
        self.nodes[at as usize] = AvroNode::Record(members);
    }

    /// Places for a type and for the branch of it that is kept: two if it is a union, else the same.
    pub fn reserve_branch(&mut self, of: TypeId, branch: TypeId) -> Result<(u32, u32), Unusable> {
        let at = self.reserve()?;
        let Shape::Union(branches) = &self.types[of].shape else { return Ok((at, at)) };
        let kept = self.reserve()?;
        let nodes: Result<Vec<u32>, Unusable> =
            branches.iter().map(|other| if *other == branch { Ok(kept) } else { self.over(*other) }).collect();
        self.nodes[at as usize] = AvroNode::Union(nodes?);
        Ok((at, kept))
    }

    /// A map, or a union with one.
    pub fn map(&mut self, of: TypeId, map: TypeId, entries: TypeId, what: MapOf) -> Result<u32, Unusable> {
        let (at, kept) = self.reserve_branch(of, map)?;
        let entries = self.over(entries)?;
        self.nodes[kept as usize] = AvroNode::Map(entries, what);
        Ok(at)
    }

    /// A value that becomes a field.
    pub fn kept(&mut self, of: TypeId, field: u32) -> Result<u32, Unusable> {
        match &self.types[of].shape {
            Shape::Union(branches) => {
                let at = self.reserve()?;
                let nodes: Result<Vec<u32>, Unusable> =
                    branches.iter().map(|branch| self.kept_branch(*branch, field)).collect();
                self.nodes[at as usize] = AvroNode::Union(nodes?);
                Ok(at)
            }
            _ => self.kept_branch(of, field),
        }
    }

    fn kept_branch(&mut self, of: TypeId, field: u32) -> Result<u32, Unusable> {
        let shape = &self.types[of].shape;
        if !is_scalar(shape) {
            return self.over(of);
        }
        let node = self.node(shape, Some(field))?;
        self.add(node)
    }

    /// A type that is read over.
    pub fn over(&mut self, of: TypeId) -> Result<u32, Unusable> {
        if let Some(at) = self.over.get(&of) {
            return Ok(*at);
        }
        let at = self.reserve()?;
        self.over.insert(of, at);
        self.pending.push(of);
        Ok(at)
    }

    fn node_over(&mut self, of: TypeId) -> Result<AvroNode, Unusable> {
        self.node(&self.types[of].shape, None)
    }

    fn node(&mut self, shape: &Shape, keep: Keep) -> Result<AvroNode, Unusable> {
        Ok(match shape {
            Shape::Primitive(Primitive::Null) => AvroNode::Null,
            Shape::Primitive(Primitive::Boolean) => AvroNode::Boolean(keep),
            Shape::Primitive(Primitive::Int) => AvroNode::Int(keep),
            Shape::Primitive(Primitive::Long) => AvroNode::Long(keep),
            Shape::Primitive(Primitive::Float) => AvroNode::Float(keep),
            Shape::Primitive(Primitive::Double) => AvroNode::Double(keep),
            Shape::Primitive(Primitive::Bytes) => AvroNode::Bytes,
            Shape::Primitive(Primitive::String) => AvroNode::Text(keep),
            Shape::Enum(_, symbols) => AvroNode::Enum(symbols.symbols.clone(), keep),
            Shape::Fixed(_, size) => AvroNode::Fixed(*size),
            Shape::Array(items) => AvroNode::Array(self.over(*items)?),
            Shape::Map(values) => AvroNode::Map(self.over(*values)?, MapOf::Nothing),
            Shape::Union(branches) => {
                AvroNode::Union(branches.iter().map(|of| self.over(*of)).collect::<Result<_, _>>()?)
            }
            Shape::Record(_, record) => {
                AvroNode::Record(record.fields.iter().map(|field| self.over(field.of)).collect::<Result<_, _>>()?)
            }
        })
    }

    fn add(&mut self, node: AvroNode) -> Result<u32, Unusable> {
        if self.nodes.len() == SCHEMA_NODES_MAX {
            return Err(Unusable {
                why: format!("with all its records in their places the schema has more than {SCHEMA_NODES_MAX} types"),
            });
        }
        self.nodes.push(node);
        Ok(u32::try_from(self.nodes.len() - 1).expect("at most SCHEMA_NODES_MAX"))
    }
}
