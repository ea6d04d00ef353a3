//! Death around the renames and removals by which what was written takes effect.

use anyhow::Result;

use super::outcome::Outcome;
use super::stage::{SMALL_SEGMENTS, Stage, WAIT_MAX, mixed};
use super::strace::Injection;
use super::{Context, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "orphans",
    what: "kill between writing a block, a catalog, a snapshot or a segment and its taking effect, and between that and the \
           removal of what it replaces",
    must: "nothing is lost or doubled; the next start removes what was left half done",
    rounds: 40,
    run,
};

/// The calls, and up to which number one thread comes to each.
const CALLS: [(&str, u64); 4] = [("rename", 2), ("unlink", 3), ("fsync", 20), ("ftruncate", 2)];
const RATE: f64 = 4_000.0;
const ACKED_LEAST: u64 = 2_000;

fn run(context: &Context<'_>) -> Result<Outcome> {
    let mut stage = Stage::open(context, SMALL_SEGMENTS)?;
    stage.load(&mixed(RATE))?;
    let mut killed = 0;
    for round in 1..=u64::from(context.rounds) {
        // Something to seal, then an orderly end that is cut short.
        stage.stop()?;
        let (call, numbers) = CALLS[context.below("call", round, CALLS.len() as u64) as usize];
        let number = 1 + context.below("number", round, numbers) as u32;
        let mut died = !stage.start_through(Injection::kill(call, number).through()?)?;
        if !died && !stage.has_ended()? {
            died = stage.ends_before(ACKED_LEAST)?;
        }
        if !died {
            stage.ask_to_end()?;
            died = !stage.ends_with(WAIT_MAX)?.success();
        }
        killed += u64::from(died);
        stage.start()?;
        (context.say)(format!("round {round} of {}: {call} {number}", context.rounds));
        stage.wait_acked(ACKED_LEAST)?;
    }
    let left = left_over(&stage.launch.data)?;
    let outcome = Outcome::default().rounds(context.rounds.into()).with("killed at their call", killed);
    let outcome = outcome.with("files left over", left);
    let outcome = outcome.expects(killed > 0, || "no life came to its call".to_owned());
    stage.finish(outcome.expects(left == 0, || format!("{left} files are left over that no catalog names")))
}

/// Files of the store that are being written or were never finished; a running server has none for long.
fn left_over(data: &std::path::Path) -> Result<u64> {
    let mut left = 0;
    for entry in std::fs::read_dir(data.join("store"))? {
        left += u64::from(entry?.file_name().to_string_lossy().ends_with(".tmp"));
    }
    Ok(left)
}
