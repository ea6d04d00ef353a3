//! A segment in use, as its readers and writers share it.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use model::batch::FRAME_HEADER_BYTES;
use model::{Batch, Blocks, Disk, DiskFile, Offset, OpenMode};

use crate::frame::{self, Header};
use crate::scan;
use crate::segment::{Beginning, SEGMENT_HEAD_BYTES};
use crate::{Error, Frame, Gap, SegmentId};

/// Distance of the marks of the sparse index: a look-up walks over the headers of this much.
const MARK_BYTES: u64 = 256 << 10;

/// One segment that was begun.
pub(super) struct Segment {
    pub(super) id: SegmentId,
    pub(super) path: PathBuf,
    pub(super) generation: u64,
    pub(super) base: Offset,
    pub(super) file_bytes: u64,
    /// Where it begins in bytes since the log's oldest segment at open: lag is measured in places.
    pub(super) place: u64,
    pub(super) log_time: Duration,
    /// One for each thread that writes, until everything in it is durable.
    files: Mutex<Vec<Arc<dyn DiskFile>>>,
    reader: OnceLock<Arc<dyn DiskFile>>,
    index: Mutex<Index>,
}

/// What reading has learned.
#[derive(Default)]
struct Index {
    /// (offset, position) of some frames, ascending.
    marks: Vec<(Offset, u64)>,
    gaps: Vec<Hole>,
}

/// Offsets that cannot be read, and where reading goes on behind them, if it does.
#[derive(Clone)]
struct Hole {
    offsets: Range<Offset>,
    /// Where the first of them should have stood.
    position: u64,
    next: Option<u64>,
}

/// What a new segment is made from.
pub(super) struct Begin {
    pub(super) id: SegmentId,
    pub(super) path: PathBuf,
    pub(super) generation: u64,
    pub(super) base: Offset,
    pub(super) file_bytes: u64,
    pub(super) place: u64,
    pub(super) log_time: Duration,
}

impl Segment {
    pub(super) fn new(begin: Begin) -> Self {
        Self {
            id: begin.id,
            path: begin.path,
            generation: begin.generation,
            base: begin.base,
            file_bytes: begin.file_bytes,
            place: begin.place,
            log_time: begin.log_time,
            files: Mutex::default(),
            reader: OnceLock::new(),
            index: Mutex::default(),
        }
    }

    /// Takes the handles of the threads that write.
    pub(super) fn start(&self, files: Vec<Arc<dyn DiskFile>>) {
        *self.files() = files;
    }

    /// The handle of the writing thread `number`.
    pub(super) fn file(&self, number: usize) -> Arc<dyn DiskFile> {
        let files = self.files();
        files.get(number).expect("a segment that is written to has its files open").clone()
    }

    /// Closes the writers' handles: nothing is written here any more.
    pub(super) fn finish(&self) {
        self.files().clear();
    }

    /// The head record that goes with the first frame.
    pub(super) fn beginning(&self, watermark: Offset) -> Beginning {
        let Self { id, generation, base, log_time, .. } = *self;
        Beginning { id, generation, base, watermark, log_time }
    }

    /// Tells the index of a frame that was given a place.
    pub(super) fn mark(&self, offset: Offset, position: u64) {
        self.index().mark(offset, position);
    }

    /// A position at or before the frame that holds `offset`, at most [`MARK_BYTES`] and a frame before it once the
    /// segment was read or written here.
    pub(super) fn position_near(&self, offset: Offset) -> u64 {
        self.index().floor(offset).map_or(SEGMENT_HEAD_BYTES, |(_, position)| position)
    }

    /// Frames from the one that holds `from`, up to `end`, which is durable and not above the segment's end.
    pub(super) fn read(
        &self,
        disk: &dyn Disk,
        from: Offset,
        end: Offset,
        bytes_max: usize,
    ) -> Result<Vec<Frame>, Error> {
        let file = self.reader(disk)?;
        let mut walk = Walk { segment: self, file: file.as_ref(), end, frames: Vec::new(), bytes_left: bytes_max };
        let (mut offset, mut position) = self.index().floor(from).unwrap_or((self.base, SEGMENT_HEAD_BYTES));
        let mut marked = position;
        while offset < end && walk.wants_more() {
            let gap = self.index().gap_at(offset);
            if let Some(gap) = gap {
                if from < gap.offsets.end {
                    return walk.finish_at(&gap.offsets);
                }
                (offset, position) = (gap.offsets.end, self.position_behind(&gap, file.as_ref())?);
            }
            match walk.step(position, offset, from)? {
                Some(header) => (offset, position) = (header.end(), header.next_position()),
                None => position = self.find_gap(file.as_ref(), position, offset, end)?,
            }
            if position >= marked + MARK_BYTES || !walk.wants_more() {
                self.mark(offset, position);
                marked = position;
            }
        }
        Ok(walk.frames)
    }

