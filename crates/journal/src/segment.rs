//! A segment file: its layout, its name, and its two head records.
//!
//! ```text
//! 0     identity, written and synced before the file gets its name:
//!       magic "TwSegmnt" | version u32 | topic u8 | recycled u8 | partition u16 | id u64 | generation u64 | file bytes u64 |
//!       made i64 (Unix ms) | 0 [8] | crc u32 of the 60 bytes before
//! 512   beginning, written together with the first frame:
//!       magic "TwBegins" | version u32 | 0 u32 | id u64 | generation u64 | base offset u64 | watermark u64 |
//!       log time u64 (ms) | 0 [4] | crc u32 of the 60 bytes before
//! 4096  frames, each at a multiple of 512 (see `frame`)
//! ```
//!
//! All integers are little-endian. A file is recycled: it keeps the bytes of an earlier life behind its head, so what
//! belongs to this one is told by the generation, a random number that every frame carries. It is random rather than
//! counted so that nobody outside can send a payload that looks like a frame. The head is there twice (the base is also
//! in the first frame) so that one bad sector does not cost the segment. *Log time* is how long the log had been open,
//! over all its lives, when the segment was begun.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::wire::{Reader, Writer};
use model::{Offset, Partition};

use crate::{Error, SegmentId, Topic};

#[cfg(test)]
mod tests;

/// Where frames begin.
pub(crate) const SEGMENT_HEAD_BYTES: u64 = 4096;
/// Frames begin at multiples of this, so that a scan finds the next one behind a bad one, and no two share a sector.
pub(crate) const FRAME_ALIGNMENT: u64 = 512;
/// Where the beginning stands.
pub(crate) const BEGINNING_AT: u64 = 512;
/// The stored size of either head record.
pub(crate) const HEAD_RECORD_BYTES: usize = 64;

const VERSION: u32 = 1;
const IDENTITY_MAGIC: &[u8; 8] = b"TwSegmnt";
const BEGINNING_MAGIC: &[u8; 8] = b"TwBegins";
const CRC_AT: usize = 60;
const SUFFIX: &str = ".segment";
const SPARE_PREFIX: &str = "spare-";

/// The space that a frame of `len` bytes takes, header included.
pub(crate) fn frame_room(len: usize) -> u64 {
    (len as u64).next_multiple_of(FRAME_ALIGNMENT)
}

/// The path of a segment.
pub(crate) fn path(dir: &Path, id: SegmentId) -> PathBuf {
    dir.join(format!("{id:016x}{SUFFIX}"))
}

/// The path of a file that waits to become a segment. `number` only tells spares apart.
pub(crate) fn spare_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{SPARE_PREFIX}{number:016x}{SUFFIX}"))
}

/// What a file name in a log's directory stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FileName {
    Segment(SegmentId),
    Spare(u64),
    /// Not ours: left alone.
    Other,
}

impl FileName {
    pub(crate) fn parse(name: &str) -> Self {
        let id = |text: &str| {
            let digits = text.strip_suffix(SUFFIX).filter(|digits| digits.len() == 16)?;
            SegmentId::from_str_radix(digits, 16).ok()
        };
        match name.strip_prefix(SPARE_PREFIX) {
            Some(rest) => id(rest).map_or(Self::Other, Self::Spare),
            None => id(name).map_or(Self::Other, Self::Segment),
        }
    }
}

/// Who a segment is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    pub(crate) topic: Topic,
    pub(crate) partition: Partition,
    /// Whether bytes of an earlier life may stand behind the head; otherwise they were zeros.
    pub(crate) recycled: bool,
    pub(crate) id: SegmentId,
    pub(crate) generation: u64,
    pub(crate) file_bytes: u64,
    /// Unix ms, for people only.
    pub(crate) made_ms: i64,
}

/// Where a segment begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Beginning {
    pub(crate) id: SegmentId,
    pub(crate) generation: u64,
    pub(crate) base: Offset,
    pub(crate) watermark: Offset,
    pub(crate) log_time: Duration,
}

/// A generation that no one can guess.
pub(crate) fn random_generation() -> u64 {
    RandomState::new().build_hasher().finish()
}

impl Identity {
    pub(crate) fn encode(&self) -> [u8; HEAD_RECORD_BYTES] {
        let mut out = Vec::with_capacity(HEAD_RECORD_BYTES);
        out.extend_from_slice(IDENTITY_MAGIC);
        out.u32(VERSION);
        out.u8(self.topic as u8);
        out.u8(u8::from(self.recycled));
        out.u16(self.partition.0);
        out.u64(self.id);
        out.u64(self.generation);
        out.u64(self.file_bytes);
        out.u64(self.made_ms as u64);
        finish(out)
    }

    /// `None` if the bytes are not an intact record.
    pub(crate) fn decode(bytes: &[u8], path: &Path) -> Result<Option<Self>, Error> {
        let Some(mut reader) = open_record(bytes, IDENTITY_MAGIC, path)? else { return Ok(None) };
        let mut read = || {
            let topic = Topic::from_tag(reader.u8().ok()?)?;
            let recycled = reader.u8().ok()? != 0;
            Some(Self {
                topic,
                recycled,
                partition: Partition(reader.u16().ok()?),
                id: reader.u64().ok()?,
                generation: reader.u64().ok()?,
                file_bytes: reader.u64().ok()?,
                made_ms: reader.u64().ok()? as i64,
            })
        };
        Ok(read())
    }
}

impl Beginning {
    pub(crate) fn encode(&self) -> [u8; HEAD_RECORD_BYTES] {
        let mut out = Vec::with_capacity(HEAD_RECORD_BYTES);
        out.extend_from_slice(BEGINNING_MAGIC);
        out.u32(VERSION);
        out.u32(0);
        out.u64(self.id);
        out.u64(self.generation);
        out.u64(self.base);
        out.u64(self.watermark);
        out.u64(self.log_time.as_millis() as u64);
        finish(out)
    }

    /// `None` if the bytes are not an intact record.
    pub(crate) fn decode(bytes: &[u8], path: &Path) -> Result<Option<Self>, Error> {
        let Some(mut reader) = open_record(bytes, BEGINNING_MAGIC, path)? else { return Ok(None) };
        let mut read = || {
            reader.u32().ok()?;
            Some(Self {
                id: reader.u64().ok()?,
                generation: reader.u64().ok()?,
                base: reader.u64().ok()?,
                watermark: reader.u64().ok()?,
                log_time: Duration::from_millis(reader.u64().ok()?),
            })
        };
        Ok(read())
    }
}

fn finish(mut out: Vec<u8>) -> [u8; HEAD_RECORD_BYTES] {
    out.resize(CRC_AT, 0);
    out.u32(crc32c::crc32c(&out));
    out.try_into().expect("60 bytes and the checksum")
}

/// The fields behind magic and version, if magic and checksum hold. Another version is an error only if they do:
/// otherwise the number means nothing.
fn open_record<'a>(bytes: &'a [u8], magic: &[u8; 8], path: &Path) -> Result<Option<Reader<'a>>, Error> {
    let Some(record) = bytes.first_chunk::<HEAD_RECORD_BYTES>() else { return Ok(None) };
    let stored = u32::from_le_bytes([record[60], record[61], record[62], record[63]]);
    if &record[..8] != magic || crc32c::crc32c(&record[..CRC_AT]) != stored {
        return Ok(None);
    }
    match u32::from_le_bytes([record[8], record[9], record[10], record[11]]) {
        VERSION => Ok(Some(Reader(&bytes[12..CRC_AT]))),
        found => Err(Error::Version { path: path.to_owned(), found, known: VERSION }),
    }
}
