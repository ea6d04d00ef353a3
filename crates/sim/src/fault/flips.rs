//! One bit that is not what was written, anywhere in a data directory that was closed in order.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::outcome::Outcome;
use super::stage::{SMALL_SEGMENTS, Stage, mixed};
use super::{Context, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "flips",
    what: "one bit flipped at a seeded place of a segment, a block, a catalog or a snapshot, on a copy of a data directory",
    must: "it is found, never taken for the end, and no reading is wrong; what is missing is told; the rest is served",
    rounds: 500,
    run,
};

const RATE: f64 = 6_000.0;
/// Enough to roll, seal and keep a tail.
const MESSAGES: u64 = 12_000;

fn run(context: &Context<'_>) -> Result<Outcome> {
    let mut stage = Stage::open(context, &SMALL_SEGMENTS.replace("retention = \"0s\"\n", ""))?;
    stage.load(&mixed(RATE))?;
    stage.wait_acked(MESSAGES / 2)?;
    stage.stop()?;
    stage.start()?;
    stage.wait_acked(MESSAGES / 2)?;
    let mut outcome = stage.end_loads(Outcome::default())?;
    stage.stop()?;
    let original = stage.launch.data.clone();
    let files = files_of(&original)?;
    let mut found = Found::default();
    for round in 1..=u64::from(context.rounds) {
        let copy = stage.scratch.path().join("copy");
        copy_directory(&original, &copy)?;
        let file = &files[context.below("file", round, files.len() as u64) as usize];
        let place = flip(&copy.join(file), context, round)?;
        stage.launch.data = copy.clone();
        outcome = one(&mut stage, &mut found, outcome, &format!("bit {place} of {}", file.display()))?;
        std::fs::remove_dir_all(&copy)?;
        (context.say)(format!("flip {round} of {}: {} told", context.rounds, found.told));
    }
    let outcome = outcome.rounds(context.rounds.into()).with("told", found.told);
    let outcome = outcome.with("starts refused", found.refused).with("readings missing and told", found.missing);
    Ok(outcome.expects(found.told > 0, || "not one of the flips was told".to_owned()))
}

#[derive(Default)]
struct Found {
    told: u64,
    refused: u64,
    missing: u64,
}

/// What becomes of one damaged copy.
fn one(stage: &mut Stage<'_>, found: &mut Found, outcome: Outcome, what: &str) -> Result<Outcome> {
    let before = std::fs::metadata(&stage.launch.log)?.len() as usize;
    let started = stage.start();
    let said = |stage: &Stage<'_>| -> Result<bool> {
        let said = std::fs::read(&stage.launch.log)?;
        let said = String::from_utf8_lossy(&said[before..]).into_owned();
        Ok(["damaged", "corrupt", "torn", "checksum", "unreadable"].iter().any(|word| said.contains(word)))
    };
    if let Err(error) = started {
        found.refused += 1;
        return Ok(outcome.breaks(format!("{what}: it does not start: {error:#}").replace('\n', " ")));
    }
    let counts = stage.counts(Duration::ZERO).with_context(|| what.to_owned());
    let told = said(stage)?;
    stage.kill()?;
    found.told += u64::from(told);
    let counts = match counts {
        Ok(counts) => counts,
        // An answer that is refused because its bytes are damaged is no wrong answer.
        Err(_) if told => return Ok(outcome),
        Err(error) => return Ok(outcome.breaks(format!("{what}: {error:#}"))),
    };
    let missing = counts.lost + counts.unseen.unwrap_or(0);
    found.missing += missing;
    let wrong = counts.corrupt + counts.duplicated + counts.never_sent + counts.wrong_tenant.unwrap_or(0);
    let outcome = outcome.expects(wrong == 0, || format!("{what}: {wrong} readings are wrong"));
    Ok(outcome.expects(missing == 0 || told, || format!("{what}: {missing} readings are missing and nothing says so")))
}

/// What holds what was acknowledged, below the data directory.
fn files_of(data: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for part in ["journal/raw/0", "store", "snapshots"] {
        for entry in std::fs::read_dir(data.join(part)).with_context(|| format!("there is no {part}"))? {
            let entry = entry?;
            let used = entry.metadata()?.is_file() && !entry.file_name().to_string_lossy().starts_with("spare-");
            files.extend(used.then(|| Path::new(part).join(entry.file_name())));
        }
    }
    files.sort();
    ensure!(!files.is_empty(), "there is nothing to flip a bit of");
    Ok(files)
}

/// Flips a bit where the file is used, which is where it is not zero. Returns the bit's number.
fn flip(path: &Path, context: &Context<'_>, round: u64) -> Result<u64> {
    let mut bytes = std::fs::read(path)?;
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last as u64 + 1);
    let bit = context.below("bit", round, used * 8);
    bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
    std::fs::write(path, bytes)?;
    Ok(bit)
}

fn copy_directory(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.metadata()?.is_dir() {
            copy_directory(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
