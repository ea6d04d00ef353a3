//! Protobuf's wire format (protobuf.dev, "Encoding").
//!
//! A message is read to its end before its values are handed over: of a field that comes twice the last value counts, and
//! one that is absent may be zero. Of the members of a `oneof` the last on the wire counts. What nothing keeps is read over by its wire type.

use model::contract::{MapOf, ProtobufKind, ProtobufLayout};
use model::limits::{PAYLOAD_DEPTH_MAX, SCHEMA_DEPTH_MAX};
use model::{Reason, UnknownFields};

use super::input::{Input, integer};
use super::{Slots, kept};
use crate::draft::{Failure, Scalar, Sink, pointer};
use crate::form::ts::Time;
use crate::form::{Form, Others};

mod oneof;

use oneof::Rivals;

const VARINT: u8 = 0;
const EIGHT: u8 = 1;
const DELIMITED: u8 = 2;
const GROUP: u8 = 3;
const GROUP_END: u8 = 4;
const FOUR: u8 = 5;

/// A compiled layout: the message first, the fields of each in the order of their numbers.
#[derive(Debug)]
pub struct Program {
    messages: Vec<Vec<Field>>,
    /// Fields of a message that are zero where they are absent, by its position: slot and value.
    implicit: Vec<Vec<(u32, Last)>>,
    slots: usize,
}

#[derive(Debug)]
struct Field {
    number: u32,
    kind: ProtobufKind,
    /// The wire type of a single value.
    wire: Option<u8>,
    slot: Option<u32>,
    /// What a value of this field makes absent: the other members of its `oneof`.
    rivals: Option<Box<Rivals>>,
}

/// Memory kept from payload to payload.
#[derive(Debug, Default)]
pub struct Scratch {
    found: Vec<Last>,
    /// Messages of the layout that are there.
    present: Vec<bool>,
}

/// The last value of a slot.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
enum Last {
    #[default]
    Absent,
    Signed(i64),
    Unsigned(u64),
    Double(f64),
    Bool(bool),
    /// Start and length.
    Text(usize, usize),
    /// A constant of the enum at this message and field, or a number without a name.
    Constant(u32, u32, i32),
    Time(i64, i32),
}

/// The message indexes in front of a message in the Confluent wire format, and how many bytes they take. A single zero
/// stands for the first message type.
pub fn message_indexes(body: &[u8]) -> Result<(Vec<u32>, usize), String> {
    let mut input = Input::new(body);
    let mut read = || input.zig_zag().map_err(|failure| failure.what);
    let count = read()?;
    if count == 0 {
        return Ok((vec![0], input.at()));
    }
    if !(0..=SCHEMA_DEPTH_MAX as i64).contains(&count) {
        return Err(format!("{count} message indexes"));
    }
    let index = |index: i64| u32::try_from(index).map_err(|_| format!("a message index of {index}"));
    let indexes = (0..count).map(|_| read().and_then(index)).collect::<Result<_, _>>()?;
    Ok((indexes, input.at()))
}

impl Program {
    /// `None` if a field leads to a message that is not there.
    pub fn compile(layout: &ProtobufLayout, slots: &Slots, form: &Form) -> Option<Self> {
        let (mut messages, mut implicit) = (Vec::new(), Vec::new());
        for (position, described) in (0..).zip(&layout.messages) {
            let (mut fields, mut zeros) = (Vec::new(), Vec::new());
            for field in described {
                if let ProtobufKind::Message(child) = field.kind
                    && child as usize >= layout.messages.len()
                {
                    return None;
                }
                let slot = kept(field.kind.keep(), slots);
                let wire = wire_of(&field.kind);
                let rivals = Rivals::of(layout, described, field, slots).map(Box::new);
                fields.push(Field { number: field.number, kind: field.kind.clone(), wire, slot, rivals });
            }
            fields.sort_by_key(|field| field.number);
            for (at, field) in (0..).zip(&fields) {
                let is_implicit = described.iter().any(|other| other.number == field.number && other.implicit);
                if let (true, Some(slot)) = (is_implicit, field.slot) {
                    zeros.push((slot, zero(&field.kind, position, at)));
                }
            }
            messages.push(fields);
            implicit.push(zeros);
        }
        (!messages.is_empty()).then_some(Self { messages, implicit, slots: form.slots.len() })
    }

