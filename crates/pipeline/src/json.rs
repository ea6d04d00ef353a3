//! Reads JSON payloads (RFC 8259, strictly) in one pass, without a tree.
//!
//! This is the careful reader: it alone decides what a payload is. [`scanner`] knows the grammar, [`number`] the
//! numbers; a message's fields go to the [`Sink`] as they are met. In front of it stand [`shape`]s, for speed alone.

use model::limits::MESSAGES_PER_PAYLOAD_MAX;

use crate::draft::{Failure, Field, Found, Sink};
use crate::form::Form;

mod number;
mod scanner;
mod shape;
#[cfg(test)]
mod tests;
mod text;

pub use scanner::Scanner;
pub use shape::Shapes;
pub use text::push_string;

/// Memory for texts with escapes, kept from payload to payload.
#[derive(Debug, Default)]
pub struct Scratch {
    key: Vec<u8>,
    value: Vec<u8>,
}

/// Reads a payload: one object or an array of objects.
pub fn read(payload: &[u8], scratch: &mut Scratch, shapes: &mut Shapes, sink: &mut Sink<'_>) -> Result<(), Failure> {
    let mut scanner = Scanner::new(payload);
    match scanner.peek_value() {
        Some(b'{') => any_message(&mut scanner, scratch, shapes, sink)?,
        Some(b'[') => messages(&mut scanner, scratch, shapes, sink)?,
        _ => {
            let found = scanner.value(&mut scratch.value)?.describe();
            scanner.end()?;
            return Err(Failure::not_a_message(0, &found));
        }
    }
    scanner.end()
}

fn messages(
    scanner: &mut Scanner<'_>,
    scratch: &mut Scratch,
    shapes: &mut Shapes,
    sink: &mut Sink<'_>,
) -> Result<(), Failure> {
    let mut count = 0;
    let mut more = scanner.open_array()?;
    while more {
        count += 1;
        if count > MESSAGES_PER_PAYLOAD_MAX {
            return Err(Failure::too_many_messages(scanner.at()));
        }
        if scanner.peek_value() == Some(b'{') {
            any_message(scanner, scratch, shapes, sink)?;
        } else {
            let start = scanner.at();
            let found = scanner.value(&mut scratch.value)?;
            sink.not_a_message(start..scanner.at(), &found);
        }
        more = scanner.next_element()?;
    }
    Ok(())
}

/// A message of a known shape, or one that is read with care and perhaps learned from.
fn any_message(
    scanner: &mut Scanner<'_>,
    scratch: &mut Scratch,
    shapes: &mut Shapes,
    sink: &mut Sink<'_>,
) -> Result<(), Failure> {
    if let Some(end) = shapes.read(scanner.bytes(), scanner.at(), sink) {
        scanner.go_on(end);
        return Ok(());
    }
    let start = scanner.at();
    message(scanner, scratch, sink)?;
    if sink.has_shape() {
        shapes.learn(&scanner.bytes()[start..scanner.at()], sink);
    }
    Ok(())
}

fn message(scanner: &mut Scanner<'_>, scratch: &mut Scratch, sink: &mut Sink<'_>) -> Result<(), Failure> {
    sink.begin(scanner.at());
    if let Some(form) = sink.form() {
        record(scanner, scratch, sink, form, 0)?;
        sink.end(scanner.at());
        return Ok(());
    }
    let mut more = scanner.open_object()?;
    while more {
        let key = scanner.key(&mut scratch.key)?;
        let field = sink.field(key);
        match (field, scanner.peek_value()) {
            (Field::Metrics, Some(b'{')) => metrics(scanner, scratch, sink)?,
            (Field::Tags, Some(b'{')) => tags(scanner, scratch, sink)?,
            (Field::Data, _) => sink.event_data(scanner.skip()?),
            (Field::Ignored, _) => {
                scanner.skip()?;
            }
            _ => {
                let value = scanner.value(&mut scratch.value)?;
                sink.scalar(field, key, &value);
            }
        }
        more = scanner.next_member()?;
    }
    sink.end(scanner.at());
    Ok(())
}

/// An object of a message under a schema. Recursion is bounded by the scanner's depth.
fn record(
    scanner: &mut Scanner<'_>,
    scratch: &mut Scratch,
    sink: &mut Sink<'_>,
    form: &Form,
    node: u32,
) -> Result<(), Failure> {
    let (mut more, mut next) = (scanner.open_object()?, 0);
    while more {
        let key = scanner.key(&mut scratch.key)?;
        match (sink.member(form, node, key, &mut next), scanner.peek_value()) {
            (Found::Node(child), Some(b'{')) => record(scanner, scratch, sink, form, child)?,
            (Found::Tags, Some(b'{')) => tags(scanner, scratch, sink)?,
            (Found::Ignored, _) => {
                scanner.skip()?;
            }
            (found, _) => {
                let value = scanner.value(&mut scratch.value)?;
                sink.take(form, node, found, key, &value);
            }
        }
        more = scanner.next_member()?;
    }
    Ok(())
}

fn metrics(scanner: &mut Scanner<'_>, scratch: &mut Scratch, sink: &mut Sink<'_>) -> Result<(), Failure> {
    let mut more = scanner.open_object()?;
    while more {
        let name = scanner.key(&mut scratch.key)?;
        let value = scanner.value(&mut scratch.value)?;
        sink.metric(name, &value);
        more = scanner.next_member()?;
    }
    Ok(())
}

fn tags(scanner: &mut Scanner<'_>, scratch: &mut Scratch, sink: &mut Sink<'_>) -> Result<(), Failure> {
    let mut more = scanner.open_object()?;
    while more {
        let name = scanner.key(&mut scratch.key)?;
        let value = scanner.value(&mut scratch.value)?;
        sink.tag(name, &value);
        more = scanner.next_member()?;
    }
    Ok(())
}

/// Hands over the bytes of each object: the top-level one or the elements of the top-level array.
pub fn elements<'a>(body: &'a [u8], each: &mut dyn FnMut(&'a [u8])) -> Result<(), Failure> {
    let mut scanner = Scanner::new(body);
    if scanner.peek_value() == Some(b'[') {
        let mut more = scanner.open_array()?;
        while more {
            element(&mut scanner, each)?;
            more = scanner.next_element()?;
        }
    } else {
        element(&mut scanner, each)?;
    }
    scanner.end()
}

fn element<'a>(scanner: &mut Scanner<'a>, each: &mut dyn FnMut(&'a [u8])) -> Result<(), Failure> {
    let is_object = scanner.peek_value() == Some(b'{');
    let start = scanner.at();
    let bytes = scanner.skip()?;
    if !is_object {
        return Err(Failure::not_a_message(start, "a value that is no object"));
    }
    each(bytes);
    Ok(())
}
