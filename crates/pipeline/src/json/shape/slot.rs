//! The values of a shape: what is read between its literals, and what it must be.

use std::sync::Arc;

use model::contract::TsUnit;
use model::limits::{METRIC_TEXT_BYTES_MAX, TAG_BYTES_MAX};

use crate::draft::{Drafts, Scalar, Tag};
use crate::form::{Check, ts};
use crate::json::number::{digits, exact, parse};
use crate::json::text::read_plain;

/// A value. Where a schema has a rule for it, a value that breaks the rule is no plain one: the careful reader says what
/// is wrong with it.
#[derive(Clone, Debug)]
pub enum Slot {
    Ts(TsUnit),
    /// A time whose number, in its unit, is from here to there.
    TsRanged {
        unit: TsUnit,
        low: f64,
        high: f64,
    },
    Seq,
    Boot,
    Buffered,
    Number {
        column: u32,
    },
    Bool {
        column: u32,
    },
    Text {
        column: u32,
    },
    Tag {
        name: Box<[u8]>,
    },
    /// A number from here to there, both allowed.
    Ranged {
        column: u32,
        low: f64,
        high: f64,
    },
    Long {
        column: u32,
        low: i64,
        high: i64,
    },
    /// An integer that is kept as a double.
    Whole {
        column: u32,
        low: i64,
        high: i64,
    },
    /// Any value with a rule of another kind.
    Checked {
        column: u32,
        check: Arc<Check>,
    },
}

impl Slot {
    /// Reads a value and returns the position behind it; `None` if it is not plain.
    #[inline]
    pub fn read(&self, bytes: &[u8], at: usize, drafts: &mut Drafts) -> Option<usize> {
        match self {
            Self::Number { column } => {
                let (number, end) = number(bytes, at)?;
                drafts.add(*column, number.to_bits());
                Some(end)
            }
            Self::Ranged { column, low, high } => {
                let (number, end) = number(bytes, at)?;
                if !(*low <= number && number <= *high) {
                    return None;
                }
                drafts.add(*column, number.to_bits());
                Some(end)
            }
            Self::Long { column, low, high } => {
                let (long, end) = signed(bytes, at)?;
                (*low <= long && long <= *high).then(|| drafts.add(*column, long as u64))?;
                Some(end)
            }
            Self::Whole { column, low, high } => {
                let (long, end) = signed(bytes, at)?;
                (*low <= long && long <= *high).then(|| drafts.add(*column, (long as f64).to_bits()))?;
                Some(end)
            }
            Self::Ts(TsUnit::Milliseconds) => {
                let (millis, end) = signed(bytes, at)?;
                drafts.open().ts = Some(millis);
                Some(end)
            }
            Self::Ts(unit) => time(*unit, bytes, at, drafts),
            Self::TsRanged { unit, low, high } => {
                let (number, _) = number(bytes, at)?;
                if *low <= number && number <= *high { time(*unit, bytes, at, drafts) } else { None }
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
                drafts.tags.push(Tag { name, value: Some(value) });
                Some(end)
            }
            Self::Checked { column, check } => checked(*column, check, bytes, at, drafts),
        }
    }
}

/// A text whose rule is more than its type.
fn checked(column: u32, check: &Check, bytes: &[u8], at: usize, drafts: &mut Drafts) -> Option<usize> {
    let (text, end) = text(bytes, at, METRIC_TEXT_BYTES_MAX)?;
    check.check_text(text).ok()?;
    let bits = drafts.keep(text).to_bits();
    drafts.add(column, bits);
    Some(end)
}

fn time(unit: TsUnit, bytes: &[u8], at: usize, drafts: &mut Drafts) -> Option<usize> {
    let (time, end) = if unit == TsUnit::Iso8601 {
        let (text, end) = read_plain(bytes, at)?;
        (ts::iso8601(text)?, end)
    } else if unit == TsUnit::Seconds {
        match signed(bytes, at) {
            Some((seconds, end)) if bytes.get(end) != Some(&b'.') => {
                (ts::integer(unit, i128::from(seconds) * 1000)?, end)
            }
            _ => {
                let (seconds, end) = number(bytes, at)?;
                (ts::read(unit, &Scalar::Float(seconds))?, end)
            }
        }
    } else {
        let (units, end) = signed(bytes, at)?;
        (ts::integer(unit, units.into())?, end)
    };
    drafts.set_time(time);
    Some(end)
}

/// An integer of at most 18 digits with or without a sign.
#[inline]
fn signed(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    let negative = bytes.get(at) == Some(&b'-');
    let (magnitude, end) = integer(bytes, at + usize::from(negative))?;
    let value = i64::try_from(magnitude).ok()?;
    Some((if negative { -value } else { value }, end))
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
    let exact = if end - first <= 19 { exact(magnitude, -(decimals as i64)) } else { None };
    match exact {
        Some(number) => Some((if negative { -number } else { number }, end)),
        // An integer that is not exact is no plain value.
        None => (decimals > 0).then(|| (parse(&bytes[at..end]), end)),
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
    let (text, end) = read_plain(bytes, at)?;
    (text.len() <= len_max).then_some((text, end))
}
