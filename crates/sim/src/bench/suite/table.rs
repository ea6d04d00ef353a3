//! How figures are written in the table.

use crate::bench::report::thousands;

/// A number of something a second.
pub fn rate(number: Option<f64>) -> String {
    number.map_or_else(String::new, thousands)
}

/// A time in ms, with about three digits.
pub fn ms(number: Option<f64>) -> String {
    number.map_or_else(String::new, |ms| match ms {
        ms if ms >= 100.0 => format!("{ms:.0}"),
        ms if ms >= 10.0 => format!("{ms:.1}"),
        ms => format!("{ms:.2}"),
    })
}

/// A share or another small number.
pub fn share(number: Option<f64>) -> String {
    number.map_or_else(String::new, |share| format!("{share:.3}"))
}

/// Bytes as MiB.
pub fn mebibytes(bytes: Option<f64>) -> String {
    bytes.map_or_else(String::new, |bytes| thousands(bytes / f64::from(1 << 20)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_about_three_digits() {
        assert_eq!([0.1234, 12.34, 1234.5].map(|number| ms(Some(number))), ["0.12", "12.3", "1234"]);
        assert_eq!(ms(None), "");
    }
}
