//! What the store costs: nanoseconds per row for insertion and sealing, bytes per row, and the times of queries.
//!
//! `cargo bench -p store` (a million rows per block; the directory is a temporary one on the machine's disk).

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use disk::RealDisk;
use model::{
    Clock, ColumnKey, DeviceId, DeviceIndex, Partition, RowColumn, RowFlags, Rows, Source, Table, TableKind,
    TableLayout, TenantId, ValueKind,
};
use store::{Aggregate, Background, BucketQuery, Budget, PointQuery, Resolution, Scope, Store, StoreConfig, Writer};

const START: i64 = 1_700_000_000_000;
const TENANT: TenantId = TenantId(uuid::Uuid::from_u128(1));
const BATCH_ROWS: usize = 1000;
const DEVICES: usize = 1000;
/// Prime, so that it reaches every device.
const STRIDE: usize = 999_983;
/// What every row has beside its values.
const TAGS: &str = r#"{"line":"A","site":"north"}"#;

fn main() {
    let blocks: usize = std::env::var("BLOCKS").map_or(8, |text| text.parse().expect("BLOCKS is a number"));
    let clock = Clock::system();
    // For a profile of one part: `cargo bench -p store -- seal`.
    if std::env::args().any(|argument| argument == "seal") {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (store, mut writer) = open(&clock, dir.path(), DEVICES);
        for at in 0..blocks {
            let (insert, seal) = block(&clock, &store, &mut writer, Signal::Regular, DEVICES, at);
            println!("insert {insert:.1} ns/row, seal {seal:.1} ns/row");
        }
        return;
    }
    for signal in [Signal::Regular, Signal::Noisy, Signal::Flags] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        run(&clock, dir.path(), signal, if matches!(signal, Signal::Regular) { blocks } else { 1 });
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    many_devices(&clock, dir.path());
}

/// What the devices measure.
#[derive(Clone, Copy, Debug)]
enum Signal {
    /// One decimal, a slow wave and some noise: what most sensors send.
    Regular,
    /// Doubles with all their digits.
    Noisy,
    /// A few states.
    Flags,
}

impl Signal {
    fn value(self, device: usize, at: i64, metric: usize) -> f64 {
        let phase = (at as f64 / 5000.0) + device as f64;
        let smooth = 20.0 + 5.0 * phase.sin() + metric as f64 * 30.0;
        match self {
            Self::Regular => {
                let noise = (hash(device as u64, at as u64, metric as u64) % 5) as f64 - 2.0;
                (smooth * 10.0 + noise).round() / 10.0
            }
            Self::Noisy => smooth + (hash(device as u64, at as u64, metric as u64) as f64 / u64::MAX as f64),
            Self::Flags => (hash(device as u64, at as u64 / 600, metric as u64) % 3) as f64,
        }
    }
}

fn hash(a: u64, b: u64, c: u64) -> u64 {
    let mut value = a.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ b.wrapping_mul(0xC2B2_AE3D_27D4_EB4F) ^ c;
    value ^= value >> 31;
    value = value.wrapping_mul(0xD6E8_FEB8_6659_FD93);
    value ^ value >> 32
}

fn layout() -> Arc<TableLayout> {
    let table = Table { tenant: TENANT, class: "pumps".into(), kind: TableKind::Readings };
    let key = |name: &str| ColumnKey { name: name.into(), kind: ValueKind::F64 };
    Arc::new(TableLayout { table, columns: vec![key("temperature"), key("humidity")] })
}

fn device(number: usize) -> DeviceId {
    let bytes = (u128::from(hash(number as u64, 1, 1)) << 64 | u128::from(hash(number as u64, 2, 2))).to_be_bytes();
    DeviceId::from_bytes(bytes)
}

