//! Whether a schema is another one with optional properties added: what stays within a major version.

use std::collections::{BTreeSet, HashSet};

use model::limits::SCHEMA_NODES_MAX;
use serde_json::Value;

use super::Difference;
use super::documents::{Documents, Node};
use super::value::equal;

/// Schemas within schemas, references followed.
const DEPTH_MAX: usize = 96;
/// Keywords whose value is a schema, an array of them, an object of them.
const ONE: [&str; 10] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "else",
    "if",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
const MANY: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
const NAMED: [&str; 3] = ["dependencies", "dependentSchemas", "patternProperties"];
/// Keywords whose value has to stay as it is, and what their change is called.
const FIXED: [(&str, &str); 28] = [
    ("unit", "UNIT_CHANGED"),
    ("ts_unit", "UNIT_CHANGED"),
    ("default", "DEFAULT_CHANGED"),
    ("const", "ENUM_ARRAY_CHANGED"),
    ("pattern", "PATTERN_CHANGED"),
    ("format", "FORMAT_CHANGED"),
    ("contentEncoding", "FORMAT_CHANGED"),
    ("contentMediaType", "FORMAT_CHANGED"),
    ("minimum", "MINIMUM_CHANGED"),
    ("maximum", "MAXIMUM_CHANGED"),
    ("exclusiveMinimum", "EXCLUSIVE_MINIMUM_CHANGED"),
    ("exclusiveMaximum", "EXCLUSIVE_MAXIMUM_CHANGED"),
    ("multipleOf", "MULTIPLE_OF_CHANGED"),
    ("minLength", "MIN_LENGTH_CHANGED"),
    ("maxLength", "MAX_LENGTH_CHANGED"),
    ("minItems", "MIN_ITEMS_CHANGED"),
    ("maxItems", "MAX_ITEMS_CHANGED"),
    ("uniqueItems", "UNIQUE_ITEMS_CHANGED"),
    ("minContains", "MIN_CONTAINS_CHANGED"),
    ("maxContains", "MAX_CONTAINS_CHANGED"),
    ("minProperties", "MIN_PROPERTIES_CHANGED"),
    ("maxProperties", "MAX_PROPERTIES_CHANGED"),
    ("dependentRequired", "DEPENDENCY_ARRAY_CHANGED"),
    ("$dynamicRef", "TYPE_CHANGED"),
    ("$recursiveRef", "TYPE_CHANGED"),
    ("$dynamicAnchor", "TYPE_CHANGED"),
    ("$recursiveAnchor", "TYPE_CHANGED"),
    ("$schema", "DIALECT_CHANGED"),
];

pub fn beyond(before: &Documents, now: &Documents) -> Vec<Difference> {
    let mut additions = Additions { seen: HashSet::new(), found: Vec::new(), depth: 0 };
    additions.nodes(&before.root(), &now.root(), "#");
    additions.found
}

struct Additions {
    seen: HashSet<(*const Value, *const Value)>,
    found: Vec<Difference>,
    depth: usize,
}

impl Additions {
    fn add(&mut self, kind: &'static str, path: String, detail: String) {
        self.found.push(Difference { kind, path, detail });
    }

    /// A keyword says something else than before.
    fn changed(
        &mut self,
        kind: &'static str,
        keyword: &str,
        path: &str,
        (before, now): (Option<&Value>, Option<&Value>),
    ) {
        let detail = format!("`{keyword}` at `{path}` is {} and was {}", short(now), short(before));
        self.add(kind, format!("{path}/{keyword}"), detail);
    }

