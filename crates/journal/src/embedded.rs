//! The log on the disk.
//!
//! One lock guards the state; no one holds it while touching the disk. A synced log has threads that write and sync what
//! [`append`] queued ([`commit`]), and one that makes the next segment ready before it is needed ([`keeper`]). A derived
//! log has none: its appender writes ([`derived`]).
//!
//! Invariants: the watermark moves in the order of offsets and stops for ever when a write or a sync failed; a batch is
//! visible to readers only below it; a segment is recycled only when a later one is durable; every thread syncs through
//! a file handle of its own, because a failed write-back is reported to each handle once, and through a shared one the
//! thread that it concerns might not hear of it. The handles are opened when the segment is made ready: when descriptors
//! run out, the log refuses instead of failing a commit. The handles of a synced log write past the page cache: a commit
//! costs half the CPU time so, and who reads live reads the tail in memory.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use model::{Batch, Clock, Disk, DiskFile, Offset, OpenMode, Partition};

use crate::recovery::LogRecovery;
use crate::retention::Retention;
use crate::tail::Tail;
use crate::watermark::Watermark;
use crate::{Append, Background, Error, Figures, Gap, JournalConfig, SegmentId, Topic};

mod append;
mod commit;
mod derived;
mod keeper;
mod open;
mod read;
mod segment;
mod trim;

pub(crate) use append::BATCH_ROOM;
use derived::Writer;
use segment::Segment;

/// The threads hardly nest calls and keep nothing on the stack.
const THREAD_STACK_BYTES: usize = 256 << 10;

/// One log on the disk.
pub(crate) struct EmbeddedLog {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What the log's handles and threads have in common.
struct Shared {
    topic: Topic,
    partition: Partition,
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    clock: Clock,
    segment_bytes: u64,
    tail_bytes_max: usize,
    commits_max: usize,
    retention: Retention,
    /// What opening found to be damaged.
    corrupt: Vec<Range<Offset>>,
    /// Log time at open, and the clock then.
    opened: (Duration, Duration),
    watermark: Arc<Watermark>,
    /// In a derived log: all offsets below are synced.
    synced: AtomicU64,
    /// A copy of [`State::slot_free`], for one load.
    slot_free: AtomicBool,
    /// Whether [`State::poison`] is there, for one load.
    poisoned: AtomicBool,
    state: Mutex<State>,
    /// Sync threads wait here for work.
    work: Condvar,
    /// The keeper waits here for a segment to be needed.
    needed: Condvar,
    /// [`EmbeddedLog::sync`] waits here for the watermark.
    settled: Condvar,
    /// The appender of a derived log.
    writer: Mutex<Writer>,
    /// Only one trims, and only one syncs a derived log, at a time.
    upkeep: Mutex<()>,
}

struct State {
    /// Begun segments, the oldest first; the last is the current one.
    segments: VecDeque<Arc<Segment>>,
    /// Where the next frame goes in the current segment; behind its end if a new one must be begun.
    position: u64,
    /// The next offset.
    end: Offset,
    /// Whether the current segment's beginning goes with the next frame.
    begin: bool,
    prepared: Option<Prepared>,
    /// Why no segment could be made ready.
    obstacle: Option<Error>,
    /// Why a frame cannot be written for now: the disk has no space for it.
    no_space: Option<Error>,
    /// Someone waits for the obstacle to go.
    retry: bool,
    /// Files to make segments from, by number.
    spares: Vec<u64>,
    /// The number that the next spare has. None is used twice: the keeper may be at work on one that has left `spares`.
    spare_next: u64,
    /// The id that a first segment has.
    first_id: SegmentId,
    /// Segments that nothing can be read from; they go when their neighbours go.
    unreadable: Vec<SegmentId>,
    /// Accepted, and no thread has taken it yet.
    queue: VecDeque<Queued>,
    /// Accepted, not yet durable; in order.
    pending: VecDeque<Pending>,
    /// Sequence number of the first of `pending`.
    pending_first: u64,
    pending_bytes: usize,
    commits_running: usize,
    tail: Tail,
    poison: Option<Error>,
    closing: bool,
    batches: u64,
    commits: u64,
}

/// A segment file that is ready to be begun.
struct Prepared {
    id: SegmentId,
    generation: u64,
    files: Vec<Arc<dyn DiskFile>>,
}

/// A file to make a segment from.
#[derive(Clone, Copy, Debug)]
struct Spare {
    number: u64,
    /// It exists and holds the bytes of an earlier life.
    recycled: bool,
}

/// A frame to be written.
struct Queued {
    /// Counts accepted batches.
    sequence: u64,
    segment: Arc<Segment>,
    position: u64,
    base: Offset,
    /// The segment's beginning is written with it.
    begin: bool,
    batch: Batch,
}

/// A frame whose durability is awaited.
struct Pending {
    base: Offset,
    end: Offset,
    place: u64,
    bytes: usize,
    /// There once it is written and synced.
    written: Option<Arc<Batch>>,
}

impl EmbeddedLog {
    pub(crate) fn open(
        config: &JournalConfig,
        disk: Arc<dyn Disk>,
        clock: Clock,
        topic: Topic,
        partition: Partition,
    ) -> Result<(Self, LogRecovery), Error> {
        let (shared, recovered) = open::open(config, disk, clock, topic, partition)?;
        let shared = Arc::new(shared);
        let threads = match config.background {
            Background::Threads if !topic.derived() => spawn(&shared)?,
            _ => Vec::new(),
        };
        Ok((Self { shared, threads: Mutex::new(threads) }, recovered))
    }

