//! What can go wrong in a journal.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{ErrorKind, Offset};

/// A failure of the journal. Cheap to clone: a poisoned log gives the same one to everybody.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: Arc<io::Error> },
    #[error("the disk that holds {} is full: nothing is accepted until there is space for a segment", path.display())]
    Full { path: PathBuf },
    #[error("the log waits for its next segment: {cause}; it goes on by itself when that has passed")]
    NoSegment { cause: Arc<Error> },
    #[error(
        "this log stopped when {cause}; what was durable is still served, and nothing more is accepted until it is opened again"
    )]
    Poisoned { cause: Arc<Error> },
    #[error("the journal in memory holds its limit of {bytes_max} bytes; it takes more once it is trimmed")]
    MemoryFull { bytes_max: u64 },
    #[error("too many commits are in flight; try again when one of them is durable")]
    Busy,
    #[error("the log is closed")]
    Closed,
    #[error("a batch of {bytes} bytes does not fit a segment, which takes {bytes_max}")]
    TooLarge { bytes: u64, bytes_max: u64 },
    #[error("the offset is out of range: this log begins at {oldest} and ends at {end}")]
    OutOfRange { oldest: Offset, end: Offset },
    #[error("offsets {from} to {to} (exclusive) are corrupt and cannot be read; what follows is intact")]
    Corrupt { from: Offset, to: Offset },
    #[error("{} has format version {found}, and this program knows {known}: use the version that wrote it", path.display())]
    Version { path: PathBuf, found: u32, known: u32 },
    #[error("there is no partition {partition}: this journal has {partitions}")]
    NoPartition { partition: u16, partitions: u16 },
}

impl Error {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } | Self::Poisoned { .. } | Self::Closed => ErrorKind::Unavailable,
            Self::Full { .. } | Self::NoSegment { .. } | Self::MemoryFull { .. } | Self::Busy => ErrorKind::Limited,
            Self::TooLarge { .. } | Self::Version { .. } => ErrorKind::Invalid,
            Self::OutOfRange { .. } | Self::NoPartition { .. } => ErrorKind::NotFound,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
        }
    }

    /// Whether a log that refuses a batch for this reason takes it later without anybody opening it again.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::NoSegment { .. } | Self::MemoryFull { .. } | Self::Busy)
    }

    /// Puts what was attempted, and on which file, to an error of the disk.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path: path.to_owned() },
            _ => Self::Io { action, path: path.to_owned(), source: Arc::new(source) },
        }
    }

    pub(crate) fn no_segment(self) -> Self {
        Self::NoSegment { cause: Arc::new(self) }
    }

    pub(crate) fn poisoned_by(self) -> Self {
        match self {
            Self::Poisoned { .. } => self,
            cause => Self::Poisoned { cause: Arc::new(cause) },
        }
    }
}