    pub fn read(&self, body: &[u8], scratch: &mut Scratch, sink: &mut Sink<'_>, form: &Form) -> Result<(), Failure> {
        scratch.found.clear();
        scratch.found.resize(self.slots, Last::Absent);
        scratch.present.clear();
        scratch.present.resize(self.messages.len(), false);
        let mut reader = Reader { program: self, sink, form, scratch };
        reader.message(Input::new(body), 0, 1)?;
        reader.hand_over(body);
        Ok(())
    }
}

/// What an absent field is where its zero is left out.
fn zero(kind: &ProtobufKind, message: u32, field: u32) -> Last {
    match kind {
        ProtobufKind::Double(_) | ProtobufKind::Float(_) => Last::Double(0.0),
        ProtobufKind::Bool(_) => Last::Bool(false),
        ProtobufKind::Text(_) => Last::Text(0, 0),
        ProtobufKind::Enum(..) => Last::Constant(message, field, 0),
        _ => Last::Signed(0),
    }
}

struct Reader<'r, 's> {
    program: &'r Program,
    sink: &'r mut Sink<'s>,
    form: &'r Form,
    scratch: &'r mut Scratch,
}

impl Reader<'_, '_> {
    /// A message, which is all of the input. Recursion is bounded by [`PAYLOAD_DEPTH_MAX`].
    fn message(&mut self, mut input: Input<'_>, position: u32, depth: usize) -> Result<(), Failure> {
        if depth > PAYLOAD_DEPTH_MAX {
            return Err(Failure::too_deep(input.at()));
        }
        self.scratch.present[position as usize] = true;
        let program = self.program;
        let (fields, mut next) = (&program.messages[position as usize], 0);
        while !input.is_empty() {
            let (number, wire) = tag(&mut input)?;
            let at = match fields.get(next) {
                Some(field) if field.number == number => Some(next),
                _ => fields.binary_search_by_key(&number, |field| field.number).ok(),
            };
            let Some(at) = at else {
                self.unknown(number);
                skip(&mut input, number, wire, depth)?;
                continue;
            };
            next = at + 1;
            let field = &fields[at];
            if field.wire == Some(wire) {
                let last = scalar(&mut input, &field.kind, (position, at as u32))?;
                self.outdo(field);
                self.set(field.slot, last);
            } else {
                self.field(&mut input, field, wire, depth)?;
            }
        }
        Ok(())
    }

    fn unknown(&mut self, number: u32) {
        if self.sink.policy() == UnknownFields::Reject || matches!(self.form.others, Others::Reject) {
            let detail = format!("the schema has no field of number {number}");
            self.sink.reject(Reason::UnknownField, pointer(&[number.to_string().as_bytes()]), detail);
        }
    }

    /// A field that is not a single value of its type.
    #[inline(never)]
    fn field(&mut self, input: &mut Input<'_>, field: &Field, wire: u8, depth: usize) -> Result<(), Failure> {
        match (&field.kind, wire) {
            (ProtobufKind::Message(child), DELIMITED) => {
                let len = input.varint()?;
                let part = input.part(len, "a message")?;
                self.outdo(field);
                self.message(part, *child, depth + 1)
            }
            (ProtobufKind::Map(what, value), DELIMITED) if *what != MapOf::Nothing => {
                let len = input.varint()?;
                let part = input.part(len, "an entry of a map")?;
                self.entry(part, *what, value, depth + 1)
            }
            (ProtobufKind::Timestamp(_), DELIMITED) => {
                let len = input.varint()?;
                let (seconds, nanos) = timestamp(input.part(len, "a timestamp")?, depth + 1)?;
                self.outdo(field);
                self.set(field.slot, Last::Time(seconds, nanos));
                Ok(())
            }
            _ => {
                let is_ignored = |slot: &u32| self.form.slots[*slot as usize].check.is_ignored();
                if let Some(slot) = field.slot.filter(|slot| !is_ignored(slot)) {
                    let detail = format!("found wire type {wire}, expected {}", field.wire.unwrap_or(DELIMITED));
                    self.sink.reject(Reason::WrongType, pointer(&self.form.path_of(slot)), detail);
                }
                self.outdo(field);
                skip(input, field.number, wire, depth)
            }
        }
    }

