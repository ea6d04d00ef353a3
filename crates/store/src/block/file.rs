//! Checked reads of a block's file.

use bytes::{Buf, Bytes};
use model::DiskFile;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::GRANULE_BYTES;

/// Parts of a file in memory, as the Parquet reader wants them.
pub struct Window {
    /// Length of the file.
    len: u64,
    parts: Vec<(u64, Bytes)>,
}

impl Window {
    pub fn new(len: u64, parts: Vec<(u64, Bytes)>) -> Self {
        Self { len, parts }
    }

    fn part(&self, start: u64, length: Option<usize>) -> Result<Bytes, ParquetError> {
        let find = |(at, bytes): &(u64, Bytes)| {
            let skip = usize::try_from(start.checked_sub(*at)?).ok()?;
            let end = length.map_or(Some(bytes.len()), |length| skip.checked_add(length))?;
            (skip <= end && end <= bytes.len()).then(|| bytes.slice(skip..end))
        };
        let found = self.parts.iter().find_map(find);
        found.ok_or_else(|| ParquetError::EOF(format!("byte {start} is outside of what the block's indexes name")))
    }
}

impl Length for Window {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for Window {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        self.part(start, None).map(Buf::reader)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.part(start, Some(length))
    }
}

/// Why bytes could not be read.
pub enum ReadError {
    Disk(std::io::Error),
    /// The granule that begins at this byte is not what was written.
    Damaged(u64),
}

/// Reads `start..end` of the part of a file that granules cover, which ends at `covered`, and checks each granule that
/// is touched.
pub fn read_checked(
    file: &dyn DiskFile,
    checks: &[u32],
    covered: u64,
    start: u64,
    end: u64,
) -> Result<Bytes, ReadError> {
    let granule = GRANULE_BYTES as u64;
    if start > end || end > covered {
        return Err(ReadError::Damaged(start));
    }
    let first = start / granule;
    let aligned = first * granule..covered.min(end.div_ceil(granule) * granule);
    let mut bytes = vec![0; (aligned.end - aligned.start) as usize];
    let read = file.read_at(&mut bytes, aligned.start).map_err(ReadError::Disk)?;
    if read < bytes.len() {
        return Err(ReadError::Damaged(aligned.start + read as u64));
    }
    for (part, number) in bytes.chunks(GRANULE_BYTES).zip(first..) {
        if checks.get(number as usize) != Some(&crc32c::crc32c(part)) {
            return Err(ReadError::Damaged(number * granule));
        }
    }
    let skip = (start - aligned.start) as usize;
    Ok(Bytes::from(bytes).slice(skip..skip + (end - start) as usize))
}
