//! Numbers of JSON, correctly rounded.
//!
//! Short decimals are computed with one exact operation (Clinger, "How to read floating point numbers accurately",
//! 1990): both the digits and the power of ten are doubles without error. Everything else goes to the standard library.

use crate::draft::{Failure, Scalar};

#[cfg(test)]
mod tests;

/// Digits that always fit 64 bits.
const DIGITS_MAX: usize = 19;
/// Integers up to here are doubles without error.
const EXACT_MAX: u64 = 1 << 53;
/// Powers of ten that are doubles without error.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// The number at `start` (a digit or `-`) and the position behind it.
pub fn read(bytes: &[u8], start: usize) -> Result<(Scalar<'_>, usize), Failure> {
    let negative = bytes[start] == b'-';
    let first = start + usize::from(negative);
    let (mut magnitude, mut at) = digits(bytes, first, 0);
    if at == first || (bytes[first] == b'0' && at > first + 1) {
        return Err(Failure::not_well_formed(first, "a number is digits without leading zeros"));
    }
    let mut count = at - first;
    let integer = !matches!(bytes.get(at), Some(b'.' | b'e' | b'E'));
    if integer {
        let short = count <= DIGITS_MAX;
        let value = if short { Scalar::Integer { negative, magnitude } } else { long_integer(bytes, start, at) };
        return Ok((value, at));
    }
    let mut exponent = 0;
    if bytes[at] == b'.' {
        let fraction = at + 1;
        (magnitude, at) = digits(bytes, fraction, magnitude);
        if at == fraction {
            return Err(Failure::not_well_formed(at, "expected a digit behind the decimal point"));
        }
        count += at - fraction;
        exponent = -((at - fraction) as i64);
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let power;
        (power, at) = read_exponent(bytes, at + 1)?;
        exponent += power;
    }
    let number = match if count <= DIGITS_MAX { exact(magnitude, exponent) } else { None } {
        Some(number) if negative => -number,
        Some(number) => number,
        None => parse(&bytes[start..at]),
    };
    Ok((Scalar::Float(number), at))
}

/// Appends the digits from `at` to `magnitude`, which is meaningless once there were more than [`DIGITS_MAX`].
#[inline]
pub fn digits(bytes: &[u8], mut at: usize, mut magnitude: u64) -> (u64, usize) {
    loop {
        let word = word(bytes, at);
        let count = leading_digits(word);
        if count == 0 {
            return (magnitude, at);
        }
        // Zeros in front instead of what follows: no branch depends on how many digits there are.
        let aligned = word << (64 - 8 * count) | 0x3030_3030_3030_3030_u64.checked_shr(8 * count).unwrap_or(0);
        magnitude = magnitude.wrapping_mul(SCALES[count as usize]).wrapping_add(eight_digits(aligned));
        at += count as usize;
        if count < 8 {
            return (magnitude, at);
        }
    }
}

/// Powers of ten that so many digits move a number by.
const SCALES: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// The eight bytes from `at` on, the first one lowest; zeros behind the end.
#[inline]
fn word(bytes: &[u8], at: usize) -> u64 {
    if let Some(eight) = bytes.get(at..at + 8) {
        return u64::from_le_bytes(eight.try_into().expect("eight bytes"));
    }
    let rest = bytes.get(at..).unwrap_or_default();
    match bytes.last_chunk::<8>() {
        Some(last) if !rest.is_empty() => u64::from_le_bytes(*last) >> (64 - 8 * rest.len()),
        _ => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// How many of the eight bytes are ASCII digits before the first other one.
#[inline]
fn leading_digits(word: u64) -> u32 {
    // A byte below `0` borrows, one above `9` carries into its highest bit; what that does to later bytes is not looked at.
    let (above, below) = (word.wrapping_add(0x4646_4646_4646_4646), word.wrapping_sub(0x3030_3030_3030_3030));
    ((above | below) & 0x8080_8080_8080_8080).trailing_zeros() / 8
}

/// The value of eight ASCII digits, the first in the lowest byte, with three multiplications (Lemire, "Quickly parsing
/// eight digits", 2018).
#[inline]
fn eight_digits(word: u64) -> u64 {
    const PAIRS: u64 = 0x0000_00FF_0000_00FF;
    let digits = word.wrapping_sub(0x3030_3030_3030_3030);
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let high = (pairs & PAIRS).wrapping_mul(100 + (1_000_000 << 32));
    let low = (pairs >> 16 & PAIRS).wrapping_mul(1 + (10_000 << 32));
    high.wrapping_add(low) >> 32
}

fn read_exponent(bytes: &[u8], start: usize) -> Result<(i64, usize), Failure> {
    let signed = matches!(bytes.get(start), Some(b'+' | b'-'));
    let first = start + usize::from(signed);
    let (power, at) = digits(bytes, first, 0);
    if at == first {
        return Err(Failure::not_well_formed(at, "expected a digit in the exponent"));
    }
    // Longer exponents are far beyond what is computed here; the standard library reads them.
    let power = if at - first <= 9 { power as i64 } else { i64::from(i32::MAX) };
    Ok((if signed && bytes[start] == b'-' { -power } else { power }, at))
}

/// The double next to `magnitude` × 10^`exponent`, if one exact operation gives it.
#[inline]
pub fn exact(magnitude: u64, exponent: i64) -> Option<f64> {
    if magnitude > EXACT_MAX {
        return None;
    }
    let power = POWERS.get(exponent.unsigned_abs() as usize)?;
    let digits = magnitude as f64;
    Some(if exponent < 0 { digits / power } else { digits * power })
}

/// A number of JSON's grammar, correctly rounded.
pub fn parse(number: &[u8]) -> f64 {
    let text = std::str::from_utf8(number).expect("digits, signs, points and `e` are ASCII");
    text.parse().expect("JSON's numbers are a part of what the standard library reads")
}

/// An integer of 20 digits or more.
fn long_integer(bytes: &[u8], start: usize, end: usize) -> Scalar<'static> {
    let literal = &bytes[start..end];
    let (negative, digits) = match literal.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, literal),
    };
    let text = std::str::from_utf8(digits).expect("digits are ASCII");
    if let Ok(magnitude) = text.parse() {
        return Scalar::Integer { negative, magnitude };
    }
    let number = parse(literal);
    // The standard library prints every digit of a double that is an integer.
    let exact = !number.is_finite() || format!("{:.0}", number.abs()) == text;
    if exact { Scalar::Float(number) } else { Scalar::Inexact }
}
