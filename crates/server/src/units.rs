//! Durations (`90s`, `24h`, `7d`) and sizes (`512MiB`), as people write them.

use std::time::Duration;

#[cfg(test)]
mod tests;

/// Milliseconds of each unit of time, the largest first.
const TIME_UNITS: [(&str, u64); 6] =
    [("w", 7 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Bytes of each unit of size, the largest first.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

/// A whole number and one of `ms s m h d w`. `None` for anything else, and for what does not fit.
pub fn parse_duration(text: &str) -> Option<Duration> {
    parse(text, &TIME_UNITS).map(Duration::from_millis)
}

/// A whole number and one of `B kB KiB MB MiB GB GiB TB TiB`. `None` for anything else, and for what does not fit.
pub fn parse_size(text: &str) -> Option<u64> {
    parse(text, &SIZE_UNITS)
}

/// The duration in its largest unit that is exact.
pub fn format_duration(duration: Duration) -> String {
    format(duration.as_millis() as u64, &TIME_UNITS, "s")
}

/// The size in its largest unit that is exact; decimal units only if no binary one is.
pub fn format_size(bytes: u64) -> String {
    let binary = SIZE_UNITS.iter().find(|(unit, size)| unit.contains('i') && bytes > 0 && bytes.is_multiple_of(*size));
    match binary {
        Some((unit, size)) => format!("{}{unit}", bytes / size),
        None => format(bytes, &SIZE_UNITS, "B"),
    }
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn format(amount: u64, units: &[(&str, u64)], zero_unit: &str) -> String {
    match units.iter().find(|(_, size)| amount > 0 && amount.is_multiple_of(*size)) {
        Some((unit, size)) => format!("{}{unit}", amount / size),
        None => format!("0{zero_unit}"),
    }
}
