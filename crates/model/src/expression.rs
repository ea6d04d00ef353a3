//! Expressions of computed metrics: arithmetic over the metrics of one message, and nothing else.
//!
//! ```text
//! expression = sum [ ("<" | "<=" | ">" | ">=" | "==" | "!=") sum ]
//! sum        = product { ("+" | "-") product }
//! product    = factor { ("*" | "/" | "%") factor }
//! factor     = "-" factor | number | metric | function "(" expression { "," expression } ")" | "(" expression ")"
//! metric     = letter or "_" { letter | digit | "_" | "." }  |  "`" any name "`"
//! ```
//!
//! Functions: `if(condition, then, else)`, `min` and `max` of one or more, `abs`, `sqrt`, `pow(base, exponent)`, `round`
//! (half away from zero), `floor`, `ceil`, `ln`, `log10`, `exp`, `clamp(value, low, high)`. Numbers are IEEE doubles; a
//! comparison gives 1 or 0, and a condition holds unless it is 0. Of an `if` only the chosen side is computed.
//!
//! A text is compiled once to a program for a stack machine whose jumps lead forward only, so an evaluation takes at most
//! as many steps as the text has bytes, without recursion.

use crate::limits::{EXPRESSION_BYTES_MAX, METRIC_NAME_BYTES_MAX};

mod parser;
#[cfg(test)]
mod tests;

/// A compiled expression.
#[derive(Clone, PartialEq, Debug)]
pub struct Expression {
    metrics: Vec<String>,
    program: Vec<Step>,
}

/// A text that is no expression.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{why} at byte {at}")]
pub struct ParseError {
    /// Where in the text, in bytes from its start.
    pub at: usize,
    /// What was found and what is expected.
    pub why: String,
}

/// One step of the program. Operands are taken from the stack, results go there.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Step {
    Number(f64),
    /// The metric at this place of [`Expression::metrics`].
    Metric(usize),
    One(One),
    Two(Two),
    Clamp,
    /// Takes a condition; goes on at this step if it is 0.
    Unless(usize),
    /// Goes on at this step.
    Jump(usize),
}

/// Functions of one number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum One {
    Negate,
    Abs,
    Sqrt,
    Round,
    Floor,
    Ceil,
    Ln,
    Log10,
    Exp,
}

/// Functions of two numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Two {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
    Min,
    Max,
    Power,
}

impl Expression {
    /// Compiles a text of at most [`EXPRESSION_BYTES_MAX`] bytes.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if text.len() > EXPRESSION_BYTES_MAX {
            let why = format!("an expression has at most {EXPRESSION_BYTES_MAX} bytes, this one has {}", text.len());
            return Err(ParseError { at: EXPRESSION_BYTES_MAX, why });
        }
        parser::parse(text)
    }

    /// The metrics that it reads, each once, in the order of their first use: a metric's place here is its slot.
    pub fn metrics(&self) -> &[String] {
        &self.metrics
    }

    /// The value, with `metric` giving those of the slots; `None` if one that is needed is missing or the value is not
    /// finite. `stack` is memory that is kept from one evaluation to the next.
    pub fn eval(&self, stack: &mut Vec<f64>, metric: &mut impl FnMut(usize) -> Option<f64>) -> Option<f64> {
        stack.clear();
        let mut at = 0;
        while let Some(step) = self.program.get(at) {
            at += 1;
            match *step {
                Step::Number(number) => stack.push(number),
                Step::Metric(slot) => stack.push(metric(slot)?),
                Step::One(function) => {
                    let value = stack.pop()?;
                    stack.push(function.of(value));
                }
                Step::Two(function) => {
                    let (right, left) = (stack.pop()?, stack.pop()?);
                    stack.push(function.of(left, right));
                }
                Step::Clamp => {
                    let (high, low, value) = (stack.pop()?, stack.pop()?, stack.pop()?);
                    stack.push(Two::Min.of(Two::Max.of(value, low), high));
                }
                Step::Unless(target) => match stack.pop()? {
                    condition if condition.is_nan() => return None,
                    0.0 => at = target,
                    _ => {}
                },
                Step::Jump(target) => at = target,
            }
        }
        stack.pop().filter(|value| value.is_finite())
    }
}

impl One {
    fn of(self, value: f64) -> f64 {
        match self {
            Self::Negate => -value,
            Self::Abs => value.abs(),
            Self::Sqrt => value.sqrt(),
            Self::Round => value.round(),
            Self::Floor => value.floor(),
            Self::Ceil => value.ceil(),
            Self::Ln => value.ln(),
            Self::Log10 => value.log10(),
            Self::Exp => value.exp(),
        }
    }
}

impl Two {
    /// What is not a number stays so, in comparisons as well: nothing is decided by it.
    fn of(self, left: f64, right: f64) -> f64 {
        let truth = |holds: bool| if holds { 1.0 } else { 0.0 };
        if self != Self::Power && (left.is_nan() || right.is_nan()) {
            return f64::NAN;
        }
        match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
            Self::Remainder => left % right,
            Self::Less => truth(left < right),
            Self::LessOrEqual => truth(left <= right),
            Self::Greater => truth(left > right),
            Self::GreaterOrEqual => truth(left >= right),
            Self::Equal => truth(left == right),
            Self::NotEqual => truth(left != right),
            Self::Min => left.min(right),
            Self::Max => left.max(right),
            Self::Power => left.powf(right),
        }
    }
}

/// Whether a metric can be called so: 1 to 128 bytes of printable text.
fn is_name(name: &str) -> bool {
    (1..=METRIC_NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
}
