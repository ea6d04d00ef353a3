//! Mending a journal that nobody has open: what is to be done, as steps that a person can read before they are taken.
//!
//! A server does most of it by itself when it opens a log. What it does not do is keep what it cannot use: here, bytes that
//! are cut off or cannot be read are copied into files of their own first (`damaged-…`, which no log reads), since nobody can
//! prove that they were never acknowledged when the disk has lost what would prove it. Nothing is deleted. Taking the steps
//! can be cut off anywhere and done again.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use model::{Disk, DiskFile, OpenMode, Partition};

use crate::log::Gap;
use crate::recovery::survey::{self, Depth, KEPT_PREFIX, Survey, Surveyed};
use crate::recovery::verdict::{self, Verdict};
use crate::recovery::{self, repair};
use crate::segment::SEGMENT_HEAD_BYTES;
use crate::{Error, Topic};

/// Bytes copied at once.
const COPY_BYTES: u64 = 1 << 20;

/// What is to be done about one log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogPlan {
    pub topic: Topic,
    pub partition: Partition,
    /// In this order.
    pub steps: Vec<Step>,
    /// Offsets that were durable and cannot be read, whatever is done: only a copy of the files has them.
    pub lost: Vec<Gap>,
}

/// One thing to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Copy bytes that cannot be read, or are about to be cut off, into a file of their own.
    Keep { path: PathBuf, bytes: Range<u64>, to: PathBuf },
    /// Rename a file that is no segment any more.
    SetAside { path: PathBuf, bytes: u64, to: PathBuf },
    /// Zero what stands behind the log's end, `batches` whole batches among it.
    Cut { path: PathBuf, bytes: Range<u64>, batches: u64 },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep { path, bytes, to } => {
                write!(f, "copy bytes {} to {} of {} to {}", bytes.start, bytes.end, path.display(), to.display())
            }
            Self::SetAside { path, bytes, to } => {
                let (path, to) = (path.display(), to.display());
                write!(f, "rename {path} ({bytes} bytes), which is no segment that can be read, to {to}")
            }
            Self::Cut { path, bytes, batches } => {
                let (from, to, path) = (bytes.start, bytes.end, path.display());
                write!(f, "cut bytes {from} to {to} of {path}: nothing says that they were durable")?;
                if *batches > 0 { write!(f, " ({batches} whole batches behind a hole)") } else { Ok(()) }
            }
        }
    }
}

/// Says what is to be done; changes nothing. `progress` is told the bytes read since it was last called.
pub fn plan(disk: &dyn Disk, dir: &Path, progress: &mut dyn FnMut(u64)) -> Result<Vec<LogPlan>, Error> {
    let logs = recovery::logs_present(disk, dir)?;
    logs.into_iter().map(|log| Ok(Found::look(disk, dir, log, progress)?.plan())).collect()
}

/// Does it, and gives back what was done. Only for a journal that no server has open.
pub fn apply(
    disk: &dyn Disk,
    dir: &Path,
    segment_bytes: u64,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<LogPlan>, Error> {
    let mut plans = Vec::new();
    for log in recovery::logs_present(disk, dir)? {
        let found = Found::look(disk, dir, log, progress)?;
        let plan = found.plan();
        for step in &plan.steps {
            match step {
                Step::Keep { path, bytes, to } => keep(disk, path, bytes.clone(), to)?,
                Step::SetAside { path, to, .. } => disk.rename(path, to).map_err(Error::io("rename", path))?,
                // The repair that follows does it, with what else an opening log needs.
                Step::Cut { .. } => {}
            }
        }
        if !plan.steps.is_empty() {
            disk.sync_dir(&found.dir).map_err(Error::io("sync", &found.dir))?;
            let Found { survey, verdict, dir, .. } = Found::look(disk, dir, log, progress)?;
            let _repaired = repair::repair(disk, &dir, &survey, &verdict, segment_bytes)?;
        }
        plans.push(plan);
    }
    Ok(plans)
}

/// Makes a durable copy, unless there is one.
fn keep(disk: &dyn Disk, path: &Path, bytes: Range<u64>, to: &Path) -> Result<(), Error> {
    let from = disk.open(path, OpenMode::Read).map_err(Error::io("open", path))?;
    let copy = match disk.open(to, OpenMode::CreateNew) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => disk.open(to, OpenMode::ReadWrite),
        answer => answer,
    };
    let copy = copy.map_err(Error::io("create", to))?;
    let done = copy_bytes(from.as_ref(), bytes, copy.as_ref()).and_then(|()| copy.sync_data());
    done.map_err(Error::io("write", to))
}

