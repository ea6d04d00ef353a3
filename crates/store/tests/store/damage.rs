//! Bytes that are not what was written are noticed, reported exactly, and never answered.

use std::path::{Path, PathBuf};

use disk::FaultDisk;
use model::Disk;
use store::Value;

use crate::fixture::{Message, NOW, World, device};

/// Two sealed blocks of one device each.
fn two_blocks() -> World {
    let mut world = World::new(100);
    for number in 0..2 {
        let of_device = |at: i64| Message::number(number, NOW + at, at as f64).seq(at as u64).tags(r#"{"line":"A"}"#);
        world.send(&(0..20).map(of_device).collect::<Vec<_>>());
        world.seal();
    }
    world
}

fn block(number: u64) -> PathBuf {
    Path::new("/data/store/blocks").join(format!("{number:016x}.parquet"))
}

/// Opens the store on a disk whose first block was changed, and asserts that only the other block is answered.
fn assert_set_aside(survivor: FaultDisk) {
    let mut world = two_blocks();
    world.log.clear();
    world.restart(survivor, 0);
    let found = world.temperatures();
    assert!(found.iter().all(|(found, ..)| *found == device(1)), "{found:?}");
    assert_eq!(found.len(), 20);
    let damaged = world.store.damaged();
    assert_eq!(damaged.len(), 1);
    assert_eq!((damaged[0].path.clone(), damaged[0].rows), (block(0), 20));
    assert_eq!((damaged[0].ts_min, damaged[0].ts_max), (NOW, NOW + 19));
    // The file is left as it is, and the next start knows.
    world.send(&[Message::number(1, NOW + 100, 1.0)]);
    world.seal();
    let recovered = world.restart(world.disk.kill(), 0);
    assert_eq!(recovered.damaged.len(), 1);
    assert_eq!(world.temperatures().len(), 21);
}

#[test]
fn a_flipped_bit_anywhere_in_a_block_is_noticed() {
    let world = two_blocks();
    let bytes = world.disk.contents(&block(0)).unwrap();
    for at in (0..bytes.len()).step_by(5) {
        let survivor = world.disk.fork();
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        survivor.set_contents(&block(0), flipped).unwrap();
        assert_set_aside(survivor);
    }
}

#[test]
fn a_block_that_is_cut_short_or_gone_is_noticed_at_open() {
    let world = two_blocks();
    let bytes = world.disk.contents(&block(0)).unwrap();
    for len in [0, 3, bytes.len() / 2, bytes.len() - 1] {
        let survivor = world.disk.fork();
        survivor.set_contents(&block(0), bytes[..len].to_vec()).unwrap();
        assert_set_aside(survivor);
    }
    let survivor = world.disk.fork();
    survivor.remove(&block(0)).unwrap();
    assert_set_aside(survivor);
}

#[test]
fn a_merge_goes_on_without_a_damaged_block() {
    let mut world = World::new(100);
    for at in 0..6 {
        world.send(&[Message::number(0, NOW + at, at as f64)]);
        world.seal();
    }
    let mut bytes = world.disk.contents(&block(2)).unwrap();
    bytes[10] ^= 1;
    world.disk.set_contents(&block(2), bytes).unwrap();
    world.store.maintain().unwrap();
    let found: Vec<_> = world.temperatures().into_iter().map(|(.., value)| value).collect();
    assert_eq!(found, [0.0, 1.0, 3.0, 4.0, 5.0].map(Value::F64));
    assert_eq!(world.store.figures().blocks, 1);
    assert_eq!(world.store.figures().blocks_damaged, 1);
}
