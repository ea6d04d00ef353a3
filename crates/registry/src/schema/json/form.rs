//! A schema in the form in which schemas are compared: one thing that it demands, or several that are combined.

use referencing::Draft;
use serde_json::Value;

use super::documents::Node;

/// References that lead to references.
const REFERENCES_MAX: usize = 32;

/// A schema, or the part of its keywords that is looked at.
#[derive(Clone)]
pub struct View<'r> {
    pub node: Node<'r>,
    pub part: Part,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Part {
    All,
    /// `type` and the keywords of single types.
    Base,
    /// Those of one type; `true`: `type` names it.
    Of(Kind, bool),
    Enum,
    Const,
    Not,
    If,
    Ref,
    Combined(Criterion),
    /// References that depend on who follows them.
    Dynamic,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Criterion {
    All,
    Any,
    One,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

pub enum Form<'r> {
    Anything,
    Nothing,
    /// A value of one type.
    Plain(Kind, bool, Node<'r>),
    Enum(&'r [Value]),
    Const(&'r Value),
    Not(Node<'r>),
    If(Node<'r>),
    Combined(Criterion, Vec<View<'r>>),
    /// Nothing is known of it.
    Opaque,
}

/// Keywords that speak of one type only, where `type` is absent.
const IMPLIED: [(Kind, &[&str]); 4] = [
    (Kind::String, &["minLength", "maxLength", "pattern", "format", "contentEncoding", "contentMediaType"]),
    (Kind::Number, &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]),
    (
        Kind::Array,
        &[
            "items",
            "prefixItems",
            "additionalItems",
            "unevaluatedItems",
            "contains",
            "minItems",
            "maxItems",
            "uniqueItems",
        ],
    ),
    (
        Kind::Object,
        &[
            "properties",
            "required",
            "additionalProperties",
            "unevaluatedProperties",
            "patternProperties",
            "propertyNames",
            "minProperties",
            "maxProperties",
            "dependencies",
            "dependentRequired",
            "dependentSchemas",
        ],
    ),
];

impl<'r> View<'r> {
    pub fn all(node: Node<'r>) -> Self {
        Self { node, part: Part::All }
    }

    pub fn form(&self) -> Form<'r> {
        self.form_within(REFERENCES_MAX)
    }

    fn form_within(&self, left: usize) -> Form<'r> {
        let node = &self.node;
        match self.part {
            Part::All => match node.value {
                Value::Bool(true) => Form::Anything,
                Value::Bool(false) => Form::Nothing,
                _ => self.combined(Criterion::All, parts(node), left),
            },
            Part::Base => match node.get("type") {
                Some(Value::Array(names)) => {
                    let kinds = names.iter().filter_map(|name| kind(name.as_str()?)).map(|kind| Part::Of(kind, true));
                    self.combined(Criterion::Any, kinds.collect(), left)
                }
                Some(name) => match name.as_str().and_then(kind) {
                    Some(kind) => Form::Plain(kind, true, node.clone()),
                    None => Form::Opaque,
                },
                None => {
                    let implied = IMPLIED
                        .iter()
                        .filter(|(_, keywords)| keywords.iter().any(|keyword| node.get(keyword).is_some()));
                    self.combined(Criterion::All, implied.map(|(kind, _)| Part::Of(*kind, false)).collect(), left)
                }
            },
            Part::Of(kind, typed) => Form::Plain(kind, typed, node.clone()),
            Part::Enum => node.get("enum").and_then(Value::as_array).map_or(Form::Opaque, |list| Form::Enum(list)),
            Part::Const => node.get("const").map_or(Form::Opaque, Form::Const),
            Part::Not => node.at("not").map_or(Form::Opaque, Form::Not),
            Part::If => Form::If(node.clone()),
            Part::Ref => match node.get("$ref").and_then(Value::as_str).map(|reference| node.follow(reference)) {
                Some(Ok(target)) if left > 0 => View::all(target).form_within(left - 1),
                _ => Form::Opaque,
            },
            Part::Combined(criterion) => {
                let members = node.get(criterion.keyword()).and_then(Value::as_array).into_iter().flatten();
                let mut members: Vec<_> = members.map(|member| View::all(node.part(member))).collect();
                match members.pop() {
                    None => Form::Anything,
                    Some(only) if members.is_empty() && left > 0 => only.form_within(left - 1),
                    Some(last) => {
                        members.push(last);
                        Form::Combined(criterion, members)
                    }
                }
            }
            Part::Dynamic => Form::Opaque,
        }
    }

    fn combined(&self, criterion: Criterion, mut parts: Vec<Part>, left: usize) -> Form<'r> {
        let view = |part| View { node: self.node.clone(), part };
        match parts.pop() {
            None => Form::Anything,
            Some(only) if parts.is_empty() => view(only).form_within(left),
            Some(last) => Form::Combined(criterion, parts.into_iter().chain([last]).map(view).collect()),
        }
    }
}

impl Criterion {
    pub fn keyword(self) -> &'static str {
        match self {
            Self::All => "allOf",
            Self::Any => "anyOf",
            Self::One => "oneOf",
        }
    }
}

/// The parts of a schema that demand something.
fn parts(node: &Node<'_>) -> Vec<Part> {
    let old = matches!(node.draft, Draft::Draft4 | Draft::Draft6 | Draft::Draft7);
    let has = |key: &str| node.get(key).is_some();
    if old && has("$ref") {
        return vec![Part::Ref];
    }
    let base = has("type") || IMPLIED.iter().any(|(_, keywords)| keywords.iter().any(|keyword| has(keyword)));
    let conditional = has("if") && (has("then") || has("else"));
    [
        (base, Part::Base),
        (has("enum"), Part::Enum),
        (has("const") && node.draft != Draft::Draft4, Part::Const),
        (has("not"), Part::Not),
        (conditional, Part::If),
        (has("$ref"), Part::Ref),
        (has("allOf"), Part::Combined(Criterion::All)),
        (has("anyOf"), Part::Combined(Criterion::Any)),
        (has("oneOf"), Part::Combined(Criterion::One)),
        (has("$dynamicRef") || has("$recursiveRef"), Part::Dynamic),
    ]
    .into_iter()
    .filter_map(|(there, part)| there.then_some(part))
    .collect()
}

fn kind(name: &str) -> Option<Kind> {
    Some(match name {
        "null" => Kind::Null,
        "boolean" => Kind::Boolean,
        "integer" => Kind::Integer,
        "number" => Kind::Number,
        "string" => Kind::String,
        "array" => Kind::Array,
        "object" => Kind::Object,
        _ => return None,
    })
}