/// Rows `base..` of a fleet in which every device sends once a second.
fn batch(layout: &Arc<TableLayout>, signal: Signal, devices: usize, base: usize) -> Rows {
    let mut rows = Rows::new(layout.clone(), START + (base / devices) as i64 * 1000);
    rows.columns = vec![RowColumn::default(); 2];
    rows.text.extend_from_slice(TAGS.as_bytes());
    for number in base..base + BATCH_ROWS {
        // No fleet sends in the order in which its devices were seen first.
        let (of_device, at) = ((number % devices * STRIDE) % devices, (number / devices) as i64);
        rows.offset.push(number as u64);
        rows.index.push(0);
        rows.device.push(DeviceIndex(of_device as u32));
        rows.ts.push(START + at * 1000 + (of_device % 1000) as i64);
        rows.seq.push(at as u64);
        rows.boot.push(3);
        rows.flags.push(RowFlags(RowFlags::HAS_SEQ | RowFlags::HAS_BOOT));
        rows.tags.rows.push((number - base) as u32);
        rows.tags.bits.push(TAGS.len() as u64);
        for metric in 0..2 {
            rows.columns[metric].rows.push((number - base) as u32);
            rows.columns[metric].bits.push(signal.value(of_device, at, metric).to_bits());
        }
    }
    rows
}

fn open(clock: &Clock, dir: &Path, devices: usize) -> (Store, Writer) {
    let mut config = StoreConfig::new(dir.join("store"));
    config.background = Background::Manual;
    let (store, _) = Store::open(config, Arc::new(RealDisk), clock.clone()).expect("the store opens");
    let mut writer = store.writer(Partition(0));
    for number in 0..devices {
        let source = Source::Device { tenant: TENANT, device: device(number), class: "pumps".into() };
        writer.bind(DeviceIndex(number as u32), &source);
    }
    (store, writer)
}

/// Inserts and seals one block of 2^20 rows; returns nanoseconds per row of both.
fn block(clock: &Clock, store: &Store, writer: &mut Writer, signal: Signal, devices: usize, at: usize) -> (f64, f64) {
    let layout = layout();
    let rows = (1 << 20) / BATCH_ROWS * BATCH_ROWS;
    let mut inserting = Duration::ZERO;
    for base in (at * rows..(at + 1) * rows).step_by(BATCH_ROWS) {
        let batch = batch(&layout, signal, devices, base);
        let started = clock.monotonic();
        writer.insert(&batch).expect("the head has room");
        writer.publish((base + BATCH_ROWS) as u64);
        inserting += clock.monotonic() - started;
    }
    writer.freeze(((at + 1) * rows) as u64);
    let started = clock.monotonic();
    store.seal_waiting().expect("the disk works");
    let sealing = clock.monotonic() - started;
    let per_row = |time: Duration| time.as_nanos() as f64 / rows as f64;
    (per_row(inserting), per_row(sealing))
}

fn run(clock: &Clock, dir: &Path, signal: Signal, blocks: usize) {
    let (store, mut writer) = open(clock, dir, DEVICES);
    for at in 0..blocks {
        let (insert, seal) = block(clock, &store, &mut writer, signal, DEVICES, at);
        println!("{signal:?}: insert {insert:.1} ns/row, seal {seal:.1} ns/row");
    }
    sizes(&store, signal, "sealed");
    queries(clock, &store);
    let started = clock.monotonic();
    store.maintain().expect("the disk works");
    println!("{signal:?}: merged in {:.2} s", (clock.monotonic() - started).as_secs_f64());
    sizes(&store, signal, "merged");
    queries(clock, &store);
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
    let of_device = buckets(Scope::Device(device(7)), Resolution::Millis(60_000));
    measure(clock, "one device at 1m", || store.buckets(&of_device).expect("an answer").series[0].buckets.len());
    let of_class = buckets(Scope::Class("pumps".to_owned()), Resolution::All);
    measure(clock, "average over everything", || store.buckets(&of_class).expect("an answer").series[0].buckets.len());
    let points = PointQuery {
        tenant: TENANT,
        scope: Scope::Device(device(7)),
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
        store.latest(TENANT, device(7), Budget::default()).expect("an answer").metrics.len()
    });
    measure(clock, "latest of 1000 devices", || {
        store
            .latest_of_many(TENANT, &Scope::Class("pumps".to_owned()), None, 1000, Budget::default())
            .expect("an answer")
            .devices
            .len()
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
    let (store, mut writer) = open(clock, dir, devices);
    for at in 0..2 {
        let (insert, seal) = block(clock, &store, &mut writer, Signal::Regular, devices, at);
        println!("a row per device: insert {insert:.1} ns/row, seal {seal:.1} ns/row");
    }
    sizes(&store, Signal::Regular, "a row per device");
}
