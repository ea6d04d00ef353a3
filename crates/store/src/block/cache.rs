//! Opened blocks and their sections that were read lately, bounded in memory. A block never changes, so what is here is
//! valid as long as the block is.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::decode::Decoders;
use super::rollup::Level;
use crate::error::Error;

/// Files that may be open at once, whatever memory they take.
const OPEN_MAX: usize = 512;
/// What an entry takes besides its value.
const ENTRY_BYTES: usize = 128;

/// A part of a block that is kept in memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Part {
    /// The open file, its indexes and its directory.
    Tail,
    /// The latest section.
    Latest,
    /// Where the rollups are.
    RollupIndex,
    /// The rollup of a column, by its number among the metrics.
    Rollup(Level, usize),
}

/// What can be kept: its memory is counted.
pub trait Cached: Any + Send + Sync {
    fn bytes(&self) -> usize;
}

impl<T: Cached> Cached for Option<T> {
    fn bytes(&self) -> usize {
        self.as_ref().map_or(0, Cached::bytes)
    }
}

/// The cache. What goes is what was used longest ago.
pub struct Cache {
    /// What reads the pages of all blocks.
    pub decoders: Arc<Decoders>,
    inner: Mutex<Inner>,
    bytes_max: usize,
}

#[derive(Default)]
struct Inner {
    kept: HashMap<(u64, Part), Kept>,
    bytes: usize,
    open: usize,
    uses: u64,
}

struct Kept {
    value: Arc<dyn Any + Send + Sync>,
    bytes: usize,
    used: u64,
}

impl Cache {
    pub fn new(bytes_max: usize) -> Self {
        Self { decoders: Arc::default(), inner: Mutex::default(), bytes_max }
    }

    /// A part of the block `id`. It is loaded outside of the lock: two readers may load it at once, and one is kept.
    pub fn get_or_load<T: Cached>(
        &self,
        id: u64,
        part: Part,
        load: impl FnOnce() -> Result<T, Error>,
    ) -> Result<Arc<T>, Error> {
        if let Some(value) = self.lock().get(id, part) {
            return Ok(value);
        }
        let value = Arc::new(load()?);
        let mut inner = self.lock();
        inner.uses += 1;
        inner.forget_part(id, part);
        let kept = Kept { value: value.clone(), bytes: ENTRY_BYTES + value.bytes(), used: inner.uses };
        inner.bytes += kept.bytes;
        inner.open += usize::from(part == Part::Tail);
        inner.kept.insert((id, part), kept);
        while inner.kept.len() > 1 && inner.bytes > self.bytes_max {
            inner.forget_oldest(|_| true);
        }
        while inner.open > OPEN_MAX {
            inner.forget_oldest(|part| part == Part::Tail);
        }
        Ok(value)
    }

    /// Lets go of a block that is no more.
    pub fn forget(&self, id: u64) {
        let mut inner = self.lock();
        let parts: Vec<Part> = inner.kept.keys().filter(|(of, _)| *of == id).map(|(_, part)| *part).collect();
        parts.into_iter().for_each(|part| inner.forget_part(id, part));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder of this lock panics")
    }
}

impl Inner {
    fn get<T: Cached>(&mut self, id: u64, part: Part) -> Option<Arc<T>> {
        self.uses += 1;
        let uses = self.uses;
        let kept = self.kept.get_mut(&(id, part))?;
        kept.used = uses;
        Some(kept.value.clone().downcast().expect("a part is always of the same type"))
    }

    fn forget_oldest(&mut self, is_meant: impl Fn(Part) -> bool) {
        let meant = self.kept.iter().filter(|((_, part), _)| is_meant(*part));
        if let Some((id, part)) = meant.min_by_key(|(_, kept)| kept.used).map(|(key, _)| *key) {
            self.forget_part(id, part);
        }
    }

    fn forget_part(&mut self, id: u64, part: Part) {
        if let Some(kept) = self.kept.remove(&(id, part)) {
            self.bytes -= kept.bytes;
            self.open -= usize::from(part == Part::Tail);
        }
    }
}
