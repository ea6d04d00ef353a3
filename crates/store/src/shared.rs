//! What the store's parts share, and the one way in which the catalog changes.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};

use model::{Clock, DeviceId, Disk, Millis, Offset, Partition, Table, TableKind, TenantId};

use crate::block::{Block, Cache, Tail};
use crate::catalog::{self, Catalog, Entry, block_name};
use crate::config::StoreConfig;
use crate::error::Error;
use crate::head::{Chunk, DeviceMap, PagePool};
use crate::maintain::Maintenance;
use crate::query::Scope;
use crate::query::scan::Snapshot;
use crate::seal::Queue;
use crate::view::{TableState, Tables};
use crate::write::Workshop;

pub mod open;

/// What the store's parts share.
pub struct Shared {
    pub config: StoreConfig,
    pub disk: Arc<dyn Disk>,
    pub clock: Clock,
    pub pool: Arc<PagePool>,
    pub tables: Tables,
    pub queue: Queue,
    /// Held while chunks are sealed.
    pub sealing: Mutex<Workshop>,
    pub maintenance: Maintenance,
    pub cache: Arc<Cache>,
    partitions: Mutex<HashMap<Partition, Arc<PartitionState>>>,
    /// The sequence of the next chunk.
    sequence: AtomicU64,
    /// The id of the next block.
    block: AtomicU64,
    catalog: Mutex<State>,
    /// What the catalog covered when the store was opened: what came since, its writers know.
    opened: Catalog,
    erased: RwLock<DeviceMap<Millis>>,
    erased_count: AtomicUsize,
    /// Grows with every erasure.
    erasures: AtomicU64,
    damaged: Mutex<Vec<Damaged>>,
    failure: Mutex<Option<String>>,
}

/// The catalog and what hangs on its history.
struct State {
    catalog: Catalog,
    /// The generation of the catalog file before the newest one that was written.
    previous: u64,
    /// Blocks that some generation dropped: their files go once no kept catalog and no reader has them.
    dropped: Vec<(u64, Arc<Block>)>,
}

/// What is known of a partition.
#[derive(Default)]
pub struct PartitionState {
    pub replay_from: AtomicU64,
    pub visible_to: AtomicU64,
}

/// A block that is not served any more because its bytes are not what was written. Its file is left as it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damaged {
    pub path: PathBuf,
    pub table: Table,
    pub rows: u64,
    /// The times that its rows span, both inclusive.
    pub ts_min: Millis,
    pub ts_max: Millis,
    /// What was found, and at which byte.
    pub what: String,
}

impl Shared {
    pub fn blocks_dir(&self) -> PathBuf {
        self.config.dir.join(open::BLOCKS)
    }

    pub fn partition(&self, partition: Partition) -> Arc<PartitionState> {
        let mut partitions = self.partitions.lock().expect("no holder of this lock panics");
        partitions.entry(partition).or_default().clone()
    }

    pub fn new_chunk(&self, table: &Table, partition: Partition) -> Arc<Chunk> {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        Arc::new(Chunk::new(table.clone(), partition, sequence, self.config.chunk_rows, self.pool.clone()))
    }

    pub fn next_block(&self) -> u64 {
        self.block.fetch_add(1, Ordering::Relaxed)
    }

    /// The first address that blocks did not cover when the store was opened.
    pub fn covered_to(&self, partition: Partition, table: &Table) -> (Offset, u32) {
        self.opened.covered_to(partition, table)
    }

    pub fn is_erased(&self, device: DeviceId) -> bool {
        // Hardly ever is a device erased, and this is asked once per device and block.
        self.has_erased() && self.erased.read().expect("no holder of this lock panics").contains_key(&device)
    }

    /// Whether any device is erased whose rows may still be there.
    pub fn has_erased(&self) -> bool {
        self.erased_count.load(Ordering::Acquire) > 0
    }

    /// Whether a block holds rows of an erased device. It is asked by every query, so a block remembers that it is free.
    pub fn is_erased_from(&self, block: &Block, tail: &Tail) -> bool {
        if !self.has_erased() {
            return false;
        }
        let erased = self.erased.read().expect("no holder of this lock panics");
        let erasures = self.erasures.load(Ordering::Acquire);
        if block.free_of.load(Ordering::Relaxed) == erasures {
            return false;
        }
        let holds = |device: &DeviceId| block.may_hold_device(*device) && tail.directory.find(*device).is_some();
        let is_hit = erased.keys().any(holds);
        if !is_hit {
            block.free_of.store(erasures, Ordering::Relaxed);
        }
        is_hit
    }

    /// Whether a chunk holds rows of an erased device.
    pub fn is_erased_from_head(&self, chunk: &Chunk) -> bool {
        let holds = |device: &DeviceId| chunk.devices.slot(*device).is_some();
        self.has_erased() && self.erased.read().expect("no holder of this lock panics").keys().any(holds)
    }

