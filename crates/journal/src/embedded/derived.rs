//! Derived topics: the appender writes, nobody waits for the disk, and a sync comes when somebody asks for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::{Batch, DiskFile};

use super::segment::Segment;
use super::{Shared, State};
use crate::frame::Header;
use crate::segment::{self as layout, BEGINNING_AT};
use crate::{Append, Error, SegmentId};

/// What a derived log's appender has written to.
#[derive(Default)]
pub(super) struct Writer {
    /// The segments that hold unsynced frames, the current one last.
    unsynced: Vec<(Arc<Segment>, Arc<dyn DiskFile>)>,
}

impl Shared {
    /// Writes a batch; it is visible on return.
    pub(super) fn append_derived(&self, mut batch: Batch, bound_for: Option<SegmentId>) -> Append {
        let mut writer = self.writer.lock().expect("no holder of this lock panics");
        let room = layout::frame_room(batch.frame().len());
        let segment = match self.segment_with_room(room) {
            Ok(segment) => segment,
            Err(error) => return Append::Refused { batch, error },
        };
        if bound_for.is_some_and(|bound_for| bound_for != segment.id) {
            return Append::Rolled(batch);
        }
        if let Err(error) = self.write_derived(&mut writer, &segment, &mut batch) {
            // Nothing of it counts yet, and the next attempt writes to the same place.
            if let Error::Full { .. } = error {
                self.state().obstacle = Some(error.clone());
                return Append::Refused { batch, error };
            }
            self.poison(&mut self.state(), error.clone());
            self.watermark.announce();
            return Append::Refused { batch, error: error.poisoned_by() };
        }
        self.publish(batch, room)
    }

    /// The current segment, or a new one if a frame of `room` bytes does not fit.
    fn segment_with_room(&self, room: u64) -> Result<Arc<Segment>, Error> {
        let (id, spare) = {
            let mut state = self.state();
            self.check_open(&state, room)?;
            if let Some(segment) = state.current_with_room(room) {
                return Ok(segment);
            }
            if state.prepared.is_some() {
                self.roll(&mut state)?;
                return Ok(state.current_with_room(room).expect("a new segment has room for what is not too large"));
            }
            (state.next_id(), state.take_spare())
        };
        let made = self.prepare(id, spare);
        let mut state = self.state();
        self.note_prepared(&mut state, made);
        if let Some(poison) = &state.poison {
            return Err(poison.clone());
        }
        self.roll(&mut state)?;
        Ok(state.current_with_room(room).expect("a new segment has room for what is not too large"))
    }

    /// Only the holder of the writer changes position, end and beginning of a derived log.
    fn write_derived(&self, writer: &mut Writer, segment: &Arc<Segment>, batch: &mut Batch) -> Result<(), Error> {
        let (base, position, begin) = {
            let state = self.state();
            (state.end, state.position, state.begin)
        };
        let file = writer.file(segment);
        let synced = self.synced.load(Ordering::Acquire);
        if begin {
            let beginning = segment.beginning(synced).encode();
            file.write_at(&beginning, BEGINNING_AT).map_err(Error::io("write", &segment.path))?;
        }
        Header::of(batch, segment.generation, base, synced, position).seal(batch);
        file.write_at(batch.frame(), position).map_err(Error::io("write", &segment.path))
    }

    fn publish(&self, batch: Batch, room: u64) -> Append {
        let mut state = self.state();
        let (base, end, place) = (state.end, state.end + u64::from(batch.count()), state.place());
        if let Some(segment) = state.segments.back() {
            segment.mark(base, state.position);
        }
        state.tail.push(base, place, Arc::new(batch));
        state.begin = false;
        state.obstacle = None;
        state.position += room;
        state.end = end;
        state.batches += 1;
        let gone = state.tail.shrink(self.tail_bytes_max);
        self.watermark.set(end);
        drop(state);
        drop(gone);
        self.watermark.announce();
        Append::Accepted { base, end }
    }

    /// Syncs every file written to since the last sync.
    pub(super) fn sync_derived(&self) -> Result<(), Error> {
        let _one_at_a_time = self.upkeep.lock().expect("no holder of this lock panics");
        let (files, end) = {
            let mut writer = self.writer.lock().expect("no holder of this lock panics");
            let state = self.state();
            if let Some(poison) = &state.poison {
                return Err(poison.clone());
            }
            (std::mem::take(&mut writer.unsynced), state.end)
        };
        for (segment, file) in &files {
            if let Err(error) = file.sync_data().map_err(Error::io("sync", &segment.path)) {
                self.poison(&mut self.state(), error.clone());
                self.watermark.announce();
                return Err(error.poisoned_by());
            }
        }
        self.synced.store(end, Ordering::Release);
        self.state().commits += u64::from(!files.is_empty());
        Ok(())
    }
}

impl Writer {
    fn file(&mut self, segment: &Arc<Segment>) -> Arc<dyn DiskFile> {
        let file = segment.file(0);
        if self.unsynced.last().is_none_or(|(last, _)| last.id != segment.id) {
            self.unsynced.push((segment.clone(), file.clone()));
        }
        file
    }
}

impl State {
    fn current_with_room(&self, room: u64) -> Option<Arc<Segment>> {
        self.segments.back().filter(|_| self.room() >= room).cloned()
    }
}
