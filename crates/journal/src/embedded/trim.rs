//! Letting old segments go: their files become the next ones.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::Offset;

use super::Shared;
use super::keeper::is_out_of_descriptors;
use super::segment::Segment;
use crate::retention::{self, SegmentFacts};
use crate::segment as layout;
use crate::{Error, SegmentId};

/// Files kept to make segments from: more than what is let go at once when everything up to a barrier is sealed
/// (`limits::REPLAY_BYTES_MAX` of `limits::SEGMENT_BYTES` each).
const SPARES_MAX: usize = 8;

impl Shared {
    pub(super) fn trim(&self, before: Offset) -> Result<u64, Error> {
        let _one_at_a_time = self.upkeep.lock().expect("no holder of this lock panics");
        let mut bytes = 0;
        while let Some((segment, unreadable)) = self.take_oldest(before) {
            for id in unreadable {
                self.let_go(id)?;
            }
            self.let_go(segment.id)?;
            bytes += segment.file_bytes;
        }
        Ok(bytes)
    }

    /// Takes the oldest segment out of use if it may go, so that no reader finds it, and the unreadable ones before it.
    fn take_oldest(&self, before: Offset) -> Option<(Arc<Segment>, Vec<SegmentId>)> {
        let mut state = self.state();
        if state.poison.is_some() {
            return None;
        }
        // The next segment must hold something durable: it alone knows then where the log stands.
        let durable = if self.topic.derived() { self.synced.load(Ordering::Acquire) } else { self.watermark.get() };
        let before = before.min(durable.saturating_sub(1));
        let closed = state.segments.iter().zip(state.segments.iter().skip(1));
        let facts = closed.map(|(segment, next)| SegmentFacts {
            end: next.base,
            bytes: segment.file_bytes,
            ended: next.log_time,
        });
        if retention::choose(facts, before, self.retention, self.log_time()) == 0 {
            return None;
        }
        let segment = state.segments.pop_front()?;
        let oldest = state.oldest();
        state.tail.drop_before(oldest);
        let (gone, kept) = state.unreadable.iter().partition(|id| **id < segment.id);
        state.unreadable = kept;
        Some((segment, gone))
    }

    /// Makes a spare of a segment's file, or removes it. The directory is synced before the file gets a new content:
    /// otherwise a crash could bring the old name back with it. Segments go one by one, so that a crash never leaves a
    /// hole between those that stay.
    fn let_go(&self, id: SegmentId) -> Result<(), Error> {
        let path = layout::path(&self.dir, id);
        let spare = {
            let mut state = self.state();
            (state.spares.len() < SPARES_MAX).then(|| state.number_spare())
        };
        match spare {
            Some(number) => self.disk.rename(&path, &layout::spare_path(&self.dir, number)),
            None => self.disk.remove(&path),
        }
        .map_err(Error::io("let go of", &path))?;
        let synced = self.disk.sync_dir(&self.dir);
        let out_of_descriptors = synced.as_ref().is_err_and(is_out_of_descriptors);
        let synced = synced.map_err(Error::io("sync", &self.dir));
        let mut state = self.state();
        if out_of_descriptors {
            // Nothing was synced, so nothing failed. The next trim syncs this name too; the file is found at next open.
            return synced;
        }
        if let Err(error) = synced {
            self.poison(&mut state, error.clone());
            drop(state);
            self.watermark.announce();
            return Err(error);
        }
        state.spares.extend(spare);
        state.retry = true;
        self.needed.notify_one();
        Ok(())
    }
}
