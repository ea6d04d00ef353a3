//! A sync or a write that fails once, on a disk that works again afterwards.

use std::time::Duration;

use anyhow::Result;

use super::outcome::Outcome;
use super::stage::{Stage, mixed};
use super::strace::{Injection, Tracer};
use super::{Context, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "eio",
    what: "fdatasync or a write of the log fails once with EIO or ENOSPC under load, then the disk works again",
    must: "what failed is never acknowledged; the log takes nothing more and says so until it is opened again",
    rounds: 20,
    run,
};

const RATE: f64 = 8_000.0;
const ACKED_LEAST: u64 = 200;
/// How long acknowledgements are looked for after the failure.
const SILENCE: Duration = Duration::from_millis(500);
const FAILURES: [(&str, &str); 3] = [("fdatasync", "EIO"), ("pwrite64", "EIO"), ("fdatasync", "ENOSPC")];

fn run(context: &Context<'_>) -> Result<Outcome> {
    let mut stage = Stage::open(context, "")?;
    stage.load(&mixed(RATE))?;
    let (mut late, mut unsaid) = (0, 0);
    for round in 1..=u64::from(context.rounds) {
        stage.wait_acked(ACKED_LEAST)?;
        let (call, error) = FAILURES[(round as usize - 1) % FAILURES.len()];
        let number = 1 + context.below("number", round, 30);
        let injection = Injection::new(call, &format!("error={error}:when={number}"));
        let tracer = Tracer::attach(stage.pid()?, &injection, context.clock)?;
        stage.wait("the failure is said", || Ok((!stage.obstacles()?.is_empty()).then_some(())))?;
        drop(tracer);
        unsaid += u64::from(!stage.obstacles()?.iter().any(|code| code == "journal-poisoned"));
        stage.pass(SILENCE)?;
        let acked = stage.acked();
        stage.pass(SILENCE)?;
        late += stage.acked() - acked;
        stage.kill()?;
        stage.start()?;
        (context.say)(format!("{call} fails with {error}, {round} of {}", context.rounds));
    }
    stage.wait_acked(ACKED_LEAST)?;
    let outcome = Outcome::default().rounds(context.rounds.into()).with("acknowledged by a failed log", late);
    let outcome = outcome.expects(late == 0, || format!("{late} messages were acknowledged by a log that had failed"));
    let unnamed = || format!("{unsaid} failures were not said as journal-poisoned");
    stage.finish(outcome.expects(unsaid == 0, unnamed))
}
