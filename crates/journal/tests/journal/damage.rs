//! Torn tails and flipped bits: nothing durable is taken for the end, nothing behind damage is deleted, and what is
//! missing is said exactly.

use std::io;
use std::path::{Path, PathBuf};

use disk::{FaultDisk, Operation};
use journal::mend::{self, Step};
use journal::{Append, Error, JournalConfig, Topic, inspect};
use model::{Batch, Disk, Offset};

use crate::support::{
    DIR, Dice, FIRST, Found, SEGMENT_BYTES, append, begin, body, config, open_on, open_with, read_all, read_past_gaps,
    segment_path,
};

/// Where frames begin in a segment, and what they are aligned to.
const HEAD_BYTES: usize = 4096;
const ALIGNMENT: usize = 512;

fn room(body: &[u8]) -> usize {
    (64 + body.len()).next_multiple_of(ALIGNMENT)
}

/// A killed process's disk: `begin`'s batch is durable, `bodies` are written and not synced. The segment's file, and the
/// positions of the unsynced frames and of the end.
fn killed_with_unsynced(bodies: &[Vec<u8>], recycled: bool) -> (FaultDisk, PathBuf, Vec<usize>) {
    let disk = FaultDisk::new();
    let (journal, log, _) = open_on(&disk).unwrap();
    begin(&disk, &log);
    if recycled {
        // Fill and let go until a file is used a second time, then begin the segment after it.
        while log.oldest() == 0 {
            append(&log, 1, &body(log.end(), 3000));
            log.sync().unwrap();
            log.trim(log.end()).unwrap();
        }
        let next = log.segment() + 2;
        while log.segment() < next {
            append(&log, 1, &body(log.end(), 3000));
        }
        log.sync().unwrap();
        let ready = segment_path(next + 1);
        while disk.contents(&ready).is_err() {
            std::thread::yield_now();
        }
    }
    let path = segment_path(log.segment());
    let mut positions = vec![HEAD_BYTES + used_frames(&disk, &log)];
    disk.faults().hold(Operation::SyncData);
    for (number, body) in bodies.iter().enumerate() {
        assert!(matches!(log.append(Batch::from_body(1, body), Some(log.segment())), Append::Accepted { .. }));
        disk.faults().wait_held(Operation::SyncData, number + 1);
        positions.push(positions[number] + room(body));
    }
    let killed = disk.kill();
    disk.faults().release(Operation::SyncData);
    drop((log, journal));
    (killed, path, positions)
}

/// Bytes that the frames of the current segment take.
fn used_frames(disk: &FaultDisk, log: &journal::Log) -> usize {
    let reports = inspect::check(disk, Path::new(DIR), &mut |_| ()).unwrap();
    let segment = reports[0].segments.iter().find(|segment| segment.id == log.segment()).unwrap();
    let first = segment.base.unwrap();
    let frames = read_all(log).into_iter().filter(|(base, _, _)| *base >= first);
    frames.map(|(_, _, body)| room(&body)).sum()
}

fn three_bodies() -> Vec<Vec<u8>> {
    vec![body(1, 100), body(2, 700), body(3, 10)]
}

#[test]
fn a_tail_cut_at_every_byte_of_its_last_three_frames_loses_only_what_is_cut() {
    let bodies = three_bodies();
    for recycled in [false, true] {
        let (disk, path, positions) = killed_with_unsynced(&bodies, recycled);
        let whole = disk.contents(&path).unwrap();
        let end_before = open_on(&disk.fork()).unwrap().1.end() - bodies.len() as u64;
        for cut in positions[0]..positions[3] {
            let disk = disk.fork();
            disk.set_contents(&path, whole[..cut].to_vec()).unwrap();
            let kept = (0..3).filter(|at| positions[*at] + 64 + bodies[*at].len() <= cut).count();
            let one_thread = JournalConfig { commits_in_flight_max: 1, ..config(Path::new(DIR)) };
            let (journal, log, recovery) = open_with(&disk, one_thread.clone()).unwrap();
            assert_eq!(log.end(), end_before + kept as u64, "cut at {cut}");
            assert_eq!(recovery.torn_bytes as usize, cut.saturating_sub(positions[kept]), "cut at {cut}");
            assert!(recovery.corrupt.is_empty() && recovery.damage.is_empty(), "cut at {cut}: {recovery:?}");
            let tail = log.read(end_before, 1 << 20).unwrap();
            assert!(tail.iter().map(|frame| frame.batch.body()).eq(bodies[..kept].iter()), "cut at {cut}");
            append(&log, 1, b"goes on");
            log.close();
            drop((log, journal));

            let (_journal, log, again) = open_with(&disk, one_thread).unwrap();
            assert!(again.is_clean(), "cut at {cut}: {again:?}");
            assert_eq!(read_all(&log).last().unwrap().2, b"goes on");
        }
    }
}

