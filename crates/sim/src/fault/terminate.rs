//! SIGTERM under load: what was acknowledged is durable, and nothing is acknowledged afterwards.

use std::time::Duration;

use anyhow::Result;

use super::outcome::Outcome;
use super::stage::{Stage, mixed};
use super::{Context, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "terminate",
    what: "SIGTERM under load at random moments, each followed by a start",
    must: "it ends by itself with success; what was acknowledged is there; nothing is acknowledged after it has ended",
    rounds: 50,
    run,
};

const RATE: f64 = 12_000.0;
const MOMENT_MAX: u64 = 1_000;
const ACKED_LEAST: u64 = 200;
/// How long after the end acknowledgements are looked for.
const SILENCE: Duration = Duration::from_millis(200);

fn run(context: &Context<'_>) -> Result<Outcome> {
    let mut stage = Stage::open(context, "")?;
    stage.load(&mixed(RATE))?;
    let mut late = 0;
    for round in 1..=context.rounds {
        stage.wait_acked(ACKED_LEAST)?;
        stage.pass(Duration::from_millis(context.below("moment", round.into(), MOMENT_MAX)))?;
        stage.stop()?;
        // What the kernel still held for the generators is read within this time.
        stage.pass(SILENCE)?;
        let acked = stage.acked();
        stage.pass(SILENCE)?;
        late += stage.acked() - acked;
        stage.start()?;
        (context.say)(format!("SIGTERM {round} of {}: {} acknowledged", context.rounds, stage.acked()));
    }
    stage.wait_acked(ACKED_LEAST)?;
    let outcome = Outcome::default().rounds(context.rounds.into()).with("acknowledged after the end", late);
    stage.finish(outcome.expects(late == 0, || format!("{late} messages were acknowledged after the end")))
}
