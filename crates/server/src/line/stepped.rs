//! The line of one partition without a thread of its own: whoever holds it says who works next.
//!
//! It is made of the same parts as [`super::Line`], on a journal and a store whose background is manual, so that a
//! simulation can run it step by step, stop it at any operation of the disk, and do the same again. A worker may be given
//! a turn while another one has its own, as when the disk calls back in the middle of it: what threads would do at once.
//! Of workers that would wait for each other, the second does nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use journal::{Journal, Log, Topic};
use model::Batch;
use store::Store;
use tokio::sync::mpsc;

use super::dead_letters::{self, DeadLetterError};
use super::device_table::DeviceTable;
use super::ingest::{Ingest, IngestError, IngestParts};
use super::keeper::{Desk, Keeper, KeeperHandle, TrimError};
use super::normalized::NormalizedTopic;
use super::raw_log::{RawLog, Refused};
use super::sessions::HeldIds;
use super::snapshot::Snapshots;
use super::{LineParts, PARTITION, replay_bytes_max, trials};

/// Commits that may overlap.
pub const COMMITTERS: usize = 3;
/// Flags that wait for somebody to deal with them; here nobody does.
const FLAGS: usize = 1;

/// Who works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Worker {
    /// Sync thread of the journal, by number.
    Commit(usize),
    /// Makes the next segment of `raw` ready.
    Prepare,
    /// Takes what is durable through pipeline and store.
    Ingest,
    /// The ingest thread's barrier.
    Barrier,
    /// Writes snapshots and trims.
    Keep,
    /// Seals frozen chunks.
    Seal,
    /// Drops, rewrites and merges blocks.
    Maintain,
}

impl Worker {
    pub const ALL: [Self; 6 + COMMITTERS] = [
        Self::Commit(0),
        Self::Commit(1),
        Self::Commit(2),
        Self::Prepare,
        Self::Ingest,
        Self::Barrier,
        Self::Keep,
        Self::Seal,
        Self::Maintain,
    ];
}

/// See the module.
pub struct SteppedLine {
    journal: Journal,
    store: Store,
    raw: RawLog,
    dead_letters: Log,
    committers: [Mutex<()>; COMMITTERS],
    preparer: Mutex<()>,
    /// The ingest thread and the keeper, who wait for each other when dead letters are synced and trimmed.
    deriving: Mutex<Deriving>,
    /// Sealing and maintenance, who wait for each other when the catalog changes.
    blocks: Mutex<()>,
}

struct Deriving {
    ingest: Ingest,
    keeper: KeeperHandle,
    desk: Desk,
}