    pub(crate) fn watermark(&self) -> &Arc<Watermark> {
        &self.shared.watermark
    }

    pub(crate) fn segment(&self) -> SegmentId {
        let state = self.shared.state();
        state.segments.back().map_or_else(|| state.next_id(), |segment| segment.id)
    }

    pub(crate) fn append(&self, batch: Batch, bound_for: Option<SegmentId>) -> Append {
        if self.shared.topic.derived() {
            self.shared.append_derived(batch, bound_for)
        } else {
            self.shared.append(batch, bound_for)
        }
    }

    pub(crate) fn commit(&self, number: usize) -> bool {
        self.shared.take_waiting().is_some_and(|frames| {
            commit::commit(&self.shared, number, frames);
            true
        })
    }

    pub(crate) fn prepare(&self) -> bool {
        let needed = self.shared.state().take_needed();
        needed.is_some_and(|(id, spare)| {
            keeper::make_ready(&self.shared, id, spare);
            true
        })
    }

    pub(crate) fn sync(&self) -> Result<(), Error> {
        if self.shared.topic.derived() { self.shared.sync_derived() } else { self.shared.wait_settled() }
    }

    pub(crate) fn slot_free(&self) -> bool {
        self.shared.slot_free.load(Ordering::Acquire)
    }

    pub(crate) fn end(&self) -> Offset {
        self.shared.state().end
    }

    pub(crate) fn oldest(&self) -> Offset {
        self.shared.state().oldest()
    }

    pub(crate) fn bytes_from(&self, offset: Offset) -> u64 {
        self.shared.state().bytes_from(offset)
    }

    pub(crate) fn read(&self, from: Offset, bytes_max: usize) -> Result<Vec<crate::Frame>, Error> {
        self.shared.read(from, bytes_max)
    }

    pub(crate) fn trim(&self, before: Offset) -> Result<u64, Error> {
        self.shared.trim(before)
    }

    pub(crate) fn skip_to(&self, offset: Offset) -> Result<(), Error> {
        let mut state = self.shared.state();
        if offset > state.end {
            debug_assert!(state.pending.is_empty(), "nobody appends yet");
            state.end = offset;
            state.position = u64::MAX;
            self.shared.watermark.set(offset);
        }
        Ok(())
    }

    pub(crate) fn poisoned(&self) -> Option<Error> {
        if !self.shared.poisoned.load(Ordering::Acquire) {
            return None;
        }
        self.shared.state().poison.clone()
    }

    pub(crate) fn gaps(&self) -> Vec<Gap> {
        let state = self.shared.state();
        let mut gaps: Vec<Gap> = state.segments.iter().flat_map(|segment| segment.gaps()).collect();
        let met = |offsets: &Range<Offset>| gaps.iter().any(|gap| overlap(&gap.offsets, offsets));
        let (oldest, found) = (state.oldest(), &self.shared.corrupt);
        let unmet: Vec<_> = found.iter().filter(|found| found.end > oldest && !met(found)).cloned().collect();
        gaps.extend(unmet.into_iter().map(|offsets| Gap { offsets, place: None }));
        gaps.sort_unstable_by_key(|gap| gap.offsets.start);
        gaps
    }

    pub(crate) fn obstacle(&self) -> Option<Error> {
        let state = self.shared.state();
        if self.shared.topic.derived() { state.obstacle.clone() } else { state.standing() }
    }

    pub(crate) fn figures(&self) -> Figures {
        let state = self.shared.state();
        Figures {
            segments: state.segments.len() as u64,
            bytes: state.bytes_from(state.oldest()),
            tail_bytes: state.tail.bytes() as u64,
            batches: state.batches,
            commits: state.commits,
        }
    }

    pub(crate) fn close(&self) {
        self.shared.state().closing = true;
        self.shared.settled.notify_all();
        self.shared.work.notify_all();
        self.shared.needed.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock().expect("no holder of this lock panics"));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!(topic = %self.shared.topic, "a thread of the journal panicked");
            }
        }
        // What waits without threads.
        while self.commit(0) {}
        if self.shared.topic.derived()
            && let Err(error) = self.shared.sync_derived()
        {
            tracing::error!(topic = %self.shared.topic, %error, "the log could not be synced when it was closed");
        }
        self.shared.settled.notify_all();
        self.shared.watermark.announce();
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        self.close();
    }
}

