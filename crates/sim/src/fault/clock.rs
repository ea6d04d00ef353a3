//! A clock that jumps while the server runs.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::outcome::Outcome;
use super::stage::{Stage, mixed};
use super::tool::Missing;
use super::{Context, Scenario};
use crate::process::Launch;
use crate::scratch::Scratch;

pub const SCENARIO: Scenario = Scenario {
    name: "clock",
    what: "the server's clock jumps by an hour both ways, to 1970 and to 2106, and drifts, under load and across restarts",
    must: "offsets, order and windows are unaffected; nothing is lost or doubled",
    rounds: 30,
    run,
};

const RATE: f64 = 4_000.0;
const ACKED_LEAST: u64 = 300;
const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];
/// What `faketime` reads: offsets in seconds, instants, and a rate of going.
const TIMES: [&str; 7] = ["+0", "+3600", "-3600", "@1970-01-02 00:00:00", "@2106-02-07 00:00:00", "+0 x1.5", "+0 x0.5"];

fn run(context: &Context<'_>) -> Result<Outcome> {
    let Some(library) = LIBRARIES.iter().find(|path| Path::new(path).exists()) else {
        let why = "libfaketime is not installed: `scripts/setup` installs it, or apt-get install faketime";
        return Err(Missing(why.to_owned()).into());
    };
    let scratch = Scratch::new(context.parent)?;
    let file = scratch.path().join("time");
    std::fs::write(&file, TIMES[0])?;
    let mut launch = Launch::new(context.binary, &scratch.path().join("data"));
    launch.log = scratch.path().join("serve.log");
    let variables = [
        ("LD_PRELOAD", library.as_ref()),
        ("FAKETIME_TIMESTAMP_FILE", file.as_os_str()),
        ("FAKETIME_NO_CACHE", "1".as_ref()),
        // The monotonic clock does not jump on any machine.
        ("DONT_FAKE_MONOTONIC", "1".as_ref()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".as_ref()),
    ];
    launch.environment = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let mut stage = Stage::open_on(context, scratch, launch)?;
    stage.load(&mixed(RATE))?;
    for round in 1..=u64::from(context.rounds) {
        stage.wait_acked(ACKED_LEAST)?;
        let time = TIMES[(round % TIMES.len() as u64) as usize];
        // Renamed into place: a half-written time is none.
        let new = file.with_extension("new");
        std::fs::write(&new, time)?;
        std::fs::rename(&new, &file)?;
        stage.wait_acked(ACKED_LEAST)?;
        stage.pass(Duration::from_millis(context.below("moment", round, 500)))?;
        if round.is_multiple_of(3) {
            stage.kill()?;
            stage.start()?;
        }
        (context.say)(format!("round {round} of {}: {time}", context.rounds));
    }
    stage.wait_acked(ACKED_LEAST)?;
    stage.finish(Outcome::default().rounds(context.rounds.into()))
}
