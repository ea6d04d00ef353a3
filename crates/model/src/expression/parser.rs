//! From the text to the program, in one pass: the operands of a step are written before it.

use super::{Expression, One, ParseError, Step, Two, is_name};
use crate::limits::{EXPRESSION_DEPTH_MAX, METRIC_NAME_BYTES_MAX};

pub fn parse(text: &str) -> Result<Expression, ParseError> {
    let empty = Expression { metrics: Vec::new(), program: Vec::new() };
    let mut parser = Parser { text, at: 0, depth: 0, expression: empty };
    parser.space();
    parser.expression()?;
    if parser.at < text.len() { Err(parser.expected("an operator or the end")) } else { Ok(parser.expression) }
}

/// A position in the text, always on the first byte of a token.
struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    expression: Expression,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Reads over a token, if it comes next.
    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
            self.space();
        }
        found
    }

    fn take_any<T: Copy>(&mut self, tokens: &[(&str, T)]) -> Option<T> {
        tokens.iter().find(|(token, _)| self.take(token)).map(|(_, meaning)| *meaning)
    }

    fn expect(&mut self, token: &str) -> Result<(), ParseError> {
        if self.take(token) { Ok(()) } else { Err(self.expected(&format!("`{token}`"))) }
    }

    fn error(&self, at: usize, why: impl Into<String>) -> ParseError {
        ParseError { at, why: why.into() }
    }

    fn expected(&self, what: &str) -> ParseError {
        let found = self.rest().chars().next().map_or("the end".to_owned(), |found| format!("`{found}`"));
        self.error(self.at, format!("expected {what}, found {found}"))
    }

    fn push(&mut self, step: Step) {
        self.expression.program.push(step);
    }

    fn expression(&mut self) -> Result<(), ParseError> {
        // Longer tokens stand before those that they begin with.
        const COMPARISONS: [(&str, Two); 6] = [
            ("<=", Two::LessOrEqual),
            (">=", Two::GreaterOrEqual),
            ("==", Two::Equal),
            ("!=", Two::NotEqual),
            ("<", Two::Less),
            (">", Two::Greater),
        ];
        self.sum()?;
        if let Some(comparison) = self.take_any(&COMPARISONS) {
            self.sum()?;
            self.push(Step::Two(comparison));
        }
        Ok(())
    }

    fn sum(&mut self) -> Result<(), ParseError> {
        self.product()?;
        while let Some(operator) = self.take_any(&[("+", Two::Add), ("-", Two::Subtract)]) {
            self.product()?;
            self.push(Step::Two(operator));
        }
        Ok(())
    }

    fn product(&mut self) -> Result<(), ParseError> {
        self.factor()?;
        while let Some(operator) = self.take_any(&[("*", Two::Multiply), ("/", Two::Divide), ("%", Two::Remainder)]) {
            self.factor()?;
            self.push(Step::Two(operator));
        }
        Ok(())
    }

    fn factor(&mut self) -> Result<(), ParseError> {
        let mut negative = false;
        while self.take("-") {
            negative = !negative;
        }
        self.operand()?;
        if negative {
            self.push(Step::One(One::Negate));
        }
        Ok(())
    }

    fn operand(&mut self) -> Result<(), ParseError> {
        match self.rest().chars().next() {
            Some('(') => self.nested(|parser| {
                parser.expect("(")?;
                parser.expression()?;
                parser.expect(")")
            }),
            Some('0'..='9' | '.') => self.number(),
            Some('`') => self.quoted(),
            Some(first) if is_first(first) => self.word(),
            _ => Err(self.expected("a number, a metric, a function or `(`")),
        }
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Result<(), ParseError>) -> Result<(), ParseError> {
        if self.depth == EXPRESSION_DEPTH_MAX {
            return Err(self.error(self.at, format!("nested deeper than {EXPRESSION_DEPTH_MAX} levels")));
        }
        self.depth += 1;
        read(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn number(&mut self) -> Result<(), ParseError> {
        let bytes = self.rest().as_bytes();
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let mut len = digits(0);
        if bytes.get(len) == Some(&b'.') {
            len = digits(len + 1);
        }
        if let Some(b'e' | b'E') = bytes.get(len) {
            let sign = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
            len = digits(len + 1 + sign);
        }
        let literal = &self.rest()[..len];
        match literal.parse::<f64>() {
            Ok(number) if number.is_finite() => {
                self.at += len;
                self.space();
                self.push(Step::Number(number));
                Ok(())
            }
            Ok(_) => Err(self.error(self.at, format!("`{literal}` is beyond the range of a double"))),
            Err(_) => Err(self.error(self.at, format!("`{literal}` is no number"))),
        }
    }

    /// A metric in backticks.
    fn quoted(&mut self) -> Result<(), ParseError> {
        let start = self.at;
        let name = &self.rest()[1..];
        let Some(len) = name.find('`') else {
            return Err(self.error(start, "a name in backticks that does not end"));
        };
        self.at += len + 2;
        self.space();
        self.metric(start, &name[..len])
    }

    /// A function if `(` follows, else a metric.
    fn word(&mut self) -> Result<(), ParseError> {
        let start = self.at;
        let len = self.rest().find(|other| !is_first(other) && !other.is_numeric() && other != '.');
        let word = &self.rest()[..len.unwrap_or(self.rest().len())];
        self.at += word.len();
        self.space();
        if self.rest().starts_with('(') {
            self.nested(|parser| parser.function(start, word))
        } else {
            self.metric(start, word)
        }
    }

    fn metric(&mut self, start: usize, name: &str) -> Result<(), ParseError> {
        if !is_name(name) {
            let why = format!("a metric's name is 1 to {METRIC_NAME_BYTES_MAX} bytes of printable text");
            return Err(self.error(start, why));
        }
        let metrics = &mut self.expression.metrics;
        let slot = metrics.iter().position(|known| known == name).unwrap_or_else(|| {
            metrics.push(name.to_owned());
            metrics.len() - 1
        });
        self.push(Step::Metric(slot));
        Ok(())
    }

    fn function(&mut self, start: usize, name: &str) -> Result<(), ParseError> {
        self.expect("(")?;
        match name {
            "if" => self.choice()?,
            "min" => self.fold(Two::Min)?,
            "max" => self.fold(Two::Max)?,
            "pow" => self.arguments(2, Step::Two(Two::Power))?,
            "clamp" => self.arguments(3, Step::Clamp)?,
            "abs" => self.arguments(1, Step::One(One::Abs))?,
            "sqrt" => self.arguments(1, Step::One(One::Sqrt))?,
            "round" => self.arguments(1, Step::One(One::Round))?,
            "floor" => self.arguments(1, Step::One(One::Floor))?,
            "ceil" => self.arguments(1, Step::One(One::Ceil))?,
            "ln" => self.arguments(1, Step::One(One::Ln))?,
            "log10" => self.arguments(1, Step::One(One::Log10))?,
            "exp" => self.arguments(1, Step::One(One::Exp))?,
            _ => {
                let known = "if, min, max, abs, sqrt, pow, round, floor, ceil, ln, log10, exp, clamp";
                return Err(self.error(start, format!("there is no function `{name}`; there are {known}")));
            }
        }
        self.expect(")")
    }

    /// So many arguments, and then the step that takes them.
    fn arguments(&mut self, count: usize, step: Step) -> Result<(), ParseError> {
        for number in 0..count {
            if number > 0 {
                self.expect(",")?;
            }
            self.expression()?;
        }
        self.push(step);
        Ok(())
    }

    /// One or more arguments that become one.
    fn fold(&mut self, step: Two) -> Result<(), ParseError> {
        self.expression()?;
        while self.take(",") {
            self.expression()?;
            self.push(Step::Two(step));
        }
        Ok(())
    }

    /// The sides of an `if`: steps that are jumped over.
    fn choice(&mut self) -> Result<(), ParseError> {
        self.expression()?;
        self.expect(",")?;
        let unless = self.expression.program.len();
        self.push(Step::Unless(0));
        self.expression()?;
        self.expect(",")?;
        let jump = self.expression.program.len();
        self.push(Step::Jump(0));
        self.expression.program[unless] = Step::Unless(jump + 1);
        self.expression()?;
        self.expression.program[jump] = Step::Jump(self.expression.program.len());
        Ok(())
    }
}

/// Whether a name without backticks can begin so.
fn is_first(letter: char) -> bool {
    letter.is_alphabetic() || letter == '_'
}
