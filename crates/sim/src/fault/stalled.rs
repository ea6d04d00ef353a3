//! A disk that takes two seconds for every sync.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use mqtt::Version;

use super::outcome::Outcome;
use super::stage::{Stage, mixed};
use super::strace::{Injection, Tracer};
use super::{Context, Scenario};
use crate::packet::Login;
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
        let mut pinger = Pinger::connect(&stage)?;
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

/// A connection that only pings.
struct Pinger(TcpStream);

impl Pinger {
    fn connect(stage: &Stage<'_>) -> Result<Self> {
        let mut stream = TcpStream::connect(&stage.listen().mqtt)?;
        stream.set_read_timeout(Some(PING_WAIT_MAX))?;
        let login = Login {
            version: Version::V3,
            client_id: "pinger".to_owned(),
            user: "key".to_owned(),
            password: stage.api().key().to_owned(),
            keep_session: false,
            keep_alive_s: 60,
        };
        let mut out = Vec::new();
        login.connect(&mut out);
        stream.write_all(&out)?;
        let mut connack = [0; 4];
        stream.read_exact(&mut connack).context("no CONNACK")?;
        ensure!(connack == [0x20, 2, 0, 0], "the pinger is refused: {connack:02X?}");
        Ok(Self(stream))
    }

    /// True if it is answered in time.
    fn ping(&mut self) -> Result<bool> {
        self.0.write_all(&[0xC0, 0])?;
        let mut answer = [0; 2];
        Ok(self.0.read_exact(&mut answer).is_ok() && answer == [0xD0, 0])
    }
}
