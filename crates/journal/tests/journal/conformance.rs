//! The contract, run on every backend: embedded on the real disk, embedded on the disk in memory, and memory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use disk::{FaultDisk, RealDisk};
use journal::{Append, Error, Journal, JournalConfig, Topic};
use model::{Batch, Clock};

use crate::support::{FIRST, append, body, config, read_all, read_from};

/// One test per backend for each case.
macro_rules! conformance {
    ($($case:ident),* $(,)?) => {
        $(mod $case {
            use super::*;

            #[test]
            fn embedded_on_the_real_disk() {
                let dir = tempfile::tempdir().unwrap();
                let config = config(&dir.path().join("journal"));
                super::cases::$case(Journal::open(config, Arc::new(RealDisk), Clock::manual(0)).unwrap().0);
            }

            #[test]
            fn embedded_on_the_disk_in_memory() {
                let config = config(Path::new("/data/journal"));
                super::cases::$case(Journal::open(config, Arc::new(FaultDisk::new()), Clock::manual(0)).unwrap().0);
            }

            #[test]
            fn memory() {
                let config = JournalConfig { retention_bytes: 1 << 20, ..config(Path::new("")) };
                super::cases::$case(Journal::memory(config, Clock::manual(0)));
            }
        })*
    };
}

conformance!(
    offsets_are_dense_and_what_was_appended_is_read_back,
    a_new_segment_asks_for_new_bindings,
    everybody_is_told_when_the_watermark_moves,
    trimming_takes_whole_segments_and_out_of_range_says_what_is_left,
    topics_and_partitions_do_not_see_each_other,
    what_can_not_be_taken_is_given_back,
    skipped_offsets_are_never_given_away,
    lag_is_counted_in_bytes,
    a_derived_topic_is_visible_at_once,
);

mod cases {
    use super::*;

    pub fn offsets_are_dense_and_what_was_appended_is_read_back(journal: Journal) {
        let log = journal.log(Topic::Raw, FIRST).unwrap();
        assert_eq!((log.oldest(), log.end(), log.durable()), (0, 0, 0));
        assert!(log.read(0, 1000).unwrap().is_empty());
        let mut expect = Vec::new();
        for number in 0..200 {
            let (count, body) = (number as u32 % 7 + 1, body(number, number as usize * 13 % 2000));
            let (base, end) = append(&log, count, &body);
            assert_eq!(
                (base, end),
                (expect.last().map_or(0, |(base, count, _)| base + u64::from(*count)), base + u64::from(count))
            );
            expect.push((base, count, body));
        }
        log.sync().unwrap();
        assert_eq!(log.durable(), log.end());
        assert_eq!(read_all(&log), expect);
        let middle = &expect[100];
        let inside = middle.0 + u64::from(middle.1) - 1;
        assert_eq!(log.read(inside, 1).unwrap()[0].base, middle.0, "a batch is found by any of its offsets");
        assert!(log.read(log.end(), 1000).unwrap().is_empty());
        assert!(matches!(log.read(log.end() + 1, 1000), Err(Error::OutOfRange { oldest: 0, .. })));
        let figures = log.figures();
        assert_eq!(figures.batches, 200);
        assert!(figures.segments > 5 && figures.commits <= 200);
    }

    pub fn a_new_segment_asks_for_new_bindings(journal: Journal) {
        let log = journal.log(Topic::Raw, FIRST).unwrap();
        let first = log.segment();
        let mut rolled = 0;
        while rolled == 0 {
            let bound_for = log.segment();
            match log.append(Batch::from_body(1, &[7; 3000]), Some(bound_for)) {
                Append::Accepted { .. } => log.sync().unwrap(),
                Append::Rolled(batch) => {
                    assert_eq!(batch.body(), [7; 3000]);
                    assert!(log.segment() > bound_for);
                    rolled += 1;
                }
                Append::Refused { error, .. } => assert!(matches!(error, Error::Busy), "{error}"),
            }
        }
        assert_eq!(log.segment(), first + 1);
        assert!(matches!(log.append(Batch::from_body(1, b"late"), Some(first)), Append::Rolled(_)));
        let (base, _) = append(&log, 1, b"bound again");
        log.sync().unwrap();
        assert_eq!(log.read(base, 100).unwrap()[0].batch.body(), b"bound again");
    }

