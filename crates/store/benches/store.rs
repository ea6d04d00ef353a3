//! What the store costs: nanoseconds per row for insertion and sealing, bytes per row, and the times of queries.
//!
//! `cargo bench -p store` (a million rows per block; the directory is a temporary one on the machine's disk).

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::path::Path;
use std::time::Duration;

use model::{Clock, TenantId};
use store::{Aggregate, BucketQuery, Budget, PointQuery, Resolution, Scope, Store, Writer};

mod fleet;

use fleet::{BATCH_ROWS, Fleet, Signal};

const START: i64 = 1_700_000_000_000;
const TENANT: TenantId = TenantId(uuid::Uuid::from_u128(1));
const DEVICES: usize = 1000;
const BLOCK_ROWS: usize = (1 << 20) / BATCH_ROWS * BATCH_ROWS;

fn main() {
    let blocks: usize = std::env::var("BLOCKS").map_or(8, |text| text.parse().expect("BLOCKS is a number"));
    let clock = Clock::system();
    // For a profile of one part: `cargo bench -p store -- seal` or `-- merge`.
    if std::env::args().any(|argument| argument == "merge") {
        merging(&clock, 4 * blocks);
        return;
    }
    if std::env::args().any(|argument| argument == "seal") {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let fleet = fleet(DEVICES, Signal::Regular);
        let (store, mut writer) = fleet.open(&clock, dir.path());
        for at in 0..blocks {
            let (insert, seal) = block(&clock, &store, &mut writer, &fleet, at);
            println!("insert {insert:.1} ns/row, seal {seal:.1} ns/row");
        }
        return;
    }
    for signal in [Signal::Regular, Signal::Noisy, Signal::Flags] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        run(&clock, dir.path(), signal, if matches!(signal, Signal::Regular) { blocks } else { 1 });
    }
    merging(&clock, 4 * blocks);
    let dir = tempfile::tempdir().expect("a temporary directory");
    many_devices(&clock, dir.path());
}

fn fleet(devices: usize, signal: Signal) -> Fleet {
    Fleet::new(TENANT, "pumps", devices, START, signal)
}

/// Inserts and seals one block of 2^20 rows; returns nanoseconds per row of both.
fn block(clock: &Clock, store: &Store, writer: &mut Writer, fleet: &Fleet, at: usize) -> (f64, f64) {
    let inserting = insert(clock, writer, fleet, at * BLOCK_ROWS, BLOCK_ROWS);
    writer.freeze(0);
    let started = clock.monotonic();
    store.seal_waiting().expect("the disk works");
    let sealing = clock.monotonic() - started;
    let per_row = |time: Duration| time.as_nanos() as f64 / BLOCK_ROWS as f64;
    (per_row(inserting), per_row(sealing))
}

/// Inserts rows from `base` on and publishes them.
fn insert(clock: &Clock, writer: &mut Writer, fleet: &Fleet, base: usize, rows: usize) -> Duration {
    let layout = fleet.layout();
    let mut inserting = Duration::ZERO;
    for base in (base..base + rows).step_by(BATCH_ROWS) {
        let batch = fleet.batch(&layout, base);
        let started = clock.monotonic();
        writer.insert(&batch).expect("the head has room");
        writer.publish(0);
        inserting += clock.monotonic() - started;
    }
    inserting
}

fn run(clock: &Clock, dir: &Path, signal: Signal, blocks: usize) {
    let fleet = fleet(DEVICES, signal);
    let (store, mut writer) = fleet.open(clock, dir);
    for at in 0..blocks {
        let (insert, seal) = block(clock, &store, &mut writer, &fleet, at);
        println!("{signal:?}: insert {insert:.1} ns/row, seal {seal:.1} ns/row");
    }
    sizes(&store, signal, "sealed");
    queries(clock, &store);
    let started = clock.monotonic();
    store.maintain().expect("the disk works");
    println!("{signal:?}: merged in {:.2} s", (clock.monotonic() - started).as_secs_f64());
    sizes(&store, signal, "merged");
    queries(clock, &store);
    insert(clock, &mut writer, &fleet, blocks * BLOCK_ROWS, 3 * BLOCK_ROWS);
    println!("{signal:?}: and three chunks in the head");
    queries(clock, &store);
}

