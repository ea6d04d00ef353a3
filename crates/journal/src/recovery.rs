//! Opening what an earlier life left: look ([`survey`]), decide ([`verdict`]), put right ([`repair`]).
//!
//! Looking changes nothing and serves `journal check` too. Deciding is pure. Putting right can be cut off anywhere: doing
//! it again from the start gives the same log.

use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

use model::{Disk, Offset, Partition};

use crate::{Error, Topic};

pub(crate) mod repair;
pub(crate) mod survey;
pub(crate) mod verdict;

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
    /// when they are read, or by [`crate::inspect::check`].
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

    /// Whether nothing was cut, lost or damaged; otherwise a person should be told.
    pub fn is_clean(&self) -> bool {
        self.torn_bytes == 0 && self.torn_batches == 0 && self.corrupt.is_empty() && self.damage.is_empty()
    }
}

/// The directory of one log.
pub(crate) fn log_dir(dir: &Path, topic: Topic, partition: Partition) -> PathBuf {
    dir.join(topic.name()).join(partition.0.to_string())
}

/// Creates the directory of one log and makes every name on the way durable. Any of them may be new, or be left unsynced
/// by a start that was cut off. A directory above the journal's that may not be opened was not made by us.
pub(crate) fn create_log_dir(disk: &dyn Disk, dir: &Path, topic: Topic, partition: Partition) -> Result<(), Error> {
    let path = log_dir(dir, topic, partition);
    disk.create_dir(&path).map_err(Error::io("create", &path))?;
    for above in path.ancestors() {
        match disk.sync_dir(above) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied && !above.starts_with(dir) => {}
            answer => answer.map_err(Error::io("sync", above))?,
        }
    }
    Ok(())
}

/// The logs that have a directory below `dir`; none if `dir` does not exist.
pub(crate) fn logs_present(disk: &dyn Disk, dir: &Path) -> Result<Vec<(Topic, Partition)>, Error> {
    let mut present = Vec::new();
    let topics = match disk.list(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(present),
        answer => answer.map_err(Error::io("list", dir))?,
    };
    for topic in topics {
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
