//! Merging, retention, erasure, a full head, and the threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use disk::FaultDisk;
use model::{Clock, DeviceIndex, Source};
use store::{
    Aggregate, Background, BucketQuery, Budget, Error, Resolution, Retention, Scope, Store, StoreConfig, Value,
};

use crate::fixture::{Logged, Message, NOW, PARTITION, TENANT, World, config, device, everything};

const HOUR: Duration = Duration::from_secs(3600);

fn one_a_block(world: &mut World, blocks: i64) {
    for at in 0..blocks {
        world.send(&[Message::number(at as usize % 3, NOW + at, at as f64)]);
        world.seal();
    }
}

#[test]
fn small_blocks_become_one_and_their_files_go() {
    let mut world = World::new(100);
    one_a_block(&mut world, 20);
    assert_eq!(world.block_files().len(), 20);
    world.store.maintain().unwrap();
    assert!(world.store.figures().blocks <= 4, "{:?}", world.store.figures());
    world.check();
    // The files of merged blocks stay until the catalog before does not name them either.
    one_a_block(&mut world, 1);
    assert_eq!(world.block_files().len(), world.store.figures().blocks);
    world.check();
    world.restart(world.disk.kill(), 0);
    world.check();
}

fn retain(world: &World, age: Duration) {
    let table = Message::number(0, 0, 0.0).table();
    world.store.set_retention(&table, Retention { hot: None, warm: None, cold: Some(age) });
}

#[test]
fn rows_past_retention_are_hidden_at_once_and_dropped_with_their_block() {
    let mut world = World::new(100);
    world.send(&[Message::number(0, NOW, 1.0)]);
    world.seal();
    // Old in itself, but received later: age counts from the later of both.
    world.clock.advance(2 * HOUR);
    world.send(&[Message::number(0, NOW - 1, 2.0)]);
    world.seal();
    retain(&world, 3 * HOUR);
    assert_eq!(world.temperatures().len(), 2);
    world.clock.advance(HOUR + Duration::from_millis(1));
    assert_eq!(world.temperatures().iter().map(|(.., value)| value.clone()).collect::<Vec<_>>(), [Value::F64(2.0)]);
    assert_eq!(world.store.figures().blocks, 2);
    world.store.maintain().unwrap();
    assert_eq!(world.store.figures().blocks, 1);
    assert_eq!(world.temperatures().len(), 1);
}

#[test]
fn a_clock_that_jumps_ahead_does_not_cost_all_data() {
    let mut world = World::new(100);
    world.send(&[Message::number(0, NOW, 1.0)]);
    world.seal();
    retain(&world, 72 * HOUR);
    world.store.maintain().unwrap();
    world.clock.set_wall(NOW + 80 * 365 * 24 * 3_600_000);
    world.store.maintain().unwrap();
    assert_eq!(world.store.figures().blocks, 1);
    world.clock.set_wall(NOW + 1000);
    assert_eq!(world.temperatures().len(), 1);
}

#[test]
fn an_erased_device_is_hidden_at_once_and_its_rows_go() {
    let mut world = World::new(100);
    one_a_block(&mut world, 3);
    world.send(&[Message::number(0, NOW + 10, 1.0), Message::number(1, NOW + 11, 1.0)]);
    world.store.erase_device(device(0)).unwrap();
    let is_gone = |world: &World| world.temperatures().iter().all(|(found, ..)| *found != device(0));
    assert!(is_gone(&world));
    world.restart(world.disk.crash(9), 0);
    assert!(is_gone(&world));
    assert_eq!(world.store.figures().block_rows, 3);
    world.seal();
    world.store.maintain().unwrap();
    assert!(is_gone(&world));
    assert_eq!(world.store.figures().block_rows, 3);
    assert_eq!(world.temperatures().len(), 3);
    // Days later nothing of it is left to be hidden.
    world.clock.advance(72 * HOUR);
    world.store.maintain().unwrap();
    assert!(is_gone(&world));
}

