//! The careful reader against serde_json, which agrees with RFC 8259.

use model::limits::PAYLOAD_DEPTH_MAX;
use model::{PayloadKind, ValueKind};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::draft::{Column, Drafts, Span};
use crate::tables::Names;

/// Whether a value is well-formed by this crate; `None` if it is only nested too deep.
fn accepts(bytes: &[u8]) -> Option<bool> {
    let mut scanner = Scanner::new(bytes);
    match scanner.skip().and_then(|_| scanner.end()) {
        Ok(()) => Some(true),
        Err(failure) if failure.reason == model::Reason::TooDeep => None,
        Err(_) => Some(false),
    }
}

/// Whether it is by serde_json; `None` if a number is beyond a double, at which serde_json stops reading.
fn serde_accepts(bytes: &[u8]) -> Option<bool> {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(_) => Some(true),
        Err(error) if error.to_string().starts_with("number out of range") => None,
        Err(_) => Some(false),
    }
}

fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let (Some(found), Some(expect)) = (accepts(bytes), serde_accepts(bytes)) {
        prop_assert_eq!(found, expect, "{}", String::from_utf8_lossy(bytes));
    }
    Ok(())
}

/// Reads one message and returns its metrics by name, as JSON values.
fn metrics(bytes: &[u8]) -> Result<Vec<(String, Value)>, String> {
    let (mut drafts, mut names, mut scratch) = (Drafts::default(), Names::default(), Scratch::default());
    // Known names take another way than new ones.
    names.make("a", ValueKind::F64);
    let mut sink = Sink::new(&mut drafts, &mut names, crate::draft::Reading::plain(PayloadKind::Data));
    read(bytes, &mut scratch, &mut Shapes::default(), &mut sink).map_err(|failure| failure.reason.code().to_owned())?;
    let [draft] = &drafts.messages[..] else { return Err(format!("{} messages", drafts.messages.len())) };
    if let Some(fault) = &draft.fault {
        return Err(fault.reason.code().to_owned());
    }
    let value = |metric: &crate::draft::Metric| {
        let (name, kind) = match metric.column {
            Column::Known(column) => {
                let column = &names.columns[column as usize];
                (column.name.to_string(), column.kind)
            }
            Column::Fresh(at) => {
                let fresh = drafts.fresh[at as usize];
                (drafts.str(fresh.name).to_owned(), fresh.kind)
            }
        };
        let value = match kind {
            ValueKind::Bool => Value::Bool(metric.bits != 0),
            ValueKind::Str => Value::String(drafts.str(Span::from_bits(metric.bits)).to_owned()),
            _ => Value::from(f64::from_bits(metric.bits)),
        };
        (name, value)
    };
    Ok(drafts.metrics.iter().map(value).collect())
}

/// What serde_json and the rules say about the same bytes.
fn expected(bytes: &[u8]) -> Result<Vec<(String, Value)>, String> {
    let not_well_formed = |_| "not-well-formed".to_owned();
    let message: Value = serde_json::from_slice(bytes).map_err(not_well_formed)?;
    let Value::Object(message) = message else { return Err("not-a-message".to_owned()) };
    let Some(Value::Object(metrics)) = message.get("metrics") else { return Err("metrics-missing".to_owned()) };
    let double = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::Number(number) => Value::from(number.as_f64().expect("a double")),
            other => other.clone(),
        };
        (name.clone(), value)
    };
    Ok(metrics.iter().map(double).collect())
}

fn tokens() -> impl Strategy<Value = Vec<u8>> {
    let tokens: &[&[u8]] = &[
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\"",
        b"\"a\"",
        b"\"\\u00e9\"",
        b"\\",
        b"\\n",
        b"\\ud83d",
        b"\\ude00",
        b"\\u0041",
        b"0",
        b"1",
        b"12",
        b"-",
        b".",
        b".5",
        b"e",
        b"E+",
        b"e-3",
        b"true",
        b"false",
        b"null",
        b"tru",
        b" ",
        b"\n",
        b"\t",
        b"\x00",
        b"\x1f",
        b"\x7f",
        "é".as_bytes(),
        b"\xff",
        b"\xed\xa0\x80",
        b"\"metrics\":",
        b"\"a\":1",
        b"{}",
        b"[]",
        b"[1,2]",
        b"{\"metrics\":{\"a\":1.5}}",
    ];
    prop::collection::vec(prop::sample::select(tokens.to_vec()), 0..14).prop_map(|tokens| tokens.concat())
}

