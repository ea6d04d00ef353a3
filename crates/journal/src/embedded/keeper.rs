//! Making the next segment ready before it is needed, so that beginning it costs no sync.

use std::path::Path;
use std::time::Duration;

use model::{Blocks, DiskFile, OpenMode};

use super::{Prepared, Shared, Spare, State};
use crate::recovery::repair::write_zeros;
use crate::segment::{self, Identity, SEGMENT_HEAD_BYTES};
use crate::{Error, SegmentId};

/// How long the keeper waits before it looks again whether the disk has space.
pub(super) const RETRY_WAIT: Duration = Duration::from_secs(1);
/// A new file is filled with zeros in steps of this size, each synced, so that commits wait little behind it.
const FILL_BYTES: u64 = 16 << 20;

/// Why a segment could not be made ready.
pub(super) enum Failure {
    /// It may go better later: the disk is full, for example. Nothing was lost. The file that was worked on is removed,
    /// so that it neither holds the missing space nor is trusted after a failed sync; if it is still there, it is `left`.
    Obstacle { error: Error, left: Option<u64> },
    /// The directory could not be synced: the log must stop.
    Poison(Error),
}

/// Keeps a segment ready until the log is closed or poisoned.
pub(super) fn run(shared: &Shared) {
    while let Some((id, spare)) = shared.wait_needed() {
        make_ready(shared, id, spare);
    }
}

/// Makes a segment ready, or notes why that is not possible, and tells everybody.
pub(super) fn make_ready(shared: &Shared, id: SegmentId, spare: Spare) {
    let made = shared.prepare(id, spare);
    let changed = {
        let mut state = shared.state();
        let before = state.obstacle.is_some();
        shared.note_prepared(&mut state, made);
        // Who waits for a slot is to see that there will be none for now.
        shared.note_slot(&state) | (before != state.obstacle.is_some())
    };
    if changed {
        shared.watermark.announce();
    }
}

impl Shared {
    /// Waits until a segment is needed; the id that it will have, and the file to make it from.
    fn wait_needed(&self) -> Option<(SegmentId, Spare)> {
        let mut state = self.state();
        loop {
            if state.closing || state.poison.is_some() {
                return None;
            }
            if let Some(needed) = state.take_needed() {
                return Some(needed);
            }
            let wait = self.needed.wait_timeout(state, RETRY_WAIT).expect("no holder of this lock panics");
            state = wait.0;
            state.retry |= wait.1.timed_out();
        }
    }

    /// Takes in what [`Shared::prepare`] gave.
    pub(super) fn note_prepared(&self, state: &mut State, made: Result<Prepared, Failure>) {
        match made {
            Ok(prepared) => {
                state.prepared = Some(prepared);
                state.obstacle = None;
            }
            Err(Failure::Poison(error)) => self.poison(state, error),
            Err(Failure::Obstacle { error, left }) => {
                if state.obstacle.is_none() {
                    tracing::warn!(topic = %self.topic, %error, "no segment can be made ready");
                }
                state.obstacle = Some(error);
                state.spares.extend(left);
            }
        }
    }

    /// Makes a file ready to be segment `id`, from a spare or a new one: allocated, identified, named, all of it synced.
    pub(super) fn prepare(&self, id: SegmentId, spare: Spare) -> Result<Prepared, Failure> {
        let (from, to) = (segment::spare_path(&self.dir, spare.number), segment::path(&self.dir, id));
        if !spare.recycled {
            let made = self.disk.open(&from, OpenMode::CreateNew).map_err(Error::io("create", &from));
            made.map_err(|error| Failure::Obstacle { error, left: None })?;
        }
        let left = Some(spare.number);
        let files = self.open_files(&from).map_err(Error::io("open", &from));
        let files = files.map_err(|error| Failure::Obstacle { error, left })?;
        let generation = segment::random_generation();
        let named = self.write_head(files[0].as_ref(), &from, id, generation, spare.recycled).and_then(|()| {
            let renamed = self.disk.rename(&from, &to);
            renamed.map_err(Error::io("rename", &from))
        });
        if let Err(error) = named {
            let left = left.filter(|_| self.disk.remove(&from).is_err());
            return Err(Failure::Obstacle { error, left });
        }
        match self.disk.sync_dir(&self.dir) {
            Ok(()) => Ok(Prepared { id, generation, files }),
            // Nothing was synced, so nothing failed: the file goes back to the spares.
            Err(error) if is_out_of_descriptors(&error) && self.disk.rename(&to, &from).is_ok() => {
                Err(Failure::Obstacle { error: Error::io("sync", &self.dir)(error), left })
            }
            Err(error) => Err(Failure::Poison(Error::io("sync", &self.dir)(error))),
        }
    }

    fn write_head(
        &self,
        file: &dyn DiskFile,
        path: &Path,
        id: SegmentId,
        generation: u64,
        recycled: bool,
    ) -> Result<(), Error> {
        self.fill(file, recycled).map_err(Error::io("allocate", path))?;
        let identity = Identity {
            topic: self.topic,
            partition: self.partition,
            recycled,
            id,
            generation,
            file_bytes: self.segment_bytes,
            made_ms: self.clock.now_ms(),
        };
        // The rest of the head is zeroed: a beginning of an earlier life must not be taken for this one's.
        let mut head = Blocks::zeroed(SEGMENT_HEAD_BYTES as usize);
        let identity = identity.encode();
        head[..identity.len()].copy_from_slice(&identity);
        file.write_at(head.whole(), 0).map_err(Error::io("write", path))?;
        file.sync_data().map_err(Error::io("sync", path))
    }

    /// Gives the file its length. In a new one every block is written once: a block that is only allocated costs each
    /// commit a change of the file's map, which is another write.
    fn fill(&self, file: &dyn DiskFile, recycled: bool) -> std::io::Result<()> {
        if file.len()? > self.segment_bytes {
            file.set_len(self.segment_bytes)?;
        }
        file.allocate(self.segment_bytes)?;
        if recycled || self.topic.derived() {
            return Ok(());
        }
        let mut at = 0;
        while at < self.segment_bytes {
            let end = self.segment_bytes.min(at + FILL_BYTES);
            write_zeros(file, at, end)?;
            file.sync_data()?;
            at = end;
        }
        Ok(())
    }
}

impl State {
    /// The id of the segment that is to be made ready now, and the file to make it from; `None` if none is.
    pub(super) fn take_needed(&mut self) -> Option<(SegmentId, Spare)> {
        let is_over = self.closing || self.poison.is_some();
        if is_over || self.prepared.is_some() || (self.obstacle.is_some() && !self.retry) {
            return None;
        }
        self.retry = false;
        Some((self.next_id(), self.take_spare()))
    }
}

/// Opening a directory to sync it fails when there is no descriptor left (ENFILE, EMFILE).
pub(super) fn is_out_of_descriptors(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}
