//! What can go wrong in the store.

use std::io;
use std::path::PathBuf;

use model::{DeviceIndex, ErrorKind};

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk answered with an error.
    #[error("{what} {path}: {source}", path = path.display())]
    Disk { what: &'static str, path: PathBuf, source: io::Error },
    /// Stored bytes are not what was written.
    #[error("{path} is damaged at byte {at}: {what}", path = path.display())]
    Corrupt { path: PathBuf, at: u64, what: String },
    /// The directory was written by a version that this one does not read.
    #[error("{path} has format version {version}; this program reads version {readable}: use the program that wrote it",
        path = path.display())]
    Version { path: PathBuf, version: u16, readable: u16 },
    /// The head's pages are used up: wait for [`crate::Store::wait_room`] and insert the same rows again.
    #[error("the head is full: rows wait until a chunk is sealed")]
    HeadFull,
    /// A row names a device that the writer was not told about.
    #[error("device index {} was never bound", .0.0)]
    Unbound(DeviceIndex),
    /// A query asks for what cannot be answered.
    #[error("{0}")]
    Query(String),
    /// A query reached its budget.
    #[error("the query {what}: narrow `from` and `to`, ask for fewer devices, or use a coarser `resolution`")]
    Budget { what: String },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl Error {
    /// What kind of failure it is; it decides status, retry and log level.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Disk { .. } | Self::Closed => ErrorKind::Unavailable,
            Self::Corrupt { .. } | Self::Version { .. } => ErrorKind::Corrupt,
            Self::HeadFull | Self::Budget { .. } => ErrorKind::Limited,
            Self::Unbound(_) => ErrorKind::Internal,
            Self::Query(_) => ErrorKind::Invalid,
        }
    }
}
