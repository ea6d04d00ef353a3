//! The objects among the schemas of a place, merged.

use std::collections::{BTreeMap, BTreeSet};

use model::contract::Others;
use serde_json::Value;

use super::super::documents::Node;
use super::super::value::Types;
use super::merged::{Merged, escaped};
use super::{Unusable, rule, unusable};

/// Keywords that assert something of objects and are not checked.
const UNCHECKED: [&str; 14] = [
    "if",
    "not",
    "enum",
    "const",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "unevaluatedProperties",
    "$dynamicRef",
    "$recursiveRef",
];

pub struct Object<'r> {
    pub path: String,
    /// The schema that describes it, to be recognised by.
    pub at: *const Value,
    /// The schemas that hold for each.
    pub properties: BTreeMap<String, Vec<(Node<'r>, String)>>,
    pub required: BTreeSet<String>,
    /// Some piece allows no others.
    closed: bool,
    /// What others have to be.
    additional: Vec<(Node<'r>, String)>,
}

impl<'r> Object<'r> {
    pub fn of(merged: &Merged<'r>) -> Result<Self, Unusable> {
        let path = merged.path().to_owned();
        if merged.types != Types::OBJECT {
            return unusable(format!(
                "`{path}` has to describe an object and nothing else: give it \"type\": \"object\""
            ));
        }
        merged.refuse(&UNCHECKED)?;
        let at = merged.pieces.first().map_or(std::ptr::null(), |piece| std::ptr::from_ref(piece.node.value));
        let mut object = Self {
            path,
            at,
            properties: BTreeMap::new(),
            required: BTreeSet::new(),
            closed: false,
            additional: Vec::new(),
        };
        for piece in &merged.pieces {
            for (name, value) in piece.node.get("properties").and_then(Value::as_object).into_iter().flatten() {
                let at = format!("{}/properties/{}", piece.path, escaped(name));
                object.properties.entry(name.clone()).or_default().push((piece.node.part(value), at));
            }
            let required = piece.node.get("required").and_then(Value::as_array).into_iter().flatten();
            object.required.extend(required.filter_map(Value::as_str).map(str::to_owned));
        }
        for piece in &merged.pieces {
            let Some(additional) = piece.node.get("additionalProperties") else { continue };
            let at = format!("{}/additionalProperties", piece.path);
            let own = piece.node.get("properties").and_then(Value::as_object);
            let others =
                object.properties.iter_mut().filter(|(name, _)| !own.is_some_and(|own| own.contains_key(*name)));
            match additional {
                Value::Bool(true) => {}
                Value::Bool(false) => {
                    if let Some((name, _)) = others.into_iter().next() {
                        return unusable(format!(
                            "`{at}` is false and another part of `allOf` has `{name}`, which no message may have then; describe all \
                             properties in one object"
                        ));
                    }
                    object.closed = true;
                }
                schema => {
                    let node = piece.node.part(schema);
                    others.for_each(|(_, nodes)| nodes.push((node.clone(), at.clone())));
                    object.additional.push((node, at));
                }
            }
        }
        Ok(object)
    }

    pub fn property(&self, name: &str) -> Option<&[(Node<'r>, String)]> {
        self.properties.get(name).map(Vec::as_slice)
    }

    /// What becomes of other properties.
    pub fn others(&self) -> Result<Others, Unusable> {
        if self.closed {
            return Ok(Others::Reject);
        }
        if self.additional.is_empty() {
            return Ok(Others::Class);
        }
        let value = Merged::of(&self.additional)?;
        if value.types.meets(Types::OBJECT.or(Types::ARRAY)) && value.types != Types::ANY {
            return unusable(format!(
                "`{}` lets objects or arrays in, which are no metrics; allow numbers, booleans or strings",
                value.path()
            ));
        }
        let rule = rule::of(&value)?;
        Ok(if rule.kinds.is_empty() { Others::Class } else { Others::Like(Box::new(rule)) })
    }

    /// Refuses what would have to be checked of properties that are not named, where nothing is checked of them.
    pub fn open(&self, what: &str) -> Result<(), Unusable> {
        if self.closed || !self.additional.is_empty() {
            return unusable(format!(
                "`additionalProperties` at `{}` is not checked for {what}; leave it out there: what a class does with fields that it \
                 does not know is said by its `unknown_fields`",
                self.path
            ));
        }
        Ok(())
    }

    /// Of tags: each is a string, and others are strings too.
    pub fn texts(&self) -> Result<(), Unusable> {
        if self.closed {
            return self.open("tags");
        }
        if !self.additional.is_empty() {
            let value = Merged::of(&self.additional)?;
            let rule = rule::of(&value)?;
            if rule != rule::text() {
                return unusable(format!("`{}` has to be {{\"type\": \"string\"}}: a tag is a string", value.path()));
            }
        }
        for nodes in self.properties.values() {
            let value = Merged::of(nodes)?;
            if value.types != Types::STRING {
                return unusable(format!("`{}` has to have \"type\": \"string\": a tag is a string", value.path()));
            }
        }
        Ok(())
    }
}
