//! Any sequence of appends, commits, trims and power cuts at any operation of the disk gives a log that has everything that
//! was durable, in its place, and nothing else.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use disk::{CountDown, FaultDisk};
use journal::{Append, Background, Journal, JournalConfig, Log};
use model::{Batch, Offset};
use proptest::prelude::*;

use crate::support::{DIR, body, config, open_with, read_past_gaps};

#[derive(Clone, Debug)]
enum Step {
    Append {
        count: u32,
        len: usize,
    },
    /// Whether to commit and to make a segment ready: as the threads would, now or later.
    Work {
        commit: bool,
        prepare: bool,
    },
    Trim,
    /// The power goes so many operations from now; what is kept is chosen by a seed.
    Cut {
        operations: u64,
        seed: u64,
    },
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (1..4_u32, 0..4000_usize).prop_map(|(count, len)| Step::Append { count, len }),
        8 => (any::<bool>(), any::<bool>()).prop_map(|(commit, prepare)| Step::Work { commit, prepare }),
        2 => Just(Step::Trim),
        2 => (1..40_u64, any::<u64>()).prop_map(|(operations, seed)| Step::Cut { operations, seed }),
        1 => Just(Step::Kill),
    ]
}

struct World {
    disk: FaultDisk,
    count_down: Arc<CountDown>,
    seed: u64,
    opened: Option<(Journal, Log)>,
    accepted: BTreeMap<Offset, (u32, Vec<u8>)>,
    durable: Offset,
}

fn manual() -> JournalConfig {
    JournalConfig { background: Background::Manual, ..config(Path::new(DIR)) }
}

impl World {
    fn new(disk: FaultDisk) -> Self {
        let count_down = Arc::new(CountDown::default());
        disk.watch(count_down.clone());
        let mut world = Self { disk, count_down, seed: 0, opened: None, accepted: BTreeMap::new(), durable: 0 };
        world.open();
        world
    }

    /// Goes on with what is left on the disk.
    fn restart(&mut self, left: FaultDisk) {
        self.opened = None;
        self.count_down = Arc::new(CountDown::default());
        left.watch(self.count_down.clone());
        self.disk = left;
        self.open();
    }

    fn open(&mut self) {
        let (journal, log, recovery) = open_with(&self.disk, manual()).unwrap();
        assert!(recovery.corrupt.is_empty() && recovery.damage.is_empty(), "{recovery:?}");
        assert!(log.durable() >= self.durable, "durable to {}, then to {}", self.durable, log.durable());
        self.durable = log.durable();
        self.accepted.retain(|base, _| *base < log.durable());
        let (found, gaps) = read_past_gaps(&log);
        let oldest = log.oldest();
        let expected = self.accepted.range(oldest..).map(|(base, (count, body))| (*base, *count, body.clone()));
        assert!(gaps.is_empty() && found.into_iter().eq(expected), "the log is not what it was");
        self.opened = Some((journal, log));
    }

    fn take(&mut self, step: &Step, number: u64) {
        let log = self.opened.as_ref().expect("it is open between steps").1.clone();
        match *step {
            Step::Append { count, len } => {
                let body = body(number, len);
                if let Append::Accepted { base, .. } = log.append(Batch::from_body(count, &body), None) {
                    self.accepted.insert(base, (count, body));
                }
            }
            Step::Work { commit, prepare } => {
                let _ = (commit && log.commit(0), prepare && log.prepare());
            }
            // A failure is the power cut's.
            Step::Trim => drop(log.trim(log.durable())),
            Step::Cut { operations, seed } => {
                self.count_down.cut_at(operations);
                self.seed = seed;
            }
            Step::Kill => {
                self.durable = log.durable();
                let left = self.disk.kill();
                return self.restart(left);
            }
        }
        self.durable = log.durable();
        if model::Disk::list(&self.disk, Path::new("/")).is_err() {
            let left = self.disk.crash(self.seed);
            self.restart(left);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_durable_is_there_after_any_power_cut(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new(FaultDisk::new());
        for (number, step) in steps.iter().enumerate() {
            world.take(step, number as u64);
        }
    }
}

/// The negative control: on a disk that does not sync the same steps lose something.
#[test]
fn the_comparison_sees_a_disk_that_does_not_sync() {
    let steps: Vec<Step> = (0..40)
        .flat_map(|seed| {
            [
                Step::Append { count: 1, len: 100 },
                Step::Work { commit: true, prepare: true },
                Step::Append { count: 1, len: 100 },
                Step::Cut { operations: 1, seed },
                Step::Work { commit: true, prepare: true },
            ]
        })
        .collect();
    let run = std::panic::catch_unwind(|| {
        let mut world = World::new(FaultDisk::lying());
        steps.iter().zip(0..).for_each(|(step, number)| world.take(step, number));
    });
    assert!(run.is_err());
}
