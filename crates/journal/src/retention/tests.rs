use super::*;

/// Four closed segments of 10 offsets and 100 bytes each, that ended after 1, 2, 3 and 4 hours.
fn check(before: Offset, bytes: u64, age_hours: u64, now_hours: u64, expect: usize) {
    let hours = |hours| Duration::from_secs(hours * 3600);
    let segments = (1..=4).map(|number| SegmentFacts { end: number * 10, bytes: 100, ended: hours(number) });
    let retention = Retention { bytes, age: hours(age_hours) };
    assert_eq!(choose(segments, before, retention, hours(now_hours)), expect);
}

#[test]
fn a_segment_goes_when_it_is_sealed_and_beyond_size_or_age() {
    check(40, 0, 100, 4, 4);
    check(39, 0, 100, 4, 3);
    check(0, 0, 0, 4, 0);
    check(40, 200, 100, 4, 2);
    check(40, 250, 100, 4, 1);
    check(40, 1000, 100, 4, 0);
    check(40, 1000, 2, 4, 2);
    check(15, 1000, 2, 100, 1);
}
