//! The handles: a journal, and one partition of one topic of it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use model::{Batch, Clock, Disk, Offset, Partition};

use crate::embedded::EmbeddedLog;
use crate::memory::MemoryLog;
use crate::recovery::{self, LogRecovery, Recovery};
use crate::watermark::Registration;
use crate::{Error, JournalConfig, Topic};

/// The ordinal of a segment within its log. A batch's bindings hold for the segment that it was bound for.
pub type SegmentId = u64;

/// A batch as readers get it. It takes the offsets from `base` to `end()`, exclusive.
#[derive(Clone, Debug)]
pub struct Frame {
    pub base: Offset,
    pub batch: Arc<Batch>,
}

impl Frame {
    /// The offset behind the batch.
    pub fn end(&self) -> Offset {
        self.base + u64::from(self.batch.count())
    }
}

/// What became of a batch that was handed in.
#[derive(Debug)]
#[must_use = "a batch that was not accepted comes back here"]
pub enum Append {
    /// It has the offsets `base..end` and is written; durable when the watermark reaches `end`.
    Accepted { base: Offset, end: Offset },
    /// A new segment was begun since the batch was bound: add the bindings of the indices that it uses, call again.
    Rolled(Batch),
    /// Nothing was stored and no offset taken.
    Refused { batch: Batch, error: Error },
}

/// Offsets that were durable and cannot be read any more. What stands behind them is intact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gap {
    pub offsets: Range<Offset>,
    /// The file, and the bytes of it that no intact frame holds; `None` until a reader has come by.
    pub place: Option<(PathBuf, Range<u64>)>,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offsets {} to {} (exclusive)", self.offsets.start, self.offsets.end)?;
        match &self.place {
            Some((path, bytes)) => write!(f, ", bytes {} to {} of {}", bytes.start, bytes.end, path.display()),
            None => Ok(()),
        }
    }
}

/// Figures of one log, for metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Figures {
    /// Segments in use.
    pub segments: u64,
    /// Bytes of frames between the oldest offset and the end, with the space between frames.
    pub bytes: u64,
    /// Bytes of batches held in memory for readers.
    pub tail_bytes: u64,
    /// Batches accepted since the log was opened.
    pub batches: u64,
    /// Commits since the log was opened: a commit makes one or more batches durable with one sync.
    pub commits: u64,
}

/// All logs of one data directory. Clones share them; the last one to go closes them.
#[derive(Clone)]
pub struct Journal(Arc<Inner>);

struct Inner {
    config: JournalConfig,
    clock: Clock,
    /// `None` in memory.
    disk: Option<Arc<dyn Disk>>,
    logs: Mutex<BTreeMap<(Topic, Partition), Log>>,
}

impl Journal {
    /// Opens the logs below `config.dir`, creating the directory if need be, and recovers each. The recovery says what
    /// was cut and what is corrupt; neither is an error.
    pub fn open(config: JournalConfig, disk: Arc<dyn Disk>, clock: Clock) -> Result<(Self, Recovery), Error> {
        let present = recovery::logs_present(disk.as_ref(), &config.dir)?;
        let journal = Self::new(config, Some(disk), clock);
        let mut recovered = Recovery::default();
        for (topic, partition) in present {
            recovered.logs.push(journal.open_log(topic, partition)?.1);
        }
        Ok((journal, recovered))
    }

    /// A journal in memory. What it holds is lost with the process; `config.retention_bytes` is the most it takes.
    pub fn memory(config: JournalConfig, clock: Clock) -> Self {
        Self::new(config, None, clock)
    }

    fn new(config: JournalConfig, disk: Option<Arc<dyn Disk>>, clock: Clock) -> Self {
        Self(Arc::new(Inner { config, clock, disk, logs: Mutex::default() }))
    }

    pub fn config(&self) -> &JournalConfig {
        &self.0.config
    }

    /// The log of one partition of a topic; it is created if it does not exist.
    pub fn log(&self, topic: Topic, partition: Partition) -> Result<Log, Error> {
        if let Some(log) = self.logs().get(&(topic, partition)) {
            return Ok(log.clone());
        }
        Ok(self.open_log(topic, partition)?.0)
    }

    /// Closes a log, poisoned or not, and recovers it from the disk again. Earlier handles stay closed.
    pub fn reopen(&self, topic: Topic, partition: Partition) -> Result<(Log, LogRecovery), Error> {
        let before = self.logs().remove(&(topic, partition));
        if let Some(log) = before {
            log.close();
        }
        self.open_log(topic, partition)
    }

    fn open_log(&self, topic: Topic, partition: Partition) -> Result<(Log, LogRecovery), Error> {
        let config = &self.0.config;
        if partition.0 >= config.partitions {
            return Err(Error::NoPartition { partition: partition.0, partitions: config.partitions });
        }
        let mut logs = self.logs();
        if let Some(log) = logs.get(&(topic, partition)) {
            return Ok((log.clone(), LogRecovery::nothing(topic, partition)));
        }
        let (log, recovered) = match &self.0.disk {
            Some(disk) => {
                let clock = self.0.clock.clone();
                let (log, recovered) = EmbeddedLog::open(config, disk.clone(), clock, topic, partition)?;
                (Log(Backend::Embedded(Arc::new(log))), recovered)
            }
            None => {
                let log = MemoryLog::new(config);
                (Log(Backend::Memory(Arc::new(log))), LogRecovery::nothing(topic, partition))
            }
        };
        logs.insert((topic, partition), log.clone());
        Ok((log, recovered))
    }