    /// What the catalog says now.
    pub fn catalog(&self) -> Catalog {
        self.state().catalog.clone()
    }

    /// A block that the catalog names.
    pub fn block(&self, entry: &Entry) -> Arc<Block> {
        let path = self.blocks_dir().join(block_name(entry.id));
        Arc::new(Block::new(entry.clone(), path, self.disk.clone(), self.cache.clone()))
    }

    /// Notes where the retention clock stands; it is written down with the next change.
    pub fn set_aged_to(&self, aged_to: Millis) {
        self.state().catalog.aged_to = aged_to;
    }

    /// Makes the names of new blocks durable.
    pub fn sync_blocks(&self) -> Result<(), Error> {
        let dir = self.blocks_dir();
        self.disk.sync_dir(&dir).map_err(|source| Error::Disk { what: "cannot sync", path: dir, source })
    }

    /// Removes the files of blocks that no catalog names. What cannot be removed is an orphan for the next start.
    pub fn remove_files(&self, entries: &[Entry]) {
        for entry in entries {
            let path = self.blocks_dir().join(block_name(entry.id));
            if let Err(error) = self.disk.remove(&path) {
                tracing::debug!(path = %path.display(), %error, "a block that is not used stays until the next start");
            }
        }
    }

    /// Changes the catalog: adds and drops blocks, and whatever else `change` does. Once the new catalog is durable,
    /// readers see the new blocks instead of the dropped ones and of the chunks that were sealed. If it fails, nothing
    /// has changed, and the same change may be tried again.
    pub fn commit(
        &self,
        added: Vec<Entry>,
        dropped: &[u64],
        sealed: &[&Arc<Chunk>],
        change: impl FnOnce(&mut Catalog),
    ) -> Result<(), Error> {
        let mut state = self.state();
        let mut next = state.catalog.clone();
        next.blocks.retain(|entry| !dropped.contains(&entry.id));
        next.add(added.iter().cloned());
        change(&mut next);
        if next == state.catalog {
            return Ok(());
        }
        next.generation += 1;
        // A generation that could not be written is not used again: something of it may be on the disk.
        state.catalog.generation = next.generation;
        if let Err(error) = catalog::save(&*self.disk, &self.config.dir, &next) {
            // It may be durable all the same, and then a start reads it: what it adds stays until a later generation,
            // without it, is durable.
            let unsure = added.iter().map(|entry| (next.generation, self.block(entry)));
            state.dropped.extend(unsure);
            return Err(error);
        }
        let before = std::mem::replace(&mut state.catalog, next);
        self.show(&added, dropped, sealed, &before, &mut state);
        self.note_success(&state.catalog);
        self.clean(&mut state);
        Ok(())
    }

    /// Replaces what readers see, table by table.
    fn show(&self, added: &[Entry], dropped: &[u64], sealed: &[&Arc<Chunk>], before: &Catalog, state: &mut State) {
        let gone = before.blocks.iter().filter(|entry| dropped.contains(&entry.id));
        let tables = added.iter().map(|entry| &entry.table).chain(gone.map(|entry| &entry.table));
        let tables: HashSet<&Table> = tables.chain(sealed.iter().map(|chunk| &chunk.table)).collect();
        for table in tables {
            let mut removed = Vec::new();
            self.tables.get_or_new(table).change(|view| {
                let is_sealed = |chunk: &Arc<Chunk>| sealed.iter().any(|sealed| Arc::ptr_eq(sealed, chunk));
                view.chunks.retain(|chunk| !is_sealed(chunk));
                removed.extend(view.blocks.extract_if(.., |block| dropped.contains(&block.entry.id)));
                view.add(added.iter().filter(|entry| entry.table == *table).map(|entry| self.block(entry)));
            });
            state.dropped.extend(removed.into_iter().map(|block| (state.catalog.generation, block)));
        }
    }

    fn note_success(&self, catalog: &Catalog) {
        for (partition, at) in &catalog.replay_from {
            self.partition(*partition).replay_from.store(*at, Ordering::Release);
        }
        *self.failure.lock().expect("no holder of this lock panics") = None;
    }

    /// Removes the catalogs before the previous one, and the files of blocks that neither names and no one reads. What
    /// fails here is tried again with the next change.
    fn clean(&self, state: &mut State) {
        let State { catalog, previous, dropped } = state;
        let previous = std::mem::replace(previous, catalog.generation);
        if let Err(error) = catalog::remove_before(&*self.disk, &self.config.dir, previous) {
            tracing::warn!(%error, "an old catalog stays");
            return;
        }
        // What a change that failed was to add was added by a later one.
        dropped.retain(|(_, block)| !catalog.blocks.iter().any(|entry| entry.id == block.entry.id));
        dropped.retain(|(dropped_by, block)| {
            if *dropped_by > previous || Arc::strong_count(block) > 1 {
                return true;
            }
            self.cache.forget(block.entry.id);
            let removed = self.disk.remove(&block.path);
            removed.is_err_and(|error| error.kind() != std::io::ErrorKind::NotFound)
        });
    }

