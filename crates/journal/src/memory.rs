//! The log in memory: the same contract without a disk. A batch is durable when it was appended, for as long as the
//! process lives. It has segments like the embedded log, so that its writers repeat their bindings alike.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use model::{Batch, Offset};

use crate::embedded::BATCH_ROOM;
use crate::segment::{self, SEGMENT_HEAD_BYTES};
use crate::tail::Tail;
use crate::watermark::Watermark;
use crate::{Append, Error, Figures, Frame, Gap, JournalConfig, SegmentId};

/// One log in memory.
pub(crate) struct MemoryLog {
    segment_bytes: u64,
    bytes_max: u64,
    watermark: Arc<Watermark>,
    state: Mutex<State>,
}

struct State {
    batches: Tail,
    /// The oldest first; the last is the current one.
    segments: VecDeque<Begun>,
    end: Offset,
    /// Bytes appended since the beginning, with the space between frames.
    place: u64,
    closed: bool,
    appended: u64,
}

struct Begun {
    id: SegmentId,
    base: Offset,
    place: u64,
}

impl MemoryLog {
    pub(crate) fn new(config: &JournalConfig) -> Self {
        let state = State {
            batches: Tail::default(),
            segments: VecDeque::from([Begun { id: 0, base: 0, place: 0 }]),
            end: 0,
            place: 0,
            closed: false,
            appended: 0,
        };
        Self {
            segment_bytes: config.segment_bytes,
            bytes_max: config.retention_bytes,
            watermark: Arc::default(),
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    pub(crate) fn watermark(&self) -> &Arc<Watermark> {
        &self.watermark
    }

    pub(crate) fn segment(&self) -> SegmentId {
        self.state().current().id
    }

    pub(crate) fn append(&self, batch: Batch, bound_for: Option<SegmentId>) -> Append {
        let mut state = self.state();
        let room = segment::frame_room(batch.frame().len());
        let bytes_max = self.segment_bytes - SEGMENT_HEAD_BYTES;
        if let Some(error) = self.refusal(&state, room, bytes_max) {
            return Append::Refused { batch, error };
        }
        if state.place - state.current().place + room > bytes_max {
            let begun = Begun { id: state.current().id + 1, base: state.end, place: state.place };
            state.segments.push_back(begun);
        }
        if bound_for.is_some_and(|bound_for| bound_for != state.current().id) {
            return Append::Rolled(batch);
        }
        let (base, place) = (state.end, state.place);
        state.end += u64::from(batch.count());
        state.place += room;
        state.appended += 1;
        state.batches.push(base, place, Arc::new(batch));
        let end = state.end;
        self.watermark.set(end);
        drop(state);
        self.watermark.announce();
        Append::Accepted { base, end }
    }

    fn refusal(&self, state: &State, room: u64, bytes_max: u64) -> Option<Error> {
        if state.closed {
            Some(Error::Closed)
        } else if room > bytes_max {
            Some(Error::TooLarge { bytes: room, bytes_max })
        } else if state.batches.bytes() as u64 + room > self.bytes_max {
            Some(Error::MemoryFull { bytes_max: self.bytes_max })
        } else {
            None
        }
    }

    pub(crate) fn sync(&self) -> Result<(), Error> {
        Ok(())
    }

    pub(crate) fn slot_free(&self) -> bool {
        self.obstacle().is_none()
    }

    /// It is full when a batch of the usual size, or half of everything, would not fit.
    pub(crate) fn obstacle(&self) -> Option<Error> {
        let state = self.state();
        let room = BATCH_ROOM.min(self.bytes_max / 2);
        let full = !state.closed && state.batches.bytes() as u64 + room > self.bytes_max;
        full.then_some(Error::MemoryFull { bytes_max: self.bytes_max })
    }

    pub(crate) fn end(&self) -> Offset {
        self.state().end
    }

    pub(crate) fn oldest(&self) -> Offset {
        self.state().oldest()
    }

    pub(crate) fn bytes_from(&self, offset: Offset) -> u64 {
        let state = self.state();
        if offset >= state.end {
            return 0;
        }
        let place = state.batches.place_of(offset).unwrap_or(state.segments[0].place);
        state.place - place
    }

    pub(crate) fn read(&self, from: Offset, bytes_max: usize) -> Result<Vec<Frame>, Error> {
        let state = self.state();
        let (oldest, end) = (state.oldest(), state.end);
        match state.batches.read(from, bytes_max) {
            Some(frames) => Ok(frames),
            None if from == end => Ok(Vec::new()),
            None if from < oldest || from > end => Err(Error::OutOfRange { oldest, end }),
            None => Err(Error::Corrupt { from: state.gap_from(from), to: state.gap_to(from) }),
        }
    }

    /// Memory is given back at once: nothing is kept for repair.
    pub(crate) fn trim(&self, before: Offset) -> Result<u64, Error> {
        let mut state = self.state();
        let held = state.batches.bytes();
        while state.segments.get(1).is_some_and(|next| next.base <= before) {
            state.segments.pop_front();
        }
        let oldest = state.oldest();
        state.batches.drop_before(oldest);
        let freed = (held - state.batches.bytes()) as u64;
        drop(state);
        if freed > 0 {
            self.watermark.announce();
        }
        Ok(freed)
    }

    pub(crate) fn skip_to(&self, offset: Offset) -> Result<(), Error> {
        let mut state = self.state();
        if offset > state.end {
            let begun = Begun { id: state.current().id + 1, base: offset, place: state.place };
            state.segments.push_back(begun);
            state.end = offset;
            self.watermark.set(offset);
        }
        Ok(())
    }

    pub(crate) fn poisoned(&self) -> Option<Error> {
        None
    }

    pub(crate) fn gaps(&self) -> Vec<Gap> {
        Vec::new()
    }

    pub(crate) fn figures(&self) -> Figures {
        let state = self.state();
        Figures {
            segments: state.segments.len() as u64,
            bytes: state.place - state.segments[0].place,
            tail_bytes: state.batches.bytes() as u64,
            batches: state.appended,
            commits: state.appended,
        }
    }

    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.watermark.announce();
    }
}

impl State {
    fn current(&self) -> &Begun {
        self.segments.back().expect("a log always has a current segment")
    }

    fn oldest(&self) -> Offset {
        self.segments[0].base
    }

    /// The end of the batch before a skipped offset, and the base of the one after it.
    fn gap_from(&self, offset: Offset) -> Offset {
        self.batches.end_before(offset).unwrap_or(self.segments[0].base)
    }

    fn gap_to(&self, offset: Offset) -> Offset {
        self.batches.base_after(offset).unwrap_or(self.end)
    }
}