    fn nodes(&mut self, old: &Node<'_>, new: &Node<'_>, path: &str) {
        if !self.seen.insert((std::ptr::from_ref(old.value), std::ptr::from_ref(new.value))) {
            return;
        }
        if self.seen.len() > SCHEMA_NODES_MAX || self.depth == DEPTH_MAX {
            if self.found.last().is_none_or(|found| found.kind != "SCHEMA_TOO_LARGE") {
                let detail =
                    format!("the schemas are too large or too deep to be compared at `{path}`; make them smaller");
                self.add("SCHEMA_TOO_LARGE", path.to_owned(), detail);
            }
            return;
        }
        self.depth += 1;
        if old.value.is_object() && new.value.is_object() {
            self.references(old, new, path);
            self.sets(old, new, path);
            self.fixed(old, new, path);
            self.properties(old, new, path);
            self.parts(old, new, path);
        } else if old.value != new.value {
            self.add(
                "TYPE_CHANGED",
                path.to_owned(),
                format!("`{path}` is {} and was {}", short(Some(new.value)), short(Some(old.value))),
            );
        }
        self.depth -= 1;
    }

    /// A reference may take another name, if it leads to the same.
    fn references(&mut self, old: &Node<'_>, new: &Node<'_>, path: &str) {
        let target = |node: &Node<'_>| node.get("$ref").and_then(Value::as_str).map(str::to_owned);
        match (target(old), target(new)) {
            (None, None) => {}
            (Some(before), Some(now)) => match (old.follow(&before), new.follow(&now)) {
                (Ok(old), Ok(new)) => self.nodes(&old, &new, path),
                _ => self.add("TYPE_CHANGED", path.to_owned(), format!("`$ref` at `{path}` leads nowhere")),
            },
            _ => self.add(
                "TYPE_CHANGED",
                path.to_owned(),
                format!("`{path}` is described in place in one version and by `$ref` in the other"),
            ),
        }
    }

    /// `type`, `enum`, `required`: sets, in whatever order.
    fn sets(&mut self, old: &Node<'_>, new: &Node<'_>, path: &str) {
        for (keyword, kind) in [("type", "TYPE_CHANGED"), ("enum", "ENUM_ARRAY_CHANGED")] {
            let (before, now) = (old.get(keyword), new.get(keyword));
            let same = match (before, now) {
                (Some(before), Some(now)) => {
                    let (before, now) = (list(before), list(now));
                    let within = |some: &[Value], others: &[Value]| {
                        some.iter().all(|one| others.iter().any(|other| equal(one, other)))
                    };
                    within(before, now) && within(now, before)
                }
                (before, now) => before.is_none() && now.is_none(),
            };
            if !same {
                self.changed(kind, keyword, path, (before, now));
            }
        }
        let names = |node: &Node<'_>| -> BTreeSet<String> {
            let names = node.get("required").and_then(Value::as_array).into_iter().flatten();
            names.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let known = |name: &String| old.at("properties").is_some_and(|part| part.get(name).is_some());
        let added = |name: &String| !known(name) && new.at("properties").is_some_and(|part| part.get(name).is_some());
        let (before, now) = (names(old), names(new));
        for name in now.difference(&before) {
            if added(name) {
                self.add(
                    "REQUIRED_PROPERTY_ADDED",
                    format!("{path}/properties/{name}"),
                    format!("`{name}` at `{path}` is new and required; only optional properties may be added"),
                );
            } else {
                self.add(
                    "REQUIRED_ATTRIBUTE_ADDED",
                    format!("{path}/required"),
                    format!("`{name}` at `{path}` is required now and was optional"),
                );
            }
        }
        for name in before.difference(&now) {
            self.add(
                "REQUIRED_ATTRIBUTE_REMOVED",
                format!("{path}/required"),
                format!("`{name}` at `{path}` is optional now and was required"),
            );
        }
    }

    fn fixed(&mut self, old: &Node<'_>, new: &Node<'_>, path: &str) {
        for (keyword, kind) in FIXED {
            let (before, now) = (old.get(keyword), new.get(keyword));
            let same = match (before, now) {
                (Some(before), Some(now)) => equal(before, now),
                (before, now) => before.is_none() && now.is_none(),
            };
            if !same {
                self.changed(kind, keyword, path, (before, now));
            }
        }
    }