    /// Notes why sealing or merging does not get on, for whoever watches over the store.
    pub fn note_failure(&self, error: &Error) {
        tracing::error!(%error, "the store cannot write; it tries again");
        *self.failure.lock().expect("no holder of this lock panics") = Some(error.to_string());
    }

    pub fn failure(&self) -> Option<String> {
        self.failure.lock().expect("no holder of this lock panics").clone()
    }

    pub fn damaged(&self) -> Vec<Damaged> {
        self.damaged.lock().expect("no holder of this lock panics").clone()
    }

    /// Hides a device's rows, and remembers it until no block holds them.
    pub fn erase(&self, device: DeviceId) -> Result<(), Error> {
        let now = self.clock.now_ms();
        self.hide(device, now);
        self.commit(Vec::new(), &[], &[], |catalog| {
            catalog.erased.entry(device).or_insert(now);
        })
    }

    fn hide(&self, device: DeviceId, at: Millis) {
        let mut erased = self.erased.write().expect("no holder of this lock panics");
        erased.insert(device, at);
        self.erasures.fetch_add(1, Ordering::AcqRel);
        self.erased_count.store(erased.len(), Ordering::Release);
    }

    /// Devices that need not be hidden any longer.
    pub fn unhide(&self, devices: &[DeviceId]) {
        let mut erased = self.erased.write().expect("no holder of this lock panics");
        erased.retain(|device, _| !devices.contains(device));
        self.erased_count.store(erased.len(), Ordering::Release);
    }

    /// Answers a query; a block that turns out to be damaged is set aside, and the rest serves.
    pub fn serve<T>(&self, query: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
        loop {
            match query() {
                Err(error) if self.set_aside(&error) => {}
                answer => return answer,
            }
        }
    }

    /// If the error says that a block is damaged, takes the block out of service, and is true.
    pub fn set_aside(&self, error: &Error) -> bool {
        let Error::Corrupt { path, at, what } = error else { return false };
        let mut found = None;
        for table in self.tables.all() {
            if table.view().blocks.iter().any(|block| block.path == *path) {
                table.change(|view| {
                    found = view.blocks.extract_if(.., |block| block.path == *path).next().or(found.take());
                });
            }
        }
        let Some(block) = found else {
            // Another reader was faster, or it is no block.
            return self.damaged().iter().any(|damaged| damaged.path == *path);
        };
        self.note_damage(&block.entry, format!("byte {at}: {what}"));
        let mut state = self.state();
        if let Some(entry) = state.catalog.blocks.iter_mut().find(|entry| entry.id == block.entry.id) {
            // It is written down with the next change.
            entry.damaged = true;
        }
        true
    }

    fn note_damage(&self, entry: &Entry, what: String) {
        let path = self.blocks_dir().join(block_name(entry.id));
        tracing::error!(path = %path.display(), rows = entry.rows, %what, "a block is damaged and is not served any more");
        let (rows, ts_min, ts_max) = (entry.rows, entry.ts_min, entry.ts_max);
        let damaged = Damaged { path, table: entry.table.clone(), rows, ts_min, ts_max, what };
        self.damaged.lock().expect("no holder of this lock panics").push(damaged);
    }

    pub fn snapshot(&self, table: &TableState) -> Snapshot {
        Snapshot::new(table, self.clock.now_ms())
    }

    /// The tables that may hold what a scope names: a device's rows stand under each class that it was in.
    pub fn tables_of(&self, tenant: TenantId, scope: &Scope, kind: TableKind) -> Vec<Arc<TableState>> {
        match scope {
            Scope::Device(_) | Scope::Devices(_) => self.tables.of_tenant(tenant, kind),
            Scope::Class(class) | Scope::DevicesOfClass(class, _) => {
                let table = Table { tenant, class: class.as_str().into(), kind };
                self.tables.get(&table).into_iter().collect()
            }
        }
    }

    /// The devices that a scope names, ascending, without the erased ones; `None` is all.
    pub fn devices_of(&self, scope: &Scope) -> Option<Vec<DeviceId>> {
        let mut devices = match scope {
            Scope::Device(device) => vec![*device],
            Scope::Devices(devices) | Scope::DevicesOfClass(_, devices) => devices.clone(),
            Scope::Class(_) => return None,
        };
        devices.retain(|device| !self.is_erased(*device));
        devices.sort_unstable();
        devices.dedup();
        Some(devices)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.catalog.lock().expect("no holder of this lock panics")
    }
}
