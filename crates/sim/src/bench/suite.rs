//! The table of `make bench`: many loads on the server, each beside the null server in the same run.
//!
//! A part is a group of figures that belong together and ends in a [`Section`]: rows for a person, scores for the
//! comparison. A [`Score`] is what one machine has in common with another: a share of the null server, bytes a row, or a
//! time in messages that the null server takes meanwhile. [`baseline`] holds them against what was committed.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::Value;

use super::{Bench, Figures, Step, raise_descriptors};

pub mod baseline;
mod cases;
mod growth;
mod idle;
mod ingest;
pub mod peers;
mod queries;
mod slow_sync;
mod sustained;
mod table;

use peers::Brokers;
pub use queries::{ROWS, ROWS_FULL};
pub use sustained::USUAL as SUSTAINED;

/// How much is measured.
#[derive(Clone, Debug)]
pub struct SuiteConfig {
    /// Where the servers' data goes.
    pub parent: PathBuf,
    /// Rounds of each load; a figure is their median.
    pub rounds: usize,
    /// How long the sustained run takes.
    pub sustained: Duration,
    /// Rows that the queries run over.
    pub rows: u64,
    /// Other brokers to measure in the same run.
    pub peers: Brokers,
    /// The parts to run, in their order.
    pub parts: Vec<Part>,
}

/// A part of the suite.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// As fast as the window allows, one device a connection.
    Ingest,
    /// An API key that speaks for many devices.
    Devices,
    /// The same with a schema, beside it without one.
    Schema,
    /// Open loop.
    Paced,
    /// fdatasync slowed.
    SlowSync,
    Sustained,
    /// Connections that say nothing.
    Idle,
    Queries,
    /// Start-up with a million devices and 10 GB of journal.
    Growth,
}

impl Part {
    pub const ALL: [Self; 9] = [
        Self::Ingest,
        Self::Devices,
        Self::Schema,
        Self::Paced,
        Self::SlowSync,
        Self::Sustained,
        Self::Idle,
        Self::Queries,
        Self::Growth,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Devices => "devices",
            Self::Schema => "schema",
            Self::Paced => "paced",
            Self::SlowSync => "slow-sync",
            Self::Sustained => "sustained",
            Self::Idle => "idle",
            Self::Queries => "queries",
            Self::Growth => "growth",
        }
    }

    /// Whether the part is run where nothing else is asked for: growth takes minutes.
    pub fn is_usual(self) -> bool {
        self != Self::Growth
    }
}

/// The figures of one part.
#[derive(Clone, Debug, Serialize)]
pub struct Section {
    pub title: String,
    pub headings: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
    /// What has to be said about them.
    pub notes: Vec<String>,
    pub scores: Vec<Score>,
    /// Every round's figures.
    pub data: Value,
}

/// A figure that can be held against another machine's.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Score {
    pub key: String,
    pub value: f64,
    pub better: Better,
    /// How far it may be worse than the baseline before that is more than noise, as a share of the baseline.
    pub margin: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    Higher,
    Lower,
}

/// Connections that any part makes at most, beside those of the idle part.
const CONNECTIONS_MAX: usize = 10_000;

/// Runs the parts in their order and gives each section away when it is there.
pub fn run(bench: Bench<'_>, config: &SuiteConfig, mut done: impl FnMut(&Section)) -> Result<Vec<Section>> {
    raise_descriptors(CONNECTIONS_MAX)?;
    let mut sections = Vec::new();
    for part in &config.parts {
        if bench.stop.wanted() {
            bail!("stopped before all parts were measured");
        }
        (bench.step)(Step::Part(part.name().to_owned()));
        let section = match part {
            Part::Ingest => ingest::windows(bench, config),
            Part::Devices => ingest::devices(bench, config),
            Part::Schema => ingest::under_schema(bench, config),
            Part::Paced => ingest::paced(bench, config),
            Part::SlowSync => slow_sync::run(bench, config),
            Part::Sustained => sustained::run(bench, config),
            Part::Idle => idle::run(bench, config),
            Part::Queries => queries::run(bench, config),
            Part::Growth => growth::run(bench, config),
        }?;
        done(&section);
        sections.push(section);
    }
    Ok(sections)
}

/// The middle of the rounds; the mean of the two in the middle if their number is even.
fn median(rounds: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = rounds.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        even if even % 2 == 0 => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
        _ => Some(sorted[middle]),
    }
}

/// The median of one figure over the rounds that have it.
fn middle(rounds: &[Figures], figure: impl Fn(&Figures) -> Option<f64>) -> Option<f64> {
    median(rounds.iter().filter_map(figure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median([]), None);
    }

    #[test]
    fn every_part_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Part::ALL.iter().map(|part| part.name()).collect();
        assert_eq!(names.len(), Part::ALL.len());
    }
}
