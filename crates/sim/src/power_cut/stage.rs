//! Where a life takes place: stands at every change of the disk, gives turns, lets the client send, and cuts the power.
//!
//! All of it is on one thread. What threads would do at once happens one within the other: before a change of the disk
//! another worker may get its turn, and within that one a third. So a commit ends before one that began earlier, and
//! blocks are sealed while a snapshot is being written.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use disk::{Change, Next, Operation, Watcher};
use model::{Clock, Offset};

use super::client::{Client, Sent};
use super::dice::Dice;
use super::trace::Trace;
use super::{Broken, Report, Subject};

/// Turns within turns.
const DEPTH_MAX: usize = 3;
/// How often, in percent, somebody else works before a change of the disk.
const BETWEEN: u64 = 15;
/// How often the client sends, relative to the weights of the workers.
const SEND: u64 = 14;

/// What outlives a life: the client, and what the log has accepted.
pub struct World {
    pub clock: Clock,
    pub broken: Broken,
    pub sending: Mutex<Sending>,
    pub trace: Mutex<Trace>,
    pub report: Arc<Mutex<Report>>,
}

pub struct Sending {
    pub client: Client,
    /// Every batch that the log has, with its first offset.
    pub history: Vec<(Offset, Sent)>,
    /// The offset below which the client got acknowledgements.
    pub acknowledged_to: Offset,
}

pub struct Stage<S> {
    world: Arc<World>,
    state: Mutex<State<S>>,
}

struct State<S> {
    dice: Dice,
    /// `None` while the line is opening, or read back.
    line: Option<Weak<S>>,
    operations: u64,
    cut_at: Option<u64>,
    is_cut: bool,
    depth: usize,
    failure: Option<String>,
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Subject> Stage<S> {
    /// The power is cut at the `cut_at`-th operation.
    pub fn new(world: Arc<World>, dice: Dice, cut_at: Option<u64>) -> Arc<Self> {
        let state = State { dice, line: None, operations: 0, cut_at, is_cut: false, depth: 0, failure: None };
        Arc::new(Self { world, state: Mutex::new(state) })
    }

    /// From now on workers get turns in the middle of each other's.
    pub fn enter(&self, line: &Arc<S>) {
        self.state().line = Some(Arc::downgrade(line));
    }

    /// From now on nobody gets a turn.
    pub fn leave(&self) {
        self.state().line = None;
    }

    pub fn is_cut(&self) -> bool {
        self.state().is_cut
    }

    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// What a worker failed of, although the disk is in order.
    pub fn failure(&self) -> Option<String> {
        self.state().failure.clone()
    }

    /// Lets somebody do something.
    pub fn act(&self) {
        let (line, choice, depth) = {
            let mut state = self.state();
            let Some(line) = state.line.as_ref().and_then(Weak::upgrade).filter(|_| !state.is_cut) else { return };
            let weights = S::WORKERS.iter().map(|(_, weight)| *weight).chain([SEND]);
            let choice = state.dice.weighted(weights);
            (line, choice, state.depth)
        };
        let answer = match S::WORKERS.get(choice) {
            Some((name, _)) => {
                self.note(format!("      {}{name}", "  ".repeat(depth)));
                if self.world.broken.forgetful {
                    line.forget_seen();
                }
                line.turn(choice).map_err(|error| format!("{name}: {error:#}"))
            }
            None => self.send(&line, depth).map_err(|error| format!("append: {error:#}")),
        };
        self.hear(&line);
        let mut state = self.state();
        if let Err(what) = answer
            && !state.is_cut
        {
            state.failure.get_or_insert(what);
        }
    }

    fn send(&self, line: &S, depth: usize) -> anyhow::Result<()> {
        let mut sending = lock(&self.world.sending);
        let sent = sending.client.next(self.world.clock.now_ms());
        let appended = match swapped(&sent).filter(|_| self.world.broken.swapped) {
            Some(swapped) => line.append(&swapped)?,
            None => line.append(&sent)?,
        };
        let Some(offsets) = appended else {
            sending.client.refused(sent.payloads);
            return Ok(());
        };
        self.note(format!("      {}append {}..{}", "  ".repeat(depth), offsets.start, offsets.end));
        lock(&self.world.report).payloads += sent.payloads.len() as u64;
        sending.client.sent(sent.payloads.clone(), offsets.end);
        sending.history.push((offsets.start, sent));
        Ok(())
    }

    /// Lets the client hear what is durable.
    pub fn hear(&self, line: &S) {
        let to = if self.world.broken.early_ack { line.end() } else { line.durable() };
        let mut sending = lock(&self.world.sending);
        sending.acknowledged_to = sending.acknowledged_to.max(to);
        sending.client.hear(to);
    }

    fn note(&self, line: String) {
        lock(&self.world.trace).note(line);
    }

    fn state(&self) -> MutexGuard<'_, State<S>> {
        lock(&self.state)
    }
}

impl<S: Subject> Watcher for Stage<S> {
    fn before(&self, change: &Change<'_>) -> Next {
        let is_between = {
            let mut state = self.state();
            if state.is_cut {
                return Next::Go;
            }
            state.operations += 1;
            lock(&self.world.trace).change(state.operations, state.depth, change);
            count(&mut lock(&self.world.report), change);
            if state.cut_at == Some(state.operations) {
                state.is_cut = true;
                lock(&self.world.trace).note("      the power is cut".to_owned());
                return Next::Cut;
            }
            let is_between = state.line.is_some() && state.depth < DEPTH_MAX && state.dice.percent(BETWEEN);
            state.depth += usize::from(is_between);
            is_between
        };
        if is_between {
            self.act();
            self.state().depth -= 1;
        }
        Next::Go
    }
}

/// Tells by its path what a change is part of.
fn count(report: &mut Report, change: &Change<'_>) {
    report.operations += 1;
    let path = change.path.to_string_lossy();
    let name = change.path.file_name().unwrap_or_default().to_string_lossy();
    let counter = match change.operation {
        Operation::Rename if name.starts_with("catalog-") => &mut report.catalogs,
        Operation::Rename if path.ends_with(".snapshot.tmp") => &mut report.snapshots,
        Operation::Rename if name.starts_with("spare-") => &mut report.segments_begun,
        Operation::Rename if name.ends_with(".segment") => &mut report.segments_trimmed,
        Operation::Remove if name.ends_with(".segment") => &mut report.segments_trimmed,
        Operation::Open if name.ends_with(".parquet") => &mut report.blocks_written,
        Operation::Remove if name.ends_with(".parquet") => &mut report.blocks_removed,
        _ => return,
    };
    *counter += 1;
}

/// The batch with the first two different payloads of one device in each other's place.
fn swapped(sent: &Sent) -> Option<Sent> {
    let payloads = &sent.payloads;
    let differ = |one: usize, other: usize| {
        payloads[one].device == payloads[other].device && payloads[one].bytes != payloads[other].bytes
    };
    let pairs = || (0..payloads.len()).flat_map(|one| (one + 1..payloads.len()).map(move |other| (one, other)));
    let (one, other) = pairs().find(|(one, other)| differ(*one, *other))?;
    let mut swapped = sent.clone();
    swapped.payloads.swap(one, other);
    Some(swapped)
}
