//! From text to types, strictly by the specification: what Java's parser lets pass and a reader stumbles over is refused.
//!
//! A name is defined before it is used, in this text or in one that it refers to. A name without dots is looked for in the
//! namespace around it and then without namespace, as Java does.

use std::collections::{HashMap, HashSet};

use model::limits::{
    PAYLOAD_BYTES_MAX, SCHEMA_ALIASES_MAX, SCHEMA_BYTES_MAX, SCHEMA_CONSTANTS_MAX, SCHEMA_DEFAULT_BYTES_MAX,
    SCHEMA_DEPTH_MAX, SCHEMA_FIELDS_MAX, SCHEMA_NODES_MAX, SCHEMA_REFERENCES_MAX, SCHEMA_WITH_REFERENCES_BYTES_MAX,
};
use serde_json::{Map, Value};

use super::default::Defaults;
use super::name::{FullName, is_name};
use super::place::Place;
use super::types::{Attributes, Enum, Field, Named, Order, Primitive, Record, Shape, TypeId, Types};
use super::{Invalid, ReferencedText, finite};

mod json;

/// Names that the specification gives a meaning in a type; elsewhere in it they have none, and are left out.
const TYPE_WORDS: [&str; 10] =
    ["type", "name", "namespace", "doc", "aliases", "fields", "symbols", "size", "items", "values"];
const FIELD_WORDS: [&str; 6] = ["name", "type", "doc", "default", "order", "aliases"];

pub struct Parser {
    types: Types,
    names: HashMap<FullName, TypeId>,
    /// The text at hand is one that is referred to.
    referenced: bool,
    nodes: usize,
    /// Fields whose defaults are to be compared with their types once all types are complete.
    defaults: Vec<Defaulted>,
}

struct Defaulted {
    place: String,
    record: TypeId,
    field: usize,
}

impl Parser {
    pub fn schema_of(text: &str, references: &[ReferencedText]) -> Result<(Types, TypeId), Invalid> {
        check_sizes(text, references)?;
        let mut parser =
            Self { types: Types::default(), names: HashMap::new(), referenced: true, nodes: 0, defaults: Vec::new() };
        for (position, reference) in references.iter().enumerate() {
            let again = references[..position].iter().any(|earlier| earlier.text == reference.text);
            if !again {
                parser.text(&reference.text).map_err(|invalid| Invalid {
                    why: format!("in the referenced schema {:?}: {}", reference.name, invalid.why),
                })?;
            }
        }
        parser.referenced = false;
        let root = parser.text(text)?;
        Ok((parser.types, root))
    }

    fn text(&mut self, text: &str) -> Result<TypeId, Invalid> {
        let value = json::parse(text)?;
        let id = self.schema(&value, "", Place::TOP)?;
        finite::check(&self.types)?;
        self.check_defaults()?;
        Ok(id)
    }

    fn check_defaults(&mut self) -> Result<(), Invalid> {
        let mut check = Defaults::of(&self.types);
        for Defaulted { place, record, field } in self.defaults.drain(..) {
            if let Shape::Record(_, record) = &self.types[record].shape {
                let field = &record.fields[field];
                let default = field.default.as_ref().expect("only fields with a default are listed");
                check.fits(field.of, default).map_err(|why| Invalid { why: format!("at {place}/default: {why}") })?;
            }
        }
        Ok(())
    }

    fn schema(&mut self, value: &Value, namespace: &str, place: Place<'_>) -> Result<TypeId, Invalid> {
        self.count(1, &place)?;
        match value {
            Value::String(name) => self.by_name(name, namespace, &place),
            Value::Array(branches) => self.union(branches, namespace, deeper(place)?),
            Value::Object(object) => self.object(object, namespace, deeper(place)?),
            _ => Err(place.refuse("a type is a name in quotes, an object with `type`, or an array of types")),
        }
    }

    /// Counts what the text describes.
    fn count(&mut self, nodes: usize, place: &Place<'_>) -> Result<(), Invalid> {
        self.nodes += nodes;
        if self.nodes <= SCHEMA_NODES_MAX {
            return Ok(());
        }
        Err(place.refuse(format_args!(
            "the schema has more than {SCHEMA_NODES_MAX} types, fields and symbols; split it into several schemas"
        )))
    }

