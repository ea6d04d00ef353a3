//! `tidewater fault`: makes happen what a system must survive, on one machine and to the shipped binary, and counts what
//! came of it.
//!
//! A [`Scenario`] is a name, a sentence, what must hold, and a function. Most use a [`stage::Stage`]: a server with its data
//! directory, generators that go on through every restart with their acked-set logs, and the checker. Faults come from
//! outside, by signals, by a tracer ([`strace`]), by a proxy ([`proxy`]), by a small file system: the server cannot tell them from
//! the real thing. Each scenario is bounded in rounds and in time, and ends what it started.
//!
//! A scenario never judges by a latency: those are figures. It breaks by a count that must be zero, or by a sentence that
//! says what the server did.

use std::path::Path;

use anyhow::Result;
use model::Clock;

use crate::seeded;
use crate::stop::Stop;

mod client;
mod clock;
mod flips;
mod full;
mod in_flight;
mod kill;
mod lost_acks;
mod orphans;
mod outcome;
mod pause;
mod poison;
mod proxy;
mod slowloris;
mod stage;
mod stalled;
mod strace;
mod syncs;
mod syscalls;
pub mod table;
mod terminate;
mod tool;
mod topics;
mod torn;
mod walls;

pub use outcome::{Outcome, Verdict};
pub use tool::Missing;

/// One way of breaking things.
pub struct Scenario {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What is done.
    pub what: &'static str,
    /// What must hold.
    pub must: &'static str,
    /// Rounds of the whole run.
    pub rounds: u32,
    pub run: fn(&Context<'_>) -> Result<Outcome>,
}

/// All of them, in the order of running.
pub const SCENARIOS: &[Scenario] = &[
    kill::SCENARIO,
    terminate::SCENARIO,
    syscalls::SCENARIO,
    syscalls::NESTED,
    orphans::SCENARIO,
    syncs::SCENARIO,
    stalled::SCENARIO,
    pause::SCENARIO,
    lost_acks::SCENARIO,
    torn::SCENARIO,
    flips::SCENARIO,
    full::SCENARIO,
    full::DESCRIPTORS,
    clock::SCENARIO,
    walls::SCENARIO,
    poison::SCENARIO,
    topics::SCENARIO,
    in_flight::SCENARIO,
    slowloris::SCENARIO,
];

/// What a scenario is given.
pub struct Context<'a> {
    /// The `tidewater` binary under test.
    pub binary: &'a Path,
    /// Directory below which data is put, removed afterwards.
    pub parent: &'a Path,
    pub clock: &'a Clock,
    pub stop: &'a Stop,
    /// Decides the moments, positions and choices.
    pub seed: u64,
    pub rounds: u32,
    /// Told to a person who waits.
    pub say: &'a (dyn Fn(String) + Sync),
}

impl Context<'_> {
    /// Number `number` of the seeded sequence `name`, below `limit`.
    pub fn below(&self, name: &str, number: u64, limit: u64) -> u64 {
        seeded::hash([self.seed, seeded::hash_bytes(name.as_bytes()), number]) % limit.max(1)
    }

    /// A seeded choice of as many of `all` as there are rounds, in their order.
    pub fn choose<T>(&self, all: Vec<T>) -> Vec<T> {
        let mut ranked: Vec<(u64, usize, T)> =
            all.into_iter().enumerate().map(|(at, one)| (self.below("choose", at as u64, u64::MAX), at, one)).collect();
        ranked.sort_by_key(|(rank, at, _)| (*rank, *at));
        ranked.truncate(self.rounds as usize);
        ranked.sort_by_key(|(_, at, _)| *at);
        ranked.into_iter().map(|(_, _, one)| one).collect()
    }
}

/// The scenario of that name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

/// Rounds of a `share` of a scenario: at least one.
pub fn share_of(scenario: &Scenario, share: f64) -> u32 {
    ((f64::from(scenario.rounds) * share).round() as u32).max(1)
}

/// Runs one scenario to its end. What goes wrong on the way is its verdict, too.
pub fn run(scenario: &Scenario, context: &Context<'_>) -> Outcome {
    let began = context.clock.monotonic();
    let mut outcome = match (scenario.run)(context) {
        Ok(outcome) => outcome,
        Err(error) => match error.downcast::<Missing>() {
            Ok(missing) => Outcome::skipped(missing.to_string()),
            Err(error) => Outcome::default().breaks(format!("it could not be carried out: {error:#}")),
        },
    };
    outcome.name = scenario.name.to_owned();
    outcome.seed = context.seed;
    outcome.seconds = (context.clock.monotonic() - began).as_secs_f64();
    outcome
}
