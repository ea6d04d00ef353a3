//! The sealing thread: frozen chunks become blocks.
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};

use model::{Offset, Partition};

use crate::head::Chunk;

/// What the writers hand over, in the order in which it is to be done.
pub enum Job {
    /// A frozen chunk.
    Chunk(Arc<Chunk>),
    /// All chunks of the partition up to here are before it in the queue.
    Barrier { partition: Partition, at: Offset },
}

/// Jobs that wait. Chunks are bounded by the page pool; of barriers without a chunk between them only the last counts.
#[derive(Default)]
pub struct Queue {
    jobs: Mutex<VecDeque<Job>>,
    pushed: Condvar,
}

impl Queue {
    pub fn push(&self, job: Job) {
        let mut jobs = self.jobs.lock().expect("no holder of this lock panics");
        match (&job, jobs.back_mut()) {
            (Job::Barrier { partition, at }, Some(Job::Barrier { partition: last, at: last_at }))
                if partition == last =>
            {
                *last_at = *at;
            }
            _ => jobs.push_back(job),
        }
        drop(jobs);
        self.pushed.notify_one();
    }
}
