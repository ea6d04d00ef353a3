use super::*;
use crate::query::accumulate::Totals;

fn bucket(start: Millis) -> RolledUp {
    RolledUp { start, totals: Totals::Integers { count: 1, sum: 0, min: 0, max: 0 } }
}

/// Buckets of 100 at 0, 100 and 300, and of 10 at 0, 90, 100, 150 and 300: level and start of those that are taken, and
/// the gaps.
fn check(resolution: Resolution, wanted: Range<Millis>, taken: &[(usize, Millis)], gaps: &[Range<Millis>]) {
    let (long, short) = ([0, 100, 300].map(bucket), [0, 90, 100, 150, 300].map(bucket));
    let levels = [(100, &long[..]), (10, &short[..])];
    let (mut found, mut left) = (Vec::new(), Vec::new());
    let cover = Cover { resolution, wanted, held: 3..308 };
    let mut take = |level: usize, at: usize| {
        found.push((level, levels[level].1[at].start));
        Ok(())
    };
    cover.divide(&levels, &mut left, &mut take).unwrap();
    assert_eq!((&found[..], &left[..]), (taken, gaps));
}

#[test]
fn what_lies_within_one_bucket_is_taken_whole() {
    check(Resolution::All, 0..1000, &[(0, 0), (0, 100), (0, 300)], &[]);
    check(Resolution::Millis(200), 0..1000, &[(0, 0), (0, 100), (0, 300)], &[]);
    // Nothing is held before 3 and from 308 on.
    check(Resolution::All, 3..308, &[(0, 0), (0, 100), (0, 300)], &[]);
    check(Resolution::All, 400..1000, &[], &[]);
}

#[test]
fn short_buckets_fill_in_where_long_ones_do_not_fit() {
    check(Resolution::Millis(50), 0..1000, &[(1, 0), (1, 90), (1, 100), (1, 150), (0, 300)], &[]);
    check(Resolution::All, 0..110, &[(0, 0), (1, 100)], &[]);
}

#[test]
fn what_is_cut_through_is_left_to_rows() {
    check(Resolution::All, 4..155, &[(1, 90), (1, 100)], &[4..10, 150..155]);
    check(Resolution::Millis(15), 0..200, &[(1, 0), (1, 90), (1, 150)], std::slice::from_ref(&(100..110)));
    check(Resolution::All, 302..304, &[], std::slice::from_ref(&(302..304)));
}
