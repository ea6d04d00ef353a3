//! A log without threads does nothing but what its caller tells it to, and then what its threads would do.

use std::path::Path;
use std::sync::{Arc, Mutex, Weak};

use disk::{Change, FaultDisk, Next, Operation, Watcher};
use journal::{Append, Background, Error, JournalConfig, Log};
use model::Batch;

use crate::support::{DIR, SEGMENT_BYTES, append, config, open_on, open_with, read_all};

fn manual() -> JournalConfig {
    JournalConfig { background: Background::Manual, ..config(Path::new(DIR)) }
}

#[test]
fn nothing_is_durable_before_a_commit_and_no_segment_is_ready_before_it_is_asked_for() {
    let disk = FaultDisk::new();
    let (journal, log, _) = open_with(&disk, manual()).unwrap();
    assert!(!log.commit(0), "nothing waits");
    append(&log, 1, b"one");
    append(&log, 2, b"two");
    assert_eq!((log.durable(), log.end()), (0, 3));
    assert!(log.commit(0) && !log.commit(0));
    assert_eq!(log.durable(), 3);

    assert!(log.prepare() && !log.prepare(), "the second segment is made ready once");
    let large = vec![7; SEGMENT_BYTES as usize / 2];
    append(&log, 1, &large);
    append(&log, 1, &large);
    assert!(log.commit(0) && log.commit(1), "a commit for each segment");
    let refused = log.append(Batch::from_body(1, &large), None);
    assert!(matches!(refused, Append::Refused { error: Error::Busy, .. }), "no third segment is ready");
    assert!(log.prepare());
    append(&log, 1, &large);
    journal.close();
    let (_journal, log, _) = open_on(&disk).unwrap();
    assert_eq!(read_all(&log).len(), 5, "closing commits what waits");
}

/// Runs a second commit while the first one syncs.
struct Overlap(Mutex<Option<Weak<Log>>>);

impl Watcher for Overlap {
    fn before(&self, change: &Change<'_>) -> Next {
        let log = if change.operation == Operation::SyncData { self.0.lock().unwrap().take() } else { None };
        if let Some(log) = log.and_then(|log| log.upgrade()) {
            append(&log, 1, b"later");
            assert!(log.commit(1));
            assert_eq!(log.durable(), 0, "what came later is on the disk, and not durable before what came first");
        }
        Next::Go
    }
}

#[test]
fn a_later_commit_that_ends_first_waits_for_the_earlier_one() {
    let disk = FaultDisk::new();
    let (_journal, log, _) = open_with(&disk, manual()).unwrap();
    let log = Arc::new(log);
    disk.watch(Arc::new(Overlap(Mutex::new(Some(Arc::downgrade(&log))))));
    append(&log, 1, b"first");
    assert!(log.commit(0));
    assert_eq!(log.durable(), 2);
    assert_eq!(read_all(&log), [(0, 1, b"first".to_vec()), (1, 1, b"later".to_vec())]);
}
