//! Reads MessagePack and CBOR payloads in one pass, without a tree.
//!
//! Both formats give a sequence of [`Item`]s; this walks them and hands the fields of messages to the [`Sink`], just as
//! the JSON reader does. Lengths are a peer's claim: nothing is ever reserved by them.

use model::Reason;
use model::limits::{MESSAGES_PER_PAYLOAD_MAX, PAYLOAD_DEPTH_MAX};

use crate::draft::{Failure, Field, Found, Scalar, Sink};
use crate::form::Form;

mod cbor;
mod message_pack;
#[cfg(test)]
mod tests;
mod transcode;

pub use cbor::Cbor;
pub use message_pack::MessagePack;

/// The next thing in a payload. Containers give their length where the format does; without one a [`Item::Break`] ends
/// them.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Item<'a> {
    Scalar(Scalar<'a>),
    Bytes(&'a [u8]),
    Map(Option<usize>),
    Array(Option<usize>),
    /// The item behind it is tagged with this (CBOR).
    Tag(u64),
    Break,
}

/// A format's items in order.
pub trait Items<'a> {
    /// The next item. A text that does not lie in one piece is put together in `scratch`.
    fn next<'b>(&mut self, scratch: &'b mut Vec<u8>) -> Result<Item<'b>, Failure>
    where
        'a: 'b;

    /// Reads over a break, if one comes next.
    fn take_break(&mut self) -> bool;

    /// The position of the next item.
    fn at(&self) -> usize;

    fn bytes(&self) -> &'a [u8];
}

/// Memory for texts in pieces, kept from payload to payload.
#[derive(Debug, Default)]
pub struct Scratch {
    key: Vec<u8>,
    value: Vec<u8>,
    json: Vec<u8>,
}

/// What is left of a container.
struct Container {
    left: Option<usize>,
}

impl Container {
    /// Opens one at this depth; the outermost has depth 1.
    fn open<'a>(left: Option<usize>, depth: usize, items: &impl Items<'a>) -> Result<Self, Failure> {
        if depth > PAYLOAD_DEPTH_MAX { Err(Failure::too_deep(items.at())) } else { Ok(Self { left }) }
    }

    fn more<'a>(&mut self, items: &mut impl Items<'a>) -> bool {
        match &mut self.left {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => !items.take_break(),
        }
    }
}

/// CBOR's tag that says "this is CBOR" (RFC 8949 section 3.4.6).
const SELF_DESCRIBED: u64 = 55_799;

/// Reads a payload: one map or an array of maps.
pub fn read<'a>(mut items: impl Items<'a>, scratch: &mut Scratch, sink: &mut Sink<'_>) -> Result<(), Failure> {
    let items = &mut items;
    let mut start = items.at();
    let mut first = items.next(&mut scratch.value)?;
    if first == Item::Tag(SELF_DESCRIBED) {
        start = items.at();
        first = items.next(&mut scratch.value)?;
    }
    match first {
        Item::Map(len) => message(items, start, len, 1, scratch, sink)?,
        Item::Array(len) => messages(items, len, scratch, sink)?,
        other => {
            let found = finish(other, items, 0)?.describe();
            end(items)?;
            return Err(Failure::not_a_message(0, &found));
        }
    }
    end(items)
}

fn end<'a>(items: &impl Items<'a>) -> Result<(), Failure> {
    let rest = items.bytes().len() - items.at();
    if rest == 0 { Ok(()) } else { Err(Failure::not_well_formed(items.at(), format!("{rest} bytes behind the value"))) }
}

fn messages<'a>(
    items: &mut impl Items<'a>,
    len: Option<usize>,
    scratch: &mut Scratch,
    sink: &mut Sink<'_>,
) -> Result<(), Failure> {
    let (mut elements, mut count) = (Container::open(len, 1, items)?, 0);
    while elements.more(items) {
        count += 1;
        if count > MESSAGES_PER_PAYLOAD_MAX {
            return Err(Failure::too_many_messages(items.at()));
        }
        let start = items.at();
        match items.next(&mut scratch.value)? {
            Item::Map(len) => message(items, start, len, 2, scratch, sink)?,
            other => {
                let found = finish(other, items, 1)?;
                sink.not_a_message(start..items.at(), &found);
            }
        }
    }
    Ok(())
}

