//! The schemas that hold for one place at once: a schema, what its `$ref` leads to, and the members of its `allOf`.

use model::limits::SCHEMA_DEPTH_MAX;
use referencing::Draft;
use serde_json::Value;

use super::super::documents::Node;
use super::super::value::Types;
use super::{Unusable, unusable};

/// Schemas that hold for one place; `allOf` of references to `allOf` would be without end.
const PIECES_MAX: usize = 256;

/// One of the schemas.
pub struct Piece<'r> {
    pub node: Node<'r>,
    pub path: String,
    /// Or the value is null: the schema is a member of `anyOf` or `oneOf` beside `{"type": "null"}`.
    pub or_null: bool,
}

pub struct Merged<'r> {
    pub pieces: Vec<Piece<'r>>,
    /// What the value may be.
    pub types: Types,
}

impl<'r> Merged<'r> {
    pub fn of(nodes: &[(Node<'r>, String)]) -> Result<Self, Unusable> {
        let mut merged = Self { pieces: Vec::new(), types: Types::ANY };
        for (node, path) in nodes {
            merged.add(node, path, false, &mut Vec::new())?;
        }
        for piece in &merged.pieces {
            let mut types = Types::of(&piece.node);
            if piece.or_null {
                types = types.or(Types::NULL);
            }
            merged.types = merged.types.and(types);
        }
        if merged.types == Types::NONE {
            return unusable(format!("no value can be valid at `{}`: its parts demand different types", merged.path()));
        }
        Ok(merged)
    }

    /// `within`: the schemas that led here.
    fn add(
        &mut self,
        node: &Node<'r>,
        path: &str,
        or_null: bool,
        within: &mut Vec<*const Value>,
    ) -> Result<(), Unusable> {
        let at = std::ptr::from_ref(node.value);
        if within.contains(&at) || within.len() > SCHEMA_DEPTH_MAX {
            return unusable(format!(
                "`{path}` leads back to itself by `$ref` or `allOf`, or on for more than {SCHEMA_DEPTH_MAX} steps"
            ));
        }
        if node.value == &Value::Bool(false) {
            return unusable(format!("the schema `false` at `{path}` is not checked; leave the property out"));
        }
        if self.pieces.len() > PIECES_MAX {
            return unusable(format!(
                "more than {PIECES_MAX} schemas hold at once at `{}`; merge the members of `allOf`",
                self.path()
            ));
        }
        within.push(at);
        if let Some(reference) = node.get("$ref").and_then(Value::as_str) {
            let target = node.follow(reference).or_else(|why| unusable(format!("`$ref` at `{path}`: {why}")))?;
            self.add(&target, path, or_null, within)?;
        }
        // Up to draft-07 nothing counts beside `$ref`.
        if node.get("$ref").is_none() || !matches!(node.draft, Draft::Draft4 | Draft::Draft6 | Draft::Draft7) {
            self.pieces.push(Piece { node: node.clone(), path: path.to_owned(), or_null });
            for (index, member) in node.get("allOf").and_then(Value::as_array).into_iter().flatten().enumerate() {
                self.add(&node.part(member), &format!("{path}/allOf/{index}"), or_null, within)?;
            }
            for keyword in ["anyOf", "oneOf"] {
                if node.get(keyword).is_some() {
                    let (member, index) = beside_null(node, keyword).map_or_else(
                        || {
                            unusable(format!(
                                "`{keyword}` at `{path}` is not checked, except for one schema beside {{\"type\": \"null\"}}; write one \
                                 schema, or leave the keyword out"
                            ))
                        },
                        Ok,
                    )?;
                    let before = self.pieces.len();
                    self.add(&member, &format!("{path}/{keyword}/{index}"), true, within)?;
                    let nulls = |piece: &Piece<'_>| Types::of(&piece.node).has(Types::NULL);
                    if keyword == "oneOf" && self.pieces[before..].iter().all(nulls) {
                        return unusable(format!(
                            "both members of `oneOf` at `{path}` take null; give the other one a `type` without it"
                        ));
                    }
                }
            }
        }
        within.pop();
        Ok(())
    }

    pub fn path(&self) -> &str {
        self.pieces.first().map_or("#", |piece| &piece.path)
    }

    /// An annotation of the first piece that has it.
    pub fn annotation(&self, key: &str) -> Option<&'r Value> {
        self.pieces.iter().find_map(|piece| piece.node.get(key))
    }

    pub fn date_time(&self) -> bool {
        self.pieces.iter().any(|piece| piece.node.get("format").and_then(Value::as_str) == Some("date-time"))
    }

    /// Refuses keywords that assert what is not checked.
    pub fn refuse(&self, keywords: &[&str]) -> Result<(), Unusable> {
        for piece in &self.pieces {
            if let Some(keyword) = keywords.iter().find(|keyword| asserts(&piece.node, keyword)) {
                return unusable(format!(
                    "`{keyword}` at `{}` is not checked; leave it out, or do not check messages by this schema",
                    piece.path
                ));
            }
        }
        Ok(())
    }
}

/// Keywords that say nothing as they stand: `uniqueItems: false`, `minItems: 0`, `items: true` or `{}`, `not: false`.
fn asserts(node: &Node<'_>, keyword: &str) -> bool {
    match node.get(keyword) {
        None => false,
        Some(Value::Bool(false)) => {
            keyword == "additionalItems" || keyword.starts_with("unevaluated") || keyword == "items"
        }
        Some(Value::Bool(true)) => matches!(keyword, "uniqueItems" | "not"),
        Some(Value::Number(number)) => !(keyword.starts_with("min") && number.as_f64() == Some(0.0)),
        Some(Value::Object(object)) => !object.is_empty() || matches!(keyword, "not" | "contains"),
        Some(Value::Array(array)) => !array.is_empty(),
        Some(_) => true,
    }
}

/// The other one of two members, if one is `{"type": "null"}`.
fn beside_null<'r>(node: &Node<'r>, keyword: &str) -> Option<(Node<'r>, usize)> {
    let is_null = |value: &Value| {
        value.get("type").and_then(Value::as_str) == Some("null")
            && value.as_object().is_some_and(|object| object.len() == 1)
    };
    let [first, second] = node.get(keyword)?.as_array()?.as_slice() else { return None };
    match (is_null(first), is_null(second)) {
        (true, false) => Some((node.part(second), 1)),
        (false, true) => Some((node.part(first), 0)),
        _ => None,
    }
}

/// A name as a token of a JSON pointer.
pub fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