    /// Where reading goes on behind a gap. If nothing stood there when it was found, more was written since.
    fn position_behind(&self, gap: &Hole, file: &dyn DiskFile) -> Result<u64, Error> {
        if let Some(next) = gap.next {
            return Ok(next);
        }
        let near = self.position_near(gap.offsets.end);
        let next =
            scan::next_frame(file, self.generation, near, gap.offsets.end).map_err(Error::io("read", &self.path))?;
        Ok(next.map_or(near, |header| header.position))
    }

    /// Notes what is missing from `offset` on, because its frame is not at `position`, and gives the position to go on
    /// at.
    fn find_gap(&self, file: &dyn DiskFile, position: u64, offset: Offset, end: Offset) -> Result<u64, Error> {
        let next = scan::next_frame(file, self.generation, position, offset).map_err(Error::io("read", &self.path))?;
        let next = next.filter(|header| header.end() <= end);
        let to = next.map_or(end, |header| header.base);
        if to > offset {
            self.index().gaps.push(Hole { offsets: offset..to, position, next: next.map(|header| header.position) });
        }
        Ok(next.map_or(position, |header| header.position))
    }

    /// What readers have found missing.
    pub(super) fn gaps(&self) -> Vec<Gap> {
        let place = |hole: &Hole| (self.path.clone(), hole.position..hole.next.unwrap_or(self.file_bytes));
        let gap = |hole: &Hole| Gap { offsets: hole.offsets.clone(), place: Some(place(hole)) };
        self.index().gaps.iter().map(gap).collect()
    }

    fn reader(&self, disk: &dyn Disk) -> Result<Arc<dyn DiskFile>, Error> {
        if let Some(file) = self.reader.get() {
            return Ok(file.clone());
        }
        let file = disk.open(&self.path, OpenMode::Read).map_err(Error::io("open", &self.path))?;
        Ok(self.reader.get_or_init(|| file.into()).clone())
    }

    fn files(&self) -> MutexGuard<'_, Vec<Arc<dyn DiskFile>>> {
        self.files.lock().expect("no holder of this lock panics")
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().expect("no holder of this lock panics")
    }
}

impl Index {
    fn mark(&mut self, offset: Offset, position: u64) {
        let at = self.marks.partition_point(|mark| mark.0 < offset);
        let far = |other: Option<&(Offset, u64)>| other.is_none_or(|other| other.1.abs_diff(position) >= MARK_BYTES);
        if far(self.marks.get(at)) && far(at.checked_sub(1).map(|before| &self.marks[before])) {
            self.marks.insert(at, (offset, position));
        }
    }

    fn floor(&self, offset: Offset) -> Option<(Offset, u64)> {
        let at = self.marks.partition_point(|mark| mark.0 <= offset);
        Some(self.marks[at.checked_sub(1)?])
    }

    fn gap_at(&self, offset: Offset) -> Option<Hole> {
        self.gaps.iter().find(|gap| gap.offsets.contains(&offset)).cloned()
    }
}

/// One reading of a segment.
struct Walk<'a> {
    segment: &'a Segment,
    file: &'a dyn DiskFile,
    /// Offsets from here on are another segment's, or not durable.
    end: Offset,
    frames: Vec<Frame>,
    bytes_left: usize,
}

impl Walk<'_> {
    fn wants_more(&self) -> bool {
        self.frames.is_empty() || self.bytes_left > 0
    }

    /// Passes or takes the frame at `position`, which should begin at `offset`; `None` if it is not there intact, or,
    /// past the first, if it does not fit any more.
    fn step(&mut self, position: u64, offset: Offset, from: Offset) -> Result<Option<Header>, Error> {
        let mut head = [0; FRAME_HEADER_BYTES];
        self.fill(&mut head, position)?;
        let fits = |header: &Header| {
            let placed = header.generation == self.segment.generation && header.position == position;
            // A length is believed, and memory taken for it, only as far as the file goes.
            let within = header.frame_len() as u64 <= self.segment.file_bytes;
            placed && within && header.base == offset && header.end() <= self.end
        };
        let Some(header) = Header::decode(&head).filter(fits) else { return Ok(None) };
        if header.end() <= from {
            return Ok(Some(header));
        }
        let mut frame = Blocks::zeroed(header.frame_len());
        let read = self.fill(&mut frame, position)?;
        if !frame::is_intact_as(&frame[..read], &header) {
            return Ok(None);
        }
        self.bytes_left = self.bytes_left.saturating_sub(frame.len());
        self.frames.push(Frame { base: header.base, batch: Arc::new(Batch::from_frame(header.count, frame)) });
        Ok(Some(header))
    }

    /// A gap ends the reading: what was read before it is the answer, else the gap is.
    fn finish_at(self, gap: &Range<Offset>) -> Result<Vec<Frame>, Error> {
        if self.frames.is_empty() { Err(Error::Corrupt { from: gap.start, to: gap.end }) } else { Ok(self.frames) }
    }

    fn fill(&self, buf: &mut [u8], position: u64) -> Result<usize, Error> {
        self.file.read_at(buf, position).map_err(Error::io("read", &self.segment.path))
    }
}
