//! Writing the log: the loop counts in atomics, a thread of its own writes and syncs every 100 ms.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use model::{DeviceId, TenantId};

use super::{MAGIC, Record, Run, parse};
use crate::stop::Stop;

/// How often the log is written and synced.
const SYNC_INTERVAL: Duration = Duration::from_millis(100);
/// Messages of one stream that are reserved ahead: more than the fastest stream sends in two sync intervals.
const RESERVE: u64 = 1 << 20;

/// What the loop tells the log about one stream, and what the log permits.
#[derive(Debug, Default)]
pub struct StreamGauge {
    sent: AtomicU64,
    acked: AtomicU64,
    reserved: AtomicU64,
    /// Numbers that were refused; rare.
    refused: Mutex<Vec<u64>>,
}

impl StreamGauge {
    /// Messages with a number below may be sent.
    pub fn reserved(&self) -> u64 {
        self.reserved.load(Ordering::Acquire)
    }

    /// All messages below `sent` were sent, all below `acked` acknowledged.
    pub fn progress(&self, sent: u64, acked: u64) {
        self.sent.store(sent, Ordering::Relaxed);
        self.acked.store(acked, Ordering::Release);
    }

    pub fn refused(&self, number: u64) {
        self.refused.lock().expect("no holder of this lock panics").push(number);
    }
}

/// An open log. Dropping it without [`AckedLog::close`] leaves the log without the exact ends.
#[derive(Debug)]
pub struct AckedLog {
    gauges: Arc<[StreamGauge]>,
    stop: Stop,
    thread: Option<JoinHandle<Result<Writing>>>,
}

#[derive(Debug)]
struct Writing {
    file: File,
    gauges: Arc<[StreamGauge]>,
    logged_acked: Vec<u64>,
    buffer: Vec<u8>,
}

impl AckedLog {
    /// The boot that a run which continues the log at `path` has to use: 1 if there is none yet.
    pub fn next_boot(path: &Path) -> Result<u32> {
        if !path.exists() {
            return Ok(1);
        }
        Ok(super::read(path)?.next_boot.max(1))
    }

    /// Creates the log, or continues it with a new run. Each stream is its first seq and its devices.
    pub fn open(path: &Path, run: Run, tenant: TenantId, streams: &[(u64, Arc<[DeviceId]>)]) -> Result<Self> {
        let file = open_file(path).with_context(|| format!("cannot write the acked-set log {}", path.display()))?;
        let gauges: Arc<[StreamGauge]> = streams.iter().map(|_| StreamGauge::default()).collect();
        let mut writing =
            Writing { file, gauges: gauges.clone(), logged_acked: vec![0; streams.len()], buffer: Vec::new() };
        writing.put(&Record::Run(run));
        for (stream, (first_seq, devices)) in streams.iter().enumerate() {
            let (stream, first_seq, devices) = (stream as u32, *first_seq, devices.clone());
            writing.put(&Record::Stream { stream, tenant, first_seq, devices });
        }
        writing.round().context("cannot write the acked-set log")?;
        let stop = Stop::default();
        let thread = std::thread::Builder::new().name("acked-log".into()).spawn({
            let stop = stop.clone();
            move || {
                while !stop.wanted() {
                    std::thread::park_timeout(SYNC_INTERVAL);
                    writing.round().context("cannot write the acked-set log")?;
                }
                Ok(writing)
            }
        })?;
        Ok(Self { gauges, stop, thread: Some(thread) })
    }

    /// What to tell and ask per stream.
    pub fn gauges(&self) -> Arc<[StreamGauge]> {
        self.gauges.clone()
    }

    /// Writes the rest and the exact ends. To be called after the last message.
    pub fn close(mut self) -> Result<()> {
        self.stop.stop();
        let thread = self.thread.take().expect("close is the only one who takes it");
        thread.thread().unpark();
        let mut writing = thread.join().map_err(|_| anyhow::anyhow!("the acked-set log's thread panicked"))??;
        writing.round()?;
        for stream in 0..writing.gauges.len() {
            let to = writing.gauges[stream].sent.load(Ordering::Relaxed);
            writing.put(&Record::End { stream: stream as u32, to });
        }
        writing.sync().context("cannot write the acked-set log")
    }
}

fn open_file(path: &Path) -> Result<File> {
    let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
    let len = file.metadata()?.len();
    if len == 0 {
        file.write_all(MAGIC)?;
    } else {
        // A torn record of an earlier run would hide what follows it.
        let torn = parse(&std::fs::read(path)?)?.torn_bytes;
        file.set_len(len - torn)?;
        file.seek(SeekFrom::End(0))?;
    }
    Ok(file)
}

impl Writing {
    fn put(&mut self, record: &Record) {
        record.encode(&mut self.buffer);
    }

    /// Logs what became acknowledged or refused, reserves ahead, syncs, and only then permits what it reserved.
    fn round(&mut self) -> Result<()> {
        let gauges = self.gauges.clone();
        let mut permits = Vec::new();
        for (stream, gauge) in gauges.iter().enumerate() {
            let acked = gauge.acked.load(Ordering::Acquire);
            let from = std::mem::replace(&mut self.logged_acked[stream], acked);
            let stream = stream as u32;
            if acked > from {
                self.put(&Record::Acked { stream, from, to: acked });
            }
            for number in std::mem::take(&mut *gauge.refused.lock().expect("no holder of this lock panics")) {
                self.put(&Record::Refused { stream, from: number, to: number + 1 });
            }
            let (sent, reserved) = (gauge.sent.load(Ordering::Relaxed), gauge.reserved());
            if sent + RESERVE / 2 >= reserved {
                let to = sent + RESERVE;
                self.put(&Record::Sent { stream, from: reserved, to });
                permits.push((gauge, to));
            }
        }
        self.sync()?;
        permits.into_iter().for_each(|(gauge, to)| gauge.reserved.store(to, Ordering::Release));
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        if !self.buffer.is_empty() {
            self.file.write_all(&self.buffer)?;
            self.file.sync_data()?;
            self.buffer.clear();
        }
        Ok(())
    }
}
