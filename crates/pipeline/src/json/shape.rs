//! Shapes: what the messages of one class look like, learned, so that the next one costs a few compares.
//!
//! Devices repeat themselves. A shape is the literal bytes of a message between its values. Where all of them are equal
//! in a new message, its keys, their order and the absence of escapes are proven, and only the values are read. A shape
//! reads plain values only: digits, `true`, `false`, strings without escapes. Any surprise is left to the careful
//! reader, which decides; a shape never changes what a message becomes.

use crate::draft::{Drafts, Sink};

mod learn;
mod slot;

#[cfg(test)]
mod tests;

use slot::Slot;

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
    /// Slots of the form with a default that its messages lack.
    defaults: Vec<u32>,
}

/// A literal, which ends at `end` in [`Shape::bytes`], and the value behind it.
#[derive(Debug)]
struct Step {
    end: usize,
    slot: Slot,
}

impl Shapes {
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.list.len()
    }

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
    pub fn learn(&mut self, message: &[u8], sink: &Sink<'_>) {
        self.misses += 1;
        let full = self.list.len() == SHAPES_MAX;
        if full && !self.misses.is_multiple_of(MISSES_PER_CHANGE) {
            return;
        }
        let Ok(Some(shape)) = Shape::learn(message, sink) else { return };
        if full {
            // The one that fitted last is the one that is used most.
            let place = (self.latest + 1 + self.misses / MISSES_PER_CHANGE % (SHAPES_MAX - 1)) % SHAPES_MAX;
            self.list[place] = shape;
        } else {
            self.list.push(shape);
        }
    }
}

impl Shape {
    fn read(&self, bytes: &[u8], at: usize, sink: &mut Sink<'_>) -> Option<usize> {
        let text_len = sink.drafts.text.len();
        sink.drafts.begin(at);
        let end = self.fill(bytes, at, sink.drafts);
        match end {
            Some(end) => {
                sink.drafts.add_defaults(&self.defaults);
                sink.end_shaped(end);
            }
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
