//! The types of a schema as a graph: a name used again is the same type again, so a recursive type leads back to itself.

use std::collections::HashMap;
use std::ops::Index;

use serde_json::{Map, Value};

use super::logical::Logical;
use super::name::FullName;

/// A type's position in [`Types`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TypeId(u32);

/// All types of a text and of those that it refers to.
#[derive(Clone, Default, Debug)]
pub struct Types(Vec<Type>);

impl Types {
    pub fn add(&mut self, shape: Shape, attributes: Attributes) -> TypeId {
        let logical = Logical::of(&shape, &attributes);
        self.0.push(Type { shape, logical, attributes });
        TypeId(u32::try_from(self.0.len() - 1).expect("a schema has at most SCHEMA_NODES_MAX types"))
    }

    pub fn iter(&self) -> impl Iterator<Item = (TypeId, &Type)> {
        (0..).map(TypeId).zip(&self.0)
    }

    /// Completes a type that was added before what it is made of.
    pub fn complete(&mut self, id: TypeId, shape: Shape) {
        self.0[id.0 as usize].shape = shape;
    }
}

impl Index<TypeId> for Types {
    type Output = Type;

    fn index(&self, id: TypeId) -> &Type {
        &self.0[id.0 as usize]
    }
}

/// What the specification does not define: it is kept, and read by whom it concerns. Sorted by name.
pub type Attributes = Map<String, Value>;

/// A type at the place of its definition.
#[derive(Clone, Debug)]
pub struct Type {
    pub shape: Shape,
    /// A logical type that is known and fits the shape; any other is only an attribute (specification, "Logical Types").
    pub logical: Option<Logical>,
    /// With `logicalType`, `precision` and `scale`.
    pub attributes: Attributes,
}

#[derive(Clone, Debug)]
pub enum Shape {
    Primitive(Primitive),
    Array(TypeId),
    Map(TypeId),
    Union(Vec<TypeId>),
    Record(Named, Record),
    Enum(Named, Enum),
    /// Of so many bytes.
    Fixed(Named, u32),
}

impl Shape {
    pub fn named(&self) -> Option<&Named> {
        match self {
            Self::Record(named, _) | Self::Enum(named, _) | Self::Fixed(named, _) => Some(named),
            _ => None,
        }
    }

    /// As it is written in `type`; of a union, "union".
    pub fn word(&self) -> &'static str {
        match self {
            Self::Primitive(primitive) => primitive.word(),
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Union(_) => "union",
            Self::Record(..) => "record",
            Self::Enum(..) => "enum",
            Self::Fixed(..) => "fixed",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Primitive {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
}

impl Primitive {
    pub fn of(word: &str) -> Option<Self> {
        Some(match word {
            "null" => Self::Null,
            "boolean" => Self::Boolean,
            "int" => Self::Int,
            "long" => Self::Long,
            "float" => Self::Float,
            "double" => Self::Double,
            "bytes" => Self::Bytes,
            "string" => Self::String,
            _ => return None,
        })
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
        }
    }
}

/// What all types with a name have.
#[derive(Clone, Debug)]
pub struct Named {
    pub name: FullName,
    pub aliases: Vec<FullName>,
    pub doc: Option<String>,
    /// Defined in a text that is referred to.
    pub referenced: bool,
}

#[derive(Clone, Default, Debug)]
pub struct Record {
    pub fields: Vec<Field>,
    /// Positions in `fields`.
    pub by_name: HashMap<String, usize>,
}

impl Record {
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.by_name.get(name).map(|position| &self.fields[*position])
    }
}

#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub aliases: Vec<String>,
    pub doc: Option<String>,
    /// `null` is a default too.
    pub default: Option<Value>,
    pub order: Order,
    pub of: TypeId,
    pub attributes: Attributes,
}

/// How records are sorted by a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    Ascending,
    Descending,
    Ignore,
}

impl Order {
    pub fn of(word: &str) -> Option<Self> {
        Some(match word {
            "ascending" => Self::Ascending,
            "descending" => Self::Descending,
            "ignore" => Self::Ignore,
            _ => return None,
        })
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Ascending => "ascending",
            Self::Descending => "descending",
            Self::Ignore => "ignore",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Enum {
    pub symbols: Vec<String>,
    /// What a symbol that the reader does not have is read as.
    pub default: Option<String>,
}
