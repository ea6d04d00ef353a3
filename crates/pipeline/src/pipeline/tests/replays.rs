//! Dead letters that are tried again.

use model::{Address, Replayed};

use super::*;

fn origin(offset: Offset) -> Address {
    Address { partition: Partition(3), offset, index: 0 }
}

/// The letter of this offset, tried again.
fn again(offset: Offset, payload: &str) -> (GroupKey, Vec<u8>) {
    let mut bytes = Vec::new();
    Replay { origin: origin(offset) }.encode(&mut bytes);
    bytes.extend_from_slice(payload.as_bytes());
    (GroupKey { flags: GroupFlags::REPLAYED, ..key(0) }, bytes)
}

/// Where an outcome stands, of which letter it is, and why it was rejected.
type Outcome<'o> = (Offset, Offset, Option<(&'static str, &'o str)>);

fn outcomes(output: &Output) -> Vec<Outcome<'_>> {
    let all = output.dead.iter().filter_map(|entry| match entry {
        Entry::Replayed(replayed) => Some(replayed),
        Entry::Letter(_) => None,
    });
    all.map(|replayed| {
        let rejected = replayed.rejected.as_ref().map(|again| (again.reason.code(), again.path.as_str()));
        (replayed.address.offset, replayed.origin.offset, rejected)
    })
    .collect()
}

#[test]
fn one_message_passes_or_is_rejected_again_and_makes_no_letter() {
    let mut pipeline = pipeline(UnknownFields::Drop);
    let mut output = Output::default();
    let payloads = [
        again(70, r#"{"ts":1,"seq":1,"metrics":{"a":1}}"#),
        again(71, r#"{"ts":2,"seq":2,"metrics":{"a":[]}}"#),
        again(72, "{"),
        // The same message once more: it is stored once.
        again(70, r#"{"ts":1,"seq":1,"metrics":{"a":1}}"#),
    ];
    process(&mut pipeline, &batch(RECEIVED, &[], &payloads), &mut output);
    assert_eq!(lines(&output), ["1-0 d0 ts=1 seq=1 a=1.0"]);
    let expect = [
        (1, 70, None),
        (2, 71, Some(("metric-type", "/metrics/a"))),
        (3, 72, Some(("not-well-formed", ""))),
        (4, 70, None),
    ];
    assert_eq!(outcomes(&output), expect);
    let Entry::Replayed(first) = &output.dead[0] else { panic!("an outcome") };
    let (address, tenant) = (origin(1), TenantId::from_bytes([1; 16]));
    let bytes = payloads[0].1.len() as u32 - Replay::BYTES as u32;
    let expect = Replayed { origin: origin(70), address, tenant, bytes, at: RECEIVED, rejected: None };
    assert_eq!(*first, expect);
}

#[test]
fn an_array_is_taken_apart() {
    let mut pipeline = pipeline(UnknownFields::Drop);
    let mut output = Output::default();
    let array = r#"[{"ts":1,"metrics":{"a":1}},{"ts":2,"metrics":{}},{"ts":3,"metrics":{"a":3}}]"#;
    process(&mut pipeline, &batch(RECEIVED, &[], &[again(70, array)]), &mut output);
    let expect = ["1-0 d0 ts=1 a=1.0", "1-2 d0 ts=3 a=3.0"];
    assert_eq!(lines(&output)[..2], expect);
    assert_eq!(letters(&output).map(|letter| letter.address.index).collect::<Vec<_>>(), [1]);
    assert_eq!(outcomes(&output), [(1, 70, None)]);
    assert!(matches!(output.dead.last(), Some(Entry::Replayed(_))));
}

#[test]
fn one_that_panics_is_isolated_and_one_of_a_quarantined_device_is_rejected_again() {
    let mut pipeline = pipeline(UnknownFields::Drop);
    let mut output = Output::default();
    let (key, payload) = again(73, r#"{"metrics":{"a":1}}"#);
    let quarantined = (GroupKey { flags: GroupFlags(key.flags.0 | GroupFlags::QUARANTINED.0), ..key }, payload);
    let poison = again(70, r#"{"metrics":{"panic-while-accepting":1}}"#);
    process(&mut pipeline, &batch(RECEIVED, &[], &[poison, quarantined]), &mut output);
    assert_eq!(outcomes(&output), [(1, 70, Some(("poison", ""))), (2, 73, Some(("quarantined", "")))]);
    assert_eq!(lines(&output), Vec::<String>::new());
}

#[test]
fn a_pipeline_without_state_has_the_plan_and_has_seen_nothing() {
    let mut pipeline = pipeline(UnknownFields::Reject);
    let message = |index| (key(index), br#"{"ts":1,"seq":1,"metrics":{"a":1}}"#.to_vec());
    process(&mut pipeline, &batch(RECEIVED, &[], &[message(0)]), &mut Output::default());
    let mut trial = pipeline.without_state();
    assert_eq!((trial.bindings().count(), trial.devices()), (0, 0));
    let mut output = Output::default();
    let odd = (key(0), br#"{"odd":1,"metrics":{"a":1}}"#.to_vec());
    process(&mut trial, &batch(RECEIVED, &[bind(0, device(1, "pump"))], &[message(0), odd]), &mut output);
    assert_eq!(lines(&output)[0], "0-0 d0 ts=1 seq=1 a=1.0");
    assert_eq!(letters(&output).next().map(|letter| letter.reason.code()), Some("unknown-field"));
}
