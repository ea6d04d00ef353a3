//! What stands in a log's directory. Nothing is changed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{Disk, DiskFile, Offset, OpenMode, Partition};

use crate::frame::Header;
use crate::scan::{self, Scan};
use crate::segment::{self, BEGINNING_AT, Beginning, FileName, HEAD_RECORD_BYTES, Identity, SEGMENT_HEAD_BYTES};
use crate::{Error, SegmentId, Topic};

/// What the names begin with of files that hold what could not be read. No log reads them.
pub(crate) const KEPT_PREFIX: &str = "damaged-";

/// How far to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Depth {
    /// From the newest segment back to one whose beginning is known to be durable: what opening needs.
    Needed,
    /// Every frame of every segment.
    Everything,
}

/// A log's directory.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// By id, oldest first. The scanned ones are the last ones, with [`Depth::Everything`] all.
    pub(crate) segments: Vec<Surveyed>,
    pub(crate) spares: Vec<u64>,
    /// Copies and files that a repair has set aside.
    pub(crate) kept: Vec<PathBuf>,
    /// The highest watermark in any intact frame or beginning that was looked at.
    pub(crate) watermark: Offset,
}

impl Survey {
    /// When the newest segment was begun: the log time goes on from there.
    pub(crate) fn log_time(&self) -> Duration {
        self.segments.iter().map(Surveyed::log_time).max().unwrap_or(Duration::ZERO)
    }

    /// Offsets ascend with segments. One that begins before the segment ahead of it is from a disk that lost writes it had
    /// confirmed: nothing in it can be addressed, and no offset may be given away twice.
    fn pass_over_misplaced(&mut self) {
        let mut highest = 0;
        for segment in &mut self.segments {
            match segment.base {
                Some(base) if base < highest => {
                    segment.misplaced = true;
                    (segment.base, segment.generation, segment.scan) = (None, None, None);
                }
                base => highest = highest.max(base.unwrap_or(0)),
            }
        }
    }

    /// What is wrong with heads, one sentence each. A segment without a beginning is sound if it was only made ready, or
    /// begun and not durable.
    pub(crate) fn damage(&self) -> impl Iterator<Item = String> + '_ {
        self.segments.iter().filter_map(|segment| {
            let path = segment.path.display();
            match (&segment.identity, &segment.beginning) {
                _ if segment.file_len == 0 => Some(format!("{path} is empty")),
                _ if segment.misplaced => Some(format!("{path} begins before the segment ahead of it; it is not used")),
                _ if segment.is_unreadable() => Some(format!("{path} has no readable head")),
                (None, _) => {
                    Some(format!("{path} has a damaged identity (bytes 0 to 64); its frames are read all the same"))
                }
                (_, None) if segment.base.is_some_and(|base| base < self.watermark) => {
                    Some(format!("{path} has a damaged beginning (bytes 512 to 576); its frames are read all the same"))
                }
                _ => None,
            }
        })
    }
}

/// One segment file.
#[derive(Debug)]
pub(crate) struct Surveyed {
    pub(crate) id: SegmentId,
    pub(crate) path: PathBuf,
    pub(crate) identity: Option<Identity>,
    pub(crate) beginning: Option<Beginning>,
    /// `None` if neither head record nor the first frame is intact: then nothing in the file can be told apart.
    pub(crate) generation: Option<u64>,
    /// `None` if it was prepared and never begun, or nothing says where.
    pub(crate) base: Option<Offset>,
    pub(crate) scan: Option<Scan>,
    pub(crate) file_len: u64,
    /// It begins before the segment ahead of it.
    misplaced: bool,
}

impl Surveyed {
    /// A segment with both heads intact.
    #[cfg(test)]
    pub(super) fn sound(id: SegmentId, identity: Identity, beginning: Option<Beginning>, scan: Option<Scan>) -> Self {
        Self {
            id,
            path: segment::path(Path::new("/log"), id),
            identity: Some(identity),
            beginning,
            generation: Some(identity.generation),
            base: beginning.map(|beginning| beginning.base),
            scan,
            file_len: identity.file_bytes,
            misplaced: false,
        }
    }

    /// Nothing in it can be read, although something is there.
    pub(crate) fn is_unreadable(&self) -> bool {
        self.generation.is_none()
    }

