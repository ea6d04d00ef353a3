//! What messages under a schema become, by example.

use model::contract::*;
use model::rules::Quarantine;
use model::{ClassRules, Profile};

use super::contracts::*;
use super::*;

/// Sends JSON payloads of index 0, each twice in a row of batches: the second time a shape may read it. Both times the same
/// must come of it.
#[track_caller]
fn check_in(pipeline: &mut Pipeline, payloads: &[&str], expect: &[&str]) {
    let mut output = Output::default();
    for payload in payloads {
        process(pipeline, &batch(RECEIVED, &[], &[(key(0), payload.as_bytes().to_vec())]), &mut output);
        // Twice, so that the metric has a column when its shape is learned.
        process(pipeline, &batch(RECEIVED, &[], &[(key(0), payload.as_bytes().to_vec())]), &mut output);
    }
    let payloads: Vec<_> = payloads.iter().map(|payload| (key(0), payload.as_bytes().to_vec())).collect();
    let mut restored = Pipeline::new(Partition(3), pipeline.plan().clone());
    let controls = [bind(0, device(1, "pump"))];
    for pipeline in [pipeline, &mut restored] {
        pipeline.windows = Windows::default();
        pipeline.devices = Devices::default();
        pipeline.position = 1;
        process(pipeline, &batch(RECEIVED, &controls, &payloads), &mut output);
        let lines: Vec<_> =
            lines(&output).iter().map(|line| line.split(" | {").next().unwrap_or(line).to_owned()).collect();
        assert_eq!(lines, expect);
        assert_eq!(output.defects, []);
    }
}

#[track_caller]
fn check(root: &Root, payloads: &[&str], expect: &[&str]) {
    check_in(&mut under(root.clone(), ClassRules::default()), payloads, expect);
}

/// A flat message that is rejected with this reason, path and detail.
#[track_caller]
fn check_rejected(root: &Root, payload: &str, expect: &str) {
    check(root, &[payload], &[&format!("1-0 {expect}")]);
}

fn flat() -> Root {
    root(
        false,
        vec![
            required(metric("temp", ranged(-40.0, 125.0, rule(Kind::Double)))),
            metric("count", rule(Kind::Long)),
            metric("on", rule(Kind::Bool)),
            metric(
                "state",
                Rule { one_of: vec![Value::Text("idle".into()), Value::Text("run".into())], ..rule(Kind::Text) },
            ),
            metric("motor.temp", Rule { nullable: true, ..rule(Kind::Double) }),
            field("tags.line", Part::Tag, rule(Kind::Text)),
        ],
    )
}

#[test]
fn a_flat_message() {
    let message = r#"{"ts":1,"seq":2,"boot":3,"buffered":true,"temp":20.5,"count":9007199254740993,"on":true,
        "state":"run","motor":{"temp":99},"tags":{"line":"A"}}"#;
    let expect = r#"1-0 d0 ts=1 seq=2 boot=3 buffered temp=20.5 count=9007199254740993l on=true state="run" motor.temp=99.0 tags={"line":"A"}"#;
    check(&flat(), &[message], &[expect]);
}

#[test]
fn a_whole_message() {
    let root =
        root(true, vec![metric("metrics.temp", rule(Kind::Double)), metric("metrics.motor.rpm", rule(Kind::Long))]);
    check(
        &root,
        &[
            r#"{"ts":1,"metrics":{"temp":1,"motor":{"rpm":5}},"tags":{"any":"x"},"seq":4}"#,
            r#"{"ts":2,"metrics":{"motor":{"rpm":6}}}"#,
            r#"{"ts":3,"metrics":{}}"#,
            r#"{"ts":4,"metrics":7}"#,
        ],
        &[
            r#"1-0 d0 ts=1 seq=4 temp=1.0 motor.rpm=5l tags={"any":"x"}"#,
            "2-0 d0 ts=2 motor.rpm=6l",
            "3-0 metrics-missing /metrics | no field is a metric",
            "4-0 wrong-type /metrics | found 7, expected an object",
        ],
    );
}