    fn by_name(&mut self, text: &str, namespace: &str, place: &Place<'_>) -> Result<TypeId, Invalid> {
        if let Some(primitive) = Primitive::of(text) {
            return Ok(self.types.add(Shape::Primitive(primitive), Attributes::new()));
        }
        let name = FullName::of(text, namespace).map_err(|why| place.refuse(why))?;
        let bare = FullName { namespace: String::new(), name: name.name.clone() };
        let found = self.names.get(&name).or_else(|| self.names.get(&bare).filter(|_| !text.contains('.')));
        if let Some(id) = found {
            return Ok(*id);
        }
        Err(place.refuse(match text {
            "record" | "enum" | "fixed" | "array" | "map" => format!(
                "{text:?} alone is no type: here stands an object, {{\"type\": {text:?}, …}}"
            ),
            _ => format!(
                "the type {name} is not defined before it is used; define it further up, or name the schema that defines it \
                 among the references"
            ),
        }))
    }

    fn union(&mut self, branches: &[Value], namespace: &str, place: Place<'_>) -> Result<TypeId, Invalid> {
        let mut ids = Vec::with_capacity(branches.len());
        let mut kinds = HashSet::new();
        for (position, branch) in branches.iter().enumerate() {
            let at = place.index(position);
            if branch.is_array() {
                return Err(at.refuse("a union holds no union; write the branches of the inner one into the outer one"));
            }
            let id = self.schema(branch, namespace, at)?;
            let shape = &self.types[id].shape;
            let kind = shape.named().map_or_else(|| shape.word().to_owned(), |named| named.name.to_string());
            if !kinds.insert(kind.clone()) {
                return Err(at.refuse(format_args!("a union has one branch of a kind, and {kind} is here twice")));
            }
            ids.push(id);
        }
        Ok(self.types.add(Shape::Union(ids), Attributes::new()))
    }

    fn object(&mut self, object: &Map<String, Value>, namespace: &str, place: Place<'_>) -> Result<TypeId, Invalid> {
        let word = match object.get("type") {
            Some(Value::String(word)) => word.as_str(),
            Some(Value::Object(_) | Value::Array(_)) => {
                return Err(
                    place.refuse("`type` is a name here; write the inner type itself in the place of this object")
                );
            }
            _ => return Err(place.refuse("a type has a `type`, which is a name in quotes")),
        };
        match word {
            "record" => self.record(object, namespace, place),
            "enum" => self.enumeration(object, namespace, place),
            "fixed" => self.fixed(object, namespace, place),
            "array" | "map" => {
                let part = if word == "array" { "items" } else { "values" };
                let of = object.get(part).ok_or_else(|| place.refuse(format_args!("{word} has no `{part}`")))?;
                let of = self.schema(of, namespace, place.key(part))?;
                let shape = if word == "array" { Shape::Array(of) } else { Shape::Map(of) };
                Ok(self.types.add(shape, attributes(object, &TYPE_WORDS, &place)?))
            }
            _ => match Primitive::of(word) {
                Some(primitive) => {
                    Ok(self.types.add(Shape::Primitive(primitive), attributes(object, &TYPE_WORDS, &place)?))
                }
                None if object.len() == 1 => self.by_name(word, namespace, &place.key("type")),
                None => Err(place.refuse(format_args!(
                    "attributes of the type {word:?} stand at its definition, or at the field; here stands its name alone"
                ))),
            },
        }
    }

    fn record(&mut self, object: &Map<String, Value>, namespace: &str, place: Place<'_>) -> Result<TypeId, Invalid> {
        let named = self.named(object, namespace, &place)?;
        let Some(Value::Array(fields)) = object.get("fields") else {
            return Err(place.refuse(format_args!("the record {} has no `fields`, an array", named.name)));
        };
        if fields.len() > SCHEMA_FIELDS_MAX {
            return Err(place.key("fields").refuse(format_args!(
                "the record {} has {} fields, and {SCHEMA_FIELDS_MAX} are allowed; split it into several schemas",
                named.name,
                fields.len()
            )));
        }
        let attributes = attributes(object, &TYPE_WORDS, &place)?;
        let id = self.define(Shape::Record(named.clone(), Record::default()), attributes, &place)?;
        let mut record = Record::default();
        for (position, field) in fields.iter().enumerate() {
            let above = place.key("fields");
            let at = above.index(position);
            let field = self.field(field, &named.name.namespace, &at)?;
            if record.by_name.insert(field.name.clone(), position).is_some() {
                return Err(at.refuse(format_args!("the record {} has the field {} twice", named.name, field.name)));
            }
            if field.default.is_some() {
                self.defaults.push(Defaulted { place: at.to_string(), record: id, field: position });
            }
            record.fields.push(field);
        }
        self.types.complete(id, Shape::Record(named, record));
        Ok(id)
    }

