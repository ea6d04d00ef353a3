//! Opening: the newest catalog, the blocks that it names, and what a crash left.
//!
//! ```text
//! DIR/catalog-N        the catalog, newest and previous (see `catalog`)
//! DIR/blocks/ID.parquet
//! DIR/aside/           files that an unreadable newest catalog may have named
//! ```

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use model::{Clock, Disk, Offset, Partition};

use super::{Damaged, PartitionState, Shared, State};
use crate::block::{Block, Cache};
use crate::catalog::{Loaded, block_name, choose, load};
use crate::config::StoreConfig;
use crate::error::Error;
use crate::head::{DeviceMap, PagePool};
use crate::maintain::Maintenance;
use crate::seal::Queue;
use crate::view::Tables;

/// The directory of blocks.
pub const BLOCKS: &str = "blocks";
const ASIDE: &str = "aside";

/// What opening found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recovered {
    /// For each partition the offset from which `raw` has to be derived again.
    pub replay_from: Vec<(Partition, Offset)>,
    /// Files that no catalog names, removed: a crash came between writing a block and naming it.
    pub orphans_removed: Vec<String>,
    /// Files that a newer catalog, which cannot be read, may have named: moved to `aside`, not removed.
    pub set_aside: Vec<String>,
    /// Catalogs that cannot be read. An older one was taken.
    pub catalogs_unreadable: Vec<String>,
    /// Blocks that are not served because their files are missing or are not what was written.
    pub damaged: Vec<Damaged>,
}

/// Opens or makes a store.
pub fn open(config: StoreConfig, disk: Arc<dyn Disk>, clock: Clock) -> Result<(Shared, Recovered), Error> {
    make_dir(&*disk, &config.dir.join(BLOCKS))?;
    let mut loaded = load(&*disk, &config.dir)?;
    let mut recovered = Recovered {
        replay_from: loaded.catalog.replay_from.iter().map(|(partition, at)| (*partition, *at)).collect(),
        catalogs_unreadable: loaded.unreadable.iter().map(ToString::to_string).collect(),
        ..Recovered::default()
    };
    let files = tidy(&*disk, &config.dir, &loaded, &mut recovered)?;
    loaded.catalog.aged_to = choose::age_to_at_start(loaded.catalog.aged_to, clock.now_ms());
    let shared = build(config, disk, clock, &loaded, &files);
    let present: HashMap<&str, u64> = files.iter().map(|(name, len)| (name.as_str(), *len)).collect();
    for entry in &loaded.catalog.blocks {
        let what = match present.get(block_name(entry.id).as_str()) {
            _ if entry.damaged => Some("it was found to be damaged before".to_owned()),
            None => Some("the file is missing".to_owned()),
            Some(len) if *len != entry.bytes => Some(format!("the file has {len} bytes, not {}", entry.bytes)),
            Some(_) => None,
        };
        match what {
            Some(what) => shared.note_damage(entry, what),
            None => shared.tables.get_or_new(&entry.table).change(|view| view.add([shared.block(entry)])),
        }
    }
    for (device, at) in &loaded.catalog.erased {
        shared.hide(*device, *at);
    }
    recovered.damaged = shared.damaged();
    Ok((shared, recovered))
}

/// Makes a directory so that a crash does not lose it: the name of each directory that is new, the parents included, is
/// made durable in the one above it.
fn make_dir(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    let is_missing = |dir: &&Path| !dir.as_os_str().is_empty() && disk.list(dir).is_err();
    let missing: Vec<&Path> = dir.ancestors().take_while(is_missing).collect();
    let make = || {
        disk.create_dir(dir)?;
        missing.iter().filter_map(|dir| dir.parent()).try_for_each(|parent| {
            let here = Path::new(".");
            disk.sync_dir(if parent.as_os_str().is_empty() { here } else { parent })
        })
    };
    make().map_err(|source| Error::Disk { what: "cannot make", path: dir.to_owned(), source })
}