#[test]
fn every_rejection_says_why_and_where() {
    let root = flat();
    check_rejected(&root, r#"{"temp":130}"#, "out-of-range /temp | found 130, at least -40 and at most 125 is allowed");
    check_rejected(&root, r#"{"temp":"x"}"#, "wrong-type /temp | found a string, expected a number");
    check_rejected(&root, r#"{"temp":{}}"#, "wrong-type /temp | found an object, expected a number");
    check_rejected(&root, r#"{"temp":1,"motor":5}"#, "wrong-type /motor | found 5, expected an object");
    check_rejected(&root, r#"{"count":1}"#, "required-missing /temp | missing");
    check_rejected(&root, r#"{"temp":1,"count":1.5}"#, "wrong-type /count | found 1.5, expected an integer");
    check_rejected(
        &root,
        r#"{"temp":1,"state":"off"}"#,
        "value-not-allowed /state | found `off`, allowed: `idle`, `run`",
    );
    check_rejected(
        &root,
        r#"{"temp":1,"motor":{"temp":true}}"#,
        "wrong-type /motor/temp | found true, expected a number or null",
    );
    check_rejected(&root, r#"{"temp":1,"temp":1}"#, "duplicate-field /temp |");
    check_rejected(&root, r#"{"temp":1,"motor":{},"motor":{}}"#, "duplicate-field /motor |");
    check_rejected(&root, r#"{"temp":1,"motor.temp":1,"motor":{"temp":1}}"#, "duplicate-field /motor/temp |");
    check_rejected(&root, r#"{"temp":9007199254740993}"#, "number-not-exact /temp | found 9007199254740993");
    check_rejected(&root, r#"{"temp":1e999}"#, "number-not-finite /temp | found inf");
    check_rejected(&root, r#"{"temp":1,"ts":"x"}"#, "ts-invalid /ts | found a string");
    check_rejected(&root, r#"{"temp":1,"tags":{"line":1}}"#, "tags-invalid /tags/line | found 1");
    check_rejected(&root, r#"{"temp":1,"#, "not-well-formed | expected a name in quotes, found the end at byte 10");
}

#[test]
fn fields_that_the_schema_does_not_name() {
    let others = |others| Root { others, ..flat() };
    let message = r#"{"ts":1,"temp":1,"new":2,"motor":{"rpm":3},"list":[],"tags":{"line":"A","b":"c"}}"#;
    let check = |unknown_fields, root: Root, expect: &str| {
        let rules = ClassRules { unknown_fields, ..ClassRules::default() };
        check_in(&mut under(root, rules), &[message], &[expect]);
    };
    let kept = r#"1-0 d0 ts=1 temp=1.0 new=2.0 motor.rpm=3.0 tags={"b":"c","line":"A"}"#;
    check(UnknownFields::Keep, others(Others::Class), kept);
    check(UnknownFields::Drop, others(Others::Class), r#"1-0 d0 ts=1 temp=1.0 tags={"line":"A"}"#);
    check(UnknownFields::Reject, others(Others::Class), "1-0 unknown-field /new |");
    check(UnknownFields::Keep, others(Others::Reject), "1-0 unknown-field /ts |");
    let like = Others::Like(Box::new(rule(Kind::Long)));
    check(UnknownFields::Drop, others(like), "1-0 wrong-type /list | found an array, expected an integer");
}

#[test]
fn null_is_absent_and_a_default_is_for_what_is_missing() {
    let nullable = Rule { nullable: true, ..rule(Kind::Double) };
    let root = root(
        false,
        vec![
            metric("a", rule(Kind::Double)),
            default(metric("b", nullable), Value::Double(5.0)),
            default(metric("c", rule(Kind::Long)), Value::Long(6)),
            default(metric("d", rule(Kind::Text)), Value::Text("x".to_owned())),
            default(field("tags.t", Part::Tag, rule(Kind::Text)), Value::Text("y".to_owned())),
        ],
    );
    check(
        &root,
        &[
            r#"{"ts":1,"a":1}"#,
            r#"{"ts":2,"b":null}"#,
            r#"{"ts":3,"a":1,"b":2,"c":3,"d":"z","tags":{"t":"q"}}"#,
            r#"{"ts":4,"a":null}"#,
        ],
        &[
            r#"1-0 d0 ts=1 a=1.0 b=5.0 c=6l d="x" tags={"t":"y"}"#,
            r#"2-0 d0 ts=2 c=6l d="x" tags={"t":"y"}"#,
            r#"3-0 d0 ts=3 a=1.0 b=2.0 c=3l d="z" tags={"t":"q"}"#,
            "4-0 wrong-type /a | found null, expected a number",
        ],
    );
}

#[test]
fn a_tag_that_is_null_has_no_default_and_is_not_a_missing_one() {
    let nullable = Rule { nullable: true, ..rule(Kind::Text) };
    let root = root(
        false,
        vec![
            metric("a", rule(Kind::Double)),
            default(field("tags.t", Part::Tag, nullable.clone()), Value::Text("y".to_owned())),
            field("tags.u", Part::Tag, nullable),
        ],
    );
    // The same but for the tag, without a seq: none is a re-send of another.
    check(
        &root,
        &[
            r#"{"ts":1,"a":1,"tags":{"t":null}}"#,
            r#"{"ts":1,"a":1,"tags":{"t":null,"u":"z"}}"#,
            r#"{"ts":1,"a":1,"tags":{"u":null}}"#,
        ],
        &["1-0 d0 ts=1 a=1.0", r#"2-0 d0 ts=1 a=1.0 tags={"u":"z"}"#, r#"3-0 d0 ts=1 a=1.0 tags={"t":"y"}"#],
    );
}

#[test]
fn units_defaults_and_computed_metrics() {
    let fahrenheit = Rule { unit: Some("[degF]".to_owned()), ..ranged(-40.0, 212.0, rule(Kind::Double)) };
    let long = Rule { unit: Some("[degF]".to_owned()), ..rule(Kind::Long) };
    let root = root(
        false,
        vec![
            metric("temp", fahrenheit.clone()),
            default(metric("outside", fahrenheit), Value::Double(32.0)),
            metric("whole", long),
            metric("flow", rule(Kind::Double)),
        ],
    );
    let rules = ClassRules {
        units: vec![celsius("temp"), celsius("outside"), celsius("whole")],
        computed: vec![
            computed("delta", "temp - outside"),
            computed("double", "delta * 2"),
            computed("flow", "99"),
            computed("ratio", "temp / flow"),
        ],
        ..ClassRules::default()
    };
    check_in(
        &mut under(root, rules),
        &[
            r#"{"ts":1,"temp":212,"flow":4}"#,
            r#"{"ts":2,"whole":50,"flow":0}"#,
            r#"{"ts":3,"temp":300}"#,
            r#"{"ts":4,"temp":32,"flow":0}"#,
        ],
        &[
            "1-0 d0 ts=1 temp=100.0 flow=4.0 outside=0.0 delta=100.0 double=200.0 ratio=25.0",
            "2-0 d0 ts=2 flow=0.0 outside=0.0 whole=10.0",
            "4-0 d0 ts=4 temp=0.0 flow=0.0 outside=0.0 delta=0.0 double=0.0",
            "3-0 out-of-range /temp | found 300, at least -40 and at most 212 is allowed",
        ],
    );
}

#[test]
fn times_by_declaration() {
    let with = |unit| root(false, vec![metric("a", rule(Kind::Double)), field("ts", Part::Ts(unit), Rule::default())]);
    check(
        &with(Some(TsUnit::Seconds)),
        &[r#"{"ts":1.5,"a":1}"#, r#"{"ts":2,"a":1}"#],
        &["1-0 d0 ts=1500 a=1.0", "2-0 d0 ts=2000 a=1.0"],
    );
    let iso = [r#"{"ts":"1970-01-01T00:00:01.25Z","a":1}"#, r#"{"ts":1,"a":1}"#];
    let expect = "2-0 ts-invalid /ts | found 1, expected a time as in 2026-03-14T15:09:26.535Z";
    check(&with(Some(TsUnit::Iso8601)), &iso, &["1-0 d0 ts=1250 a=1.0", expect]);
    // Two readings of one millisecond are two.
    let micros = [r#"{"ts":1001,"a":1}"#, r#"{"ts":1002,"a":1}"#, r#"{"ts":1001,"a":1}"#];
    check(&with(Some(TsUnit::Microseconds)), &micros, &["1-0 d0 ts=1 a=1.0", "2-0 d0 ts=1 a=1.0"]);
    let rules = ClassRules { ts_unit: TsUnit::Nanoseconds, ..ClassRules::default() };
    check_in(&mut under(with(None), rules), &[r#"{"ts":5000000,"a":1}"#], &["1-0 d0 ts=5 a=1.0"]);
}

#[test]
fn a_part_of_a_message_keeps_to_its_rule() {
    let with = |part, rule: Rule| {
        let name = if matches!(part, Part::Ts(_)) { "ts" } else { "seq" };
        root(false, vec![metric("a", self::rule(Kind::Double)), field(name, part, rule)])
    };
    let ts = |unit, low, high| with(Part::Ts(Some(unit)), ranged(low, high, Rule::default()));
    let from_2 = ts(TsUnit::Milliseconds, 2.0, 1e15);
    let expect = ["1-0 d0 ts=2 a=1.0", "2-0 out-of-range /ts | found 1, at least 2 and at most 1e15 is allowed"];
    check(&from_2, &[r#"{"ts":2,"a":1}"#, r#"{"ts":1,"a":1}"#], &expect);
    let seconds = ts(TsUnit::Seconds, 1.5, 9.25);
    let expect = ["1-0 d0 ts=1500 a=1.0", "2-0 out-of-range /ts | found 9.5, at least 1.5 and at most 9.25 is allowed"];
    check(&seconds, &[r#"{"ts":1.5,"a":1}"#, r#"{"ts":9.5,"a":1}"#], &expect);
    let zulu = Rule { pattern: Some("Z$".to_owned()), ..Rule::default() };
    let text = r#"{"ts":"1970-01-01T00:00:00+00:00","a":1}"#;
    let expect = "value-not-allowed /ts | found `1970-01-01T00:00:00+00:00`, which the pattern `Z$` does not match";
    check_rejected(&with(Part::Ts(Some(TsUnit::Iso8601)), zulu), text, expect);
    let even = Rule { multiple_of: Some(2.0), ..Rule::default() };
    let expect = "value-not-allowed /seq | found 3, only multiples of 2 are allowed";
    check_rejected(&with(Part::Seq, even), r#"{"seq":3,"a":1}"#, expect);
}

/// Once a range of `ts` kept messages from having a shape: each was read with care.
#[test]
fn a_message_whose_time_has_a_range_has_a_shape() {
    for unit in [TsUnit::Milliseconds, TsUnit::Microseconds, TsUnit::Seconds] {
        let ts = field("ts", Part::Ts(Some(unit)), ranged(0.0, 1e18, Rule::default()));
        let mut pipeline = under(root(false, vec![metric("a", rule(Kind::Double)), ts]), ClassRules::default());
        let message = || (key(0), br#"{"ts":5000,"a":1}"#.to_vec());
        let mut output = Output::default();
        // Twice, so that the metric has a column when its shape is learned.
        for _ in 0..2 {
            process(&mut pipeline, &batch(RECEIVED, &[], &[message()]), &mut output);
        }
        let shapes = pipeline.tables.list.iter().flat_map(|table| &table.lanes).map(|lane| lane.shapes.len());
        assert_eq!(shapes.sum::<usize>(), 1, "{unit:?}");
    }
}

#[test]
fn tags_of_the_profile_are_added_and_the_messages_own_count() {
    let mut pipeline = under(flat(), ClassRules::default());
    let tags = vec![("line".to_owned(), "L1".to_owned()), ("site".to_owned(), "S\"1".to_owned())];
    let controls = [bind_with(0, 1, Profile { schema_id: None, tags })];
    let message = |text: &str| (key(0), text.as_bytes().to_vec());
    let event = (GroupKey { kind: PayloadKind::Events, ..key(0) }, br#"{"ts":9,"type":"on"}"#.to_vec());
    let payloads = [
        message(r#"{"ts":1,"temp":1}"#),
        message(r#"{"ts":2,"temp":2,"tags":{"line":"A"}}"#),
        message(r#"{"ts":3,"temp":3}"#),
        event,
    ];
    let mut output = Output::default();
    process(&mut pipeline, &batch(RECEIVED, &controls, &payloads), &mut output);
    assert_eq!(
        lines(&output),
        [
            r#"1-0 d0 ts=1 temp=1.0 tags={"line":"L1","site":"S\"1"}"#,
            r#"2-0 d0 ts=2 temp=2.0 tags={"line":"A","site":"S\"1"}"#,
            r#"3-0 d0 ts=3 temp=3.0 tags={"line":"L1","site":"S\"1"}"#,
            r#"4-0 d0 ts=9 type="on" tags={"line":"L1","site":"S\"1"}"#,
        ]
    );
    assert_eq!(output.bindings, [], "a change of profile is no news");
}

#[test]
fn a_resend_is_one_whatever_the_plan_has_become() {
    let mut pipeline = Pipeline::new(Partition(0), Plan::default());
    let payload = (key(0), br#"{"ts":1,"temp":50,"count":3,"metrics":{}}"#.to_vec());
    let mut output = Output::default();
    let unit = Rule { unit: Some("[degF]".to_owned()), ..rule(Kind::Double) };
    let root = root(
        false,
        vec![
            metric("temp", unit),
            metric("count", rule(Kind::Long)),
            default(metric("more", rule(Kind::Long)), Value::Long(6)),
            metric("metrics", Rule::default()),
        ],
    );
    let before = [bind(0, device(1, "pump"))];
    let after = [
        json_schema(1, 1, root),
        rules(ClassRules { schema_id: Some(PUMP), units: vec![celsius("temp")], ..ClassRules::default() }),
    ];
    process(&mut pipeline, &batch(RECEIVED, &before, std::slice::from_ref(&payload)), &mut output);
    assert_eq!((lines(&output), output.counts.accepted), (vec!["0-0 d0 ts=1 temp=50.0 count=3.0".to_owned()], 1));
    process(&mut pipeline, &batch(RECEIVED, &after, std::slice::from_ref(&payload)), &mut output);
    assert_eq!((lines(&output), output.counts.duplicates), (vec![], 1));
}

#[test]
fn the_wire_format_names_a_schema() {
    let wire = |id: u32, text: &str| (key(0), [&[0][..], &id.to_be_bytes(), text.as_bytes()].concat());
    let one = root(false, vec![metric("a", rule(Kind::Double))]);
    let two = root(
        false,
        vec![metric("a", rule(Kind::Double)), default(metric("b", rule(Kind::Double)), Value::Double(2.0))],
    );
    let mut pipeline = under(one.clone(), ClassRules::default());
    let controls = [
        json_schema(8, 2, two),
        schema(9, vec![place("other", 1, OTHER)], Language::Json, one.clone()),
        Control::Schema {
            tenant: tenant(),
            record: Box::new(SchemaRecord {
                id: 10,
                places: vec![place("pump", 3, PUMP_2)],
                contract: Verdict::Unusable("why".to_owned()),
            }),
        },
    ];
    let payloads = [
        wire(7, r#"{"ts":1,"a":1}"#),
        wire(9, r#"{"ts":2,"a":1}"#),
        wire(11, r#"{"ts":3,"a":1}"#),
        wire(10, r#"{"ts":4,"a":1}"#),
        wire(7, r#"{"ts":5,"a":"x"}"#),
        wire(7, "{"),
        (key(0), vec![0, 0]),
    ];
    let mut output = Output::default();
    process(&mut pipeline, &batch(RECEIVED, &controls, &payloads), &mut output);
    let seen: Vec<_> = letters(&output).map(|letter| (letter.reason.code(), &*letter.path, &*letter.detail)).collect();
    assert_eq!(
        seen,
        [
            ("schema-mismatch", "", "schema 9 is of the subject `other`, the device's is of `pump`"),
            ("schema-unknown", "", "there is no schema 11"),
            ("schema-unusable", "", "why"),
            ("wrong-type", "/a", "found a string, expected a number"),
            ("not-well-formed", "", "expected a name in quotes, found the end at byte 6"),
            ("not-well-formed", "", "a payload that begins with a zero byte names its schema in 5 bytes"),
        ]
    );
    assert_eq!(lines(&output)[0], "1-0 d0 ts=1 a=1.0 b=2.0");
    let letter = letters(&output).nth(3).expect("a letter");
    assert_eq!(letter.payload, payloads[4].1);
    assert_eq!(letter.schema, Some(model::dead_letter::SchemaOf { schema_id: PUMP, id: 7, version: 1 }));
}

#[test]
fn a_devices_own_schema_is_before_its_classs() {
    let mut pipeline = under(root(false, vec![metric("a", rule(Kind::Double))]), ClassRules::default());
    let profile = |schema_id| Profile { schema_id: Some(schema_id), tags: Vec::new() };
    let controls = [
        schema(8, vec![place("other", 1, OTHER)], Language::Json, root(false, vec![metric("a", rule(Kind::Text))])),
        bind_with(1, 2, profile(OTHER)),
        bind_with(2, 3, profile(PUMP_2)),
    ];
    let payload = |index| (key(index), br#"{"ts":1,"a":1}"#.to_vec());
    let mut output = Output::default();
    process(&mut pipeline, &batch(RECEIVED, &controls, &[payload(0), payload(1), payload(2)]), &mut output);
    let lines = lines(&output);
    assert_eq!(lines[0], "1-0 d0 ts=1 a=1.0");
    assert!(lines[1].starts_with("2-0 wrong-type /a | found 1, expected a string"), "{}", lines[1]);
    assert!(lines[2].starts_with("3-0 schema-unknown | the device's schema 0c0c"), "{}", lines[2]);
    // The schema comes to be known.
    let controls =
        [schema(9, vec![place("pump", 2, PUMP_2)], Language::Json, root(false, vec![metric("a", rule(Kind::Long))]))];
    process(&mut pipeline, &batch(RECEIVED, &controls, &[payload(2)]), &mut output);
    assert_eq!(super::lines(&output), ["4-0 d2 ts=1 a=1l"]);
}

#[test]
fn a_device_is_flagged_for_what_it_sends() {
    let quarantine = Some(Quarantine { messages: 4, rejected_percent: 25.0, quarantine: true });
    let mut pipeline = under(flat(), ClassRules { quarantine, ..ClassRules::default() });
    let message = |ts, temp| (key(0), format!(r#"{{"ts":{ts},"temp":{temp}}}"#).into_bytes());
    let mut output = Output::default();
    let payloads = [message(1, 500), message(2, 1), message(3, 2), message(4, 3), message(5, 500)];
    process(&mut pipeline, &batch(RECEIVED, &[], &payloads), &mut output);
    assert_eq!(output.flagged, []);
    process(&mut pipeline, &batch(RECEIVED + 7, &[], &[message(6, 1), message(7, 900)]), &mut output);
    let expect = crate::Flagged {
        device: DeviceIndex(0),
        source: device(1, "pump"),
        at: RECEIVED + 7,
        messages: 3,
        rejected: 2,
        reason: Reason::OutOfRange,
        quarantine: true,
    };
    assert_eq!(output.flagged, [expect]);
}

#[test]
fn metrics_of_any_name_have_the_unit_of_their_rule() {
    let like = Rule { unit: Some("[degF]".to_owned()), ..rule(Kind::Long) };
    let root = Root { others: Others::Like(Box::new(like)), ..root(true, Vec::new()) };
    let rules = ClassRules { units: vec![celsius("a")], ..ClassRules::default() };
    check_in(&mut under(root, rules), &[r#"{"ts":1,"metrics":{"a":50,"b":50}}"#], &["1-0 d0 ts=1 a=10.0 b=50.0"]);
}

#[test]
fn a_class_that_cannot_convert_a_unit_says_so() {
    let unit = |unit: &str| Rule { unit: Some(unit.to_owned()), ..rule(Kind::Double) };
    let under = |sent: &str| {
        let rules = ClassRules { units: vec![celsius("a")], ..ClassRules::default() };
        under(root(false, vec![metric("a", unit(sent))]), rules)
    };
    check_in(&mut under("Cel"), &[r#"{"ts":1,"a":5}"#], &["1-0 d0 ts=1 a=5.0"]);
    let why = "1-0 schema-unusable | the metric `a` has the unit K, and the class has no conversion of it into Cel";
    check_in(&mut under("K"), &[r#"{"ts":1,"a":5}"#], &[why]);
}
