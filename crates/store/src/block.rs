//! A block: an immutable Parquet file with rows of one table, sorted by (device, ts, boot, seq).
//!
//! Any Parquet reader reads it; what follows is for ours. Between the last page and the page indexes stand
//! sections, whose places are in the footer's key-value metadata under `tidewater` (JSON: each as `[position, length]`).
//! All integers are little-endian; a varint is LEB128, a zigzag a varint of `(n << 1) ^ (n >> 63)`.
//!
//! ```text
//! file       = "PAR1" | pages | directory | statistics | latest? | rollups? | checks | offset indexes | footer | footer length u32 | "PAR1"
//! directory  = device count u32 | device ids (16 bytes each, ascending)
//!            | per device: rows varint, first ts zigzag (less the previous device's), last ts varint (less the first)
//! statistics = column count u16 | per column: name (length u32, UTF-8), kind u8, present u64,
//!              sum (f64 | i128), min, max (f64 | i64; for strings all three are missing)
//! latest     = see `block/latest.rs`; a block with few rows a device has none
//! rollups    = see `block/rollup.rs`; only where they are much smaller than the rows
//! checks     = granule bytes u32 | CRC32C u32 of each granule of what stands before this section
//! ```
//!
//! What follows the granules has its CRC32C in the catalog, so that every byte of a block is checked when it is read.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use model::{DeviceId, Disk};

use cache::Part;

use crate::catalog::Entry;
use crate::error::Error;
use crate::query::Devices;
use crate::query::scan::Filter;

mod cache;
mod columns;
mod decode;
mod directory;
mod encode;
mod file;
mod key;
mod latest;
mod rollup;
mod schema;
mod statistics;
mod tail;
mod varint;

pub use cache::Cache;
pub use columns::Reader;
pub use directory::Span;
pub use encode::Encoder;
pub use latest::Latest;
pub use rollup::{Edge, Level, RolledUp, Rollup};
pub use tail::Tail;

/// Bytes that one checksum covers: small, because a query for one device reads a few pages of a few hundred bytes.
const GRANULE_BYTES: usize = 4096;
/// The key of our entry in the footer's metadata.
const METADATA_KEY: &str = "tidewater";

/// A block that the catalog names.
pub struct Block {
    pub entry: Entry,
    pub path: PathBuf,
    /// The number of the last erasure of which it is known that it, and all before it, left this block as it is.
    pub free_of: AtomicU64,
    disk: Arc<dyn Disk>,
    cache: Arc<Cache>,
}

impl Block {
    pub fn new(entry: Entry, path: PathBuf, disk: Arc<dyn Disk>, cache: Arc<Cache>) -> Self {
        Self { entry, path, free_of: AtomicU64::new(0), disk, cache }
    }

    /// The opened block, from the cache or from the disk.
    pub fn open(&self) -> Result<Arc<Tail>, Error> {
        let decoders = || self.cache.decoders.clone();
        let open = || Tail::open(&*self.disk, &self.path, &self.entry, decoders());
        self.cache.get_or_load(self.entry.id, Part::Tail, open)
    }

    /// The latest section of the opened block, from the cache or from the disk; `None` if the rows have to be read.
    pub fn latest(&self, tail: &Tail) -> Result<Arc<Option<Latest>>, Error> {
        self.cache.get_or_load(self.entry.id, Part::Latest, || tail.load_latest())
    }

    /// The totals of a column, by its number among the metrics, at a level; `None` if rows have to be read.
    pub fn rollup(&self, tail: &Tail, level: Level, column: usize) -> Result<Option<Arc<Option<Rollup>>>, Error> {
        let index = self.cache.get_or_load(self.entry.id, Part::RollupIndex, || tail.load_rollup_index())?;
        let Some(place) = index.as_ref().as_ref().and_then(|index| index.place(level, column)) else { return Ok(None) };
        let load = || tail.load_rollup(place, level, column);
        self.cache.get_or_load(self.entry.id, Part::Rollup(level, column), load).map(Some)
    }

    /// Whether the catalog's entry leaves it possible that the block holds what is asked for.
    pub fn may_hold(&self, filter: &Filter<'_>) -> bool {
        let entry = &self.entry;
        let devices = entry.device_min..=entry.device_max;
        let may_hold_devices = match filter.devices {
            Devices::All => true,
            Devices::One(device) => devices.contains(&device),
            Devices::List(list) => list.iter().any(|device| devices.contains(device)),
        };
        may_hold_devices
            && entry.ts_max >= filter.span.from
            && entry.ts_min < filter.span.to
            && entry.newest >= filter.kept_from
    }

    /// Whether a device may have rows here.
    pub fn may_hold_device(&self, device: DeviceId) -> bool {
        (self.entry.device_min..=self.entry.device_max).contains(&device)
    }
}
