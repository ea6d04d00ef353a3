//! Power cuts: every offset below a watermark that was seen is read back as it was, whatever the disk kept of the rest,
//! also when the cut comes in the middle of a recovery, and of the recovery from that.

use std::io;

use disk::{FaultDisk, Operation};
use journal::{Append, Log};
use model::Batch;

use crate::support::{Dice, Ledger, Losses, append, begin, body, open_on};

/// Appends a few dozen batches of all sizes, some of which are still on their way at the end.
fn work(disk: &FaultDisk, log: &Log, ledger: &mut Ledger, dice: &mut Dice) {
    let number = |dice: &mut Dice| dice.below(1 << 40);
    for _ in 0..dice.below(30) {
        let (number, len, count) = (number(dice), dice.below(4000) as usize, dice.below(5) as u32 + 1);
        let (base, _) = append(log, count, &body(number, len));
        ledger.accepted.insert(base, (count, body(number, len)));
        if dice.below(8) == 0 {
            log.sync().unwrap();
        }
    }
    if dice.below(3) == 0 {
        log.trim(log.durable() / 2).unwrap();
    }
    if dice.below(2) == 0 {
        disk.faults().hold(Operation::SyncData);
        for _ in 0..dice.below(8) {
            let (number, len) = (number(dice), dice.below(3000) as usize);
            if let Append::Accepted { base, .. } = log.append(Batch::from_body(1, &body(number, len)), None) {
                ledger.accepted.insert(base, (1, body(number, len)));
            }
        }
    }
}

/// Opens, checks, works and cuts the power, a few times over; what the checks found. What a power cut leaves is at most a
/// torn tail: an honest disk (`honest`) shows no corruption.
fn run(mut disk: FaultDisk, seed: u64, honest: bool) -> Losses {
    let mut dice = Dice(seed);
    let mut ledger = Ledger::default();
    let mut found = Losses::default();
    for _ in 0..5 {
        disk = crash_in_recovery(disk, &mut dice);
        let Ok((journal, log, recovery)) = open_on(&disk) else {
            // Only a disk that lies can leave something that does not open.
            found.lost += ledger.accepted.len();
            return found;
        };
        if honest {
            assert!(recovery.corrupt.is_empty() && recovery.damage.is_empty(), "seed {seed}: {recovery:?}");
        }
        let losses = ledger.check(&log);
        found = Losses { lost: found.lost + losses.lost, foreign: found.foreign + losses.foreign };
        work(&disk, &log, &mut ledger, &mut dice);
        ledger.durable = log.durable();
        let survivor = disk.crash(dice.below(u64::MAX));
        disk.faults().release(Operation::SyncData);
        drop((log, journal));
        disk = survivor;
    }
    found
}

/// Begins to open up to three times, with an error somewhere on the way, and cuts the power there.
fn crash_in_recovery(mut disk: FaultDisk, dice: &mut Dice) -> FaultDisk {
    for _ in 0..dice.below(4) {
        let operations = [Operation::Write, Operation::SyncData, Operation::Rename, Operation::SyncDir];
        let operation = operations[dice.below(4) as usize];
        disk.faults().fail(operation, dice.below(6) + 1, 1000, io::ErrorKind::Other);
        let opened = open_on(&disk);
        let survivor = disk.crash(dice.below(u64::MAX));
        drop(opened);
        disk = survivor;
    }
    disk
}

#[test]
fn nothing_durable_is_lost_in_200_power_cuts() {
    for seed in 0..200 {
        assert_eq!(run(FaultDisk::new(), seed, true), Losses::default(), "seed {seed}");
    }
}

/// The negative control: the same check on a disk that does not sync must see losses.
#[test]
fn the_check_sees_what_a_lying_disk_loses() {
    let losing = (0..20).filter(|seed| run(FaultDisk::lying(), *seed, false).lost > 0).count();
    assert!(losing > 10, "only {losing} of 20 seeds lost something");
}

/// What is written and not synced when the process dies is durable once the next one serves it, also if a failed sync
/// left it clean in the page cache.
#[test]
fn what_a_restart_serves_survives_the_power_cut_after_it() {
    for seed in 0..50 {
        let disk = FaultDisk::new();
        let (journal, log, _) = open_on(&disk).unwrap();
        begin(&disk, &log);
        disk.faults().fail(Operation::SyncData, 1, 1, io::ErrorKind::Other);
        append(&log, 1, b"its sync fails");
        log.sync().unwrap_err();
        let killed = disk.kill();
        drop((log, journal));

        let (journal, log, recovery) = open_on(&killed).unwrap();
        assert_eq!((log.durable(), recovery.rewritten), (2, 1));
        let cut = killed.crash(seed);
        drop((log, journal));
        let (_journal, log, _) = open_on(&cut).unwrap();
        assert_eq!(log.read(1, 100).unwrap()[0].batch.body(), b"its sync fails");
    }
}
