//! Standing at every change of the disk: to write it down, to let others work in between, to cut the power there.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

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

/// Cuts the power at a change that is counted down to.
#[derive(Debug, Default)]
pub struct CountDown(AtomicU64);

impl CountDown {
    /// The `nth` change from now on is cut (1 is the next); 0 is none.
    pub fn cut_at(&self, nth: u64) {
        self.0.store(nth, Ordering::Relaxed);
    }
}

impl Watcher for CountDown {
    fn before(&self, _: &Change<'_>) -> Next {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(1), Ordering::Relaxed);
        if left == 1 { Next::Cut } else { Next::Go }
    }
}
