//! What stands in the topics `dead-letter` and `normalized`.
//!
//! Holds: no panic; what is read is written back the same, so nothing of it is lost between a disk and an answer.

use model::dead_letter::Entry;
use model::{Replay, normalized};

use crate::input::Input;

pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    match input.u8() % 3 {
        0 => entries(input.0),
        1 => drop(normalized::decode(input.0)),
        _ => replay(input.0),
    }
}

fn entries(mut rest: &[u8]) {
    while !rest.is_empty() {
        let before = rest;
        let Ok(entry) = Entry::decode(&mut rest) else {
            assert_eq!(rest.len(), before.len(), "what could not be read was taken");
            return;
        };
        let mut written = Vec::new();
        entry.encode(&mut written);
        assert_eq!(written, before[..before.len() - rest.len()]);
        entry.address();
        entry.tenant();
    }
}

fn replay(mut rest: &[u8]) {
    let before = rest;
    if let Ok(replay) = Replay::decode(&mut rest) {
        let mut written = Vec::new();
        replay.encode(&mut written);
        assert_eq!(written, before[..Replay::BYTES]);
    }
}