    fn properties(&mut self, old: &Node<'_>, new: &Node<'_>, path: &str) {
        let (before, now) = (old.at("properties"), new.at("properties"));
        for (name, value) in before.as_ref().and_then(|part| part.value.as_object()).into_iter().flatten() {
            let at = format!("{path}/properties/{}", name.replace('~', "~0").replace('/', "~1"));
            let old = before.as_ref().map(|part| part.part(value));
            match (old, now.as_ref().and_then(|part| part.at(name))) {
                (Some(old), Some(new)) => self.nodes(&old, &new, &at),
                _ => {
                    let detail = format!("`{at}` was removed or renamed");
                    self.add("PROPERTY_REMOVED", at, detail);
                }
            }
        }
        // What was let in by a schema for unnamed properties was of its type, and may not be of the new one's.
        let by_schema = ["additionalProperties", "unevaluatedProperties"]
            .iter()
            .any(|keyword| old.get(keyword).is_some_and(Value::is_object));
        let by_pattern = old.get("patternProperties").is_some();
        for (name, value) in now.iter().filter_map(|part| part.value.as_object()).flatten() {
            let known = before.as_ref().is_some_and(|part| part.get(name).is_some());
            let like = old.get("additionalProperties").or_else(|| old.get("unevaluatedProperties"));
            let same_type =
                like.is_some_and(|like| like.get("type").is_some() && like.get("type") == value.get("type"));
            if !known && (by_pattern || (by_schema && !same_type)) {
                let at = format!("{path}/properties/{}", name.replace('~', "~0").replace('/', "~1"));
                let detail = format!("`{at}` is new, and messages could have it before, of another type");
                self.add("PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", at, detail);
            }
        }
    }

    fn parts(&mut self, old: &Node<'_>, new: &Node<'_>, path: &str) {
        for keyword in ONE {
            self.part(old.at(keyword), new.at(keyword), format!("{path}/{keyword}"));
        }
        for keyword in MANY {
            self.elements(old, new, keyword, path);
        }
        if old.get("items").is_some_and(Value::is_array) && new.get("items").is_some_and(Value::is_array) {
            self.elements(old, new, "items", path);
        } else {
            self.part(old.at("items"), new.at("items"), format!("{path}/items"));
        }
        for keyword in NAMED {
            let names = |node: &Node<'_>| -> BTreeSet<String> {
                node.get(keyword)
                    .and_then(Value::as_object)
                    .into_iter()
                    .flatten()
                    .map(|(name, _)| name.clone())
                    .collect()
            };
            for name in names(old).union(&names(new)) {
                let (before, now) = (old.at(keyword), new.at(keyword));
                self.part(
                    before.and_then(|part| part.at(name)),
                    now.and_then(|part| part.at(name)),
                    format!("{path}/{keyword}/{}", name.replace('~', "~0").replace('/', "~1")),
                );
            }
        }
    }

    fn elements(&mut self, old: &Node<'_>, new: &Node<'_>, keyword: &str, path: &str) {
        let parts = |value: Option<&Value>| value.and_then(Value::as_array).map_or(0, Vec::len);
        for at in 0..parts(old.get(keyword)).max(parts(new.get(keyword))) {
            let before = old.get(keyword).and_then(|list| list.get(at)).map(|value| old.part(value));
            let now = new.get(keyword).and_then(|list| list.get(at)).map(|value| new.part(value));
            self.part(before, now, format!("{path}/{keyword}/{at}"));
        }
    }

    fn part(&mut self, old: Option<Node<'_>>, new: Option<Node<'_>>, path: String) {
        match (old, new) {
            (None, None) => {}
            (Some(old), Some(new)) => self.nodes(&old, &new, &path),
            (old, _) => {
                let detail = format!(
                    "`{path}` is {}",
                    if old.is_some() { "gone" } else { "new, and is more than an optional property" }
                );
                self.add(if old.is_some() { "SCHEMA_REMOVED" } else { "SCHEMA_ADDED" }, path, detail);
            }
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

/// A value as a sentence shows it.
fn short(value: Option<&Value>) -> String {
    let Some(value) = value else { return "absent".to_owned() };
    let text = value.to_string();
    let mut shown: String = text.chars().take(80).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
