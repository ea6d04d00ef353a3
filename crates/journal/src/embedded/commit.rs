//! The sync threads: each takes what waits, writes it, syncs once, and moves the watermark as far as order allows.

use std::sync::Arc;

use model::{Batch, Blocks};

use super::keeper::RETRY_WAIT;
use super::{Queued, Shared, State};
use crate::Error;
use crate::frame::Header;
use crate::segment::BEGINNING_AT;

/// Commits, as thread `number`, until the log is closed and nothing waits, or it is poisoned.
pub(super) fn run(shared: &Shared, number: usize) {
    while let Some(frames) = shared.wait_waiting() {
        if !commit(shared, number, frames) {
            return;
        }
    }
}

/// Makes frames of one segment durable, as thread `number`; false if that failed, and the log is poisoned.
pub(super) fn commit(shared: &Shared, number: usize, mut frames: Vec<Queued>) -> bool {
    match write(shared, number, &mut frames) {
        Ok(()) => {
            shared.complete(frames);
            true
        }
        Err(error) => {
            shared.poison(&mut shared.state(), error);
            shared.watermark.announce();
            false
        }
    }
}

/// Writes frames of one segment and syncs. From then on they are kept for readers.
fn write(shared: &Shared, number: usize, frames: &mut [Queued]) -> Result<(), Error> {
    let Some(segment) = frames.first().map(|frame| frame.segment.clone()) else { return Ok(()) };
    let file = segment.file(number);
    for frame in &mut *frames {
        let watermark = shared.watermark.get();
        let mut begin = frame.begin.then(|| Blocks::copy_of(&segment.beginning(watermark).encode()));
        Header::of(&frame.batch, segment.generation, frame.base, watermark, frame.position).seal(&mut frame.batch);
        shared.write_when_space(|| {
            if let Some(beginning) = &mut begin {
                file.write_at(beginning.whole(), BEGINNING_AT).map_err(Error::io("write", &segment.path))?;
            }
            file.write_at(frame.batch.blocks(), frame.position).map_err(Error::io("write", &segment.path))
        })?;
    }
    file.sync_data().map_err(Error::io("sync", &segment.path))?;
    frames.iter_mut().for_each(|frame| frame.batch.compact());
    Ok(())
}

impl Shared {
    /// Writes; while the disk has no space, again and again: a write that failed so has promised nothing, and the next one
    /// writes all of it in the same place. (A sync that fails, for whatever reason, is another matter: it ends the log.)
    /// A log that is being closed or is poisoned tries no more.
    fn write_when_space(&self, mut write: impl FnMut() -> Result<(), Error>) -> Result<(), Error> {
        let mut waited = false;
        loop {
            match write() {
                Err(error @ Error::Full { .. }) if self.wait_for_space(&error) => waited = true,
                Ok(()) if waited => {
                    let mut state = self.state();
                    state.no_space = None;
                    self.note_slot(&state);
                    drop(state);
                    self.watermark.announce();
                    return Ok(());
                }
                answer => return answer,
            }
        }
    }

    /// Says that there is no space, and waits a while. False if there is no more waiting.
    fn wait_for_space(&self, error: &Error) -> bool {
        let mut state = self.state();
        if state.no_space.is_none() {
            tracing::warn!(topic = %self.topic, %error, "a batch cannot be written; it is tried again");
        }
        state.no_space = Some(error.clone());
        self.note_slot(&state);
        let waiting = |state: &mut State| !state.closing && state.poison.is_none();
        if !waiting(&mut state) {
            return false;
        }
        drop(self.settled.wait_timeout_while(state, RETRY_WAIT, waiting).expect("no holder of this lock panics"));
        true
    }

    /// Waits for frames and takes all that follow each other in one segment; `None` when there will be none.
    fn wait_waiting(&self) -> Option<Vec<Queued>> {
        let idle = |state: &mut State| state.queue.is_empty() && !state.closing && state.poison.is_none();
        self.work.wait_while(self.state(), idle).expect("no holder of this lock panics").take_waiting()
    }

    /// The same without waiting; `None` if there are none now.
    pub(super) fn take_waiting(&self) -> Option<Vec<Queued>> {
        self.state().take_waiting()
    }

    /// Notes that frames are on the disk, moves the watermark and tells everybody.
    fn complete(&self, frames: Vec<Queued>) {
        let mut state = self.state();
        state.commits_running -= 1;
        state.commits += 1;
        for frame in frames {
            let at = (frame.sequence - state.pending_first) as usize;
            state.pending[at].written = Some(Arc::new(frame.batch));
        }
        if state.poison.is_none() {
            self.advance(&mut state);
        }
        let gone = state.tail.shrink(self.tail_bytes_max);
        self.note_slot(&state);
        drop(state);
        drop(gone);
        self.settled.notify_all();
        self.watermark.announce();
    }

    fn advance(&self, state: &mut State) {
        while let Some((pending, batch)) = state.pop_written() {
            state.pending_first += 1;
            state.pending_bytes -= pending.bytes;
            state.tail.push(pending.base, pending.place, batch);
            self.watermark.set(pending.end);
        }
    }

    /// Waits until everything accepted so far is durable.
    pub(super) fn wait_settled(&self) -> Result<(), Error> {
        let mut state = self.state();
        let end = state.end;
        while self.watermark.get() < end {
            if let Some(poison) = &state.poison {
                return Err(poison.clone());
            }
            state = self.settled.wait(state).expect("no holder of this lock panics");
        }
        Ok(())
    }
}

impl State {
    fn take_waiting(&mut self) -> Option<Vec<Queued>> {
        let first = self.queue.pop_front()?;
        let mut frames = vec![first];
        while self.queue.front().is_some_and(|next| next.segment.id == frames[0].segment.id) {
            frames.extend(self.queue.pop_front());
        }
        self.commits_running += 1;
        Some(frames)
    }

    fn pop_written(&mut self) -> Option<(super::Pending, Arc<Batch>)> {
        let batch = self.pending.front_mut()?.written.take()?;
        Some((self.pending.pop_front()?, batch))
    }
}
