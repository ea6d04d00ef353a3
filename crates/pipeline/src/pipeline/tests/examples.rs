use model::limits::{MESSAGES_PER_PAYLOAD_MAX, METRICS_PER_CLASS_MAX, METRICS_PER_MESSAGE_MAX, PAYLOAD_DEPTH_MAX};

use super::*;
use crate::Counts;

/// Sends payloads of index 0, one batch, and compares rows and dead letters. Offsets count from 1.
fn check_with(pipeline: &mut Pipeline, kind: PayloadKind, payloads: &[&str], expect: &[&str]) {
    let key = GroupKey { kind, ..key(0) };
    let payloads: Vec<_> = payloads.iter().map(|payload| (key, payload.as_bytes().to_vec())).collect();
    let mut output = Output::default();
    process(pipeline, &batch(RECEIVED, &[], &payloads), &mut output);
    assert_eq!(lines(&output), expect);
    assert_eq!(output.defects, []);
    let counts = output.counts;
    assert_eq!(counts.messages, counts.accepted + counts.duplicates + counts.rejected);
    assert_eq!((counts.accepted + counts.rejected) as usize, expect.len());
}

fn check(payloads: &[&str], expect: &[&str]) {
    check_with(&mut pipeline(UnknownFields::Drop), PayloadKind::Data, payloads, expect);
}

/// A message that is rejected with this reason, path and detail.
fn check_rejected(payload: &str, expect: &str) {
    check(&[payload], &[&format!("1-0 {expect} | {payload}")]);
}

#[test]
fn a_message_with_everything() {
    let message = r#"{"ts":-5,"metrics":{"temperature":23.4,"on":true,"state":"idle","count":-0},
        "seq":10042,"boot":3,"buffered":true,"tags":{"z":"\u00e9","line":"A\"B"}}"#;
    check(
        &[message],
        &[concat!(
            r#"1-0 d0 ts=-5 seq=10042 boot=3 buffered temperature=23.4 on=true state="idle" count=-0.0"#,
            r#" tags={"line":"A\"B","z":"é"}"#
        )],
    );
}

