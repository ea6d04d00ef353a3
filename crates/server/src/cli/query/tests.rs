use super::*;

#[test]
fn numbers_are_short_enough_to_read() {
    for (number, expect) in [
        (23.4, "23.4"),
        (1013.2500000000001, "1013.25"),
        (0.0, "0"),
        (-1234567.0, "-1234570"),
        (1e21, "1e21"),
        (1.5e-9, "1.5e-9"),
    ] {
        assert_eq!(short(number), expect);
    }
}

#[test]
fn buckets_that_are_left_out_are_gaps() {
    let points = [json!({"ts": 0, "avg": 1.0}), json!({"ts": 60_000, "avg": 2}), json!({"ts": 240_000, "avg": true})];
    let expect = [Some(1.0), Some(2.0), None, None, Some(1.0)];
    assert_eq!(series(&points, "avg", Some(60_000)), expect);
    assert_eq!(series(&points, "avg", None), [Some(1.0), Some(2.0), Some(1.0)]);
}

#[test]
fn a_row_has_the_time_and_the_columns() {
    let point = json!({"ts": 1_700_000_000_000i64, "value": "on", "seq": 7});
    assert_eq!(row(&point, &["value", "seq", "boot"]), ["2023-11-14T22:13:20.000Z", "on", "7", ""]);
}
