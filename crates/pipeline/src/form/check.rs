//! What one value must be.

use std::sync::Arc;

use model::Reason;
use model::contract::{Bound, Kind, Rule, Value as Constant};
use model::limits::METRIC_TEXT_BYTES_MAX;
use regex::bytes::Regex;

use super::Patterns;
use crate::draft::{Scalar, is_exact};

/// A compiled [`Rule`].
#[derive(Debug)]
pub struct Check {
    kinds: u8,
    pub nullable: bool,
    /// The least and the greatest number, both allowed; infinite where there is no limit.
    pub low: f64,
    pub high: f64,
    bounds: [Option<Bound>; 2],
    pub more: Option<Box<More>>,
    /// A long is kept as a double: its unit is converted.
    pub as_double: bool,
}

/// What few rules have.
#[derive(Debug)]
pub struct More {
    multiple_of: Option<f64>,
    chars: (u32, u32),
    pattern: Option<Arc<Regex>>,
    one_of: Vec<Constant>,
}

/// A value that fits.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Value<'a> {
    Double(f64),
    Long(i64),
    Bool(bool),
    Text(&'a [u8]),
    Absent,
}

/// Why a value does not fit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Misfit {
    pub reason: Reason,
    pub detail: String,
}

impl Misfit {
    #[cold]
    fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

const fn bit(kind: Kind) -> u8 {
    1 << kind as u8
}

impl Check {
    /// Fails, with a sentence, where a pattern cannot be compiled.
    pub fn new(rule: &Rule, patterns: &Patterns) -> Result<Self, String> {
        let pattern = rule.pattern.as_deref().map(|pattern| patterns.compiled(pattern));
        let more = More {
            multiple_of: rule.multiple_of,
            chars: (rule.chars_min.unwrap_or(0), rule.chars_max.unwrap_or(u32::MAX)),
            pattern: pattern.transpose()?,
            one_of: rule.one_of.clone(),
        };
        let any = more.multiple_of.is_some()
            || more.chars != (0, u32::MAX)
            || more.pattern.is_some()
            || !more.one_of.is_empty();
        let inside =
            |bound: &Bound, next: fn(f64) -> f64| if bound.exclusive { next(bound.value) } else { bound.value };
        Ok(Self {
            kinds: rule.kinds.iter().fold(0, |kinds, kind| kinds | bit(*kind)),
            nullable: rule.nullable,
            low: rule.min.map_or(f64::NEG_INFINITY, |bound| inside(&bound, f64::next_up)),
            high: rule.max.map_or(f64::INFINITY, |bound| inside(&bound, f64::next_down)),
            bounds: [rule.min, rule.max],
            more: any.then(|| Box::new(more)),
            as_double: false,
        })
    }

    #[inline]
    pub fn takes(&self, kind: Kind) -> bool {
        self.kinds & bit(kind) != 0
    }

    /// Whether its values are read over.
    #[inline]
    pub fn is_ignored(&self) -> bool {
        self.kinds == 0
    }

    /// Whether any number of its kind is allowed.
    pub fn is_free(&self) -> bool {
        self.spans(f64::NEG_INFINITY, f64::INFINITY)
    }

    /// Whether any number between these is allowed.
    pub fn spans(&self, low: f64, high: f64) -> bool {
        self.low <= low && self.high >= high && self.more.is_none()
    }

    /// The least and the greatest long.
    pub fn longs(&self) -> (i64, i64) {
        // Conversion saturates: an end beyond the range of a long is no limit.
        (self.low.ceil() as i64, if self.high >= 9.3e18 { i64::MAX } else { self.high.floor() as i64 })
    }

