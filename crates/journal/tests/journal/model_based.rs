//! Any sequence of appends, reads, trims, skips, restarts and kills gives what a list of batches would give.

use disk::FaultDisk;
use journal::{Error, Journal, Log};
use model::Offset;
use proptest::prelude::*;

use crate::support::{append, body, open_on, read_past_gaps};

#[derive(Clone, Debug)]
enum Step {
    Append {
        count: u32,
        len: usize,
    },
    /// From this part of the offsets on.
    Read {
        per_mille: u64,
        bytes_max: usize,
    },
    Trim {
        per_mille: u64,
    },
    Skip {
        by: u64,
    },
    Restart,
    /// The process dies after what it appended became durable.
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (1..5_u32, 0..3000_usize).prop_map(|(count, len)| Step::Append { count, len }),
        4 => (0..1010_u64, 0..10_000_usize).prop_map(|(per_mille, bytes_max)| Step::Read { per_mille, bytes_max }),
        2 => (0..=1000_u64).prop_map(|per_mille| Step::Trim { per_mille }),
        1 => (1..20_u64).prop_map(|by| Step::Skip { by }),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
    ]
}

/// The log as a list.
#[derive(Default)]
struct Model {
    batches: Vec<(Offset, u32, Vec<u8>)>,
    end: Offset,
}

impl Model {
    fn from(&self, offset: Offset) -> impl Iterator<Item = &(Offset, u32, Vec<u8>)> {
        self.batches.iter().filter(move |(base, count, _)| base + u64::from(*count) > offset)
    }

    /// Whether a batch of the list has this offset.
    fn holds(&self, offset: Offset) -> bool {
        self.from(offset).next().is_some_and(|(base, _, _)| *base <= offset)
    }
}

struct World {
    disk: FaultDisk,
    journal: Journal,
    log: Log,
    model: Model,
}

impl World {
    fn new() -> Self {
        let disk = FaultDisk::new();
        let (journal, log, _) = open_on(&disk).unwrap();
        Self { disk, journal, log, model: Model::default() }
    }

    fn take(&mut self, step: &Step, number: u64) {
        match *step {
            Step::Append { count, len } => {
                let (base, end) = append(&self.log, count, &body(number, len));
                assert_eq!((base, end), (self.model.end, self.model.end + u64::from(count)));
                self.model.batches.push((base, count, body(number, len)));
                self.model.end = end;
            }
            Step::Read { per_mille, bytes_max } => self.read(self.model.end * per_mille / 1000, bytes_max),
            Step::Trim { per_mille } => self.trim(self.model.end * per_mille / 1000),
            Step::Skip { by } => {
                // Skipping is for a log that nobody appends to yet, and lasts as long as something is appended after.
                self.reopen(false);
                self.model.end += by;
                self.log.skip_to(self.model.end).unwrap();
                self.take(&Step::Append { count: 1, len: 10 }, number);
            }
            Step::Restart => self.reopen(false),
            Step::Kill => self.reopen(true),
        }
        assert_eq!(self.log.end(), self.model.end);
    }

    fn read(&self, from: Offset, bytes_max: usize) {
        self.log.sync().unwrap();
        match self.log.read(from, bytes_max) {
            Ok(frames) if frames.is_empty() => assert_eq!(from, self.model.end),
            Ok(frames) => {
                let found = frames.iter().map(|frame| (frame.base, frame.batch.count(), frame.batch.body()));
                let expect = self.model.from(from).map(|(base, count, body)| (*base, *count, body.as_slice()));
                assert!(found.eq(expect.take(frames.len())), "reading from {from}");
            }
            Err(Error::OutOfRange { oldest, end }) => {
                assert!((from < oldest || from > end) && oldest == self.log.oldest() && end == self.model.end);
            }
            Err(Error::Corrupt { from: start, to }) => {
                assert!((start..to).contains(&from) && (start..to).all(|offset| !self.model.holds(offset)));
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn trim(&self, before: Offset) {
        self.log.sync().unwrap();
        let oldest = self.log.oldest();
        let bytes = self.log.trim(before).unwrap();
        assert!(self.log.oldest() <= before.max(oldest) && (self.log.oldest() > oldest) == (bytes > 0));
    }

    fn reopen(&mut self, kill: bool) {
        self.log.sync().unwrap();
        let oldest = self.log.oldest();
        if kill {
            self.disk = self.disk.kill();
        } else {
            self.journal.close();
        }
        let (journal, log, recovery) = open_on(&self.disk).unwrap();
        (self.journal, self.log) = (journal, log);
        assert!(recovery.torn_bytes == 0 && recovery.damage.is_empty(), "{recovery:?}");
        assert_eq!((self.log.oldest(), self.log.end(), self.log.durable()), (oldest, self.model.end, self.model.end));
    }

    fn finish(self) {
        self.log.sync().unwrap();
        let (read, gaps) = read_past_gaps(&self.log);
        let oldest = self.log.oldest();
        assert!(read.iter().eq(self.model.from(oldest)));
        assert!(gaps.into_iter().flatten().all(|offset| !self.model.holds(offset)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_log_is_a_list_of_batches(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for (number, step) in steps.iter().enumerate() {
            world.take(step, number as u64);
        }
        world.finish();
    }
}
