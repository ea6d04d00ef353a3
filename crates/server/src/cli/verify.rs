//! `tidewater verify`: compares what was acknowledged with what is there.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use model::Clock;
use sim::check::Counts;
use sim::verify::{self, Verdict, VerifyConfig};

use super::bench::duration;
use super::output;
use super::target::TargetArgs;

/// Compare an acked-set log with what the server has, as counts.
///
/// Reads every message of the log's devices back through the query API, and with --data also the journal, and fails if
/// anything that must be zero is not. Without the journal, order and consistency cannot be checked, and what is unseen
/// counts as lost.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tidewater bench --data DIR --acked-log run.acked --duration 30s
  tidewater verify --data DIR --acked-log run.acked
  tidewater verify --url http://127.0.0.1:8080 --key twk_… --acked-log run.acked --json")]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    /// The log that `tidewater bench --acked-log` wrote.
    #[arg(long, value_name = "FILE")]
    acked_log: PathBuf,
    /// The journal's directory, if it is not DIR/journal.
    #[arg(long, value_name = "DIR")]
    journal: Option<PathBuf>,
    /// A key of another tenant, with which nothing of the log may be readable.
    #[arg(long, value_name = "KEY")]
    foreign_key: Option<String>,
    /// How long to wait for what was acknowledged to be queryable.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    wait: Duration,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(self) -> Result<()> {
        let target = self.target.resolve()?;
        let in_data = target.data.as_ref().map(|data| data.join("journal")).filter(|journal| journal.is_dir());
        let config = VerifyConfig {
            url: target.url.clone(),
            key: target.key.clone(),
            foreign_key: self.foreign_key.clone(),
            acked_log: self.acked_log.clone(),
            journal: self.journal.clone().or(in_data),
            wait: self.wait,
        };
        let bar = ProgressBar::new(0);
        bar.set_style(ProgressStyle::with_template("{bar:40} {pos} of {len} devices, {eta} left")?);
        let verdict = verify::run(&config, &Clock::system(), |done, all| {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        })?;
        bar.finish_and_clear();
        if self.json {
            output::json(&serde_json::to_value(verdict)?);
        } else {
            print(&verdict);
        }
        if !verdict.clean {
            bail!("not everything that was acknowledged is there as it was sent");
        }
        Ok(())
    }
}

fn print(verdict: &Verdict) {
    let counts = &verdict.counts;
    let Counts { devices, sent, acked, stored, dead_lettered, refused_but_stored, .. } = counts;
    output::line(format!("{devices} devices, at most {sent} messages sent, {acked} acknowledged, {stored} stored"));
    let shown = |count: Option<u64>| count.map_or("not checked".to_owned(), |count| count.to_string());
    let must = counts.must_be_zero().map(|(name, count)| vec![name.to_owned(), shown(count), "0".to_owned()]);
    let may = [("dead-lettered instead of stored", dead_lettered), ("refused but stored", refused_but_stored)];
    let may = may.map(|(name, count)| vec![name.to_owned(), count.to_string(), "any".to_owned()]);
    output::table(&["", "found", "allowed"], &must.into_iter().chain(may).collect::<Vec<_>>());
    if verdict.log_torn_bytes > 0 {
        eprintln!("the log ends in {} bytes that its generator did not complete", verdict.log_torn_bytes);
    }
}