#[test]
fn a_tail_zeroed_from_every_byte_on_loses_only_what_is_zeroed() {
    let bodies = three_bodies();
    let (disk, path, positions) = killed_with_unsynced(&bodies, false);
    let whole = disk.contents(&path).unwrap();
    for cut in positions[0]..positions[3] {
        let disk = disk.fork();
        let mut bytes = whole.clone();
        bytes[cut..].fill(0);
        let intact = |at: &usize| bytes[positions[*at]..positions[at + 1]] == whole[positions[*at]..positions[at + 1]];
        let kept = (0..3).take_while(intact).count();
        disk.set_contents(&path, bytes.clone()).unwrap();
        let (_journal, log, recovery) = open_on(&disk).unwrap();
        assert_eq!(log.end(), 1 + kept as u64, "zeroed from {cut}");
        assert!(recovery.corrupt.is_empty() && recovery.damage.is_empty(), "zeroed from {cut}: {recovery:?}");
        let something_left = bytes[positions[kept]..].iter().any(|byte| *byte != 0);
        assert_eq!(recovery.torn_bytes > 0, something_left, "zeroed from {cut}: {recovery:?}");
        assert_eq!(read_all(&log).len(), 1 + kept);
    }
}

#[test]
fn a_cut_into_synced_frames_starts_and_reports_the_bytes() {
    let disk = FaultDisk::new();
    let (journal, log, _) = open_on(&disk).unwrap();
    begin(&disk, &log);
    append(&log, 1, &body(1, 1000));
    log.sync().unwrap();
    let disk = disk.kill();
    drop((log, journal));
    let path = segment_path(0);
    let cut = HEAD_BYTES + 512 + 700;
    disk.set_contents(&path, disk.contents(&path).unwrap()[..cut].to_vec()).unwrap();
    let (_journal, log, recovery) = open_on(&disk).unwrap();
    assert_eq!((recovery.torn_bytes, recovery.torn_at), (700, Some((path, HEAD_BYTES as u64 + 512))));
    assert_eq!(log.end(), 1);
    // The server knows from its catalog that offset 1 was used, and says so before anything is appended.
    log.skip_to(2).unwrap();
    assert_eq!(append(&log, 1, b"new"), (2, 3));
}

#[test]
fn the_newest_segment_may_be_empty_zeroed_or_garbage() {
    let garbage = body(7, SEGMENT_BYTES as usize);
    let shapes = [Vec::new(), vec![0; 100], vec![0; SEGMENT_BYTES as usize], garbage[..100].to_vec(), garbage.clone()];
    for (number, shape) in shapes.into_iter().enumerate() {
        let disk = FaultDisk::new();
        let (journal, log, _) = open_on(&disk).unwrap();
        begin(&disk, &log);
        let disk = disk.kill();
        drop((log, journal));
        // The segment that was made ready, and one more that nobody made.
        for id in [1, 2] {
            let path = segment_path(id);
            if disk.contents(&path).is_err() {
                disk.open(&path, model::OpenMode::CreateNew).unwrap();
            }
            disk.set_contents(&path, shape.clone()).unwrap();
        }
        let (journal, log, recovery) = open_on(&disk).unwrap();
        assert_eq!((log.end(), recovery.torn_bytes, recovery.corrupt.len()), (1, 0, 0), "shape {number}");
        assert!(!recovery.damage.is_empty(), "shape {number}");
        for number in 0..40 {
            append(&log, 1, &body(number, 2000));
        }
        log.close();
        drop((log, journal));
        let (_journal, log, recovery) = open_on(&disk).unwrap();
        assert!(recovery.is_clean() && read_all(&log).len() == 41, "shape {number}: {recovery:?}");
        let aside = disk.list(Path::new(DIR).join("raw/0").as_path()).unwrap();
        let aside = aside.iter().filter(|entry| entry.name.starts_with("damaged-")).count();
        assert_eq!(aside, if number >= 3 { 2 } else { 0 }, "garbage is kept aside");
    }
}

