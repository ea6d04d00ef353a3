use model::contract::Layout;
use registry::schema::Schema;
use registry::{TenantSettings, rules_under};

use super::sent::class_settings;
use super::*;

const NOW: Millis = 1_800_000_000_000;
const AVRO: &str = r#"{"type":"record","name":"Pump","fields":[{"name":"flow","type":"long"},
    {"name":"temperature","type":"double","unit":"[degF]","min":-40,"max":300}]}"#;
const JSON: &str = r#"{"properties":{"temperature":{"type":"number","unit":"[degF]","maximum":300}}}"#;
const PROTOBUF: &str = r#"syntax = "proto3"; message Other { bool on = 1; }
    message Pump { int64 flow = 1; double temperature = 2; }"#;

fn schema(language: Language, text: &str) -> SchemaRecord {
    let schema = Schema::parse(language, text, &[]).unwrap();
    as_registered(schema.contract().map_or_else(|unusable| Verdict::Unusable(unusable.why), Verdict::Usable))
}

fn tried(schema: &SchemaRecord, class: Value, format: Format, bytes: &[u8]) -> Value {
    let rules = rules_under(&class_settings(class).unwrap(), &TenantSettings::defaults("t"), schema).unwrap();
    Sample::new(bytes.to_vec(), format).unwrap().try_under(schema, &rules, NOW)
}

/// The flow, the temperature and the schema's number that a sample of one message has.
fn check(schema: &SchemaRecord, format: Format, bytes: &[u8], expected: Value) {
    let answer = tried(schema, json!({}), format, bytes);
    let metric = |name: &str| answer["readings"][0]["metrics"][name]["value"].clone();
    assert_eq!(json!([metric("flow"), metric("temperature"), answer["wire_id"]]), expected, "{answer}");
}

/// A double as Avro and Protobuf write it.
fn double(value: f64) -> [u8; 8] {
    value.to_le_bytes()
}

#[test]
fn a_reading_is_shown_as_it_would_be_stored() {
    let class = json!({"units": {"temperature": "Cel"},
        "computed": [{"metric": "kelvin", "expression": "temperature + 273.15", "unit": "K"}]});
    let payload = br#"{"ts":5,"seq":7,"boot":2,"buffered":true,"temperature":212,"state":"on","tags":{"line":"A"}}"#;
    let answer = tried(&schema(Language::Json, JSON), class, Format::Json, payload);
    let expected = json!({
        "wire_id": null, "accepted": 1, "duplicates": 0, "rejected": 0, "dead_letters": [],
        "readings": [{"index": 0, "ts": 5, "ts_received": false, "seq": 7, "boot": 2, "buffered": true,
            "tags": {"line": "A"}, "metrics": {
                "temperature": {"value": 100.0, "unit": "Cel", "type": "double"},
                "kelvin": {"value": 373.15, "unit": "K", "type": "double"},
                "state": {"value": "on", "unit": null, "type": "string"}}}],
    });
    assert_eq!(answer, expected);
}

#[test]
fn a_dead_letter_says_where_and_why() {
    let schema = schema(Language::Json, JSON);
    let class = json!({"unknown_fields": "reject"});
    let payload = br#"[{"temperature":301},{"temperature":1,"x":2},{"temperature":1}]"#;
    let answer = tried(&schema, class, Format::Json, payload);
    let why = |letter: &Value| json!([letter["index"], letter["reason"], letter["path"]]);
    let letters: Vec<_> = answer["dead_letters"].as_array().unwrap().iter().map(why).collect();
    assert_eq!(letters, [json!([0, "out-of-range", "/temperature"]), json!([1, "unknown-field", "/x"])]);
    let reading = &answer["readings"][0];
    let units = &reading["metrics"]["temperature"]["unit"];
    assert_eq!((&reading["index"], &reading["ts_received"], units), (&json!(2), &json!(true), &json!("[degF]")));
    let answer = tried(&schema, json!({}), Format::Cbor, b"\xff");
    assert_eq!(answer["dead_letters"][0]["reason"], "not-well-formed", "{answer}");
}

#[test]
fn every_format_is_read() {
    let json = schema(Language::Json, JSON);
    check(&json, Format::Json, br#"{"temperature":1.5}"#, json!([null, 1.5, null]));
    check(&json, Format::Json, b"\0\0\0\0\x09{\"temperature\":1.5}", json!([null, 1.5, 9]));
    let fields = [&b"\x82\xa4flow\x05\xabtemperature\xcb"[..], &1.5_f64.to_be_bytes()].concat();
    let avro = schema(Language::Avro, AVRO);
    check(&avro, Format::MessagePack, &fields, json!([5, 1.5, null]));
    let fields = [&b"\xa2\x64flow\x05\x6btemperature\xfb"[..], &1.5_f64.to_be_bytes()].concat();
    check(&avro, Format::Cbor, &fields, json!([5, 1.5, null]));
    let protobuf = schema(Language::Protobuf, PROTOBUF);
    check(&protobuf, Format::Protobuf, b"\x08\x01", json!([null, null, null]));
    let fields = [&b"\x08\x05\x11"[..], &double(1.5)].concat();
    let wire = [&b"\0\0\0\0\x07\x02\x02"[..], &fields].concat();
    check(&protobuf, Format::Protobuf, &wire, json!([5, 1.5, 7]));
}

#[test]
fn avro_is_read_bare_and_with_what_names_its_schema() {
    let avro = schema(Language::Avro, AVRO);
    let Verdict::Usable(contract) = &avro.contract else { panic!("unusable") };
    let Some(Layout::Avro(layout)) = &contract.roots[0].layout else { panic!("no layout") };
    let datum = |flow: u8| [&[flow * 2][..], &double(1.5)].concat();
    check(&avro, Format::Avro, &datum(5), json!([5, 1.5, null]));
    let single = [&[0xC3, 0x01][..], &layout.fingerprint.to_le_bytes(), &datum(5)].concat();
    check(&avro, Format::Avro, &single, json!([5, 1.5, null]));
    let wire = [&[0, 0, 0, 1, 0][..], &datum(5)].concat();
    check(&avro, Format::Avro, &wire, json!([5, 1.5, 256]));
    // It begins with a zero byte, and is no shorter than what names a schema.
    check(&avro, Format::Avro, &datum(0), json!([0, 1.5, null]));
}

#[test]
fn a_sample_is_bounded_and_a_class_that_could_not_be_made_is_refused() {
    assert!(Sample::new(vec![b' '; PAYLOAD_BYTES_MAX], Format::Json).is_ok());
    let why = Sample::new(vec![b' '; PAYLOAD_BYTES_MAX + 1], Format::Json).unwrap_err();
    assert_eq!(why, "the sample has 1048577 bytes: a payload has at most 1048576");
    let schema = schema(Language::Json, JSON);
    let refused = |class: Value| {
        rules_under(&class_settings(class).unwrap(), &TenantSettings::defaults("t"), &schema).unwrap_err().to_string()
    };
    let why = refused(json!({"units": {"temperature": "kPa"}}));
    assert!(why.starts_with("`units.temperature` does not fit the schema: "), "{why}");
    let why = refused(json!({"computed": [{"metric": "a", "expression": "1 +"}]}));
    assert!(why.starts_with("`computed[0].expression` does not fit: "), "{why}");
    // The first messages are shown, all are counted.
    let many = format!("[{}{{}}]", r#"{"temperature":1},"#.repeat(150));
    let answer = tried(&schema, json!({}), Format::Json, many.as_bytes());
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(150), &json!(1)), "{answer}");
    assert_eq!(answer["readings"].as_array().unwrap().len(), SHOWN_MAX);
}
