//! A log of three segments after a disk did something to its files: looked at, and opened.
//!
//! The first byte: bit 0 the log is opened and goes on, not only looked at; bit 1 headers get good checksums after the
//! damage, which no disk does, so that what stands behind a checksum is reached: then only that nothing panics holds.
//!
//! Holds: looking never fails; whatever is read is what was written; and damage is never taken for the end: the log reaches as far
//! as any frame that is left says was durable, what is left below is served, and what is missing is named.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use disk::FaultDisk;
use journal::inspect::{self, LogReport};
use journal::{Append, Error, Journal, JournalConfig, Log, Topic};
use model::{Batch, Clock, Disk, Offset, Partition};

use crate::damage::{Damaged, Image};
use crate::input::Input;

const DIR: &str = "/journal";
const LOG_DIR: &str = "/journal/raw/0";
const SEGMENT_BYTES: u64 = 16 << 10;
const HEAD_BYTES: usize = 4096;
const FRAME_HEADER_BYTES: usize = 64;
const FRAMES: u32 = 30;
const SEGMENTS: usize = 3;

/// A frame of the sound log.
struct Written {
    /// Its segment, by its place among the image's files.
    file: usize,
    position: usize,
    bytes: Vec<u8>,
    base: Offset,
    end: Offset,
    watermark: Offset,
}

struct Sound {
    image: Image,
    frames: Vec<Written>,
}

static SOUND: LazyLock<Sound> = LazyLock::new(|| {
    let disk = FaultDisk::new();
    let (journal, log) = open(&disk).expect("a new journal");
    for number in 0..FRAMES {
        let body = vec![number as u8; 60 + (number as usize * 397) % 1500];
        let mut batch = Batch::from_body(1 + number % 3, &body);
        // A segment that is begun in between gives the batch back: it has no bindings to repeat.
        while let Append::Rolled(back) = log.append(batch, Some(log.segment())) {
            batch = back;
        }
        log.sync().expect("a disk without failures");
    }
    journal.close();
    drop((journal, log));
    // How many files are made ready ahead is a matter of time: what no frame is in would make no input mean the same twice.
    for entry in disk.list(LOG_DIR.as_ref()).expect("the log's directory") {
        let path = Path::new(LOG_DIR).join(&entry.name);
        if disk.contents(&path).expect("a file that was listed")[HEAD_BYTES] == 0 {
            disk.remove(&path).expect("a file that was listed");
        }
    }
    let image = Image::of(&disk, &[LOG_DIR]);
    let mut frames = Vec::new();
    inspect::dump(&disk, Path::new(DIR), (Topic::Raw, Partition(0)), 0, &mut |dumped| {
        let name = format!("{:016x}.segment", dumped.segment);
        let file = image.files.iter().position(|(path, _)| path.ends_with(&name)).expect("a segment of the image");
        frames.push(Written {
            file,
            position: dumped.position as usize,
            bytes: dumped.frame.batch.frame().to_vec(),
            base: dumped.frame.base,
            end: dumped.frame.end(),
            watermark: dumped.watermark,
        });
        true
    })
    .expect("a sound log");
    assert_eq!((frames.len(), image.files.len()), (FRAMES as usize, SEGMENTS), "the sound log");
    Sound { image, frames }
});

pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let flags = input.u8();
    let sound = &*SOUND;
    let mut now = sound.image.damage(&mut input);
    if flags & 2 != 0 {
        now.iter_mut().for_each(forge);
        return forged(&sound.image.with(&now), flags & 1 != 0);
    }
    let left = Left::of(sound, &now);
    let disk = sound.image.with(&now);
    let reports = inspect::check(&disk, Path::new(DIR), &mut |_| ()).expect("looking does not fail");
    let report = &reports[0];
    let mut read = BTreeMap::new();
    inspect::dump(&disk, Path::new(DIR), (Topic::Raw, Partition(0)), 0, &mut |dumped| {
        read.insert(dumped.frame.base, dumped.frame.batch.frame()[FRAME_HEADER_BYTES..].to_vec());
        true
    })
    .expect("looking does not fail");
    left.check(end_of(report), report.oldest, &report.corrupt, &read);
    if flags & 1 != 0 {
        left.go_on(&disk);
    }
}

#[cfg(not(feature = "sabotage"))]
fn end_of(report: &LogReport) -> Offset {
    report.end
}

/// The planted wrong verdict: damage is taken for the end of the log.
#[cfg(feature = "sabotage")]
fn end_of(report: &LogReport) -> Offset {
    report.corrupt.first().map_or(report.end, |gap| gap.start)
}

/// What the damage left.
struct Left<'a> {
    sound: &'a Sound,
    /// Frames that are as they were, in segments whose head is.
    frames: Vec<&'a Written>,
    /// What these say was durable.
    watermark: Offset,
}

impl<'a> Left<'a> {
    fn of(sound: &'a Sound, now: &[Damaged]) -> Self {
        let head = |file: usize| now[file].holds(0, &sound.image.files[file].1[..HEAD_BYTES.min(1024)]);
        let holds = |frame: &&Written| head(frame.file) && now[frame.file].holds(frame.position, &frame.bytes);
        let frames: Vec<_> = sound.frames.iter().filter(holds).collect();
        let watermark = frames.iter().map(|frame| frame.watermark).max().unwrap_or(0);
        Self { sound, frames, watermark }
    }