/// Removes or sets aside what no catalog names, and returns the files that are left, with their lengths.
fn tidy(disk: &dyn Disk, dir: &Path, loaded: &Loaded, recovered: &mut Recovered) -> Result<Vec<(String, u64)>, Error> {
    let blocks = dir.join(BLOCKS);
    let failed = |what: &'static str| {
        let path = blocks.clone();
        move |source| Error::Disk { what, path, source }
    };
    let previous = loaded.previous.iter().flat_map(|catalog| &catalog.blocks);
    let named: HashSet<String> =
        loaded.catalog.blocks.iter().chain(previous).map(|entry| block_name(entry.id)).collect();
    let mut files = Vec::new();
    for entry in disk.list(&blocks).map_err(failed("cannot list"))? {
        if named.contains(&entry.name) {
            files.push((entry.name, entry.len));
        } else if loaded.unreadable.is_empty() {
            disk.remove(&blocks.join(&entry.name)).map_err(failed("cannot remove an orphan of"))?;
            recovered.orphans_removed.push(entry.name);
        } else {
            let aside = dir.join(ASIDE);
            make_dir(disk, &aside)?;
            disk.rename(&blocks.join(&entry.name), &aside.join(&entry.name))
                .map_err(failed("cannot set aside a file of"))?;
            recovered.set_aside.push(entry.name);
        }
    }
    if !recovered.set_aside.is_empty() {
        // The new names first: a file that has lost its old one must have another.
        disk.sync_dir(&dir.join(ASIDE)).map_err(failed("cannot set aside a file of"))?;
    }
    if !recovered.orphans_removed.is_empty() || !recovered.set_aside.is_empty() {
        disk.sync_dir(&blocks).map_err(failed("cannot sync"))?;
    }
    Ok(files)
}

fn build(config: StoreConfig, disk: Arc<dyn Disk>, clock: Clock, loaded: &Loaded, files: &[(String, u64)]) -> Shared {
    let catalog = loaded.catalog.clone();
    let id = |name: &str| u64::from_str_radix(name.split('.').next()?, 16).ok();
    let next_block = files.iter().filter_map(|(name, _)| id(name)).max().map_or(0, |id| id + 1);
    let next_block = catalog.blocks.iter().map(|entry| entry.id + 1).fold(next_block, u64::max);
    let next_sequence = catalog.blocks.iter().map(|entry| entry.sequences.1 + 1).max().unwrap_or(0);
    let cache = Arc::new(Cache::new(config.block_cache_bytes));
    let previous = loaded.generation;
    let partitions = catalog.replay_from.iter().map(|(partition, at)| {
        let state = PartitionState::default();
        state.replay_from.store(*at, Ordering::Release);
        (*partition, Arc::new(state))
    });
    let dropped = dropped_blocks(loaded, &config.dir, &disk, &cache);
    Shared {
        pool: Arc::new(PagePool::new(config.head_bytes_max)),
        tables: Tables::default(),
        queue: Queue::default(),
        sealing: Mutex::default(),
        maintenance: Maintenance::new(&clock),
        partitions: Mutex::new(partitions.collect()),
        sequence: AtomicU64::new(next_sequence),
        block: AtomicU64::new(next_block),
        opened: catalog.clone(),
        catalog: Mutex::new(State { catalog, previous, dropped }),
        erased: RwLock::new(DeviceMap::default()),
        erased_count: AtomicUsize::new(0),
        erasures: AtomicU64::new(0),
        damaged: Mutex::default(),
        failure: Mutex::default(),
        cache,
        config,
        disk,
        clock,
    }
}

/// Blocks that the previous catalog names and the newest does not: they go when the previous one goes.
fn dropped_blocks(loaded: &Loaded, dir: &Path, disk: &Arc<dyn Disk>, cache: &Arc<Cache>) -> Vec<(u64, Arc<Block>)> {
    let kept: HashSet<u64> = loaded.catalog.blocks.iter().map(|entry| entry.id).collect();
    let previous = loaded.previous.iter().flat_map(|catalog| &catalog.blocks);
    let dropped = previous.filter(|entry| !kept.contains(&entry.id)).map(|entry| {
        let path = dir.join(BLOCKS).join(block_name(entry.id));
        (loaded.catalog.generation, Arc::new(Block::new(entry.clone(), path, disk.clone(), cache.clone())))
    });
    dropped.collect()
}
