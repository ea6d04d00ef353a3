//! Power cuts, simulated: the line on a disk that loses what a real one may lose, crashed at any operation of the disk,
//! opened again, and compared with a model of what was accepted. All of it is decided by a seed and runs on one thread,
//! so that a failing seed fails again at the same operation.
//!
//! A *round* begins with an empty directory. It is a sequence of *lives*: the line is opened ([`Subject`]), a client sends
//! messages and re-sends ([`client`]), workers get turns in any order, also in the middle of another one's disk
//! operations ([`stage`]), time passes, and then the power goes, the process is killed, or it stops in order. The power
//! can go while the line is still opening, several times in a row. After each opening and now and then in between
//! everything is read back and compared ([`check`]) with what the rules make of the accepted messages ([`rules`]):
//!
//! - what was acknowledged is in `raw`, in order, or in the store; an offset that was ever read has one content for ever;
//! - the store's rows are exactly those of the accepted messages, each once, derived under the rules of their offset;
//! - the dead letters are exactly those of the rejected ones; ids of QoS 2 that are held are those that are to be held.
//!
//! It never decides what the line does, never reads a clock, and touches no file of the machine.

use std::sync::{Arc, Mutex};

use serde::Serialize;

mod broken;
mod check;
pub mod client;
mod dice;
pub mod fleet;
mod round;
mod rules;
mod stage;
mod subject;
mod trace;

#[cfg(test)]
mod tests;

pub use broken::Broken;
pub use check::Kept;
pub use rules::{Held, Letter, Row};
pub use subject::{RawBatch, Subject};

use round::Round;

/// What to simulate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The first round's seed; the others have the numbers behind it.
    pub seed: u64,
    pub rounds: u64,
    /// Guards that are broken on purpose.
    pub broken: Broken,
}

/// What was simulated, and the first failure.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub rounds: u64,
    /// How often the line was opened.
    pub opened: u64,
    /// Power cuts at an operation of the disk, those while the line was opening, and the most of them in a row.
    pub cuts: u64,
    pub cuts_in_recovery: u64,
    pub cuts_in_a_row: u64,
    /// Power cuts between operations, ends of the process, orderly stops.
    pub cuts_at_rest: u64,
    pub kills: u64,
    pub stops: u64,
    /// Comparisons with the model.
    pub checks: u64,
    /// Operations that changed the disk, and what some of them were.
    pub operations: u64,
    pub segments_begun: u64,
    pub segments_trimmed: u64,
    pub blocks_written: u64,
    pub blocks_removed: u64,
    pub catalogs: u64,
    pub snapshots: u64,
    /// Payloads accepted, and those whose acknowledgement the client got.
    pub payloads: u64,
    pub acknowledged: u64,
    /// Messages in the last state of each round, by what became of them.
    pub rows: u64,
    pub duplicates: u64,
    pub dead_letters: u64,
    /// A hash of all that happened: the same seed gives the same.
    pub digest: u64,
    pub failure: Option<Failure>,
}

/// What went wrong, and how to see it again.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// The seed of the round: it alone, with one round, fails the same way.
    pub seed: u64,
    pub life: u64,
    /// The operation of the life before at which the power was cut, if it was.
    pub cut_at: Option<u64>,
    pub what: String,
    /// The last operations and turns before the failure, oldest first.
    pub trace: Vec<String>,
}

/// Simulates the rounds, until one fails. `go_on` is given the report after each, and says whether another one is wanted.
pub fn run<S: Subject>(options: &Options, mut go_on: impl FnMut(&Report) -> bool) -> Report {
    let report = Arc::new(Mutex::new(Report::default()));
    for number in 0..options.rounds {
        let seed = options.seed.wrapping_add(number);
        let failure = Round::<S>::new(seed, options.broken, report.clone()).play();
        let mut report = report.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        report.rounds += 1;
        report.failure = failure;
        if !go_on(&report) || report.failure.is_some() {
            break;
        }
    }
    let report = report.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    report.clone()
}
