//! How a store is set up.

use std::path::PathBuf;
use std::time::Duration;

use model::limits;

/// How a store is set up.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The store's own directory; made if it is not there.
    pub dir: PathBuf,
    /// Rows at which a chunk of the head is frozen, at most 2^31.
    pub chunk_rows: usize,
    /// Memory for the head's pages, frozen chunks included. When it is used up, the writer waits.
    pub head_bytes_max: usize,
    /// Memory for the directories and the metadata of blocks that were read lately.
    pub block_cache_bytes: usize,
    /// Who does the work behind the writer.
    pub background: Background,
}

/// Who seals, merges and drops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Background {
    /// Two threads of the store's own.
    Threads,
    /// The caller, through [`crate::Store::seal_waiting`] and [`crate::Store::maintain`]: for deterministic tests.
    Manual,
}

impl StoreConfig {
    /// The defaults in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            chunk_rows: limits::HEAD_CHUNK_ROWS,
            head_bytes_max: limits::HEAD_BYTES_MAX,
            block_cache_bytes: limits::BLOCK_CACHE_BYTES,
            background: Background::Threads,
        }
    }
}

/// Ages at which rows of a table leave a tier; `None` is never. Age counts from the later of a row's ts and receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Retention {
    /// Local disk.
    pub hot: Option<Duration>,
    /// Object store.
    pub warm: Option<Duration>,
    /// Archive. Older rows are dropped.
    pub cold: Option<Duration>,
}

impl Retention {
    /// The age at which rows are gone for good: that at which they leave the last tier.
    pub fn age_max(&self) -> Option<Duration> {
        let cold = self.cold?;
        Some([self.hot, self.warm].into_iter().flatten().fold(cold, Duration::max))
    }
}
