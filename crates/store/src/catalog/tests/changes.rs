//! Any sequence of changes, with power cuts in the middle of them: what is loaded is the last catalog that was saved, or the
//! one that was being saved; chosen merges and drops keep every row in its order and touch nothing that they should not.

use std::path::Path;
use std::sync::Arc;

use disk::{CountDown, FaultDisk};
use model::Disk;
use proptest::prelude::*;

use super::*;

const DIR: &str = "/store";
const CLASSES: [&str; 2] = ["fans", "pumps"];

#[derive(Clone, Debug)]
enum Step {
    /// Chunks of these classes, with so many rows each, some late; then the place of replay moves by so much.
    Seal {
        chunks: Vec<(usize, u64, bool)>,
        barrier: Option<u64>,
    },
    Merge,
    /// Everything older than so many of the newest hours goes.
    Drop(i64),
    Erase(u8),
    /// The power goes at an operation of the next change, and is chosen by a seed.
    Cut {
        operation: u64,
        seed: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let chunk = (0..CLASSES.len(), prop_oneof![1..20_u64, 1000..100_000_u64], any::<bool>());
    prop_oneof![
        6 => (prop::collection::vec(chunk, 0..4), prop::option::of(0..30_u64))
            .prop_map(|(chunks, barrier)| Step::Seal { chunks, barrier }),
        4 => Just(Step::Merge),
        1 => (0..40_i64).prop_map(Step::Drop),
        1 => any::<u8>().prop_map(Step::Erase),
        3 => (0..12_u64, any::<u64>()).prop_map(|(operation, seed)| Step::Cut { operation, seed }),
    ]
}

/// The catalog as it is now, and the disk that it is saved on.
struct World {
    disk: FaultDisk,
    count_down: Arc<CountDown>,
    catalog: Catalog,
    /// The generation before.
    previous: u64,
    block_next: u64,
    sequence_next: u64,
    seed: u64,
}

fn watched(disk: FaultDisk) -> (FaultDisk, Arc<CountDown>) {
    let count_down = Arc::new(CountDown::default());
    disk.watch(count_down.clone());
    (disk, count_down)
}

impl World {
    fn new(disk: FaultDisk) -> Self {
        let (disk, count_down) = watched(disk);
        disk.create_dir(Path::new(DIR)).expect("an empty disk takes a directory");
        disk.sync_dir(Path::new("/")).expect("it syncs");
        let catalog = Catalog::default();
        Self { disk, count_down, catalog, previous: 0, block_next: 0, sequence_next: 0, seed: 0 }
    }

    fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let mut next = self.catalog.clone();
        match step {
            Step::Seal { chunks, barrier } => self.seal(&mut next, chunks, *barrier),
            Step::Merge => merge(&mut next, &mut self.block_next)?,
            Step::Drop(hours) => {
                let newest = next.blocks.iter().map(|entry| entry.newest).max().unwrap_or(0);
                let kept_from = newest - hours * 3_600_000;
                let ids = choose::drop_old(&next, |_| kept_from);
                prop_assert!(next.blocks.iter().all(|entry| ids.contains(&entry.id) == (entry.newest < kept_from)));
                next.blocks.retain(|entry| !ids.contains(&entry.id));
            }
            Step::Erase(device) => {
                next.erased.insert(DeviceId::from_bytes([*device; 16]), 7);
            }
            Step::Cut { operation, seed } => {
                self.count_down.cut_at(*operation);
                self.seed = *seed;
                return Ok(());
            }
        }
        self.save(next)
    }

    fn seal(&mut self, next: &mut Catalog, chunks: &[(usize, u64, bool)], barrier: Option<u64>) {
        let replay_from = next.replay_from.get(&Partition(0)).copied().unwrap_or(0);
        for (class, rows, late) in chunks {
            let (id, sequence) = (self.block_next, self.sequence_next);
            (self.block_next, self.sequence_next) = (id + 1, sequence + 1);
            let table = table(CLASSES[*class], TableKind::Readings);
            let hours = sequence as i64 * 3_600_000;
            next.coverage.insert((Partition(0), table.clone()), (replay_from + rows % 40, 1));
            next.add([Entry {
                id,
                table,
                partition: Partition(0),
                sequences: (sequence, sequence),
                late: *late,
                rows: *rows,
                devices: 1,
                ts_min: hours,
                ts_max: hours + 1,
                newest: hours + 1,
                ..super::catalog().blocks[1].clone()
            }]);
        }
        if let Some(by) = barrier {
            next.set_replay_from(Partition(0), replay_from + by);
        }
    }