/// What merging costs while blocks come one after the other: how often a row is written again, and how long that takes.
fn merging(clock: &Clock, blocks: usize) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let fleet = fleet(DEVICES, Signal::Regular);
    let (store, mut writer) = fleet.open(clock, dir.path());
    let mut merging = Duration::ZERO;
    for at in 0..blocks {
        block(clock, &store, &mut writer, &fleet, at);
        let started = clock.monotonic();
        store.maintain().expect("the disk works");
        merging += clock.monotonic() - started;
    }
    let merged = store.figures().rows_merged;
    let again = merged as f64 / (blocks * BLOCK_ROWS) as f64;
    let per_row = merging.as_nanos() as f64 / merged as f64;
    println!("{blocks} blocks: each row is merged {again:.2} times, {per_row:.1} ns/row");
    sizes(&store, Signal::Regular, "merged as they come");
}

fn sizes(store: &Store, signal: Signal, what: &str) {
    let figures = store.figures();
    let per_row = figures.block_bytes as f64 / figures.block_rows as f64;
    println!("{signal:?}: {what}: {} blocks, {} rows, {per_row:.3} bytes/row", figures.blocks, figures.block_rows);
}

fn queries(clock: &Clock, store: &Store) {
    let (from, to) = (START, START + 86_400_000);
    let buckets = |scope: Scope, resolution| BucketQuery {
        tenant: TENANT,
        scope,
        by_device: false,
        metric: "temperature".to_owned(),
        kind: None,
        from,
        to,
        resolution,
        aggregates: vec![Aggregate::Avg],
        tag: None,
        limit: 10_000,
        cursor: None,
        budget: Budget::default(),
    };
    let count = |query: &BucketQuery| {
        let series = store.buckets(query).expect("an answer").series;
        series.iter().map(|series| series.buckets.len()).sum()
    };
    let of_device = buckets(Scope::Device(Fleet::device(7)), Resolution::Millis(60_000));
    measure(clock, "one device at 1m", || count(&of_device));
    let class = Scope::Class("pumps".to_owned());
    let everything = buckets(class.clone(), Resolution::All);
    measure(clock, "average over everything", || count(&everything));
    let cut = BucketQuery { from: from + 1_234_567, to: from + 40_000_000, ..everything.clone() };
    measure(clock, "average over a time that cuts through minutes", || count(&cut));
    for (what, length) in [("class at 1m", 60_000), ("class at 90s", 90_000), ("class at 1h", 3_600_000)] {
        let query = buckets(class.clone(), Resolution::Millis(length));
        measure(clock, what, || count(&query));
    }
    let by_device = BucketQuery { by_device: true, ..buckets(class.clone(), Resolution::Millis(86_400_000)) };
    measure(clock, "class at 1d by device", || count(&by_device));
    let points = PointQuery {
        tenant: TENANT,
        scope: Scope::Device(Fleet::device(7)),
        metric: "temperature".to_owned(),
        kind: None,
        from,
        to,
        tag: None,
        limit: 1000,
        cursor: None,
        budget: Budget::default(),
    };
    measure(clock, "first 1000 points of a device", || store.points(&points).expect("an answer").points.len());
    measure(clock, "latest of a device", || {
        store.latest(TENANT, Fleet::device(7), Budget::default()).expect("an answer").metrics.len()
    });
    measure(clock, "latest of 1000 devices", || {
        store.latest_of_many(TENANT, &class, None, 1000, Budget::default()).expect("an answer").devices.len()
    });
}

/// The median of some runs, the first one (cold) aside.
fn measure(clock: &Clock, what: &str, query: impl Fn() -> usize) {
    let mut times = Vec::new();
    let mut answers = 0;
    for _ in 0..6 {
        let started = clock.monotonic();
        answers = query();
        times.push(clock.monotonic() - started);
    }
    let cold = times.remove(0);
    times.sort_unstable();
    println!("  {what}: {answers} answers, {:.3} ms, first {:.3} ms", ms(times[2]), ms(cold));
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The worst case for the directory: a row per device.
fn many_devices(clock: &Clock, dir: &Path) {
    let devices = 1 << 20;
    let fleet = fleet(devices, Signal::Regular);
    let (store, mut writer) = fleet.open(clock, dir);
    for at in 0..2 {
        let (insert, seal) = block(clock, &store, &mut writer, &fleet, at);
        println!("a row per device: insert {insert:.1} ns/row, seal {seal:.1} ns/row");
    }
    sizes(&store, Signal::Regular, "a row per device");
}
