//! Which segments may go: a pure choice.
//!
//! Ages are taken on the log's own time, which runs only while the log is open and never jumps: a wall clock that jumps
//! forward would otherwise drop everything, and a log that was off for a week would begin with it.

use std::time::Duration;

use model::Offset;

#[cfg(test)]
mod tests;

/// What trimming leaves at least: whichever of size and age is less.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Retention {
    pub(crate) bytes: u64,
    pub(crate) age: Duration,
}

/// What the choice needs to know of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SegmentFacts {
    /// End of its offsets, exclusive.
    pub(crate) end: Offset,
    pub(crate) bytes: u64,
    /// When its last batch was written, in the log's time.
    pub(crate) ended: Duration,
}

/// How many of the oldest segments may go. `segments` are the closed ones, oldest first; `before` is the offset from
/// which on everything must stay.
pub(crate) fn choose(
    segments: impl Iterator<Item = SegmentFacts> + Clone,
    before: Offset,
    retention: Retention,
    now: Duration,
) -> usize {
    let mut left: u64 = segments.clone().map(|segment| segment.bytes).sum();
    segments
        .take_while(|segment| {
            let size_exceeded = left.saturating_sub(segment.bytes) >= retention.bytes;
            let age_exceeded = now.saturating_sub(segment.ended) >= retention.age;
            left = left.saturating_sub(segment.bytes);
            segment.end <= before && (size_exceeded || age_exceeded)
        })
        .count()
}
