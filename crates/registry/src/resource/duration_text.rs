//! Durations as people write them: `7d`, `12h`, `90s`. For serde: `#[serde(with = "duration_text::option")]`.

use std::time::Duration;

/// Units, largest first, in milliseconds.
const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads `7d`. Units: w d h m s ms; the number is a whole one.
pub fn parse(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*unit_ms).map(Duration::from_millis)
}

/// Writes it in the largest unit that makes it a whole number, weeks aside: nobody expects `1w` back for `7d`.
pub fn format(duration: Duration) -> String {
    let ms = duration.as_millis() as u64;
    let fits = |unit_ms: u64| ms != 0 && ms.is_multiple_of(unit_ms);
    let (unit, unit_ms) = UNITS[1..].iter().find(|(_, unit_ms)| fits(*unit_ms)).unwrap_or(&("s", 1000));
    format!("{}{unit}", ms / unit_ms)
}

/// `Option<Duration>` as text or null.
pub mod option {
    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(duration) => serializer.serialize_str(&super::format(*duration)),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        let wrong = || D::Error::custom(format!("`{text}` is not a duration: write for example 7d, 12h or 90s"));
        super::parse(&text).map(Some).ok_or_else(wrong)
    }
}
