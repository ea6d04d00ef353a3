//! The bounded pool of pages that all chunks draw from.
//!
//! Fresh memory is dear on the line, so pages go round: a chunk that is no longer read gives its pages back.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use model::limits::HEAD_PAGE_ROWS;

/// One page: a cell for each of [`HEAD_PAGE_ROWS`] rows of one column.
pub type Page = Box<[AtomicU64]>;

const PAGE_BYTES: usize = HEAD_PAGE_ROWS * size_of::<u64>();

/// The pool. A page's cells hold what its last user left there.
pub struct PagePool {
    free: Mutex<Vec<Page>>,
    room: Condvar,
    taken: AtomicUsize,
    pages_max: usize,
}

impl PagePool {
    pub fn new(bytes_max: usize) -> Self {
        let pages_max = (bytes_max / PAGE_BYTES).max(1);
        Self { free: Mutex::new(Vec::new()), room: Condvar::new(), taken: AtomicUsize::new(0), pages_max }
    }

    /// A page, or `None` when all are in use.
    pub fn take(&self) -> Option<Page> {
        let mut free = self.free.lock().expect("no holder of this lock panics");
        if self.taken.load(Ordering::Relaxed) == self.pages_max {
            return None;
        }
        self.taken.fetch_add(1, Ordering::Relaxed);
        Some(free.pop().unwrap_or_else(|| (0..HEAD_PAGE_ROWS).map(|_| AtomicU64::new(0)).collect()))
    }

    /// Takes pages back.
    pub fn give(&self, pages: impl Iterator<Item = Page>) {
        let mut free = self.free.lock().expect("no holder of this lock panics");
        let before = free.len();
        free.extend(pages);
        self.taken.fetch_sub(free.len() - before, Ordering::Relaxed);
        drop(free);
        self.room.notify_all();
    }

    /// Waits until a page is free, at most `timeout`. Says whether one is.
    pub fn wait(&self, timeout: Duration) -> bool {
        let free = self.free.lock().expect("no holder of this lock panics");
        let full = |_: &mut Vec<Page>| self.taken.load(Ordering::Relaxed) == self.pages_max;
        let (_free, waited) = self.room.wait_timeout_while(free, timeout, full).expect("no holder of this lock panics");
        !waited.timed_out()
    }

    /// Bytes of pages in use.
    pub fn bytes(&self) -> usize {
        self.taken.load(Ordering::Relaxed) * PAGE_BYTES
    }

    /// Bytes of pages that may be in use at once.
    pub fn bytes_max(&self) -> usize {
        self.pages_max * PAGE_BYTES
    }
}
