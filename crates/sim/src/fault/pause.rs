//! A process that stands still for a while (SIGSTOP), as under a debugger, a hypervisor or swap.

use std::time::Duration;

use anyhow::Result;

use super::outcome::Outcome;
use super::stage::{Stage, mixed};
use super::{Context, Scenario};
use crate::process::{Launch, signal};

pub const SCENARIO: Scenario = Scenario {
    name: "pause",
    what: "SIGSTOP for one to five seconds at random moments under load; meanwhile a second server tries the same directory",
    must: "the second one is refused; nothing is lost, doubled or reordered afterwards",
    rounds: 20,
    run,
};

const RATE: f64 = 8_000.0;
const ACKED_LEAST: u64 = 200;
const PAUSE_LEAST: Duration = Duration::from_secs(1);
const PAUSE_MORE: u64 = 4_000;

fn run(context: &Context<'_>) -> Result<Outcome> {
    let mut stage = Stage::open(context, "")?;
    stage.load(&mixed(RATE))?;
    let mut owners = 0;
    for round in 1..=u64::from(context.rounds) {
        stage.wait_acked(ACKED_LEAST)?;
        stage.pass(Duration::from_millis(context.below("moment", round, 1_000)))?;
        let pid = stage.pid()?;
        signal(pid, libc::SIGSTOP)?;
        let second = second_owner(&stage, context);
        let slept = stage.pass(PAUSE_LEAST + Duration::from_millis(context.below("pause", round, PAUSE_MORE)));
        // It is woken whatever happened, or its end could not be waited for.
        signal(pid, libc::SIGCONT)?;
        owners += u64::from(second?);
        slept?;
        (context.say)(format!("pause {round} of {}", context.rounds));
    }
    stage.wait_acked(ACKED_LEAST)?;
    let outcome = Outcome::default().rounds(context.rounds.into()).with("second owners", owners);
    stage.finish(outcome.expects(owners == 0, || "a second server took the data directory of a stopped one".to_owned()))
}

/// Whether another server takes the directory of this one.
fn second_owner(stage: &Stage<'_>, context: &Context<'_>) -> Result<bool> {
    let mut launch = Launch::new(context.binary, &stage.launch.data);
    launch.log = stage.scratch.path().join("second.log");
    let mut second = launch.spawn()?;
    let ended = stage.wait_at_most(Duration::from_secs(10), || second.ended())?;
    Ok(ended.is_none_or(|status| status.success()))
}
