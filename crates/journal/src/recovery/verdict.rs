//! Where a log ends, what of it is corrupt, and what is a torn tail: a pure decision on what a survey found.
//!
//! A hole below the watermark was durable once: it is corrupt, and what follows it is kept. A hole at or above the
//! watermark was never acknowledged: the log ends there, and nothing behind it is kept, although it may be intact.

use std::ops::Range;
use std::path::PathBuf;

use model::Offset;

use super::survey::{Survey, Surveyed};
use crate::frame::Header;
use crate::segment::SEGMENT_HEAD_BYTES;

#[cfg(test)]
mod tests;

/// What to make of a log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) end: Offset,
    /// Durable once, unreadable now; of the scanned segments.
    pub(crate) corrupt: Vec<Range<Offset>>,
    /// How many of the segments stay in use; the rest hold nothing that is kept.
    pub(crate) kept: usize,
    /// Where writing goes on in the last of them; otherwise a new segment is begun.
    pub(crate) resume_at: Option<u64>,
    /// Behind the last byte to be cut in the last kept segment, if `resume_at` is before it.
    pub(crate) torn_end: u64,
    pub(crate) torn_bytes: u64,
    pub(crate) torn_batches: u64,
    pub(crate) torn_at: Option<(PathBuf, u64)>,
}

/// The walk over the frames.
#[derive(Default)]
struct Walk {
    expected: Option<Offset>,
    /// The last kept frame: its segment and where the next one would begin.
    last: Option<(usize, u64)>,
    corrupt: Vec<Range<Offset>>,
    cut: bool,
    dropped: Vec<(usize, Header)>,
}

/// Decides.
pub(crate) fn verdict(survey: &Survey) -> Verdict {
    let mut walk = Walk::default();
    for (number, segment) in survey.segments.iter().enumerate() {
        let Some(base) = segment.base else { continue };
        let bound = survey.segments[number + 1..].iter().find_map(|next| next.base).unwrap_or(Offset::MAX);
        if segment.scan.is_none() {
            // An older one: it reaches to the next one's base.
            walk.expected = None;
            continue;
        }
        walk.expected.get_or_insert(if is_told(segment) { base } else { base.min(survey.watermark) });
        for frame in segment.frames().iter().filter(|frame| frame.end() <= bound) {
            walk.step(number, frame, survey.watermark);
        }
    }
    conclude(survey, walk)
}

/// Whether a segment says where it begins. Where both its beginning and its first frame are torn, the base is that of a
/// later frame: what stood before it is a hole.
fn is_told(segment: &Surveyed) -> bool {
    segment.beginning.is_some() || segment.frames().first().is_some_and(|first| first.position == SEGMENT_HEAD_BYTES)
}

impl Walk {
    fn step(&mut self, segment: usize, frame: &Header, watermark: Offset) {
        let expected = self.expected.unwrap_or(frame.base);
        if frame.base < expected {
            return;
        }
        self.cut |= frame.base > expected && frame.base > watermark;
        if self.cut {
            self.dropped.push((segment, *frame));
            return;
        }
        if frame.base > expected {
            self.corrupt.push(expected..frame.base);
        }
        self.expected = Some(frame.end());
        self.last = Some((segment, frame.next_position()));
    }
}

fn conclude(survey: &Survey, walk: Walk) -> Verdict {
    let reached = walk.expected.unwrap_or(0);
    let mut verdict = Verdict {
        end: reached.max(survey.watermark),
        corrupt: walk.corrupt,
        torn_batches: walk.dropped.len() as u64,
        ..Verdict::default()
    };
    if reached < survey.watermark {
        verdict.corrupt.push(reached..survey.watermark);
        let before = |segment: &Surveyed| segment.base.is_some_and(|base| base <= survey.watermark);
        verdict.kept = survey.segments.iter().rposition(before).map_or(0, |at| at + 1);
        verdict.torn_bytes = walk.dropped.iter().map(|(_, frame)| frame.frame_len() as u64).sum();
        verdict.torn_at = walk.dropped.first().map(|(at, frame)| (survey.segments[*at].path.clone(), frame.position));
        return verdict;
    }
    let begun_here = survey.segments.iter().rposition(|segment| segment.base == Some(reached));
    let resume = begun_here.map(|at| (at, SEGMENT_HEAD_BYTES)).max(walk.last);
    let Some((last, position)) = resume else { return verdict.with_torn(survey, 0, None) };
    verdict.kept = last + 1;
    verdict.with_torn(survey, last, Some(position))
}

impl Verdict {
    /// Counts what stands behind `position` in segment `last`, and in the segments after it.
    fn with_torn(mut self, survey: &Survey, last: usize, position: Option<u64>) -> Self {
        if let (Some(position), Some(segment)) = (position, survey.segments.get(last)) {
            self.torn_end = torn_end(segment, position);
            self.count(segment, position, self.torn_end);
            // Nothing is written behind a damaged head: what comes next goes into a segment of its own. A beginning
            // that was not durable yet is written again.
            let begins = segment.beginning.is_some() || segment.base.is_some_and(|base| base >= survey.watermark);
            let sound = segment.identity.is_some() && begins;
            self.resume_at = sound.then_some(position);
        }
        for segment in &survey.segments[self.kept..] {
            self.count(segment, SEGMENT_HEAD_BYTES, torn_end(segment, SEGMENT_HEAD_BYTES));
        }
        self
    }

    fn count(&mut self, segment: &Surveyed, from: u64, to: u64) {
        if to > from {
            self.torn_bytes += to - from;
            self.torn_at.get_or_insert_with(|| (segment.path.clone(), from));
        }
    }
}

/// Behind the last byte at or after `from` that was written in this life of the file, as far as that can be told.
pub(crate) fn torn_end(segment: &Surveyed, from: u64) -> u64 {
    let Some(scan) = &segment.scan else { return from };
    let claims = scan.frames.iter().chain(&scan.broken).filter(|header| header.position >= from);
    let claimed = claims.map(|header| (header.position + header.frame_len() as u64).min(scan.file_len)).max();
    let identity = segment.identity.as_ref();
    let written = identity.filter(|identity| !identity.recycled).map_or(0, |_| scan.nonzero_end);
    let shortened = identity.filter(|identity| scan.file_len < identity.file_bytes).map_or(0, |_| scan.file_len);
    claimed.unwrap_or(0).max(written).max(shortened).max(from)
}
