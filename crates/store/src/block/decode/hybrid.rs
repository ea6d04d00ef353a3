//! Bit-packing and the RLE/bit-packing hybrid of levels and dictionary indexes
//! (<https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE>).

use std::ops::Range;

use model::wire::{Reader, Short};

use crate::block::varint;

/// Whether the encoded numbers are one run of this value.
pub fn is_run(bytes: &[u8], width: u32, count: usize, value: u32) -> bool {
    let mut reader = Reader(bytes);
    let header = varint::take(&mut reader).ok().filter(|header| header & 1 == 0);
    header.is_some_and(|header| header as usize >> 1 >= count) && run_value(&mut reader, width) == Ok(value)
}

/// Adds the numbers `wanted`.
pub fn decode(bytes: &[u8], width: u32, wanted: Range<usize>, out: &mut Vec<u32>) -> Result<(), Short> {
    if width > u32::BITS {
        return Err(Short);
    }
    let mut reader = Reader(bytes);
    // The number of the next one.
    let mut at = 0;
    while at < wanted.end {
        let header = varint::take(&mut reader)?;
        let count = usize::try_from(header >> 1).map_err(|_| Short)?;
        if header & 1 == 0 {
            let value = run_value(&mut reader, width)?;
            let end = at.checked_add(count).ok_or(Short)?;
            let from = at.max(wanted.start);
            out.extend(std::iter::repeat_n(value, end.min(wanted.end).saturating_sub(from)));
            at = end;
        } else {
            let packed = reader.take(count.checked_mul(width as usize).ok_or(Short)?)?;
            let end = at.checked_add(count.checked_mul(8).ok_or(Short)?).ok_or(Short)?;
            let part = at.max(wanted.start)..end.min(wanted.end);
            if !part.is_empty() {
                unpack_part(packed, width, part.start - at..part.end - at, out);
            }
            at = end;
        }
    }
    Ok(())
}

fn run_value(reader: &mut Reader<'_>, width: u32) -> Result<u32, Short> {
    let mut word = [0; 4];
    let bytes = width.div_ceil(8) as usize;
    word.get_mut(..bytes).ok_or(Short)?.copy_from_slice(reader.take(bytes)?);
    Ok(u32::from_le_bytes(word))
}

/// Adds some of the packed numbers, all of which are there.
fn unpack_part(packed: &[u8], width: u32, part: Range<usize>, out: &mut Vec<u32>) {
    match width {
        0 => out.extend(std::iter::repeat_n(0, part.len())),
        8 => out.extend(packed[part].iter().map(|byte| u32::from(*byte))),
        16 => {
            let numbers = packed[2 * part.start..2 * part.end].as_chunks::<2>().0.iter();
            out.extend(numbers.map(|number| u32::from(u16::from_le_bytes(*number))));
        }
        _ => out.extend(part.map(|at| packed_word(packed, at * width as usize, width) as u32)),
    }
}

/// Unpacks as many numbers as there is room for.
pub fn unpack(packed: &[u8], width: u32, out: &mut [u64]) -> Result<(), Short> {
    if width > u64::BITS || packed.len() * 8 < out.len() * width as usize {
        return Err(Short);
    }
    out.iter_mut().enumerate().for_each(|(at, word)| *word = packed_word(packed, at * width as usize, width));
    Ok(())
}

/// The `width` bits from bit `at` on, at most 64.
fn packed_word(packed: &[u8], at: usize, width: u32) -> u64 {
    let (byte, shift) = (at / 8, at as u32 % 8);
    let mask = u64::MAX >> (u64::BITS - width.max(1));
    if let Some(word) = packed.get(byte..).and_then(|bytes| bytes.first_chunk::<8>()) {
        let low = u64::from_le_bytes(*word) >> shift;
        // Nine bytes, if the number is long and does not begin with a byte.
        let high = if width + shift > u64::BITS { u64::from(packed[byte + 8]) << (u64::BITS - shift) } else { 0 };
        return (low | high) & mask;
    }
    let mut word = [0; 16];
    let rest = &packed[byte..];
    word[..rest.len()].copy_from_slice(rest);
    (u128::from_le_bytes(word) >> shift) as u64 & mask
}
