//! Opening what an earlier life left.

use std::ops::Range;
use std::path::{Path, PathBuf};

use model::{Disk, Offset, Partition};

use crate::{Error, Topic};

/// What opening a journal found. None of it stops the journal.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recovery {
    /// One for each log that existed.
    pub logs: Vec<LogRecovery>,
}

/// What opening one log found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogRecovery {
    pub topic: Topic,
    pub partition: Partition,
    /// Segments in use.
    pub segments: usize,
    pub oldest: Offset,
    pub end: Offset,
    /// Bytes cut from the end: written, never durable, so never acknowledged.
    pub torn_bytes: u64,
    /// Whole batches among them, that stood behind a hole.
    pub torn_batches: u64,
    /// The file and position at which the log was cut.
    pub torn_at: Option<(PathBuf, u64)>,
    /// Offsets that were durable and cannot be read any more, as far as opening looked: older segments are checked
    /// when they are read, or by `journal check`.
    pub corrupt: Vec<Range<Offset>>,
    /// What is wrong with files beyond that, one sentence each.
    pub damage: Vec<String>,
    /// Batches that were written again and synced, since nothing said that they were durable.
    pub rewritten: u64,
}

impl LogRecovery {
    pub(crate) fn nothing(topic: Topic, partition: Partition) -> Self {
        Self {
            topic,
            partition,
            segments: 0,
            oldest: 0,
            end: 0,
            torn_bytes: 0,
            torn_batches: 0,
            torn_at: None,
            corrupt: Vec::new(),
            damage: Vec::new(),
            rewritten: 0,
        }
    }

    /// Whether anything was lost or damaged, so that a person should be told.
    pub fn is_clean(&self) -> bool {
        self.torn_bytes == 0 && self.torn_batches == 0 && self.corrupt.is_empty() && self.damage.is_empty()
    }
}

/// Creates the journal's directory and makes its name durable.
pub(crate) fn create_dirs(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    disk.create_dir(dir).map_err(Error::io("create", dir))?;
    match dir.parent() {
        Some(parent) => disk.sync_dir(parent).map_err(Error::io("sync", parent)),
        None => Ok(()),
    }
}

/// The logs that have a directory below `dir`.
pub(crate) fn logs_present(disk: &dyn Disk, dir: &Path) -> Result<Vec<(Topic, Partition)>, Error> {
    let mut present = Vec::new();
    for topic in disk.list(dir).map_err(Error::io("list", dir))? {
        let Ok(name) = topic.name.parse::<Topic>() else { continue };
        let below = dir.join(&topic.name);
        for partition in disk.list(&below).map_err(Error::io("list", &below))? {
            if let (true, Ok(number)) = (partition.is_dir, partition.name.parse()) {
                present.push((name, Partition(number)));
            }
        }
    }
    Ok(present)
}
