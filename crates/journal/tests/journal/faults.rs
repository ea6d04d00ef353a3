//! Disks that fail, fill up and stall.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use disk::{FaultDisk, Operation};
use journal::{Append, Error, Journal, JournalConfig, Topic};
use model::{Batch, Clock};

use crate::support::{DIR, FIRST, append, begin, body, config, open_on, open_with, read_all, try_append};

#[test]
fn a_failed_sync_poisons_the_log_until_it_is_opened_again() {
    for operation in [Operation::SyncData, Operation::Write] {
        let disk = FaultDisk::new();
        let (journal, log, _) = open_on(&disk).unwrap();
        begin(&disk, &log);
        disk.faults().fail(operation, 1, 1, io::ErrorKind::Other);
        append(&log, 1, b"not acknowledged");
        assert!(matches!(log.sync(), Err(Error::Poisoned { .. })));
        assert_eq!(log.durable(), 1);
        assert!(matches!(log.poisoned(), Some(Error::Poisoned { .. })));
        assert!(matches!(try_append(&log, 1, b"refused"), Err(Error::Poisoned { .. })));
        assert!(log.slot_free(), "so that the reason is seen");
        assert!(!log.wait(1, Duration::ZERO));
        assert_eq!(read_all(&log), [(0, 1, b"durable".to_vec())], "reading goes on");

        let (log, _) = journal.reopen(Topic::Raw, FIRST).unwrap();
        assert!(log.poisoned().is_none());
        append(&log, 1, b"goes on");
        log.sync().unwrap();
        assert_eq!(read_all(&log).last().unwrap().2, b"goes on");
    }
}

#[test]
fn the_watermark_stops_at_the_failed_commit_although_later_ones_succeed() {
    let disk = FaultDisk::new();
    let (_journal, log, _) = open_on(&disk).unwrap();
    begin(&disk, &log);
    disk.faults().hold(Operation::SyncData);
    disk.faults().fail(Operation::SyncData, 1, 1, io::ErrorKind::Other);
    append(&log, 1, b"its sync fails");
    disk.faults().wait_held(Operation::SyncData, 1);
    append(&log, 1, b"its sync succeeds");
    disk.faults().wait_held(Operation::SyncData, 2);
    disk.faults().release(Operation::SyncData);
    log.sync().unwrap_err();
    log.close();
    assert_eq!(log.durable(), 1);
}

#[test]
fn a_derived_log_is_poisoned_by_a_failed_sync_too() {
    let disk = FaultDisk::new();
    let (journal, _, _) = open_on(&disk).unwrap();
    let log = journal.log(Topic::DeadLetter, FIRST).unwrap();
    append(&log, 1, b"written");
    disk.faults().fail(Operation::SyncData, 1, 1, io::ErrorKind::Other);
    log.sync().unwrap_err();
    assert!(matches!(try_append(&log, 1, b"refused"), Err(Error::Poisoned { .. })));
    assert!(matches!(log.sync(), Err(Error::Poisoned { .. })), "no later sync makes it good");
}