fn copy_bytes(from: &dyn DiskFile, bytes: Range<u64>, to: &dyn DiskFile) -> std::io::Result<()> {
    let mut at = bytes.start;
    while at < bytes.end {
        let mut buffer = vec![0; COPY_BYTES.min(bytes.end - at) as usize];
        let read = from.read_at(&mut buffer, at)?;
        if read == 0 {
            break;
        }
        to.write_at(&buffer[..read], at - bytes.start)?;
        at += read as u64;
    }
    Ok(())
}

/// One log as it stands.
struct Found {
    log: (Topic, Partition),
    dir: PathBuf,
    survey: Survey,
    verdict: Verdict,
}

impl Found {
    fn look(
        disk: &dyn Disk,
        dir: &Path,
        log: (Topic, Partition),
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self, Error> {
        let dir = recovery::log_dir(dir, log.0, log.1);
        let survey = survey::survey(disk, &dir, log, Depth::Everything, progress)?;
        let verdict = verdict::verdict(&survey);
        Ok(Self { log, dir, survey, verdict })
    }

    fn plan(&self) -> LogPlan {
        let mut plan = LogPlan { topic: self.log.0, partition: self.log.1, steps: Vec::new(), lost: Vec::new() };
        for (number, segment) in self.survey.segments.iter().enumerate() {
            if segment.is_unreadable() {
                self.set_aside(segment, &mut plan);
                continue;
            }
            if number < self.verdict.kept {
                self.keep_holes(number, segment, &mut plan);
            }
            self.cut(number, segment, &mut plan);
        }
        // What no segment that can be read has a place for.
        for offsets in &self.verdict.corrupt {
            if !plan.lost.iter().any(|gap| gap.offsets.start < offsets.end && offsets.start < gap.offsets.end) {
                plan.lost.push(Gap { offsets: offsets.clone(), place: None });
            }
        }
        plan
    }

    fn set_aside(&self, segment: &Surveyed, plan: &mut LogPlan) {
        if segment.file_len > 0 {
            let (path, to) = (segment.path.clone(), self.dir.join(format!("{KEPT_PREFIX}{:016x}", segment.id)));
            plan.steps.push(Step::SetAside { path, bytes: segment.file_len, to });
        }
    }

    /// Offsets below the watermark that no intact frame of the segment holds: the bytes stay where they are, and are copied.
    fn keep_holes(&self, number: usize, segment: &Surveyed, plan: &mut LogPlan) {
        let Some(base) = segment.base else { return };
        let bound = self.survey.segments[number + 1..].iter().find_map(|next| next.base).unwrap_or(self.verdict.end);
        let (mut expected, mut position) = (base, SEGMENT_HEAD_BYTES);
        for frame in segment.frames().iter().filter(|frame| frame.end() <= bound) {
            if frame.base > expected && expected < self.survey.watermark {
                self.keep_hole(segment, expected..frame.base, position..frame.position, plan);
            }
            (expected, position) = (frame.end(), frame.next_position());
        }
        if expected < bound.min(self.survey.watermark) {
            let end = verdict::torn_end(segment, position);
            self.keep_hole(segment, expected..bound, position..end, plan);
        }
    }

    fn keep_hole(&self, segment: &Surveyed, offsets: Range<u64>, bytes: Range<u64>, plan: &mut LogPlan) {
        let path = segment.path.clone();
        plan.lost.push(Gap { offsets, place: Some((path, bytes.clone())) });
        if bytes.end > bytes.start {
            plan.steps.extend(self.kept(segment, bytes));
        }
    }

    /// A copy, unless an earlier repair has made it.
    fn kept(&self, segment: &Surveyed, bytes: Range<u64>) -> Option<Step> {
        let to = self.dir.join(format!("{KEPT_PREFIX}{:016x}-{:016x}", segment.id, bytes.start));
        let there = self.survey.kept.contains(&to);
        (!there).then(|| Step::Keep { path: segment.path.clone(), bytes, to })
    }

    /// What stands behind the log's end in this segment.
    fn cut(&self, number: usize, segment: &Surveyed, plan: &mut LogPlan) {
        let from = match self.verdict.resume_at {
            Some(position) if number + 1 == self.verdict.kept => position,
            _ if number >= self.verdict.kept => SEGMENT_HEAD_BYTES,
            _ => return,
        };
        let bytes = from..verdict::torn_end(segment, from);
        if bytes.end > bytes.start {
            let batches = segment.frames().iter().filter(|frame| frame.position >= from).count() as u64;
            plan.steps.extend(self.kept(segment, bytes.clone()));
            plan.steps.push(Step::Cut { path: segment.path.clone(), bytes, batches });
        }
    }
}
