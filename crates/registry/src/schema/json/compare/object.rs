//! Objects: properties under open, closed and partially open content models.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::documents::Node;
use super::scalar::{PROPERTIES, limits};
use super::{Comparison, Found, add, is_anything, is_nothing, under};

/// What an object's properties have to be.
struct Model<'r> {
    properties: Option<Node<'r>>,
    required: BTreeSet<&'r str>,
    patterns: Vec<(&'r str, Node<'r>)>,
    /// Of properties that neither a name nor a pattern describes; `None`: anything.
    rest: Option<Node<'r>>,
    /// `unevaluatedProperties` whose meaning depends on other keywords.
    murky: bool,
}

/// Whether a schema has others beside it that describe the same value.
pub fn in_place(node: &Node<'_>) -> bool {
    ["$ref", "allOf", "anyOf", "oneOf", "if", "not", "dependentSchemas", "$dynamicRef", "$recursiveRef"]
        .iter()
        .any(|keyword| node.get(keyword).is_some())
}

impl<'r> Model<'r> {
    fn of(node: &Node<'r>) -> Self {
        let required = node.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let patterns = node.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
        let rest = node.at("additionalProperties");
        let unevaluated = node.at("unevaluatedProperties").filter(|node| rest.is_none() && !is_anything(node));
        let depends = in_place(node);
        Self {
            properties: node.at("properties"),
            required: required.collect(),
            patterns: patterns.map(|(pattern, value)| (pattern.as_str(), node.part(value))).collect(),
            murky: unevaluated.is_some() && depends,
            rest: rest.or(unevaluated.filter(|_| !depends)),
        }
    }

    fn names(&self) -> impl Iterator<Item = &'r str> + use<'r> {
        self.properties
            .as_ref()
            .and_then(|node| node.value.as_object())
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
    }

    fn property(&self, name: &str) -> Option<Node<'r>> {
        self.properties.as_ref()?.at(name)
    }

    fn is_open(&self) -> bool {
        self.patterns.is_empty() && self.rest.as_ref().is_none_or(is_anything)
    }
}

impl Comparison {
    pub(super) fn objects(&mut self, old: &Node<'_>, new: &Node<'_>, fills: bool, all: &mut Vec<Found>) {
        limits(old, new, &PROPERTIES, all);
        self.maybe(
            old.at("propertyNames"),
            new.at("propertyNames"),
            false,
            "propertyNames",
            "PROPERTY_NAMES_ADDED",
            all,
        );
        self.dependencies(old, new, all);
        let (before, now) = (Model::of(old), Model::of(new));
        if now.murky {
            add(all, "UNEVALUATED_PROPERTIES_NARROWED", "unevaluatedProperties");
        }
        for name in before.names() {
            let path = format!("properties/{}", name.replace('~', "~0").replace('/', "~1"));
            match (before.property(name), now.property(name)) {
                (Some(one), Some(other)) => under(all, &path, &self.nodes(&one, &other, fills)),
                (Some(one), None) => self.removed(name, &one, &now, fills, &path, all),
                _ => {}
            }
        }
        for name in now.names().filter(|name| before.property(name).is_none()) {
            let path = format!("properties/{}", name.replace('~', "~0").replace('/', "~1"));
            if let Some(added) = now.property(name) {
                self.added(name, &added, &before, &now, fills, &path, all);
            }
        }
        for name in now.required.difference(&before.required) {
            // Required and new: said with the property.
            let property = now.property(name);
            if property.is_some() && before.property(name).is_none() {
                continue;
            }
            if !(fills && property.is_some_and(|property| property.get("default").is_some())) {
                add(all, "REQUIRED_ATTRIBUTE_ADDED", &format!("required/{name}"));
            }
        }
        self.patterns(&before, &now, fills, all);
        let closed = |rest: &Option<Node<'_>>| rest.as_ref().is_some_and(is_nothing);
        if closed(&now.rest) && !closed(&before.rest) {
            add(all, "ADDITIONAL_PROPERTIES_REMOVED", "additionalProperties");
        } else {
            self.maybe(before.rest, now.rest, fills, "additionalProperties", "ADDITIONAL_PROPERTIES_NARROWED", all);
        }
    }