    /// When it was begun.
    pub(crate) fn log_time(&self) -> Duration {
        self.beginning.map_or(Duration::ZERO, |beginning| beginning.log_time)
    }

    /// The highest watermark that anything intact in it says; 0 if nothing does.
    fn watermark(&self) -> Offset {
        let frames = self.frames().iter().map(|header| header.watermark);
        frames.chain(self.beginning.map(|beginning| beginning.watermark)).max().unwrap_or(0)
    }

    /// Frames that were found; none if it was not scanned.
    pub(crate) fn frames(&self) -> &[Header] {
        self.scan.as_ref().map_or(&[], |scan| &scan.frames)
    }
}

/// Looks at the log in `dir`. `progress` is told the bytes of each scanned file.
pub(crate) fn survey(
    disk: &dyn Disk,
    dir: &Path,
    (topic, partition): (Topic, Partition),
    depth: Depth,
    progress: &mut dyn FnMut(u64),
) -> Result<Survey, Error> {
    let mut survey = Survey::default();
    for entry in disk.list(dir).map_err(Error::io("list", dir))? {
        match FileName::parse(&entry.name) {
            FileName::Segment(id) => survey.segments.push(look_at_head(disk, dir, id, (topic, partition))?),
            FileName::Spare(id) => survey.spares.push(id),
            FileName::Other if entry.name.starts_with(KEPT_PREFIX) => survey.kept.push(dir.join(&entry.name)),
            FileName::Other => {}
        }
    }
    let mut settled = false;
    for segment in survey.segments.iter_mut().rev() {
        if !settled || segment.base.is_none() {
            scan_segment(disk, segment)?;
            progress(segment.file_len);
        }
        survey.watermark = survey.watermark.max(segment.watermark());
        // Everything before a beginning that is below the watermark is durable: no tail can be torn there.
        settled |= depth == Depth::Needed && segment.base.is_some_and(|base| base <= survey.watermark);
    }
    survey.pass_over_misplaced();
    Ok(survey)
}

fn look_at_head(disk: &dyn Disk, dir: &Path, id: SegmentId, log: (Topic, Partition)) -> Result<Surveyed, Error> {
    let path = segment::path(dir, id);
    let file = disk.open(&path, OpenMode::Read).map_err(Error::io("open", &path))?;
    let file_len = file.len().map_err(Error::io("measure", &path))?;
    let identity = Identity::decode(&read_record(file.as_ref(), 0, &path)?, &path)?
        .filter(|identity| identity.id == id && (identity.topic, identity.partition) == log);
    let named = identity.map(|identity| identity.generation);
    let beginning = Beginning::decode(&read_record(file.as_ref(), BEGINNING_AT, &path)?, &path)?
        .filter(|beginning| beginning.id == id && named.is_none_or(|generation| generation == beginning.generation));
    let named = named.or(beginning.map(|beginning| beginning.generation));
    let first = Header::decode(&read_record(file.as_ref(), SEGMENT_HEAD_BYTES, &path)?)
        .filter(|header| header.position == SEGMENT_HEAD_BYTES)
        .filter(|header| named.is_none_or(|generation| generation == header.generation));
    let generation = named.or(first.map(|header| header.generation));
    let base = beginning.map(|beginning| beginning.base).or(first.map(|header| header.base));
    Ok(Surveyed { id, path, identity, beginning, generation, base, scan: None, file_len, misplaced: false })
}

/// The record at `position`, shorter at the end of the file.
fn read_record(file: &dyn DiskFile, position: u64, path: &Path) -> Result<Vec<u8>, Error> {
    let mut record = vec![0; HEAD_RECORD_BYTES];
    let read = file.read_at(&mut record, position).map_err(Error::io("read", path))?;
    record.truncate(read);
    Ok(record)
}

fn scan_segment(disk: &dyn Disk, segment: &mut Surveyed) -> Result<(), Error> {
    let Some(generation) = segment.generation else { return Ok(()) };
    let path = &segment.path;
    let file = disk.open(path, OpenMode::Read).map_err(Error::io("open", path))?;
    let scan = scan::segment(file.as_ref(), generation).map_err(Error::io("read", path))?;
    segment.base = segment.base.or(scan.frames.first().map(|header| header.base));
    segment.scan = Some(scan);
    Ok(())
}
