//! Taking batches in: offsets and places are given out under the lock, the rest is the sync threads' work.

use std::sync::Arc;

use model::{Batch, limits};

use super::segment::{Begin, Segment};
use super::{Pending, Queued, Shared, State};
use crate::segment::{self as layout, SEGMENT_HEAD_BYTES};
use crate::{Append, Error, SegmentId};

/// What a batch takes at most that is not one giant payload.
pub(crate) const BATCH_ROOM: u64 = (limits::BATCH_BYTES_MAX + limits::PAYLOAD_BYTES_MAX) as u64;

/// How far back a roll looks for segments to finish: what the commits in flight can reach over, and more.
const FINISH_SEGMENTS: usize = 16;

/// Bytes that may be accepted and not durable before no slot counts as free: as much as the commits in flight can be.
/// More than commits hold it, when a late one keeps those behind it from becoming durable.
pub(super) fn pending_bytes_max(commits_max: usize) -> usize {
    commits_max * limits::BATCH_BYTES_MAX
}

impl Shared {
    pub(super) fn append(&self, batch: Batch, bound_for: Option<SegmentId>) -> Append {
        let mut state = self.state();
        let room = layout::frame_room(batch.frame().len());
        if let Err(error) = self.admit(&mut state, room) {
            return Append::Refused { batch, error };
        }
        if bound_for.is_some_and(|bound_for| state.segments.back().is_none_or(|current| current.id != bound_for)) {
            return Append::Rolled(batch);
        }
        let (base, end) = state.accept(batch, room);
        self.note_slot(&state);
        drop(state);
        self.work.notify_one();
        Append::Accepted { base, end }
    }

    /// Checks that a frame of `room` bytes can be taken, and makes room for it.
    fn admit(&self, state: &mut State, room: u64) -> Result<(), Error> {
        self.check_open(state, room)?;
        if state.pending_bytes as u64 + room > 2 * pending_bytes_max(self.commits_max) as u64 {
            return Err(Error::Busy);
        }
        if room > state.room() {
            let rolled = self.roll(state);
            self.needed.notify_one();
            self.note_slot(state);
            rolled?;
        }
        Ok(())
    }

    /// Refuses what will not be taken, whatever the load.
    pub(super) fn check_open(&self, state: &State, room: u64) -> Result<(), Error> {
        let bytes_max = self.segment_bytes - SEGMENT_HEAD_BYTES;
        if let Some(poison) = &state.poison {
            return Err(poison.clone());
        }
        if state.closing {
            return Err(Error::Closed);
        }
        if room > bytes_max {
            return Err(Error::TooLarge { bytes: room, bytes_max });
        }
        Ok(())
    }

    /// Closes the writers' handles on segments in which everything is durable; a few segments have theirs open at most.
    fn finish_durable(&self, state: &State) {
        let durable = self.watermark.get();
        let closed = state.segments.iter().zip(state.segments.iter().skip(1)).rev().take(FINISH_SEGMENTS);
        closed.filter(|(_, next)| next.base <= durable).for_each(|(segment, _)| segment.finish());
    }

    /// Begins the segment that was made ready. Its beginning is written with its first frame.
    pub(super) fn roll(&self, state: &mut State) -> Result<(), Error> {
        let Some(prepared) = state.prepared.take() else {
            state.retry = true;
            return Err(state.obstacle.clone().map_or(Error::Busy, Error::no_segment));
        };
        let begin = Begin {
            id: prepared.id,
            path: layout::path(&self.dir, prepared.id),
            generation: prepared.generation,
            base: state.end,
            file_bytes: self.segment_bytes,
            place: state.place(),
            log_time: self.log_time(),
        };
        self.finish_durable(state);
        let segment = Segment::new(begin);
        segment.start(prepared.files);
        state.segments.push_back(Arc::new(segment));
        state.position = SEGMENT_HEAD_BYTES;
        state.begin = true;
        Ok(())
    }
}

impl State {
    fn accept(&mut self, batch: Batch, room: u64) -> (u64, u64) {
        let segment = self.segments.back().expect("a frame that fits has a segment").clone();
        let (base, end) = (self.end, self.end + u64::from(batch.count()));
        let (place, bytes) = (self.place(), batch.frame().len());
        segment.mark(base, self.position);
        let sequence = self.pending_first + self.pending.len() as u64;
        self.pending.push_back(Pending { base, end, place, bytes, written: None });
        let begin = std::mem::take(&mut self.begin);
        self.queue.push_back(Queued { sequence, segment, position: self.position, base, begin, batch });
        self.pending_bytes += bytes;
        self.position += room;
        self.end = end;
        self.batches += 1;
        (base, end)
    }
}
