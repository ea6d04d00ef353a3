use minicbor::Encoder;
use model::PayloadKind;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::draft::Reading;
use crate::draft::{Column, Drafts, Span};
use crate::json;
use crate::tables::Names;

/// How a value is written as MessagePack: in the shortest form.
fn message_pack(value: &Value, out: &mut Vec<u8>) {
    use rmp::encode;
    match value {
        Value::Null => encode::write_nil(out).expect("written"),
        Value::Bool(flag) => encode::write_bool(out, *flag).expect("written"),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => drop(encode::write_uint(out, number).expect("written")),
            (_, Some(number)) => drop(encode::write_sint(out, number).expect("written")),
            _ => encode::write_f64(out, number.as_f64().expect("a double")).expect("written"),
        },
        Value::String(text) => encode::write_str(out, text).expect("written"),
        Value::Array(elements) => {
            encode::write_array_len(out, elements.len() as u32).expect("written");
            elements.iter().for_each(|element| message_pack(element, out));
        }
        Value::Object(members) => {
            encode::write_map_len(out, members.len() as u32).expect("written");
            for (name, member) in members {
                encode::write_str(out, name).expect("written");
                message_pack(member, out);
            }
        }
    }
}

/// How a value is written as CBOR; with `streamed`, in pieces of unsaid length.
fn cbor(value: &Value, streamed: bool, encoder: &mut Encoder<&mut Vec<u8>>) {
    let written = match value {
        Value::Null => encoder.null().map(drop),
        Value::Bool(flag) => encoder.bool(*flag).map(drop),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => encoder.u64(number).map(drop),
            (_, Some(number)) => encoder.i64(number).map(drop),
            _ => encoder.f64(number.as_f64().expect("a double")).map(drop),
        },
        Value::String(text) if streamed => {
            let half = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at)).expect("0 is one");
            let (head, rest) = text.split_at(half);
            encoder.begin_str().and_then(|e| e.str(head)).and_then(|e| e.str(rest)).and_then(Encoder::end).map(drop)
        }
        Value::String(text) => encoder.str(text).map(drop),
        Value::Array(elements) => {
            let begun = if streamed { encoder.begin_array() } else { encoder.array(elements.len() as u64) };
            begun.expect("written");
            elements.iter().for_each(|element| cbor(element, streamed, encoder));
            if streamed { encoder.end().map(drop) } else { Ok(()) }
        }
        Value::Object(members) => {
            let begun = if streamed { encoder.begin_map() } else { encoder.map(members.len() as u64) };
            begun.expect("written");
            for (name, member) in members {
                cbor(&Value::String(name.clone()), streamed, encoder);
                cbor(member, streamed, encoder);
            }
            if streamed { encoder.end().map(drop) } else { Ok(()) }
        }
    };
    written.expect("a vector takes every write");
}

/// The same value in every binary form.
fn encodings(value: &Value) -> [Vec<u8>; 3] {
    let mut forms = [Vec::new(), Vec::new(), Vec::new()];
    message_pack(value, &mut forms[0]);
    cbor(value, false, &mut Encoder::new(&mut forms[1]));
    cbor(value, true, &mut Encoder::new(&mut forms[2]));
    forms
}

/// What the drafts say, without the bytes' positions.
fn describe(drafts: &Drafts, outcome: Result<(), Failure>) -> String {
    if let Err(failure) = outcome {
        return failure.reason.code().to_owned();
    }
    let text = |span| drafts.str(span).to_owned();
    let message = |draft: &crate::draft::Draft| {
        if let Some(fault) = &draft.fault {
            return format!("{} {}", fault.reason.code(), fault.path);
        }
        let metrics = drafts.metrics[draft.metrics.clone()].iter().map(|metric| match metric.column {
            Column::Known(column) => format!("known {column}"),
            Column::Fresh(at) => {
                let fresh = drafts.fresh[at as usize];
                let value = match fresh.kind {
                    model::ValueKind::Str => text(Span::from_bits(metric.bits)),
                    _ => metric.bits.to_string(),
                };
                format!("{} {} {value}", text(fresh.name), fresh.kind.name())
            }
        });
        let mut metrics: Vec<_> = metrics.collect();
        metrics.sort();
        let tags: Vec<_> =
            drafts.tags[draft.tags.clone()].iter().map(|tag| (text(tag.name), text(tag.value.unwrap()))).collect();
        let data = draft.event_data.map(|data| serde_json::from_str::<Value>(&text(data)).expect("JSON"));
        let head = (draft.ts, draft.seq, draft.boot, draft.buffered, text(draft.event_type), data);
        format!("{head:?} {metrics:?} {tags:?}")
    };
    drafts.messages.iter().map(message).collect::<Vec<_>>().join("\n")
}