fn message<'a>(
    items: &mut impl Items<'a>,
    start: usize,
    len: Option<usize>,
    depth: usize,
    scratch: &mut Scratch,
    sink: &mut Sink<'_>,
) -> Result<(), Failure> {
    sink.begin(start);
    if let Some(form) = sink.form() {
        record(items, len, depth, scratch, sink, form, 0)?;
        sink.end(items.at());
        return Ok(());
    }
    let mut members = Container::open(len, depth, items)?;
    while members.more(items) {
        let Some(key) = key(items, depth, &mut scratch.key)? else {
            sink.reject(Reason::NotAMessage, String::new(), "the name of a field is no string".to_owned());
            value(items, depth, &mut scratch.value)?;
            continue;
        };
        match sink.field(key) {
            Field::Data => data(items, depth, scratch, sink)?,
            Field::Ignored => {
                value(items, depth, &mut scratch.value)?;
            }
            field => match items.next(&mut scratch.value)? {
                Item::Map(len) if field == Field::Metrics => metrics(items, len, depth + 1, scratch, sink)?,
                Item::Map(len) if field == Field::Tags => tags(items, len, depth + 1, scratch, sink)?,
                other => {
                    let found = finish(other, items, depth)?;
                    sink.scalar(field, key, &found);
                }
            },
        }
    }
    sink.end(items.at());
    Ok(())
}

/// A map of a message under a schema. Recursion is bounded by [`PAYLOAD_DEPTH_MAX`].
fn record<'a>(
    items: &mut impl Items<'a>,
    len: Option<usize>,
    depth: usize,
    scratch: &mut Scratch,
    sink: &mut Sink<'_>,
    form: &Form,
    node: u32,
) -> Result<(), Failure> {
    let (mut members, mut next) = (Container::open(len, depth, items)?, 0);
    while members.more(items) {
        let Some(key) = key(items, depth, &mut scratch.key)? else {
            sink.no_name(form, node);
            value(items, depth, &mut scratch.value)?;
            continue;
        };
        let found = sink.member(form, node, key, &mut next);
        match (found, items.next(&mut scratch.value)?) {
            (Found::Node(child), Item::Map(len)) => record(items, len, depth + 1, scratch, sink, form, child)?,
            (Found::Tags, Item::Map(len)) => tags(items, len, depth + 1, scratch, sink)?,
            (found, item) => {
                let value = finish(item, items, depth)?;
                sink.take(form, node, found, key, &value);
            }
        }
    }
    Ok(())
}

/// The name of a member; `None` if it is something else than a string.
fn key<'a: 'b, 'b>(
    items: &mut impl Items<'a>,
    depth: usize,
    scratch: &'b mut Vec<u8>,
) -> Result<Option<&'b [u8]>, Failure> {
    match items.next(scratch)? {
        Item::Scalar(Scalar::Text(text)) => Ok(Some(text)),
        other => {
            finish(other, items, depth)?;
            Ok(None)
        }
    }
}

fn metrics<'a>(
    items: &mut impl Items<'a>,
    len: Option<usize>,
    depth: usize,
    scratch: &mut Scratch,
    sink: &mut Sink<'_>,
) -> Result<(), Failure> {
    members(items, len, depth, scratch, |name, found| match name {
        Some(name) => sink.metric(name, found),
        None => sink.reject(Reason::MetricName, "/metrics".to_owned(), "a name is no string".to_owned()),
    })
}

fn tags<'a>(
    items: &mut impl Items<'a>,
    len: Option<usize>,
    depth: usize,
    scratch: &mut Scratch,
    sink: &mut Sink<'_>,
) -> Result<(), Failure> {
    members(items, len, depth, scratch, |name, found| match name {
        Some(name) => sink.tag(name, found),
        None => sink.reject(Reason::TagsInvalid, "/tags".to_owned(), "a name is no string".to_owned()),
    })
}

