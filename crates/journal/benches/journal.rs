//! What a durable message costs: batches of 80-byte messages on the real disk, with 1 to 8 commits in flight, in new
//! segments and in recycled ones. Prints nanoseconds of wall time and of CPU time (all threads, kernel included) per
//! message, commits and bytes per second.
//!
//! `cargo bench -p journal` (in the system's temporary directory, or below `BENCH_DIR`).
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![allow(clippy::unwrap_used, reason = "a benchmark stops where something fails")]

use std::sync::{Arc, Condvar, Mutex};

use disk::RealDisk;
use journal::{Append, Journal, JournalConfig, Log, Topic};
use model::batch::{BatchPool, Format, GroupFlags, GroupKey, PayloadKind};
use model::{Batch, Clock, DeviceIndex, Partition};

const MESSAGE_BYTES: usize = 80;
const COMMITS: u64 = 4000;

fn main() {
    println!("batch      segments  in flight  ns/message  cpu ns  commits/s   MB/s");
    for batch_bytes in [128 << 10, 32 << 10, 4 << 10] {
        for commits_in_flight_max in [1, 2, 4, 8] {
            measure(batch_bytes, commits_in_flight_max);
        }
    }
}

/// Fills new segments once, then goes on in recycled ones.
fn measure(batch_bytes: usize, commits_in_flight_max: usize) {
    let dir = match std::env::var_os("BENCH_DIR") {
        Some(below) => tempfile::tempdir_in(below).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let config = JournalConfig { commits_in_flight_max, retention_bytes: 0, ..JournalConfig::new(dir.path()) };
    let clock = Clock::system();
    let (journal, _) = Journal::open(config, Arc::new(RealDisk), clock.clone()).unwrap();
    let log = journal.log(Topic::Raw, Partition(0)).unwrap();
    let pool = BatchPool::default();
    for segments in ["new", "recycled"] {
        let (start, cpu_start) = (clock.monotonic(), cpu_seconds());
        let messages = commit_all(&log, &pool, batch_bytes);
        let cpu_seconds = cpu_seconds() - cpu_start;
        let seconds = (clock.monotonic() - start).as_secs_f64();
        println!(
            "{:>4} KiB   {segments:<8}  {commits_in_flight_max:>9}  {:>10.1}  {:>6.1}  {:>9.0}  {:>5.0}",
            batch_bytes >> 10,
            seconds * 1e9 / messages as f64,
            cpu_seconds * 1e9 / messages as f64,
            COMMITS as f64 / seconds,
            (COMMITS * batch_bytes as u64) as f64 / seconds / 1e6,
        );
        log.trim(log.durable()).unwrap();
    }
}

/// CPU time of this process so far (proc(5): ticks of 10 ms).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let behind_name = stat.rsplit(')').next().unwrap();
    let ticks = behind_name.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

/// Commits as a gateway does: whenever a slot is free. Returns the messages that are durable.
fn commit_all(log: &Log, pool: &BatchPool, batch_bytes: usize) -> u64 {
    let signal = Arc::new((Mutex::new(()), Condvar::new()));
    let waker = signal.clone();
    let _registration = log.on_durable(Box::new(move || {
        drop(waker.0.lock().unwrap());
        waker.1.notify_one();
    }));
    let first = log.end();
    for number in 0..COMMITS {
        let mut batch = fill(pool, batch_bytes);
        loop {
            drop(signal.1.wait_while(signal.0.lock().unwrap(), |()| !log.slot_free()).unwrap());
            match log.append(batch, Some(log.segment())) {
                Append::Accepted { .. } => break,
                Append::Rolled(back) | Append::Refused { batch: back, .. } => batch = back,
            }
        }
        if number % 512 == 0 {
            log.trim(log.durable()).unwrap();
        }
    }
    log.sync().unwrap();
    log.end() - first
}

fn fill(pool: &BatchPool, batch_bytes: usize) -> Batch {
    let key = GroupKey {
        device: DeviceIndex(1),
        kind: PayloadKind::Data,
        format: Format::Json,
        flags: GroupFlags::default(),
    };
    let mut builder = pool.builder();
    while builder.bytes() + MESSAGE_BYTES + 4 <= batch_bytes {
        builder.push(key, &[b'x'; MESSAGE_BYTES]);
    }
    builder.seal(0)
}
