//! Units of measure: UCUM codes (the Unified Code for Units of Measure, case-sensitive form), what they mean, and how a
//! value in one becomes a value in another.
//!
//! Codes are read when a schema or a class is registered, never when a message is. A conversion is exact decimal
//! arithmetic until the end, and then a few doubles ([`Conversion`]) chosen such that the usual ones add and multiply
//! short numbers: 212 °F is 100 °C and not 99.99999999999999.

use std::panic::catch_unwind;

use model::limits::UNIT_BYTES_MAX;
use model::rules::Conversion;
use octofhir_ucum::{AdvancedConversionContext, Number, analyse, convert_with_context, display_name};

#[cfg(test)]
mod tests;

/// What a code means, for a person: many a mistaken code is a good one of something else (`mph` is a milliphot).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Described {
    pub code: String,
    pub name: String,
    /// Exponents of length L, time T, mass M, angle A, temperature C, charge Q and luminous intensity F: `L.T-1`; `1` for a
    /// number.
    pub dimension: String,
}

/// A code that is none, or two that cannot be converted: a sentence without its full stop that says what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Why(String);

/// Codes as people write them, and as UCUM does. An empty one: there is none.
const USUAL_MISTAKES: [(&str, &str); 45] = [
    ("degC", "Cel"),
    ("°C", "Cel"),
    ("C", "Cel"),
    ("celsius", "Cel"),
    ("degF", "[degF]"),
    ("°F", "[degF]"),
    ("F", "[degF]"),
    ("fahrenheit", "[degF]"),
    ("kelvin", "K"),
    ("psi", "[psi]"),
    ("PSI", "[psi]"),
    ("mmHg", "mm[Hg]"),
    ("inHg", "[in_i'Hg]"),
    ("ppm", "[ppm]"),
    ("ppb", "[ppb]"),
    ("pH", "[pH]"),
    ("rpm", "1/min"),
    ("RPM", "1/min"),
    ("kWh", "kW.h"),
    ("Wh", "W.h"),
    ("MWh", "MW.h"),
    ("Ah", "A.h"),
    ("mAh", "mA.h"),
    ("Nm", "N.m"),
    ("VA", "V.A"),
    ("kVA", "kV.A"),
    ("hp", "[HP]"),
    ("gal", "[gal_us]"),
    ("gpm", "[gal_us]/min"),
    ("in", "[in_i]"),
    ("inch", "[in_i]"),
    ("ft", "[ft_i]"),
    ("mi", "[mi_i]"),
    ("mph", "[mi_i]/h"),
    ("kmh", "km/h"),
    ("kph", "km/h"),
    ("kn", "[kn_i]"),
    ("kt", "[kn_i]"),
    ("lb", "[lb_av]"),
    ("sec", "s"),
    ("hr", "h"),
    ("%RH", "%"),
    ("dBm", ""),
    ("NTU", ""),
    ("var", ""),
];

/// Multiples by which the usual factors that are no decimals become integers: temperatures (9), speeds (18) and what is
/// per minute, hour or day.
const DIVISORS: [i64; 9] = [3, 6, 9, 18, 36, 45, 60, 3600, 86_400];

/// Whether the code is one, and what it means.
pub fn check(code: &str) -> Result<Described, Why> {
    guarded(code, || {
        if code.is_empty() || code.len() > UNIT_BYTES_MAX {
            return Err(Why(format!("a unit is a UCUM code of 1 to {UNIT_BYTES_MAX} characters, for example `Cel`")));
        }
        let found = analyse(code).map_err(|error| unknown(code, &error.to_string()))?;
        let name = display_name(code).map_err(|error| unknown(code, &error.to_string()))?;
        Ok(Described { code: code.to_owned(), name, dimension: found.dimension.to_string() })
    })
}