fn read_as<'a>(items: Option<impl Items<'a>>, bytes: &[u8], kind: PayloadKind) -> String {
    let (mut drafts, mut names) = (Drafts::default(), Names::default());
    let mut sink = Sink::new(
        &mut drafts,
        &mut names,
        Reading { unknown_fields: model::UnknownFields::Keep, ..Reading::plain(kind) },
    );
    let outcome = match items {
        Some(items) => read(items, &mut Scratch::default(), &mut sink),
        None => json::read(bytes, &mut json::Scratch::default(), &mut json::Shapes::default(), &mut sink),
    };
    describe(&drafts, outcome)
}

fn read_json(bytes: &[u8], kind: PayloadKind) -> String {
    read_as(None::<Cbor<'_>>, bytes, kind)
}

/// All forms of a value give what its JSON gives.
fn agrees(value: &Value, kind: PayloadKind) {
    let json = value.to_string();
    let expect = read_json(json.as_bytes(), kind);
    let [pack, plain, streamed] = encodings(value);
    assert_eq!(read_as(Some(MessagePack::new(&pack)), &[], kind), expect, "MessagePack of {json}");
    assert_eq!(read_as(Some(Cbor::new(&plain)), &[], kind), expect, "CBOR of {json}");
    assert_eq!(read_as(Some(Cbor::new(&streamed)), &[], kind), expect, "streamed CBOR of {json}");
    let count = |format, bytes: &[u8]| crate::check(format, bytes).map_err(drop);
    let expect = count(model::Format::Json, json.as_bytes());
    assert_eq!(count(model::Format::MessagePack, &pack), expect, "check of MessagePack of {json}");
    assert_eq!(count(model::Format::Cbor, &streamed), expect, "check of CBOR of {json}");
}

/// MessagePack and CBOR bytes that JSON cannot say.
fn check(message_pack: &[u8], cbor: &[u8], kind: PayloadKind, expect: &str) {
    if !message_pack.is_empty() {
        assert_eq!(read_as(Some(MessagePack::new(message_pack)), &[], kind), expect, "MessagePack");
    }
    if !cbor.is_empty() {
        assert_eq!(read_as(Some(Cbor::new(cbor)), &[], kind), expect, "CBOR");
    }
}

#[test]
fn every_form_of_a_message_is_the_same() {
    let data = PayloadKind::Data;
    agrees(
        &json!({"ts": -5, "seq": u64::MAX, "boot": 3, "buffered": true, "metrics": {"a": 23.4, "b": -7, "c": 1e300},
        "tags": {"z": "1", "line": "A"}, "other": [1, {"x": null}], "kept": 5}),
        data,
    );
    agrees(&json!([{"metrics": {"on": true, "state": "idle"}}, 7, {"metrics": {}}, {"metrics": {"a": null}}]), data);
    agrees(&json!([]), data);
    agrees(&json!("text"), data);
    agrees(&json!({"metrics": {"a": (1_u64 << 53) + 1}}), data);
    agrees(&json!({"metrics": {"a": "x".repeat(300), "b": "x".repeat(1025)}}), data);
    agrees(&json!({"type": "alarm", "data": {"a": [1, -2, 2.5, "é\n", null, true], "b": {}}}), PayloadKind::Events);
}

#[test]
fn numbers_of_every_width_are_exact() {
    let pack = |value: &[u8]| [&[0x81, 0xa7], &b"metrics"[..], &[0x81, 0xa1, b'a'], value].concat();
    let cbor = |value: &[u8]| [&[0xa1, 0x67], &b"metrics"[..], &[0xa1, 0x61, b'a'], value].concat();
    let check = |message_pack: &[u8], cbor_value: &[u8], number: f64| {
        let json = format!("{{\"metrics\":{{\"a\":{number:?}}}}}");
        let expect = read_json(json.as_bytes(), PayloadKind::Data);
        let kind = PayloadKind::Data;
        check(&pack(message_pack), &cbor(cbor_value), kind, &expect);
    };
    check(&[0x7f], &[0x18, 0x7f], 127.0);
    check(&[0xe0], &[0x38, 0x1f], -32.0);
    check(&[0xcc, 200], &[0x18, 200], 200.0);
    check(&[0xd0, 0x80], &[0x38, 0x7f], -128.0);
    check(&[0xd1, 0x80, 0], &[0x39, 0x7f, 0xff], -32768.0);
    check(&[0xd2, 0x80, 0, 0, 0], &[0x3a, 0x7f, 0xff, 0xff, 0xff], -2_147_483_648.0);
    check(&[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0], &[0x3b, 0x7f, 255, 255, 255, 255, 255, 255, 255], -(2_f64.powi(63)));
    check(&[0xca, 0x41, 0xbb, 0x33, 0x33], &[0xfa, 0x41, 0xbb, 0x33, 0x33], f64::from(23.4_f32));
    check(&[0xcb, 0x80, 0, 0, 0, 0, 0, 0, 0], &[0xf9, 0x80, 0], -0.0);
    check(&[0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0], &[0xf9, 0x3e, 0x00], 1.5);
    let most_negative = cbor(&[0x3b, 255, 255, 255, 255, 255, 255, 255, 255]);
    let expect = read_json(br#"{"metrics":{"a":-18446744073709551616.0}}"#, PayloadKind::Data);
    super::tests::check(&[], &most_negative, PayloadKind::Data, &expect);
}

#[test]
fn what_json_cannot_say_has_its_reason() {
    let data = PayloadKind::Data;
    let pack = |value: &[u8]| [&[0x81, 0xa7], &b"metrics"[..], value].concat();
    let cbor = |value: &[u8]| [&[0xa1, 0x67], &b"metrics"[..], value].concat();
    let nan = [0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0];
    check(
        &pack(&[&[0x81, 0xa1, b'a'][..], &nan].concat()),
        &cbor(&[0xa1, 0x61, b'a', 0xf9, 0x7e, 0]),
        data,
        "number-not-finite /metrics/a",
    );
    check(&pack(&[0x81, 0x01, 0x02]), &cbor(&[0xa1, 0x01, 0x02]), data, "metric-name /metrics");
    check(&pack(&[0x81, 0xa1, b'a', 0xc4, 1, 0]), &cbor(&[0xa1, 0x61, b'a', 0x41, 0]), data, "metric-type /metrics/a");
    check(&pack(&[0x81, 0xa1, b'a', 0xd4, 1, 0]), &cbor(&[0xa1, 0x61, b'a', 0xc1, 0]), data, "metric-type /metrics/a");
    check(
        &pack(&[0x82, 0xa1, b'a', 1, 0xa1, b'a', 2]),
        &cbor(&[0xa2, 0x61, b'a', 1, 0x61, b'a', 2]),
        data,
        "duplicate-field /metrics/a",
    );
    check(&[0x81, 1, 2], &[0xa1, 1, 2], data, "not-a-message ");
    check(&[0xc1], &[0xfc], data, "not-well-formed");
    check(&pack(&[0x81, 0xa1, 0xff, 1]), &cbor(&[0xa1, 0x61, 0xff, 1]), data, "not-well-formed");
    check(&[0x80, 0], &[0xa0, 0], data, "not-well-formed");
    check(&[0xdd, 255, 255, 255, 255], &[0x9b, 255, 255, 255, 255, 255, 255, 255, 255], data, "not-well-formed");
    check(&[0xdf, 255, 255, 255, 255], &[0xbb, 255, 255, 255, 255, 255, 255, 255, 255], data, "not-well-formed");
    check(&[0xdb, 255, 255, 255, 255], &[0x7b, 255, 255, 255, 255, 255, 255, 255, 255], data, "not-well-formed");
    check(&[], &[0xff], data, "not-well-formed");
    check(&[], &[0xbf, 0x61, b'a', 0xff], data, "not-well-formed");
}

#[test]
fn event_data_becomes_json() {
    let event = PayloadKind::Events;
    let cbor = |data: &[u8]| [&[0xa2, 0x64], &b"type"[..], &[0x61, b'x', 0x64], b"data", data].concat();
    let pack = |data: &[u8]| [&[0x82, 0xa4], &b"type"[..], &[0xa1, b'x', 0xa4], b"data", data].concat();
    let expect = |data: &str| read_json(format!("{{\"type\":\"x\",\"data\":{data}}}").as_bytes(), event);
    check(&pack(&[0xc4, 4, 0xfb, 0xef, 0xff, 1]), &cbor(&[0x44, 0xfb, 0xef, 0xff, 1]), event, &expect("\"--__AQ\""));
    check(&pack(&[0x81, 0x05, 0x90]), &cbor(&[0xa1, 0x05, 0xc1, 0x80]), event, &expect("{\"5\":[]}"));
    check(&[], &cbor(&[0xf7]), event, &expect("null"));
    check(&pack(&[0xca, 0x7f, 0x80, 0, 0]), &cbor(&[0xf9, 0x7c, 0]), event, "number-not-finite /data");
    check(&pack(&[0xd4, 0, 0]), &cbor(&[0xe0]), event, "event-invalid /data");
    check(&pack(&[0x81, 0x90, 0]), &cbor(&[0xa1, 0x80, 0]), event, "event-invalid /data");
}

#[test]
fn cbor_may_say_that_it_is_cbor() {
    let message = [&[0xd9, 0xd9, 0xf7, 0xa1, 0x67], &b"metrics"[..], &[0xa1, 0x61, b'a', 1]].concat();
    check(&[], &message, PayloadKind::Data, &read_json(br#"{"metrics":{"a":1}}"#, PayloadKind::Data));
    assert_eq!(crate::check(model::Format::Cbor, &message), Ok(1));
}

#[test]
fn depth_is_bounded() {
    let nested = |open: &[u8], depth: usize, close: &[u8]| [open.repeat(depth), close.repeat(depth)].concat();
    let data = PayloadKind::Data;
    check(&nested(&[0x91], PAYLOAD_DEPTH_MAX, &[]), &nested(&[0x81], PAYLOAD_DEPTH_MAX, &[]), data, "not-well-formed");
    for payload in [nested(&[0x91], 1_000_000, &[]), nested(&[0x81, 0x90], 1_000_000, &[])] {
        assert_eq!(read_as(Some(MessagePack::new(&payload)), &[], data), "too-deep");
    }
    for payload in [nested(&[0x81], 1_000_000, &[]), nested(&[0x9f], 1_000_000, &[0xff]), nested(&[0xc1], 99, &[])] {
        assert_eq!(read_as(Some(Cbor::new(&payload)), &[], data), "too-deep");
    }
    let deepest = nested(&[0x81], PAYLOAD_DEPTH_MAX, &[]);
    let payload = [&deepest[1..], &[0x80]].concat();
    assert!(read_as(Some(Cbor::new(&payload)), &[], data).starts_with("not-a-message"));
}

fn value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![any::<i32>().prop_map(Value::from), any::<f64>().prop_map(Value::from)];
    let leaf = prop_oneof![
        4 => number,
        1 => any::<bool>().prop_map(Value::from),
        1 => "[a-zé]{0,40}".prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-c]{1,2}", inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn message() -> impl Strategy<Value = Value> {
    let metrics = prop::collection::btree_map("[a-f]{1,2}", value(), 0..6);
    (metrics, value(), value(), any::<bool>()).prop_map(|(metrics, ts, extra, is_array)| {
        let metrics = Value::Object(metrics.into_iter().collect());
        let message = json!({"metrics": metrics, "ts": ts, "type": "t", "data": extra, "extra": extra});
        if is_array { json!([message, extra]) } else { message }
    })
}

proptest! {
    #[test]
    fn any_message_is_the_same_in_every_form(message in message(), is_event: bool) {
        agrees(&message, if is_event { PayloadKind::Events } else { PayloadKind::Data });
    }

    #[test]
    fn a_cut_payload_is_not_well_formed(message in message(), at: prop::sample::Index) {
        let [pack, plain, streamed] = encodings(&message);
        let cut = |bytes: &[u8]| bytes[..at.index(bytes.len())].to_vec();
        prop_assert_eq!(read_as(Some(MessagePack::new(&cut(&pack))), &[], PayloadKind::Data), "not-well-formed");
        for form in [plain, streamed] {
            prop_assert_eq!(read_as(Some(Cbor::new(&cut(&form))), &[], PayloadKind::Data), "not-well-formed");
        }
    }

    #[test]
    fn a_mutated_payload_never_panics(message in message(), at: prop::sample::Index, byte: u8, is_event: bool) {
        let kind = if is_event { PayloadKind::Events } else { PayloadKind::Data };
        for mut form in encodings(&message) {
            let at = at.index(form.len());
            form[at] = byte;
            read_as(Some(MessagePack::new(&form)), &[], kind);
            read_as(Some(Cbor::new(&form)), &[], kind);
        }
    }
}
