//! Learning a shape from a message that the careful reader found acceptable.

use std::sync::Arc;

use model::ValueKind;
use model::contract::{Kind, Part, TsUnit};

use super::slot::Slot;
use super::{Shape, Step};
use crate::draft::{Drafts, Failure, Sink};
use crate::form::{self, Form, Level, Member, Others};
use crate::json::Scanner;

/// Plain integers have at most 18 digits.
const PLAIN_BELOW: f64 = 1e18;

impl Shape {
    /// The shape of a message. `None` if it has parts that vary without being values, or a metric without a column.
    pub fn learn(message: &[u8], sink: &Sink<'_>) -> Result<Option<Self>, Failure> {
        let scanner = Scanner::new(message);
        let mut learner = Learner { scanner, message, sink, shape: Self::empty(), literal: 0, met: Vec::new() };
        let known = match sink.form() {
            Some(form) => learner.record(form, 0)?,
            None => learner.message()?,
        };
        let (mut shape, met) = (learner.shape, learner.met);
        if let Some(form) = sink.form() {
            shape.defaults = form.defaults.iter().copied().filter(|slot| !met.contains(slot)).collect();
        }
        shape.tail = shape.bytes.len();
        shape.bytes.extend_from_slice(&message[learner.literal..]);
        Ok(known.then_some(shape))
    }

    fn empty() -> Self {
        Self { bytes: Vec::new(), steps: Vec::new(), tail: 0, defaults: Vec::new() }
    }
}

/// Walks a message that is known to be good.
struct Learner<'a, 's> {
    scanner: Scanner<'a>,
    message: &'a [u8],
    sink: &'a Sink<'s>,
    shape: Shape,
    /// Where the literal before the next value begins.
    literal: usize,
    /// Slots of the form that it has.
    met: Vec<u32>,
}

impl Learner<'_, '_> {
    fn message(&mut self) -> Result<bool, Failure> {
        let mut scratch = Vec::new();
        let mut more = self.scanner.open_object()?;
        while more {
            let known = match self.scanner.key(&mut scratch)? {
                b"ts" => self.slot(Slot::Ts(self.sink.ts_unit()))?,
                b"seq" => self.slot(Slot::Seq)?,
                b"boot" => self.slot(Slot::Boot)?,
                b"buffered" => self.slot(Slot::Buffered)?,
                b"metrics" => self.metrics()?,
                b"tags" => self.tags()?,
                name if self.sink.keeps_unknown() => self.metric(name)?,
                _ => false,
            };
            if !known {
                return Ok(false);
            }
            more = self.scanner.next_member()?;
        }
        Ok(true)
    }

    fn metrics(&mut self) -> Result<bool, Failure> {
        let mut scratch = Vec::new();
        let mut more = self.scanner.open_object()?;
        while more {
            let name = self.scanner.key(&mut scratch)?;
            if !self.metric(name)? {
                return Ok(false);
            }
            more = self.scanner.next_member()?;
        }
        Ok(true)
    }

    fn tags(&mut self) -> Result<bool, Failure> {
        let mut scratch = Vec::new();
        let mut more = self.scanner.open_object()?;
        while more {
            let name = self.scanner.key(&mut scratch)?.into();
            if !self.slot(Slot::Tag { name })? {
                return Ok(false);
            }
            more = self.scanner.next_member()?;
        }
        Ok(true)
    }

    /// A metric without a rule.
    fn metric(&mut self, name: &[u8]) -> Result<bool, Failure> {
        let names = self.sink.names();
        let (Some(number), Some(first)) = (names.find(name), self.scanner.peek_value()) else { return Ok(false) };
        let slot = match first {
            b'"' => names.column(number, ValueKind::Str).map(|column| Slot::Text { column }),
            b't' | b'f' => names.column(number, ValueKind::Bool).map(|column| Slot::Bool { column }),
            _ => names.column(number, ValueKind::F64).map(|column| Slot::Number { column }),
        };
        slot.map_or(Ok(false), |slot| self.slot(slot))
    }