/// How a value sent in `from` becomes one in `to`.
pub fn conversion(from: &str, to: &str) -> Result<Conversion, Why> {
    let (source, target) = (check(from)?, check(to)?);
    if from == to {
        return Ok(Conversion::NONE);
    }
    if annotations(from) != annotations(to) {
        return Err(Why(format!(
            "`{from}` cannot become `{to}`: the notes in braces differ, and what they mean no table knows; use the same \
             note in both, or none"
        )));
    }
    guarded(from, || {
        let found = convert_with_context(1.0, from, to, &AdvancedConversionContext::default());
        let found = found.map_err(|_| different(&source, &target))?;
        let (Some(factor), Some(offset)) = (found.factor, found.offset) else {
            return Err(Why(format!(
                "`{from}` cannot become `{to}`: one of them is logarithmic, and only a factor and an offset are applied; \
                 send a linear unit, or keep `{from}`"
            )));
        };
        let affine = affine(factor, offset).filter(|conversion| conversion.apply(1.0).is_finite());
        affine.ok_or_else(|| Why(format!("`{from}` cannot become `{to}`: the factor between them is beyond a double")))
    })
}

/// `value × factor + offset` as the steps of a [`Conversion`].
fn affine(factor: Number, offset: Number) -> Option<Conversion> {
    let (multiply, divide) = ratio(factor);
    let before = offset.checked_div(factor)?;
    // Where neither is a decimal, either will do.
    let (before, after) =
        if is_decimal(offset) && !is_decimal(before) { (0.0, offset.to_f64()) } else { (before.to_f64(), 0.0) };
    let usable = multiply.is_finite() && multiply != 0.0 && before.is_finite();
    usable.then_some(Conversion { before, multiply, divide, after })
}

/// The factor, as a ratio of integers where that rounds less: one exact step and one rounded, or one rounded alone.
fn ratio(factor: Number) -> (f64, f64) {
    if let Some(divide) = Number::ONE.checked_div(factor).and_then(integer) {
        return (1.0, divide);
    }
    let divided = |divide: &i64| {
        let multiply = integer(factor.checked_mul(Number::from_i64(*divide))?)?;
        Some((multiply, *divide as f64))
    };
    let ratio = if is_decimal(factor) { None } else { DIVISORS.iter().find_map(divided) };
    ratio.unwrap_or((factor.to_f64(), 1.0))
}

/// Whether the number has no more digits than a double shows.
fn is_decimal(number: Number) -> bool {
    let shown = Number::from_f64(number.to_f64()).and_then(|shown| shown.checked_sub(number));
    shown.is_some_and(|apart| apart.abs().to_f64() <= number.abs().to_f64() * 1e-22)
}

/// The integer that a number of 28 digits is, up to their last few.
fn integer(number: Number) -> Option<f64> {
    let near = number.to_f64().round();
    if near == 0.0 || near.abs() > (1_u64 << 52) as f64 {
        return None;
    }
    let apart = number.checked_sub(Number::from_i64(near as i64))?.abs().to_f64();
    (apart <= near.abs() * 1e-22).then_some(near)
}

fn unknown(code: &str, why: &str) -> Why {
    match hint(code) {
        Some("") => Why(format!("`{code}` has no UCUM code: leave the unit out, or write it as a note: `1{{{code}}}`")),
        Some(right) => Why(format!("`{code}` is not a UCUM code: write `{right}`")),
        None => Why(format!("`{code}` is not a UCUM code ({why}): see https://ucum.org/ucum")),
    }
}

fn different(from: &Described, to: &Described) -> Why {
    let mut why = format!(
        "`{}` ({}, dimension {}) cannot become `{}` ({}, dimension {}): they measure different things",
        from.code, from.name, from.dimension, to.code, to.name, to.dimension
    );
    for code in [&from.code, &to.code] {
        if let Some(right) = hint(code).filter(|right| !right.is_empty()) {
            why.push_str(&format!("; perhaps `{code}` was to be `{right}`"));
        }
    }
    Why(why)
}

fn hint(code: &str) -> Option<&'static str> {
    USUAL_MISTAKES.iter().find(|(wrong, _)| *wrong == code).map(|(_, right)| *right)
}

/// The notes in braces, in order.
fn annotations(code: &str) -> Vec<&str> {
    let mut notes: Vec<&str> = code.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
    notes.sort_unstable();
    notes
}

/// The tables are of others: what they stumble over is a code that cannot be used, not the end of a task.
fn guarded<T>(code: &str, read: impl FnOnce() -> Result<T, Why> + std::panic::UnwindSafe) -> Result<T, Why> {
    catch_unwind(read).unwrap_or_else(|_| Err(Why(format!("`{code}` cannot be read as a unit: use another code"))))
}
