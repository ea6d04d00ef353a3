//! Opened blocks that were read lately, bounded in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::tail::Tail;
use crate::error::Error;

/// Files that may be open at once, whatever memory they take.
const OPEN_MAX: usize = 512;

/// The cache. Which block goes is the one that was used longest ago.
pub struct Cache {
    inner: Mutex<Inner>,
    bytes_max: usize,
}

#[derive(Default)]
struct Inner {
    open: HashMap<u64, Opened>,
    bytes: usize,
    uses: u64,
}

struct Opened {
    tail: Arc<Tail>,
    used: u64,
}

impl Cache {
    pub fn new(bytes_max: usize) -> Self {
        Self { inner: Mutex::default(), bytes_max }
    }

    /// The opened block `id`. It is opened outside of the lock: two readers may open it at once, and one is kept.
    pub fn get_or_open(&self, id: u64, open: impl FnOnce() -> Result<Tail, Error>) -> Result<Arc<Tail>, Error> {
        if let Some(tail) = self.get(id) {
            return Ok(tail);
        }
        let tail = Arc::new(open()?);
        let mut inner = self.inner.lock().expect("no holder of this lock panics");
        inner.uses += 1;
        let opened = Opened { tail: tail.clone(), used: inner.uses };
        inner.bytes += tail.bytes();
        if let Some(before) = inner.open.insert(id, opened) {
            inner.bytes -= before.tail.bytes();
        }
        while inner.open.len() > 1 && (inner.bytes > self.bytes_max || inner.open.len() > OPEN_MAX) {
            let oldest = inner.open.iter().min_by_key(|(_, opened)| opened.used).map(|(id, _)| *id);
            inner.forget(oldest.expect("there is more than one"));
        }
        Ok(tail)
    }

    /// Lets go of a block that is no more.
    pub fn forget(&self, id: u64) {
        self.inner.lock().expect("no holder of this lock panics").forget(id);
    }

    fn get(&self, id: u64) -> Option<Arc<Tail>> {
        let mut inner = self.inner.lock().expect("no holder of this lock panics");
        inner.uses += 1;
        let uses = inner.uses;
        let opened = inner.open.get_mut(&id)?;
        opened.used = uses;
        Some(opened.tail.clone())
    }
}

impl Inner {
    fn forget(&mut self, id: u64) {
        if let Some(opened) = self.open.remove(&id) {
            self.bytes -= opened.tail.bytes();
        }
    }
}