/// Gives `take` every member of a map: its name, or `None` if that is no string, and what its value is.
fn members<'a>(
    items: &mut impl Items<'a>,
    len: Option<usize>,
    depth: usize,
    scratch: &mut Scratch,
    mut take: impl FnMut(Option<&[u8]>, &Scalar<'_>),
) -> Result<(), Failure> {
    let mut members = Container::open(len, depth, items)?;
    while members.more(items) {
        let name = key(items, depth, &mut scratch.key)?;
        let found = value(items, depth, &mut scratch.value)?;
        take(name, &found);
    }
    Ok(())
}

fn data<'a>(
    items: &mut impl Items<'a>,
    depth: usize,
    scratch: &mut Scratch,
    sink: &mut Sink<'_>,
) -> Result<(), Failure> {
    scratch.json.clear();
    match transcode::value(items, depth, &mut scratch.json)? {
        Ok(()) => sink.event_data(&scratch.json),
        Err(fault) => sink.reject(fault.reason, "/data".to_owned(), fault.detail),
    }
    Ok(())
}

/// Any value; a container is read over whole and only named.
#[inline]
fn value<'a: 'b, 'b>(
    items: &mut impl Items<'a>,
    depth: usize,
    scratch: &'b mut Vec<u8>,
) -> Result<Scalar<'b>, Failure> {
    let item = items.next(scratch)?;
    finish(item, items, depth)
}

/// Reads over what belongs to an item inside a container of this depth.
#[inline]
fn finish<'a, 'b>(item: Item<'b>, items: &mut impl Items<'a>, depth: usize) -> Result<Scalar<'b>, Failure> {
    match item {
        Item::Scalar(scalar) => Ok(scalar),
        Item::Bytes(_) => Ok(Scalar::Bytes),
        Item::Map(len) => skip(items, len, 2, depth + 1).map(|()| Scalar::Object),
        Item::Array(len) => skip(items, len, 1, depth + 1).map(|()| Scalar::Array),
        Item::Tag(_) => skip(items, Some(1), 1, depth + 1).map(|()| Scalar::Extension),
        Item::Break => Err(unexpected_break(items)),
    }
}

/// Reads over a container of this depth. Recursion is bounded by [`PAYLOAD_DEPTH_MAX`].
fn skip<'a>(items: &mut impl Items<'a>, len: Option<usize>, per_member: usize, depth: usize) -> Result<(), Failure> {
    let mut members = Container::open(len, depth, items)?;
    while members.more(items) {
        for _ in 0..per_member {
            value(items, depth, &mut Vec::new())?;
        }
    }
    Ok(())
}

#[cold]
fn unexpected_break<'a>(items: &impl Items<'a>) -> Failure {
    Failure::not_well_formed(items.at(), "a break where a value should be")
}

/// Hands over the bytes of each map: the top-level one or the elements of the top-level array.
pub fn elements<'a>(mut items: impl Items<'a>, each: &mut dyn FnMut(&'a [u8])) -> Result<(), Failure> {
    let items = &mut items;
    let mut scratch = Vec::new();
    let mut first = items.next(&mut scratch)?;
    let mut start = 0;
    if first == Item::Tag(SELF_DESCRIBED) {
        start = items.at();
        first = items.next(&mut scratch)?;
    }
    match first {
        Item::Array(len) => {
            let mut elements = Container::open(len, 1, items)?;
            while elements.more(items) {
                let start = items.at();
                let item = items.next(&mut scratch)?;
                element(item, items, start, 1, each)?;
            }
        }
        other => element(other, items, start, 0, each)?,
    }
    end(items)
}

fn element<'a>(
    item: Item<'_>,
    items: &mut impl Items<'a>,
    start: usize,
    depth: usize,
    each: &mut dyn FnMut(&'a [u8]),
) -> Result<(), Failure> {
    let is_map = matches!(item, Item::Map(_));
    let found = finish(item, items, depth)?;
    if !is_map {
        return Err(Failure::not_a_message(start, &found.describe()));
    }
    each(&items.bytes()[start..items.at()]);
    Ok(())
}
