use proptest::prelude::*;

use super::*;

/// The value with `a` = 3, `b` = −2, `motor.temp` = 20, `flow/in` = 7; nothing else is there.
fn value(text: &str) -> Option<f64> {
    let expression = Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let names = expression.metrics().to_vec();
    expression.eval(&mut Vec::new(), &mut |slot| match &*names[slot] {
        "a" => Some(3.0),
        "b" => Some(-2.0),
        "motor.temp" => Some(20.0),
        "flow/in" => Some(7.0),
        _ => None,
    })
}

#[test]
fn operators_bind_as_in_arithmetic() {
    for (text, expect) in [
        ("1", 1.0),
        (" 1.5e3 ", 1500.0),
        (".5", 0.5),
        ("a + b * 2", -1.0),
        ("(a + b) * 2", 2.0),
        ("a - b - 1", 4.0),
        ("12 / a / 2", 2.0),
        ("7 % 4", 3.0),
        ("-7 % 4", -3.0),
        ("--a", 3.0),
        ("-a * -b", -6.0),
        ("a*motor.temp", 60.0),
        ("`flow/in`+`a`", 10.0),
        ("a > b", 1.0),
        ("a + 1 <= 3", 0.0),
        ("(a == 3) + (a != 3)", 1.0),
    ] {
        assert_eq!(value(text), Some(expect), "{text}");
    }
}

#[test]
fn functions() {
    for (text, expect) in [
        ("if(a > 0, 10, missing)", 10.0),
        ("if(a < 0, missing, if(b < 0, 2, 3))", 2.0),
        ("min(a, b, 7)", -2.0),
        ("max(a)", 3.0),
        ("abs(b)", 2.0),
        ("sqrt(9)", 3.0),
        ("pow(2, 10)", 1024.0),
        ("round(2.5)", 3.0),
        ("round(-2.5)", -3.0),
        ("floor(-0.5)", -1.0),
        ("ceil(0.5)", 1.0),
        ("ln(exp(1))", 1.0),
        ("log10(1000)", 3.0),
        ("clamp(11, 0, 10)", 10.0),
        ("clamp(5, 10, 0)", 0.0),
    ] {
        assert_eq!(value(text), Some(expect), "{text}");
    }
}

#[test]
fn what_has_no_value() {
    for text in ["missing", "a + missing", "1 / 0", "sqrt(-1)", "1e308 * 10", "if(sqrt(-1), 1, 2)", "max(1, 0/0)"] {
        assert_eq!(value(text), None, "{text}");
    }
}

#[test]
fn metrics_are_named_once_in_the_order_of_use() {
    let expression = Expression::parse("b + if(a, b, `x y`)").expect("an expression");
    assert_eq!(expression.metrics(), ["b", "a", "x y"]);
}

#[test]
fn errors_say_what_and_where() {
    let check = |text: &str, expect: &str| {
        assert_eq!(Expression::parse(text).expect_err(text).to_string(), expect, "{text}");
    };
    check("", "expected a number, a metric, a function or `(`, found the end at byte 0");
    check("a +", "expected a number, a metric, a function or `(`, found the end at byte 3");
    check("(a", "expected `)`, found the end at byte 2");
    check("a b", "expected an operator or the end, found `b` at byte 2");
    check("a < b < c", "expected an operator or the end, found `<` at byte 6");
    check("a; b", "expected an operator or the end, found `;` at byte 1");
    check("pow(1)", "expected `,`, found `)` at byte 5");
    check("abs(1, 2)", "expected `)`, found `,` at byte 5");
    check("1e", "`1e` is no number at byte 0");
    check("1e999", "`1e999` is beyond the range of a double at byte 0");
    check("`a", "a name in backticks that does not end at byte 0");
    check("``", "a metric's name is 1 to 128 bytes of printable text at byte 0");
    let known = "if, min, max, abs, sqrt, pow, round, floor, ceil, ln, log10, exp, clamp";
    check("system(1)", &format!("there is no function `system`; there are {known} at byte 0"));
    check(&"(".repeat(33), "nested deeper than 32 levels at byte 32");
    check(&"1+".repeat(300), "an expression has at most 512 bytes, this one has 600 at byte 512");
}

/// An expression as a tree, for the evaluation that is told by looking at it.
#[derive(Clone, Debug)]
enum Tree {
    Number(u16),
    Metric(usize),
    Negative(Box<Tree>),
    Two(&'static str, Box<Tree>, Box<Tree>),
    Call(&'static str, Vec<Tree>),
}

const OPERATORS: [&str; 11] = ["+", "-", "*", "/", "%", "<", "<=", ">", ">=", "==", "!="];
const FUNCTIONS: [(&str, usize); 13] = [
    ("if", 3),
    ("clamp", 3),
    ("min", 2),
    ("max", 3),
    ("pow", 2),
    ("abs", 1),
    ("sqrt", 1),
    ("round", 1),
    ("floor", 1),
    ("ceil", 1),
    ("ln", 1),
    ("log10", 1),
    ("exp", 1),
];

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![any::<u16>().prop_map(Tree::Number), (0..4_usize).prop_map(Tree::Metric)];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        let call = (prop::sample::select(&FUNCTIONS[..]), prop::collection::vec(inner, 3))
            .prop_map(|((name, count), trees)| Tree::Call(name, trees[..count].to_vec()));
        prop_oneof![
            boxed.clone().prop_map(Tree::Negative),
            (prop::sample::select(&OPERATORS[..]), boxed.clone(), boxed).prop_map(|(op, a, b)| Tree::Two(op, a, b)),
            call,
        ]
    })
}

