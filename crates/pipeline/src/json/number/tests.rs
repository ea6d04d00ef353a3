use proptest::prelude::*;

use super::*;

/// Reads a whole literal and compares the value as a person would see it.
fn check(literal: &str, expect: &str) {
    let found = match read(literal.as_bytes(), 0) {
        Ok((value, behind)) if behind == literal.len() => value.describe(),
        Ok((_, behind)) => format!("stops at {behind}"),
        Err(failure) => format!("refused at {}", failure.offset),
    };
    assert_eq!(found, expect, "{literal}");
}

#[test]
fn integers_are_exact_or_said_not_to_be() {
    check("0", "0");
    check("-0", "-0");
    check("18446744073709551615", "18446744073709551615");
    check("-18446744073709551615", "-18446744073709551615");
    check("18446744073709551616", "1.8446744073709552e19");
    check("18446744073709551617", "an integer of more than 64 bits");
    check("100000000000000000000000", "an integer of more than 64 bits");
    check("1180591620717411303424", "1.1805916207174113e21");
    check(&"9".repeat(400), "inf");
}

#[test]
fn decimals_are_correctly_rounded() {
    check("23.4", "23.4");
    check("-0.0", "-0.0");
    check("1e23", "1e23");
    check("9007199254740993.0", "9007199254740992.0");
    check("9007199254740993.00000000000000000000001", "9007199254740994.0");
    check("2.2250738585072011e-308", "2.225073858507201e-308");
    check("1e400", "inf");
    check("-1e400", "-inf");
    check("1e-400", "0.0");
    check("1e99999999999999999999", "inf");
    check("0e99999999999999999999", "0.0");
    check("1e-99999999999999999999", "0.0");
}

#[test]
fn what_is_no_number_is_refused_where_it_goes_wrong() {
    check("-", "refused at 1");
    check("01", "refused at 0");
    check("-01", "refused at 1");
    check("1.", "refused at 2");
    check("1.e5", "refused at 2");
    check("1e", "refused at 2");
    check("1e+", "refused at 3");
    check("1.5.2", "stops at 3");
    check("0x1", "stops at 1");
}

proptest! {
    #[test]
    fn numbers_are_what_the_standard_library_reads(literal in r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?") {
        let (value, behind) = read(literal.as_bytes(), 0).expect("a number");
        prop_assert_eq!(behind, literal.len());
        let expect: f64 = literal.parse().expect("a number");
        match value {
            Scalar::Integer { negative, magnitude } => {
                let digits = literal.trim_start_matches('-');
                prop_assert_eq!((negative, magnitude.to_string()), (literal.len() > digits.len(), digits.to_owned()));
            }
            Scalar::Float(number) => prop_assert_eq!(number.to_bits(), expect.to_bits()),
            other => prop_assert_ne!(format!("{:.0}", expect.abs()), literal.trim_start_matches('-'), "{:?}", other),
        }
    }

    #[test]
    fn every_double_comes_back(bits: u64) {
        let number = f64::from_bits(bits);
        prop_assume!(number.is_finite());
        for literal in [format!("{number:e}"), format!("{number:?}")] {
            let found = match read(literal.as_bytes(), 0).expect("a number").0 {
                Scalar::Float(found) => found,
                Scalar::Integer { negative, magnitude } => magnitude as f64 * if negative { -1.0 } else { 1.0 },
                other => panic!("{other:?}"),
            };
            prop_assert_eq!(found.to_bits(), bits, "{}", literal);
        }
    }
}

proptest! {
    #[test]
    fn digits_are_those_that_a_loop_finds(bytes in proptest::collection::vec(prop_oneof![8 => b'0'..=b'9', 1 => any::<u8>()], 0..24), at in 0_usize..25) {
        let found = bytes.get(at..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit());
        let (mut magnitude, mut end) = (7_u64, at);
        for digit in found {
            magnitude = magnitude.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            end += 1;
        }
        prop_assert_eq!(digits(&bytes, at, 7), (magnitude, end));
    }
}