    pub fn everybody_is_told_when_the_watermark_moves(journal: Journal) {
        let log = journal.log(Topic::Raw, FIRST).unwrap();
        let told = Arc::new(AtomicU64::new(0));
        let register = || {
            let (told, watched) = (told.clone(), log.clone());
            log.on_durable(Box::new(move || {
                told.fetch_max(watched.durable(), Ordering::SeqCst);
            }))
        };
        let _stays = register();
        drop(register());
        assert!(!log.wait(0, Duration::ZERO));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| log.wait(4, Duration::from_secs(60)));
            append(&log, 5, b"five");
            assert!(waiting.join().unwrap());
        });
        log.close();
        assert_eq!((log.durable(), told.load(Ordering::SeqCst)), (5, 5));
    }

    pub fn trimming_takes_whole_segments_and_out_of_range_says_what_is_left(journal: Journal) {
        let log = journal.log(Topic::Raw, FIRST).unwrap();
        for number in 0..100 {
            append(&log, 10, &body(number, 1000));
        }
        log.sync().unwrap();
        assert_eq!(log.trim(0).unwrap(), 0);
        assert!(log.trim(500).unwrap() > 0);
        let oldest = log.oldest();
        assert!(oldest > 300 && oldest <= 500, "{oldest}");
        assert!(matches!(log.read(oldest - 1, 10), Err(Error::OutOfRange { oldest: o, end: 1000 }) if o == oldest));
        assert_eq!(read_all(&log).len() as u64, (1000 - oldest) / 10);
        log.trim(u64::MAX).unwrap();
        assert!(log.oldest() < log.end(), "the newest segment stays");
        for number in 100..200 {
            append(&log, 10, &body(number, 1000));
        }
        log.sync().unwrap();
        let bodies: Vec<_> =
            read_all(&log).into_iter().map(|(base, _, found)| found == body(base / 10, 1000)).collect();
        assert!(bodies.len() >= 100 && bodies.into_iter().all(|same| same));
    }

    pub fn topics_and_partitions_do_not_see_each_other(journal: Journal) {
        let logs = [(Topic::Raw, 0), (Topic::Raw, 1), (Topic::Commands, 0), (Topic::DeadLetter, 0)];
        let logs = logs.map(|(topic, partition)| journal.log(topic, model::Partition(partition)).unwrap());
        for (number, log) in logs.iter().enumerate() {
            append(log, 1, &body(number as u64, 100));
            log.sync().unwrap();
        }
        for (number, log) in logs.iter().enumerate() {
            assert_eq!(read_all(log), [(0, 1, body(number as u64, 100))]);
        }
        assert!(matches!(
            journal.log(Topic::Raw, model::Partition(2)),
            Err(Error::NoPartition { partition: 2, partitions: 2 })
        ));
    }

    pub fn what_can_not_be_taken_is_given_back(journal: Journal) {
        let log = journal.log(Topic::Raw, FIRST).unwrap();
        let giant = vec![1; 40 << 10];
        match log.append(Batch::from_body(1, &giant), None) {
            Append::Refused { batch, error: Error::TooLarge { .. } } => assert_eq!(batch.body(), giant),
            other => panic!("{other:?}"),
        }
        append(&log, 1, b"kept");
        log.close();
        assert_eq!(log.durable(), 1, "what was accepted is durable after close");
        assert!(matches!(log.append(Batch::from_body(1, b"late"), None), Append::Refused { error: Error::Closed, .. }));
        assert_eq!(read_all(&log), [(0, 1, b"kept".to_vec())]);
    }

    pub fn skipped_offsets_are_never_given_away(journal: Journal) {
        let log = journal.log(Topic::Raw, FIRST).unwrap();
        append(&log, 10, b"before");
        log.sync().unwrap();
        log.skip_to(5).unwrap();
        assert_eq!(log.end(), 10, "never backwards");
        log.skip_to(50).unwrap();
        assert_eq!(append(&log, 1, b"after"), (50, 51));
        log.sync().unwrap();
        assert_eq!(read_from(&log, 50).unwrap(), [(50, 1, b"after".to_vec())]);
        assert_eq!(log.read(0, 1 << 20).unwrap().len(), 1);
        assert!(matches!(log.read(20, 100), Err(Error::Corrupt { from: 10, to: 50 })));
    }

    pub fn lag_is_counted_in_bytes(journal: Journal) {
        let log = journal.log(Topic::Raw, FIRST).unwrap();
        for number in 0..20 {
            append(&log, 1, &body(number, 1000));
        }
        log.sync().unwrap();
        assert_eq!(log.bytes_from(20), 0);
        assert_eq!(log.bytes_from(100), 0);
        let frame = (1000_u64 + 64).next_multiple_of(512);
        assert_eq!(log.bytes_from(19), frame);
        assert_eq!(log.bytes_from(18), 2 * frame);
        assert_eq!(log.figures().bytes, log.bytes_from(0));
        assert!(log.bytes_from(0) >= 20 * frame);
    }

    pub fn a_derived_topic_is_visible_at_once(journal: Journal) {
        let log = journal.log(Topic::DeadLetter, FIRST).unwrap();
        let mut expect = Vec::new();
        for number in 0..100 {
            let (base, end) = append(&log, 2, &body(number, 700));
            assert_eq!((base, end, log.durable()), (number * 2, number * 2 + 2, number * 2 + 2));
            expect.push((base, 2, body(number, 700)));
            assert_eq!(log.read(base, 1).unwrap()[0].batch.body(), body(number, 700));
        }
        log.sync().unwrap();
        assert_eq!(read_all(&log), expect);
    }
}
