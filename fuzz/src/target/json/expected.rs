//! What a message should become, by the rules for messages and serde_json's reading of it: written for clearness, not for
//! speed, and without a line of the pipeline's.

use std::collections::{BTreeMap, BTreeSet};

use model::UnknownFields;
use model::limits::{
    METRIC_NAME_BYTES_MAX, METRIC_TEXT_BYTES_MAX, METRICS_PER_MESSAGE_MAX, TAG_BYTES_MAX, TAGS_PER_MESSAGE_MAX,
};

use super::tree::Tree;

#[derive(Clone, PartialEq, Debug)]
pub enum Expected {
    Accepted(Reading),
    Rejected,
}

/// A row.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Reading {
    pub ts: Option<i64>,
    pub seq: Option<u64>,
    pub boot: Option<u32>,
    pub buffered: bool,
    pub metrics: BTreeMap<String, Metric>,
    pub tags: BTreeMap<String, String>,
    /// It has a number that may have been an integer beyond 64 bits, which serde_json rounds and does not tell: it may be
    /// rejected as not exact.
    pub rounded: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Metric {
    /// The bits of a double.
    Number(u64),
    Bool(bool),
    Text(String),
}

/// A rule that a message breaks.
struct Broken;

impl Reading {
    /// Whether a later message may count as this one sent again.
    pub fn is_twin(&self, later: &Self) -> bool {
        match (self.seq, later.seq) {
            (Some(one), Some(other)) => one == other,
            (None, None) => self.ts == later.ts && self.metrics == later.metrics,
            _ => false,
        }
    }
}

impl Expected {
    pub fn of(message: &Tree, unknown_fields: UnknownFields) -> Self {
        let Tree::Object(members) = message else { return Self::Rejected };
        read(members, unknown_fields).map_or(Self::Rejected, Self::Accepted)
    }
}

fn read(members: &[(String, Tree)], unknown_fields: UnknownFields) -> Result<Reading, Broken> {
    let (mut reading, mut seen) = (Reading::default(), BTreeSet::new());
    for (name, value) in members {
        let known = ["ts", "metrics", "seq", "boot", "buffered", "tags"].contains(&name.as_str());
        if known && !seen.insert(name.as_str()) {
            return Err(Broken);
        }
        let integer = value.integer();
        match (name.as_str(), value) {
            ("ts", _) => reading.ts = Some(integer.and_then(|ts| ts.try_into().ok()).ok_or(Broken)?),
            ("seq", _) => reading.seq = Some(integer.and_then(|seq| seq.try_into().ok()).ok_or(Broken)?),
            ("boot", _) => reading.boot = Some(integer.and_then(|boot| boot.try_into().ok()).ok_or(Broken)?),
            ("buffered", Tree::Bool(buffered)) => reading.buffered = *buffered,
            ("metrics", Tree::Object(metrics)) => {
                for (name, value) in metrics {
                    add(&mut reading, name, value)?;
                }
            }
            ("tags", Tree::Object(tags)) => reading.tags = read_tags(tags)?,
            _ if known => return Err(Broken),
            (_, Tree::Null | Tree::Object(_) | Tree::Array(_)) if unknown_fields == UnknownFields::Keep => {}
            _ => match unknown_fields {
                UnknownFields::Keep => add(&mut reading, name, value)?,
                UnknownFields::Drop => {}
                UnknownFields::Reject => return Err(Broken),
            },
        }
    }
    if reading.metrics.is_empty() { Err(Broken) } else { Ok(reading) }
}

fn add(reading: &mut Reading, name: &str, value: &Tree) -> Result<(), Broken> {
    reading.rounded |= matches!(value, Tree::Float(value) if value.abs() >= (1_u64 << 63) as f64);
    let name_fits = (1..=METRIC_NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control);
    let metric = match value {
        Tree::Whole(value) => Metric::Number(exact(i128::from(*value))?),
        Tree::Negative(value) => Metric::Number(exact(i128::from(*value))?),
        Tree::Float(value) => Metric::Number(value.to_bits()),
        Tree::Bool(value) => Metric::Bool(*value),
        Tree::Text(text) if text.len() <= METRIC_TEXT_BYTES_MAX => Metric::Text(text.clone()),
        _ => return Err(Broken),
    };
    let is_new = reading.metrics.insert(name.to_owned(), metric).is_none();
    if name_fits && is_new && reading.metrics.len() <= METRICS_PER_MESSAGE_MAX { Ok(()) } else { Err(Broken) }
}

/// *Number-not-exact*.
fn exact(value: i128) -> Result<u64, Broken> {
    let double = value as f64;
    if double as i128 == value { Ok(double.to_bits()) } else { Err(Broken) }
}

fn read_tags(members: &[(String, Tree)]) -> Result<BTreeMap<String, String>, Broken> {
    let mut tags = BTreeMap::new();
    for (name, value) in members {
        let Tree::Text(text) = value else { return Err(Broken) };
        let fits = (1..=TAG_BYTES_MAX).contains(&name.len()) && text.len() <= TAG_BYTES_MAX;
        if !fits || tags.insert(name.clone(), text.clone()).is_some() {
            return Err(Broken);
        }
    }
    if tags.len() <= TAGS_PER_MESSAGE_MAX { Ok(tags) } else { Err(Broken) }
}
