//! Shapes: what the messages of one class look like, learned, so that the next one costs a few compares.
//!
//! Devices repeat themselves. A shape is the literal bytes of a message between its values. Where all of them are equal
//! in a new message, its keys, their order and the absence of escapes are proven, and only the values are read. A shape
//! reads plain values only: digits, `true`, `false`, strings without escapes. Any surprise is left to the careful
//! reader, which decides; a shape never changes what a message becomes.

use model::ValueKind;
use model::limits::{METRIC_TEXT_BYTES_MAX, TAG_BYTES_MAX};

use super::Scanner;
use super::number::digits;
use crate::draft::{Drafts, Failure, Sink, Tag};
use crate::tables::Names;

#[cfg(test)]
mod tests;

/// The shapes of one class.
#[derive(Debug, Default)]
pub struct Shapes {
    list: Vec<Shape>,
    /// The one that fitted last.
    latest: usize,
    /// Messages that fitted none.
    misses: usize,
}

/// Shapes of a class: a few models of device, with and without the optional fields.
const SHAPES_MAX: usize = 8;
/// Once there are so many, every so many messages that fit none a new one takes the place of another.
const MISSES_PER_CHANGE: usize = 64;

#[derive(Debug)]
struct Shape {
    /// All literals, one after the other.
    bytes: Vec<u8>,
    steps: Vec<Step>,
    /// Where the literal behind the last value begins in `bytes`.
    tail: usize,
}

/// A literal, which ends at `end` in [`Shape::bytes`], and the value behind it.
#[derive(Debug)]
struct Step {
    end: usize,
    slot: Slot,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Slot {
    Ts,
    Seq,
    Boot,
    Buffered,
    Number { column: u32 },
    Bool { column: u32 },
    Text { column: u32 },
    Tag { name: Box<[u8]> },
}

impl Shapes {
    /// Reads the message at `at` if it fits a shape, and returns the position behind it.
    pub fn read(&mut self, bytes: &[u8], at: usize, sink: &mut Sink<'_>) -> Option<usize> {
        let latest = self.list.get(self.latest).filter(|_| sink.takes_shapes())?;
        if let Some(end) = latest.read(bytes, at, sink) {
            return Some(end);
        }
        for (number, shape) in self.list.iter().enumerate() {
            if number != self.latest
                && let Some(end) = shape.read(bytes, at, sink)
            {
                self.latest = number;
                return Some(end);
            }
        }
        None
    }

    /// Learns from a message that the careful reader found acceptable and no shape fitted.
    pub fn learn(&mut self, message: &[u8], names: &Names) {
        self.misses += 1;
        let full = self.list.len() == SHAPES_MAX;
        if full && !self.misses.is_multiple_of(MISSES_PER_CHANGE) {
            return;
        }
        let Ok(Some(shape)) = Shape::learn(message, names) else { return };
        if full {
            // The one that fitted last is the one that is used most.
            let place = (self.latest + 1 + self.misses / MISSES_PER_CHANGE % (SHAPES_MAX - 1)) % SHAPES_MAX;
            self.list[place] = shape;
        } else {
            self.list.push(shape);
        }
    }

    /// Forgets all: what a message becomes has changed.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Shape {
    fn read(&self, bytes: &[u8], at: usize, sink: &mut Sink<'_>) -> Option<usize> {
        let text_len = sink.drafts.text.len();
        sink.drafts.begin(at);
        let end = self.fill(bytes, at, sink.drafts);
        match end {
            Some(end) => sink.end_shaped(end),
            None => sink.undo(text_len),
        }
        end
    }

    fn fill(&self, bytes: &[u8], start: usize, drafts: &mut Drafts) -> Option<usize> {
        let (mut at, mut from) = (start, 0);
        for step in &self.steps {
            at = literal(bytes, at, &self.bytes[from..step.end])?;
            from = step.end;
            at = step.slot.read(bytes, at, drafts)?;
        }
        literal(bytes, at, &self.bytes[self.tail..])
    }

    /// The shape of a message. `None` if it has parts that vary without being values, or a metric without a column.
    fn learn(message: &[u8], names: &Names) -> Result<Option<Self>, Failure> {
        let mut learner = Learner { scanner: Scanner::new(message), message, shape: Self::empty(), literal: 0 };
        let known = learner.message(names)?;
        let mut shape = learner.shape;
        shape.tail = shape.bytes.len();
        shape.bytes.extend_from_slice(&message[learner.literal..]);
        Ok(known.then_some(shape))
    }

    fn empty() -> Self {
        Self { bytes: Vec::new(), steps: Vec::new(), tail: 0 }
    }
}

/// Walks a message that is known to be good.
struct Learner<'a> {
    scanner: Scanner<'a>,
    message: &'a [u8],
    shape: Shape,
    /// Where the literal before the next value begins.
    literal: usize,
}

