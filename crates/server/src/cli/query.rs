//! `tidewater query`: a device's readings as a table and a sparkline.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::client::{Client, escape};
use super::output;
use super::resource::With;
use crate::http::times;
use crate::units;

#[cfg(test)]
mod tests;

/// Print readings of a device.
///
/// Without --raw they come in buckets, each with the aggregates asked for; below the table a sparkline shows the first
/// of them.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tidewater query c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7 temperature
  tidewater query DEVICE temperature --from -24h --resolution 1h --agg avg,min,max
  tidewater query DEVICE temperature --from 2026-11-24T00:00:00Z --raw --json")]
pub struct Args {
    /// The device's id.
    device: String,
    /// The metric.
    metric: String,
    /// From when, inclusive: ISO 8601, Unix milliseconds, or before now.
    #[arg(long, value_name = "TIME", default_value = "-1h", allow_hyphen_values = true)]
    from: String,
    /// Until when, exclusive.
    #[arg(long, value_name = "TIME", default_value = "now", allow_hyphen_values = true)]
    to: String,
    /// Length of a bucket: 10s, 1m, 1h, 1d, or all.
    #[arg(long, value_name = "LENGTH", default_value = "1m")]
    resolution: String,
    /// Aggregates: avg,min,max,sum,count,first,last,p50,p95,p99.
    #[arg(long, value_name = "NAMES", default_value = "avg")]
    agg: String,
    /// Readings as they were sent, not in buckets.
    #[arg(long, conflicts_with_all = ["resolution", "agg"])]
    raw: bool,
    /// Only values of this type: double, long, boolean, string.
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Only messages with this tag.
    #[arg(long, value_name = "NAME=VALUE")]
    tag: Option<String>,
    /// Rows at most.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
    #[command(flatten)]
    with: With,
}

/// Rows that the server gives in one page.
const PAGE_ROWS: usize = 10_000;
/// Bars of a sparkline: what fits a terminal of the usual width.
const BARS: usize = 76;

impl Args {
    pub fn run(self) -> Result<()> {
        let answer = self.read(&self.with.client()?)?;
        if self.with.json {
            output::json(&answer);
            return Ok(());
        }
        let points = answer["points"].as_array().map(Vec::as_slice).unwrap_or_default();
        if points.is_empty() {
            eprintln!("nothing between {} and {}", self.from, self.to);
            return Ok(());
        }
        let columns: Vec<&str> = if self.raw { vec!["value", "seq"] } else { self.agg.split(',').collect() };
        let mut headings = vec!["time"];
        headings.extend(&columns);
        let rows = points.iter().map(|point| row(point, &columns));
        output::table(&headings, &rows.collect::<Vec<_>>());
        let step = if self.raw { None } else { units::parse_duration(&self.resolution) };
        let values = series(points, columns[0], step.map(|step| step.as_millis() as i64));
        output::line(format!("\n{}", output::sparkline(&values, BARS)));
        if !answer["next"].is_null() {
            eprintln!("there is more: --limit {} shows the first {}", self.limit * 10, self.limit * 10);
        }
        Ok(())
    }

    /// The answer, its points over as many pages as it takes.
    fn read(&self, client: &Client) -> Result<Value> {
        let path = format!("/v1/devices/{}/metrics", escape(&self.device));
        let tag = self.tag.as_deref().map(tag_parameter).transpose()?;
        let mut points = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let limit = (self.limit - points.len()).clamp(1, PAGE_ROWS).to_string();
            let mut query =
                vec![("metric", self.metric.as_str()), ("from", &self.from), ("to", &self.to), ("limit", &limit)];
            if !self.raw {
                query.extend([("resolution", self.resolution.as_str()), ("agg", &self.agg)]);
            }
            query.extend(self.kind.as_deref().map(|kind| ("type", kind)));
            query.extend(tag.as_ref().map(|(name, value)| (name.as_str(), value.as_str())));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let mut page = client.get(&path, &query)?;
            let Value::Array(found) = page["points"].take() else { bail!("the server's answer has no points") };
            points.extend(found);
            cursor = page["next"].as_str().map(str::to_owned);
            if cursor.is_none() || points.len() >= self.limit {
                page["points"] = json!(points);
                return Ok(page);
            }
        }
    }
}

/// `NAME=VALUE` as the parameter `tag.NAME`.
fn tag_parameter(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) => Ok((format!("tag.{name}"), value.to_owned())),
        None => bail!("--tag `{text}` is not NAME=VALUE"),
    }
}

fn row(point: &Value, columns: &[&str]) -> Vec<String> {
    let time = point["ts"].as_i64().map(times::iso).unwrap_or_default();
    let cells = columns.iter().map(|column| match &point[*column] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => number.as_f64().map(short).unwrap_or_default(),
        other => other.to_string(),
    });
    std::iter::once(time).chain(cells).collect()
}

/// Six significant digits: what a person reads. `--json` has all of them.
fn short(number: f64) -> String {
    let rounded: f64 = format!("{number:.5e}").parse().unwrap_or(number);
    if rounded.abs() >= 1e15 || (rounded != 0.0 && rounded.abs() < 1e-6) {
        format!("{rounded:e}")
    } else {
        rounded.to_string()
    }
}

/// The column's numbers; with a step, a `None` for each bucket that is left out.
fn series(points: &[Value], column: &str, step: Option<i64>) -> Vec<Option<f64>> {
    let mut values = Vec::new();
    let mut expected: Option<i64> = None;
    for point in points {
        let ts = point["ts"].as_i64().unwrap_or_default();
        if let (Some(step), Some(at)) = (step.filter(|step| *step > 0), expected) {
            let gap = ((ts - at) / step).clamp(0, PAGE_ROWS as i64);
            values.extend((0..gap).map(|_| None));
        }
        values.push(point[column].as_f64().or_else(|| point[column].as_bool().map(|flag| f64::from(u8::from(flag)))));
        expected = step.map(|step| ts + step);
    }
    values
}
