//! The bounded pool of memory that all chunks draw from.
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
    /// Pages in use, and what else chunks hold.
    bytes: AtomicUsize,
    bytes_max: usize,
}

impl PagePool {
    pub fn new(bytes_max: usize) -> Self {
        let bytes_max = bytes_max.max(PAGE_BYTES);
        Self { free: Mutex::new(Vec::new()), room: Condvar::new(), bytes: AtomicUsize::new(0), bytes_max }
    }

    /// A page, or `None` when there is no room for it.
    pub fn take(&self) -> Option<Page> {
        let mut free = self.free.lock().expect("no holder of this lock panics");
        if self.bytes() + PAGE_BYTES > self.bytes_max {
            return None;
        }
        self.reserve(PAGE_BYTES);
        Some(free.pop().unwrap_or_else(|| (0..HEAD_PAGE_ROWS).map(|_| AtomicU64::new(0)).collect()))
    }

    /// Takes pages back.
    pub fn give(&self, pages: impl Iterator<Item = Page>) {
        let mut free = self.free.lock().expect("no holder of this lock panics");
        let before = free.len();
        free.extend(pages);
        let given = free.len() - before;
        drop(free);
        self.release(given * PAGE_BYTES);
    }

    /// Counts memory besides pages: it may go beyond the limit, and then [`PagePool::is_over`] says so.
    pub fn reserve(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts memory that was let go.
    pub fn release(&self, bytes: usize) {
        // Under the lock, so that whoever is about to wait does not miss it.
        let free = self.free.lock().expect("no holder of this lock panics");
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        drop(free);
        self.room.notify_all();
    }

    /// Whether more is held than may be.
    pub fn is_over(&self) -> bool {
        self.bytes() > self.bytes_max
    }

    /// Waits until there is room for a page, at most `timeout`. Says whether there is.
    pub fn wait(&self, timeout: Duration) -> bool {
        let free = self.free.lock().expect("no holder of this lock panics");
        let is_full = |_: &mut Vec<Page>| self.bytes() + PAGE_BYTES > self.bytes_max;
        let (_free, waited) =
            self.room.wait_timeout_while(free, timeout, is_full).expect("no holder of this lock panics");
        !waited.timed_out()
    }

    /// Bytes in use.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Bytes that may be in use at once.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }
}
