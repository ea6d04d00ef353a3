//! The line from an accepted payload to a queryable row: the raw log with its device table, the open batches that feed
//! it, the thread that derives rows from it, and what slows everything down when something falls behind.
//!
//! It never speaks a protocol: the gateway and HTTP bring payloads and take back a durable watermark.

pub mod appender;
pub mod dead_letters;
pub mod device_table;
pub mod ingest;
pub mod intake;
pub mod keeper;
pub mod ledger;
pub mod normalized;
pub mod overload;
pub mod plans;
pub mod raw_log;
pub mod sessions;
pub mod snapshot;
pub mod stepped;
pub mod trial;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use journal::{Journal, Log, Topic};
use model::{Clock, Disk, Partition, limits};
use pipeline::Flagged;
use store::Store;
use tokio::sync::mpsc;

use crate::operations::Metrics;
use device_table::DeviceTable;
use ingest::{Ingest, IngestError, IngestParts};
use intake::{Intake, IntakeThread};
use keeper::{Keeper, KeeperHandle};
use ledger::{Ledger, LedgerThread};
use normalized::NormalizedTopic;
use overload::Overload;
use plans::KnownRules;
use raw_log::RawLog;
use sessions::HeldIds;
use snapshot::Snapshots;
use trial::{Trials, trials};

/// The partition that everything is in. A second log costs each commit latency and buys nothing up to four cores; where
/// there are more, this becomes a function of the device id.
pub const PARTITION: Partition = Partition(0);

/// Full segments behind rows that are in memory only, at which everything is sealed.
const SEGMENTS_PER_BARRIER: u64 = limits::REPLAY_BYTES_MAX / limits::SEGMENT_BYTES;

/// What a line is made of.
pub struct LineParts {
    pub journal: Journal,
    pub store: Store,
    pub disk: Arc<dyn Disk>,
    /// The data directory.
    pub dir: PathBuf,
    pub snapshots: PathBuf,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
    /// Takes the devices that the pipeline flags.
    pub flagged: mpsc::Sender<Flagged>,
}

/// The running line of one partition.
pub struct Line {
    pub raw: Arc<RawLog>,
    pub dead_letters: Log,
    pub ledger: Arc<Ledger>,
    pub trials: Trials,
    pub normalized: Arc<NormalizedTopic>,
    pub intake: Intake,
    pub overload: Arc<Overload>,
    threads: Threads,
}

/// What a line found in its logs, for what stands around it.
pub struct Restored {
    /// MQTT QoS 2 ids that await PUBREL, for the gateway.
    pub held: HeldIds,
    /// The rules that the pipeline follows.
    pub rules: KnownRules,
}

struct Threads {
    journal: Journal,
    store: Store,
    stop: Arc<AtomicBool>,
    intake: IntakeThread,
    ledger: LedgerThread,
    ingest: JoinHandle<KeeperHandle>,
}

