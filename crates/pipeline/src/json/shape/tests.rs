use model::PayloadKind;
use proptest::prelude::*;

use super::*;
use crate::draft::{Column, Draft, Reading};
use crate::json::{Scratch, read};
use crate::tables::Names;
use model::ValueKind;

/// A class that knows some metrics, and its shapes.
#[derive(Default)]
struct Class {
    names: Names,
    shapes: Shapes,
}

impl Class {
    fn new() -> Self {
        let mut class = Self::default();
        for (name, kind) in [("temperature", ValueKind::F64), ("b", ValueKind::Bool), ("s", ValueKind::Str)] {
            class.names.make(name, kind);
        }
        class
    }

    /// Reads a payload and says what became of it.
    fn read(&mut self, payload: &[u8], kind: PayloadKind) -> String {
        let mut drafts = Drafts::default();
        let mut sink = Sink::new(&mut drafts, &mut self.names, Reading::plain(kind));
        match read(payload, &mut Scratch::default(), &mut self.shapes, &mut sink) {
            Ok(()) => describe(&drafts),
            Err(failure) => format!("{failure:?}"),
        }
    }

    /// Whether a payload that is one message fits a shape.
    fn fits(&mut self, payload: &[u8]) -> bool {
        let mut drafts = Drafts::default();
        let mut sink = Sink::new(&mut drafts, &mut self.names, Reading::plain(PayloadKind::Data));
        self.shapes.read(payload, 0, &mut sink).is_some()
    }
}

/// All that acceptance looks at, texts resolved: the order in which texts are kept may differ.
fn describe(drafts: &Drafts) -> String {
    let message = |draft: &Draft| {
        let metrics = drafts.metrics[draft.metrics.clone()].iter().map(|metric| match metric.column {
            Column::Known(2) => format!("s={}", drafts.str(crate::draft::Span::from_bits(metric.bits))),
            column => format!("{column:?}={:x}", metric.bits),
        });
        let tags =
            drafts.tags[draft.tags.clone()].iter().map(|tag| (drafts.str(tag.name), drafts.str(tag.value.unwrap())));
        let head = (&draft.bytes, draft.ts, draft.seq, draft.boot, draft.buffered, &draft.fault);
        format!("{head:?} {:?} {:?}", metrics.collect::<Vec<_>>(), tags.collect::<Vec<_>>())
    };
    drafts.messages.iter().map(message).collect::<Vec<_>>().join("\n")
}

/// With the shape of one message learned: whether another one fits it. What it becomes is the same either way.
fn check(learned: &str, message: &str, fits: bool) {
    let mut class = Class::new();
    class.read(learned.as_bytes(), PayloadKind::Data);
    assert_eq!(class.fits(message.as_bytes()), fits, "{message} in the shape of {learned}");
    let shaped = class.read(message.as_bytes(), PayloadKind::Data);
    assert_eq!(shaped, Class::new().read(message.as_bytes(), PayloadKind::Data), "{message}");
}

