//! What waits to be sealed.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use model::{Offset, Partition};

use crate::catalog::Entry;
use crate::head::Chunk;

/// Chunks that are sealed with one change of the catalog: enough for a barrier over many small tables, few enough that
/// their pages come back soon.
const GROUP_CHUNKS_MAX: usize = 64;
const GROUP_ROWS_MAX: usize = 1 << 20;
/// How long sealing waits after the disk failed.
const RETRY_WAIT: Duration = Duration::from_secs(1);

/// What writers hand over, in the order in which it is to be done.
pub enum Job {
    /// A frozen chunk.
    Chunk(Arc<Chunk>),
    /// All chunks of the partition up to here are before it in the queue.
    Barrier { partition: Partition, at: Offset },
}

/// What is sealed together.
#[derive(Default)]
pub struct Group {
    pub chunks: Vec<Arc<Chunk>>,
    pub barrier: Option<(Partition, Offset)>,
    /// The blocks that the chunks became, if only the catalog is left to be written.
    pub written: Option<Vec<Entry>>,
}

/// The queue. Chunks in it are bounded by the page pool; of barriers without a chunk between them the last counts.
#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// A group whose sealing failed; it comes before the jobs.
    failed: Option<Group>,
    closed: bool,
    /// Closed, and nothing is to be sealed any more.
    abandoned: bool,
}

impl Queue {
    pub fn push(&self, job: Job) {
        let mut state = self.lock();
        match (&job, state.jobs.back_mut()) {
            (Job::Barrier { partition, at }, Some(Job::Barrier { partition: last, at: last_at }))
                if partition == last =>
            {
                *last_at = *at;
            }
            _ => state.jobs.push_back(job),
        }
        drop(state);
        self.changed.notify_all();
    }

    /// The next group, if anything waits.
    pub fn take(&self) -> Option<Group> {
        self.lock().take()
    }

    /// The next group, as soon as there is one; `None` once the queue is closed and empty.
    pub fn wait(&self) -> Option<Group> {
        let mut state = self.lock();
        loop {
            if state.abandoned {
                return None;
            }
            if let Some(group) = state.take() {
                return Some(group);
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).expect("no holder of this lock panics");
        }
    }

    /// Takes back a group whose sealing failed.
    pub fn give_back(&self, group: Group) {
        self.lock().failed = Some(group);
    }

    /// Waits before the next attempt; false if the queue is closed: the disk had its last chance.
    pub fn wait_to_retry(&self) -> bool {
        let state = self.lock();
        let is_open = |state: &mut State| !state.closed;
        let waited = self.changed.wait_timeout_while(state, RETRY_WAIT, is_open);
        !waited.expect("no holder of this lock panics").0.closed
    }

    /// Lets the sealing thread end: after what waits, or at once.
    pub fn close(&self, abandon: bool) {
        let mut state = self.lock();
        state.closed = true;
        state.abandoned |= abandon;
        drop(state);
        self.changed.notify_all();
    }

    /// Chunks that wait.
    pub fn chunks(&self) -> usize {
        let state = self.lock();
        let jobs = state.jobs.iter().filter(|job| matches!(job, Job::Chunk(_))).count();
        jobs + state.failed.as_ref().map_or(0, |group| group.chunks.len())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

impl State {
    fn take(&mut self) -> Option<Group> {
        if let Some(group) = self.failed.take() {
            return Some(group);
        }
        let mut group = Group::default();
        let mut rows = 0;
        while group.chunks.len() < GROUP_CHUNKS_MAX && rows < GROUP_ROWS_MAX && group.barrier.is_none() {
            match self.jobs.pop_front() {
                None => break,
                Some(Job::Barrier { partition, at }) => group.barrier = Some((partition, at)),
                Some(Job::Chunk(chunk)) => {
                    rows += chunk.visible().len;
                    group.chunks.push(chunk);
                }
            }
        }
        // A barrier right behind the chunks costs nothing more.
        if let (None, Some(Job::Barrier { partition, at })) = (&group.barrier, self.jobs.front()) {
            group.barrier = Some((*partition, *at));
            self.jobs.pop_front();
        }
        (!group.chunks.is_empty() || group.barrier.is_some()).then_some(group)
    }
}
