//! A frame: one batch as it stands in a segment.
//!
//! ```text
//! 0   magic "TwFr" | version u16 | 0 u16
//! 8   generation u64     of the segment: recycled files hold frames of earlier lives
//! 16  base offset u64
//! 24  count u32          offsets that the batch takes
//! 28  body length u32
//! 32  watermark u64      when the frame was written: all offsets below were durable
//! 40  position u64       in the file: a block that was written to a wrong place is seen
//! 48  0 [8]
//! 56  crc u32            CRC32C of the 56 bytes before: says that the length can be trusted
//! 60  crc u32            CRC32C of the body, then of the 60 bytes before
//! 64  body
//! ```
//!
//! All integers are little-endian. The header fills the space that a batch's buffer keeps for it.

use model::batch::FRAME_HEADER_BYTES;
use model::wire::{Reader, Writer};
use model::{Batch, Offset};

use crate::segment;

#[cfg(test)]
mod tests;

const MAGIC: &[u8; 4] = b"TwFr";
const VERSION: u16 = 1;
const HEADER_CRC_AT: usize = 56;
const FRAME_CRC_AT: usize = 60;

/// A frame's header, without its checksums.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub(crate) generation: u64,
    pub(crate) base: Offset,
    pub(crate) count: u32,
    pub(crate) body_len: u32,
    pub(crate) watermark: Offset,
    pub(crate) position: u64,
}

impl Header {
    /// The offset behind the batch.
    pub(crate) fn end(&self) -> Offset {
        self.base.saturating_add(u64::from(self.count))
    }

    /// Bytes of header and body.
    pub(crate) fn frame_len(&self) -> usize {
        FRAME_HEADER_BYTES + self.body_len as usize
    }

    /// Where the next frame begins.
    pub(crate) fn next_position(&self) -> u64 {
        self.position + segment::frame_room(self.frame_len())
    }

    /// The header of the frame that `batch` becomes.
    pub(crate) fn of(batch: &Batch, generation: u64, base: Offset, watermark: Offset, position: u64) -> Self {
        let body_len = batch.body().len() as u32;
        Self { generation, base, count: batch.count(), body_len, watermark, position }
    }

    /// Writes the header into the batch's buffer.
    pub(crate) fn seal(&self, batch: &mut Batch) {
        let body_crc = crc32c::crc32c(batch.body());
        let mut out = Vec::with_capacity(FRAME_HEADER_BYTES);
        out.extend_from_slice(MAGIC);
        out.u16(VERSION);
        out.u16(0);
        out.u64(self.generation);
        out.u64(self.base);
        out.u32(self.count);
        out.u32(self.body_len);
        out.u64(self.watermark);
        out.u64(self.position);
        out.u64(0);
        out.u32(crc32c::crc32c(&out));
        out.u32(crc32c::crc32c_append(body_crc, &out));
        batch.header_mut().copy_from_slice(&out);
    }

    /// Reads a header; `None` if these bytes are not an intact one, of this version.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<FRAME_HEADER_BYTES>()?;
        let mut reader = Reader(header);
        if reader.take(4).ok()? != MAGIC || crc32c::crc32c(&header[..HEADER_CRC_AT]) != crc_at(header, HEADER_CRC_AT) {
            return None;
        }
        if reader.u16().ok()? != VERSION {
            return None;
        }
        reader.u16().ok()?;
        Some(Self {
            generation: reader.u64().ok()?,
            base: reader.u64().ok()?,
            count: reader.u32().ok()?,
            body_len: reader.u32().ok()?,
            watermark: reader.u64().ok()?,
            position: reader.u64().ok()?,
        })
    }
}

/// Whether these bytes are the whole frame that `header` announces and its checksum holds.
pub(crate) fn is_intact_as(frame: &[u8], header: &Header) -> bool {
    frame.len() == header.frame_len() && is_intact(frame)
}

/// Whether a whole frame's checksum holds.
fn is_intact(frame: &[u8]) -> bool {
    let Some((header, body)) = frame.split_first_chunk::<FRAME_HEADER_BYTES>() else { return false };
    crc32c::crc32c_append(crc32c::crc32c(body), &header[..FRAME_CRC_AT]) == crc_at(header, FRAME_CRC_AT)
}

fn crc_at(header: &[u8; FRAME_HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}
