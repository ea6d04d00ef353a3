//! From a contract and the rules of a class to a form.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use model::ClassRules;
use model::contract::{Field as Described, Kind, Others as OthersRule, Part, Root, Rule, Value};
use model::rules::Conversion;

use super::{Check, Default, Form, Level, Member, Node, Others, Patterns, Slot};
use crate::draft::is_name;

/// A contract that messages cannot be checked by, in a sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unusable(pub String);

/// Slots are in the order of the contract's fields, with those of the envelope that it does not name behind them.
pub fn compile(root: &Root, rules: &ClassRules, patterns: &Patterns) -> Result<Form, Unusable> {
    let mut conversions = Vec::new();
    let others = match &root.others {
        OthersRule::Class => Others::Class,
        OthersRule::Reject => Others::Reject,
        OthersRule::Like(rule) => {
            let named =
                |metric: &str| root.fields.iter().any(|field| field.part == Part::Metric && field.name == metric);
            for canonical in rules.units.iter().filter(|canonical| !named(&canonical.metric)) {
                let conversion = conversion(&canonical.metric, rule, rules)?;
                conversions.extend(conversion.map(|conversion| (canonical.metric.as_str().into(), conversion)));
            }
            let mut check = Check::new(rule, patterns).map_err(Unusable)?;
            check.as_double = !conversions.is_empty();
            Others::Like(check)
        }
    };
    let top = Node::new(Vec::new(), if root.whole { Level::Envelope } else { Level::Metrics }, root.whole);
    let mut form = Form {
        whole: root.whole,
        nodes: vec![top],
        slots: Vec::new(),
        required: Vec::new(),
        defaults: Vec::new(),
        default_tags: Vec::new(),
        metrics: 0,
        others,
        conversions,
    };
    let mut names = HashSet::new();
    for field in &root.fields {
        let kept = field.part == Part::Metric && !field.rule.kinds.is_empty();
        if kept && !is_name(field.name.as_bytes()) {
            return Err(Unusable(format!(
                "the name of the metric `{}` is empty, too long or not printable",
                field.name
            )));
        }
        if kept && !names.insert(&field.name) {
            return Err(Unusable(format!("two fields are the metric `{}`", field.name)));
        }
        form.add(field, rules, patterns)?;
    }
    form.add_envelope(rules);
    form.default_tags.sort();
    Ok(form)
}

impl Form {
    fn add(&mut self, field: &Described, rules: &ClassRules, patterns: &Patterns) -> Result<(), Unusable> {
        let Some((last, records)) = field.path.split_last() else {
            return Err(Unusable(format!("the field `{}` has no path", field.name)));
        };
        let mut check =
            Check::new(&field.rule, patterns).map_err(|why| Unusable(format!("{}: {why}", field.path.join("."))))?;
        let conversion = match field.part {
            Part::Metric => conversion(&field.name, &field.rule, rules)?,
            _ => None,
        };
        check.as_double = conversion.is_some();
        self.conversions.extend(conversion.map(|conversion| (field.name.as_str().into(), conversion)));
        let slot = self.slots.len() as u32;
        let default = field.default.as_ref().and_then(|value| default(value, &check, conversion));
        match (field.part, default.as_ref(), &field.default) {
            (Part::Metric, Some(_), _) => self.defaults.push(slot),
            (Part::Tag, _, Some(Value::Text(text))) if !text.is_empty() => {
                self.default_tags.push((field.name.as_str().into(), text.as_str().into()));
            }
            _ => {}
        }
        if field.required && field.default.is_none() {
            self.required.push(slot);
        }
        let mut node = 0;
        for depth in 1..=records.len() {
            node = self.child(node, &records[..depth], field.part);
        }
        self.nodes[node as usize].add(last.as_bytes(), Member::Slot(slot));
        self.slots.push(Slot {
            name: field.name.as_str().into(),
            path: field.path.iter().map(|part| part.as_bytes().into()).collect(),
            part: field.part,
            ts_unit: if let Part::Ts(Some(unit)) = field.part { unit } else { rules.ts_unit },
            check: Arc::new(check),
            conversion,
            default,
        });
        Ok(())
    }