    fn field(&mut self, value: &Value, namespace: &str, place: &Place<'_>) -> Result<Field, Invalid> {
        self.count(1, place)?;
        let object = value.as_object().ok_or_else(|| place.refuse("a field is an object with `name` and `type`"))?;
        let name = text(object, "name", place)?.ok_or_else(|| place.refuse("the field has no `name`"))?;
        if !is_name(name) {
            return Err(place.key("name").refuse(not_a_name(name)));
        }
        let order = text(object, "order", place)?.unwrap_or("ascending");
        let order = Order::of(order).ok_or_else(|| {
            place.key("order").refuse(format_args!("{order:?} is none of ascending, descending and ignore"))
        })?;
        let mut aliases = Vec::new();
        for alias in aliases_of(object, place)? {
            if !is_name(alias) {
                return Err(place.key("aliases").refuse(not_a_name(alias)));
            }
            if !aliases.iter().any(|known| known == alias) {
                aliases.push(alias.to_owned());
            }
        }
        let default = object.get("default").cloned();
        if let Some(default) = &default {
            check_default_size(default, &place.key("default"))?;
        }
        let of = object.get("type").ok_or_else(|| place.refuse(format_args!("the field {name} has no `type`")))?;
        Ok(Field {
            name: name.to_owned(),
            aliases,
            doc: text(object, "doc", place)?.map(str::to_owned),
            default,
            order,
            of: self.schema(of, namespace, place.key("type"))?,
            attributes: attributes(object, &FIELD_WORDS, place)?,
        })
    }

    fn enumeration(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
        place: Place<'_>,
    ) -> Result<TypeId, Invalid> {
        let named = self.named(object, namespace, &place)?;
        if !object.contains_key("symbols") {
            return Err(place.refuse(format_args!("the enum {} has no `symbols`, an array of names", named.name)));
        }
        let at = place.key("symbols");
        let symbols = texts(object, "symbols", &place)?;
        self.count(symbols.len(), &at)?;
        if symbols.len() > SCHEMA_CONSTANTS_MAX {
            let (name, count) = (&named.name, symbols.len());
            return Err(
                at.refuse(format_args!("the enum {name} has {count} symbols, and {SCHEMA_CONSTANTS_MAX} are allowed"))
            );
        }
        let mut known = HashSet::new();
        for symbol in &symbols {
            if !is_name(symbol) {
                return Err(at.refuse(not_a_name(symbol)));
            }
            if !known.insert(*symbol) {
                return Err(at.refuse(format_args!("the enum {} has the symbol {symbol} twice", named.name)));
            }
        }
        let default = text(object, "default", &place)?;
        if let Some(default) = default.filter(|default| !known.contains(default)) {
            return Err(place
                .key("default")
                .refuse(format_args!("{default:?} is no symbol of the enum {}", named.name)));
        }
        let symbols = symbols.into_iter().map(str::to_owned).collect();
        let mut attributes = attributes(object, &TYPE_WORDS, &place)?;
        attributes.remove("default");
        self.define(Shape::Enum(named, Enum { symbols, default: default.map(str::to_owned) }), attributes, &place)
    }

    fn fixed(&mut self, object: &Map<String, Value>, namespace: &str, place: Place<'_>) -> Result<TypeId, Invalid> {
        let named = self.named(object, namespace, &place)?;
        let size = object.get("size").and_then(Value::as_u64).and_then(|size| u32::try_from(size).ok());
        match size {
            Some(size) if (1..=PAYLOAD_BYTES_MAX).contains(&(size as usize)) => {
                self.define(Shape::Fixed(named, size), attributes(object, &TYPE_WORDS, &place)?, &place)
            }
            _ => Err(place.key("size").refuse(format_args!(
                "`size` of the fixed {} is a number of bytes from 1 to {PAYLOAD_BYTES_MAX}",
                named.name
            ))),
        }
    }

    /// The name, aliases and documentation of a definition.
    fn named(&self, object: &Map<String, Value>, enclosing: &str, place: &Place<'_>) -> Result<Named, Invalid> {
        let name =
            text(object, "name", place)?.ok_or_else(|| place.refuse("the type that is defined has no `name`"))?;
        let namespace = text(object, "namespace", place)?.unwrap_or(enclosing);
        let name = FullName::of(name, namespace).map_err(|why| place.key("name").refuse(why))?;
        if Primitive::of(&name.name).is_some() {
            return Err(place
                .key("name")
                .refuse(format_args!("{} is a type of Avro and cannot be defined", name.name)));
        }
        let mut aliases: Vec<FullName> = Vec::new();
        for alias in aliases_of(object, place)? {
            let alias = FullName::of(alias, &name.namespace).map_err(|why| place.key("aliases").refuse(why))?;
            if !aliases.contains(&alias) {
                aliases.push(alias);
            }
        }
        let doc = text(object, "doc", place)?.map(str::to_owned);
        Ok(Named { name, aliases, doc, referenced: self.referenced })
    }