/// A log of a few segments, all durable and closed.
fn sound_log() -> (FaultDisk, Vec<Found>) {
    let disk = FaultDisk::new();
    let (journal, log, _) = open_on(&disk).unwrap();
    for number in 0..60 {
        append(&log, 3, &body(number, 50 + number as usize * 37 % 2500));
        log.sync().unwrap();
    }
    let all = read_all(&log);
    log.close();
    drop((log, journal));
    (disk, all)
}

/// What a bit was part of.
fn owner(disk: &FaultDisk, path: &Path, at: u64) -> Option<(Offset, Offset)> {
    let mut found = None;
    inspect::dump(disk, Path::new(DIR), (Topic::Raw, FIRST), 0, &mut |dumped| {
        let len = dumped.frame.batch.frame().len() as u64;
        if segment_path(dumped.segment) == path && (dumped.position..dumped.position + len).contains(&at) {
            found = Some((dumped.frame.base, dumped.frame.end()));
        }
        true
    })
    .unwrap();
    found
}

#[test]
fn five_hundred_flipped_bits_are_detected_and_cost_what_they_hit() {
    let (sound, all) = sound_log();
    let end = all.last().unwrap().0 + 3;
    let last_base = all.last().unwrap().0;
    let segments = sound.list(&Path::new(DIR).join("raw/0")).unwrap();
    let mut dice = Dice(5);
    let (mut in_frames, mut in_heads) = (0, 0);
    while in_frames + in_heads < 500 {
        let path = Path::new(DIR).join("raw/0").join(&segments[dice.below(segments.len() as u64) as usize].name);
        let at = if dice.below(10) == 0 { dice.below(2) * 512 + dice.below(64) } else { dice.below(SEGMENT_BYTES) };
        let hit = owner(&sound, &path, at);
        let prepared = hit.is_none() && sound.contents(&path).unwrap()[512..576].iter().all(|byte| *byte == 0);
        let in_head = (at < 64 || (512..576).contains(&at)) && !prepared;
        if hit.is_none() && !in_head {
            continue;
        }
        in_frames += u64::from(hit.is_some());
        in_heads += u64::from(in_head);
        let disk = sound.fork();
        let mut bytes = disk.contents(&path).unwrap();
        bytes[at as usize] ^= 1 << dice.below(8);
        disk.set_contents(&path, bytes).unwrap();

        let report = inspect::check(&disk, Path::new(DIR), &mut |_| ()).unwrap().remove(0);
        let place = format!("{} at {at}", path.display());
        // The very last frame is above every watermark on the disk: damage there cannot be told from a torn tail.
        let torn = hit.is_some_and(|(base, _)| base == last_base);
        if torn {
            assert!(report.torn_bytes > 0 && report.end == last_base, "{place}: {report:?}");
        } else if let Some((base, frame_end)) = hit {
            assert_eq!(report.corrupt, [base..frame_end], "{place}");
            assert!(!report.is_sound() && report.end == end, "{place}");
        } else {
            assert!(!report.damage.is_empty() && report.corrupt.is_empty() && report.end == end, "{place}: {report:?}");
        }

        let (_journal, log, _) = open_on(&disk).unwrap();
        let (read, gaps) = read_past_gaps(&log);
        let expect: Vec<_> = all.iter().filter(|(base, _, _)| hit.is_none_or(|hit| hit.0 != *base)).cloned().collect();
        assert!(read == expect, "{place}: what was not hit is served");
        let expect_gaps = if torn { Vec::new() } else { hit.iter().map(|(base, end)| *base..*end).collect() };
        assert_eq!(gaps, expect_gaps, "{place}");
        append(&log, 1, b"goes on");
        log.sync().unwrap();
    }
    assert!(in_heads > 10 && in_frames > 300, "{in_heads} {in_frames}");
}

#[test]
fn a_segment_that_is_gone_is_a_gap_and_what_follows_is_served() {
    let (disk, all) = sound_log();
    let bases: Vec<_> = inspect::check(&disk, Path::new(DIR), &mut |_| ()).unwrap()[0]
        .segments
        .iter()
        .filter_map(|segment| segment.base)
        .collect();
    assert!(bases.len() >= 3);
    disk.remove(&segment_path(1)).unwrap();
    let (_journal, log, _) = open_on(&disk).unwrap();
    let (read, gaps) = read_past_gaps(&log);
    let gap = bases[1]..bases[2];
    assert_eq!(gaps, std::slice::from_ref(&gap));
    assert!(read.into_iter().eq(all.into_iter().filter(|(base, _, _)| !gap.contains(base))));
    let report = inspect::check(&disk, Path::new(DIR), &mut |_| ()).unwrap().remove(0);
    assert_eq!(report.corrupt, [gap]);
}