impl Learner<'_> {
    fn message(&mut self, names: &Names) -> Result<bool, Failure> {
        let mut scratch = Vec::new();
        let mut more = self.scanner.open_object()?;
        while more {
            let known = match self.scanner.key(&mut scratch)? {
                b"ts" => self.slot(Slot::Ts)?,
                b"seq" => self.slot(Slot::Seq)?,
                b"boot" => self.slot(Slot::Boot)?,
                b"buffered" => self.slot(Slot::Buffered)?,
                b"metrics" => self.members(|first, name| metric_slot(first, name, names))?,
                b"tags" => self.members(|_, name| Some(Slot::Tag { name: name.into() }))?,
                _ => false,
            };
            if !known {
                return Ok(false);
            }
            more = self.scanner.next_member()?;
        }
        Ok(true)
    }

    fn members(&mut self, slot: impl Fn(u8, &[u8]) -> Option<Slot>) -> Result<bool, Failure> {
        let mut scratch = Vec::new();
        let mut more = self.scanner.open_object()?;
        while more {
            let name = self.scanner.key(&mut scratch)?;
            let slot = self.scanner.peek_value().and_then(|first| slot(first, name));
            let known = slot.map_or(Ok(false), |slot| self.slot(slot))?;
            if !known {
                return Ok(false);
            }
            more = self.scanner.next_member()?;
        }
        Ok(true)
    }

    /// Takes the value that comes next for a slot; `false` if a slot does not read it whole.
    fn slot(&mut self, slot: Slot) -> Result<bool, Failure> {
        let start = self.scanner.at();
        self.scanner.skip()?;
        let mut drafts = Drafts::default();
        drafts.begin(start);
        let end = slot.read(self.message, start, &mut drafts);
        self.shape.bytes.extend_from_slice(&self.message[self.literal..start]);
        self.shape.steps.push(Step { end: self.shape.bytes.len(), slot });
        self.literal = self.scanner.at();
        Ok(end == Some(self.literal))
    }
}

fn metric_slot(first: u8, name: &[u8], names: &Names) -> Option<Slot> {
    let number = names.find(name)?;
    Some(match first {
        b'"' => Slot::Text { column: names.column(number, ValueKind::Str)? },
        b't' | b'f' => Slot::Bool { column: names.column(number, ValueKind::Bool)? },
        _ => Slot::Number { column: names.column(number, ValueKind::F64)? },
    })
}

impl Slot {
    /// Reads a value and returns the position behind it; `None` if it is not plain.
    fn read(&self, bytes: &[u8], at: usize, drafts: &mut Drafts) -> Option<usize> {
        match self {
            Self::Number { column } => {
                let (number, end) = number(bytes, at)?;
                drafts.add(*column, number.to_bits());
                Some(end)
            }
            Self::Ts => {
                let negative = bytes.get(at) == Some(&b'-');
                let (magnitude, end) = integer(bytes, at + usize::from(negative))?;
                let ts = i64::try_from(magnitude).ok()?;
                drafts.open().ts = Some(if negative { -ts } else { ts });
                Some(end)
            }
            Self::Seq => {
                let (seq, end) = integer(bytes, at)?;
                drafts.open().seq = Some(seq);
                Some(end)
            }
            Self::Boot => {
                let (boot, end) = integer(bytes, at)?;
                drafts.open().boot = Some(u32::try_from(boot).ok()?);
                Some(end)
            }
            Self::Buffered => {
                let (flag, end) = boolean(bytes, at)?;
                drafts.open().buffered = flag;
                Some(end)
            }
            Self::Bool { column } => {
                let (flag, end) = boolean(bytes, at)?;
                drafts.add(*column, flag.into());
                Some(end)
            }
            Self::Text { column } => {
                let (text, end) = text(bytes, at, METRIC_TEXT_BYTES_MAX)?;
                let bits = drafts.keep(text).to_bits();
                drafts.add(*column, bits);
                Some(end)
            }
            Self::Tag { name } => {
                let (text, end) = text(bytes, at, TAG_BYTES_MAX)?;
                let (name, value) = (drafts.keep(name), drafts.keep(text));
                drafts.tags.push(Tag { name, value });
                Some(end)
            }
        }
    }
}

/// The position behind the literal, if it is at `at`.
#[inline]
fn literal(bytes: &[u8], at: usize, literal: &[u8]) -> Option<usize> {
    let end = at + literal.len();
    let found = bytes.get(at..end)?;
    let word = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    // A call to memcmp costs more than the few words that there are.
    let equal = match literal.len() {
        0..8 => found.iter().zip(literal).all(|(found, byte)| found == byte),
        len => {
            let whole = (0..len - 7).step_by(8).all(|at| word(found, at) == word(literal, at));
            whole && word(found, len - 8) == word(literal, len - 8)
        }
    };
    equal.then_some(end)
}

/// Digits without leading zeros, at most 18.
#[inline]
fn integer(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let (magnitude, end) = digits(bytes, at, 0);
    let plain = (1..=18).contains(&(end - at)) && (bytes[at] != b'0' || end == at + 1);
    plain.then_some((magnitude, end))
}

/// A number without exponent that every digit of a double would fit.
#[inline]
fn number(bytes: &[u8], at: usize) -> Option<(f64, usize)> {
    let negative = bytes.get(at) == Some(&b'-');
    let first = at + usize::from(negative);
    let (mut magnitude, mut end) = integer(bytes, first)?;
    let mut decimals = 0;
    if bytes.get(end) == Some(&b'.') {
        let point = end;
        (magnitude, end) = digits(bytes, point + 1, magnitude);
        decimals = end - point - 1;
        if decimals == 0 {
            return None;
        }
    }
    let exact = if end - first <= 19 { super::number::exact(magnitude, -(decimals as i64)) } else { None };
    match exact {
        Some(number) => Some((if negative { -number } else { number }, end)),
        // An integer that is not exact is no plain value.
        None => (decimals > 0).then(|| (super::number::parse(&bytes[at..end]), end)),
    }
}

#[inline]
fn boolean(bytes: &[u8], at: usize) -> Option<(bool, usize)> {
    let rest = bytes.get(at..)?;
    match rest {
        [b't', b'r', b'u', b'e', ..] => Some((true, at + 4)),
        [b'f', b'a', b'l', b's', b'e', ..] => Some((false, at + 5)),
        _ => None,
    }
}

/// A string without escapes.
#[inline]
fn text(bytes: &[u8], at: usize, len_max: usize) -> Option<(&[u8], usize)> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let (text, end) = super::text::read_plain(bytes, at)?;
    (text.len() <= len_max).then_some((text, end))
}
