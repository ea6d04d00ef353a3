//! What the tests have in common: small journals, and appending without caring when.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use disk::FaultDisk;
use journal::{Append, Error, Journal, JournalConfig, Log, LogRecovery, Topic};
use model::{Batch, Clock, Disk, Offset, Partition};

pub const FIRST: Partition = Partition(0);
pub const DIR: &str = "/data/journal";
/// Room for the head and a few dozen small frames.
pub const SEGMENT_BYTES: u64 = 32 << 10;

/// A batch that was read: base, count, body.
pub type Found = (Offset, u32, Vec<u8>);

/// Small segments, little in memory, nothing kept longer than asked.
pub fn config(dir: &Path) -> JournalConfig {
    JournalConfig {
        partitions: 2,
        segment_bytes: SEGMENT_BYTES,
        tail_bytes_max: 4096,
        retention_bytes: 0,
        ..JournalConfig::new(dir)
    }
}

pub fn open_on(disk: &FaultDisk) -> Result<(Journal, Log, LogRecovery), Error> {
    open_with(disk, config(Path::new(DIR)))
}

pub fn open_with(disk: &FaultDisk, config: JournalConfig) -> Result<(Journal, Log, LogRecovery), Error> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let (journal, recovery) = Journal::open(config, disk, Clock::manual(0))?;
    let log = journal.log(Topic::Raw, FIRST)?;
    let found = recovery.logs.into_iter().find(|log| log.topic == Topic::Raw && log.partition == FIRST);
    let found = found.unwrap_or(LogRecovery {
        topic: Topic::Raw,
        partition: FIRST,
        segments: 0,
        oldest: 0,
        end: 0,
        torn_bytes: 0,
        torn_batches: 0,
        torn_at: None,
        corrupt: Vec::new(),
        damage: Vec::new(),
        rewritten: 0,
    });
    Ok((journal, log, found))
}

/// A body that says which batch it is, of `len` bytes or a few more.
pub fn body(number: u64, len: usize) -> Vec<u8> {
    let mut body = format!("batch {number} ").into_bytes();
    let mut state = number;
    while body.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        body.push((state >> 33) as u8);
    }
    body
}

/// Appends, waiting while the log is busy.
pub fn try_append(log: &Log, count: u32, body: &[u8]) -> Result<(Offset, Offset), Error> {
    let signal = Arc::new((Mutex::new(0_u64), Condvar::new()));
    let seen = signal.clone();
    let _registration = log.on_durable(Box::new(move || {
        *seen.0.lock().unwrap() += 1;
        seen.1.notify_all();
    }));
    let mut batch = Batch::from_body(count, body);
    loop {
        let before = *signal.0.lock().unwrap();
        match log.append(batch, Some(log.segment())) {
            Append::Accepted { base, end } => return Ok((base, end)),
            Append::Rolled(back) => batch = back,
            Append::Refused { batch: back, error: Error::Busy } => {
                batch = back;
                drop(signal.1.wait_while(signal.0.lock().unwrap(), |now| *now == before).unwrap());
            }
            Append::Refused { error, .. } => return Err(error),
        }
    }
}

pub fn append(log: &Log, count: u32, body: &[u8]) -> (Offset, Offset) {
    try_append(log, count, body).unwrap()
}

/// Appends a first batch, `b"durable"`, and waits until nothing touches the disk any more: the segment after the first
/// is ready then.
pub fn begin(disk: &FaultDisk, log: &Log) {
    append(log, 1, b"durable");
    log.sync().unwrap();
    let next = segment_path(log.segment() + 1);
    while disk.contents(&next).is_err() {
        std::thread::yield_now();
    }
}

/// Everything from `from` to the watermark.
pub fn read_from(log: &Log, mut from: Offset) -> Result<Vec<Found>, Error> {
    let mut all = Vec::new();
    loop {
        let frames = log.read(from, 3000)?;
        let Some(last) = frames.last() else { return Ok(all) };
        from = last.end();
        all.extend(frames.iter().map(|frame| (frame.base, frame.batch.count(), frame.batch.body().to_vec())));
    }
}

pub fn read_all(log: &Log) -> Vec<Found> {
    read_from(log, log.oldest()).unwrap()
}

pub fn segment_path(id: u64) -> PathBuf {
    Path::new(DIR).join(format!("raw/0/{id:016x}.segment"))
}

/// A deterministic generator for the choices that a test makes (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// What was accepted, and up to where it was seen durable: the journal's own acked-set checker.
#[derive(Default)]
pub struct Ledger {
    pub accepted: std::collections::BTreeMap<Offset, (u32, Vec<u8>)>,
    pub durable: Offset,
}

/// What a check found. Both must be zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Losses {
    /// Batches that were durable and are not read back as they were.
    pub lost: usize,
    /// Batches that are read and were never accepted at that offset.
    pub foreign: usize,
}

impl Ledger {
    /// Compares with what an opened log gives, and takes its end as the new truth.
    pub fn check(&mut self, log: &Log) -> Losses {
        let found: std::collections::BTreeMap<_, _> =
            read_past_gaps(log).0.into_iter().map(|(base, count, body)| (base, (count, body))).collect();
        let oldest = log.oldest();
        let durable = self.accepted.iter().filter(|(base, _)| **base >= oldest && **base < self.durable);
        let lost = durable.filter(|(base, batch)| found.get(base) != Some(batch)).count();
        let foreign = found.iter().filter(|(base, batch)| self.accepted.get(base) != Some(batch)).count();
        self.accepted.retain(|base, _| *base < log.end());
        self.durable = log.durable();
        Losses { lost, foreign }
    }
}

/// Everything that can be read, and the gaps between.
pub fn read_past_gaps(log: &Log) -> (Vec<Found>, Vec<std::ops::Range<Offset>>) {
    let (mut all, mut gaps, mut from) = (Vec::new(), Vec::new(), log.oldest());
    loop {
        match log.read(from, 3000) {
            Err(Error::Corrupt { from: start, to }) => {
                assert!(start <= from && to > from);
                gaps.push(start..to);
                from = to;
            }
            answer => {
                let frames = answer.unwrap();
                let Some(last) = frames.last() else { return (all, gaps) };
                from = last.end();
                all.extend(frames.iter().map(|frame| (frame.base, frame.batch.count(), frame.batch.body().to_vec())));
            }
        }
    }
}
