//! A body's payloads: as few as the limits of one payload allow, each with its messages counted.
//!
//! What is remembered on the way is a range for each payload, never something for each message.

use std::ops::Range;

use axum::http::StatusCode;
use bytes::Bytes;
use model::Format;
use model::limits::{MESSAGES_PER_PAYLOAD_MAX, PAYLOAD_BYTES_MAX};
use pipeline::SyntaxError;

use super::{PAYLOADS_PER_REQUEST_MAX, too_many};
use crate::http::{Problem, ndjson};

/// What one offset of `raw` will hold.
#[derive(Debug, PartialEq, Eq)]
pub struct Payload {
    pub bytes: Bytes,
    /// Messages in it; what cannot be read counts as one.
    pub messages: usize,
}

/// Each line that is not blank is a payload. What is in it is not looked at: a bad one is a dead letter.
pub fn lines(body: &Bytes) -> Result<Vec<Payload>, Problem> {
    let mut payloads = Vec::new();
    for (_, bytes) in ndjson::lines(body) {
        if payloads.len() == PAYLOADS_PER_REQUEST_MAX {
            return Err(too_many());
        }
        let messages = pipeline::check(Format::Json, &bytes).unwrap_or(1);
        payloads.push(Payload { bytes, messages });
    }
    if payloads.is_empty() {
        return Err(Problem::invalid("not-well-formed", "The body has no line with a message in it."));
    }
    Ok(payloads)
}

/// The whole body is one payload if it fits; an array that does not is split between its elements.
pub fn whole(format: Format, body: Bytes) -> Result<Vec<Payload>, Problem> {
    let mut groups = Groups::default();
    let start = body.as_ptr() as usize;
    let checked = pipeline::elements(format, &body, |element| {
        let from = element.as_ptr() as usize - start;
        groups.add(from..from + element.len());
    });
    checked.map_err(|error| malformed(format, &body, &error))?;
    match groups.count {
        0 => Ok(Vec::new()),
        messages @ 1..=MESSAGES_PER_PAYLOAD_MAX if body.len() <= PAYLOAD_BYTES_MAX => {
            Ok(vec![Payload { bytes: body, messages }])
        }
        _ => groups.payloads(format, &body),
    }
}

/// What an array takes beside its elements and what stands between them.
const ARRAY_BYTES: usize = 5;
/// The largest element that still fits an array of one.
const ELEMENT_BYTES_MAX: usize = PAYLOAD_BYTES_MAX - ARRAY_BYTES;

/// Elements that follow each other, grouped so that each group fits a payload.
#[derive(Default)]
struct Groups {
    /// Of the body, from the first element of a group to its last, and how many they are.
    groups: Vec<(Range<usize>, usize)>,
    /// Elements in all.
    count: usize,
    /// The longest element.
    longest: usize,
}

impl Groups {
    fn add(&mut self, element: Range<usize>) {
        self.count += 1;
        self.longest = self.longest.max(element.len());
        match self.groups.last_mut() {
            // White space between elements counts as well: the range is copied as it stands.
            Some((range, count))
                if *count < MESSAGES_PER_PAYLOAD_MAX && element.end - range.start <= ELEMENT_BYTES_MAX =>
            {
                range.end = element.end;
                *count += 1;
            }
            _ => self.groups.push((element, 1)),
        }
    }

    fn payloads(self, format: Format, body: &Bytes) -> Result<Vec<Payload>, Problem> {
        if self.longest > ELEMENT_BYTES_MAX {
            let longest = self.longest;
            let detail =
                format!("A message of {longest} bytes is larger than the {ELEMENT_BYTES_MAX} that one may have.");
            return Err(Problem::invalid("payload-too-large", detail).status(StatusCode::PAYLOAD_TOO_LARGE));
        }
        let payload = |(range, messages): (Range<usize>, usize)| Payload {
            bytes: array(format, &body[range], messages).into(),
            messages,
        };
        Ok(self.groups.into_iter().map(payload).collect())
    }
}

/// An array of `count` elements that stand in `elements` one behind the other, in JSON with commas between them.
fn array(format: Format, elements: &[u8], count: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(elements.len() + ARRAY_BYTES);
    match format {
        // array 32 (MessagePack specification, "Array format family").
        Format::MessagePack => out.push(0xdd),
        // Major type 4 with a 32-bit count (RFC 8949, section 3).
        Format::Cbor => out.push(0x9a),
        _ => {
            out.push(b'[');
            out.extend_from_slice(elements);
            out.push(b']');
            return out;
        }
    }
    out.extend_from_slice(&(count as u32).to_be_bytes());
    out.extend_from_slice(elements);
    out
}

/// What is wrong with a body, and where.
pub fn malformed(format: Format, body: &[u8], error: &SyntaxError) -> Problem {
    let offset = error.offset.min(body.len());
    let place = match format {
        Format::Json => {
            let before = &body[..offset];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
            format!("line {line}, column {column} (byte {offset})")
        }
        _ => format!("byte {offset}"),
    };
    let name = match format {
        Format::Json => "JSON",
        Format::MessagePack => "MessagePack",
        Format::Cbor => "CBOR",
        Format::Avro => "Avro",
        Format::Protobuf => "Protobuf",
    };
    let what = &error.what;
    let detail =
        format!("The body is not one object or an array of objects in {name}: {what} at {place}. Nothing was stored.");
    Problem::invalid("not-well-formed", detail).with("offset", offset)
}
