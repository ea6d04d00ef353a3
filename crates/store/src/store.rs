//! The store as its users see it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::{Clock, DeviceId, Disk, Offset, Partition, Table, TableKind, TenantId};

use crate::config::{Retention, StoreConfig};
use crate::error::Error;
use crate::head::{Chunk, PagePool};
use crate::query::scan::Snapshot;
use crate::query::{self, *};
use crate::seal::Queue;
use crate::view::{TableState, Tables};
use crate::writer::Writer;

/// A handle on the store. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

/// What opening found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recovered {
    /// For each partition the offset from which `raw` has to be derived again.
    pub replay_from: Vec<(Partition, Offset)>,
    /// Files that belonged to nothing and were removed: blocks whose writing was cut short before the catalog named them.
    pub orphans_removed: usize,
}

/// How the store stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Figures {
    /// Memory of the head's pages in use.
    pub head_bytes: usize,
    /// Memory that they may use.
    pub head_bytes_max: usize,
    /// Frozen chunks that wait for the sealing thread.
    pub chunks_waiting: usize,
    /// Blocks, their rows and bytes.
    pub blocks: usize,
    pub block_rows: u64,
    pub block_bytes: u64,
}

/// What is known of a partition.
#[derive(Default)]
pub(crate) struct PartitionState {
    pub replay_from: AtomicU64,
    pub visible_to: AtomicU64,
}

/// What the store's parts share.
pub(crate) struct Shared {
    pub config: StoreConfig,
    pub disk: Arc<dyn Disk>,
    pub clock: Clock,
    pub pool: Arc<PagePool>,
    pub tables: Tables,
    pub queue: Queue,
    partitions: Mutex<HashMap<Partition, Arc<PartitionState>>>,
    sequence: AtomicU64,
}

impl Store {
    /// Opens or makes a store in `config.dir`.
    pub fn open(config: StoreConfig, disk: Arc<dyn Disk>, clock: Clock) -> Result<(Self, Recovered), Error> {
        let shared = Shared {
            pool: Arc::new(PagePool::new(config.head_bytes_max)),
            config,
            disk,
            clock,
            tables: Tables::default(),
            queue: Queue::default(),
            partitions: Mutex::default(),
            sequence: AtomicU64::new(0),
        };
        Ok((Self(Arc::new(shared)), Recovered::default()))
    }

    /// The writer of a partition. There is one per partition, for the life of the store.
    pub fn writer(&self, partition: Partition) -> Writer {
        Writer::new(self.0.clone(), partition)
    }

    /// The offset from which a restart would derive again: all rows below it are in synced blocks.
    pub fn sealed_to(&self, partition: Partition) -> Offset {
        self.0.partition(partition).replay_from.load(Ordering::Acquire)
    }

    /// The offset behind what queries see.
    pub fn visible_to(&self, partition: Partition) -> Offset {
        self.0.partition(partition).visible_to.load(Ordering::Acquire)
    }

    /// Waits until the head has room, at most `timeout`; says whether it has.
    pub fn wait_room(&self, timeout: Duration) -> bool {
        self.0.pool.wait(timeout)
    }

    /// How the store stands.
    pub fn figures(&self) -> Figures {
        Figures { head_bytes: self.0.pool.bytes(), head_bytes_max: self.0.pool.bytes_max(), ..Figures::default() }
    }

    /// Says how long a table's rows are kept. Older ones are hidden at once and dropped with their block.
    pub fn set_retention(&self, table: &Table, retention: Retention) {
        self.0.tables.get_or_new(table).set_retention(retention);
    }

    /// Erases a device: queries hide its rows at once, blocks lose them as they are rewritten. Its id is never reused.
    pub fn erase_device(&self, _device: DeviceId) -> Result<(), Error> {
        Ok(())
    }

    /// Raw values of one metric, a page at a time.
    pub fn points(&self, query: &PointQuery) -> Result<Points, Error> {
        query::points::run(&self.0, query)
    }

    /// Aggregates over time.
    pub fn buckets(&self, query: &BucketQuery) -> Result<Buckets, Error> {
        query::buckets::run(&self.0, query)
    }

    /// The latest value of each metric of a device.
    pub fn latest(&self, tenant: TenantId, device: DeviceId, budget: Budget) -> Result<Latest, Error> {
        query::latest::of_device(&self.0, tenant, device, budget)
    }

    /// The latest values of a class's devices, ascending by id, after `after`, at most `limit` devices.
    pub fn latest_of_class(
        &self,
        tenant: TenantId,
        class: &str,
        after: Option<DeviceId>,
        limit: usize,
        budget: Budget,
    ) -> Result<LatestOfClass, Error> {
        query::latest::of_class(&self.0, tenant, class, after, limit, budget)
    }

    /// Events, a page at a time.
    pub fn events(&self, query: &EventQuery) -> Result<Events, Error> {
        query::events::run(&self.0, query)
    }

    /// Seals what is frozen and ends the store's threads.
    pub fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

impl Shared {
    pub fn partition(&self, partition: Partition) -> Arc<PartitionState> {
        let mut partitions = self.partitions.lock().expect("no holder of this lock panics");
        partitions.entry(partition).or_default().clone()
    }

    pub fn new_chunk(&self, table: &Table, partition: Partition) -> Arc<Chunk> {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        Arc::new(Chunk::new(table.clone(), partition, sequence, self.config.chunk_rows, self.pool.clone()))
    }

    /// The first address that blocks do not cover.
    pub fn covered_to(&self, _partition: Partition, _table: &Table) -> (Offset, u32) {
        (0, 0)
    }

    pub fn is_erased(&self, _device: DeviceId) -> bool {
        false
    }

    pub fn snapshot(&self, table: &TableState) -> Snapshot {
        Snapshot::new(table, self.clock.now_ms())
    }

    /// The tables that may hold what a scope names: a device's rows stand under each class that it was in.
    pub fn tables_of(&self, tenant: TenantId, scope: &Scope, kind: TableKind) -> Vec<Arc<TableState>> {
        match scope {
            Scope::Device(_) | Scope::Devices(_) => self.tables.of_tenant(tenant, kind),
            Scope::Class(class) => {
                let table = Table { tenant, class: class.as_str().into(), kind };
                self.tables.get(&table).into_iter().collect()
            }
        }
    }

    /// The devices that a scope names, ascending, without the erased ones; `None` is all.
    pub fn devices_of(&self, scope: &Scope) -> Option<Vec<DeviceId>> {
        let mut devices = match scope {
            Scope::Device(device) => vec![*device],
            Scope::Devices(devices) => devices.clone(),
            Scope::Class(_) => return None,
        };
        devices.retain(|device| !self.is_erased(*device));
        devices.sort_unstable();
        devices.dedup();
        Some(devices)
    }
}
