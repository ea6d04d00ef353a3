//! What a crash, a full disk or a failed sync leaves is put right: nothing is lost and nothing is there twice.

use std::io::ErrorKind::StorageFull;
use std::path::Path;
use std::sync::Arc;

use disk::{FaultDisk, Operation};
use model::Disk;
use store::{Error, Store};

use crate::fixture::{Message, NOW, PARTITION, World, config};

fn messages(from: i64, count: i64) -> Vec<Message> {
    (from..from + count).map(|at| Message::number((at % 3) as usize, NOW + at, at as f64).seq(at as u64)).collect()
}

#[test]
fn a_block_that_no_catalog_names_is_removed_at_open() {
    let mut world = World::new(100);
    world.send(&messages(0, 10));
    world.writer.freeze(world.next);
    world.disk.faults().fail(Operation::Rename, 1, 1, StorageFull);
    assert!(matches!(world.store.seal_waiting(), Err(Error::Disk { .. })));
    assert_eq!(world.block_files().len(), 1);

    let recovered = world.restart(world.disk.crash(1), 0);
    assert_eq!(recovered.orphans_removed, ["0000000000000000.parquet"]);
    assert_eq!(world.block_files().len(), 0);
    world.check();
}

#[test]
fn rows_that_a_block_covers_are_not_taken_again() {
    let mut world = World::new(100);
    world.send(&messages(0, 10));
    world.seal();
    world.send(&messages(10, 5));
    let recovered = world.restart(world.disk.kill(), 10);
    assert_eq!(recovered.replay_from, [(PARTITION, 10)]);
    world.check();
    let first = world.log[0].clone();
    assert_eq!(world.insert(&first).covered, 10);
    world.check();
}

/// The negative control: what is inserted twice is seen to be there twice.
#[test]
fn a_second_insertion_would_be_seen() {
    let mut world = World::new(100);
    world.send(&messages(0, 10));
    world.seal();
    let mut again = world.log[0].clone();
    again.base = world.next;
    world.insert(&again);
    assert_eq!(world.temperatures().len(), 20);
}

#[test]
fn a_chunk_that_fills_up_within_a_payload_covers_its_part_of_it() {
    let mut world = World::new(3);
    // One payload with eight messages.
    world.send(&messages(0, 1));
    let mut logged = world.log[0].clone();
    logged.messages = messages(0, 8);
    world.log[0] = logged.clone();
    world.next = 1;
    let rows = |world: &mut World| {
        let mut rows = world.rows(&logged).remove(0);
        rows.offset.fill(0);
        rows.index = (0..8).collect();
        rows
    };
    let first = rows(&mut world);
    assert_eq!(world.writer.insert(&first).unwrap().covered, 1);
    world.store.seal_waiting().unwrap();
    assert_eq!(world.store.sealed_to(PARTITION), 0);

    world.log.clear();
    world.restart(world.disk.kill(), 0);
    let again = rows(&mut world);
    let inserted = world.writer.insert(&again).unwrap();
    assert_eq!((inserted.covered, inserted.taken), (6, 2));
    world.writer.publish(1);
    assert_eq!(world.temperatures().len(), 8);
}

/// The disk fails at each call in turn, once or for good; then it heals, or the machine dies.
#[test]
fn a_disk_that_fails_costs_nothing() {
    let operations = [
        Operation::Open,
        Operation::Write,
        Operation::SyncData,
        Operation::SyncDir,
        Operation::Rename,
        Operation::Remove,
    ];
    for operation in operations {
        for nth in 1..=5 {
            for times in [1, u64::MAX] {
                let mut world = World::new(4);
                world.send(&messages(0, 10));
                world.seal();
                world.send(&messages(10, 10));
                world.writer.freeze(world.next);
                world.disk.faults().fail(operation, nth, times, StorageFull);
                let sealed = world.store.seal_waiting();
                let maintained = world.store.maintain();
                if operation != Operation::Open {
                    world.check();
                }
                let survivor = world.disk.fork();
                world.disk.faults().heal();
                world.store.seal_waiting().unwrap();
                world.store.maintain().unwrap();
                world.check();
                assert_eq!(world.store.figures().failure, None, "{operation:?} {nth} {sealed:?} {maintained:?}");
                world.restart(world.disk.crash(nth), 20);
                world.check();

                world.restart(survivor.crash(nth * 7), 20);
                world.check();
            }
        }
    }
}

#[test]
fn a_fresh_directory_survives_a_crash() {
    let world = World::new(4);
    let survivor = world.disk.crash(3);
    Store::open(config(4), Arc::new(survivor), world.clock.clone()).unwrap();
}

fn catalogs(disk: &FaultDisk) -> Vec<String> {
    let entries = disk.list("/data/store".as_ref()).unwrap();
    entries.into_iter().map(|entry| entry.name).filter(|name| name.starts_with("catalog-")).collect()
}

/// Two catalogs, the newest of which names a block more.
fn two_catalogs() -> World {
    let mut world = World::new(100);
    world.send(&messages(0, 10));
    world.seal();
    world.send(&messages(10, 10));
    world.seal();
    assert_eq!(catalogs(&world.disk), ["catalog-1", "catalog-2"]);
    world
}

#[test]
fn a_catalog_that_is_torn_or_changed_is_reported_and_the_one_before_serves() {
    let newest = Path::new("/data/store/catalog-2");
    let bytes = two_catalogs().disk.contents(newest).unwrap();
    let torn = [0, 1, 9, bytes.len() / 2, bytes.len() - 1].map(|len| bytes[..len].to_vec());
    let flipped = (0..bytes.len()).map(|at| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        bytes
    });
    for damaged in torn.into_iter().chain(flipped) {
        let mut world = two_catalogs();
        world.disk.set_contents(newest, damaged).unwrap();
        let recovered = world.restart(world.disk.kill(), 0);
        assert_eq!(recovered.catalogs_unreadable.len(), 1);
        assert_eq!(recovered.replay_from, [(PARTITION, 10)]);
        // What the unreadable one may have named is kept, not removed.
        assert_eq!(recovered.set_aside, ["0000000000000001.parquet"]);
        world.check();
        world.seal();
        world.check();
        let recovered = world.restart(world.disk.kill(), 0);
        assert_eq!(recovered.catalogs_unreadable, [""; 0]);
        world.check();
    }
}

#[test]
fn without_a_catalog_that_can_be_read_nothing_is_forgotten_in_silence() {
    let world = two_catalogs();
    for name in catalogs(&world.disk) {
        world.disk.set_contents(&Path::new("/data/store").join(name), Vec::new()).unwrap();
    }
    let opened = Store::open(config(100), Arc::new(world.disk.clone()), world.clock.clone());
    assert!(matches!(opened.err(), Some(Error::Corrupt { .. })));
    assert_eq!(world.block_files().len(), 2);
}

#[test]
fn a_catalog_of_another_version_is_not_touched() {
    let world = two_catalogs();
    let newest = Path::new("/data/store/catalog-2");
    let mut bytes = world.disk.contents(newest).unwrap();
    bytes[8] = 9;
    let end = bytes.len() - 4;
    let crc = crc32c::crc32c(&bytes[..end]).to_le_bytes();
    bytes[end..].copy_from_slice(&crc);
    world.disk.set_contents(newest, bytes).unwrap();
    let error = Store::open(config(100), Arc::new(world.disk.clone()), world.clock.clone()).err().unwrap();
    assert_eq!(
        error.to_string(),
        "/data/store/catalog-2 has format version 9; this program reads version 1: use the program that wrote it"
    );
    assert_eq!(catalogs(&world.disk).len(), 2);
}
