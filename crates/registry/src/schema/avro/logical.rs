//! Logical types (specification, "Logical Types").

use serde_json::Value;

use super::types::{Attributes, Primitive, Shape};

/// A logical type that is known and valid. Two are equal if a value of one means the same as a value of the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Logical {
    Decimal { precision: u64, scale: u64 },
    BigDecimal,
    Uuid,
    Date,
    TimeMillis,
    TimeMicros,
    TimestampMillis,
    TimestampMicros,
    TimestampNanos,
    LocalTimestampMillis,
    LocalTimestampMicros,
    LocalTimestampNanos,
    Duration,
}

impl Logical {
    /// The one that the attributes name, if it fits the shape: "if a logical type is invalid […] implementations should
    /// ignore the logical type".
    pub fn of(shape: &Shape, attributes: &Attributes) -> Option<Self> {
        let word = attributes.get("logicalType")?.as_str()?;
        match (shape, word) {
            (Shape::Primitive(Primitive::Bytes), "decimal") => Self::decimal(attributes, u64::MAX),
            (Shape::Fixed(_, size), "decimal") => Self::decimal(attributes, decimal_digits(*size)),
            (Shape::Primitive(Primitive::Bytes), "big-decimal") => Some(Self::BigDecimal),
            (Shape::Primitive(Primitive::String) | Shape::Fixed(_, 16), "uuid") => Some(Self::Uuid),
            (Shape::Fixed(_, 12), "duration") => Some(Self::Duration),
            (Shape::Primitive(Primitive::Int), "date") => Some(Self::Date),
            (Shape::Primitive(Primitive::Int), "time-millis") => Some(Self::TimeMillis),
            (Shape::Primitive(Primitive::Long), word) => Self::of_long(word),
            _ => None,
        }
    }

    fn of_long(word: &str) -> Option<Self> {
        Some(match word {
            "time-micros" => Self::TimeMicros,
            "timestamp-millis" => Self::TimestampMillis,
            "timestamp-micros" => Self::TimestampMicros,
            "timestamp-nanos" => Self::TimestampNanos,
            "local-timestamp-millis" => Self::LocalTimestampMillis,
            "local-timestamp-micros" => Self::LocalTimestampMicros,
            "local-timestamp-nanos" => Self::LocalTimestampNanos,
            _ => return None,
        })
    }

    fn decimal(attributes: &Attributes, digits_max: u64) -> Option<Self> {
        let precision = attributes.get("precision")?.as_u64()?;
        let scale = attributes.get("scale").map_or(Some(0), Value::as_u64)?;
        (1..=digits_max).contains(&precision).then_some(())?;
        (scale <= precision).then_some(Self::Decimal { precision, scale })
    }

    /// For a sentence.
    pub fn describe(self) -> String {
        match self {
            Self::Decimal { precision, scale } => format!("decimal of precision {precision} and scale {scale}"),
            Self::BigDecimal => "big-decimal".to_owned(),
            Self::Uuid => "uuid".to_owned(),
            Self::Date => "date".to_owned(),
            Self::TimeMillis => "time-millis".to_owned(),
            Self::TimeMicros => "time-micros".to_owned(),
            Self::TimestampMillis => "timestamp-millis".to_owned(),
            Self::TimestampMicros => "timestamp-micros".to_owned(),
            Self::TimestampNanos => "timestamp-nanos".to_owned(),
            Self::LocalTimestampMillis => "local-timestamp-millis".to_owned(),
            Self::LocalTimestampMicros => "local-timestamp-micros".to_owned(),
            Self::LocalTimestampNanos => "local-timestamp-nanos".to_owned(),
            Self::Duration => "duration".to_owned(),
        }
    }
}

/// Decimal digits that a signed number of so many bytes always holds: floor(log10(2^(8n−1) − 1)).
fn decimal_digits(bytes: u32) -> u64 {
    if bytes == 0 { 0 } else { ((8.0 * f64::from(bytes) - 1.0) * std::f64::consts::LOG10_2).floor() as u64 }
}