    /// The record at this path, made if need be.
    fn child(&mut self, parent: u32, path: &[String], part: Part) -> u32 {
        let name = path.last().map_or("", String::as_str);
        if let Some(Member::Node(known)) = self.nodes[parent as usize].find(name) {
            return known;
        }
        let level = match path.len() {
            1 if self.whole && name == "metrics" => Level::Metrics,
            1 if part == Part::Tag => Level::Tags,
            _ => Level::Nested,
        };
        let path = path.iter().map(|part| part.as_bytes().into()).collect();
        let number = self.nodes.len() as u32;
        self.nodes.push(Node::new(path, level, self.whole));
        self.nodes[parent as usize].add(name.as_bytes(), Member::Node(number));
        number
    }

    /// The parts of a message that a schema need not name. A flat schema that takes nothing else is taken at its word.
    fn add_envelope(&mut self, rules: &ClassRules) {
        if self.whole {
            self.metrics = self.child(0, &["metrics".to_owned()], Part::Metric);
        }
        let names = |form: &Self, name: &str| form.nodes[0].find(name).is_some();
        if !names(self, "tags") {
            self.nodes[0].add(b"tags", Member::Tags);
        }
        if !self.whole && matches!(self.others, Others::Reject) {
            return;
        }
        let parts = [("ts", Part::Ts(None)), ("seq", Part::Seq), ("boot", Part::Boot), ("buffered", Part::Buffered)];
        for (name, part) in parts {
            if !names(self, name) {
                self.nodes[0].add(name.as_bytes(), Member::Slot(self.slots.len() as u32));
                self.slots.push(Slot {
                    name: name.into(),
                    path: vec![name.as_bytes().into()],
                    part,
                    ts_unit: rules.ts_unit,
                    check: Arc::new(
                        Check::new(&Rule::default(), &Patterns::default()).expect("a rule without a pattern"),
                    ),
                    conversion: None,
                    default: None,
                });
            }
        }
    }
}

impl Node {
    fn new(path: Vec<Box<[u8]>>, level: Level, whole: bool) -> Self {
        let mut prefix = Vec::new();
        for part in path.iter().skip(usize::from(whole)) {
            prefix.extend_from_slice(part);
            prefix.push(b'.');
        }
        Self { path, prefix: prefix.into(), level, members: Vec::new(), by_name: HashMap::new() }
    }

    fn find(&self, name: &str) -> Option<Member> {
        self.by_name.get(name.as_bytes()).map(|at| self.members[*at as usize].1)
    }

    fn add(&mut self, name: &[u8], member: Member) {
        self.by_name.insert(name.into(), self.members.len() as u32);
        self.members.push((name.into(), member));
    }
}

/// From the unit that a rule gives a metric to the class's.
fn conversion(metric: &str, rule: &Rule, rules: &ClassRules) -> Result<Option<Conversion>, Unusable> {
    let canonical = rules.units.iter().find(|canonical| canonical.metric == metric);
    let (Some(sent), Some(canonical)) = (&rule.unit, canonical) else { return Ok(None) };
    if *sent == canonical.unit || !rule.kinds.iter().any(|kind| matches!(kind, Kind::Double | Kind::Long)) {
        return Ok(None);
    }
    match canonical.from.iter().find(|(unit, _)| unit == sent) {
        Some((_, conversion)) if *conversion == Conversion::NONE => Ok(None),
        Some((_, conversion)) => Ok(Some(*conversion)),
        None => Err(Unusable(format!(
            "the metric `{metric}` has the unit {sent}, and the class has no conversion of it into {}",
            canonical.unit
        ))),
    }
}

fn default(value: &Value, check: &Check, conversion: Option<Conversion>) -> Option<Default> {
    let number = |number: f64| {
        let number = conversion.map_or(number, |conversion| conversion.apply(number));
        number.is_finite().then_some(Default::Double(number))
    };
    Some(match value {
        Value::Double(value) => number(*value)?,
        Value::Long(value) if check.takes(Kind::Long) && conversion.is_none() => Default::Long(*value),
        Value::Long(value) => number(*value as f64)?,
        Value::Bool(value) => Default::Bool(*value),
        Value::Text(value) => Default::Text(Arc::from(value.as_str())),
    })
}
