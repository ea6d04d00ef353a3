use proptest::prelude::*;

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

/// Milliseconds passed and payloads.
type Traffic = Vec<(i64, Vec<(GroupKey, Vec<u8>)>)>;

fn batches() -> impl Strategy<Value = Traffic> {
    prop::collection::vec((0..100_000_000_i64, prop::collection::vec(payload(), 0..12)), 1..10)
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
        for (number, (passed, payloads)) in batches.iter().enumerate() {
            received += passed;
            let batch = batch(received, &bindings(), payloads);
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
