use super::*;

fn frame() -> (Header, Batch) {
    let mut batch = Batch::from_body(3, b"some body");
    let header = Header::of(&batch, 0xabcd, 100, 90, 4096);
    header.seal(&mut batch);
    (header, batch)
}

#[test]
fn a_header_reads_back() {
    let (header, batch) = frame();
    assert_eq!(Header::decode(batch.frame()), Some(header));
    assert!(is_intact(batch.frame()));
    assert_eq!((header.end(), header.frame_len(), header.next_position()), (103, 73, 4096 + 512));
}

#[test]
fn any_flipped_bit_and_any_cut_is_seen() {
    let (_, batch) = frame();
    for bit in 0..batch.frame().len() * 8 {
        let mut bytes = batch.frame().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(!is_intact(&bytes), "bit {bit}");
        assert_eq!(Header::decode(&bytes).is_some(), bit / 8 >= HEADER_CRC_AT + 4, "bit {bit}");
    }
    for len in 0..batch.frame().len() {
        assert!(!is_intact(&batch.frame()[..len]), "cut at {len}");
    }
}
