//! Times, by the unit in which a schema or a class says that they are written: never by guess.

use model::contract::TsUnit;

use crate::draft::Scalar;

/// A time: milliseconds since the Unix epoch, and the nanoseconds behind them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Time {
    pub millis: i64,
    pub rest: u32,
}

impl Time {
    /// Of so many units, of which a millisecond has this many.
    #[inline]
    fn finer(value: i128, per_milli: i128) -> Option<Self> {
        let rest = value.rem_euclid(per_milli) * (1_000_000 / per_milli);
        Some(Self { millis: i64::try_from(value.div_euclid(per_milli)).ok()?, rest: rest as u32 })
    }

    #[inline]
    pub fn from_millis(millis: i64) -> Self {
        Self { millis, rest: 0 }
    }

    /// Of a `google.protobuf.Timestamp`.
    pub fn from_parts(seconds: i64, nanos: i32) -> Option<Self> {
        Self::finer(i128::from(seconds) * 1_000_000_000 + i128::from(nanos), 1_000_000)
    }
}

/// The time that a value is in this unit.
pub fn read(unit: TsUnit, value: &Scalar<'_>) -> Option<Time> {
    match (unit, value) {
        (TsUnit::Iso8601, Scalar::Text(text)) => iso8601(text),
        (TsUnit::Iso8601, _) => None,
        (TsUnit::Seconds, Scalar::Float(seconds)) => of_seconds(*seconds),
        (TsUnit::Seconds, _) => integer(unit, value.integer()?.checked_mul(1000)?),
        _ => integer(unit, value.integer()?),
    }
}

/// What a value in this unit is, for a person.
pub fn describe(unit: TsUnit) -> &'static str {
    match unit {
        TsUnit::Seconds => "Unix time in seconds",
        TsUnit::Milliseconds => "Unix time in milliseconds, an integer",
        TsUnit::Microseconds => "Unix time in microseconds, an integer",
        TsUnit::Nanoseconds => "Unix time in nanoseconds, an integer",
        TsUnit::Iso8601 => "a time as in 2026-03-14T15:09:26.535Z",
    }
}

/// Of an integer (of seconds: in milliseconds).
#[inline]
pub fn integer(unit: TsUnit, value: i128) -> Option<Time> {
    match unit {
        TsUnit::Milliseconds | TsUnit::Seconds => Some(Time::from_millis(i64::try_from(value).ok()?)),
        TsUnit::Microseconds => Time::finer(value, 1_000),
        TsUnit::Nanoseconds => Time::finer(value, 1_000_000),
        TsUnit::Iso8601 => None,
    }
}

/// Seconds as a double: around now it holds a quarter of a microsecond, so the millisecond is the nearest one.
#[inline]
pub fn of_seconds(seconds: f64) -> Option<Time> {
    let millis = (seconds * 1000.0).round();
    (millis.abs() < 9.2e18).then_some(Time::from_millis(millis as i64))
}

/// `YYYY-MM-DDThh:mm:ss[.digits](Z|±hh:mm)`, of the proleptic Gregorian calendar (RFC 3339).
pub fn iso8601(text: &[u8]) -> Option<Time> {
    let number = |at: usize, len: usize| {
        let digits = text.get(at..at + len)?;
        digits
            .iter()
            .try_fold(0_i64, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
    };
    let is = |at: usize, any: &[u8]| text.get(at).is_some_and(|byte| any.contains(byte));
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    // A leap second is the first moment of the next minute.
    let good = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    if !good || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (mut at, mut nanos) = (19, 0);
    if is(at, b".") {
        let digits = text[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        let counted = digits.min(9);
        nanos = number(at + 1, counted)? * 10_i64.pow(9 - counted as u32);
        at += 1 + digits;
    }
    let offset = match text.get(at)? {
        b'Z' | b'z' if text.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if text.len() == at + 6 && is(at + 3, b":") => {
            let (hours, minutes) = (number(at + 1, 2)?, number(at + 4, 2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'+' { 1 } else { -1 }
        }
        _ => return None,
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + (minute - offset) * 60 + second;
    Some(Time { millis: seconds * 1000 + nanos / 1_000_000, rest: (nanos % 1_000_000) as u32 })
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since the Unix epoch (Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}
