//! What a journal needs to know.

use std::path::PathBuf;
use std::time::Duration;

use model::limits;

use crate::Topic;
use crate::retention::Retention;

/// A journal's place and bounds. The server fills it from its own configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalConfig {
    /// The directory below which each topic has its own.
    pub dir: PathBuf,
    /// Partitions of every topic; fixed when the data directory is made.
    pub partitions: u16,
    /// Size of a segment file; a multiple of 4096. A batch larger than a segment is refused.
    pub segment_bytes: u64,
    /// Bytes of durable batches that a synced log keeps in memory for live readers; a derived log keeps an eighth.
    pub tail_bytes_max: usize,
    /// Commits in flight per log, which is also the number of its sync threads.
    pub commits_in_flight_max: usize,
    /// What [`crate::Log::trim`] leaves at least: whichever of size and age is less.
    pub retention_bytes: u64,
    pub retention_age: Duration,
    /// What trimming `dead-letter` leaves at least: whichever of size and age is less.
    pub dead_letter_bytes: u64,
    pub dead_letter_age: Duration,
    /// Who does the work behind an append.
    pub background: Background,
}

/// Who writes, syncs and makes segments ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Background {
    /// Threads of the journal's own.
    Threads,
    /// The caller, through [`crate::Log::commit`] and [`crate::Log::prepare`]: for deterministic tests.
    Manual,
}

impl JournalConfig {
    /// The limits of `model::limits`, one partition.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            partitions: 1,
            segment_bytes: limits::SEGMENT_BYTES,
            tail_bytes_max: limits::TAIL_BYTES_MAX,
            commits_in_flight_max: limits::COMMITS_IN_FLIGHT_MAX,
            retention_bytes: limits::RETENTION_BYTES,
            retention_age: limits::RETENTION_AGE,
            dead_letter_bytes: limits::DEAD_LETTER_BYTES,
            dead_letter_age: limits::DEAD_LETTER_AGE,
            background: Background::Threads,
        }
    }

    pub(crate) fn tail_bytes(&self, topic: Topic) -> usize {
        if topic.derived() { self.tail_bytes_max / 8 } else { self.tail_bytes_max }
    }

    pub(crate) fn retention(&self, topic: Topic) -> Retention {
        match topic {
            Topic::DeadLetter => Retention { bytes: self.dead_letter_bytes, age: self.dead_letter_age },
            _ => Retention { bytes: self.retention_bytes, age: self.retention_age },
        }
    }
}