fn value_text(depth: u32) -> BoxedStrategy<String> {
    let text = r#"([a-z é😀]|\\n|\\"|\\\\|\\/|\\u00e9|\\ud83d\\ude00){0,12}"#;
    let leaf = prop_oneof![
        r"-?(0|[1-9][0-9]{0,9})(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,2})?",
        text.prop_map(|text| format!("\"{text}\"")),
        prop::sample::select(vec!["true".to_owned(), "false".to_owned(), "null".to_owned()]),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let space = prop::sample::select(vec!["", " ", "\n\t", "\r\n"]);
    let inner = || prop::collection::vec(value_text(depth - 1), 0..4);
    prop_oneof![
        3 => leaf,
        1 => (inner(), space.clone())
            .prop_map(|(inner, space)| format!("[{space}{}{space}]", inner.join(&format!("{space},{space}")))),
        1 => (inner(), space).prop_map(|(inner, space)| {
            let members: Vec<_> =
                inner.iter().enumerate().map(|(n, value)| format!("\"k{n}\"{space}:{space}{value}")).collect();
            format!("{{{space}{}{space}}}", members.join(&format!("{space},{space}")))
        }),
    ]
    .boxed()
}

/// A well-formed message with distinct metric names.
fn message() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?",
        r#""([a-z é]|\\n|\\u00e9){0,12}""#.prop_map(|text| text),
        prop::sample::select(vec!["true".to_owned(), "false".to_owned()]),
    ];
    let name = r#"[a-zA-Z_é]{1,10}|\\u0061|m\\u00e9"#;
    (prop::collection::btree_map(name, scalar, 1..12), value_text(3), any::<bool>()).prop_map(
        |(metrics, extra, first)| {
            let metrics: Vec<_> = metrics.iter().map(|(name, value)| format!("\"{name}\" :{value}")).collect();
            let metrics = format!("\"metrics\":{{{}}}", metrics.join(", "));
            let extra = format!("\"extra\": {extra}");
            if first { format!("{{{extra},{metrics}}}") } else { format!(" {{{metrics} , {extra}}}\n") }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn token_soup_is_accepted_alike(bytes in tokens()) {
        check(&bytes)?;
    }

    #[test]
    fn a_mutated_message_is_accepted_alike(message in message(), at: prop::sample::Index, byte: u8, cut: bool) {
        let mut bytes = message.into_bytes();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        check(&bytes)?;
    }

    #[test]
    fn values_are_exactly_those_of_serde_json(message in message()) {
        let (mut found, mut expect) = (metrics(message.as_bytes()), expected(message.as_bytes()));
        // serde_json's map keeps the last of two equal names, which the rules refuse.
        if found.as_ref().is_err_and(|code| code == "duplicate-field") {
            prop_assert!(message.contains("\\u"), "{message}");
            return Ok(());
        }
        for side in [&mut found, &mut expect] {
            side.iter_mut().for_each(|metrics| metrics.sort_by(|a, b| a.0.cmp(&b.0)));
        }
        prop_assert_eq!(found, expect, "{}", message);
    }

    #[test]
    fn the_check_agrees_with_the_reader(bytes in tokens()) {
        let (mut drafts, mut names, mut scratch) = (Drafts::default(), Names::default(), Scratch::default());
        let mut sink = Sink::new(&mut drafts, &mut names, crate::draft::Reading::plain(PayloadKind::Data));
        let read = read(&bytes, &mut scratch, &mut Shapes::default(), &mut sink);
        let mut parts = Vec::new();
        let checked = elements(&bytes, &mut |part| parts.push(part.to_vec()));
        let objects = drafts.messages.iter().filter(|draft| bytes[draft.bytes.clone()].starts_with(b"{")).count();
        if read.is_ok() && objects == drafts.messages.len() {
            prop_assert_eq!(&checked, &Ok(()));
            let messages: Vec<_> = drafts.messages.iter().map(|draft| bytes[draft.bytes.clone()].to_vec()).collect();
            prop_assert_eq!(parts, messages);
        } else {
            prop_assert!(checked.is_err());
        }
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
    assert_eq!(accepts(&nested(PAYLOAD_DEPTH_MAX)), Some(true));
    assert_eq!(accepts(&nested(PAYLOAD_DEPTH_MAX + 1)), None);
    assert_eq!(accepts(&b"[".repeat(1_000_000)), None);
    assert_eq!(accepts(&[b"[".repeat(10), b"{}]".repeat(10)].concat()), Some(false));
}

#[test]
fn the_comparison_sees_a_lenient_reader() {
    assert_eq!((accepts(b"[1,]"), serde_accepts(b"[1,]")), (Some(false), Some(false)));
    assert_eq!((accepts(b"[1]"), serde_accepts(b"[1]")), (Some(true), Some(true)));
}
