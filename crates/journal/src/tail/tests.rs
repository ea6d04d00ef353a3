use super::*;

/// Batches of 10, 1 and 5 offsets from offset 100 on; frames of 164 bytes in 512 bytes of memory.
fn tail() -> Tail {
    let mut tail = Tail::default();
    let mut base = 100;
    for (number, count) in [10, 1, 5].into_iter().enumerate() {
        tail.push(base, number as u64 * 512, Arc::new(Batch::from_body(count, &[0; 100])));
        base += u64::from(count);
    }
    tail
}

fn bases(frames: Option<Vec<Frame>>) -> Option<Vec<Offset>> {
    frames.map(|frames| frames.into_iter().map(|frame| frame.base).collect())
}

#[test]
fn read_begins_with_the_batch_that_holds_the_offset() {
    let tail = tail();
    assert_eq!(bases(tail.read(99, 1000)), None);
    assert_eq!(bases(tail.read(100, 1000)), Some(vec![100, 110, 111]));
    assert_eq!(bases(tail.read(109, 328)), Some(vec![100, 110]));
    assert_eq!(bases(tail.read(110, 0)), Some(vec![110]));
    assert_eq!(bases(tail.read(115, 1000)), Some(vec![111]));
    assert_eq!(bases(tail.read(116, 1000)), None);
    assert_eq!(tail.place_of(112), Some(1024));
}

#[test]
fn shrink_keeps_the_newest_and_counts_memory() {
    let mut tail = tail();
    assert_eq!(tail.bytes(), 1536);
    assert_eq!(tail.shrink(1100).len(), 1);
    assert_eq!(bases(tail.read(109, 1000)), None);
    assert_eq!(tail.shrink(0).len(), 1);
    assert_eq!((bases(tail.read(111, 0)), tail.bytes()), (Some(vec![111]), 512));
    tail.drop_before(116);
    assert_eq!(tail.bytes(), 0);
}