    /// Closes every log, see [`Log::close`].
    pub fn close(&self) {
        let logs: Vec<_> = self.logs().values().cloned().collect();
        for log in logs {
            log.close();
        }
    }

    fn logs(&self) -> MutexGuard<'_, BTreeMap<(Topic, Partition), Log>> {
        self.0.logs.lock().expect("no holder of this lock panics")
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("config", &self.0.config).finish_non_exhaustive()
    }
}

/// One partition of one topic. Clones are handles on the same log.
#[derive(Clone)]
pub struct Log(Backend);

#[derive(Clone)]
enum Backend {
    Embedded(Arc<EmbeddedLog>),
    Memory(Arc<MemoryLog>),
}

/// Calls a method that every backend has.
macro_rules! each {
    ($self:ident, $log:ident => $call:expr) => {
        match &$self.0 {
            Backend::Embedded($log) => $call,
            Backend::Memory($log) => $call,
        }
    };
}

impl Log {
    /// The current segment, for which a batch is to be bound.
    pub fn segment(&self) -> SegmentId {
        each!(self, log => log.segment())
    }

    /// Takes a batch in. Never waits for the disk, except in a derived topic, where it writes (and does not sync).
    /// `bound_for` is the segment that the batch carries its bindings for; `None` if it needs none.
    pub fn append(&self, batch: Batch, bound_for: Option<SegmentId>) -> Append {
        each!(self, log => log.append(batch, bound_for))
    }

    /// Waits until everything appended before the call is synced.
    pub fn sync(&self) -> Result<(), Error> {
        each!(self, log => log.sync())
    }

    /// With [`crate::Background::Manual`], does what sync thread `number` would do next: takes what waits, writes it and
    /// syncs it; false if nothing waits. Another number may do so meanwhile, as when the disk calls back.
    pub fn commit(&self, number: usize) -> bool {
        match &self.0 {
            Backend::Embedded(log) => log.commit(number),
            Backend::Memory(_) => false,
        }
    }

    /// With [`crate::Background::Manual`], makes the next segment ready; false if none is needed. One call at a time.
    pub fn prepare(&self) -> bool {
        match &self.0 {
            Backend::Embedded(log) => log.prepare(),
            Backend::Memory(_) => false,
        }
    }

    /// Whether a commit can begin at once. When it turns true again, the registered wake-ups are called. A log that is
    /// poisoned or closed says true, so that the reason is seen.
    pub fn slot_free(&self) -> bool {
        each!(self, log => log.slot_free())
    }

    /// The watermark: all offsets below it are durable, in a derived topic written. One atomic load.
    pub fn durable(&self) -> Offset {
        each!(self, log => log.watermark().get())
    }

    /// The offset that the next batch will have.
    pub fn end(&self) -> Offset {
        each!(self, log => log.end())
    }

    /// The oldest offset that is kept.
    pub fn oldest(&self) -> Offset {
        each!(self, log => log.oldest())
    }

    /// Bytes of the log from the batch that holds `offset` to the end: a consumer's lag. Exact within the tail, within
    /// some hundred KiB before it.
    pub fn bytes_from(&self, offset: Offset) -> u64 {
        each!(self, log => log.bytes_from(offset))
    }

    /// Has `wake` called, on a thread of the journal, after a commit ended (so the watermark may have moved and a slot
    /// is free), after the log became able or unable to take more, and when it is poisoned. It must be quick.
    pub fn on_durable(&self, wake: Box<dyn Fn() + Send + Sync>) -> Registration {
        each!(self, log => log.watermark().register(wake))
    }

    /// Durable batches from the one that holds `from`, up to about `bytes_max` bytes but at least one; none at the end.
    pub fn read(&self, from: Offset, bytes_max: usize) -> Result<Vec<Frame>, Error> {
        each!(self, log => log.read(from, bytes_max))
    }

    /// Blocks until `from` is durable, at most `timeout`. Whether it is.
    pub fn wait(&self, from: Offset, timeout: Duration) -> bool {
        each!(self, log => log.watermark().wait(from, timeout))
    }

    /// Lets whole segments go that end at or before `before` and are beyond retention. The bytes that they held.
    pub fn trim(&self, before: Offset) -> Result<u64, Error> {
        each!(self, log => log.trim(before))
    }

    /// Makes the next batch take an offset of at least `offset`: what is derived from this log reaches further than
    /// the log itself, so part of it was lost, and its offsets must not be given away again. Reading the skipped ones
    /// gives [`Error::Corrupt`]. Only for a log that nobody appends to yet.
    pub fn skip_to(&self, offset: Offset) -> Result<(), Error> {
        each!(self, log => log.skip_to(offset))
    }

    /// Why the log takes nothing more until it is reopened, if that is so.
    pub fn poisoned(&self) -> Option<Error> {
        each!(self, log => log.poisoned())
    }

    /// What is known to be damaged: found at open, or met by a reader since.
    pub fn gaps(&self) -> Vec<Gap> {
        each!(self, log => log.gaps())
    }

    /// What keeps the log from taking more, if it is something that passes and not mere load: no space for the next
    /// segment, no descriptor to open it with. The log looks by itself, once a second, whether it has passed.
    pub fn obstacle(&self) -> Option<Error> {
        each!(self, log => log.obstacle())
    }

    pub fn figures(&self) -> Figures {
        each!(self, log => log.figures())
    }

    /// Refuses new batches, makes durable what was accepted, and ends the log's threads. Reading goes on.
    pub fn close(&self) {
        each!(self, log => log.close());
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("durable", &self.durable()).finish_non_exhaustive()
    }
}
