use std::time::Duration;

use model::Partition;

use super::*;
use crate::Topic;
use crate::scan::Scan;
use crate::segment::{Beginning, Identity};

const FILE_BYTES: u64 = 1 << 20;

/// A frame of ten offsets, one sector long: its base and the watermark that it carries.
type Sketch = (Offset, Offset);

/// One segment: its base, if it was begun, and the frames that are intact. Frame `n` of a segment stands in sector
/// `(base of the frame - base of the segment) / 10`, so that a missing one leaves its place.
fn segment(id: u64, base: Option<Offset>, frames: Option<&[Sketch]>) -> Surveyed {
    let begins = base.unwrap_or(0);
    let header = |(base, watermark): &Sketch| Header {
        generation: id,
        base: *base,
        count: 10,
        body_len: 100,
        watermark: *watermark,
        position: SEGMENT_HEAD_BYTES + base.saturating_sub(begins) / 10 * 512,
    };
    let scan = frames.map(|frames| Scan {
        frames: frames.iter().map(header).collect(),
        file_len: FILE_BYTES,
        ..Scan::default()
    });
    let identity = Identity {
        topic: Topic::Raw,
        partition: Partition(0),
        recycled: true,
        id,
        generation: id,
        file_bytes: FILE_BYTES,
        made_ms: 0,
    };
    let beginning = base.map(|base| Beginning { id, generation: id, base, watermark: 0, log_time: Duration::ZERO });
    Surveyed::sound(id, identity, beginning, scan)
}

struct Expect {
    end: Offset,
    corrupt: &'static [(Offset, Offset)],
    kept: usize,
    /// In sectors behind the head.
    resume_at: Option<u64>,
    torn_batches: u64,
}

#[track_caller]
fn check(segments: Vec<Surveyed>, expect: Expect) {
    let watermark = segments.iter().flat_map(|segment| segment.frames()).map(|frame| frame.watermark).max();
    let survey = Survey { segments, watermark: watermark.unwrap_or(0), ..Survey::default() };
    let verdict = verdict(&survey);
    let corrupt: Vec<_> = verdict.corrupt.iter().map(|gap| (gap.start, gap.end)).collect();
    assert_eq!((verdict.end, corrupt.as_slice(), verdict.kept), (expect.end, expect.corrupt, expect.kept));
    assert_eq!(verdict.resume_at, expect.resume_at.map(|sectors| SEGMENT_HEAD_BYTES + sectors * 512));
    assert_eq!(verdict.torn_batches, expect.torn_batches);
    assert_eq!(verdict.torn_bytes > 0, verdict.torn_batches > 0);
}

#[test]
fn a_whole_log_ends_behind_its_last_frame() {
    check(vec![], Expect { end: 0, corrupt: &[], kept: 0, resume_at: None, torn_batches: 0 });
    check(
        vec![segment(0, None, Some(&[]))],
        Expect { end: 0, corrupt: &[], kept: 0, resume_at: None, torn_batches: 0 },
    );
    check(
        vec![segment(0, Some(0), None), segment(1, Some(50), Some(&[(50, 40), (60, 50)])), segment(2, None, Some(&[]))],
        Expect { end: 70, corrupt: &[], kept: 2, resume_at: Some(2), torn_batches: 0 },
    );
}

#[test]
fn a_hole_at_or_above_the_watermark_ends_the_log() {
    check(
        vec![segment(0, Some(0), Some(&[(0, 0), (10, 10), (30, 10), (40, 20)]))],
        Expect { end: 20, corrupt: &[], kept: 1, resume_at: Some(2), torn_batches: 2 },
    );
}

#[test]
fn a_hole_below_the_watermark_is_corrupt_and_what_follows_stays() {
    check(
        vec![segment(0, Some(0), Some(&[(0, 0), (10, 10), (30, 30), (40, 30)]))],
        Expect { end: 50, corrupt: &[(20, 30)], kept: 1, resume_at: Some(5), torn_batches: 0 },
    );
    // The watermark of a frame that is cut itself counts: 20 to 30 was durable, 30 to 40 was not.
    check(
        vec![segment(0, Some(0), Some(&[(0, 0), (10, 10), (40, 30)]))],
        Expect { end: 30, corrupt: &[(20, 30)], kept: 1, resume_at: None, torn_batches: 1 },
    );
}

#[test]
fn a_torn_tail_reaches_over_segments() {
    // The end of segment 0 was not written, all of segment 1 was.
    check(
        vec![segment(0, Some(0), Some(&[(0, 0), (10, 10)])), segment(1, Some(30), Some(&[(30, 20), (40, 20)]))],
        Expect { end: 20, corrupt: &[], kept: 1, resume_at: Some(2), torn_batches: 2 },
    );
    // Segment 0 is whole, the first frame of segment 1 is not.
    check(
        vec![segment(0, Some(0), Some(&[(0, 0), (10, 10)])), segment(1, Some(20), Some(&[(30, 20)]))],
        Expect { end: 20, corrupt: &[], kept: 2, resume_at: Some(0), torn_batches: 1 },
    );
}

#[test]
fn a_corrupt_end_of_one_segment_does_not_touch_the_next() {
    check(
        vec![segment(0, Some(0), Some(&[(0, 0)])), segment(1, Some(30), Some(&[(30, 30)]))],
        Expect { end: 40, corrupt: &[(10, 30)], kept: 2, resume_at: Some(1), torn_batches: 0 },
    );
}

#[test]
fn frames_that_the_next_segment_replaced_do_not_count() {
    check(
        vec![segment(0, Some(0), Some(&[(0, 0), (20, 10)])), segment(1, Some(10), Some(&[(10, 10), (20, 20)]))],
        Expect { end: 30, corrupt: &[], kept: 2, resume_at: Some(2), torn_batches: 0 },
    );
}

/// The first segment of a log, whose beginning and first frame were lost in a power cut, began with its second frame, which
/// nothing had made durable; that frame was kept, without the batch before it.
#[test]
fn a_first_frame_that_is_lost_with_the_beginning_is_a_hole() {
    let headless = |frames: &[Sketch]| {
        let mut segment = segment(0, Some(0), Some(frames));
        (segment.beginning, segment.base) = (None, frames.first().map(|first| first.0));
        segment
    };
    check(
        vec![headless(&[(10, 0), (20, 0)])],
        Expect { end: 0, corrupt: &[], kept: 0, resume_at: None, torn_batches: 2 },
    );
    // Below the watermark it is what can still be read of a damaged segment.
    check(
        vec![headless(&[(10, 10), (20, 20)])],
        Expect { end: 30, corrupt: &[], kept: 1, resume_at: None, torn_batches: 0 },
    );
}