    /// A value of the field has come.
    #[inline]
    fn outdo(&mut self, field: &Field) {
        if let Some(rivals) = &field.rivals {
            rivals.clear(self.scratch);
        }
    }

    fn set(&mut self, slot: Option<u32>, found: Last) {
        if let Some(slot) = slot {
            self.scratch.found[slot as usize] = found;
        }
    }

    /// An entry of a map: the key is field 1, the value field 2, and what is absent is zero.
    fn entry(&mut self, mut input: Input<'_>, what: MapOf, kind: &ProtobufKind, depth: usize) -> Result<(), Failure> {
        let body = input.bytes();
        let (mut name, mut value) = (&b""[..], zero(kind, 0, 0));
        while !input.is_empty() {
            match tag(&mut input)? {
                (1, DELIMITED) => {
                    let len = input.varint()?;
                    name = input.text(len)?;
                }
                (2, wire) if wire_of(kind) == Some(wire) => value = scalar(&mut input, kind, (0, 0))?,
                (number, wire) => skip(&mut input, number, wire, depth)?,
            }
        }
        let mut digits = String::new();
        let value = match value {
            Last::Constant(_, _, number) => constant(kind, number, &mut digits),
            other => other.scalar(body),
        };
        match what {
            MapOf::Metrics => self.sink.entry(self.form, name, &value),
            MapOf::Tags => self.sink.tag(name, &value),
            MapOf::Nothing => {}
        }
        Ok(())
    }

    /// Gives the last value of each slot to the sink, and zeros where they are left out.
    fn hand_over(&mut self, body: &[u8]) {
        let present = self.program.implicit.iter().zip(&self.scratch.present).filter(|(_, present)| **present);
        for (slot, zero) in present.flat_map(|(zeros, _)| zeros) {
            let found = &mut self.scratch.found[*slot as usize];
            if *found == Last::Absent {
                *found = *zero;
            }
        }
        for (slot, found) in (0..).zip(&self.scratch.found) {
            match *found {
                Last::Absent => {}
                Last::Time(seconds, nanos) => self.sink.time(self.form, slot, Time::from_parts(seconds, nanos)),
                Last::Constant(message, field, number) => {
                    let kind = &self.program.messages[message as usize][field as usize].kind;
                    let mut digits = String::new();
                    self.sink.slot(self.form, slot, &constant(kind, number, &mut digits));
                }
                other => self.sink.slot(self.form, slot, &other.scalar(body)),
            }
        }
    }
}

impl Last {
    /// Of a value that is neither a time nor a constant.
    #[inline]
    fn scalar(self, body: &[u8]) -> Scalar<'_> {
        match self {
            Self::Signed(value) => integer(value),
            Self::Unsigned(magnitude) => Scalar::Integer { negative: false, magnitude },
            Self::Double(value) => Scalar::Float(value),
            Self::Bool(flag) => Scalar::Bool(flag),
            Self::Text(start, len) => Scalar::Text(&body[start..start + len]),
            Self::Absent | Self::Constant(..) | Self::Time(..) => Scalar::Null,
        }
    }
}

/// The name of an enum's constant, or its number in digits.
fn constant<'n>(kind: &'n ProtobufKind, number: i32, digits: &'n mut String) -> Scalar<'n> {
    if let ProtobufKind::Enum(constants, _) = kind
        && let Some((_, name)) = constants.iter().find(|(known, _)| *known == number)
    {
        return Scalar::Text(name.as_bytes());
    }
    *digits = number.to_string();
    Scalar::Text(digits.as_bytes())
}

/// Number and wire type of the field that comes next.
#[inline]
fn tag(input: &mut Input<'_>) -> Result<(u32, u8), Failure> {
    let tag = input.varint()?;
    let number = u32::try_from(tag >> 3).ok().filter(|number| (1..1 << 29).contains(number));
    match number {
        Some(number) => Ok((number, (tag & 7) as u8)),
        None => Err(input.error(format!("a field of number {}", tag >> 3))),
    }
}

