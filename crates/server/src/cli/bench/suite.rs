//! `tidewater bench --suite`: the whole table, and how it compares with the baseline.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use indicatif::ProgressBar;
use serde_json::json;
use sim::bench::Bench;
use sim::bench::suite::baseline::{Baseline, Comparison};
use sim::bench::suite::peers::Brokers;
use sim::bench::suite::{self, Part, ROWS, ROWS_FULL, SUSTAINED, Section, SuiteConfig};

use super::duration;
use crate::cli::output;

/// The table of `make bench`.
#[derive(clap::Args, Debug)]
pub struct SuiteArgs {
    /// Measure the whole table instead of one load.
    #[arg(long, conflicts_with_all = ["url", "data", "acked_log", "null", "null_only", "config"])]
    pub suite: bool,
    /// The parts of the table: ingest, devices, schema, paced, slow-sync, sustained, idle, queries, growth [default: all but
    /// growth, which takes minutes].
    #[arg(long, value_name = "PART,…", requires = "suite", value_delimiter = ',', value_parser = part)]
    parts: Vec<Part>,
    /// Rounds of each load; a figure is their median.
    #[arg(long, value_name = "N", requires = "suite", default_value_t = 3)]
    rounds: usize,
    /// Length of the sustained run [default: 20s, with --full 60s].
    #[arg(long, value_name = "TIME", requires = "suite", value_parser = duration)]
    sustained: Option<Duration>,
    /// Rows that the queries run over [default: 10,000,000, with --full 50,000,000].
    #[arg(long, value_name = "N", requires = "suite")]
    rows: Option<u64>,
    /// Everything at full length.
    #[arg(long, requires = "suite")]
    full: bool,
    /// Measure mosquitto in the same run: the path of the program.
    #[arg(long, value_name = "FILE", requires = "suite")]
    mosquitto: Option<PathBuf>,
    /// Measure rumqttd in the same run: the path of the program.
    #[arg(long, value_name = "FILE", requires = "suite")]
    rumqttd: Option<PathBuf>,
    /// Compare with the scores in this file; exit code 1 if one is worse by more than its margin.
    #[arg(long, value_name = "FILE", requires = "suite")]
    baseline: Option<PathBuf>,
    /// Put what was measured into the baseline instead.
    #[arg(long, requires = "baseline")]
    write_baseline: bool,
}

fn part(text: &str) -> Result<Part, String> {
    let names = || Part::ALL.map(Part::name).join(", ");
    Part::ALL.into_iter().find(|part| part.name() == text).ok_or_else(|| format!("expected one of {}", names()))
}

impl SuiteArgs {
    /// Measures and prints; each part when it is there, unless `as_json`.
    pub fn run(&self, bench: Bench<'_>, parent: &Path, as_json: bool, bar: &ProgressBar) -> Result<()> {
        let show = |section: &Section| {
            if !as_json {
                bar.suspend(|| print(section));
            }
        };
        // Read before anything is measured: a mistake in it should not cost ten minutes.
        let baseline = match &self.baseline {
            Some(path) if self.write_baseline && !path.exists() => Some((path, Baseline::default())),
            Some(path) => Some((path, Baseline::read(path)?)),
            None => None,
        };
        let sections = suite::run(bench, &self.config(parent), show)?;
        let comparisons = match baseline {
            Some((path, mut baseline)) if self.write_baseline => {
                baseline.renew(machine(), &sections);
                baseline.write(path)?;
                Vec::new()
            }
            Some((_, baseline)) => baseline.compare(&sections),
            None => Vec::new(),
        };
        bar.finish_and_clear();
        if as_json {
            output::json(&json!({"machine": machine(), "sections": sections, "comparisons": comparisons}));
        } else if !comparisons.is_empty() {
            print_comparisons(&comparisons);
        }
        let slower: Vec<&str> =
            comparisons.iter().filter(|found| found.slower).map(|found| found.key.as_str()).collect();
        if !slower.is_empty() {
            bail!("worse than the baseline by more than noise explains: {}", slower.join(", "));
        }
        Ok(())
    }

    fn config(&self, parent: &Path) -> SuiteConfig {
        let usual = || Part::ALL.into_iter().filter(|part| self.full || part.is_usual()).collect();
        SuiteConfig {
            parent: parent.to_owned(),
            rounds: self.rounds.max(1),
            sustained: self.sustained.unwrap_or(if self.full { 3 * SUSTAINED } else { SUSTAINED }),
            rows: self.rows.unwrap_or(if self.full { ROWS_FULL } else { ROWS }),
            peers: Brokers { mosquitto: self.mosquitto.clone(), rumqttd: self.rumqttd.clone() },
            parts: if self.parts.is_empty() { usual() } else { self.parts.clone() },
        }
    }
}

fn print(section: &Section) {
    output::line(format!("\n== {}\n", section.title));
    output::table(&section.headings, &section.rows);
    section.notes.iter().for_each(|note| output::line(format!("  {note}")));
}

fn print_comparisons(comparisons: &[Comparison]) {
    output::line(
        "\n== Beside the baseline: shares of the null server, or times in the messages that it takes meanwhile\n",
    );
    let number = |number: f64| format!("{number:.3}");
    let row = |found: &Comparison| {
        let change = found.baseline.map(|baseline| format!("{:+.1} %", (found.value / baseline - 1.0) * 100.0));
        let verdict = match (found.slower, found.baseline) {
            (true, _) => "WORSE",
            (false, Some(_)) => "ok",
            (false, None) => "new",
        };
        let baseline = found.baseline.map_or_else(String::new, number);
        let margin = format!("{:.0} %", found.margin * 100.0);
        vec![found.key.clone(), number(found.value), baseline, change.unwrap_or_default(), margin, verdict.to_owned()]
    };
    let rows: Vec<Vec<String>> = comparisons.iter().map(row).collect();
    output::table(&["", "now", "baseline", "change", "margin", ""], &rows);
}

/// The machine in a few words.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(": ")?.1.to_owned()));
    format!("{cores} cores, {}", model.unwrap_or_else(|| "of an unknown kind".to_owned()))
}