    /// As the store does it: a generation is used once, and of those before it one is kept.
    fn save(&mut self, mut next: Catalog) -> Result<(), TestCaseError> {
        next.generation = self.catalog.generation + 1;
        let (disk, dir) = (self.disk.clone(), Path::new(DIR));
        let saved = save(&disk, dir, &next).is_ok();
        if saved {
            let before = std::mem::replace(&mut self.previous, next.generation);
            // What cannot be removed is removed with the next change.
            drop(remove_before(&disk, dir, before));
        }
        if disk.list(dir).is_err() {
            return self.load(next, saved);
        }
        prop_assert!(saved, "nothing was wrong");
        self.catalog = next;
        Ok(())
    }

    /// The power went in the middle of a change.
    fn load(&mut self, next: Catalog, saved: bool) -> Result<(), TestCaseError> {
        (self.disk, self.count_down) = watched(self.disk.crash(self.seed));
        let loaded = load(&self.disk, Path::new(DIR));
        prop_assert!(loaded.is_ok(), "a power cut leaves nothing unreadable");
        let loaded = loaded.unwrap_or_default();
        prop_assert!(loaded.unreadable.is_empty());
        prop_assert!(
            loaded.catalog == next || (!saved && loaded.catalog == self.catalog),
            "neither the one nor the other"
        );
        self.catalog = loaded.catalog;
        self.previous = loaded.generation;
        Ok(())
    }
}

/// Merges once, as [`choose::merge`] says, and checks that it may be so.
fn merge(next: &mut Catalog, block_next: &mut u64) -> Result<(), TestCaseError> {
    let rows = |catalog: &Catalog| catalog.blocks.iter().map(|entry| entry.rows).sum::<u64>();
    let Some(ids) = choose::merge(next, |_| false, |_| None) else { return Ok(()) };
    let before = rows(next);
    let (merged, kept): (Vec<Entry>, Vec<Entry>) = next.blocks.drain(..).partition(|entry| ids.contains(&entry.id));
    prop_assert_eq!(merged.len(), ids.len(), "each block is there, once");
    let kind = |entry: &Entry| (entry.table.clone(), entry.late, entry.narrow);
    prop_assert!(merged.windows(2).all(|pair| kind(&pair[0]) == kind(&pair[1])), "blocks of one kind only");
    let sequences = (merged[0].sequences.0, merged[merged.len() - 1].sequences.1);
    let is_between = |entry: &Entry| (sequences.0..=sequences.1).contains(&entry.sequences.0);
    prop_assert!(
        !kept.iter().any(|entry| kind(entry) == kind(&merged[0]) && is_between(entry)),
        "nothing of its kind stands between what is merged"
    );
    let ends = |of: fn(&Entry) -> i64| merged.iter().map(of).collect::<Vec<_>>();
    let one = Entry {
        id: *block_next,
        sequences,
        rows: merged.iter().map(|entry| entry.rows).sum(),
        ts_min: ends(|entry| entry.ts_min).into_iter().min().unwrap_or(0),
        ts_max: ends(|entry| entry.ts_max).into_iter().max().unwrap_or(0),
        newest: ends(|entry| entry.newest).into_iter().max().unwrap_or(0),
        ..merged[0].clone()
    };
    *block_next += 1;
    next.blocks = kept;
    next.add([one]);
    prop_assert_eq!(rows(next), before);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_catalog_is_the_last_that_was_saved(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new(FaultDisk::new());
        for step in &steps {
            world.take(step)?;
        }
        // Merging comes to an end.
        let mut merged = world.catalog.clone();
        for _ in 0..200 {
            merge(&mut merged, &mut world.block_next)?;
        }
        prop_assert_eq!(choose::merge(&merged, |_| false, |_| None), None);
    }
}

/// The negative control: on a disk that does not sync, the comparison fails.
#[test]
fn the_comparison_sees_a_disk_that_does_not_sync() {
    let steps = (0..40).flat_map(|seed| {
        let seal = || Step::Seal { chunks: vec![(0, 5, false)], barrier: Some(1) };
        [seal(), seal(), Step::Cut { operation: 1, seed }, seal()]
    });
    let mut world = World::new(FaultDisk::lying());
    assert!(steps.map(|step| world.take(&step)).any(|taken| taken.is_err()));
}