impl Tree {
    /// How tightly it binds: comparison 0, sum 1, product 2, all else 3.
    fn strength(&self) -> usize {
        match self {
            Self::Two("+" | "-", ..) => 1,
            Self::Two("*" | "/" | "%", ..) => 2,
            Self::Two(..) => 0,
            _ => 3,
        }
    }

    /// As text, with the parentheses that are needed and no others.
    fn text(&self) -> String {
        let within = |tree: &Self, least: usize| {
            if tree.strength() < least { format!("({})", tree.text()) } else { tree.text() }
        };
        match self {
            Self::Number(number) => format!("{}", f64::from(*number) / 8.0),
            Self::Metric(metric) => ["a", "_b.c", "`d-e`", "`f`"][*metric].to_owned(),
            Self::Negative(inner) => format!("- {}", within(inner, 3)),
            Self::Two(op, left, right) => {
                let strength = self.strength();
                let least = if strength == 0 { 1 } else { strength };
                format!("{} {op}{}", within(left, least), within(right, strength + 1))
            }
            Self::Call(name, arguments) => {
                let arguments: Vec<_> = arguments.iter().map(Self::text).collect();
                format!("{name}({})", arguments.join(" , "))
            }
        }
    }

    /// The value, NaN for none; `None` where a metric that is needed is missing.
    fn value(&self, metrics: &[Option<f64>; 4]) -> Option<f64> {
        let two = |left: f64, right: f64, value: f64| if left.is_nan() || right.is_nan() { f64::NAN } else { value };
        let truth = |holds: bool| f64::from(u8::from(holds));
        Some(match self {
            Self::Number(number) => f64::from(*number) / 8.0,
            Self::Metric(metric) => metrics[*metric]?,
            Self::Negative(inner) => -inner.value(metrics)?,
            Self::Two(op, left, right) => {
                let (a, b) = (left.value(metrics)?, right.value(metrics)?);
                let value = match *op {
                    "+" => a + b,
                    "-" => a - b,
                    "*" => a * b,
                    "/" => a / b,
                    "%" => a % b,
                    "<" => truth(a < b),
                    "<=" => truth(a <= b),
                    ">" => truth(a > b),
                    ">=" => truth(a >= b),
                    "==" => truth(a == b),
                    _ => truth(a != b),
                };
                two(a, b, value)
            }
            Self::Call("if", of) => match of[0].value(metrics)? {
                condition if condition.is_nan() => return None,
                0.0 => of[2].value(metrics)?,
                _ => of[1].value(metrics)?,
            },
            Self::Call(name, of) => {
                let of = of.iter().map(|tree| tree.value(metrics)).collect::<Option<Vec<_>>>()?;
                let any_nan = of.iter().any(|value| value.is_nan());
                match (*name, &of[..]) {
                    ("pow", [a, b]) => a.powf(*b),
                    _ if any_nan => f64::NAN,
                    ("min", of) => of.iter().copied().fold(f64::INFINITY, f64::min),
                    ("max", of) => of.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                    ("clamp", [value, low, high]) => value.max(*low).min(*high),
                    ("abs", [value]) => value.abs(),
                    ("sqrt", [value]) => value.sqrt(),
                    ("round", [value]) => value.round(),
                    ("floor", [value]) => value.floor(),
                    ("ceil", [value]) => value.ceil(),
                    ("ln", [value]) => value.ln(),
                    ("log10", [value]) => value.log10(),
                    (_, of) => of[0].exp(),
                }
            }
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn an_expression_has_the_value_of_its_tree(tree in tree(), metrics: [Option<i16>; 4]) {
        let metrics = metrics.map(|value| value.map(|value| f64::from(value) / 4.0));
        let text = tree.text();
        prop_assume!(text.len() <= EXPRESSION_BYTES_MAX);
        let expression = Expression::parse(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        let place = |name: &String| ["a", "_b.c", "d-e", "f"].iter().position(|known| known == name).expect("known");
        let slots: Vec<_> = expression.metrics().iter().map(place).collect();
        let found = expression.eval(&mut Vec::new(), &mut |slot| metrics[slots[slot]]);
        let expect = tree.value(&metrics).filter(|value| value.is_finite());
        prop_assert_eq!(found.map(f64::to_bits), expect.map(f64::to_bits), "{} {:?} {:?}", text, found, expect);
    }

    #[test]
    fn any_text_is_an_expression_or_an_error(text in "[-+*/%<>=!(),.`a-c0-9e \u{e9}if]{0,40}|\\PC{0,20}") {
        if let Ok(expression) = Expression::parse(&text) {
            expression.eval(&mut Vec::new(), &mut |slot| Some(slot as f64));
        }
    }
}
