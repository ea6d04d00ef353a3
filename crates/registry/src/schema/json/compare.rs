//! Whether one schema takes everything that another one takes: the differences from the old to the new one by the rules of
//! Confluent's registry, as its documentation describes them, and stricter wherever those let data pass that the new schema
//! refuses.
//!
//! Schemas may be recursive: a pair that is being compared is taken as compatible, and if it turns out not to be, all is
//! compared again with that known.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use model::limits::SCHEMA_NODES_MAX;
use regex_automata::meta::Regex;
use serde_json::Value;

use super::documents::{Documents, Node};
use super::form::{Criterion, Form, Kind, Part, View};
use super::value::equal;
use super::{Difference, pattern};

mod array;
mod combined;
mod disjoint;
mod object;
mod scalar;
mod sentence;

/// Schemas within schemas, references followed.
const DEPTH_MAX: usize = 96;
/// Differences that are told of one place.
const DIFFERENCES_MAX: usize = 64;

/// From what `old` takes to what `new` takes.
pub fn compare(old: &Documents, new: &Documents) -> Vec<Difference> {
    let mut comparison = Comparison::default();
    let (old, new) = (View::all(old.root()), View::all(new.root()));
    let found = loop {
        comparison.done.clear();
        comparison.again = false;
        let found = comparison.views(&old, &new, true);
        if !comparison.again {
            break found;
        }
    };
    found.iter().map(|found| sentence::of(found.kind, &found.path)).collect()
}

/// A difference, with the way to it from where it was looked for.
#[derive(Clone)]
struct Found {
    kind: &'static str,
    path: String,
}

type Differences = Rc<Vec<Found>>;

/// Old, new, and whether the reader's defaults fill in for what is missing.
type Pair = (*const Value, Part, *const Value, Part, bool);

#[derive(Default)]
struct Comparison {
    /// `None`: being compared.
    done: HashMap<Pair, Option<Differences>>,
    /// Taken as compatible while being compared.
    assumed: HashSet<Pair>,
    /// Wrongly so.
    refuted: HashSet<Pair>,
    again: bool,
    compared: usize,
    depth: usize,
    patterns: HashMap<String, Option<Regex>>,
}

fn one(kind: &'static str) -> Differences {
    Rc::new(vec![Found { kind, path: String::new() }])
}

impl Comparison {
    fn views(&mut self, old: &View<'_>, new: &View<'_>, fills: bool) -> Differences {
        let pair = (std::ptr::from_ref(old.node.value), old.part, std::ptr::from_ref(new.node.value), new.part, fills);
        match self.done.get(&pair) {
            Some(Some(done)) => return Rc::clone(done),
            Some(None) if self.refuted.contains(&pair) => return one("TYPE_CHANGED"),
            Some(None) => {
                self.assumed.insert(pair);
                return Rc::default();
            }
            None => {}
        }
        self.compared += 1;
        if self.compared > SCHEMA_NODES_MAX || self.depth == DEPTH_MAX {
            return one("SCHEMA_TOO_LARGE");
        }
        self.done.insert(pair, None);
        self.depth += 1;
        let found = self.forms(old, new, fills);
        self.depth -= 1;
        if !found.is_empty() && self.assumed.contains(&pair) && self.refuted.insert(pair) {
            self.again = true;
        }
        self.done.insert(pair, Some(Rc::clone(&found)));
        found
    }

    fn nodes(&mut self, old: &Node<'_>, new: &Node<'_>, fills: bool) -> Differences {
        self.views(&View::all(old.clone()), &View::all(new.clone()), fills)
    }

    fn compatible(&mut self, old: &View<'_>, new: &View<'_>, fills: bool) -> bool {
        self.views(old, new, fills).is_empty()
    }

