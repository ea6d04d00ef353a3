//! DELTA_BINARY_PACKED: differences of neighbours, 128 to a block, in as few bits as each 32 of them need
//! (<https://parquet.apache.org/docs/file-format/data-pages/encodings/#DELTAENC>).

use super::bits::pack;
use crate::block::varint;

const BLOCK_VALUES: usize = 128;
const MINIBLOCKS: usize = 4;
const MINIBLOCK_VALUES: usize = BLOCK_VALUES / MINIBLOCKS;

/// Adds the encoded values, whose bits `word` gives.
pub fn put<T: Copy>(out: &mut Vec<u8>, values: &[T], word: impl Fn(T) -> u64) {
    varint::put(out, BLOCK_VALUES as u64);
    varint::put(out, MINIBLOCKS as u64);
    varint::put(out, values.len() as u64);
    varint::put_zigzag(out, values.first().map_or(0, |first| word(*first) as i64));
    let mut at = 0;
    let mut deltas = [0u64; BLOCK_VALUES];
    while at + 1 < values.len() {
        let count = BLOCK_VALUES.min(values.len() - at - 1);
        let pairs = values[at..=at + count].windows(2);
        deltas.iter_mut().zip(pairs).for_each(|(delta, pair)| *delta = word(pair[1]).wrapping_sub(word(pair[0])));
        put_block(out, &mut deltas, count);
        at += count;
    }
}

fn put_block(out: &mut Vec<u8>, deltas: &mut [u64; BLOCK_VALUES], count: usize) {
    let min = deltas[..count].iter().map(|delta| *delta as i64).min().expect("a block has a delta");
    deltas[..count].iter_mut().for_each(|delta| *delta = delta.wrapping_sub(min as u64));
    deltas[count..].fill(0);
    varint::put_zigzag(out, min);
    let width = |values: &[u64]| u64::BITS - values.iter().fold(0, |all, value| all | value).leading_zeros();
    let widths_at = out.len();
    out.extend(deltas.chunks_exact(MINIBLOCK_VALUES).map(|values| width(values) as u8));
    for (at, values) in deltas.chunks_exact(MINIBLOCK_VALUES).enumerate() {
        let width = u32::from(out[widths_at + at]);
        pack(out, values.iter().copied(), width);
    }
}
