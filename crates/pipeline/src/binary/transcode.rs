//! An event's data as JSON text. Byte strings become base64url text without padding and tags are left out (RFC 8949
//! section 6.1); whole numbers in a name's place become text.

use std::io::Write;

use model::Reason;

use super::{Container, Item, Items, unexpected_break};
use crate::draft::{Failure, Scalar};
use crate::json::push_string;

/// Why a value has no JSON form.
#[derive(Debug)]
pub struct NoJson {
    pub reason: Reason,
    pub detail: String,
}

type Outcome = Result<(), NoJson>;

/// Appends the next value, inside a container of this depth. One that has no JSON form is read over all the same.
pub fn value<'a>(items: &mut impl Items<'a>, depth: usize, out: &mut Vec<u8>) -> Result<Outcome, Failure> {
    let mut scratch = Vec::new();
    match items.next(&mut scratch)? {
        Item::Scalar(scalar) => Ok(push_scalar(&scalar, out)),
        Item::Bytes(bytes) => {
            push_base64(bytes, out);
            Ok(Ok(()))
        }
        Item::Tag(_) => {
            Container::open(Some(1), depth + 1, items)?;
            value(items, depth + 1, out)
        }
        Item::Array(len) => {
            let mut outcome = Ok(());
            let mut elements = Container::open(len, depth + 1, items)?;
            out.push(b'[');
            while elements.more(items) {
                separate(out);
                let element = value(items, depth + 1, out)?;
                outcome = outcome.and(element);
            }
            out.push(b']');
            Ok(outcome)
        }
        Item::Map(len) => {
            let mut outcome = Ok(());
            let mut members = Container::open(len, depth + 1, items)?;
            out.push(b'{');
            while members.more(items) {
                separate(out);
                let name = name(items, depth + 1, out)?;
                out.push(b':');
                let member = value(items, depth + 1, out)?;
                outcome = outcome.and(name).and(member);
            }
            out.push(b'}');
            Ok(outcome)
        }
        Item::Break => Err(unexpected_break(items)),
    }
}

fn separate(out: &mut Vec<u8>) {
    if !matches!(out.last(), Some(b'[' | b'{')) {
        out.push(b',');
    }
}

fn name<'a>(items: &mut impl Items<'a>, depth: usize, out: &mut Vec<u8>) -> Result<Outcome, Failure> {
    let mut scratch = Vec::new();
    match items.next(&mut scratch)? {
        Item::Scalar(Scalar::Text(text)) => push_string(text, out),
        Item::Scalar(number @ Scalar::Integer { .. }) => push_string(number.describe().as_bytes(), out),
        other => {
            let found = super::finish(other, items, depth)?.describe();
            let detail = format!("a name is a string or an integer, found {found}");
            return Ok(Err(NoJson { reason: Reason::EventInvalid, detail }));
        }
    }
    Ok(Ok(()))
}

fn push_scalar(scalar: &Scalar<'_>, out: &mut Vec<u8>) -> Outcome {
    match scalar {
        Scalar::Text(text) => push_string(text, out),
        Scalar::Float(number) if !number.is_finite() => {
            return Err(NoJson { reason: Reason::NumberNotFinite, detail: format!("found {number:?}") });
        }
        Scalar::Integer { .. } | Scalar::Float(_) | Scalar::Bool(_) | Scalar::Null => {
            write!(out, "{}", scalar.describe()).expect("a vector takes every write");
        }
        _ => {
            let detail = format!("JSON has no form for {}", scalar.describe());
            return Err(NoJson { reason: Reason::EventInvalid, detail });
        }
    }
    Ok(())
}

/// RFC 4648 section 5, without padding, in quotes.
fn push_base64(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    out.push(b'"');
    for three in bytes.chunks(3) {
        let part = |at: usize| u32::from(three.get(at).copied().unwrap_or_default());
        let bits = part(0) << 16 | part(1) << 8 | part(2);
        for digit in 0..=three.len() {
            out.push(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]);
        }
    }
    out.push(b'"');
}