    fn define(&mut self, shape: Shape, attributes: Attributes, place: &Place<'_>) -> Result<TypeId, Invalid> {
        let name = shape.named().expect("what is defined has a name").name.clone();
        if self.names.contains_key(&name) {
            return Err(place.refuse(format_args!("{name} is defined twice; use it by its name the second time")));
        }
        let id = self.types.add(shape, attributes);
        self.names.insert(name, id);
        Ok(id)
    }
}

fn check_sizes(text: &str, references: &[ReferencedText]) -> Result<(), Invalid> {
    let refuse = |why: String| Err(Invalid { why });
    if let Some(text) =
        references.iter().map(|reference| &*reference.text).chain([text]).find(|t| t.len() > SCHEMA_BYTES_MAX)
    {
        return refuse(format!(
            "a schema's text has {} bytes, and {SCHEMA_BYTES_MAX} are allowed; shorten it",
            text.len()
        ));
    }
    if references.len() > SCHEMA_REFERENCES_MAX {
        return refuse(format!(
            "the schema has {} references, those of its references included, and {SCHEMA_REFERENCES_MAX} are allowed",
            references.len()
        ));
    }
    let bytes = text.len() + references.iter().map(|reference| reference.text.len()).sum::<usize>();
    if bytes > SCHEMA_WITH_REFERENCES_BYTES_MAX {
        return refuse(format!(
            "the schema and its references have {bytes} bytes, and {SCHEMA_WITH_REFERENCES_BYTES_MAX} are allowed"
        ));
    }
    Ok(())
}

fn check_default_size(default: &Value, place: &Place<'_>) -> Result<(), Invalid> {
    let bytes = default.to_string().len();
    if bytes > SCHEMA_DEFAULT_BYTES_MAX {
        return Err(place.refuse(format_args!(
            "the default has {bytes} bytes as JSON, and {SCHEMA_DEFAULT_BYTES_MAX} are allowed"
        )));
    }
    check_depth(default, place)
}

fn check_depth(value: &Value, place: &Place<'_>) -> Result<(), Invalid> {
    if nests_within(value, SCHEMA_DEPTH_MAX) {
        return Ok(());
    }
    Err(place.refuse(format_args!("the value nests deeper than {SCHEMA_DEPTH_MAX} levels")))
}

fn nests_within(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| nests_within(item, levels - 1)),
        Value::Object(members) => levels > 0 && members.values().all(|member| nests_within(member, levels - 1)),
        _ => true,
    }
}

/// The place of a type's parts, unless that is too deep.
fn deeper(place: Place<'_>) -> Result<Place<'_>, Invalid> {
    if place.depth < SCHEMA_DEPTH_MAX {
        return Ok(place.inside());
    }
    Err(place.refuse(format_args!(
        "types nest deeper than {SCHEMA_DEPTH_MAX} levels; define inner ones in a schema of their own"
    )))
}

/// All members that have no meaning in the specification.
fn attributes(object: &Map<String, Value>, words: &[&str], place: &Place<'_>) -> Result<Attributes, Invalid> {
    let mut attributes = Attributes::new();
    for (name, value) in object.iter().filter(|(name, _)| !words.contains(&name.as_str())) {
        check_depth(value, &place.key(name))?;
        attributes.insert(name.clone(), value.clone());
    }
    Ok(attributes)
}

fn text<'a>(object: &'a Map<String, Value>, key: &str, place: &Place<'_>) -> Result<Option<&'a str>, Invalid> {
    match object.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(place.key(key).refuse(format_args!("`{key}` is a text in quotes"))),
    }
}

fn texts<'a>(object: &'a Map<String, Value>, key: &str, place: &Place<'_>) -> Result<Vec<&'a str>, Invalid> {
    let wrong = || place.key(key).refuse(format_args!("`{key}` is an array of names in quotes"));
    match object.get(key) {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(|item| item.as_str().ok_or_else(wrong)).collect(),
        Some(_) => Err(wrong()),
    }
}

fn aliases_of<'a>(object: &'a Map<String, Value>, place: &Place<'_>) -> Result<Vec<&'a str>, Invalid> {
    let aliases = texts(object, "aliases", place)?;
    if aliases.len() > SCHEMA_ALIASES_MAX {
        let count = aliases.len();
        let why = format_args!("there are {count} aliases, and {SCHEMA_ALIASES_MAX} are allowed");
        return Err(place.key("aliases").refuse(why));
    }
    Ok(aliases)
}

fn not_a_name(text: &str) -> String {
    let shown: String = text.chars().take(64).collect();
    format!("{shown:?} is no name: a name begins with a letter or _ and goes on with letters, digits and _")
}
