//! Reading: from the tail in memory, else from the segment.

use super::Shared;
use crate::{Error, Frame};

impl Shared {
    pub(super) fn read(&self, from: u64, bytes_max: usize) -> Result<Vec<Frame>, Error> {
        let (segment, end) = {
            let state = self.state();
            let durable = self.watermark.get();
            if let Some(frames) = state.tail.read(from, bytes_max) {
                return Ok(frames);
            }
            if from < state.oldest() || from > state.end {
                return Err(Error::OutOfRange { oldest: state.oldest(), end: state.end });
            }
            if from >= durable {
                return Ok(Vec::new());
            }
            let next = state.segments.partition_point(|segment| segment.base <= from);
            // What the tail holds is not looked for on the disk.
            let durable = state.tail.first().filter(|first| *first > from).unwrap_or(durable);
            let end = state.segments.get(next).map_or(durable, |next| next.base.min(durable));
            (state.segments[next - 1].clone(), end)
        };
        segment.read(self.disk.as_ref(), from, end, bytes_max).map_err(|error| {
            // Trimmed while it was read: the file has another life now, or another name.
            let state = self.state();
            let trimmed = state.segments.front().is_none_or(|oldest| oldest.id > segment.id);
            if trimmed { Error::OutOfRange { oldest: state.oldest(), end: state.end } } else { error }
        })
    }
}