    fn removed(&mut self, name: &str, old: &Node<'_>, now: &Model<'_>, fills: bool, path: &str, all: &mut Vec<Found>) {
        let covering = self.covering(name, now);
        let bad = match covering.as_slice() {
            [] => now.rest.as_ref().is_some_and(|rest| !self.nodes(old, rest, fills).is_empty()),
            schemas => schemas.iter().any(|schema| !self.nodes(old, schema, fills).is_empty()),
        };
        if bad {
            let closed = covering.is_empty() && now.rest.as_ref().is_some_and(is_nothing);
            add(
                all,
                if closed {
                    "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL"
                } else {
                    "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
                },
                path,
            );
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn added(
        &mut self,
        name: &str,
        new: &Node<'_>,
        before: &Model<'_>,
        now: &Model<'_>,
        fills: bool,
        path: &str,
        all: &mut Vec<Found>,
    ) {
        let required = now.required.contains(name) && !before.required.contains(name);
        let default = fills && new.get("default").is_some();
        if before.is_open() {
            let kind = match (required, default) {
                (false, _) if is_anything(new) => return,
                (false, _) => "OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL",
                (true, true) => "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL",
                (true, false) => "REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL",
            };
            return add(all, kind, path);
        }
        let covering = self.covering(name, before);
        let covered = match covering.as_slice() {
            [] => before.rest.as_ref().map_or_else(|| is_anything(new), |rest| self.nodes(rest, new, fills).is_empty()),
            schemas => schemas.iter().any(|schema| self.nodes(schema, new, fills).is_empty()),
        };
        if !covered {
            add(all, "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", path);
        }
        if required && !default {
            add(all, "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL", path);
        }
    }

    /// The schemas of the patterns that describe a name.
    fn covering<'r>(&mut self, name: &str, model: &Model<'r>) -> Vec<Node<'r>> {
        let found = model.patterns.iter().filter(|(pattern, _)| self.found(pattern, name));
        found.map(|(_, schema)| schema.clone()).collect()
    }

    /// A pattern may widen, or go where everything is let in that it let in. A new one describes names that it did not.
    fn patterns(&mut self, before: &Model<'_>, now: &Model<'_>, fills: bool, all: &mut Vec<Found>) {
        for (pattern, new) in &now.patterns {
            let path = format!("patternProperties/{}", pattern.replace('~', "~0").replace('/', "~1"));
            match before.patterns.iter().find(|(other, _)| other == pattern) {
                Some((_, old)) => under(all, &path, &self.nodes(old, new, fills)),
                None if is_anything(new) => {}
                None => add(all, "PATTERN_PROPERTY_ADDED", &path),
            }
        }
        for (pattern, old) in &before.patterns {
            let gone = now.patterns.iter().all(|(other, _)| other != pattern);
            if gone && now.rest.as_ref().is_some_and(|rest| !self.nodes(old, rest, fills).is_empty()) {
                let path = format!("patternProperties/{}", pattern.replace('~', "~0").replace('/', "~1"));
                add(all, "PATTERN_PROPERTY_REMOVED_NOT_COVERED", &path);
            }
        }
    }

    /// `dependencies` of names, and of schemas.
    fn dependencies(&mut self, old: &Node<'_>, new: &Node<'_>, all: &mut Vec<Found>) {
        for keyword in ["dependencies", "dependentRequired", "dependentSchemas"] {
            let Some(now) = new.at(keyword) else { continue };
            let names = |value: &Value| -> Option<BTreeSet<String>> {
                Some(value.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            };
            for (name, value) in now.value.as_object().into_iter().flatten() {
                let other = if keyword == "dependentRequired" || keyword == "dependentSchemas" {
                    "dependencies"
                } else {
                    keyword
                };
                let before = old
                    .at(keyword)
                    .and_then(|part| part.at(name))
                    .or_else(|| old.at(other).and_then(|part| part.at(name)));
                let path = format!("{keyword}/{name}");
                match (names(value), before) {
                    (Some(now), before) => match before.and_then(|before| names(before.value)) {
                        Some(before) if now.is_subset(&before) => {}
                        Some(before) if before.is_subset(&now) => add(all, "DEPENDENCY_ARRAY_EXTENDED", &path),
                        Some(_) => add(all, "DEPENDENCY_ARRAY_CHANGED", &path),
                        None => add(all, "DEPENDENCY_ARRAY_ADDED", &path),
                    },
                    (None, Some(before)) if names(before.value).is_none() => {
                        under(all, &path, &self.nodes(&before, &now.part(value), false));
                    }
                    (None, _) => add(all, "DEPENDENCY_SCHEMA_ADDED", &path),
                }
            }
        }
    }
}