#[test]
fn a_recycled_segment_does_not_show_its_earlier_life() {
    let disk = FaultDisk::new();
    let (journal, log, _) = open_on(&disk).unwrap();
    // Frames of one size, so that those of an earlier life stand exactly where new ones will.
    for number in 0..200 {
        append(&log, 1, &body(number, 1000));
        log.sync().unwrap();
        log.trim(log.end()).unwrap();
    }
    let (oldest, end) = (log.oldest(), log.end());
    let disk = disk.kill();
    drop((log, journal));
    let (_journal, log, recovery) = open_on(&disk).unwrap();
    assert!(recovery.is_clean(), "{recovery:?}");
    assert_eq!((log.oldest(), log.end()), (oldest, end));
    assert!(read_all(&log).into_iter().all(|(base, _, found)| found == body(base, 1000)));
}

#[test]
fn an_unknown_version_is_a_clear_error() {
    let (disk, _) = sound_log();
    let path = segment_path(0);
    let mut bytes = disk.contents(&path).unwrap();
    bytes[8] = 2;
    let crc = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    disk.set_contents(&path, bytes).unwrap();
    let error = open_on(&disk).err().unwrap();
    assert!(matches!(&error, Error::Version { path: at, found: 2, known: 1 } if *at == path), "{error}");
}

#[test]
fn corruption_and_a_torn_tail_behind_it_are_told_apart() {
    // Durable: 0 and 1. Written and not synced: 2, 3 and 4. Hit: 1, which is corrupt, and 3, where the log ends.
    let disk = FaultDisk::new();
    let (journal, log, _) = open_on(&disk).unwrap();
    begin(&disk, &log);
    append(&log, 1, &body(1, 100));
    log.sync().unwrap();
    disk.faults().hold(Operation::SyncData);
    for number in 2..5 {
        assert!(matches!(log.append(Batch::from_body(1, &body(number, 100)), None), Append::Accepted { .. }));
        disk.faults().wait_held(Operation::SyncData, number as usize - 1);
    }
    let killed = disk.kill();
    disk.faults().release(Operation::SyncData);
    drop((log, journal));
    let path = segment_path(0);
    let mut bytes = killed.contents(&path).unwrap();
    for number in [1, 3] {
        bytes[HEAD_BYTES + number * ALIGNMENT + 70] ^= 1;
    }
    killed.set_contents(&path, bytes).unwrap();

    let (journal, log, recovery) = open_on(&killed).unwrap();
    assert_eq!((recovery.corrupt.as_slice(), recovery.torn_batches, log.end()), ([1..2].as_slice(), 1, 3));
    assert_eq!(recovery.torn_bytes as usize, ALIGNMENT + 64 + 100, "the broken frame, and the whole one behind it");
    append(&log, 1, b"goes on");
    log.sync().unwrap();
    let survivor = killed.kill();
    drop((log, journal));
    let (_journal, log, recovery) = open_on(&survivor).unwrap();
    assert_eq!((recovery.torn_bytes, recovery.corrupt.as_slice()), (0, [1..2].as_slice()));
    let (read, gaps) = read_past_gaps(&log);
    assert_eq!(read.iter().map(|(base, _, _)| *base).collect::<Vec<_>>(), [0, 2, 3]);
    assert_eq!(gaps, [1..2]);
}

#[test]
fn damage_that_comes_while_the_log_is_open_is_a_gap_too() {
    let disk = FaultDisk::new();
    let config = JournalConfig { tail_bytes_max: 0, ..config(Path::new(DIR)) };
    let (_journal, log, _) = open_with(&disk, config).unwrap();
    begin(&disk, &log);
    for number in 1..10 {
        append(&log, 1, &body(number, 100));
    }
    log.sync().unwrap();
    let mut bytes = disk.contents(&segment_path(0)).unwrap();
    bytes[HEAD_BYTES + 8 * ALIGNMENT..].fill(0);
    disk.set_contents(&segment_path(0), bytes).unwrap();
    // The newest batch is still in memory; the one before it is gone.
    assert_eq!(read_past_gaps(&log).1, [8..9]);
    append(&log, 1, &body(10, 100));
    append(&log, 1, &body(11, 100));
    log.sync().unwrap();
    let (read, gaps) = read_past_gaps(&log);
    assert_eq!(gaps, [8..9, 9..10], "found one after the other");
    assert_eq!(read.len(), 10, "what was written behind the gap is found");
}

