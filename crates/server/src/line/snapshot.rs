//! Snapshots of what is derived from `raw` and is not rows: the pipeline's state and the held MQTT packet ids.
//!
//! A file `DIR/snapshots/<partition>-<offset>.snapshot` holds the state right before raw offset `offset`. Layout, little-
//! endian: magic `TWSNAP01` · CRC32C u32 of all that follows · offset u64 · pipeline length u64 and bytes · held ids.
//! It is built in this layout at once, in memory that goes round between who derives and who writes: the state of a
//! million devices is copied once, and the deriving waits for nothing else.
//! A file is written whole, synced, renamed into place; one that is damaged is passed over for an older one.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::disk::{read_all, write_atomic};
use model::wire::{Reader, Short, Writer};
use model::{Disk, Offset, Partition};

use super::sessions::HeldIds;

#[cfg(test)]
mod tests;

const MAGIC: &[u8; 8] = b"TWSNAP01";
/// Where the checksummed part begins, and where the pipeline's.
const CHECKED: usize = 12;
const PIPELINE: usize = CHECKED + 16;
const SUFFIX: &str = ".snapshot";
/// Usable snapshots kept: the newest, and one more in case it or the newest catalog turns out damaged.
const KEPT: usize = 2;

/// A snapshot as it will be in its file, but for the checksum.
#[derive(Debug)]
pub struct Snapshot {
    offset: Offset,
    bytes: Vec<u8>,
}

/// A snapshot that was read back.
#[derive(Debug)]
pub struct Stored {
    /// The next raw offset to be processed.
    pub offset: Offset,
    pub held: HeldIds,
    bytes: Vec<u8>,
    pipeline: Range<usize>,
}

/// The snapshots of one partition.
pub struct Snapshots {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    partition: Partition,
}

impl Snapshots {
    /// Opens the directory, creating it if need be, and makes its name durable: what a start that was cut off created may
    /// not be.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, partition: Partition) -> io::Result<Self> {
        disk.create_dir(dir)?;
        if let Some(above) = dir.parent() {
            disk.sync_dir(above)?;
        }
        Ok(Self { disk, dir: dir.to_owned(), partition })
    }

    /// The newest sound snapshot that is not newer than `replay_from`.
    pub fn newest(&self, replay_from: Offset) -> io::Result<Option<Stored>> {
        for offset in self.offsets()?.into_iter().rev().filter(|offset| *offset <= replay_from) {
            let path = self.path(offset);
            match Stored::decode(read_all(&*self.disk, &path)?) {
                Ok(snapshot) if snapshot.offset == offset => return Ok(Some(snapshot)),
                _ => tracing::error!(path = %path.display(), "a snapshot is damaged; an older one is used instead"),
            }
        }
        Ok(None)
    }

    /// Makes a snapshot durable and gives its memory back for the next one.
    pub fn write(&self, snapshot: Snapshot) -> io::Result<Vec<u8>> {
        let (path, bytes) = (self.path(snapshot.offset), snapshot.seal());
        write_atomic(&*self.disk, &path, &bytes)?;
        Ok(bytes)
    }

    /// Removes the snapshots that no restart from `replay_from` or later needs, and returns the offset of the oldest
    /// one kept: `raw` before it is needed by no restart.
    pub fn prune(&self, replay_from: Offset) -> io::Result<Option<Offset>> {
        let usable: Vec<Offset> = self.offsets()?.into_iter().filter(|offset| *offset <= replay_from).collect();
        let first_kept = usable.len().saturating_sub(KEPT);
        for offset in &usable[..first_kept] {
            self.disk.remove(&self.path(*offset))?;
        }
        Ok(usable.get(first_kept).copied())
    }

    fn path(&self, offset: Offset) -> PathBuf {
        self.dir.join(format!("{}-{offset:020}{SUFFIX}", self.partition.0))
    }

    /// The offsets of this partition's snapshots, ascending.
    fn offsets(&self) -> io::Result<Vec<Offset>> {
        let prefix = format!("{}-", self.partition.0);
        let mut offsets: Vec<Offset> = self
            .disk
            .list(&self.dir)?
            .iter()
            .filter_map(|entry| entry.name.strip_prefix(&prefix)?.strip_suffix(SUFFIX)?.parse().ok())
            .collect();
        offsets.sort_unstable();
        Ok(offsets)
    }
}

impl Snapshot {
    /// The state right before `offset`: `pipeline` appends what `Pipeline::snapshot` writes. `memory` is an earlier
    /// snapshot's.
    pub fn new(offset: Offset, held: &HeldIds, memory: Vec<u8>, pipeline: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut bytes = memory;
        bytes.clear();
        bytes.extend_from_slice(MAGIC);
        bytes.u32(0);
        bytes.u64(offset);
        bytes.u64(0);
        pipeline(&mut bytes);
        let len = (bytes.len() - PIPELINE) as u64;
        bytes[PIPELINE - 8..PIPELINE].copy_from_slice(&len.to_le_bytes());
        held.encode(&mut bytes);
        Self { offset, bytes }
    }

    pub fn offset(&self) -> Offset {
        self.offset
    }

    fn seal(mut self) -> Vec<u8> {
        let crc = crc32c::crc32c(&self.bytes[CHECKED..]);
        self.bytes[CHECKED - 4..CHECKED].copy_from_slice(&crc.to_le_bytes());
        self.bytes
    }
}

impl Stored {
    /// What `Pipeline::snapshot` wrote.
    pub fn pipeline(&self) -> &[u8] {
        &self.bytes[self.pipeline.clone()]
    }

    fn decode(bytes: Vec<u8>) -> Result<Self, Short> {
        let mut reader = Reader(&bytes);
        if reader.array::<8>()? != *MAGIC || reader.u32()? != crc32c::crc32c(reader.0) {
            return Err(Short);
        }
        let offset = reader.u64()?;
        let len = usize::try_from(reader.u64()?).map_err(|_| Short)?;
        reader.take(len)?;
        let held = HeldIds::decode(&mut reader.0)?;
        if !reader.0.is_empty() {
            return Err(Short);
        }
        Ok(Self { offset, held, bytes, pipeline: PIPELINE..PIPELINE + len })
    }
}
