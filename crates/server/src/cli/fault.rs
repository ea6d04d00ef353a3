//! `tidewater fault`: breaks things around a server and counts what came of it.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use model::Clock;
use serde_json::json;
use sim::fault::{self, Context, Outcome, SCENARIOS, Scenario, Verdict};

use super::output;
use super::target::stop_on_signals;

mod power_cut;

/// Break things around a server of this run and count what came of it.
///
/// Each scenario starts the server on a directory of its own, puts it under load, makes happen what it has to survive, and
/// compares what was acknowledged with what is there. It prints its counts in one line and fails if a promise is broken.
/// Some need root, strace or faketime; where one is missing the scenario is skipped and says so, which is a failure with
/// CI=true.
#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "Examples:
  tidewater fault list
  tidewater fault kill --rounds 20
  tidewater fault eio stall --seed 7
  tidewater fault all --share 0.1
  tidewater fault power-cut --rounds 1000   simulated, without a server")]
pub struct Args {
    #[command(subcommand)]
    simulated: Option<Simulated>,
    /// Scenarios; `list` says which there are, `all` runs every one.
    #[arg(value_name = "SCENARIO", required = true)]
    scenarios: Vec<String>,
    /// Decides the moments, positions and choices [default: one of the clock].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Rounds of each scenario.
    #[arg(long, value_name = "N", conflicts_with = "share", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Share of each scenario's own number of rounds.
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    share: f64,
    /// Another binary to be put to the test.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Directory below which data is put for the run [default: the system's temporary directory].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Write the outcomes as a table into this file, between its markers.
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// What no tool outside of a process can do.
#[derive(clap::Subcommand, Debug)]
enum Simulated {
    PowerCut(power_cut::Args),
}

impl Args {
    pub fn run(self) -> Result<()> {
        if let Some(Simulated::PowerCut(args)) = self.simulated {
            return args.run();
        }
        if self.scenarios.iter().any(|name| name == "list") {
            return self.list();
        }
        ensure!(self.share > 0.0, "a share is greater than zero");
        let scenarios = self.chosen()?;
        let (clock, stop) = (Clock::system(), stop_on_signals()?);
        let binary = self.binary.clone().map_or_else(std::env::current_exe, Ok)?;
        let seed = self.seed.unwrap_or_else(|| clock.now_ms() as u64 % 1_000_000);
        let parent = self.dir.clone().unwrap_or_else(std::env::temp_dir);
        let bar = ProgressBar::new_spinner();
        bar.set_style(ProgressStyle::with_template("{spinner} {prefix}: {wide_msg}")?);
        bar.enable_steady_tick(std::time::Duration::from_millis(100));
        let mut outcomes = Vec::new();
        for scenario in scenarios.iter().take_while(|_| !stop.wanted()) {
            bar.set_prefix(scenario.name);
            let rounds = self.rounds.unwrap_or_else(|| fault::share_of(scenario, self.share));
            let say = |what| bar.set_message(what);
            let context =
                Context { binary: &binary, parent: &parent, clock: &clock, stop: &stop, seed, rounds, say: &say };
            let outcome = fault::run(scenario, &context);
            bar.suspend(|| self.print(&outcome));
            outcomes.push(outcome);
        }
        bar.finish_and_clear();
        ensure!(!stop.wanted(), "stopped before every scenario had run");
        if let Some(file) = &self.table {
            let heading = format!("Seed {seed}, {} of the rounds.", self.part());
            fault::table::write(file, &heading, &outcomes)?;
        }
        judge(&outcomes)
    }

    fn part(&self) -> String {
        match self.rounds {
            Some(rounds) => format!("{rounds}"),
            None => format!("{:.0} %", self.share * 100.0),
        }
    }

    fn list(&self) -> Result<()> {
        if self.json {
            let document =
                |one: &Scenario| json!({"name": one.name, "what": one.what, "must": one.must, "rounds": one.rounds});
            output::json(&json!({"scenarios": SCENARIOS.iter().map(document).collect::<Vec<_>>()}));
            return Ok(());
        }
        for scenario in SCENARIOS {
            output::line(format!("{:10} {} rounds: {}", scenario.name, scenario.rounds, scenario.what));
            output::line(format!("{:10} must hold: {}", "", scenario.must));
        }
        Ok(())
    }

    fn chosen(&self) -> Result<Vec<&'static Scenario>> {
        let mut chosen = Vec::new();
        for name in &self.scenarios {
            match (name.as_str(), fault::find(name)) {
                ("all", _) => chosen.extend(SCENARIOS),
                (_, Some(scenario)) => chosen.push(scenario),
                (_, None) => bail!("there is no scenario `{name}`: `tidewater fault list` says which there are"),
            }
        }
        Ok(chosen)
    }

    fn print(&self, outcome: &Outcome) {
        if self.json {
            output::json(&json!(outcome));
        } else {
            output::line(outcome.line());
        }
        if let Verdict::Skipped(why) = &outcome.verdict {
            eprintln!("tidewater: {} was SKIPPED: {why}", outcome.name);
        }
    }
}

/// Fails if a promise is broken, or where everything has to run, if something could not.
fn judge(outcomes: &[Outcome]) -> Result<()> {
    let broken = outcomes.iter().filter(|outcome| outcome.is_broken()).count();
    let skipped = outcomes.iter().filter(|outcome| matches!(outcome.verdict, Verdict::Skipped(_))).count();
    if broken > 0 {
        bail!("{broken} of {} scenarios are broken", outcomes.len());
    }
    if skipped > 0 && std::env::var("CI").is_ok_and(|ci| ci == "true") {
        bail!("{skipped} of {} scenarios could not run here, and CI=true", outcomes.len());
    }
    Ok(())
}