#[test]
fn a_message_with_metrics_only_has_the_receive_time() {
    check(&[r#"{"metrics":{"a":1}}"#, " [ ] "], &["1-0 d0 ts=1700000000000* a=1.0"]);
}

#[test]
fn whole_doubles_are_integers() {
    let extremes = r#"{"ts":9223372036854775807,"seq":18446744073709551615,"boot":4294967295,"metrics":{"a":1}}"#;
    check(
        &[r#"{"ts":1.7e12,"seq":1.0,"metrics":{"a":1}}"#, extremes],
        &[
            "1-0 d0 ts=1700000000000 seq=1 a=1.0",
            "2-0 d0 ts=9223372036854775807 seq=18446744073709551615 boot=4294967295 a=1.0",
        ],
    );
}

#[test]
fn a_metric_of_two_kinds_has_two_columns() {
    check(
        &[r#"{"ts":1,"metrics":{"a":1}}"#, r#"{"ts":2,"metrics":{"a":"x"}}"#, r#"{"ts":3,"metrics":{"a":2}}"#],
        &["1-0 d0 ts=1 a=1.0", r#"2-0 d0 ts=2 a="x""#, "3-0 d0 ts=3 a=2.0"],
    );
}

#[test]
fn a_bad_element_of_an_array_leaves_the_others() {
    let array = r#"[{"ts":1,"metrics":{"a":1}} , {"metrics":{}}, 7, {"ts":2,"metrics":{"a":2}}]"#;
    check(
        &[array],
        &[
            "1-0 d0 ts=1 a=1.0",
            "1-3 d0 ts=2 a=2.0",
            r#"1-1 metrics-missing /metrics | empty | {"metrics":{}}"#,
            "1-2 not-a-message | found 7 | 7",
        ],
    );
}

#[test]
fn an_array_that_is_not_well_formed_leaves_nothing() {
    check_rejected(r#"[{"ts":1,"metrics":{"a":1}},"#, "not-well-formed | expected a value, found the end at byte 28");
}

#[test]
fn every_rejection_says_why_and_where() {
    check_rejected("", "not-well-formed | expected a value, found the end at byte 0");
    check_rejected("{\"a\":1}}", "not-well-formed | expected the end, found `}` at byte 7");
    check_rejected("null", "not-a-message | found null at byte 0");
    check_rejected("{}", "metrics-missing | missing");
    check_rejected(r#"{"metrics":[]}"#, "metrics-missing /metrics | found an array");
    check_rejected(r#"{"metrics":{"a":null}}"#, "metric-type /metrics/a | found null");
    check_rejected(r#"{"metrics":{"a/b~":{}}}"#, "metric-type /metrics/a~1b~0 | found an object");
    check_rejected(r#"{"metrics":{"":1}}"#, "metric-name /metrics/ | 0 bytes");
    let long = "x".repeat(129);
    let path = format!("metric-name /metrics/{}… | 129 bytes", "x".repeat(128));
    check_rejected(&format!(r#"{{"metrics":{{"{long}":1}}}}"#), &path);
    check_rejected(r#"{"metrics":{"a":1e400}}"#, "number-not-finite /metrics/a | found inf");
    check_rejected(r#"{"metrics":{"a":9007199254740993}}"#, "number-not-exact /metrics/a | found 9007199254740993");
    check_rejected(r#"{"metrics":{"a":1,"b":2,"a":1}}"#, "duplicate-field /metrics/a |");
    check_rejected(r#"{"metrics":{"a":1},"metrics":{"a":1}}"#, "duplicate-field /metrics |");
    check_rejected(r#"{"metrics":{"a":1},"ts":1,"t\u0073":1}"#, "duplicate-field /ts |");
    check_rejected(r#"{"metrics":{"a":1},"tags":{"x":"1","x":"2"}}"#, "duplicate-field /tags/x |");
    check_rejected(r#"{"metrics":{"a":1},"ts":1.5}"#, "ts-invalid /ts | found 1.5");
    check_rejected(r#"{"metrics":{"a":1},"seq":-1}"#, "seq-invalid /seq | found -1");
    check_rejected(r#"{"metrics":{"a":1},"boot":4294967296}"#, "boot-invalid /boot | found 4294967296");
    check_rejected(r#"{"metrics":{"a":1},"buffered":0}"#, "buffered-invalid /buffered | found 0");
    check_rejected(r#"{"metrics":{"a":1},"tags":{"x":1}}"#, "tags-invalid /tags/x | found 1");
    check_rejected(r#"{"metrics":{"a":1},"tags":"x"}"#, "tags-invalid /tags | found a string");
}

#[test]
fn the_first_fault_counts_but_syntax_comes_first() {
    check_rejected(r#"{"metrics":{"a":null},"ts":1.5}"#, "metric-type /metrics/a | found null");
    check_rejected(r#"{"metrics":{"a":null},}"#, "not-well-formed | expected a name in quotes, found `}` at byte 22");
}

#[test]
fn limits_hold() {
    let reason = |payload: String| {
        let mut output = Output::default();
        let mut pipeline = pipeline(UnknownFields::Drop);
        process(&mut pipeline, &batch(RECEIVED, &[], &[(key(0), payload.into_bytes())]), &mut output);
        letters(&output).next().map(|letter| letter.reason.code())
    };
    let metrics = |count: usize| {
        let metrics: Vec<_> = (0..count).map(|n| format!("\"m{n}\":1")).collect();
        format!("{{\"metrics\":{{{}}}}}", metrics.join(","))
    };
    assert_eq!(reason(metrics(METRICS_PER_MESSAGE_MAX)), None);
    assert_eq!(reason(metrics(METRICS_PER_MESSAGE_MAX + 1)), Some("too-many-metrics"));
    let messages = |count| format!("[{}]", vec!["{\"metrics\":{\"a\":1}}"; count].join(","));
    assert_eq!(reason(messages(MESSAGES_PER_PAYLOAD_MAX)), None);
    assert_eq!(reason(messages(MESSAGES_PER_PAYLOAD_MAX + 1)), Some("too-many-messages"));
    let nested = |depth| format!("{{\"metrics\":{{\"a\":1}},\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(reason(nested(PAYLOAD_DEPTH_MAX - 1)), None);
    assert_eq!(reason(nested(PAYLOAD_DEPTH_MAX)), Some("too-deep"));
    let text = |len| format!("{{\"metrics\":{{\"a\":\"{}\"}}}}", "x".repeat(len));
    assert_eq!(reason(text(1024)), None);
    assert_eq!(reason(text(1025)), Some("metric-text-too-long"));
    let tags: Vec<_> = (0..17).map(|n| format!("\"t{n}\":\"\"")).collect();
    assert_eq!(reason(format!("{{\"metrics\":{{\"a\":1}},\"tags\":{{{}}}}}", tags.join(","))), Some("tags-invalid"));
}

#[test]
fn a_class_has_so_many_metrics_and_the_known_ones_go_on() {
    let mut pipeline = pipeline(UnknownFields::Drop);
    let mut output = Output::default();
    for start in (0..METRICS_PER_CLASS_MAX).step_by(1000) {
        let metrics: Vec<_> = (start..start + 1000).map(|n| format!("\"m{n}\":1")).collect();
        let payload = format!("{{\"metrics\":{{{}}}}}", metrics.join(","));
        process(&mut pipeline, &batch(RECEIVED, &[], &[(key(0), payload.into_bytes())]), &mut output);
        assert_eq!(output.counts.accepted, 1);
    }
    let next = r#"{"metrics":{"m1":1,"new":1}}"#;
    let expect = format!("11-0 metric-limit /metrics/new | the class has 10000 | {next}");
    check_with(
        &mut pipeline,
        PayloadKind::Data,
        &[next, r#"{"ts":1,"metrics":{"m1":1}}"#],
        &["12-0 d0 ts=1 m1=1.0", &expect],
    );
}

#[test]
fn unknown_fields_follow_the_plan() {
    let message = r#"{"ts":1,"metrics":{"a":1},"extra":2,"object":{}}"#;
    let check = |policy, expect: &str| {
        check_with(&mut pipeline(policy), PayloadKind::Data, &[message], &[expect]);
    };
    check(UnknownFields::Drop, "1-0 d0 ts=1 a=1.0");
    check(UnknownFields::Keep, "1-0 d0 ts=1 a=1.0 extra=2.0");
    check(UnknownFields::Reject, &format!("1-0 unknown-field /extra | | {message}"));
}

#[test]
fn a_class_has_its_rules_from_their_batch_on() {
    let mut pipeline = pipeline(UnknownFields::Drop);
    let message = (key(0), br#"{"metrics":{"a":1},"x":1}"#.to_vec());
    let mut output = Output::default();
    process(&mut pipeline, &batch(RECEIVED, &[], std::slice::from_ref(&message)), &mut output);
    assert_eq!(output.counts.accepted, 1);
    let rules = Box::new(model::ClassRules { unknown_fields: UnknownFields::Reject, ..Default::default() });
    let control = Control::Class { tenant: TenantId::from_bytes([1; 16]), class: class("pump"), rules };
    process(&mut pipeline, &batch(RECEIVED, &[control], &[message]), &mut output);
    assert_eq!(letters(&output).next().expect("a letter").reason, Reason::UnknownField);
}

#[test]
fn a_resend_is_dropped_and_counted() {
    let with_seq = r#"{"ts":1,"seq":5,"metrics":{"a":1}}"#;
    let without = r#"{"ts":1,"metrics":{"a":1,"b":2},"tags":{"t":"x"}}"#;
    let reordered = r#"{"tags":{"t":"x"},"buffered":true,"metrics":{"b":2.0,"a":1},"ts":1}"#;
    let clockless = r#"{"seq":5,"metrics":{"a":1}}"#;
    check(
        &[with_seq, with_seq, without, reordered, clockless, clockless],
        &[
            "1-0 d0 ts=1 seq=5 a=1.0",
            r#"3-0 d0 ts=1 a=1.0 b=2.0 tags={"t":"x"}"#,
            "5-0 d0 ts=1700000000000* seq=5 a=1.0",
        ],
    );
}

#[test]
fn messages_that_differ_are_kept() {
    check(
        &[
            r#"{"ts":1,"metrics":{"a":1,"b":2}}"#,
            r#"{"ts":1,"metrics":{"a":2,"b":1}}"#,
            r#"{"ts":1,"metrics":{"a":"1","b":2}}"#,
            r#"{"ts":1,"metrics":{"a":0}}"#,
            r#"{"ts":1,"metrics":{"a":-0}}"#,
            r#"{"ts":1,"metrics":{"a":0},"tags":{"t":"x"}}"#,
            r#"{"metrics":{"a":1}}"#,
            r#"{"metrics":{"a":1}}"#,
        ],
        &[
            "1-0 d0 ts=1 a=1.0 b=2.0",
            "2-0 d0 ts=1 a=2.0 b=1.0",
            r#"3-0 d0 ts=1 b=2.0 a="1""#,
            "4-0 d0 ts=1 a=0.0",
            "5-0 d0 ts=1 a=-0.0",
            r#"6-0 d0 ts=1 a=0.0 tags={"t":"x"}"#,
            "7-0 d0 ts=1700000000000* a=1.0",
            "8-0 d0 ts=1700000000000* a=1.0",
        ],
    );
}

#[test]
fn a_rejected_message_does_not_enter_the_window() {
    check(
        &[r#"{"ts":1,"seq":5,"metrics":{"a":null}}"#, r#"{"ts":1,"seq":5,"metrics":{"a":1}}"#],
        &[
            "2-0 d0 ts=1 seq=5 a=1.0",
            r#"1-0 metric-type /metrics/a | found null | {"ts":1,"seq":5,"metrics":{"a":null}}"#,
        ],
    );
}

#[test]
fn events_are_rows_of_their_own() {
    let events = r#"[{"type":"alarm","ts":1,"seq":5,"data":{"code" : [1,"x"]}},{"type":"alarm","ts":1,"seq":5},
        {"type":"on","boot":1},{"data":1},{"type":7},{"type":""}]"#;
    check_with(
        &mut pipeline(UnknownFields::Drop),
        PayloadKind::Events,
        &[events],
        &[
            r#"1-0 d0 ts=1 seq=5 type="alarm" data="{\"code\" : [1,\"x\"]}""#,
            r#"1-2 d0 ts=1700000000000* boot=1 type="on""#,
            r#"1-3 event-invalid /type | missing | {"data":1}"#,
            r#"1-4 event-invalid /type | found 7 | {"type":7}"#,
            r#"1-5 event-invalid /type | 0 bytes, 1 to 128 are allowed | {"type":""}"#,
        ],
    );
}

#[test]
fn kinds_formats_and_flags_that_are_no_readings() {
    let mut pipeline = pipeline(UnknownFields::Drop);
    let mut output = Output::default();
    let payload = || br#"{"metrics":{"a":1}}"#.to_vec();
    let topic = Source::Topic { tenant: TenantId::from_bytes([1; 16]), topic: "home/lamp".into() };
    let payloads = [
        (GroupKey { kind: PayloadKind::Free, ..key(1) }, payload()),
        (GroupKey { flags: GroupFlags::QUARANTINED, ..key(0) }, payload()),
        (GroupKey { format: Format::Avro, ..key(0) }, payload()),
        (GroupKey { format: Format::Protobuf, ..key(0) }, payload()),
        (key(9), payload()),
    ];
    process(&mut pipeline, &batch(RECEIVED, &[bind(1, topic)], &payloads), &mut output);
    let reasons: Vec<_> = letters(&output).map(|letter| letter.reason.code()).collect();
    assert_eq!(reasons, ["quarantined", "format-unsupported", "format-unsupported", "poison"]);
    assert_eq!(output.counts, Counts { messages: 4, rejected: 4, free: 1, ..Counts::default() });
    assert_eq!(output.defects, [Defect::Unbound { index: DeviceIndex(9), offset: 5 }]);
    assert_eq!(letters(&output).next().expect("a letter").source, device(1, "pump"));
}

#[test]
fn bindings_are_told_once_and_controls_are_passed_on() {
    let mut pipeline = pipeline(UnknownFields::Drop);
    let mut output = Output::default();
    let passed = [
        Control::Held { session: session(), packet_id: 1, payload_hash: 2 },
        Control::Released { session: session(), packet_id: 1 },
        Control::SessionEnded { session: session() },
    ];
    let mut controls = vec![bind(0, device(1, "pump")), bind(1, device(2, "pump")), bind(u32::MAX, device(3, "pump"))];
    controls.extend(passed.clone());
    process(&mut pipeline, &batch(RECEIVED, &controls, &[]), &mut output);
    assert_eq!(output.bindings, [(DeviceIndex(1), device(2, "pump"))]);
    assert_eq!(output.controls, passed);
    assert_eq!(output.defects, [Defect::IndexOutOfRange { index: DeviceIndex(u32::MAX) }]);
    assert_eq!(pipeline.bindings().count(), 2);
    assert_eq!(pipeline.position(), 2);
}

#[test]
fn a_device_that_changes_its_class_keeps_its_window() {
    let mut pipeline = pipeline(UnknownFields::Drop);
    let mut output = Output::default();
    let message = |index, seq| (key(index), format!(r#"{{"ts":1,"seq":{seq},"metrics":{{"a":1}}}}"#).into_bytes());
    let payloads = [message(0, 1), message(1, 1), message(1, 2), message(2, 1)];
    let controls = [bind(1, device(1, "valve")), bind(2, device(2, "pump"))];
    process(&mut pipeline, &batch(RECEIVED, &controls, &payloads), &mut output);
    let rows: Vec<_> = output.rows.iter().map(|rows| (&*rows.layout.table.class, rows.device.clone())).collect();
    assert_eq!(rows, [("pump", vec![DeviceIndex(0), DeviceIndex(2)]), ("valve", vec![DeviceIndex(1)])]);
    assert_eq!(output.counts.duplicates, 1);
}

#[test]
fn an_output_is_empty_again_with_the_next_batch() {
    let mut pipeline = pipeline(UnknownFields::Drop);
    let mut output = Output::default();
    let wide = (key(0), br#"{"ts":1,"metrics":{"a":1,"b":"x"},"tags":{"t":"x"}}"#.to_vec());
    process(&mut pipeline, &batch(RECEIVED, &[], &[wide]), &mut output);
    let event = (GroupKey { kind: PayloadKind::Events, ..key(1) }, br#"{"type":"on"}"#.to_vec());
    let narrow = (key(1), br#"{"ts":2,"metrics":{"c":2}}"#.to_vec());
    process(&mut pipeline, &batch(RECEIVED + 1, &[bind(1, device(2, "valve"))], &[event, narrow]), &mut output);
    assert_eq!(lines(&output), [r#"2-0 d1 ts=1700000000001* type="on""#, "3-0 d1 ts=2 c=2.0"]);
    process(&mut pipeline, &batch(RECEIVED + 2, &[], &[]), &mut output);
    assert_eq!((lines(&output), output.counts), (vec![], Counts::default()));
}

#[test]
fn a_row_that_a_panic_left_half_done_is_taken_back() {
    let mut pipeline = pipeline(UnknownFields::Drop);
    let mut output = Output::default();
    let message = (key(0), br#"{"ts":1,"metrics":{"a":1,"b":2},"tags":{"t":"x"}}"#.to_vec());
    process(&mut pipeline, &batch(RECEIVED, &[], &[message]), &mut output);
    let whole = lines(&output);
    let rows = &mut output.rows[0];
    rows.columns[1].rows.push(1);
    rows.columns[1].bits.push(7);
    rows.columns[0].rows.push(1);
    rows.offset.push(9);
    output.repair();
    assert_eq!(lines(&output), whole);
    let rows = &output.rows[0];
    assert_eq!((rows.offset.len(), rows.columns[0].rows.len(), rows.columns[1].bits.len()), (1, 1, 1));
}
