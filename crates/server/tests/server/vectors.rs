//! Promise: the anonymous listener answers Mosquitto's packet exchanges byte for byte, over TCP, and what they leave
//! behind is nothing: not a connection, not a descriptor.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tempfile::TempDir;

use super::program::Program;
use super::wait::until_equal;

#[path = "../../../mqtt/tests/vectors/suite.rs"]
mod suite;

use suite::{Case, Peer};

/// What the exchanges expect of the server.
const CONFIGURATION: &str = "[mqtt]\nreceive_maximum = 20\ntopic_alias_maximum = 10\npacket_bytes_max = 2000000\n";

/// Exchanges that contradict DESIGN section 5: topics that start with `$` belong to the server, for everybody.
const REFUSED: [(&str, &str); 2] =
    [("v3.1.1 PUBLISH", "PUBLISH with $ topic"), ("v5.0   PUBLISH", "PUBLISH with $ topic - connection/state")];

/// How long an answer may take before an exchange counts as failed.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// One exchange's connection.
struct Connection {
    stream: TcpStream,
    /// Bytes written at a time.
    chunk: usize,
}

impl Connection {
    fn new(at: SocketAddr, chunk: usize) -> Self {
        let stream = TcpStream::connect(at).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(ANSWER_WAIT)).unwrap();
        Self { stream, chunk }
    }

    /// Up to `len` bytes; fewer at the end of the connection, or when no more come.
    fn read(&mut self, len: usize) -> (Vec<u8>, bool) {
        let mut bytes = vec![0; len];
        let mut done = 0;
        while done < len {
            match self.stream.read(&mut bytes[done..]) {
                Ok(read) if read > 0 => done += read,
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                Err(_) => return (bytes[..done].to_vec(), false),
            }
        }
        (bytes[..done].to_vec(), true)
    }
}

impl Peer for Connection {
    fn send(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(self.chunk) {
            // A server that has closed already is what some exchanges wait for.
            if self.stream.write_all(chunk).is_err() {
                return;
            }
        }
    }

    fn receive(&mut self, len: usize) -> Vec<u8> {
        self.read(len).0
    }

    fn closed(&mut self) -> Result<Vec<u8>, String> {
        match self.read(1 << 16) {
            (rest, true) => Ok(rest),
            (_, false) => Err("the connection stays open".to_owned()),
        }
    }
}

fn is_refused(case: &Case) -> bool {
    REFUSED.contains(&(case.group.as_str(), case.name.as_str()))
}

/// Runs the exchanges one after the other; what failed.
fn run(cases: &[&Case], at: SocketAddr, chunk: usize) -> Vec<String> {
    let mut failed = Vec::new();
    for case in cases {
        if let Err(error) = suite::run(case, &mut Connection::new(at, chunk)) {
            failed.push(format!("{} / {}: {error}", case.group, case.name));
        }
    }
    failed
}

#[test]
fn every_exchange_in_scope_is_answered_byte_for_byte_and_leaves_nothing_behind() {
    let Some(vectors) = suite::directory() else { return };
    let dir = TempDir::new().unwrap();
    let program = Program::start(dir.path(), CONFIGURATION);
    let cases = suite::load(&vectors).unwrap();
    let (refused, in_scope): (Vec<&Case>, Vec<&Case>) =
        suite::in_scope(&cases).into_iter().partition(|c| is_refused(c));
    assert_eq!(refused.len(), REFUSED.len(), "exchanges that are left out");
    let before = program.descriptors();

    // One server for both runs: what the first leaves behind must not change the second.
    let mut failed = run(&in_scope, program.anonymous(), usize::MAX);
    let after_first = program.resident_bytes();
    failed.extend(run(&in_scope, program.anonymous(), 1));

    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
    until_equal(&before, || program.descriptors());
    let (first, second) = (after_first >> 10, program.resident_bytes() >> 10);
    println!("{} of {} exchanges, twice; resident {first} KiB, then {second} KiB", in_scope.len(), cases.len());
}
