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
    assert_eq!(values(&points, "avg", Some(60_000)), expect);
    assert_eq!(values(&points, "avg", None), [Some(1.0), Some(2.0), Some(1.0)]);
}

#[test]
fn a_row_has_the_time_and_the_columns() {
    let point = json!({"ts": 1_700_000_000_000i64, "value": "on", "seq": 7});
    assert_eq!(row(&point, &["value", "seq", "boot"]), ["2023-11-14T22:13:20.000Z", "on", "7", ""]);
}

fn args(line: &str) -> Args {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }
    let words = std::iter::once("query").chain(line.split(' '));
    <Line as clap::Parser>::try_parse_from(words).expect("the line is well formed").args
}

#[test]
fn the_words_name_a_device_or_a_class_and_a_metric_or_the_latest() {
    let device = || Subject::Device("d".to_owned());
    let class = || Subject::Class("pump".to_owned());
    for (line, expect) in [
        ("d temperature", (device(), Some("temperature".to_owned()))),
        ("d --latest", (device(), None)),
        ("--class pump temperature", (class(), Some("temperature".to_owned()))),
        ("--class pump --latest", (class(), None)),
    ] {
        assert_eq!(args(line).subject().unwrap(), expect, "{line}");
    }
    for (line, expect) in [
        ("--raw", "name a device, or a class with --class"),
        ("d", "name a metric: write `DEVICE METRIC`"),
        ("--class pump d temperature", "`temperature` is one word too many: write `--class CLASS METRIC`"),
        ("d temperature --latest", "`temperature` is one word too many: write `DEVICE --latest`"),
    ] {
        assert_eq!(args(line).subject().unwrap_err().to_string(), expect, "{line}");
    }
}

#[test]
fn a_series_that_goes_on_in_the_next_page_stays_one() {
    let mut all = Vec::new();
    for (device, ts) in [("a", 1), ("a", 2), ("b", 1)] {
        join(&mut all, json!({"device_id": device, "points": [{"ts": ts}]}));
    }
    join(&mut all, json!({"ts": 7}));
    let series = |device: &str, points: Value| json!({"device_id": device, "points": points});
    assert_eq!(all, [series("a", json!([{"ts": 1}, {"ts": 2}])), series("b", json!([{"ts": 1}])), json!({"ts": 7})]);
}
