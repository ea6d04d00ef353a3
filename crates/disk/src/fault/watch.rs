//! Standing at every change of the disk: to write it down, to let others work in between, to cut the power there.

use std::path::Path;

use crate::inject::Operation;

/// An operation that changes what a disk holds or makes it durable, right before it happens.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    pub operation: Operation,
    /// What the file was called when it was opened; of a rename the old name.
    pub path: &'a Path,
    /// Of a write: where in the file. Of `allocate` and `set_len` 0.
    pub offset: u64,
    /// Of a write: bytes. Of `allocate` and `set_len`: the length asked for.
    pub len: u64,
}

/// What a [`Watcher`] says to a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    Go,
    /// The power goes while the operation is on its way: a write or a change of names may be kept like any other that was
    /// not synced, a sync makes nothing durable. Nothing happens on this disk after it.
    Cut,
}

/// Is called before every change, by whoever makes it and with no lock of the disk held: it may use the disk itself.
pub trait Watcher: Send + Sync {
    fn before(&self, change: &Change<'_>) -> Next;
}
