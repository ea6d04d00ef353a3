//! kill -9 at random moments under load, on one data directory.

use std::time::Duration;

use anyhow::Result;

use super::outcome::Outcome;
use super::stage::{Stage, mixed};
use super::{Context, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "kill",
    what: "kill -9 under QoS 1, QoS 2 and HTTP load at random moments, and a start on the same data directory",
    must: "what was acknowledged is there, once and in order; offsets are stable",
    rounds: 200,
    run,
};

/// Messages a second of all generators together.
const RATE: f64 = 12_000.0;
/// The latest moment after a start has shown that it serves.
const MOMENT_MAX: u64 = 1_500;
/// A round counts only if the server acknowledged so many messages in it.
const ACKED_LEAST: u64 = 200;

fn run(context: &Context<'_>) -> Result<Outcome> {
    let mut stage = Stage::open(context, "")?;
    stage.load(&mixed(RATE))?;
    for round in 1..=context.rounds {
        stage.wait_acked(ACKED_LEAST)?;
        stage.pass(Duration::from_millis(context.below("moment", round.into(), MOMENT_MAX)))?;
        stage.kill()?;
        stage.start()?;
        (context.say)(format!("kill {round} of {}: {} acknowledged", context.rounds, stage.acked()));
    }
    stage.wait_acked(ACKED_LEAST)?;
    stage.finish(Outcome::default().rounds(context.rounds.into()))
}
