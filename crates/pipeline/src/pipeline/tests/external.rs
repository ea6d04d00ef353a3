//! Schema ids when schemas come from an external registry: what no record told of waits for one.

use model::contract::*;
use model::limits::UNKNOWN_SCHEMA_IDS_MAX;
use model::rules::Quarantine;
use model::{ClassRules, Profile, Replay};

use super::contracts::*;
use super::encoded::{avro_pipeline, datum};
use super::*;

fn external() -> Control {
    Control::SchemaSource(SchemaSource::External)
}

fn unknown(id: u32) -> Control {
    Control::Schema {
        tenant: tenant(),
        record: Box::new(SchemaRecord { id, places: Vec::new(), contract: Verdict::Unknown }),
    }
}

fn wire(id: u32, body: &[u8]) -> Vec<u8> {
    [&[0][..], &id.to_be_bytes(), body].concat()
}

fn flat() -> Root {
    root(false, vec![metric("a", rule(Kind::Double))])
}

/// What becomes of a payload, in short.
fn seen(pipeline: &mut Pipeline, controls: &[Control], payload: Vec<u8>, format: Format) -> String {
    let mut output = Output::default();
    let key = GroupKey { format, ..key(0) };
    process(pipeline, &batch(RECEIVED, controls, &[(key, payload)]), &mut output);
    let short = |line: &String| line.split(" | ").take(2).collect::<Vec<_>>().join(" | ");
    lines(&output).iter().map(short).collect()
}

#[test]
fn an_id_waits_for_its_verdict() {
    let mut pipeline = under(flat(), ClassRules::default());
    let message = || wire(8, br#"{"ts":1,"a":1}"#);
    assert_eq!(seen(&mut pipeline, &[], message(), Format::Json), "1-0 schema-unknown | there is no schema 8");
    let waits = "schema-unavailable | the external registry has not said yet what schema 8 is";
    assert_eq!(seen(&mut pipeline, &[external()], message(), Format::Json), format!("2-0 {waits}"));
    // A snapshot says where schemas come from, and which ids mean nothing.
    let mut state = Vec::new();
    pipeline.plan().encode(&mut state);
    assert_eq!(Plan::decode(&state).expect("what was just written").source(), SchemaSource::External);
    let no = "the registry has no schema 8";
    assert_eq!(seen(&mut pipeline, &[unknown(8)], message(), Format::Json), format!("3-0 schema-unknown | {no}"));
    assert_eq!(seen(&mut pipeline, &[json_schema(8, 2, flat())], message(), Format::Json), "4-0 d0 ts=1 a=1.0");
    let built_in = Control::SchemaSource(SchemaSource::BuiltIn);
    let other = wire(9, br#"{"ts":1,"a":1}"#);
    assert_eq!(seen(&mut pipeline, &[built_in], other, Format::Json), "5-0 schema-unknown | there is no schema 9");
}

#[test]
fn a_letter_that_is_tried_again_is_a_reading_or_unknown() {
    let mut pipeline = under(flat(), ClassRules::default());
    let origin = "3-1-0".parse().expect("an address");
    let mut replay = |controls: &[Control], id: u32| {
        let mut payload = Vec::new();
        Replay { origin }.encode(&mut payload);
        payload.extend_from_slice(&wire(id, br#"{"ts":5,"a":1}"#));
        let mut output = Output::default();
        let key = GroupKey { flags: GroupFlags::REPLAYED, ..key(0) };
        process(&mut pipeline, &batch(RECEIVED, controls, &[(key, payload)]), &mut output);
        let rejected = output.dead.iter().find_map(|entry| match entry {
            Entry::Replayed(replayed) => Some(replayed.rejected.as_ref().map(|rejection| rejection.reason)),
            Entry::Letter(_) => None,
        });
        (output.counts.accepted, rejected)
    };
    assert_eq!(replay(&[external()], 8), (0, Some(Some(Reason::SchemaUnavailable))));
    assert_eq!(replay(&[unknown(8)], 8), (0, Some(Some(Reason::SchemaUnknown))));
    assert_eq!(replay(&[json_schema(8, 2, flat())], 8), (1, Some(None)));
}

#[test]
fn a_bare_avro_datum_that_begins_with_a_zero_byte_waits_too() {
    let mut pipeline = avro_pipeline();
    // At the time 0, with 1.0 as a double behind it: the "id" is 0.
    let bare = [&[0][..], &datum(1.0, &[0])[2..]].concat();
    let waits = seen(&mut pipeline, &[external()], bare.clone(), Format::Avro);
    assert!(waits.ends_with("has not said yet what schema 0 is"), "{waits}");
    let read = seen(&mut pipeline, &[unknown(0)], bare, Format::Avro);
    assert!(read.contains("temp=1.0"), "{read}");
}

#[test]
fn the_lowest_of_too_many_unknown_ids_is_forgotten() {
    let mut pipeline = under(flat(), ClassRules::default());
    let many: Vec<Control> = (100..100 + UNKNOWN_SCHEMA_IDS_MAX as u32).map(unknown).collect();
    seen(&mut pipeline, &[&[external()][..], &many].concat(), wire(100, b"{}"), Format::Json);
    let reason = |line: String| line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut told = |controls: &[Control], id| reason(seen(&mut pipeline, controls, wire(id, b"{}"), Format::Json));
    assert_eq!(told(&[], 100), "schema-unknown");
    assert_eq!(told(&[unknown(7)], 7), "schema-unknown");
    assert_eq!(told(&[], 100), "schema-unavailable");
    assert_eq!(told(&[], 101), "schema-unknown");
}

#[test]
fn nobody_is_flagged_for_what_a_registry_did_not_say() {
    let quarantine = Some(Quarantine { messages: 2, rejected_percent: 1.0, quarantine: true });
    let mut pipeline = under(flat(), ClassRules { quarantine, ..ClassRules::default() });
    let payloads: Vec<_> = (0..8).map(|_| (key(0), wire(9, b"{}"))).collect();
    let controls = [external(), bind_with(0, 1, Profile::default())];
    let mut output = Output::default();
    process(&mut pipeline, &batch(RECEIVED, &controls, &payloads), &mut output);
    assert_eq!((output.counts.rejected, output.flagged.len()), (8, 0));
    process(&mut pipeline, &batch(RECEIVED, &[unknown(9)], &payloads), &mut output);
    assert_ne!(output.flagged.len(), 0, "what the registry does not know is the device's doing");
}
