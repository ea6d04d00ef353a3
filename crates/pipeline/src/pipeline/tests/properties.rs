use proptest::prelude::*;

use model::contract::{Kind, Part, Rule, TsUnit, Value};
use model::rules::Quarantine;
use model::{ClassRules, Profile};

use super::contracts::{PUMP, celsius, computed, default, field, json_schema, metric, ranged, root, rule, rules};
use super::*;

/// A payload of one of a few devices in any format: mostly good, partly bad, often sent before.
fn payload() -> impl Strategy<Value = (GroupKey, Vec<u8>)> {
    let message = (0..40_i64, 0..20_u64, 0..6_u8, 0..4_u8).prop_map(|(ts, seq, shape, metric)| match shape {
        0 => format!(r#"{{"ts":{ts},"metrics":{{"m{metric}":{seq}}}}}"#),
        1 => format!(r#"{{"seq":{seq},"metrics":{{"m{metric}":{ts}}}}}"#),
        2 => format!(r#"{{"ts":{ts},"seq":{seq},"boot":{metric},"metrics":{{"a":true,"m{metric}":"x"}}}}"#),
        3 => format!(r#"[{{"ts":{ts},"seq":{seq},"metrics":{{"a":{metric}}}}},{{"metrics":{{"a":null}}}}]"#),
        4 => format!(r#"{{"ts":{ts},"seq":{seq},"metrics":{{"a":{metric}.5,"b":{ts}}},"tags":{{"t":"{metric}"}}}}"#),
        _ => format!(r#"{{"type":"t{metric}","ts":{ts},"seq":{seq},"data":[{metric}]}}"#),
    });
    let bytes = prop_oneof![9 => message.prop_map(String::into_bytes), 1 => prop::collection::vec(any::<u8>(), 0..20)];
    (0..4_u32, any::<bool>(), bytes).prop_map(|(index, is_event, bytes)| {
        let kind = if is_event { PayloadKind::Events } else { PayloadKind::Data };
        (GroupKey { kind, ..key(index) }, bytes)
    })
}

/// Milliseconds passed, a change of the plan, and payloads.
type Traffic = Vec<(i64, Option<Change>, Vec<(GroupKey, Vec<u8>)>)>;

fn batches() -> impl Strategy<Value = Traffic> {
    let change = prop::option::of(prop_oneof![
        (0..4_u32).prop_map(Change::Schema),
        (0..4_u32).prop_map(Change::Rules),
        (0..4_u32).prop_map(Change::Profile)
    ]);
    prop::collection::vec((0..100_000_000_i64, change, prop::collection::vec(payload(), 0..12)), 1..10)
}

/// What the plan becomes with a batch.
#[derive(Clone, Copy, Debug)]
enum Change {
    Schema(u32),
    Rules(u32),
    Profile(u32),
}

impl Change {
    fn control(self) -> Control {
        match self {
            Self::Schema(version) => {
                let fahrenheit = Rule { unit: Some("[degF]".to_owned()), ..ranged(0.0, 30.0, rule(Kind::Double)) };
                let more = default(metric("metrics.more", rule(Kind::Long)), Value::Long(version.into()));
                let fields = vec![
                    metric("metrics.a", fahrenheit),
                    metric("metrics.m1", rule([Kind::Double, Kind::Long][version as usize % 2])),
                    more,
                    field("ts", Part::Ts(Some(TsUnit::Seconds)), Rule::default()),
                ];
                json_schema(version, version + 1, root(true, fields))
            }
            Self::Rules(number) => rules(ClassRules {
                unknown_fields: [UnknownFields::Keep, UnknownFields::Reject][number as usize % 2],
                schema_id: (number > 0).then_some(PUMP),
                units: if number == 2 { vec![celsius("a")] } else { Vec::new() },
                computed: vec![computed("sum", "a + more"), computed("b", "m1 * 2")],
                quarantine: Some(Quarantine { messages: 3, rejected_percent: 30.0, quarantine: number == 1 }),
                ..ClassRules::default()
            }),
            Self::Profile(number) => {
                let tags = (0..number).map(|tag| (format!("t{tag}"), format!("p{number}"))).collect();
                super::contracts::bind_with(0, 0, Profile { schema_id: (number == 3).then_some(PUMP), tags })
            }
        }
    }
}

/// Everything about an output that another stage can see. Columns at a row's end that have no values are not.
fn seen(output: &Output) -> String {
    let Output { bindings, rows, dead, flagged, controls, defects, counts, .. } = output;
    let tables: Vec<_> = rows.iter().map(|rows| (&rows.layout, rows.received)).collect();
    format!("{bindings:?} {tables:?} {:?} {dead:?} {flagged:?} {controls:?} {defects:?} {counts:?}", lines(output))
}

fn bindings() -> Vec<Control> {
    let classes = ["pump", "pump", "valve", "valve"];
    (0..4).zip(classes).map(|(index, class)| bind(index, device(index as u8 / 2, class))).collect()
}

proptest! {
    #[test]
    fn deriving_again_from_any_snapshot_gives_the_same(batches in batches(), restore: u16) {
        let mut straight = Pipeline::new(Partition(0), Plan::default());
        let mut restored = Pipeline::new(Partition(0), Plan::default());
        let (mut one, mut other) = (Output::default(), Output::default());
        let mut received = 0;
        for (number, (passed, change, payloads)) in batches.iter().enumerate() {
            received += passed;
            let mut controls = bindings();
            controls.extend(change.map(Change::control));
            let batch = batch(received, &controls, payloads);
            process(&mut straight, &batch, &mut one);
            if restore >> number & 1 == 1 {
                let mut snapshot = Vec::new();
                restored.snapshot(&mut snapshot);
                restored = Pipeline::restore(&snapshot).expect("restores");
                other = Output::default();
            }
            process(&mut restored, &batch, &mut other);
            prop_assert_eq!(seen(&one), seen(&other));
        }
        let (mut one, mut other) = (Vec::new(), Vec::new());
        straight.snapshot(&mut one);
        restored.snapshot(&mut other);
        prop_assert_eq!(one, other, "the states are the same");
    }

    #[test]
    fn arbitrary_bytes_never_panic_in_any_format(
        payloads in prop::collection::vec((0..2_u32, 1..3_u8, 0..5_usize, prop::collection::vec(any::<u8>(), 0..64)), 1..8),
    ) {
        let formats = [Format::Json, Format::MessagePack, Format::Cbor, Format::Avro, Format::Protobuf];
        let kinds = [PayloadKind::Data, PayloadKind::Events, PayloadKind::Free];
        let payloads: Vec<_> = payloads
            .into_iter()
            .map(|(index, kind, format, bytes)| {
                let key = GroupKey { kind: kinds[usize::from(kind)], format: formats[format], ..key(index) };
                (key, bytes)
            })
            .collect();
        for (key, bytes) in &payloads {
            drop(crate::check(key.format, bytes));
        }
        let mut output = Output::default();
        let mut pipeline = pipeline(UnknownFields::Keep);
        process(&mut pipeline, &batch(RECEIVED, &[bind(1, device(2, "pump"))], &payloads), &mut output);
        prop_assert_eq!(&output.defects, &[]);
        let counts = output.counts;
        prop_assert_eq!(counts.messages, counts.accepted + counts.duplicates + counts.rejected);
        prop_assert_eq!(counts.rejected as usize, output.dead.len());
    }
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let mut pipeline = pipeline(UnknownFields::Drop);
    let payload = (key(0), br#"{"ts":1,"seq":1,"metrics":{"a":1}}"#.to_vec());
    process(&mut pipeline, &batch(RECEIVED, &[], &[payload]), &mut Output::default());
    let mut snapshot = Vec::new();
    pipeline.snapshot(&mut snapshot);
    assert!(Pipeline::restore(&snapshot).is_ok());
    for at in 0..snapshot.len() {
        assert!(Pipeline::restore(&snapshot[..at]).is_err(), "cut at {at}");
        let mut flipped = snapshot.clone();
        flipped[at] ^= 1;
        // What stores it has the checksum; here it is enough that nothing panics, then or later.
        if let Ok(mut restored) = Pipeline::restore(&flipped) {
            let payload = (key(0), br#"{"ts":2,"seq":2,"metrics":{"a":1}}"#.to_vec());
            process(&mut restored, &batch(RECEIVED, &[], &[payload]), &mut Output::default());
        }
    }
    assert_eq!(Pipeline::restore(b"TWPS").err(), Some(RestoreError::NotASnapshot));
    snapshot[4] = 1;
    assert_eq!(Pipeline::restore(&snapshot).err(), Some(RestoreError::Format { found: 1 }));
}

/// A flat message, with values in and out of range.
fn flat_message() -> impl Strategy<Value = String> {
    let number = r"-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,4})?(e1)?";
    let value = prop_oneof![
        number.prop_map(|number| number),
        Just("null".to_owned()),
        Just("\"run\"".to_owned()),
        Just("true".to_owned())
    ];
    let names = prop::sample::subsequence(vec!["ts", "seq", "temp", "count", "on", "state", "other"], 1..7);
    (names, prop::collection::vec(value, 7), any::<bool>()).prop_map(|(names, values, wild)| {
        let plain = |name: &str| match name {
            "ts" | "seq" | "count" => "17",
            "on" => "false",
            "state" => "\"run\"",
            _ => "20.5",
        };
        let member = |(at, name): (usize, &&str)| {
            let value = if wild && at % 3 == 0 { &*values[at] } else { plain(name) };
            format!("\"{name}\":{value}")
        };
        format!("{{{}}}", names.iter().enumerate().map(member).collect::<Vec<_>>().join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A shape that has learned a schema's rules makes of a message what the careful reader makes of it.
    #[test]
    fn a_shape_never_changes_what_a_message_becomes_under_a_schema(
        learned in prop::collection::vec(flat_message(), 1..12),
        message in flat_message(),
        change in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        keep: bool,
    ) {
        let mut bytes = message.into_bytes();
        if let Some((at, byte)) = change {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let fields = vec![
            metric("temp", Rule { nullable: true, ..ranged(-10.0, 50.0, rule(Kind::Double)) }),
            default(metric("count", ranged(0.0, 100.0, rule(Kind::Long))), Value::Long(3)),
            metric("on", rule(Kind::Bool)),
            metric("state", Rule { chars_min: Some(2), ..rule(Kind::Text) }),
            field("ts", Part::Ts(Some(TsUnit::Seconds)), Rule::default()),
        ];
        let unknown_fields = if keep { UnknownFields::Keep } else { UnknownFields::Drop };
        let class = || ClassRules { unknown_fields, ..ClassRules::default() };
        let became = |learned: &[String]| {
            let mut pipeline = super::contracts::under(root(false, fields.clone()), class());
            let mut output = Output::default();
            let before = learned.iter().cycle().take(learned.len() * 3).map(|text| (key(0), text.clone().into_bytes()));
            process(&mut pipeline, &batch(RECEIVED, &[], &before.collect::<Vec<_>>()), &mut output);
            // Nothing is a duplicate, and every offset is the same.
            pipeline.windows = Windows::default();
            pipeline.devices = Devices::default();
            pipeline.position = 100;
            let payload = (key(0), bytes.clone());
            process(&mut pipeline, &batch(RECEIVED, &[bind(0, device(1, "pump"))], &[payload]), &mut output);
            let sorted = |line: &String| {
                let mut parts: Vec<_> = line.split(' ').map(str::to_owned).collect();
                parts.sort();
                parts
            };
            lines(&output).iter().map(sorted).collect::<Vec<_>>()
        };
        prop_assert_eq!(became(&learned), became(&[]), "{}", String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn arbitrary_bytes_never_panic_under_a_schema(payloads in prop::collection::vec((0..5_usize, prop::collection::vec(any::<u8>(), 0..64)), 1..40)) {
        let formats = [Format::Json, Format::MessagePack, Format::Cbor, Format::Avro, Format::Protobuf];
        let payloads: Vec<_> =
            payloads.into_iter().map(|(format, bytes)| (GroupKey { format: formats[format], ..key(0) }, bytes)).collect();
        for mut pipeline in [super::encoded::avro_pipeline(), super::encoded::protobuf_pipeline()] {
            let mut output = Output::default();
            process(&mut pipeline, &batch(RECEIVED, &[], &payloads), &mut output);
            prop_assert_eq!(&output.defects, &[]);
            let counts = output.counts;
            prop_assert_eq!(counts.messages, counts.accepted + counts.duplicates + counts.rejected);
            prop_assert_eq!(counts.rejected as usize, output.dead.len());
        }
    }
}
