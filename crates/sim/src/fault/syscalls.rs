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

/// The calls, and up to which number each is met in a life of a few seconds.
const CALLS: [(&str, u32); 6] =
    [("fdatasync", 100), ("pwrite64", 100), ("fsync", 40), ("rename", 30), ("unlink", 15), ("fallocate", 15)];
/// The same within a start.
const CALLS_OF_A_START: [(&str, u32); 5] =
    [("pwrite64", 24), ("fdatasync", 12), ("fsync", 10), ("rename", 4), ("openat", 90)];
/// How deep recovery is disturbed.
const NESTING: u64 = 5;
/// How long a life is given to meet its call under load; then SIGTERM makes it seal what is in memory.
const LIFE_MAX: Duration = Duration::from_millis(1_500);
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
    };
    [
        one("qos1", Protocol::Mqtt(Version::V5, Qos::AtLeastOnce), 4, 50, 3_000.0),
        one("qos2", Protocol::Mqtt(Version::V5, Qos::ExactlyOnce), 2, 20, 500.0),
        one("http", Protocol::Http(20), 1, 1, 500.0),
    ]
}

fn run(context: &Context<'_>) -> Result<Outcome> {
    let mut stage = Stage::open(context, SMALL_SEGMENTS)?;
    stage.load(&generators())?;
    let points = CALLS.iter().flat_map(|(call, numbers)| (1..=*numbers).map(move |number| (*call, number)));
    let (mut killed, mut missed) = (0, 0);
    // By call: a number that no thread came to within its life.
    let mut too_high: HashMap<&str, u32> = HashMap::new();
    for (call, number) in context.choose(points.collect()) {
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
    let point = |round: u64, depth: u64, calls: &[(&'static str, u32)]| {
        let place = round * (NESTING + 1) + depth;
        let (call, numbers) = calls[context.below("call", place, calls.len() as u64) as usize];
        Injection::kill(call, 1 + context.below("number", place, numbers.into()) as u32)
    };
    for round in 1..=u64::from(context.rounds) {
        stage.wait_acked(ACKED_LEAST)?;
        stage.kill()?;
        live_until(&mut stage, &point(round, 0, &CALLS))?;
        for depth in 1..=NESTING {
            let came_to_serve = stage.start_through(point(round, depth, &CALLS_OF_A_START).through()?)?;
            killed += u64::from(!came_to_serve);
            if came_to_serve && !stage.has_ended()? {
                stage.kill()?;
            }
        }
        stage.start()?;
        (context.say)(format!("recovery {round} of {}: {killed} starts killed", context.rounds));
    }
    stage.wait_acked(ACKED_LEAST)?;
    stage.finish(Outcome::default().rounds(context.rounds.into()).with("starts killed", killed))
}
