//! Small languages that a person writes: expressions of computed metrics, and unit codes.
//!
//! Holds: no panic; what is compiled evaluates in bounded time to a finite number or to nothing, and to the same again;
//! what is converted there and back is what it was.

use model::Expression;
use registry::units;

pub fn expression(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let expression = match Expression::parse(text) {
        Ok(expression) => expression,
        Err(error) => {
            assert!(error.at <= text.len(), "{error} is outside of the text");
            return;
        }
    };
    assert_eq!(Expression::parse(text).as_ref(), Ok(&expression));
    let mut stack = Vec::new();
    for metric in [0.0, -1.5, 1e300, f64::NAN, f64::INFINITY] {
        let mut slots = |slot: usize| {
            assert!(slot < expression.metrics().len());
            Some(metric + slot as f64)
        };
        let value = expression.eval(&mut stack, &mut slots);
        assert!(value.is_none_or(f64::is_finite));
        assert_eq!(value.map(f64::to_bits), expression.eval(&mut stack, &mut slots).map(f64::to_bits));
    }
    if !expression.metrics().is_empty() {
        expression.eval(&mut stack, &mut |_| None);
    }
}

/// Two codes with a line break between them.
pub fn unit(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (from, to) = text.split_once('\n').unwrap_or((text, "1"));
    let conversions = (units::conversion(from, to), units::conversion(to, from));
    let (Ok(there), Ok(back)) = conversions else { return };
    assert!(units::check(from).is_ok() && units::check(to).is_ok());
    for value in [1.0, 212.0] {
        let (converted, again) = (there.apply(value), back.apply(there.apply(value)));
        // Where a factor leaves the range of a double there is nothing to compare.
        if converted.is_normal() && again.is_normal() && (1e-200..1e200).contains(&converted.abs()) {
            let apart = (again - value).abs();
            assert!(
                apart <= 1e-9 * value.abs().max(there.before.abs() + back.after.abs()),
                "{value} {from} → {converted} {to} → {again}"
            );
        }
    }
}
