//! `tidewater fault power-cut`: the line on a simulated disk, crashed at any operation and opened again.

use std::time::Duration;

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use model::Clock;
use sim::power_cut::{self, Broken, Options, Report};

use super::super::bench::duration;
use super::super::output;

mod line;
mod read;
#[cfg(test)]
mod tests;

use line::SimulatedLine;

/// Simulate power cuts at any operation of the disk.
///
/// Journal, pipeline and store run on a disk in memory that loses on a power cut what a real one may lose: any part of
/// what was not synced, of file contents and of directories. After each start everything is compared with a model of what
/// was accepted. Nothing of the machine's disk is touched. A seed decides everything: one that fails, fails again.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tidewater fault power-cut
  tidewater fault power-cut --rounds 100000 --for 10m
  tidewater fault power-cut --seed 4711 --rounds 1    what a failure tells to run")]
pub struct Args {
    /// The first round's seed.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Rounds, each with a fresh directory and some twenty starts.
    #[arg(long, value_name = "N", default_value_t = 100)]
    rounds: u64,
    /// End after this time, whatever rounds are left.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    time: Option<Duration>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    /// Break a guard on purpose.
    #[cfg(feature = "sabotage")]
    #[arg(long = "break", value_name = "GUARD", value_parser = guard)]
    broken: Option<Broken>,
}

#[cfg(feature = "sabotage")]
fn guard(name: &str) -> Result<Broken, String> {
    let found = Broken::ALL.into_iter().find(|(other, _)| *other == name);
    let names = || Broken::ALL.map(|(name, _)| name).join(", ");
    found.map(|(_, broken)| broken).ok_or_else(|| format!("there are: {}", names()))
}

impl Args {
    pub fn run(self) -> Result<()> {
        let clock = Clock::system();
        let bar = ProgressBar::new(self.rounds);
        bar.set_style(ProgressStyle::with_template("{bar:40} {pos} of {len} rounds, {eta} left")?);
        let options = Options { seed: self.seed, rounds: self.rounds, broken: self.broken() };
        // What the line would log of a disk that has crashed is no news here.
        let report = tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), || {
            power_cut::run::<SimulatedLine>(&options, |report| {
                bar.set_position(report.rounds);
                self.time.is_none_or(|time| clock.monotonic() < time)
            })
        });
        bar.finish_and_clear();
        if self.json {
            output::json(&serde_json::to_value(&report)?);
        } else {
            print(&report, clock.monotonic());
        }
        match &report.failure {
            None => Ok(()),
            Some(failure) => {
                bail!(
                    "{}; see it again with `tidewater fault power-cut --seed {} --rounds 1`",
                    failure.what,
                    failure.seed
                )
            }
        }
    }

    #[cfg(feature = "sabotage")]
    fn broken(&self) -> Broken {
        self.broken.unwrap_or_default()
    }

    #[cfg(not(feature = "sabotage"))]
    fn broken(&self) -> Broken {
        Broken::default()
    }
}

fn print(report: &Report, took: Duration) {
    let crashes = report.cuts + report.cuts_at_rest + report.kills;
    output::line(format!(
        "{} rounds, {} starts in {:.1} s: {} power cuts at an operation of the disk ({} of them while starting, up to {} in \
         a row), {} between operations, {} kills, {} orderly stops",
        report.rounds,
        report.opened,
        took.as_secs_f64(),
        report.cuts,
        report.cuts_in_recovery,
        report.cuts_in_a_row,
        report.cuts_at_rest,
        report.kills,
        report.stops
    ));
    output::line(format!(
        "{} operations of the disk: {} segments begun, {} trimmed, {} blocks written, {} removed, {} catalogs, {} snapshots",
        report.operations,
        report.segments_begun,
        report.segments_trimmed,
        report.blocks_written,
        report.blocks_removed,
        report.catalogs,
        report.snapshots
    ));
    output::line(format!(
        "{} payloads accepted, {} acknowledged; {} rows, {} duplicates, {} dead letters; digest {:016x}",
        report.payloads, report.acknowledged, report.rows, report.duplicates, report.dead_letters, report.digest
    ));
    let Some(failure) = &report.failure else {
        output::line(format!("{} checks after {crashes} crashes: 0 failed", report.checks));
        return;
    };
    for line in &failure.trace {
        output::line(line);
    }
    let cut_at = failure.cut_at.map_or_else(String::new, |at| format!(", after a power cut at operation {at}"));
    output::line(format!("FAILED in life {} of seed {}{cut_at}: {}", failure.life, failure.seed, failure.what));
}
