//! Snapshots of what is derived from `raw` and is not rows: the pipeline's state and the held MQTT packet ids.
//!
//! A file `DIR/snapshots/<partition>-<offset>.snapshot` holds the state right before raw offset `offset`. Layout, little-
//! endian: magic `TWSNAP01` · CRC32C u32 of all that follows · offset u64 · pipeline length u64 and bytes · held ids.
//! A file is written whole, synced, renamed into place; one that is damaged is passed over for an older one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::disk::{read_all, write_atomic};
use model::wire::{Reader, Short, Writer};
use model::{Disk, Offset, Partition};

use super::sessions::HeldIds;

#[cfg(test)]
mod tests;

const MAGIC: &[u8; 8] = b"TWSNAP01";
const SUFFIX: &str = ".snapshot";
/// Usable snapshots kept: the newest, and one more in case it or the newest catalog turns out damaged.
const KEPT: usize = 2;

/// The state at an offset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// The next raw offset to be processed.
    pub offset: Offset,
    /// What `Pipeline::snapshot` wrote.
    pub pipeline: Vec<u8>,
    pub held: HeldIds,
}

/// The snapshots of one partition.
pub struct Snapshots {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    partition: Partition,
}

impl Snapshots {
    /// Opens the directory, creating it if need be.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, partition: Partition) -> io::Result<Self> {
        disk.create_dir(dir)?;
        Ok(Self { disk, dir: dir.to_owned(), partition })
    }

    /// The newest sound snapshot that is not newer than `replay_from`.
    pub fn newest(&self, replay_from: Offset) -> io::Result<Option<Snapshot>> {
        for offset in self.offsets()?.into_iter().rev().filter(|offset| *offset <= replay_from) {
            let path = self.path(offset);
            match decode(&read_all(&*self.disk, &path)?) {
                Ok(snapshot) if snapshot.offset == offset => return Ok(Some(snapshot)),
                _ => tracing::error!(path = %path.display(), "a snapshot is damaged; an older one is used instead"),
            }
        }
        Ok(None)
    }

    /// Makes a snapshot durable.
    pub fn write(&self, snapshot: &Snapshot) -> io::Result<()> {
        write_atomic(&*self.disk, &self.path(snapshot.offset), &encode(snapshot))
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

fn encode(snapshot: &Snapshot) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.u32(0);
    out.u64(snapshot.offset);
    out.u64(snapshot.pipeline.len() as u64);
    out.extend_from_slice(&snapshot.pipeline);
    snapshot.held.encode(&mut out);
    let crc = crc32c::crc32c(&out[12..]);
    out[8..12].copy_from_slice(&crc.to_le_bytes());
    out
}

fn decode(bytes: &[u8]) -> Result<Snapshot, Short> {
    let mut reader = Reader(bytes);
    if reader.array::<8>()? != *MAGIC || reader.u32()? != crc32c::crc32c(reader.0) {
        return Err(Short);
    }
    let offset = reader.u64()?;
    let len = usize::try_from(reader.u64()?).map_err(|_| Short)?;
    let pipeline = reader.take(len)?.to_vec();
    let held = HeldIds::decode(&mut reader.0)?;
    if reader.0.is_empty() { Ok(Snapshot { offset, pipeline, held }) } else { Err(Short) }
}
