use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

/// Inserts seqs at minutes and compares the runs as (lowest, highest, day).
fn check(inserts: &[(u64, Minute)], expect: &[(u64, u64, u32)]) {
    let mut runs = Runs::default();
    for &(seq, at) in inserts {
        assert!(runs.insert(seq, at), "{seq} is new");
        assert!(!runs.insert(seq, at), "{seq} was there");
    }
    let found: Vec<_> = runs.0.iter().map(|run| (run.lowest, run.highest(), day(run.at))).collect();
    assert_eq!(found, expect);
}

#[test]
fn neighbours_of_one_day_are_one_run() {
    check(&[(5, 0), (6, 1), (4, 2)], &[(4, 6, 0)]);
    check(&[(1, 0), (3, 0), (2, 0)], &[(1, 3, 0)]);
    check(&[(1, 0), (3, 0)], &[(1, 1, 0), (3, 3, 0)]);
}

#[test]
fn a_new_day_begins_a_new_run() {
    check(&[(1, 0), (2, DAY - 1), (3, DAY)], &[(1, 2, 0), (3, 3, 1)]);
    check(&[(1, 0), (3, DAY), (2, DAY)], &[(1, 1, 0), (2, 3, 1)]);
}

#[test]
fn the_extremes_are_numbers_like_others() {
    check(&[(u64::MAX, 0), (0, 0), (u64::MAX - 1, 0), (1, 0)], &[(0, 1, 0), (u64::MAX - 1, u64::MAX, 0)]);
}

#[test]
fn a_run_is_forgotten_one_to_two_days_after_its_last_seq() {
    let mut runs = Runs(vec![Run { lowest: 1, more: 0, at: DAY - 1 }, Run { lowest: 9, more: 0, at: DAY }]);
    runs.forget_past(2 * DAY - 1);
    assert_eq!(runs.0.len(), 2);
    runs.forget_past(2 * DAY);
    assert_eq!(runs.0, [Run { lowest: 9, more: 0, at: DAY }]);
}

proptest! {
    #[test]
    fn runs_are_a_set(seqs in prop::collection::vec((0..40_u64, 0..3_u32, 0..4_u8), 0..200)) {
        let (mut runs, mut set) = (Runs::default(), HashSet::new());
        for (seq, day, action) in seqs {
            if action == 0 {
                runs.remove(seq);
                set.remove(&seq);
                continue;
            }
            let fresh = runs.extend(seq, morning(day)) || runs.insert(seq, morning(day));
            prop_assert_eq!(fresh, set.insert(seq));
        }
        let mut bytes = Vec::new();
        runs.encode(&mut bytes);
        prop_assert_eq!(Runs::decode(&mut Reader(&bytes)), Ok(runs));
    }
}