    /// The value, if it is one that the rule allows.
    #[inline]
    pub fn fit<'a>(&self, found: &Scalar<'a>) -> Result<Value<'a>, Misfit> {
        match *found {
            Scalar::Integer { negative, magnitude } if self.takes(Kind::Long) => self.long(negative, magnitude),
            Scalar::Integer { negative, magnitude } if self.takes(Kind::Double) => {
                if !is_exact(magnitude) {
                    return Err(self.wrong(Reason::NumberNotExact, found));
                }
                let number = magnitude as f64;
                self.double(if negative { -number } else { number })
            }
            Scalar::Float(number) if !number.is_finite() && self.takes_numbers() => {
                Err(self.wrong(Reason::NumberNotFinite, found))
            }
            Scalar::Float(number) if self.takes(Kind::Double) => self.double(number),
            Scalar::Float(number) if self.takes(Kind::Long) && number.fract() == 0.0 => self.whole(number),
            Scalar::Inexact if self.takes(Kind::Long) => Err(self.out_of_range("an integer of more than 64 bits")),
            Scalar::Inexact if self.takes(Kind::Double) => Err(self.wrong(Reason::NumberNotExact, found)),
            Scalar::Bool(flag) if self.takes(Kind::Bool) => {
                self.among(|constant| *constant == Constant::Bool(flag), || flag.to_string())?;
                Ok(Value::Bool(flag))
            }
            Scalar::Text(text) if self.takes(Kind::Text) => self.text(text),
            Scalar::Null if self.nullable => Ok(Value::Absent),
            _ => Err(Misfit::new(Reason::WrongType, self.expected(found))),
        }
    }

    /// What the time, the number or the flag of a message must be beyond what it is.
    pub fn fit_part(&self, found: &Scalar<'_>) -> Result<(), Misfit> {
        if self.is_free() {
            return Ok(());
        }
        match (found, found.integer()) {
            (_, Some(number)) => self.integer_part(number),
            (Scalar::Float(number), None) => self.double(*number).map(drop),
            (Scalar::Text(text), None) => self.check_text(text),
            (Scalar::Bool(flag), None) => {
                self.among(|constant| *constant == Constant::Bool(*flag), || flag.to_string())
            }
            _ => Ok(()),
        }
    }

    fn integer_part(&self, number: i128) -> Result<(), Misfit> {
        if !(self.low <= number as f64 && number as f64 <= self.high) {
            return Err(self.out_of_range(&number.to_string()));
        }
        match (&self.more, i64::try_from(number)) {
            (None, _) => Ok(()),
            (Some(more), Ok(long)) => self.long_constant(more, long),
            (Some(more), Err(_)) => self.constant(more, number as f64),
        }
    }

    fn takes_numbers(&self) -> bool {
        self.takes(Kind::Double) || self.takes(Kind::Long)
    }

    fn wrong(&self, reason: Reason, found: &Scalar<'_>) -> Misfit {
        Misfit::new(reason, format!("found {}", found.describe()))
    }

    #[cold]
    fn expected(&self, found: &Scalar<'_>) -> String {
        let names = [(Kind::Double, "a number"), (Kind::Long, "an integer"), (Kind::Bool, "true or false")];
        let names = names.into_iter().chain([(Kind::Text, "a string")]).filter(|(kind, _)| self.takes(*kind));
        let mut names: Vec<_> = names.map(|(_, name)| name).collect();
        if self.nullable {
            names.push("null");
        }
        format!("found {}, expected {}", found.describe(), names.join(" or "))
    }

    #[inline]
    fn double<'a>(&self, number: f64) -> Result<Value<'a>, Misfit> {
        if !(self.low <= number && number <= self.high) {
            return Err(self.out_of_range(&plain(number)));
        }
        if let Some(more) = &self.more {
            self.constant(more, number)?;
        }
        Ok(Value::Double(number))
    }

    /// A double that is an integer, where a long is wanted.
    fn whole<'a>(&self, number: f64) -> Result<Value<'a>, Misfit> {
        const EXACT: f64 = (1_u64 << 53) as f64;
        if number.abs() > EXACT {
            return Err(self.wrong(Reason::NumberNotExact, &Scalar::Float(number)));
        }
        self.long(number < 0.0, number.abs() as u64)
    }

    #[inline]
    fn long<'a>(&self, negative: bool, magnitude: u64) -> Result<Value<'a>, Misfit> {
        let value = if negative { -i128::from(magnitude) } else { i128::from(magnitude) };
        let (low, high) = self.longs();
        let Some(long) = i64::try_from(value).ok().filter(|long| low <= *long && *long <= high) else {
            return Err(self.out_of_range(&value.to_string()));
        };
        if let Some(more) = &self.more {
            self.long_constant(more, long)?;
        }
        Ok(if self.as_double { Value::Double(long as f64) } else { Value::Long(long) })
    }

    #[cold]
    fn out_of_range(&self, found: &str) -> Misfit {
        let end = |bound: Option<Bound>, inside, outside, long: &str| match bound {
            Some(Bound { value, exclusive: false }) => Some(format!("{inside} {}", plain(value))),
            Some(Bound { value, exclusive: true }) => Some(format!("{outside} {}", plain(value))),
            None => self.takes(Kind::Long).then(|| format!("{inside} {long}")),
        };
        let low = end(self.bounds[0], "at least", "more than", "-2^63");
        let high = end(self.bounds[1], "at most", "less than", "2^63-1");
        let ends: Vec<_> = low.into_iter().chain(high).collect();
        Misfit::new(Reason::OutOfRange, format!("found {found}, {} is allowed", ends.join(" and ")))
    }

    fn constant(&self, more: &More, number: f64) -> Result<(), Misfit> {
        if let Some(step) = more.multiple_of {
            let steps = number / step;
            // As near as division of doubles comes to a whole number.
            if (steps - steps.round()).abs() > 2.0 * f64::EPSILON * steps.abs() {
                return Err(not_multiple(&plain(number), step));
            }
        }
        let same = |constant: &Constant| match constant {
            Constant::Double(value) => *value == number,
            Constant::Long(value) => *value as f64 == number,
            _ => false,
        };
        self.among(same, || plain(number))
    }

    fn long_constant(&self, more: &More, long: i64) -> Result<(), Misfit> {
        if let Some(step) = more.multiple_of {
            let whole = step.fract() == 0.0 && step.abs() < 9.2e18;
            let good = if whole { step != 0.0 && long % step as i64 == 0 } else { (long as f64 / step).fract() == 0.0 };
            if !good {
                return Err(not_multiple(&long.to_string(), step));
            }
        }
        let same = |constant: &Constant| match constant {
            Constant::Double(value) => *value == long as f64,
            Constant::Long(value) => *value == long,
            _ => false,
        };
        self.among(same, || long.to_string())
    }

    #[inline]
    fn text<'a>(&self, text: &'a [u8]) -> Result<Value<'a>, Misfit> {
        if text.len() > METRIC_TEXT_BYTES_MAX {
            let detail = format!("{} bytes, at most {METRIC_TEXT_BYTES_MAX} are allowed", text.len());
            return Err(Misfit::new(Reason::MetricTextTooLong, detail));
        }
        if self.more.is_some() {
            self.check_text(text)?;
        }
        Ok(Value::Text(text))
    }

    /// What a text must be beyond its type.
    pub fn check_text(&self, text: &[u8]) -> Result<(), Misfit> {
        let Some(more) = &self.more else { return Ok(()) };
        let not_allowed = |detail: String| Err(Misfit::new(Reason::ValueNotAllowed, detail));
        if more.chars != (0, u32::MAX) {
            let count = String::from_utf8_lossy(text).chars().count();
            let (least, most) = (more.chars.0 as usize, more.chars.1 as usize);
            if count < least {
                return not_allowed(format!("found {count} characters, at least {least} are required"));
            }
            if count > most {
                return not_allowed(format!("found {count} characters, at most {most} are allowed"));
            }
        }
        if let Some(pattern) = &more.pattern
            && !pattern.is_match(text)
        {
            return not_allowed(format!(
                "found {}, which the pattern `{}` does not match",
                quoted(text),
                pattern.as_str()
            ));
        }
        self.among(|constant| matches!(constant, Constant::Text(value) if value.as_bytes() == text), || quoted(text))
    }

    fn among(&self, same: impl Fn(&Constant) -> bool, found: impl Fn() -> String) -> Result<(), Misfit> {
        match &self.more {
            Some(more) if !more.one_of.is_empty() && !more.one_of.iter().any(same) => Err(Misfit::new(
                Reason::ValueNotAllowed,
                format!("found {}, allowed: {}", found(), listed(&more.one_of)),
            )),
            _ => Ok(()),
        }
    }
}