#[test]
fn a_full_head_makes_the_writer_wait_and_takes_no_row_twice() {
    let mut world = World::new(1 << 20);
    // Room for one chunk with one metric: ts, seq, facts, links, slots and the metric, of 32 KiB each.
    let mut config = config(1 << 20);
    config.head_bytes_max = 7 * 32 * 1024;
    let (store, _) = Store::open(config, Arc::new(FaultDisk::new()), world.clock.clone()).unwrap();
    world.writer = store.writer(PARTITION);
    world.store = store;
    let messages: Vec<Message> = (0..10_000).map(|at| Message::number(0, NOW + at, at as f64)).collect();
    world.send(&[]);
    let source = Source::Device { tenant: TENANT, device: device(0), class: "pumps".into() };
    world.writer.bind(DeviceIndex(0), &source);
    let mut logged = world.log[0].clone();
    (logged.messages, logged.base) = (messages, 1);
    let rows = world.rows(&logged).remove(0);
    let (mut taken, mut refused) = (0, 0);
    loop {
        match world.writer.insert(&rows) {
            Ok(inserted) => {
                taken += inserted.taken;
                break;
            }
            Err(Error::HeadFull) => {
                refused += 1;
                assert!(!world.store.wait_room(Duration::ZERO));
                assert_eq!(world.store.figures().chunks_waiting, 1);
                world.store.seal_waiting().unwrap();
                assert!(world.store.wait_room(Duration::ZERO));
            }
            Err(error) => panic!("{error}"),
        }
    }
    world.writer.publish(10_001);
    assert!(refused >= 2);
    assert!(taken < 4096 + 1, "the last attempt took what was left");
    assert_eq!(world.temperatures().len(), 10_000);
    assert!(world.store.figures().head_bytes <= 7 * 32 * 1024);
}

#[test]
fn strings_count_against_the_memory_of_the_head() {
    let mut world = World::new(1 << 20);
    let mut config = config(1 << 20);
    config.head_bytes_max = 10 * 32 * 1024;
    let (store, _) = Store::open(config, Arc::new(FaultDisk::new()), world.clock.clone()).unwrap();
    world.writer = store.writer(PARTITION);
    world.store = store;
    let long = "x".repeat(1000);
    let mut refused = 0;
    for at in 0..200 {
        let event = Message::event(0, NOW + at, "start", &format!("\"{at}{long}\""));
        let logged = Logged { received: NOW, base: at as u64, messages: vec![event] };
        let rows = world.rows(&logged).remove(0);
        while let Err(error) = world.writer.insert(&rows) {
            assert!(matches!(error, Error::HeadFull));
            refused += 1;
            world.store.seal_waiting().unwrap();
        }
    }
    assert!(refused > 0);
    assert!(world.store.figures().head_bytes < 11 * 32 * 1024);
}

fn count(store: &Store) -> usize {
    let query = BucketQuery {
        tenant: TENANT,
        scope: Scope::Class("pumps".to_owned()),
        by_device: false,
        metric: "temperature".to_owned(),
        kind: None,
        from: 0,
        to: i64::MAX / 2,
        resolution: Resolution::All,
        aggregates: vec![Aggregate::Count],
        tag: None,
        limit: 1,
        cursor: None,
        budget: Budget::default(),
    };
    let buckets = store.buckets(&query).unwrap();
    match buckets.series[0].buckets.first().map(|bucket| bucket.values[0].clone()) {
        Some(Some(Value::I64(count))) => count as usize,
        None => 0,
        other => panic!("a count is an integer: {other:?}"),
    }
}

/// Readers see each row once while chunks become blocks and blocks are merged under them.
#[test]
fn readers_see_every_row_once_while_it_moves() {
    let mut world = World::new(7);
    let mut config = StoreConfig::new("/other");
    (config.chunk_rows, config.background) = (7, Background::Threads);
    let (store, _) = Store::open(config, Arc::new(FaultDisk::new()), Clock::system()).unwrap();
    world.writer = store.writer(PARTITION);
    world.store = store.clone();
    let done = Arc::new(AtomicBool::new(false));
    let reader = std::thread::spawn({
        let (done, store) = (done.clone(), store.clone());
        move || {
            while !done.load(Ordering::Acquire) {
                let before = store.visible_to(PARTITION) as usize;
                let found = count(&store);
                // A row becomes visible just before the offset behind it does.
                let after = store.visible_to(PARTITION) as usize + 1;
                assert!((before..=after).contains(&found), "{before} {found} {after}");
                let points = store.points(&everything("temperature")).unwrap().points;
                assert!(points.is_sorted_by(|a, b| a.ts < b.ts));
            }
        }
    });
    for at in 0..300 {
        world.send(&[Message::number(0, NOW + at, at as f64)]);
        if at % 5 == 0 {
            world.writer.freeze(world.next);
        }
        while at % 10 == 0 && store.figures().chunks_waiting > 0 && !reader.is_finished() {
            std::thread::yield_now();
        }
    }
    done.store(true, Ordering::Release);
    reader.join().unwrap();
    world.writer.freeze(world.next);
    store.close().unwrap();
    assert_eq!(store.sealed_to(PARTITION), 300);
    assert_eq!(count(&store), 300);
    assert_eq!(store.figures().head_bytes, 0);
}
