//! A disk that takes two seconds for every sync.

use std::time::Duration;

use anyhow::Result;
use mqtt::Version;

use super::client::Client;
use super::outcome::Outcome;
use super::stage::{Stage, mixed};
use super::strace::{Injection, Tracer};
use super::{Context, Scenario};
use crate::process;

pub const SCENARIO: Scenario = Scenario {
    name: "stall",
    what: "every fdatasync takes two seconds longer for a while, under load",
    must: "pings are answered, memory is bounded, nothing is dropped: acknowledgements wait",
    rounds: 10,
    run,
};

const RATE: f64 = 8_000.0;
const ACKED_LEAST: u64 = 200;
const DELAY: Duration = Duration::from_secs(2);
/// How long the disk stalls in a round.
const STALL: Duration = Duration::from_secs(6);
/// Less than one sync takes: a server whose loop waits for the disk would be late.
const PING_WAIT_MAX: Duration = Duration::from_millis(1_500);
/// What a stalled server may hold beside what it held before: batches on their way to the disk, twice over.
const MEMORY_MORE_MAX: u64 = 256 << 20;

fn run(context: &Context<'_>) -> Result<Outcome> {
    let mut stage = Stage::open(context, "")?;
    stage.load(&mixed(RATE))?;
    let (mut pings, mut late, mut more) = (0, 0, 0);
    for round in 1..=context.rounds {
        stage.wait_acked(ACKED_LEAST)?;
        stage.look()?;
        let at = stage.listen().mqtt.clone();
        let mut pinger = Client::connect(&at, Version::V3, "key", stage.api().key(), PING_WAIT_MAX)?;
        let before = process::memory_bytes(stage.pid()?)?.0;
        let injection = Injection::new("fdatasync", &format!("delay_enter={}", DELAY.as_micros()));
        let tracer = Tracer::attach(stage.pid()?, &injection, context.clock)?;
        let until = context.clock.monotonic() + STALL;
        while context.clock.monotonic() < until {
            let answered = pinger.ping()?;
            (pings, late) = (pings + u64::from(answered), late + u64::from(!answered));
            let now = process::memory_bytes(stage.pid()?)?.0;
            more = now.saturating_sub(before).max(more);
            stage.pass(Duration::from_millis(200))?;
        }
        drop(tracer);
        (context.say)(format!("stall {round} of {}: {pings} pings answered", context.rounds));
    }
    stage.wait_acked(ACKED_LEAST)?;
    let outcome =
        Outcome::default().rounds(context.rounds.into()).with("pings answered", pings).with("pings late", late);
    let outcome = outcome.with("MiB more at most", more >> 20);
    let outcome = outcome.expects(late == 0, || format!("{late} pings waited longer than {PING_WAIT_MAX:?}"));
    stage.finish(outcome.expects(more <= MEMORY_MORE_MAX, || format!("memory grew by {} MiB", more >> 20)))
}
