//! Bit-packing and the RLE/bit-packing hybrid of levels and dictionary indexes
//! (<https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE>).

use crate::block::varint;

/// Repetitions from which on a run is shorter than the packed values.
const RUN_MIN: usize = 16;
/// Packed values come in groups of so many.
const GROUP: usize = 8;

/// Adds values of `width` bits each, least significant bit first. Their number is a multiple of 8.
pub fn pack(out: &mut Vec<u8>, values: impl Iterator<Item = u64>, width: u32) {
    if width == 0 {
        return;
    }
    let (mut word, mut bits) = (0u64, 0);
    for value in values {
        word |= value << bits;
        bits += width;
        if bits >= u64::BITS {
            out.extend_from_slice(&word.to_le_bytes());
            bits -= u64::BITS;
            word = if bits == 0 { 0 } else { value >> (width - bits) };
        }
    }
    out.extend_from_slice(&word.to_le_bytes()[..bits.div_ceil(8) as usize]);
}

/// Bits that numbers below `count` need, at least one.
pub fn width_of(count: usize) -> u32 {
    (usize::BITS - count.saturating_sub(1).leading_zeros()).max(1)
}

/// Adds one run.
pub fn put_run(out: &mut Vec<u8>, length: usize, value: u32, width: u32) {
    varint::put(out, (length as u64) << 1);
    out.extend_from_slice(&value.to_le_bytes()[..width.div_ceil(8) as usize]);
}

/// Adds values as runs where they repeat, and packed where they do not.
pub fn put_hybrid(out: &mut Vec<u8>, values: &[u32], width: u32) {
    let (mut packed_from, mut at) = (0, 0);
    while at < values.len() {
        let run = run_length(&values[at..]);
        if run >= RUN_MIN {
            put_packed(out, &values[packed_from..at], width);
            put_run(out, run, values[at], width);
            at += run;
            packed_from = at;
        } else {
            at = values.len().min(at + GROUP);
        }
    }
    put_packed(out, &values[packed_from..], width);
}

fn run_length(values: &[u32]) -> usize {
    values.iter().position(|value| *value != values[0]).unwrap_or(values.len())
}

fn put_packed(out: &mut Vec<u8>, values: &[u32], width: u32) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(GROUP);
    varint::put(out, (groups as u64) << 1 | 1);
    let padding = groups * GROUP - values.len();
    match width {
        8 => {
            out.extend(values.iter().map(|value| *value as u8));
            out.extend(std::iter::repeat_n(0, padding));
        }
        16 => {
            out.extend(values.iter().flat_map(|value| (*value as u16).to_le_bytes()));
            out.extend(std::iter::repeat_n(0, 2 * padding));
        }
        _ => pack(out, values.iter().map(|value| u64::from(*value)).chain(std::iter::repeat_n(0, padding)), width),
    }
}
