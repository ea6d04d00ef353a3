use model::contract::{Bound, Kind, Rule, TsUnit, Value as Constant};
use std::sync::Arc;

use model::{ClassRules, Reason};

use super::ts::{Time, iso8601};
use super::*;
use crate::draft::Scalar;

fn integer(value: i128) -> Scalar<'static> {
    Scalar::Integer { negative: value < 0, magnitude: value.unsigned_abs() as u64 }
}

fn check(rule: Rule) -> Check {
    Check::new(&rule, &Patterns::default()).expect("a rule")
}

/// What a value becomes: its kind and value, or the reason and detail.
fn fit(check: &Check, value: &Scalar<'_>) -> String {
    match check.fit(value) {
        Ok(value) => format!("{value:?}"),
        Err(misfit) => format!("{}: {}", misfit.reason.code(), misfit.detail),
    }
}

#[test]
fn numbers_are_what_their_kind_says() {
    let long = check(Rule { kinds: vec![Kind::Long], ..Rule::default() });
    assert_eq!(fit(&long, &integer(i128::from(i64::MIN))), "Long(-9223372036854775808)");
    assert_eq!(fit(&long, &integer(9_007_199_254_740_993)), "Long(9007199254740993)");
    assert_eq!(fit(&long, &Scalar::Float(5.0)), "Long(5)");
    assert_eq!(fit(&long, &Scalar::Float(5.5)), "wrong-type: found 5.5, expected an integer");
    assert_eq!(fit(&long, &Scalar::Float(1e17)), "number-not-exact: found 1e17");
    assert_eq!(
        fit(&long, &integer(1 << 63)),
        "out-of-range: found 9223372036854775808, at least -2^63 and at most 2^63-1 is allowed"
    );
    assert_eq!(fit(&long, &Scalar::Null), "wrong-type: found null, expected an integer");
    let double = check(Rule { kinds: vec![Kind::Double], nullable: true, ..Rule::default() });
    assert_eq!(fit(&double, &integer(5)), "Double(5.0)");
    assert_eq!(fit(&double, &integer(9_007_199_254_740_993)), "number-not-exact: found 9007199254740993");
    assert_eq!(fit(&double, &Scalar::Float(f64::NAN)), "number-not-finite: found NaN");
    assert_eq!(fit(&double, &Scalar::Null), "Absent");
    assert_eq!(fit(&double, &Scalar::Bool(true)), "wrong-type: found true, expected a number or null");
    assert_eq!(fit(&double, &Scalar::Text(b"5")), "wrong-type: found a string, expected a number or null");
}

#[test]
fn ranges_hold_at_their_ends() {
    let bound = |value, exclusive| Some(Bound { value, exclusive });
    let rule = |min, max, kind| check(Rule { kinds: vec![kind], min, max, ..Rule::default() });
    let double = rule(bound(-40.0, false), bound(125.0, true), Kind::Double);
    assert_eq!(fit(&double, &Scalar::Float(-40.0)), "Double(-40.0)");
    assert_eq!(
        fit(&double, &Scalar::Float(125.0)),
        "out-of-range: found 125, at least -40 and less than 125 is allowed"
    );
    assert_eq!(fit(&double, &Scalar::Float(125_f64.next_down())), "Double(124.99999999999999)");
    let long = rule(bound(5.0, true), bound(7.5, false), Kind::Long);
    assert_eq!(fit(&long, &integer(5)), "out-of-range: found 5, more than 5 and at most 7.5 is allowed");
    assert_eq!(fit(&long, &integer(6)), "Long(6)");
    assert_eq!(fit(&long, &integer(8)), "out-of-range: found 8, more than 5 and at most 7.5 is allowed");
    let most = rule(None, bound(9_007_199_254_740_992.0, false), Kind::Long);
    assert!(fit(&most, &integer(9_007_199_254_740_993)).starts_with("out-of-range"));
}

#[test]
fn texts_and_constants() {
    let texts = Rule { kinds: vec![Kind::Text], ..Rule::default() };
    let chars = check(Rule { chars_min: Some(2), chars_max: Some(3), ..texts.clone() });
    assert_eq!(fit(&chars, &Scalar::Text("éé".as_bytes())), "Text([195, 169, 195, 169])");
    assert_eq!(fit(&chars, &Scalar::Text(b"x")), "value-not-allowed: found 1 characters, at least 2 are required");
    assert_eq!(fit(&chars, &Scalar::Text(b"wxyz")), "value-not-allowed: found 4 characters, at most 3 are allowed");
    let pattern = check(Rule { pattern: Some("^[a-z]+$".to_owned()), ..texts.clone() });
    assert_eq!(
        fit(&pattern, &Scalar::Text(b"a1")),
        "value-not-allowed: found `a1`, which the pattern `^[a-z]+$` does not match"
    );
    let one_of = vec![Constant::Text("on".to_owned()), Constant::Text("off".to_owned())];
    let constants = check(Rule { one_of, ..texts });
    assert_eq!(fit(&constants, &Scalar::Text(b"of")), "value-not-allowed: found `of`, allowed: `on`, `off`");
    let step = |step| check(Rule { kinds: vec![Kind::Double], multiple_of: Some(step), ..Rule::default() });
    assert_eq!(fit(&step(0.1), &Scalar::Float(0.3)), "Double(0.3)");
    assert_eq!(
        fit(&step(0.1), &Scalar::Float(0.35)),
        "value-not-allowed: found 0.35, only multiples of 0.1 are allowed"
    );
    assert!(Check::new(&Rule { pattern: Some("(".to_owned()), ..Rule::default() }, &Patterns::default()).is_err());
    assert!(
        Check::new(&Rule { pattern: Some(r"\w{1000}{1000}".to_owned()), ..Rule::default() }, &Patterns::default())
            .is_err()
    );
}

