use super::*;

#[test]
fn memory_is_aligned_and_the_last_block_is_filled_with_zeros() {
    let mut blocks = Blocks::zeroed(BLOCK_BYTES);
    blocks.fill(7);
    blocks.clear();
    blocks.extend(b"abc");
    assert_eq!(&*blocks, b"abc");
    assert_eq!(blocks.capacity(), BLOCK_BYTES);
    let whole = blocks.whole();
    assert_eq!(whole.as_ptr().addr() % BLOCK_BYTES, 0);
    assert_eq!((whole.len(), &whole[..3], whole[3..].iter().all(|byte| *byte == 0)), (BLOCK_BYTES, &b"abc"[..], true));
}

#[test]
fn it_grows_and_keeps_its_content() {
    let mut blocks = Blocks::default();
    assert!(blocks.whole().is_empty());
    for number in 0..2000_u32 {
        blocks.extend(&number.to_le_bytes());
    }
    assert_eq!(blocks.len(), 8000);
    assert_eq!(&blocks[4 * 1999..], 1999_u32.to_le_bytes());
    assert_eq!(&blocks[..4], 0_u32.to_le_bytes());
    assert_eq!(blocks.whole().len(), 8192);
    assert_eq!(&*Blocks::copy_of(b"xy"), b"xy");
}
