//! The end of the log, cut where nothing was acknowledged.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use disk::RealDisk;
use journal::Topic;
use journal::inspect;
use model::Partition;

use super::outcome::Outcome;
use super::stage::{Stage, WAIT_MAX, mixed};
use super::strace::Injection;
use super::{Context, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "torn",
    what: "death before a sync; then the file ends, or is zero, from a byte of the last batch on (every byte: the journal's tests)",
    must: "it starts, says how many bytes it cut, and has all that was acknowledged",
    rounds: 10,
    run,
};

const RATE: f64 = 8_000.0;
const ACKED_LEAST: u64 = 200;

fn run(context: &Context<'_>) -> Result<Outcome> {
    let mut stage = Stage::open(context, "")?;
    stage.load(&mixed(RATE))?;
    let (mut cut_bytes, mut unsaid) = (0, 0);
    for round in 1..=u64::from(context.rounds) {
        stage.wait_acked(ACKED_LEAST)?;
        stage.kill()?;
        let number = 2 + context.below("number", round, 30) as u32;
        if stage.start_through(Injection::kill("fdatasync", number).through()?)? {
            stage.ends_with(WAIT_MAX)?;
        }
        let said_before = said_length(&stage.launch.log)?;
        if let Some((path, from, to)) = last_frame(&stage.launch.data.join("journal"))? {
            let at = from + context.below("cut", round, to - from);
            cut(&path, at, round.is_multiple_of(2))?;
            cut_bytes += to - at;
            stage.start()?;
            let said = std::fs::read(&stage.launch.log)?;
            let said = String::from_utf8_lossy(&said[said_before..]).into_owned();
            // A cut at the first byte of a batch leaves nothing that is torn.
            unsaid += u64::from(at > from && !said.contains("a torn end was cut off"));
        } else {
            stage.start()?;
        }
        (context.say)(format!("cut {round} of {}", context.rounds));
    }
    stage.wait_acked(ACKED_LEAST)?;
    let outcome = Outcome::default().rounds(context.rounds.into()).with("bytes cut", cut_bytes);
    stage.finish(outcome.expects(unsaid == 0, || format!("{unsaid} cuts were not told at the start")))
}

fn said_length(log: &Path) -> Result<usize> {
    Ok(std::fs::metadata(log)?.len() as usize)
}

/// The file of the last batch of `raw`, from where to where it stands there. The death came before its sync, or that of
/// one before it, so nobody was told of it.
fn last_frame(journal: &Path) -> Result<Option<(PathBuf, u64, u64)>> {
    let reports = inspect::check(&RealDisk, journal, &mut |_| ())?;
    let raw = reports.iter().find(|report| report.topic == Topic::Raw).context("there is a raw log")?;
    let mut last = None;
    let mut visit = |dumped: inspect::DumpedFrame| {
        let to = dumped.position + dumped.frame.batch.frame().len() as u64;
        last = Some((dumped.segment, dumped.position, to));
        true
    };
    inspect::dump(&RealDisk, journal, (Topic::Raw, Partition(0)), 0, &mut visit)?;
    let path = |id| raw.segments.iter().find(|segment| segment.id == id).map(|segment| segment.path.clone());
    Ok(last.and_then(|(id, from, to)| Some((path(id)?, from, to))))
}

/// Ends the file at this byte, or fills it with zeros from there.
fn cut(path: &Path, at: u64, zeros: bool) -> Result<()> {
    let file = std::fs::File::options().write(true).open(path)?;
    let len = file.metadata()?.len();
    file.set_len(at)?;
    if zeros {
        file.set_len(len)?;
    }
    Ok(())
}
