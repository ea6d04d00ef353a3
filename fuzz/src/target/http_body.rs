//! What HTTP makes of a body: JSON, MessagePack and CBOR whole, lines, and items of many devices.
//!
//! Holds: no panic; a body that is taken is split into payloads that are well-formed again, with as many messages; each
//! message's bytes lie within the body, in order; and the pipeline says the same of what is well-formed.

use bytes::Bytes;
use model::limits::PAYLOAD_BYTES_MAX;
use model::{ClassRules, Format, PayloadKind, Reason};
use pipeline::Plan;
use server::http::ingest::{items, split};

use crate::input::Input;
use crate::payloads;

pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    match input.u8() % 5 {
        0 => whole(Format::Json, input.0),
        1 => whole(Format::MessagePack, input.0),
        2 => whole(Format::Cbor, input.0),
        3 => lines(input.0),
        _ => item(input.0),
    }
}

fn whole(format: Format, body: &[u8]) {
    let mut found = Vec::new();
    let checked = pipeline::elements(format, body, |element| found.push(element));
    let body_of = body.as_ptr() as usize..body.as_ptr() as usize + body.len();
    let mut behind = body_of.start;
    for element in &found {
        let start = element.as_ptr() as usize;
        assert!(start >= behind && start + element.len() <= body_of.end, "an element that is not the body's");
        behind = start + element.len();
    }
    match (split::whole(format, Bytes::copy_from_slice(body)), &checked) {
        (Ok(payloads), Ok(())) => {
            assert_eq!(payloads.iter().map(|payload| payload.messages).sum::<usize>(), found.len());
            for payload in payloads {
                assert!(payload.bytes.len() <= PAYLOAD_BYTES_MAX);
                assert_eq!(pipeline::check(format, &payload.bytes), Ok(payload.messages));
            }
        }
        (Err(_), Err(error)) => assert!(error.offset <= body.len(), "{error} is outside of the body"),
        (split, checked) => panic!("split {:?}, checked {checked:?}", split.map(|payloads| payloads.len()).is_ok()),
    }
    agree(format, body, checked.is_ok().then_some(found.len()));
}

/// The pipeline reads whole what the check lets pass, and nothing else.
fn agree(format: Format, body: &[u8], messages: Option<usize>) {
    if body.first() == Some(&0) {
        return;
    }
    let mut pipeline = payloads::pipeline(Plan::default(), ClassRules::default());
    payloads::feed(&mut pipeline, &[], &[(payloads::key(0, PayloadKind::Data, format), body)], |output| {
        let reasons: Vec<_> = output.dead.iter().filter_map(|entry| Some(entry.letter()?.reason)).collect();
        let any = |wanted: &[Reason]| reasons.iter().any(|reason| wanted.contains(reason));
        match messages {
            Some(messages) => {
                // A map of something else than names is well-formed, and no message.
                assert!(!any(&[Reason::NotWellFormed, Reason::TooDeep]), "{reasons:?} for what is well-formed");
                assert_eq!(output.counts.messages as usize, messages);
            }
            None => {
                let malformed = any(&[Reason::NotWellFormed, Reason::TooDeep, Reason::NotAMessage]);
                assert!(malformed, "read although it is not well-formed: {:?}", output.counts);
            }
        }
    });
}

fn lines(body: &[u8]) {
    let count = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
    match split::lines(&Bytes::copy_from_slice(body)) {
        Ok(payloads) => {
            assert_eq!(payloads.len(), count);
            for payload in payloads {
                let checked = pipeline::check(Format::Json, &payload.bytes);
                assert_eq!(payload.messages, checked.unwrap_or(1));
            }
        }
        Err(_) => assert_eq!(count, 0),
    }
}

fn item(text: &[u8]) {
    let Ok((device, message)) = items::item(text) else { return };
    let read = |text: &[u8]| -> serde_json::Map<String, serde_json::Value> {
        serde_json::from_slice(text).expect("an item is an object")
    };
    // Numbers beyond a double stay as they are in the text; serde_json's values have none.
    if let Ok(serde_json::Value::Object(mut before)) = serde_json::from_slice(text) {
        let id = before.remove("device_id").expect("an item names its device");
        assert_eq!(id.as_str().map(str::parse), Some(Ok(device)));
        assert_eq!(read(&message), before);
    }
}