#[test]
fn values_may_differ() {
    let learned = r#"{"ts":1,"metrics":{"temperature":2.5,"b":true,"s":"x"},"seq":7,"boot":0,"buffered":false}"#;
    check(learned, learned, true);
    let other = r#"{"ts":-17,"metrics":{"temperature":-0,"b":false,"s":""},"seq":0,"boot":4294967295,"buffered":true}"#;
    check(learned, other, true);
    let tagged = r#" {"metrics" : {"temperature":1}, "tags": {"z":"1", "line":"A"}}"#;
    check(&tagged[1..], r#"{"metrics" : {"temperature":123456.789}, "tags": {"z":"", "line":"é"}}"#, true);
}

#[test]
fn surprises_are_left_to_the_careful_reader() {
    let learned = r#"{"ts":1,"metrics":{"temperature":2.5,"s":"x"},"seq":7}"#;
    let with = |ts: &str, temperature: &str, s: &str, seq: &str| {
        format!(r#"{{"ts":{ts},"metrics":{{"temperature":{temperature},"s":{s}}},"seq":{seq}}}"#)
    };
    for (ts, temperature, s, seq) in [
        ("1e3", "2.5", "\"x\"", "7"),
        ("01", "2.5", "\"x\"", "7"),
        ("-", "2.5", "\"x\"", "7"),
        ("1", "2.5e1", "\"x\"", "7"),
        ("1", "2.", "\"x\"", "7"),
        ("1", ".5", "\"x\"", "7"),
        ("1", "null", "\"x\"", "7"),
        ("1", "9007199254740993", "\"x\"", "7"),
        ("1", "2.5", "\"\\n\"", "7"),
        ("1", "2.5", "\"\n\"", "7"),
        ("1", "2.5", "7", "7"),
        ("1", "2.5", "\"x\"", "-7"),
        ("1", "2.5", "\"x\"", "18446744073709551615"),
        ("1", "2.5", "\"x\"", "7 "),
    ] {
        check(learned, &with(ts, temperature, s, seq), false);
    }
    check(learned, &with("1", "0.12345678901234567890123", "\"x\"", "7"), true);
    check(learned, &format!("{learned}\n"), true);
    check(learned, &format!("{learned}}}"), true);
    check(learned, &learned[..learned.len() - 1], false);
    check(learned, &learned.replace("ts", "tt"), false);
    check(learned, "", false);
    let long = with("1", "1", &format!("\"{}\"", "x".repeat(1025)), "1");
    check(learned, &long, false);
}

#[test]
fn what_varies_without_being_a_value_is_not_learned() {
    for message in [
        r#"{"metrics":{"temperature":1},"other":1}"#,
        r#"{"metrics":{"unknown":1}}"#,
        r#"{"metrics":{"temperature":1e3}}"#,
        r#"{"metrics":{"temperature":null}}"#,
        r#"{"metrics":{"temperature":1,"temperature":1}}"#,
        r#"{"metrics":{}}"#,
    ] {
        check(message, message, false);
    }
}

#[test]
fn an_event_is_not_read_by_the_shape_of_a_message() {
    let payload = br#"{"ts":1,"metrics":{"temperature":2.5}}"#;
    let mut class = Class::new();
    class.read(payload, PayloadKind::Data);
    assert!(class.read(payload, PayloadKind::Events).contains("EventInvalid"));
}

#[test]
fn shapes_are_bounded_and_follow_the_traffic() {
    let mut class = Class::new();
    let message = |n: usize| format!(r#"{{"metrics":{{{}"temperature":1}}}}"#, " ".repeat(n)).into_bytes();
    for n in 0..100 {
        class.read(&message(n), PayloadKind::Data);
    }
    assert_eq!(class.shapes.list.len(), SHAPES_MAX);
    for _ in 0..SHAPES_MAX * MISSES_PER_CHANGE {
        class.read(&message(200), PayloadKind::Data);
    }
    assert!(class.fits(&message(200)));
}

#[test]
fn the_elements_of_an_array_fit_too() {
    let element = r#"{"ts":1,"metrics":{"temperature":2.5}}"#;
    check(element, &format!("[{element}, {element} ,{{}}]"), false);
    check(element, &format!("[{element}, {element} {{}}]"), false);
}

fn message() -> impl Strategy<Value = String> {
    let number = r"-?(0|[1-9][0-9]{0,11})(\.[0-9]{1,9})?";
    let parts = (number, "true|false", "[a-zé ]{0,12}", "-?[1-9][0-9]{0,14}", "[0-9]|[1-9][0-9]{1,10}");
    (parts, any::<[bool; 4]>()).prop_map(|((number, flag, text, ts, seq), with)| {
        let space = if with[0] { " " } else { "" };
        let mut message = format!("{{\"metrics\":{space}{{\"temperature\":{number}");
        if with[1] {
            message += &format!(",\"b\":{flag},{space}\"s\":\"{text}\"");
        }
        message += "}";
        if with[2] {
            message += &format!(",\"tags\":{{\"z\":\"{text}\",\"a\":\"x\"}},\"buffered\":{flag}");
        }
        if with[3] {
            message += &format!(",\"ts\":{ts},\"seq\":{seq}");
        }
        message + "}"
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_shape_never_changes_what_a_message_becomes(
        learned in prop::collection::vec(message(), 1..12),
        message in message(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let mut class = Class::new();
        for message in &learned {
            class.read(message.as_bytes(), PayloadKind::Data);
        }
        let mut bytes = message.into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let shaped = class.read(&bytes, PayloadKind::Data);
        prop_assert_eq!(shaped, Class::new().read(&bytes, PayloadKind::Data), "{}", String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_message_fits_its_own_shape(message in message()) {
        let mut class = Class::new();
        class.read(message.as_bytes(), PayloadKind::Data);
        prop_assert!(class.fits(message.as_bytes()), "{message}");
    }
}
