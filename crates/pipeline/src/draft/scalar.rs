//! Single values, as every format gives them.

/// A value as a format gives it. Texts are UTF-8: the reader has checked it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Scalar<'a> {
    /// ± magnitude; −0 keeps its sign.
    Integer {
        negative: bool,
        magnitude: u64,
    },
    Float(f64),
    /// An integer beyond 64 bits that no double holds.
    Inexact,
    Bool(bool),
    Text(&'a [u8]),
    Null,
    Object,
    Array,
    Bytes,
    /// What only its own format knows.
    Extension,
}

impl Scalar<'_> {
    /// The value if it is an integer; doubles are taken where they hold every integer around.
    pub fn integer(&self) -> Option<i128> {
        const EXACT: f64 = (1_u64 << 53) as f64;
        match *self {
            Self::Integer { negative: false, magnitude } => Some(magnitude.into()),
            Self::Integer { negative: true, magnitude } => Some(-i128::from(magnitude)),
            Self::Float(number) if number.abs() <= EXACT && number.fract() == 0.0 => Some(number as i128),
            _ => None,
        }
    }

    /// For a person.
    pub fn describe(&self) -> String {
        match self {
            Self::Integer { negative, magnitude } => format!("{}{magnitude}", if *negative { "-" } else { "" }),
            Self::Float(number) => format!("{number:?}"),
            Self::Inexact => "an integer of more than 64 bits".to_owned(),
            Self::Bool(flag) => flag.to_string(),
            Self::Text(_) => "a string".to_owned(),
            Self::Null => "null".to_owned(),
            Self::Object => "an object".to_owned(),
            Self::Array => "an array".to_owned(),
            Self::Bytes => "bytes".to_owned(),
            Self::Extension => "a value of the format's own".to_owned(),
        }
    }
}

/// Whether a double holds this integer exactly: at most 53 bits from the first one to the last.
pub fn is_exact(magnitude: u64) -> bool {
    magnitude >> 53 == 0 || 64 - magnitude.leading_zeros() - magnitude.trailing_zeros() <= 53
}
