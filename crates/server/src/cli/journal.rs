//! `tidewater journal`: looks into a journal on disk, while a server is running or not, and repairs one that no server has
//! open.

mod dump;
mod repair;

use std::path::PathBuf;

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use journal::inspect::{self, LogReport};
use serde_json::{Value, json};

use super::output;

/// Look into a journal on disk, or repair it.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tidewater journal check
  tidewater journal dump --from 10042 --limit 1
  tidewater journal repair")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    Check(Check),
    Dump(dump::Dump),
    Repair(repair::Repair),
}

/// Read every frame and say what is sound, torn or damaged. Fails if anything durable cannot be read.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  tidewater journal check --data /var/lib/tidewater")]
struct Check {
    #[command(flatten)]
    place: Place,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Where the journal is.
#[derive(clap::Args, Debug)]
struct Place {
    /// The data directory.
    #[arg(long, env = "TIDEWATER_DATA", value_name = "DIR", default_value = "./tidewater-data")]
    data: PathBuf,
    /// The journal's directory, if it is not DIR/journal.
    #[arg(long, value_name = "DIR")]
    journal: Option<PathBuf>,
}

impl Place {
    fn dir(&self) -> Result<PathBuf> {
        let dir = self.journal.clone().unwrap_or_else(|| self.data.join("journal"));
        if !dir.is_dir() {
            bail!("there is no journal at {}: give the data directory with --data", dir.display());
        }
        Ok(dir)
    }
}

impl Args {
    pub fn run(self) -> Result<()> {
        match self.action {
            Action::Check(check) => check.run(),
            Action::Dump(dump) => dump.run(),
            Action::Repair(repair) => repair.run(),
        }
    }
}

impl Check {
    fn run(self) -> Result<()> {
        let dir = self.place.dir()?;
        let bar = ProgressBar::new_spinner();
        bar.set_style(ProgressStyle::with_template("{spinner} {bytes} read, {bytes_per_sec}")?);
        let reports = inspect::check(&disk::RealDisk, &dir, &mut |bytes| bar.inc(bytes))?;
        bar.finish_and_clear();
        if self.json {
            output::json(&json!({"logs": reports.iter().map(document).collect::<Vec<_>>()}));
        } else {
            reports.iter().for_each(print);
        }
        let unsound = reports.iter().filter(|report| !report.is_sound()).count();
        if unsound > 0 {
            bail!(
                "{unsound} of {} logs are damaged: restore what is missing from a copy; `tidewater journal repair` says what \
                 can be done without one",
                reports.len()
            );
        }
        Ok(())
    }
}

fn print(report: &LogReport) {
    let LogReport { topic, partition, oldest, end, segments, .. } = report;
    let partition = partition.0;
    let frames: u64 = segments.iter().map(|segment| segment.frames).sum();
    let bytes: u64 = segments.iter().map(|segment| segment.frame_bytes).sum();
    let verdict = if report.is_sound() { "sound" } else { "DAMAGED" };
    output::line(format!(
        "{topic}: {verdict}, {partition}-{oldest} to {partition}-{end}, {frames} frames, {bytes} bytes in {} segments",
        segments.len()
    ));
    for range in &report.corrupt {
        let (from, to) = (range.start, range.end);
        output::line(format!("  corrupt: {partition}-{from} up to {partition}-{to} was durable and cannot be read"));
    }
    for damage in &report.damage {
        output::line(format!("  damaged: {damage}"));
    }
    if let Some((path, position)) = &report.torn_at {
        let (bytes, batches, path) = (report.torn_bytes, report.torn_batches, path.display());
        output::line(format!(
            "  torn tail: {bytes} bytes ({batches} whole batches) from byte {position} of {path} were never durable; \
             the next start cuts them"
        ));
    }
}

fn document(report: &LogReport) -> Value {
    let segments = report.segments.iter().map(|segment| {
        json!({
            "id": segment.id, "path": segment.path, "file_bytes": segment.file_bytes, "base": segment.base,
            "frames": segment.frames, "frame_bytes": segment.frame_bytes, "broken": segment.broken,
        })
    });
    let corrupt = report.corrupt.iter().map(|range| json!({"from": range.start, "to": range.end}));
    json!({
        "topic": report.topic.name(), "partition": report.partition, "sound": report.is_sound(),
        "oldest": report.oldest, "end": report.end, "watermark": report.watermark,
        "torn_bytes": report.torn_bytes, "torn_batches": report.torn_batches,
        "corrupt": corrupt.collect::<Vec<_>>(), "damage": report.damage, "segments": segments.collect::<Vec<_>>(),
    })
}