    fn forms(&mut self, old: &View<'_>, new: &View<'_>, fills: bool) -> Differences {
        let mut all = Vec::new();
        match (old.form(), new.form()) {
            (_, Form::Anything) | (Form::Nothing, _) => {}
            (Form::Combined(before, members), Form::Combined(now, others)) => {
                self.combined(before, &members, now, &others, fills, &mut all);
            }
            (_, Form::Combined(criterion, members)) if self.is_member(old, criterion, &members, fills) => {}
            (Form::Combined(Criterion::All, members), _)
                if members.iter().any(|member| self.compatible(member, new, fills)) => {}
            (Form::Plain(before, typed, old), Form::Plain(now, now_typed, new)) => {
                if now_typed && !typed {
                    add(&mut all, "TYPE_NARROWED", "type");
                }
                self.plain(before, &old, now, &new, fills, &mut all);
            }
            (Form::Enum(before), Form::Enum(now)) => enums(before, now, &mut all),
            (Form::Const(before), Form::Const(now)) if equal(before, now) => {}
            (Form::Const(_), Form::Const(_)) => add(&mut all, "ENUM_ARRAY_CHANGED", "const"),
            (Form::Not(before), Form::Not(now)) => {
                if !self.nodes(&now, &before, false).is_empty() {
                    add(&mut all, "NOT_TYPE_EXTENDED", "not");
                }
            }
            (Form::If(before), Form::If(now)) => self.conditional(&before, &now, fills, &mut all),
            _ => add(&mut all, "TYPE_CHANGED", ""),
        }
        Rc::new(all)
    }

    fn plain(&mut self, before: Kind, old: &Node<'_>, now: Kind, new: &Node<'_>, fills: bool, all: &mut Vec<Found>) {
        match (before, now) {
            (Kind::Null, Kind::Null) | (Kind::Boolean, Kind::Boolean) => {}
            (Kind::String, Kind::String) => scalar::strings(old, new, all),
            (Kind::Integer | Kind::Number, Kind::Integer | Kind::Number) => scalar::numbers(before, old, now, new, all),
            (Kind::Array, Kind::Array) => self.arrays(old, new, fills, all),
            (Kind::Object, Kind::Object) => self.objects(old, new, fills, all),
            _ => return add(all, "TYPE_CHANGED", ""),
        }
        scalar::words(old, new, &["format", "contentEncoding", "contentMediaType"], all);
    }

    /// The condition has to be the same; what follows from it may widen.
    fn conditional(&mut self, old: &Node<'_>, new: &Node<'_>, fills: bool, all: &mut Vec<Found>) {
        if let (Some(before), Some(now)) = (old.at("if"), new.at("if"))
            && !(self.nodes(&before, &now, false).is_empty() && self.nodes(&now, &before, false).is_empty())
        {
            add(all, "CONDITION_CHANGED", "if");
        }
        for keyword in ["then", "else"] {
            self.maybe(old.at(keyword), new.at(keyword), fills, keyword, "SCHEMA_ADDED", all);
        }
    }

    /// Two schemas of which either may be absent, and then takes anything.
    fn maybe(
        &mut self,
        old: Option<Node<'_>>,
        new: Option<Node<'_>>,
        fills: bool,
        path: &str,
        added: &'static str,
        all: &mut Vec<Found>,
    ) {
        match (old, new) {
            (_, None) => {}
            (None, Some(new)) => {
                if !is_anything(&new) {
                    add(all, added, path);
                }
            }
            (Some(old), Some(new)) => under(all, path, &self.nodes(&old, &new, fills)),
        }
    }

    /// Whether a regular expression of a schema is found in a name.
    fn found(&mut self, pattern: &str, name: &str) -> bool {
        if !self.patterns.contains_key(pattern) {
            let compiled = pattern::translate(pattern).ok().map(|(_, compiled)| compiled);
            self.patterns.insert(pattern.to_owned(), compiled);
        }
        self.patterns[pattern].as_ref().is_some_and(|regex| regex.is_match(name))
    }
}

fn is_anything(node: &Node<'_>) -> bool {
    matches!(View::all(node.clone()).form(), Form::Anything)
}

fn is_nothing(node: &Node<'_>) -> bool {
    matches!(View::all(node.clone()).form(), Form::Nothing)
}

fn add(all: &mut Vec<Found>, kind: &'static str, path: &str) {
    if all.len() < DIFFERENCES_MAX {
        all.push(Found { kind, path: if path.is_empty() { String::new() } else { format!("/{path}") } });
    }
}

/// Takes over what was found under a keyword.
fn under(all: &mut Vec<Found>, path: &str, found: &Differences) {
    let room = DIFFERENCES_MAX.saturating_sub(all.len());
    all.extend(found.iter().take(room).map(|found| Found { kind: found.kind, path: format!("/{path}{}", found.path) }));
}

fn enums(before: &[Value], now: &[Value], all: &mut Vec<Found>) {
    let within = |some: &[Value], others: &[Value]| some.iter().all(|one| others.iter().any(|other| equal(one, other)));
    if !within(before, now) {
        add(all, if within(now, before) { "ENUM_ARRAY_NARROWED" } else { "ENUM_ARRAY_CHANGED" }, "enum");
    }
}