#[test]
fn a_read_error_is_an_error_and_not_a_gap() {
    let (disk, all) = sound_log();
    let (_journal, log, _) = open_on(&disk).unwrap();
    disk.faults().fail(Operation::Read, 1, 1, io::ErrorKind::Other);
    assert!(matches!(log.read(0, 100), Err(Error::Io { .. })));
    assert!(read_all(&log) == all);
}

/// Every file of the log's directory, with what is in it.
fn files(disk: &FaultDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = segment_path(0).parent().unwrap().to_owned();
    let paths = disk.list(&dir).unwrap().into_iter().map(|entry| dir.join(entry.name));
    paths.map(|path| (path.clone(), disk.contents(&path).unwrap())).collect()
}

#[test]
fn a_repair_says_what_it_will_do_keeps_what_it_cannot_use_and_has_nothing_left_to_do() {
    // A torn tail behind a hole, damage in the middle, and a file that is no segment any more.
    let (disk, newest, positions) = killed_with_unsynced(&three_bodies(), true);
    let mut bytes = disk.contents(&newest).unwrap();
    bytes[positions[0] + 70] ^= 1;
    disk.set_contents(&newest, bytes.clone()).unwrap();
    let reports = inspect::check(&disk, Path::new(DIR), &mut |_| ()).unwrap();
    let oldest = &reports[0].segments[0];
    let mut middle = disk.contents(&oldest.path).unwrap();
    middle[HEAD_BYTES + 100] ^= 1;
    disk.set_contents(&oldest.path, middle.clone()).unwrap();
    let unreadable = reports[0].segments[1].path.clone();
    disk.set_contents(&unreadable, vec![7; SEGMENT_BYTES as usize]).unwrap();
    let reports = inspect::check(&disk, Path::new(DIR), &mut |_| ()).unwrap();
    let corrupt = reports[0].corrupt.clone();

    let before = files(&disk);
    let plans = mend::plan(&disk, Path::new(DIR), &mut |_| ()).unwrap();
    assert_eq!(files(&disk), before, "a plan changes nothing");
    let plan = &plans[0];
    let lost: Vec<_> = plan.lost.iter().map(|gap| gap.offsets.clone()).collect();
    assert_eq!(lost, corrupt, "{plan:?}");
    let cut = plan.steps.iter().find_map(|step| match step {
        Step::Cut { path, bytes, batches } => Some((path.clone(), bytes.start as usize, *batches)),
        _ => None,
    });
    assert_eq!(cut, Some((newest.clone(), positions[0], 2)), "{plan:?}");
    assert!(
        plan.steps.iter().any(|step| matches!(step, Step::SetAside { path, .. } if *path == unreadable)),
        "{plan:?}"
    );

    assert_eq!(mend::apply(&disk, Path::new(DIR), SEGMENT_BYTES, &mut |_| ()).unwrap(), plans, "it does what it said");
    for step in &plan.steps {
        match step {
            Step::Keep { path, bytes: range, to } => {
                let was = if *path == newest { &bytes } else { &middle };
                assert_eq!(disk.contents(to).unwrap(), was[range.start as usize..range.end as usize], "{step}");
            }
            Step::SetAside { path, to, .. } => {
                assert_eq!(disk.contents(to).unwrap(), vec![7; SEGMENT_BYTES as usize]);
                assert!(disk.contents(path).is_err());
            }
            Step::Cut { .. } => {}
        }
    }
    let again = mend::plan(&disk, Path::new(DIR), &mut |_| ()).unwrap();
    assert_eq!((again[0].steps.len(), &again[0].lost.len()), (0, &lost.len()), "{again:?}");

    let (_journal, log, recovery) = open_on(&disk).unwrap();
    assert_eq!((recovery.torn_bytes, recovery.damage.len()), (0, 0), "{recovery:?}");
    let (found, gaps) = read_past_gaps(&log);
    assert_eq!(gaps, corrupt);
    assert!(!found.is_empty());
    append(&log, 1, b"goes on");
    log.sync().unwrap();
}