    /// A record of a message under a schema. Recursion is bounded by the form's depth.
    fn record(&mut self, form: &Form, node: u32) -> Result<bool, Failure> {
        let record = &form.nodes[node as usize];
        let (mut scratch, mut next) = (Vec::new(), 0);
        let mut more = self.scanner.open_object()?;
        while more {
            let name = self.scanner.key(&mut scratch)?;
            let known = match (record.member(name, &mut next), self.scanner.peek_value()) {
                (Some(Member::Slot(slot)), Some(first)) => {
                    self.met.push(slot);
                    self.formed(&form.slots[slot as usize], first)?
                }
                (Some(Member::Node(child)), Some(b'{')) => self.record(form, child)?,
                (Some(Member::Tags), Some(b'{')) => self.tags()?,
                (None, _) if self.keeps(form, record.level) => {
                    let name = [&record.prefix, name].concat();
                    self.metric(&name)?
                }
                _ => false,
            };
            if !known {
                return Ok(false);
            }
            more = self.scanner.next_member()?;
        }
        Ok(true)
    }

    fn keeps(&self, form: &Form, level: Level) -> bool {
        match (level, &form.others) {
            (Level::Tags, _) | (Level::Metrics, Others::Like(_)) => false,
            (Level::Metrics | Level::Nested, Others::Reject) => false,
            _ => self.sink.keeps_unknown(),
        }
    }

    fn formed(&mut self, described: &form::Slot, first: u8) -> Result<bool, Failure> {
        let check = &described.check;
        let slot = match described.part {
            // Kept as a tag that has no default.
            Part::Tag if first == b'n' && described.default.is_some() => None,
            // A field that is absent in this way stays in the literal.
            _ if first == b'n' && check.nullable => {
                self.scanner.skip()?;
                return Ok(true);
            }
            Part::Metric if check.is_ignored() => None,
            Part::Metric => self.ruled(described, first),
            Part::Tag if check.more.is_none() => Some(Slot::Tag { name: described.name.as_bytes().into() }),
            // A range that any plain value of the part is in: a schema says `"minimum": 0` where it cannot be less.
            Part::Seq if check.spans(0.0, PLAIN_BELOW) => Some(Slot::Seq),
            Part::Boot if check.spans(0.0, f64::from(u32::MAX)) => Some(Slot::Boot),
            Part::Ts(_) if check.is_free() => Some(Slot::Ts(described.ts_unit)),
            Part::Ts(_) if check.more.is_none() && described.ts_unit != TsUnit::Iso8601 => {
                Some(Slot::TsRanged { unit: described.ts_unit, low: check.low, high: check.high })
            }
            Part::Buffered if check.is_free() => Some(Slot::Buffered),
            Part::Ts(_) | Part::Seq | Part::Boot | Part::Buffered | Part::Tag => None,
        };
        slot.map_or(Ok(false), |slot| self.slot(slot))
    }

    /// A metric with a rule.
    fn ruled(&self, described: &form::Slot, first: u8) -> Option<Slot> {
        let check = &described.check;
        let number = self.sink.names().find(described.name.as_bytes())?;
        let column = |kind| self.sink.names().column(number, kind);
        match first {
            b'"' if check.more.is_some() => {
                Some(Slot::Checked { column: column(ValueKind::Str)?, check: Arc::clone(check) })
            }
            b'"' => Some(Slot::Text { column: column(ValueKind::Str)? }),
            _ if check.more.is_some() => None,
            b't' | b'f' => Some(Slot::Bool { column: column(ValueKind::Bool)? }),
            _ if described.conversion.is_some_and(|conversion| !conversion.apply(PLAIN_BELOW).is_finite()) => None,
            _ if check.takes(Kind::Long) => {
                let (low, high) = check.longs();
                Some(match check.as_double {
                    true => Slot::Whole { column: column(ValueKind::F64)?, low, high },
                    false => Slot::Long { column: column(ValueKind::I64)?, low, high },
                })
            }
            _ if check.is_free() => Some(Slot::Number { column: column(ValueKind::F64)? }),
            _ => Some(Slot::Ranged { column: column(ValueKind::F64)?, low: check.low, high: check.high }),
        }
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