    fn check(&self, end: Offset, oldest: Offset, gaps: &[Range<Offset>], read: &BTreeMap<Offset, Vec<u8>>) {
        assert!(end >= self.watermark, "the log ends at {end}, and {} was durable", self.watermark);
        for (base, body) in read {
            let written = self.sound.frames.iter().find(|frame| frame.base == *base);
            let is_written = written.is_some_and(|frame| frame.bytes[FRAME_HEADER_BYTES..] == *body);
            assert!(is_written, "what is read at {base} was never written");
        }
        for frame in self.frames.iter().filter(|frame| frame.end <= self.watermark && frame.base >= oldest) {
            assert!(read.contains_key(&frame.base), "{} to {} is there and not served", frame.base, frame.end);
        }
        for frame in self.sound.frames.iter().filter(|frame| frame.end <= end && frame.base >= oldest) {
            let named = gaps.iter().any(|gap| gap.start <= frame.base && frame.end <= gap.end);
            assert!(named != read.contains_key(&frame.base), "{} to {}: gaps {gaps:?}", frame.base, frame.end);
        }
    }

    /// Opens the log, reads it, appends, and opens it again.
    fn go_on(&self, disk: &FaultDisk) {
        let (journal, log) = open(disk).expect("damage does not keep a log from opening");
        let (mut read, mut gaps) = read_past_gaps(&log);
        self.check(log.end(), log.oldest(), &gaps, &read);
        let (base, body) = (log.end(), b"goes on".to_vec());
        let appended = log.append(Batch::from_body(1, &body), None);
        assert!(matches!(appended, Append::Accepted { base: at, .. } if at == base), "{appended:?}");
        log.sync().expect("a disk without failures");
        journal.close();
        drop((log, journal));
        let (journal, log) = open(disk).expect("what was put right opens");
        read.insert(base, body);
        let again = read_past_gaps(&log);
        gaps.retain(|gap| gap.end > log.oldest());
        assert_eq!(again, (read, gaps), "a second start reads something else");
        journal.close();
    }
}

/// Damage under good checksums: it may be believed or refused, and nothing more.
fn forged(disk: &FaultDisk, opens: bool) {
    // A header may claim any length of its file.
    disk.set_capacity(1 << 20);
    drop(inspect::check(disk, Path::new(DIR), &mut |_| ()));
    drop(inspect::dump(disk, Path::new(DIR), (Topic::Raw, Partition(0)), 0, &mut |_| true));
    if let (true, Ok((journal, log))) = (opens, open(disk)) {
        for from in [log.oldest(), log.durable().saturating_sub(1)] {
            drop(log.read(from, 1 << 16));
        }
        journal.close();
    }
}

/// Gives every header record and frame of a segment checksums that fit its bytes (`journal`'s segment.rs, frame.rs).
fn forge(file: &mut Damaged) {
    let Damaged::Bytes(bytes) = file else { return };
    for at in [0, 512] {
        if let Some(record) = bytes.get_mut(at..at + 64).filter(|record| record.starts_with(b"Tw")) {
            let crc = crc32c::crc32c(&record[..60]);
            record[60..].copy_from_slice(&crc.to_le_bytes());
        }
    }
    for at in (HEAD_BYTES..bytes.len().saturating_sub(FRAME_HEADER_BYTES)).step_by(512) {
        if !bytes[at..].starts_with(b"TwFr") {
            continue;
        }
        let crc = crc32c::crc32c(&bytes[at..at + 56]);
        bytes[at + 56..at + 60].copy_from_slice(&crc.to_le_bytes());
        let len = u32::from_le_bytes([bytes[at + 28], bytes[at + 29], bytes[at + 30], bytes[at + 31]]) as usize;
        let body = at + FRAME_HEADER_BYTES;
        let body = &bytes[body..bytes.len().min(body.saturating_add(len))];
        let crc = crc32c::crc32c_append(crc32c::crc32c(body), &bytes[at..at + 60]);
        bytes[at + 60..at + 64].copy_from_slice(&crc.to_le_bytes());
    }
}

fn open(disk: &FaultDisk) -> Result<(Journal, Log), Error> {
    let config = JournalConfig {
        segment_bytes: SEGMENT_BYTES,
        tail_bytes_max: 4096,
        commits_in_flight_max: 1,
        ..JournalConfig::new(PathBuf::from(DIR))
    };
    let (journal, _) = Journal::open(config, Arc::new(disk.clone()), Clock::manual(0))?;
    let log = journal.log(Topic::Raw, Partition(0))?;
    Ok((journal, log))
}

type Read = (BTreeMap<Offset, Vec<u8>>, Vec<Range<Offset>>);

fn read_past_gaps(log: &Log) -> Read {
    let (mut read, mut gaps, mut from) = (BTreeMap::new(), Vec::new(), log.oldest());
    loop {
        match log.read(from, 4096) {
            Err(Error::Corrupt { from: start, to }) => {
                assert!(start <= from && to > from, "a gap that leads nowhere");
                gaps.push(start..to);
                from = to;
            }
            Ok(frames) => {
                let Some(last) = frames.last() else { return (read, gaps) };
                from = last.end();
                read.extend(frames.iter().map(|frame| (frame.base, frame.batch.body().to_vec())));
            }
            Err(error) => panic!("{error}"),
        }
    }
}
