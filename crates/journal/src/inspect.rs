//! Looking into a journal's directory without opening it: for `tidewater journal check` and `dump`. Nothing is changed.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Batch, Blocks, Disk, Offset, OpenMode, Partition};

use crate::recovery::survey::{self, Depth, Survey};
use crate::recovery::{self, verdict};
use crate::{Error, Frame, SegmentId, Topic};

/// What one log looks like, every frame of it read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogReport {
    pub topic: Topic,
    pub partition: Partition,
    pub oldest: Offset,
    pub end: Offset,
    /// Highest offset that some frame says was durable when it was written.
    pub watermark: Offset,
    pub segments: Vec<SegmentReport>,
    /// Durable once, unreadable now.
    pub corrupt: Vec<Range<Offset>>,
    /// What opening would cut from the end.
    pub torn_bytes: u64,
    pub torn_batches: u64,
    pub torn_at: Option<(PathBuf, u64)>,
    /// What else is wrong with files, one sentence each.
    pub damage: Vec<String>,
}

impl LogReport {
    /// Whether nothing that was durable is missing. A torn tail is no damage: it was never acknowledged.
    pub fn is_sound(&self) -> bool {
        self.corrupt.is_empty() && self.damage.is_empty()
    }
}

/// One segment file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentReport {
    pub id: SegmentId,
    pub path: PathBuf,
    pub file_bytes: u64,
    /// `None` if it was made ready and never begun.
    pub base: Option<Offset>,
    /// Intact frames.
    pub frames: u64,
    /// Bytes of intact frames.
    pub frame_bytes: u64,
    /// Frames whose header is intact and whose body is not.
    pub broken: u64,
    /// When the file was made ready (Unix ms).
    pub made_ms: Option<i64>,
}

/// One frame, as [`dump`] visits it.
#[derive(Clone, Debug)]
pub struct DumpedFrame {
    pub segment: SegmentId,
    /// In the segment's file.
    pub position: u64,
    /// The watermark when it was written.
    pub watermark: Offset,
    pub frame: Frame,
}

/// Reads everything below a journal's directory. `progress` is told the bytes read since it was last called.
pub fn check(disk: &dyn Disk, dir: &Path, progress: &mut dyn FnMut(u64)) -> Result<Vec<LogReport>, Error> {
    let logs = recovery::logs_present(disk, dir)?;
    logs.into_iter().map(|log| check_log(disk, dir, log, progress)).collect()
}

fn check_log(
    disk: &dyn Disk,
    dir: &Path,
    (topic, partition): (Topic, Partition),
    progress: &mut dyn FnMut(u64),
) -> Result<LogReport, Error> {
    let dir = recovery::log_dir(dir, topic, partition);
    let survey = survey::survey(disk, &dir, (topic, partition), Depth::Everything, progress)?;
    let verdict = verdict::verdict(&survey);
    Ok(LogReport {
        topic,
        partition,
        oldest: survey.segments.iter().find_map(|segment| segment.base).unwrap_or(verdict.end),
        end: verdict.end,
        watermark: survey.watermark,
        segments: segment_reports(&survey),
        corrupt: verdict.corrupt,
        torn_bytes: verdict.torn_bytes,
        torn_batches: verdict.torn_batches,
        torn_at: verdict.torn_at,
        damage: survey.damage().collect(),
    })
}

fn segment_reports(survey: &Survey) -> Vec<SegmentReport> {
    let report = |segment: &survey::Surveyed| SegmentReport {
        id: segment.id,
        path: segment.path.clone(),
        file_bytes: segment.file_len,
        base: segment.base,
        frames: segment.frames().len() as u64,
        frame_bytes: segment.frames().iter().map(|header| header.frame_len() as u64).sum(),
        broken: segment.scan.as_ref().map_or(0, |scan| scan.broken.len() as u64),
        made_ms: segment.identity.map(|identity| identity.made_ms),
    };
    survey.segments.iter().map(report).collect()
}

/// Visits the intact frames of one log from the one that holds `from` on, in order, until `visit` says false. Frames
/// behind a hole are visited too; a torn tail is not.
pub fn dump(
    disk: &dyn Disk,
    dir: &Path,
    (topic, partition): (Topic, Partition),
    from: Offset,
    visit: &mut dyn FnMut(DumpedFrame) -> bool,
) -> Result<(), Error> {
    let dir = recovery::log_dir(dir, topic, partition);
    let survey = survey::survey(disk, &dir, (topic, partition), Depth::Everything, &mut |_| ())?;
    let end = verdict::verdict(&survey).end;
    let mut reached = from;
    for segment in &survey.segments {
        let file = disk.open(&segment.path, OpenMode::Read).map_err(Error::io("open", &segment.path))?;
        for header in segment.frames().iter().filter(|header| header.end() > from && header.end() <= end) {
            if header.base < reached && header.end() <= reached {
                continue;
            }
            let mut bytes = Blocks::zeroed(header.frame_len());
            file.read_at(&mut bytes, header.position).map_err(Error::io("read", &segment.path))?;
            reached = header.end();
            let batch = Arc::new(Batch::from_frame(header.count, bytes));
            let frame = Frame { base: header.base, batch };
            let dumped =
                DumpedFrame { segment: segment.id, position: header.position, watermark: header.watermark, frame };
            if !visit(dumped) {
                return Ok(());
            }
        }
    }
    Ok(())
}