#[cold]
fn not_multiple(found: &str, step: f64) -> Misfit {
    Misfit::new(Reason::ValueNotAllowed, format!("found {found}, only multiples of {} are allowed", plain(step)))
}

/// A number as a person writes it.
fn plain(number: f64) -> String {
    if number.abs() >= 1e15 || (number != 0.0 && number.abs() < 1e-6) {
        format!("{number:e}")
    } else {
        number.to_string()
    }
}

/// Characters of a value that a detail shows.
const SHOWN_CHARS_MAX: usize = 64;
/// Values of an enum that a detail shows.
const SHOWN_VALUES_MAX: usize = 8;

fn quoted(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut rest = text.chars();
    let shown: String = rest.by_ref().take(SHOWN_CHARS_MAX).collect();
    format!("`{shown}{}`", if rest.next().is_some() { "…" } else { "" })
}

fn listed(constants: &[Constant]) -> String {
    let shown = constants.iter().take(SHOWN_VALUES_MAX).map(|constant| match constant {
        Constant::Double(value) => plain(*value),
        Constant::Long(value) => value.to_string(),
        Constant::Bool(value) => value.to_string(),
        Constant::Text(value) => quoted(value.as_bytes()),
    });
    let mut list = shown.collect::<Vec<_>>().join(", ");
    if constants.len() > SHOWN_VALUES_MAX {
        list.push_str(", …");
    }
    list
}
