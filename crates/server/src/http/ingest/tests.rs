use model::limits::{MESSAGES_PER_PAYLOAD_MAX, PAYLOAD_BYTES_MAX};

use super::*;

fn split(shape: Shape, body: &[u8]) -> Vec<(String, usize)> {
    let parts = shape.split(Bytes::copy_from_slice(body)).expect("well-formed");
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    parts.payloads.iter().map(|payload| (text(&payload.bytes), payload.messages)).collect()
}

#[test]
fn a_body_that_fits_is_one_payload() {
    let json = Shape::Whole(Format::Json);
    assert_eq!(split(json, b" {\"metrics\":{}} "), [(" {\"metrics\":{}} ".to_owned(), 1)]);
    assert_eq!(split(json, b"[{}, {}]"), [("[{}, {}]".to_owned(), 2)]);
    assert_eq!(split(json, b"[]"), []);
}

#[test]
fn each_line_is_a_payload_and_a_bad_one_counts_as_one() {
    let expect = [("{\"a\":1}".to_owned(), 1), ("oops".to_owned(), 1), ("[{},{}]".to_owned(), 2)];
    assert_eq!(split(Shape::Lines, b"{\"a\":1}\n\noops\n[{},{}]\n"), expect);
    assert!(Shape::Lines.split(Bytes::from_static(b"\n \n")).is_err());
}

#[test]
fn a_long_array_is_split_between_its_elements() {
    let count = 2 * MESSAGES_PER_PAYLOAD_MAX + 1;
    let body = format!("[{}]", vec!["{}"; count].join(","));
    let messages: Vec<usize> = split(Shape::Whole(Format::Json), body.as_bytes()).iter().map(|part| part.1).collect();
    assert_eq!(messages, [MESSAGES_PER_PAYLOAD_MAX, MESSAGES_PER_PAYLOAD_MAX, 1]);
}

#[test]
fn a_large_array_is_split_in_every_format() {
    let text = "x".repeat(1000);
    let json = format!("[{}]", vec![format!("{{\"a\":\"{text}\"}}"); 3000].join(","));
    // A map of one pair: "a" and a text of 1000 bytes.
    let msgpack = [&b"\x81\xa1a\xda\x03\xe8"[..], text.as_bytes()].concat();
    let msgpack = [&b"\xdc\x0b\xb8"[..], &msgpack.repeat(3000)].concat();
    let cbor = [&b"\xa1\x61a\x79\x03\xe8"[..], text.as_bytes()].concat();
    let cbor = [&b"\x9f"[..], &cbor.repeat(3000), b"\xff"].concat();
    for (format, body) in [(Format::Json, json.into_bytes()), (Format::MessagePack, msgpack), (Format::Cbor, cbor)] {
        let parts = Shape::Whole(format).split(body.into()).expect("well-formed");
        assert!(parts.payloads.len() >= 3, "{format:?}");
        assert_eq!(parts.payloads.iter().map(|payload| payload.messages).sum::<usize>(), 3000);
        for payload in &parts.payloads {
            assert!(payload.bytes.len() <= PAYLOAD_BYTES_MAX);
            assert_eq!(pipeline::check(format, &payload.bytes), Ok(payload.messages), "{format:?}");
        }
    }
}

#[test]
fn a_malformed_body_is_refused_with_its_place() {
    let refused = |shape: Shape, body: &'static str| shape.split(Bytes::from_static(body.as_bytes())).err();
    let problem = refused(Shape::Whole(Format::Json), "{\"metrics\":\n  {\"a\" 1}}").expect("refused");
    let document = problem.document();
    assert_eq!((problem.code(), document["offset"].as_u64()), ("not-well-formed", Some(19)));
    let detail = document["detail"].as_str().expect("a sentence");
    assert!(detail.contains("line 2, column 8 (byte 19)"), "{detail}");
    for body in ["", "[1]", "{} {}", "3"] {
        assert!(refused(Shape::Whole(Format::Json), body).is_some(), "{body}");
    }
}

#[test]
fn the_shape_follows_from_content_type_then_class() {
    let shape = |media: &str, class| Shape::of(media, class).ok();
    assert_eq!(shape("application/json", Some(Format::Cbor)), Some(Shape::Whole(Format::Json)));
    assert_eq!(shape("", Some(Format::Cbor)), Some(Shape::Whole(Format::Cbor)));
    assert_eq!(shape("text/plain", None), Some(Shape::Whole(Format::Json)));
    assert_eq!(shape("application/x-ndjson", None), Some(Shape::Lines));
    assert_eq!(shape("image/png", None), None);
}

#[test]
fn an_item_gives_its_device_and_the_rest_byte_for_byte() {
    let id = "c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7";
    let text = format!(r#"{{ "ts": 1.50, "device_id": "{id}", "metrics": {{"a" : 9007199254740993}}, "ts":2 }}"#);
    let (device, payload) = items::item(text.as_bytes()).expect("an item");
    assert_eq!(device.to_string(), id);
    assert_eq!(payload, r#"{"ts":1.50,"metrics":{"a" : 9007199254740993},"ts":2}"#);
    for (text, code) in [
        (r#"{"metrics":{}}"#, "device-id-missing"),
        (r#"{"device_id":"x"}"#, "device-id-malformed"),
        (r#"{"device_id":7}"#, "device-id-malformed"),
        (r#"[]"#, "not-well-formed"),
        (r#"{"device_id":"#, "not-well-formed"),
    ] {
        assert_eq!(items::item(text.as_bytes()), Err(code), "{text}");
    }
}