/// Why a line could not be opened or a worker had to stop.
#[derive(Debug, thiserror::Error)]
pub enum SteppedError {
    #[error(transparent)]
    Line(#[from] super::LineError),
    #[error("the store: {0}")]
    Store(#[from] store::Error),
    #[error("trimming: {0}")]
    Trim(#[from] TrimError),
    #[error(transparent)]
    DeadLetters(#[from] DeadLetterError),
}

impl From<IngestError> for SteppedError {
    fn from(error: IngestError) -> Self {
        Self::Line(error.into())
    }
}

impl SteppedLine {
    /// Opens the logs and derives again what was not sealed, as [`super::Line::open`] does.
    pub fn open(parts: LineParts) -> Result<Self, SteppedError> {
        let LineParts { journal, store, disk, dir, snapshots, metrics, clock, flagged: _ } = parts;
        let log = |topic| journal.log(topic, PARTITION).map_err(super::LineError::from);
        let (raw, dead_letters) = (log(Topic::Raw)?, log(Topic::DeadLetter)?);
        let normalized = Arc::new(NormalizedTopic::new(log(Topic::Normalized)?));
        let snapshots = Snapshots::open(disk.clone(), &snapshots, PARTITION).map_err(super::LineError::from)?;
        let (snapshots, devices) = (Arc::new(snapshots), Arc::new(DeviceTable::default()));
        let ingest = Ingest::open(IngestParts {
            partition: PARTITION,
            raw: raw.clone(),
            dead_letters: dead_letters.clone(),
            trials: trials().1,
            flagged: mpsc::channel(FLAGS).0,
            normalized: normalized.clone(),
            store: store.clone(),
            snapshots: snapshots.clone(),
            devices: devices.clone(),
            overload: Arc::default(),
            metrics,
            clock,
            replay_bytes_max: replay_bytes_max(&journal),
            free_bytes: Box::new(move || disk.free_bytes(&dir).unwrap_or(u64::MAX)),
        })?;
        let keeper = Keeper {
            partition: PARTITION,
            raw: raw.clone(),
            dead_letters: dead_letters.clone(),
            normalized: normalized.log().clone(),
            store: store.clone(),
            snapshots,
        };
        let (keeper, desk) = keeper.sit();
        Ok(Self {
            journal,
            store,
            raw: RawLog::new(raw, devices),
            dead_letters,
            committers: Default::default(),
            preparer: Mutex::default(),
            deriving: Mutex::new(Deriving { ingest, keeper, desk }),
            blocks: Mutex::default(),
        })
    }

    /// Gives a worker its turn; false if there was nothing to do or somebody else has to end first.
    pub fn turn(&self, worker: Worker) -> Result<bool, SteppedError> {
        match worker {
            Worker::Commit(number) => {
                let Some(_turn) = unless_busy(&self.committers[number]) else { return Ok(false) };
                Ok(self.raw.log().commit(number))
            }
            Worker::Prepare => {
                let Some(_turn) = unless_busy(&self.preparer) else { return Ok(false) };
                Ok(self.raw.log().prepare())
            }
            Worker::Ingest | Worker::Barrier | Worker::Keep => {
                let Some(mut turn) = unless_busy(&self.deriving) else { return Ok(false) };
                turn.work(worker)
            }
            Worker::Seal | Worker::Maintain => {
                let Some(_turn) = unless_busy(&self.blocks) else { return Ok(false) };
                if worker == Worker::Seal {
                    self.store.seal_waiting()?
                } else {
                    self.store.maintain()?
                }
                Ok(true)
            }
        }
    }

    /// Takes a batch in.
    pub fn append(&self, batch: Batch) -> Result<std::ops::Range<model::Offset>, Refused> {
        self.raw.append(batch)
    }

    /// What the sessions hold, as it is derived.
    pub fn held(&self) -> HeldIds {
        wait(&self.deriving).ingest.held().clone()
    }

    /// Every dead letter that is kept.
    pub fn letters(&self) -> Result<Vec<model::dead_letter::Entry>, SteppedError> {
        let (mut all, mut from) = (Vec::new(), self.dead_letters.oldest());
        loop {
            let part = dead_letters::read(&self.dead_letters, from)?;
            let Some((last, _)) = part.last() else { return Ok(all) };
            from = last + 1;
            all.extend(part.into_iter().map(|(_, entry)| entry));
        }
    }

    /// Whether older dead letters were let go.
    pub fn letters_trimmed(&self) -> bool {
        self.dead_letters.oldest() > 0
    }

    pub fn raw(&self) -> &RawLog {
        &self.raw
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Lets the windows in which a re-send is recognised forget everything: the negative control.
    #[cfg(feature = "sabotage")]
    pub fn forget_seen(&self) {
        if let Some(mut turn) = unless_busy(&self.deriving) {
            turn.ingest.forget_seen();
        }
    }

    /// Ends the line as [`super::Line::stop`] does.
    pub fn stop(&self) -> Result<(), SteppedError> {
        let (_commits, _blocks, mut turn) = (wait(&self.committers[0]), wait(&self.blocks), wait(&self.deriving));
        while self.raw.log().commit(0) {}
        while turn.ingest.turn()? {}
        let Deriving { ingest, keeper, desk } = &mut *turn;
        desk.turn()?;
        ingest.barrier(keeper, true)?;
        self.store.close()?;
        desk.turn()?;
        self.journal.close();
        Ok(())
    }
}

impl Deriving {
    fn work(&mut self, worker: Worker) -> Result<bool, SteppedError> {
        match worker {
            Worker::Barrier => self.ingest.barrier(&self.keeper, false)?,
            Worker::Keep => self.desk.turn()?,
            _ => return Ok(self.ingest.turn()?),
        }
        Ok(true)
    }
}

fn wait<T>(turn: &Mutex<T>) -> MutexGuard<'_, T> {
    turn.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unless_busy<T>(turn: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match turn.try_lock() {
        Ok(turn) => Some(turn),
        Err(TryLockError::Poisoned(turn)) => Some(turn.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}
