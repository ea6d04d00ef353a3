//! A body's payloads: as few as the limits of one payload allow, each with its messages counted.

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
        let messages = pipeline::check(Format::Json, &bytes).unwrap_or(1);
        payloads.push(Payload { bytes, messages });
    }
    match payloads.len() {
        0 => Err(Problem::invalid("not-well-formed", "The body has no line with a message in it.")),
        count if count > PAYLOADS_PER_REQUEST_MAX => Err(too_many(count)),
        _ => Ok(payloads),
    }
}

/// The whole body is one payload if it fits; an array that does not is split between its elements.
pub fn whole(format: Format, body: Bytes) -> Result<Vec<Payload>, Problem> {
    let mut elements = Vec::new();
    let fits = body.len() <= PAYLOAD_BYTES_MAX;
    let mut count = 0;
    let checked = pipeline::elements(format, &body, |element| {
        count += 1;
        // An element each is remembered only where it will be needed.
        if !fits || count > MESSAGES_PER_PAYLOAD_MAX || elements.len() < MESSAGES_PER_PAYLOAD_MAX {
            elements.push(body.slice_ref(element));
        }
    });
    checked.map_err(|error| malformed(format, &body, &error))?;
    match count {
        0 => Ok(Vec::new()),
        1..=MESSAGES_PER_PAYLOAD_MAX if fits => Ok(vec![Payload { bytes: body, messages: count }]),
        _ => regroup(format, &elements),
    }
}

/// Elements, packed into arrays that are as large as a payload may be.
fn regroup(format: Format, elements: &[Bytes]) -> Result<Vec<Payload>, Problem> {
    let mut payloads = Vec::new();
    let mut rest = elements;
    while let Some(first) = rest.first() {
        if first.len() + ARRAY_BYTES > PAYLOAD_BYTES_MAX {
            let (len, most) = (first.len(), PAYLOAD_BYTES_MAX - ARRAY_BYTES);
            let detail = format!("A message of {len} bytes is larger than the {most} bytes that one may have.");
            return Err(Problem::invalid("payload-too-large", detail).status(StatusCode::PAYLOAD_TOO_LARGE));
        }
        let mut bytes = 0;
        let fits = |element: &&Bytes| {
            bytes += element.len() + 1;
            bytes + ARRAY_BYTES <= PAYLOAD_BYTES_MAX
        };
        let count = rest.iter().take(MESSAGES_PER_PAYLOAD_MAX).take_while(fits).count().max(1);
        let (group, behind) = rest.split_at(count);
        payloads.push(Payload { bytes: array(format, group).into(), messages: count });
        rest = behind;
    }
    Ok(payloads)
}

/// What an array takes beside its elements and the commas between them.
const ARRAY_BYTES: usize = 5;

fn array(format: Format, elements: &[Bytes]) -> Vec<u8> {
    let count = elements.len() as u32;
    let mut out = Vec::with_capacity(elements.iter().map(|element| element.len() + 1).sum::<usize>() + ARRAY_BYTES);
    match format {
        // array 32 (MessagePack specification, "Array format family").
        Format::MessagePack => out.push(0xdd),
        // Major type 4 with a 32-bit count (RFC 8949, section 3).
        Format::Cbor => out.push(0x9a),
        _ => out.push(b'['),
    }
    match format {
        Format::MessagePack | Format::Cbor => {
            out.extend_from_slice(&count.to_be_bytes());
            elements.iter().for_each(|element| out.extend_from_slice(element));
        }
        _ => {
            out.extend_from_slice(&elements.join(&b','));
            out.push(b']');
        }
    }
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