fn wire_of(kind: &ProtobufKind) -> Option<u8> {
    Some(match kind {
        ProtobufKind::Double(_) | ProtobufKind::Fixed64(_) | ProtobufKind::Sfixed64(_) => EIGHT,
        ProtobufKind::Float(_) | ProtobufKind::Fixed32(_) | ProtobufKind::Sfixed32(_) => FOUR,
        ProtobufKind::Text(_) => DELIMITED,
        ProtobufKind::Bytes
        | ProtobufKind::Timestamp(_)
        | ProtobufKind::Message(_)
        | ProtobufKind::Map(..)
        | ProtobufKind::Ignored => return None,
        _ => VARINT,
    })
}

/// A value of a kind that has this wire type.
#[inline(always)]
fn scalar(input: &mut Input<'_>, kind: &ProtobufKind, (message, field): (u32, u32)) -> Result<Last, Failure> {
    let zig_zag = |value: u64| (value >> 1) as i64 ^ -((value & 1) as i64);
    Ok(match kind {
        ProtobufKind::Double(_) => Last::Double(f64::from_le_bytes(input.array("a double")?)),
        ProtobufKind::Float(_) => Last::Double(f32::from_le_bytes(input.array("a float")?).into()),
        ProtobufKind::Fixed32(_) => Last::Unsigned(u32::from_le_bytes(input.array("a fixed32")?).into()),
        ProtobufKind::Fixed64(_) => Last::Unsigned(u64::from_le_bytes(input.array("a fixed64")?)),
        ProtobufKind::Sfixed32(_) => Last::Signed(i32::from_le_bytes(input.array("an sfixed32")?).into()),
        ProtobufKind::Sfixed64(_) => Last::Signed(i64::from_le_bytes(input.array("an sfixed64")?)),
        // What is longer than the type is cut, as every reader does.
        ProtobufKind::Int32(_) => Last::Signed((input.varint()? as i32).into()),
        ProtobufKind::Int64(_) => Last::Signed(input.varint()? as i64),
        ProtobufKind::Uint32(_) => Last::Unsigned((input.varint()? as u32).into()),
        ProtobufKind::Uint64(_) => Last::Unsigned(input.varint()?),
        ProtobufKind::Sint32(_) => Last::Signed(zig_zag((input.varint()? as u32).into())),
        ProtobufKind::Sint64(_) => Last::Signed(zig_zag(input.varint()?)),
        ProtobufKind::Bool(_) => Last::Bool(input.varint()? != 0),
        ProtobufKind::Enum(..) => Last::Constant(message, field, input.varint()? as i32),
        ProtobufKind::Text(_) => {
            let len = input.varint()?;
            let start = input.at();
            Last::Text(start, input.text(len)?.len())
        }
        ProtobufKind::Bytes
        | ProtobufKind::Timestamp(_)
        | ProtobufKind::Message(_)
        | ProtobufKind::Map(..)
        | ProtobufKind::Ignored => Last::Absent,
    })
}

fn timestamp(mut input: Input<'_>, depth: usize) -> Result<(i64, i32), Failure> {
    let (mut seconds, mut nanos) = (0, 0);
    while !input.is_empty() {
        match tag(&mut input)? {
            (1, VARINT) => seconds = input.varint()? as i64,
            (2, VARINT) => nanos = input.varint()? as i32,
            (number, wire) => skip(&mut input, number, wire, depth)?,
        }
    }
    Ok((seconds, nanos))
}

/// Reads over a field. Recursion is bounded by [`PAYLOAD_DEPTH_MAX`].
fn skip(input: &mut Input<'_>, number: u32, wire: u8, depth: usize) -> Result<(), Failure> {
    match wire {
        VARINT => {
            input.varint()?;
        }
        EIGHT => {
            input.array::<8>("eight bytes")?;
        }
        FOUR => {
            input.array::<4>("four bytes")?;
        }
        DELIMITED => {
            let len = input.varint()?;
            input.take(len, "a field")?;
        }
        GROUP if depth >= PAYLOAD_DEPTH_MAX => return Err(Failure::too_deep(input.at())),
        GROUP => loop {
            match tag(input)? {
                (end, GROUP_END) if end == number => return Ok(()),
                (inner, wire) => skip(input, inner, wire, depth + 1)?,
            }
        },
        GROUP_END => return Err(input.error("the end of a group that did not begin")),
        _ => return Err(input.error(format!("there is no wire type {wire}"))),
    }
    Ok(())
}
