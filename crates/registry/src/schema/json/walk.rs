//! The limits of a schema: its texts, and each schema within it.

use model::limits::{
    SCHEMA_BYTES_MAX, SCHEMA_CONSTANTS_MAX, SCHEMA_DEFAULT_BYTES_MAX, SCHEMA_FIELDS_MAX, SCHEMA_NODES_MAX,
    SCHEMA_PATTERN_BYTES_MAX, SCHEMA_PATTERNS_COMPILED_BYTES_MAX, SCHEMA_REFERENCES_MAX,
    SCHEMA_WITH_REFERENCES_BYTES_MAX,
};
use serde_json::Value;
use std::collections::HashSet;

use super::documents::Node;
use super::{Invalid, ReferencedText, invalid, pattern};

/// Keywords whose value is a schema, an array of schemas, an object of schemas.
const ONE: [&str; 12] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
const MANY: [&str; 5] = ["allOf", "anyOf", "items", "oneOf", "prefixItems"];
const NAMED: [&str; 6] =
    ["$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"];

/// Of the texts, before anything reads them.
pub fn bounded(text: &str, references: &[ReferencedText]) -> Result<(), Invalid> {
    if text.len() > SCHEMA_BYTES_MAX {
        return invalid(format!(
            "the schema is {} bytes long, at most {SCHEMA_BYTES_MAX} are allowed; split it into schemas that refer to each other",
            text.len()
        ));
    }
    if references.len() > SCHEMA_REFERENCES_MAX {
        return invalid(format!(
            "the schema has {} references, at most {SCHEMA_REFERENCES_MAX} are allowed",
            references.len()
        ));
    }
    let all = references.iter().map(|reference| reference.text.len()).sum::<usize>() + text.len();
    if all > SCHEMA_WITH_REFERENCES_BYTES_MAX {
        return invalid(format!(
            "the schema and its references are {all} bytes long together, at most {SCHEMA_WITH_REFERENCES_BYTES_MAX} are allowed"
        ));
    }
    Ok(())
}

/// Of the schema and all that it leads to.
pub fn check(root: &Node<'_>) -> Result<(), Invalid> {
    let mut seen = HashSet::new();
    let mut expressions = Expressions::default();
    let mut waiting = vec![(root.clone(), "#".to_owned())];
    while let Some((node, path)) = waiting.pop() {
        if !seen.insert(std::ptr::from_ref(node.value)) {
            continue;
        }
        if seen.len() > SCHEMA_NODES_MAX {
            return invalid(format!("the schema has more than {SCHEMA_NODES_MAX} parts; describe fewer at once"));
        }
        fields(&node, &path)?;
        constants(&node, &path)?;
        default(&node, &path)?;
        for (pattern, at) in patterns(&node) {
            expressions.add(pattern).or_else(|why| invalid(format!("the `{at}` at `{path}` {why}")))?;
        }
        if let Some(reference) = node.get("$ref").and_then(Value::as_str) {
            let target = node.follow(reference).or_else(|why| invalid(format!("`$ref` at `{path}`: {why}")))?;
            waiting.push((target, format!("{path}/$ref")));
        }
        waiting.extend(parts(&node).map(|(part, key)| (part, format!("{path}/{key}"))));
    }
    Ok(())
}

/// The different regular expressions of a schema.
#[derive(Default)]
struct Expressions<'r> {
    seen: HashSet<&'r str>,
    bytes: usize,
    compiled_bytes: usize,
}

impl<'r> Expressions<'r> {
    /// `Err`: the end of a sentence that says why this one is refused.
    fn add(&mut self, pattern: &'r str) -> Result<(), String> {
        if !self.seen.insert(pattern) {
            return Ok(());
        }
        self.bytes += pattern.len();
        if self.bytes > 16 * SCHEMA_PATTERN_BYTES_MAX {
            return Err(format!(
                "makes the schema's regular expressions longer than {} bytes together; use shorter or fewer ones",
                16 * SCHEMA_PATTERN_BYTES_MAX
            ));
        }
        let (_, compiled) = pattern::translate(pattern)?;
        self.compiled_bytes += compiled.memory_usage();
        if self.compiled_bytes > SCHEMA_PATTERNS_COMPILED_BYTES_MAX {
            return Err(format!(
                "makes the schema's regular expressions take more than {} KiB together when compiled; use fewer different \
                 ones, or make their counted repetitions smaller",
                SCHEMA_PATTERNS_COMPILED_BYTES_MAX >> 10
            ));
        }
        Ok(())
    }
}

fn fields(node: &Node<'_>, path: &str) -> Result<(), Invalid> {
    let count = node.get("properties").and_then(Value::as_object).map_or(0, |properties| properties.len());
    if count > SCHEMA_FIELDS_MAX {
        return invalid(format!(
            "`{path}/properties` has {count} properties, at most {SCHEMA_FIELDS_MAX} are allowed: as many as a message may have \
             metrics"
        ));
    }
    Ok(())
}

fn constants(node: &Node<'_>, path: &str) -> Result<(), Invalid> {
    let count = node.get("enum").and_then(Value::as_array).map_or(0, Vec::len);
    if count > SCHEMA_CONSTANTS_MAX {
        return invalid(format!("`{path}/enum` has {count} values, at most {SCHEMA_CONSTANTS_MAX} are allowed"));
    }
    Ok(())
}

fn default(node: &Node<'_>, path: &str) -> Result<(), Invalid> {
    let bytes = node.get("default").map_or(0, |default| default.to_string().len());
    if bytes > SCHEMA_DEFAULT_BYTES_MAX {
        return invalid(format!(
            "`{path}/default` is {bytes} bytes long, at most {SCHEMA_DEFAULT_BYTES_MAX} are allowed"
        ));
    }
    Ok(())
}

/// The regular expressions of one schema, and under which keyword.
fn patterns<'r>(node: &Node<'r>) -> impl Iterator<Item = (&'r str, &'static str)> {
    let pattern = node.get("pattern").and_then(Value::as_str).map(|pattern| (pattern, "pattern"));
    let named = node.get("patternProperties").and_then(Value::as_object);
    pattern.into_iter().chain(named.into_iter().flatten().map(|(pattern, _)| (pattern.as_str(), "patternProperties")))
}

/// The schemas directly within one, with the way to them.
fn parts<'r>(node: &Node<'r>) -> impl Iterator<Item = (Node<'r>, String)> {
    let one = ONE.iter().filter_map(|key| node.at(key).map(|part| (part, (*key).to_owned())));
    let many = MANY.iter().flat_map(|key| {
        let elements = node.get(key).and_then(Value::as_array).into_iter().flatten();
        elements.enumerate().map(move |(index, value)| (node.part(value), format!("{key}/{index}")))
    });
    let named = NAMED.iter().flat_map(|key| {
        let entries = node.get(key).and_then(Value::as_object).into_iter().flatten();
        entries.map(move |(name, value)| {
            (node.part(value), format!("{key}/{}", name.replace('~', "~0").replace('/', "~1")))
        })
    });
    one.chain(many).chain(named).collect::<Vec<_>>().into_iter()
}
