//! The shipped line as the simulation's subject, with everything so small that it rolls, seals, merges and trims all the
//! time.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use journal::{Background, Error, Journal, JournalConfig};
use model::{BatchPool, Clock, Disk, Format, GroupFlags, GroupKey, Offset, Table, TableKind};
use sim::power_cut::client::Sent;
use sim::power_cut::fleet::{self, CLASSES, DIR, RETENTION};
use sim::power_cut::{Kept, Subject};
use store::{Retention, Store, StoreConfig};
use tokio::sync::mpsc;

use super::read;
use crate::line::LineParts;
use crate::line::stepped::{COMMITTERS, SteppedLine, Worker};

const SEGMENT_BYTES: u64 = 16 << 10;
const TAIL_BYTES: usize = 4 << 10;
/// `raw` and dead letters that trimming leaves.
const RETENTION_BYTES: u64 = SEGMENT_BYTES;
const DEAD_LETTER_BYTES: u64 = 4 * SEGMENT_BYTES;
const CHUNK_ROWS: usize = 24;
const HEAD_BYTES: usize = 64 << 20;
const BLOCK_CACHE_BYTES: usize = 64 << 10;

/// See the module.
pub struct SimulatedLine {
    line: SteppedLine,
    pool: BatchPool,
}

impl Subject for SimulatedLine {
    const WORKERS: &'static [(&'static str, u64)] = &[
        ("commit 0", 8),
        ("commit 1", 4),
        ("commit 2", 2),
        ("prepare", 3),
        ("ingest", 8),
        ("barrier", 2),
        ("keep", 3),
        ("seal", 3),
        ("maintain", 2),
    ];

    fn open(disk: Arc<dyn Disk>, clock: &Clock) -> Result<Self> {
        let dir = Path::new(DIR);
        let journal_config = JournalConfig {
            segment_bytes: SEGMENT_BYTES,
            tail_bytes_max: TAIL_BYTES,
            commits_in_flight_max: COMMITTERS,
            retention_bytes: RETENTION_BYTES,
            dead_letter_bytes: DEAD_LETTER_BYTES,
            background: Background::Manual,
            ..JournalConfig::new(dir.join("journal"))
        };
        let (journal, recovery) = Journal::open(journal_config, disk.clone(), clock.clone())?;
        for log in recovery.logs {
            if !log.corrupt.is_empty() || !log.damage.is_empty() {
                return Err(anyhow!("{} is damaged: {:?} {:?}", log.topic, log.corrupt, log.damage));
            }
        }
        let store_config = StoreConfig {
            chunk_rows: CHUNK_ROWS,
            head_bytes_max: HEAD_BYTES,
            block_cache_bytes: BLOCK_CACHE_BYTES,
            background: store::Background::Manual,
            ..StoreConfig::new(dir.join("store"))
        };
        let (store, recovered) = Store::open(store_config, disk.clone(), clock.clone())?;
        if !recovered.damaged.is_empty() || !recovered.catalogs_unreadable.is_empty() {
            return Err(anyhow!("the store is damaged: {:?} {:?}", recovered.damaged, recovered.catalogs_unreadable));
        }
        set_retention(&store);
        let parts = LineParts {
            journal,
            store,
            disk,
            dir: dir.to_owned(),
            snapshots: dir.join("snapshots"),
            metrics: Arc::default(),
            clock: clock.clone(),
            flagged: mpsc::channel(1).0,
        };
        Ok(Self { line: SteppedLine::open(parts)?, pool: BatchPool::default() })
    }

    fn append(&self, sent: &Sent) -> Result<Option<Range<Offset>>> {
        let mut batch = self.pool.builder();
        sent.controls.iter().for_each(|control| batch.control(control));
        for payload in &sent.payloads {
            let source = fleet::source(payload.device);
            let device = self.line.raw().devices().index_of(&source, &Arc::default())?;
            let key = GroupKey { device, kind: payload.kind, format: Format::Json, flags: GroupFlags::default() };
            batch.push(key, &payload.bytes);
        }
        match self.line.append(batch.seal(sent.received)) {
            Ok(offsets) => Ok(Some(offsets)),
            Err(refused) if matches!(refused.error, Error::Busy) => Ok(None),
            Err(refused) => Err(refused.error.into()),
        }
    }

    fn durable(&self) -> Offset {
        self.line.raw().log().durable()
    }

    fn end(&self) -> Offset {
        self.line.raw().log().end()
    }

    fn turn(&self, worker: usize) -> Result<()> {
        self.line.turn(Worker::ALL[worker])?;
        self.line.raw().log().poisoned().map_or(Ok(()), |error| Err(error.into()))
    }

    fn read(&self) -> Result<Kept> {
        read::read(&self.line).context("reading")
    }

    fn stop(&self) -> Result<()> {
        Ok(self.line.stop()?)
    }

    #[cfg(feature = "sabotage")]
    fn forget_seen(&self) {
        self.line.forget_seen();
    }
}

fn set_retention(store: &Store) {
    for (class, age) in CLASSES.iter().zip(RETENTION) {
        let cold = age.map(|age| Duration::from_millis(age.unsigned_abs()));
        for (tenant, kind) in fleet::tenants()
            .into_iter()
            .flat_map(|tenant| [TableKind::Readings, TableKind::Events].map(|kind| (tenant, kind)))
        {
            let table = Table { tenant, class: (*class).into(), kind };
            store.set_retention(&table, Retention { cold, ..Retention::default() });
        }
    }
}
