//! The store as its users see it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use model::{Clock, DeviceId, Disk, Offset, Partition, Table, TenantId};

use crate::config::{Background, Retention, StoreConfig};
use crate::error::Error;
use crate::query::{
    self, BucketQuery, Buckets, Budget, EventQuery, Events, Latest, LatestOfMany, PointQuery, Points, Scope,
};
use crate::shared::{Damaged, open};
pub(crate) use crate::shared::{PartitionState, Shared};
use crate::writer::Writer;
use crate::{maintain, seal};

pub use crate::shared::open::Recovered;

/// A handle on the store. Cheap to clone. When the last one goes without [`Store::close`], the threads end and what is
/// not sealed yet is derived again after the next start.
#[derive(Clone)]
pub struct Store(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// How the store stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Figures {
    /// Memory of the head's pages in use.
    pub head_bytes: usize,
    /// Memory that they may use.
    pub head_bytes_max: usize,
    /// Frozen chunks that wait for the sealing thread.
    pub chunks_waiting: usize,
    /// Blocks that are served, their rows and their bytes.
    pub blocks: usize,
    pub block_rows: u64,
    pub block_bytes: u64,
    /// Rows that merges have written since the start: each row that comes in is written again so often.
    pub rows_merged: u64,
    /// Blocks that are not served because they are damaged.
    pub blocks_damaged: usize,
    /// Why sealing or merging does not get on, as long as it does not.
    pub failure: Option<String>,
}

impl Store {
    /// Opens or makes a store in `config.dir`.
    pub fn open(config: StoreConfig, disk: Arc<dyn Disk>, clock: Clock) -> Result<(Self, Recovered), Error> {
        let background = config.background;
        let (shared, recovered) = open::open(config, disk, clock)?;
        let shared = Arc::new(shared);
        let mut threads = Vec::new();
        if background == Background::Threads {
            threads.push(spawn("store-seal", &shared, seal::run)?);
            threads.push(spawn("store-maintain", &shared, maintain::run)?);
        }
        Ok((Self(Arc::new(Handle { shared, threads: Mutex::new(threads) })), recovered))
    }

    /// The writer of a partition. There is one per partition, for the life of the store.
    pub fn writer(&self, partition: Partition) -> Writer {
        Writer::new(self.0.shared.clone(), partition)
    }

    /// The offset from which a restart would derive again: all rows below it are in synced blocks.
    pub fn sealed_to(&self, partition: Partition) -> Offset {
        self.0.shared.partition(partition).replay_from.load(Ordering::Acquire)
    }

    /// The offset behind what queries see.
    pub fn visible_to(&self, partition: Partition) -> Offset {
        self.0.shared.partition(partition).visible_to.load(Ordering::Acquire)
    }

    /// Waits until the head has room, at most `timeout`; says whether it has.
    pub fn wait_room(&self, timeout: Duration) -> bool {
        self.0.shared.pool.wait(timeout)
    }

    /// How the store stands.
    pub fn figures(&self) -> Figures {
        let shared = &self.0.shared;
        let mut figures = Figures {
            head_bytes: shared.pool.bytes(),
            head_bytes_max: shared.pool.bytes_max(),
            chunks_waiting: shared.queue.chunks(),
            rows_merged: shared.maintenance.rows_merged(),
            blocks_damaged: shared.damaged().len(),
            failure: shared.failure(),
            ..Figures::default()
        };
        for table in shared.tables.all() {
            for block in &table.view().blocks {
                figures.blocks += 1;
                figures.block_rows += block.entry.rows;
                figures.block_bytes += block.entry.bytes;
            }
        }
        figures
    }

    /// The blocks that are not served because they are damaged.
    pub fn damaged(&self) -> Vec<Damaged> {
        self.0.shared.damaged()
    }

    /// The tables that have or had rows.
    pub fn tables(&self) -> Vec<Table> {
        self.0.shared.tables.all().iter().map(|table| table.table.clone()).collect()
    }

    /// Says how long a table's rows are kept. Older ones are hidden at once and dropped with their block.
    pub fn set_retention(&self, table: &Table, retention: Retention) {
        self.0.shared.tables.get_or_new(table).set_retention(retention);
        self.0.shared.maintenance.wake();
    }

    /// Erases a device: queries hide its rows at once, and blocks lose them as maintenance rewrites them. Its id is
    /// never used again.
    pub fn erase_device(&self, device: DeviceId) -> Result<(), Error> {
        let result = self.0.shared.erase(device);
        self.0.shared.maintenance.wake();
        result
    }

    /// Raw values of one metric, a page at a time.
    pub fn points(&self, query: &PointQuery) -> Result<Points, Error> {
        self.0.shared.serve(|| query::points::run(&self.0.shared, query))
    }

    /// Aggregates over time.
    pub fn buckets(&self, query: &BucketQuery) -> Result<Buckets, Error> {
        self.0.shared.serve(|| query::buckets::run(&self.0.shared, query))
    }

    /// The latest value of each metric of a device.
    pub fn latest(&self, tenant: TenantId, device: DeviceId, budget: Budget) -> Result<Latest, Error> {
        self.0.shared.serve(|| query::latest::of_device(&self.0.shared, tenant, device, budget))
    }

    /// The latest values of a scope's devices, ascending by id, after `after`, at most `limit` devices.
    pub fn latest_of_many(
        &self,
        tenant: TenantId,
        scope: &Scope,
        after: Option<DeviceId>,
        limit: usize,
        budget: Budget,
    ) -> Result<LatestOfMany, Error> {
        self.0.shared.serve(|| query::latest::of_many(&self.0.shared, tenant, scope, after, limit, budget))
    }

    /// Events, a page at a time.
    pub fn events(&self, query: &EventQuery) -> Result<Events, Error> {
        self.0.shared.serve(|| query::events::run(&self.0.shared, query))
    }

    /// Seals what is frozen, on the caller's thread ([`Background::Manual`]).
    pub fn seal_waiting(&self) -> Result<(), Error> {
        seal::run_waiting(&self.0.shared)
    }

    /// Drops, rewrites and merges what is due, on the caller's thread ([`Background::Manual`]).
    pub fn maintain(&self) -> Result<(), Error> {
        maintain::run_due(&self.0.shared)
    }

    /// Seals what is frozen and ends the threads. If the disk fails meanwhile, what is not sealed is derived again
    /// after the next start, and the failure is returned.
    pub fn close(&self) -> Result<(), Error> {
        self.0.end(false);
        seal::run_waiting(&self.0.shared)
    }
}

fn spawn(name: &str, shared: &Arc<Shared>, run: fn(&Shared)) -> Result<JoinHandle<()>, Error> {
    let path = shared.config.dir.clone();
    let shared = shared.clone();
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&shared));
    spawned.map_err(|source| Error::Disk { what: "cannot start a thread for", path, source })
}

impl Handle {
    fn end(&self, abandon: bool) {
        self.shared.queue.close(abandon);
        self.shared.maintenance.close();
        for thread in self.threads.lock().expect("no holder of this lock panics").drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store panicked: what it was to seal is derived again after a restart");
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end(true);
    }
}