#[test]
fn times_by_their_unit() {
    let time = |millis, rest| Some(Time { millis, rest });
    let read = ts::read;
    assert_eq!(read(TsUnit::Seconds, &Scalar::Float(1.5)), time(1500, 0));
    assert_eq!(read(TsUnit::Seconds, &integer(-2)), time(-2000, 0));
    assert_eq!(read(TsUnit::Microseconds, &integer(1_234_567)), time(1234, 567_000));
    assert_eq!(read(TsUnit::Nanoseconds, &integer(-1)), time(-1, 999_999));
    assert_eq!(read(TsUnit::Milliseconds, &Scalar::Float(1.5)), None);
    assert_eq!(read(TsUnit::Milliseconds, &Scalar::Text(b"1970-01-01T00:00:00Z")), None);
    assert_eq!(read(TsUnit::Iso8601, &integer(0)), None);
    assert_eq!(Time::from_parts(-1, 999_999_999), time(-1, 999_999));
}

#[test]
fn iso_8601() {
    let millis = |text: &str| iso8601(text.as_bytes()).map(|time| time.millis);
    for (text, expect) in [
        ("1970-01-01T00:00:00Z", 0),
        ("2023-11-14T22:13:20Z", 1_700_000_000_000),
        ("2023-11-14T23:13:20.5+01:00", 1_700_000_000_500),
        ("2023-11-14t22:13:20.123456789z", 1_700_000_000_123),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000),
        ("1969-12-31T23:59:59.999Z", -1),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("0000-03-01T00:00:00Z", -62_162_035_200_000),
    ] {
        assert_eq!(millis(text), Some(expect), "{text}");
    }
    for text in [
        "",
        "2023-11-14",
        "2023-11-14T22:13:20",
        "2023-11-14 22:13:20Z",
        "2023-02-29T00:00:00Z",
        "2023-13-01T00:00:00Z",
        "2023-01-01T24:00:00Z",
        "2023-01-01T00:60:00Z",
        "2023-01-01T00:00:00.Z",
        "2023-01-01T00:00:00+1:00",
        "2023-01-01T00:00:00+01:00x",
        "2023-01-01T00:00:00Zx",
        "+023-01-01T00:00:00Z",
    ] {
        assert_eq!(millis(text), None, "{text}");
    }
}

#[test]
fn a_contract_that_no_message_can_be_checked_by_says_why() {
    let field = |name: &str, rule: Rule| model::contract::Field {
        path: vec![name.to_owned()],
        name: name.to_owned(),
        part: Part::Metric,
        rule,
        required: false,
        default: None,
        description: None,
    };
    let root = |fields| model::contract::Root {
        indexes: Vec::new(),
        name: String::new(),
        whole: false,
        fields,
        others: model::contract::Others::Class,
        layout: None,
    };
    let why = |fields| compile(&root(fields), &ClassRules::default(), &Patterns::default()).expect_err("unusable").0;
    let double = || Rule { kinds: vec![Kind::Double], ..Rule::default() };
    assert_eq!(why(vec![field("a", double()); 2]), "two fields are the metric `a`");
    assert!(why(vec![field("", double())]).starts_with("the name of the metric ``"));
    let pattern = Rule { pattern: Some("(?=x)".to_owned()), ..Rule::default() };
    assert!(why(vec![field("a", pattern)]).starts_with("a: the pattern `(?=x)` cannot be used"));
    assert_eq!(Reason::SchemaUnusable.code(), "schema-unusable");
}

#[test]
fn a_pattern_is_compiled_once_and_forgotten_with_the_last_that_has_it() {
    let patterns = Patterns::default();
    let (one, other) = (patterns.compiled("^a+$").unwrap(), patterns.clone().compiled("^a+$").unwrap());
    assert!(Arc::ptr_eq(&one, &other));
    let gone = Arc::downgrade(&one);
    drop((one, other));
    assert!(gone.upgrade().is_none());
    assert!(patterns.compiled("^a+$").unwrap().is_match(b"aa"));
}
