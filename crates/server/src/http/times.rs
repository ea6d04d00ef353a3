//! Points in time as a query gives them: ISO 8601, Unix milliseconds, or relative to now (`-1h`).

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use model::Millis;

use crate::http::problem::Problem;
use crate::units;

/// Reads a time. Without an offset ISO 8601 is UTC; a date alone is its midnight; `now` is now.
pub fn parse(text: &str, now: Millis) -> Option<Millis> {
    let text = text.trim();
    if text == "now" {
        return Some(now);
    }
    if let Some(back) = text.strip_prefix('-').and_then(units::parse_duration) {
        return now.checked_sub(i64::try_from(back.as_millis()).ok()?);
    }
    if let Ok(millis) = text.parse() {
        return Some(millis);
    }
    // A query string's unescaped `+` arrives as a space.
    let text = text.replace(' ', "+");
    if let Ok(time) = DateTime::parse_from_rfc3339(&text) {
        return Some(time.timestamp_millis());
    }
    for form in ["%Y-%m-%dT%H:%M:%S%.fZ", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(&text, form) {
            return Some(time.and_utc().timestamp_millis());
        }
    }
    let midnight = NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0)?;
    Some(midnight.and_utc().timestamp_millis())
}

/// Reads the query parameter `name`.
pub fn parameter(name: &str, text: &str, now: Millis) -> Result<Millis, Problem> {
    parse(text, now).ok_or_else(|| {
        let detail = format!(
            "`{name}={text}` is not a time. Use ISO 8601 (2026-11-24T09:00:00Z), Unix milliseconds, or a time before now (-1h)."
        );
        Problem::invalid("time-invalid", detail)
    })
}

/// The time as ISO 8601 in UTC with milliseconds; plain milliseconds beyond the calendar.
pub fn iso(time: Millis) -> String {
    match DateTime::from_timestamp_millis(time) {
        Some(time) => time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        None => time.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_700_000_000_000;

    fn check(text: &str, expect: Option<Millis>) {
        assert_eq!(parse(text, NOW), expect, "{text}");
    }

    #[test]
    fn every_form_is_read() {
        check("1700000000123", Some(1_700_000_000_123));
        check("-5", Some(-5));
        check("0", Some(0));
        check("now", Some(NOW));
        check("-1h", Some(NOW - 3_600_000));
        check("-7d", Some(NOW - 7 * 86_400_000));
        check("2023-11-14T22:13:20Z", Some(NOW));
        check("2023-11-14T22:13:20.5Z", Some(NOW + 500));
        check("2023-11-14T23:13:20+01:00", Some(NOW));
        check("2023-11-14T23:13:20 01:00", Some(NOW));
        check("2023-11-14T22:13:20", Some(NOW));
        check("2023-11-14T22:13", Some(NOW - 20_000));
        check("2023-11-14", Some(1_699_920_000_000));
        check("1969-12-31", Some(-86_400_000));
    }

    #[test]
    fn anything_else_is_refused_with_the_forms() {
        for bad in ["", "yesterday", "2023-13-01", "1h", "+1h", "2023-11-14T25:00:00Z", "1.5", "99999999999999999999"] {
            check(bad, None);
        }
        let problem = parameter("from", "soon", NOW).expect_err("refused");
        assert_eq!(problem.code(), "time-invalid");
    }

    #[test]
    fn times_are_shown_in_utc() {
        assert_eq!(iso(NOW), "2023-11-14T22:13:20.000Z");
        assert_eq!(iso(i64::MAX), i64::MAX.to_string());
    }
}
