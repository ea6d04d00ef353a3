//! DELTA_BINARY_PACKED (<https://parquet.apache.org/docs/file-format/data-pages/encodings/#DELTAENC>).

use std::ops::Range;

use model::wire::{Reader, Short};

use super::hybrid::unpack;
use crate::block::varint;

/// Values in one miniblock, at most: what a header says is not trusted with memory.
const MINIBLOCK_VALUES_MAX: usize = 1 << 12;

/// Adds the values `wanted`.
pub fn decode(bytes: &[u8], wanted: Range<usize>, out: &mut Vec<u64>) -> Result<(), Short> {
    let mut reader = Reader(bytes);
    let block = varint::take(&mut reader)? as usize;
    let miniblocks = varint::take(&mut reader)? as usize;
    let total = varint::take(&mut reader)? as usize;
    let mut value = varint::take_zigzag(&mut reader)? as u64;
    let per_miniblock = block.checked_div(miniblocks).ok_or(Short)?;
    if wanted.end > total || per_miniblock == 0 || per_miniblock % 8 != 0 || per_miniblock > MINIBLOCK_VALUES_MAX {
        return Err(Short);
    }
    // The number of the next value.
    let mut at = 0;
    if wanted.contains(&at) {
        out.push(value);
    }
    at += 1;
    let mut deltas = vec![0u64; per_miniblock];
    while at < wanted.end {
        let least = varint::take_zigzag(&mut reader)? as u64;
        let widths = reader.take(miniblocks)?;
        for width in widths.iter().map(|width| u32::from(*width)) {
            if at >= wanted.end {
                break;
            }
            let packed = reader.take(per_miniblock / 8 * width as usize)?;
            let count = per_miniblock.min(wanted.end - at);
            if width == 0 {
                // All differences are the same: what is not wanted is passed over at once.
                let skipped = wanted.start.saturating_sub(at).min(count);
                value = value.wrapping_add(least.wrapping_mul(skipped as u64));
                out.extend((skipped..count).map(|_| {
                    value = value.wrapping_add(least);
                    value
                }));
            } else {
                unpack(packed, width, &mut deltas)?;
                for (number, delta) in (at..).zip(&deltas[..count]) {
                    value = value.wrapping_add(least).wrapping_add(*delta);
                    if number >= wanted.start {
                        out.push(value);
                    }
                }
            }
            at += count;
        }
    }
    Ok(())
}