#[test]
fn a_full_disk_refuses_keeps_what_was_accepted_and_resumes_when_there_is_space() {
    let disk = FaultDisk::new();
    disk.set_capacity(150 << 10);
    let (_journal, log, _) = open_on(&disk).unwrap();
    let mut accepted = 0;
    let error = loop {
        match try_append(&log, 1, &body(accepted, 2000)) {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert!(is_full(&error), "{error}");
    assert!(!log.slot_free() && log.poisoned().is_none());
    assert!(log.obstacle().is_some_and(|obstacle| is_full(&obstacle)), "who waits for a slot is told why");
    log.sync().unwrap();
    assert_eq!((log.durable(), log.end()), (accepted, accepted), "everything accepted is durable");
    assert_eq!(read_all(&log).len() as u64, accepted);

    log.trim(accepted / 2).unwrap();
    // The keeper tries again by itself; until it has, the log says that it is full.
    while try_append(&log, 1, &body(accepted, 2000)).is_err_and(|error| is_full(&error)) {
        std::thread::yield_now();
    }
    assert!(log.obstacle().is_none());
    log.sync().unwrap();
    assert_eq!(log.durable(), accepted + 1);
}

#[test]
fn a_start_on_a_full_disk_serves_reads_and_refuses_until_there_is_space() {
    let disk = FaultDisk::new();
    let (journal, log, _) = open_on(&disk).unwrap();
    append(&log, 1, b"kept");
    log.sync().unwrap();
    let disk = disk.kill();
    drop((log, journal));
    disk.set_capacity(0);
    // A fresh log has no segment; the one that exists has room left.
    let (journal, log, _) = open_on(&disk).unwrap();
    assert_eq!(read_all(&log), [(0, 1, b"kept".to_vec())]);
    let commands = journal.log(Topic::Commands, FIRST).unwrap();
    assert!(is_full(&try_append(&commands, 1, b"x").unwrap_err()));
    disk.set_capacity(u64::MAX);
    while try_append(&commands, 1, b"x").is_err_and(|error| is_full(&error)) {
        std::thread::yield_now();
    }
}

fn is_full(error: &Error) -> bool {
    matches!(error, Error::NoSegment { cause } if matches!(**cause, Error::Full { .. }))
}

#[test]
fn a_write_for_which_there_is_no_space_is_tried_until_there_is() {
    let disk = FaultDisk::new();
    let (journal, log, _) = open_on(&disk).unwrap();
    begin(&disk, &log);
    disk.faults().fail(Operation::Write, 1, u64::MAX, io::ErrorKind::StorageFull);
    append(&log, 1, b"waits");
    while log.obstacle().is_none() {
        std::thread::yield_now();
    }
    assert!(!log.slot_free() && log.poisoned().is_none());
    assert_eq!(log.durable(), 1, "what is not written is not durable");
    disk.faults().heal();
    log.sync().unwrap();
    assert_eq!(read_all(&log).last().unwrap().2, b"waits");
    while log.obstacle().is_some() || !log.slot_free() {
        std::thread::yield_now();
    }

    let derived = journal.log(Topic::DeadLetter, FIRST).unwrap();
    append(&derived, 1, b"first");
    disk.faults().fail(Operation::Write, 1, 1, io::ErrorKind::StorageFull);
    assert!(matches!(try_append(&derived, 1, b"again"), Err(Error::Full { .. })));
    append(&derived, 1, b"again");
    assert_eq!(read_all(&derived).last().unwrap().2, b"again");
}

#[test]
fn a_sync_for_which_there_is_no_space_is_not_tried_again() {
    let disk = FaultDisk::new();
    let (_journal, log, _) = open_on(&disk).unwrap();
    begin(&disk, &log);
    disk.faults().fail(Operation::SyncData, 1, 1, io::ErrorKind::StorageFull);
    append(&log, 1, b"not acknowledged");
    assert!(matches!(log.sync(), Err(Error::Poisoned { .. })));
    assert_eq!(log.durable(), 1);
}

#[test]
fn a_log_that_waits_for_space_can_be_closed() {
    let disk = FaultDisk::new();
    let (_journal, log, _) = open_on(&disk).unwrap();
    begin(&disk, &log);
    disk.faults().fail(Operation::Write, 1, u64::MAX, io::ErrorKind::StorageFull);
    append(&log, 1, b"waits");
    while log.obstacle().is_none() {
        std::thread::yield_now();
    }
    log.close();
    assert_eq!(log.durable(), 1);
}

#[test]
fn a_stalled_disk_bounds_what_is_taken_and_answers_meanwhile() {
    let disk = FaultDisk::new();
    let config = JournalConfig { segment_bytes: 64 << 20, ..config(Path::new(DIR)) };
    let (_journal, log, _) = open_with(&disk, config).unwrap();
    begin(&disk, &log);
    disk.faults().hold(Operation::SyncData);
    let mut held = 0;
    while log.slot_free() {
        append(&log, 1, &body(held, 1000));
        held += 1;
        disk.faults().wait_held(Operation::SyncData, held as usize);
    }
    assert_eq!(held, 8, "as many as there are slots, all of them in flight");
    let mut taken = 0;
    let error = loop {
        match log.append(Batch::from_body(1, &vec![0; 1 << 20]), None) {
            Append::Accepted { .. } => taken += 1,
            Append::Refused { error, .. } => break error,
            Append::Rolled(_) => panic!("there is room"),
        }
    };
    assert!(matches!(error, Error::Busy) && taken <= 32, "{taken} MiB were taken: {error}");
    assert_eq!((log.durable(), log.read(0, 100).unwrap().len()), (1, 1), "reading does not wait");
    let commits = log.figures().commits;
    disk.faults().release(Operation::SyncData);
    log.sync().unwrap();
    assert_eq!(log.durable(), 1 + held + taken);
    assert!(log.slot_free());
    let together = log.figures().commits - commits - held;
    assert!(together <= taken.min(8), "one sync covers every append that waits: {together} for {taken}");
}

#[test]
fn commits_that_end_out_of_order_move_the_watermark_in_order() {
    let disk = FaultDisk::new();
    let (_journal, log, _) = open_on(&disk).unwrap();
    begin(&disk, &log);
    disk.faults().hold(Operation::SyncData);
    append(&log, 1, b"first");
    disk.faults().wait_held(Operation::SyncData, 1);
    append(&log, 1, b"second");
    disk.faults().wait_held(Operation::SyncData, 2);
    assert_eq!(log.durable(), 1);
    assert!(log.read(1, 100).unwrap().is_empty(), "what is not durable is not visible");
    disk.faults().release(Operation::SyncData);
    log.sync().unwrap();
    assert_eq!(read_all(&log).len(), 3);
}

#[test]
fn retention_by_age_does_not_follow_a_clock_that_jumps() {
    let clock = Clock::manual(1_700_000_000_000);
    let hour = Duration::from_secs(3600);
    let config = JournalConfig { retention_bytes: 1 << 30, retention_age: 2 * hour, ..config(Path::new(DIR)) };
    let disk: Arc<dyn model::Disk> = Arc::new(FaultDisk::new());
    let (journal, _) = Journal::open(config.clone(), disk.clone(), clock.clone()).unwrap();
    let log = journal.log(Topic::Raw, FIRST).unwrap();
    for number in 0..30 {
        append(&log, 1, &body(number, 3000));
    }
    log.sync().unwrap();
    clock.set_wall(4_300_000_000_000);
    assert_eq!(log.trim(u64::MAX).unwrap(), 0, "a jump to 2106 lets nothing go");
    clock.advance(hour);
    append(&log, 1, &body(30, 3000));
    log.close();
    drop((log, journal));

    let (journal, _) = Journal::open(config, disk, clock.clone()).unwrap();
    let log = journal.log(Topic::Raw, FIRST).unwrap();
    assert_eq!(log.trim(u64::MAX).unwrap(), 0);
    clock.advance(3 * hour);
    assert!(log.trim(u64::MAX).unwrap() > 0);
    assert_eq!(read_all(&log).last().unwrap(), &(30, 1, body(30, 3000)));
}

#[test]
fn exhausted_descriptors_refuse_and_fail_no_commit() {
    let disk = FaultDisk::new();
    let (journal, log, _) = open_on(&disk).unwrap();
    let derived = journal.log(Topic::DeadLetter, FIRST).unwrap();
    append(&derived, 1, b"first");
    begin(&disk, &log);
    disk.faults().fail(Operation::Open, 1, u64::MAX, io::Error::from_raw_os_error(24).kind());
    for log in [&log, &derived] {
        let error = loop {
            if let Err(error) = try_append(log, 1, &body(log.end(), 2000)) {
                break error;
            }
        };
        assert!(matches!(error, Error::NoSegment { .. }) && log.poisoned().is_none(), "{error}");
        log.sync().unwrap();
        assert_eq!(log.durable(), log.end());
    }
    disk.faults().heal();
    for log in [&log, &derived] {
        while try_append(log, 1, b"goes on").is_err() {
            std::thread::yield_now();
        }
        log.sync().unwrap();
        assert_eq!(log.read(log.end() - 1, 100).unwrap()[0].batch.body(), b"goes on");
    }
}
