//! Death at every call that makes something durable: while it serves, while it seals at its end, and while it recovers.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Result;
use mqtt::{Qos, Version};

use super::outcome::Outcome;
use super::stage::{Generator, Protocol, SMALL_SEGMENTS, Stage};
use super::strace::Injection;
use super::{Context, Scenario};
use crate::load::payload::Shape;

pub const SCENARIO: Scenario = Scenario {
    name: "syscalls",
    what: "kill at the N-th call of each kind that makes something durable, with a log that rolls, seals and trims all the time",
    must: "as for kill, for every N",
    rounds: 300,
    run,
};

pub const NESTED: Scenario = Scenario {
    name: "recovery",
    what: "after a kill at such a call, five starts in a row that are killed at a call of their own recovery",
    must: "recovery is idempotent: as for kill",
    rounds: 60,
    run: run_nested,
};

/// The calls, and up to which number one thread comes to each in a life of a few seconds.
const CALLS: [(&str, u32); 8] = [
    ("fdatasync", 125),
    ("pwrite64", 125),
    ("fsync", 20),
    ("openat", 20),
    ("rename", 3),
    ("unlink", 4),
    ("ftruncate", 2),
    ("fallocate", 1),
];
/// The same within a start.
const CALLS_OF_A_START: [(&str, u32); 6] =
    [("pwrite64", 36), ("fsync", 19), ("openat", 50), ("fdatasync", 2), ("ftruncate", 1), ("unlink", 1)];
/// How deep recovery is disturbed.
const NESTING: u64 = 5;
/// How long a life is given to meet its call under load; then SIGTERM makes it seal what is in memory.
const LIFE_MAX: Duration = Duration::from_millis(2_000);
const END_MAX: Duration = Duration::from_secs(30);
const ACKED_LEAST: u64 = 100;

fn generators() -> [Generator; 3] {
    let one = |name, protocol, connections, window, rate| Generator {
        name,
        protocol,
        connections,
        devices: connections,
        window,
        rate: Some(rate),
        shape: Shape::Twelve,
        astray: false,
    };
    [
        one("qos1", Protocol::Mqtt(Version::V5, Qos::AtLeastOnce), 4, 50, 3_000.0),
        one("qos2", Protocol::Mqtt(Version::V5, Qos::ExactlyOnce), 2, 20, 500.0),
        one("http", Protocol::Http(20), 1, 1, 500.0),
    ]
}

fn points(calls: &[(&'static str, u32)]) -> Vec<(&'static str, u32)> {
    calls.iter().flat_map(|(call, numbers)| (1..=*numbers).map(move |number| (*call, number))).collect()
}

fn run(context: &Context<'_>) -> Result<Outcome> {
    let mut stage = Stage::open(context, SMALL_SEGMENTS)?;
    stage.load(&generators())?;
    let (mut killed, mut missed) = (0, 0);
    // By call: a number that no thread came to within its life.
    let mut too_high: HashMap<&str, u32> = HashMap::new();
    for (call, number) in context.choose(points(&CALLS)) {
        let number = too_high.get(call).map_or(number, |limit| 1 + (number - 1) % (limit - 1).max(1));
        stage.wait_acked(ACKED_LEAST)?;
        stage.kill()?;
        let died = live_until(&mut stage, &Injection::kill(call, number))?;
        (killed, missed) = (killed + u64::from(died), missed + u64::from(!died));
        if !died {
            too_high.insert(call, number);
        }
        stage.start()?;
        (context.say)(format!("{call} {number}: {}", if died { "killed" } else { "never came to it" }));
    }
    stage.wait_acked(ACKED_LEAST)?;
    let outcome = Outcome::default().rounds(killed + missed).with("killed at their call", killed);
    let outcome = outcome.expects(killed > 0, || "no life came to its call".to_owned());
    stage.finish(outcome.with("ended before it", missed))
}

/// A life with this injection, under load and then to an orderly end: true if the injection ended it.
fn live_until(stage: &mut Stage<'_>, injection: &Injection) -> Result<bool> {
    if !stage.start_through(injection.through()?)? {
        return Ok(true);
    }
    if stage.ends_within(LIFE_MAX)? {
        return Ok(true);
    }
    stage.ask_to_end()?;
    let ended = stage.ends_with(END_MAX)?;
    Ok(!ended.success())
}

fn run_nested(context: &Context<'_>) -> Result<Outcome> {
    let mut stage = Stage::open(context, SMALL_SEGMENTS)?;
    stage.load(&generators())?;
    let mut killed = 0;
    let (of_a_life, of_a_start) = (points(&CALLS), points(&CALLS_OF_A_START));
    let point = |round: u64, depth: u64, points: &[(&str, u32)]| {
        let place = round * (NESTING + 1) + depth;
        let (call, number) = points[context.below("point", place, points.len() as u64) as usize];
        Injection::kill(call, number)
    };
    for round in 1..=u64::from(context.rounds) {
        stage.wait_acked(ACKED_LEAST)?;
        stage.kill()?;
        live_until(&mut stage, &point(round, 0, &of_a_life))?;
        for depth in 1..=NESTING {
            let came_to_serve = stage.start_through(point(round, depth, &of_a_start).through()?)?;
            killed += u64::from(!came_to_serve);
            if came_to_serve && !stage.has_ended()? {
                stage.kill()?;
            }
        }
        stage.start()?;
        (context.say)(format!("recovery {round} of {}: {killed} starts killed", context.rounds));
    }
    stage.wait_acked(ACKED_LEAST)?;
    let outcome = Outcome::default().rounds(context.rounds.into()).with("starts killed", killed);
    stage.finish(outcome.expects(killed > 0, || "no start came to its call".to_owned()))
}