/// Why a line could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    #[error(transparent)]
    Journal(#[from] journal::Error),
    #[error(transparent)]
    Ingest(#[from] IngestError),
    #[error("a thread or a directory of the line could not be made: {0}")]
    Io(#[from] io::Error),
}

impl Line {
    /// Opens the logs, derives again what was not sealed, and starts the threads. Everything that was ever acknowledged
    /// is queryable on return.
    pub fn open(parts: LineParts) -> Result<(Self, Restored), LineError> {
        let LineParts { journal, store, disk, dir, snapshots, metrics, clock, flagged } = parts;
        let raw = journal.log(Topic::Raw, PARTITION)?;
        let dead_letters = journal.log(Topic::DeadLetter, PARTITION)?;
        let age_max = journal.config().dead_letter_age;
        let replay_bytes_max = replay_bytes_max(&journal);
        let (ledger, ledger_thread) = Ledger::start(dead_letters.clone(), clock.clone(), age_max)?;
        let normalized = Arc::new(NormalizedTopic::new(journal.log(Topic::Normalized, PARTITION)?));
        let snapshots = Arc::new(Snapshots::open(disk.clone(), &snapshots, PARTITION)?);
        let devices = Arc::new(DeviceTable::default());
        let overload = Arc::new(Overload::default());
        let (trials, trial_requests) = trials();
        let ingest = Ingest::open(IngestParts {
            partition: PARTITION,
            raw: raw.clone(),
            dead_letters: dead_letters.clone(),
            trials: trial_requests,
            flagged,
            normalized: normalized.clone(),
            store: store.clone(),
            snapshots: snapshots.clone(),
            devices: devices.clone(),
            overload: overload.clone(),
            metrics,
            clock: clock.clone(),
            replay_bytes_max,
            // A directory that cannot be asked is not a full one: the next write tells.
            free_bytes: Box::new(move || disk.free_bytes(&dir).unwrap_or(u64::MAX)),
        })?;
        let restored = Restored { held: ingest.held().clone(), rules: KnownRules::of(ingest.plan()) };
        let keeper = Keeper {
            partition: PARTITION,
            raw: raw.clone(),
            dead_letters: dead_letters.clone(),
            normalized: normalized.log().clone(),
            store: store.clone(),
            snapshots,
        };
        let raw = Arc::new(RawLog::new(raw, devices));
        let (intake, intake_thread) = Intake::start(raw.clone(), overload.clone(), clock)?;
        let stop = Arc::new(AtomicBool::new(false));
        let ingest = start_ingest(ingest, stop.clone(), keeper)?;
        let threads = Threads { journal, store, stop, intake: intake_thread, ledger: ledger_thread, ingest };
        Ok((Self { raw, dead_letters, ledger, trials, normalized, intake, overload, threads }, restored))
    }

    /// Ends the line without losing what was acknowledged: no new input, the last batches become rows, the rows become
    /// blocks, the logs close.
    pub fn stop(self) {
        let Threads { journal, store, stop, intake, ledger, ingest } = self.threads;
        intake.stop();
        stop.store(true, Ordering::Release);
        match ingest.join() {
            Ok(keeper) => {
                if let Err(error) = store.close() {
                    tracing::error!(%error, "the last rows could not be sealed; the next start derives them again");
                }
                keeper.stop();
            }
            Err(_) => tracing::error!("the ingest thread panicked; the next start derives its rows again"),
        }
        ledger.stop();
        journal.close();
    }
}

#[cfg(test)]
impl Line {
    /// A line whose journal is in memory and whose store is in `dir`, for tests of what stands around it.
    pub fn in_memory(dir: &std::path::Path, clock: Clock) -> (Self, Restored, Store) {
        let disk: Arc<dyn Disk> = Arc::new(disk::RealDisk);
        let config = store::StoreConfig::new(dir.join("store"));
        let (store, _) = Store::open(config, disk.clone(), clock.clone()).expect("a new store opens");
        let parts = LineParts {
            journal: Journal::memory(journal::JournalConfig::new(dir), clock.clone()),
            store: store.clone(),
            disk,
            dir: dir.to_owned(),
            snapshots: dir.join("snapshots"),
            metrics: Arc::default(),
            clock,
            flagged: mpsc::channel(1).0,
        };
        let (line, restored) = Self::open(parts).expect("a new line opens");
        (line, restored, store)
    }
}

/// Bytes of `raw` at which everything is sealed.
fn replay_bytes_max(journal: &Journal) -> u64 {
    limits::REPLAY_BYTES_MAX.min(SEGMENTS_PER_BARRIER * journal.config().segment_bytes)
}

fn start_ingest(ingest: Ingest, stop: Arc<AtomicBool>, keeper: Keeper) -> io::Result<JoinHandle<KeeperHandle>> {
    let keeper = keeper.start()?;
    std::thread::Builder::new().name(format!("ingest-{}", PARTITION.0)).spawn(move || {
        ingest.run(&stop, &keeper);
        keeper
    })
}
