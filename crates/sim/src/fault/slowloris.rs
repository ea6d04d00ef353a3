//! Sockets that hold on without saying who they are.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Result;

use super::outcome::Outcome;
use super::stage::{Stage, mixed};
use super::{Context, Scenario};
use crate::process;

pub const SCENARIO: Scenario = Scenario {
    name: "slowloris",
    what: "5,000 sockets on MQTT and HTTP: silent, a byte now and then, a huge length and then nothing, a head that never ends",
    must: "they cost at most 4 KiB each over MQTT, are closed in time, and good clients go on",
    rounds: 2,
    run,
};

const RATE: f64 = 4_000.0;
const ACKED_LEAST: u64 = 500;
/// Of what may be open, some is left to the server's files and the generators.
const SPARE: u64 = 400;
/// The longest limit before authentication, with room for a busy machine.
const CLOSED_AFTER_MAX: Duration = Duration::from_secs(40);

/// What a hostile socket speaks to, and what it says at first.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    sockets: usize,
    /// Memory that each may cost.
    bytes_max: u64,
    http: bool,
    says: &'static [&'static [u8]],
}

/// The HTTP library's own buffers; there are `HTTP_CONNECTIONS_MAX` connections at most.
const HTTP_BYTES_MAX: u64 = 64 << 10;

const KINDS: [Kind; 2] = [
    Kind {
        name: "MQTT",
        sockets: 4_000,
        bytes_max: 4 << 10,
        http: false,
        // Silence, a byte, a CONNECT of 256 MiB, and one of which most is missing.
        says: &[b"", b"\x10", b"\x10\xFF\xFF\xFF\x7F", b"\x10\x40\x00\x04MQ"],
    },
    Kind {
        name: "HTTP",
        sockets: 1_000,
        bytes_max: HTTP_BYTES_MAX,
        http: true,
        says: &[b"", b"POST /v1/ingest HTTP/1.1\r\nHost: x\r\nX-Slow: "],
    },
];

fn run(context: &Context<'_>) -> Result<Outcome> {
    let mut stage = Stage::open(context, "")?;
    stage.load(&mixed(RATE))?;
    let mut outcome = Outcome::default().rounds(context.rounds.into());
    for kind in KINDS {
        let (mut each, mut open) = (0, 0);
        for round in 1..=context.rounds {
            let (more, left) = attack(&mut stage, kind)?;
            (each, open) = (each.max(more), open + left);
            (context.say)(format!("{} round {round} of {}: {each} bytes each", kind.name, context.rounds));
        }
        outcome = outcome.with(&format!("bytes of memory for each silent {} socket", kind.name), each);
        let dear = || format!("{each} bytes of memory for each hostile {} socket", kind.name);
        outcome = outcome.expects(each <= kind.bytes_max, dear);
        let late = || format!("{open} {} sockets were still open after {} s", kind.name, CLOSED_AFTER_MAX.as_secs());
        outcome = outcome.expects(open == 0, late);
    }
    stage.wait_acked(ACKED_LEAST)?;
    stage.finish(outcome)
}

/// Opens the sockets of one kind; returns what each costs the server in memory, and how many it leaves open.
fn attack(stage: &mut Stage<'_>, kind: Kind) -> Result<(u64, u64)> {
    // Both ends are on this machine, but in two processes with a limit each.
    let sockets = kind.sockets.min(process::raise_descriptor_limit()?.saturating_sub(SPARE) as usize);
    stage.wait_acked(ACKED_LEAST)?;
    let at = if kind.http { stage.listen().http.clone() } else { stage.listen().mqtt.clone() };
    let before = process::memory_bytes(stage.pid()?)?.0;
    let mut hostile = Vec::new();
    for number in 0..sockets {
        let mut socket = TcpStream::connect(&at)?;
        // One that is refused at once is no trouble.
        drop(socket.write_all(kind.says[number % kind.says.len()]));
        socket.set_nonblocking(true)?;
        hostile.push(socket);
    }
    let after = process::memory_bytes(stage.pid()?)?.0;
    stage.wait_acked(ACKED_LEAST)?;
    stage.wait_at_most(CLOSED_AFTER_MAX, || {
        hostile.retain(is_open);
        hostile.iter_mut().step_by(4).for_each(drip);
        Ok(hostile.is_empty().then_some(()))
    })?;
    Ok((after.saturating_sub(before) / sockets as u64, hostile.len() as u64))
}

/// Whether the server has left it open.
fn is_open(socket: &TcpStream) -> bool {
    let mut socket = socket;
    match socket.read(&mut [0; 512]) {
        Ok(0) => false,
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

/// One more byte; that the server has closed meanwhile is seen by the next look.
fn drip(socket: &mut TcpStream) {
    drop(socket.write(&[0]));
}
