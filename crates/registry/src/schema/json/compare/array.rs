//! Arrays.

use referencing::Draft;
use serde_json::Value;

use super::super::documents::Node;
use super::object::in_place;
use super::scalar::{ITEMS, limits, order};
use super::{Comparison, Found, add, is_anything, is_nothing, under};

/// What an array's elements have to be.
struct Elements<'r> {
    first: Vec<Node<'r>>,
    /// Behind the first ones; `None`: anything.
    rest: Option<Node<'r>>,
    /// `unevaluatedItems` whose meaning depends on other keywords.
    murky: bool,
}

impl<'r> Elements<'r> {
    fn of(node: &Node<'r>) -> Self {
        let parts = |value: Option<&'r Value>| -> Vec<Node<'r>> {
            value.and_then(Value::as_array).into_iter().flatten().map(|value| node.part(value)).collect()
        };
        let items = node.get("items");
        let (first, rest) = match (node.draft, items) {
            (Draft::Draft202012, _) => (parts(node.get("prefixItems")), node.at("items")),
            (_, Some(Value::Array(_))) => (parts(items), node.at("additionalItems")),
            _ => (Vec::new(), node.at("items")),
        };
        let unevaluated = node.at("unevaluatedItems").filter(|node| rest.is_none() && !is_anything(node));
        let depends = in_place(node) || node.get("contains").is_some();
        let murky = unevaluated.is_some() && depends;
        Self { first, rest: rest.or(unevaluated.filter(|_| !depends)), murky }
    }
}

impl Comparison {
    pub(super) fn arrays(&mut self, old: &Node<'_>, new: &Node<'_>, fills: bool, all: &mut Vec<Found>) {
        limits(old, new, &ITEMS, all);
        let unique = |node: &Node<'_>| node.get("uniqueItems") == Some(&Value::Bool(true));
        if unique(new) && !unique(old) {
            add(all, "UNIQUE_ITEMS_ADDED", "uniqueItems");
        }
        self.contains(old, new, all);
        let (before, now) = (Elements::of(old), Elements::of(new));
        if now.murky {
            add(all, "UNEVALUATED_ITEMS_NARROWED", "unevaluatedItems");
        }
        for (at, (one, other)) in before.first.iter().zip(&now.first).enumerate() {
            under(all, &format!("items/{at}"), &self.nodes(one, other, fills));
        }
        for (at, added) in now.first.iter().enumerate().skip(before.first.len()) {
            let kind = match &before.rest {
                _ if is_anything(added) => continue,
                None => "ITEM_ADDED_TO_OPEN_CONTENT_MODEL",
                Some(rest) if self.nodes(rest, added, fills).is_empty() => continue,
                Some(_) => "ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
            };
            add(all, kind, &format!("items/{at}"));
        }
        for (at, removed) in before.first.iter().enumerate().skip(now.first.len()) {
            let kind = match &now.rest {
                Some(rest) if is_nothing(rest) && !is_nothing(removed) => "ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL",
                Some(rest) if !self.nodes(removed, rest, fills).is_empty() => {
                    "ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
                }
                _ => continue,
            };
            add(all, kind, &format!("items/{at}"));
        }
        let tuple = !(before.first.is_empty() && now.first.is_empty());
        let (path, added) =
            if tuple { ("additionalItems", "ADDITIONAL_ITEMS_NARROWED") } else { ("items", "SCHEMA_ADDED") };
        let closed = |rest: &Option<Node<'_>>| rest.as_ref().is_some_and(is_nothing);
        if tuple && closed(&now.rest) && !closed(&before.rest) {
            add(all, "ADDITIONAL_ITEMS_REMOVED", path);
        } else {
            self.maybe(before.rest, now.rest, fills, path, added, all);
        }
    }

    fn contains(&mut self, old: &Node<'_>, new: &Node<'_>, all: &mut Vec<Found>) {
        let Some(now) = new.at("contains") else { return };
        let Some(before) = old.at("contains") else { return add(all, "CONTAINS_ADDED", "contains") };
        under(all, "contains", &self.nodes(&before, &now, false));
        if new.get("maxContains").is_some() && !self.nodes(&now, &before, false).is_empty() {
            add(all, "CONTAINS_CHANGED", "contains");
        }
        let count = |node: &Node<'_>, keyword: &str| match node.get(keyword) {
            Some(Value::Number(number)) => Some(number.clone()),
            _ => None,
        };
        let least = |node: &Node<'_>| count(node, "minContains").unwrap_or_else(|| 1.into());
        if order(&least(new), &least(old)).is_gt() {
            add(all, "MIN_CONTAINS_INCREASED", "minContains");
        }
        match (count(old, "maxContains"), count(new, "maxContains")) {
            (_, None) => {}
            (None, Some(_)) => add(all, "MAX_CONTAINS_ADDED", "maxContains"),
            (Some(before), Some(now)) if order(&now, &before).is_lt() => {
                add(all, "MAX_CONTAINS_DECREASED", "maxContains")
            }
            _ => {}
        }
    }
}