fn overlap(one: &Range<Offset>, other: &Range<Offset>) -> bool {
    one.start < other.end && other.start < one.end
}

/// Starts the sync threads and the keeper.
fn spawn(shared: &Arc<Shared>) -> Result<Vec<JoinHandle<()>>, Error> {
    let start = |name: String, run: Box<dyn FnOnce(&Shared) + Send>| {
        let (shared, dir) = (shared.clone(), shared.dir.clone());
        let thread = std::thread::Builder::new().name(name).stack_size(THREAD_STACK_BYTES);
        thread.spawn(move || run(&shared)).map_err(Error::io("start a thread for", &dir))
    };
    let name = format!("{}-{}", shared.topic, shared.partition.0);
    let mut threads = vec![start(format!("{name}-keeper"), Box::new(keeper::run))?];
    for number in 0..shared.commits_max {
        let run = Box::new(move |shared: &Shared| commit::run(shared, number));
        threads.push(start(format!("{name}-sync-{number}"), run)?);
    }
    Ok(threads)
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// Handles on a segment, one for each thread that writes to it.
    fn open_files(&self, path: &Path) -> std::io::Result<Vec<Arc<dyn DiskFile>>> {
        let (count, mode) =
            if self.topic.derived() { (1, OpenMode::ReadWrite) } else { (self.commits_max, OpenMode::Direct) };
        (0..count).map(|_| Ok(self.disk.open(path, mode)?.into())).collect()
    }

    /// How long the log has been open, over all its lives.
    fn log_time(&self) -> Duration {
        self.opened.0 + self.clock.monotonic().saturating_sub(self.opened.1)
    }

    /// Brings the copy of `slot_free` up to date. Whether it changed.
    fn note_slot(&self, state: &State) -> bool {
        let free = self.topic.derived() || state.slot_free(self.commits_max);
        self.slot_free.swap(free, Ordering::AcqRel) != free
    }

    /// Stops the log for ever: the watermark stays where it is. The caller announces it.
    fn poison(&self, state: &mut State, error: Error) {
        if state.poison.is_none() {
            tracing::error!(topic = %self.topic, partition = self.partition.0, %error, "the log is poisoned");
            state.poison = Some(error.poisoned_by());
            self.poisoned.store(true, Ordering::Release);
        }
        state.queue.clear();
        self.note_slot(state);
        self.work.notify_all();
        self.needed.notify_all();
        self.settled.notify_all();
    }
}

impl State {
    /// The number of a file to make a segment from, and whether it exists.
    fn take_spare(&mut self) -> Spare {
        match self.spares.pop() {
            Some(number) => Spare { number, recycled: true },
            None => Spare { number: self.number_spare(), recycled: false },
        }
    }

    fn number_spare(&mut self) -> u64 {
        self.spare_next += 1;
        self.spare_next - 1
    }

    fn oldest(&self) -> Offset {
        self.segments.front().map_or(self.end, |segment| segment.base)
    }

    /// The id of the segment after the current one.
    fn next_id(&self) -> SegmentId {
        self.segments.back().map_or(self.first_id, |segment| segment.id + 1)
    }

    /// Whether a batch of the usual size would be taken and written at once, or refused for a reason worth seeing.
    fn slot_free(&self, commits_max: usize) -> bool {
        if self.poison.is_some() || self.closing {
            return true;
        }
        self.commits_running + self.queue.len() < commits_max
            && self.pending_bytes < append::pending_bytes_max(commits_max)
            && self.no_space.is_none()
            && self.has_room()
    }

    /// Whether there is a place for a batch of the usual size.
    fn has_room(&self) -> bool {
        self.prepared.is_some() || self.room() >= BATCH_ROOM
    }

    /// What keeps a batch of the usual size out, load aside.
    fn standing(&self) -> Option<Error> {
        let no_segment = || self.obstacle.clone().filter(|_| !self.has_room()).map(Error::no_segment);
        self.no_space.clone().or_else(no_segment)
    }

    /// Bytes left in the current segment.
    fn room(&self) -> u64 {
        self.segments.back().map_or(0, |segment| segment.file_bytes.saturating_sub(self.position))
    }

    /// The place where the next frame would begin.
    fn place(&self) -> u64 {
        self.segments.back().map_or(0, |segment| segment.place + self.position.min(segment.file_bytes))
    }

    fn bytes_from(&self, offset: Offset) -> u64 {
        if offset >= self.end {
            return 0;
        }
        let at = self.segments.partition_point(|segment| segment.base <= offset);
        let near = at.checked_sub(1).map(|at| &self.segments[at]);
        let near = near.map(|segment| segment.place + segment.position_near(offset));
        let first = self.segments.front().map_or(0, |segment| segment.place);
        self.place() - self.tail.place_of(offset).or(near).unwrap_or(first)
    }
}
