//! `tidewater query`: readings of a device or over a class, as a table and a sparkline, or what was said last.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::client::{Client, escape};
use super::output;
use super::resource::With;
use crate::http::times;
use crate::units;

mod latest;
#[cfg(test)]
mod tests;

/// Print readings of a device, or over all devices of a class.
///
/// Without --raw they come in buckets, each with the aggregates asked for; below the table a sparkline shows the first
/// of them.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tidewater query c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7 temperature
  tidewater query DEVICE temperature --from -24h --resolution 1h --agg avg,min,max
  tidewater query DEVICE temperature --from 2026-11-24T00:00:00Z --raw --json
  tidewater query --class pump temperature --from -7d --resolution 1d --by-device
  tidewater query --class pump --latest")]
pub struct Args {
    /// The device's id, unless there is a --class; then the metric, unless --latest is asked for.
    #[arg(value_name = "DEVICE METRIC", num_args = 0..=2)]
    of: Vec<String>,
    /// All devices of this class.
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// One series for each device of the class instead of one over all.
    #[arg(long, requires = "class", conflicts_with_all = ["raw", "latest"])]
    by_device: bool,
    /// What was said last, of each metric.
    #[arg(long, conflicts_with_all = ["raw", "resolution", "agg", "from", "to", "kind", "tag"])]
    latest: bool,
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

/// Whose readings are meant.
#[derive(PartialEq, Eq, Debug)]
enum Subject {
    Device(String),
    Class(String),
}

impl Args {
    pub fn run(self) -> Result<()> {
        let (subject, metric) = self.subject()?;
        let client = self.with.client()?;
        let answer = match &metric {
            None => latest::read(&client, &subject, self.limit)?,
            Some(metric) => self.read(&client, &subject, metric)?,
        };
        if self.with.json {
            output::json(&answer);
        } else if metric.is_none() {
            latest::print(&answer);
        } else {
            self.print(&answer);
        }
        if !answer["next"].is_null() {
            eprintln!("there is more: --limit {} shows the first {}", self.limit * 10, self.limit * 10);
        }
        Ok(())
    }

    /// What the words of the command line name: whose readings, and of which metric unless the latest is asked for.
    fn subject(&self) -> Result<(Subject, Option<String>)> {
        let mut words = self.of.iter().cloned();
        let subject = match &self.class {
            Some(class) => Subject::Class(class.clone()),
            None => match words.next() {
                Some(device) => Subject::Device(device),
                None => bail!("name a device, or a class with --class"),
            },
        };
        let metric = if self.latest { None } else { words.next() };
        match (words.next(), self.latest || metric.is_some()) {
            (Some(word), _) => bail!("`{word}` is one word too many: write {}", self.usage()),
            (None, false) => bail!("name a metric: write {}", self.usage()),
            (None, true) => Ok((subject, metric)),
        }
    }

    fn usage(&self) -> &'static str {
        match (self.class.is_some(), self.latest) {
            (true, true) => "`--class CLASS --latest`",
            (true, false) => "`--class CLASS METRIC`",
            (false, true) => "`DEVICE --latest`",
            (false, false) => "`DEVICE METRIC`",
        }
    }

    fn print(&self, answer: &Value) {
        let of_one = |points: &Value| points.as_array().cloned().unwrap_or_default();
        let of_series = |series: &Value| (series["device_id"].as_str().map(str::to_owned), of_one(&series["points"]));
        let series: Vec<(Option<String>, Vec<Value>)> = match answer["series"].as_array() {
            Some(series) => series.iter().map(of_series).collect(),
            None => vec![(None, of_one(&answer["points"]))],
        };
        if series.iter().all(|(_, points)| points.is_empty()) {
            eprintln!("nothing between {} and {}", self.from, self.to);
            return;
        }
        let columns: Vec<&str> = match (self.raw, &self.class) {
            (true, None) => vec!["value", "seq"],
            (true, Some(_)) => vec!["device_id", "value", "seq"],
            (false, _) => self.agg.split(',').collect(),
        };
        let step = if self.raw { None } else { units::parse_duration(&self.resolution) };
        for (device, points) in &series {
            if let Some(device) = device {
                output::line(format!("\n{device}"));
            }
            let headings: Vec<String> = std::iter::once("time".to_owned())
                .chain(columns.iter().map(|name| heading(name, &answer["unit"])))
                .collect();
            let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
            output::table(&headings, &points.iter().map(|point| row(point, &columns)).collect::<Vec<_>>());
            let first = columns.iter().find(|column| **column != "device_id").expect("there is a column of values");
            let values = values(points, first, step.map(|step| step.as_millis() as i64));
            output::line(format!("\n{}", output::sparkline(&values, BARS)));
        }
    }

    /// The answer, its points over as many pages as it takes.
    fn read(&self, client: &Client, subject: &Subject, metric: &str) -> Result<Value> {
        let path = match subject {
            Subject::Device(device) => format!("/v1/devices/{}/metrics", escape(device)),
            Subject::Class(class) => format!("/v1/classes/{}/metrics", escape(class)),
        };
        let tag = self.tag.as_deref().map(tag_parameter).transpose()?;
        let list = if self.by_device { "series" } else { "points" };
        let (mut all, mut count) = (Vec::new(), 0);
        let mut cursor: Option<String> = None;
        loop {
            let limit = (self.limit - count).clamp(1, PAGE_ROWS).to_string();
            let mut query = vec![("metric", metric), ("from", &self.from), ("to", &self.to), ("limit", &limit)];
            if !self.raw {
                query.extend([("resolution", self.resolution.as_str()), ("agg", &self.agg)]);
            }
            query.extend(self.by_device.then_some(("by", "device")));
            query.extend(self.kind.as_deref().map(|kind| ("type", kind)));
            query.extend(tag.as_ref().map(|(name, value)| (name.as_str(), value.as_str())));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let mut page = client.get(&path, &query)?;
            let Value::Array(found) = page[list].take() else { bail!("the server's answer has no {list}") };
            count += found.iter().map(|found| found["points"].as_array().map_or(1, Vec::len)).sum::<usize>();
            found.into_iter().for_each(|found| join(&mut all, found));
            cursor = page["next"].as_str().map(str::to_owned);
            if cursor.is_none() || count >= self.limit {
                page[list] = json!(all);
                return Ok(page);
            }
        }
    }
}

/// Adds a point, or a series; a series that goes on from the page before becomes one with it.
fn join(all: &mut Vec<Value>, mut found: Value) {
    let last = all.last_mut().filter(|last| found.get("points").is_some() && last["device_id"] == found["device_id"]);
    match (last, found.get_mut("points")) {
        (Some(Value::Object(last)), Some(Value::Array(more))) => {
            last.get_mut("points").and_then(Value::as_array_mut).into_iter().for_each(|points| points.append(more));
        }
        _ => all.push(found),
    }
}

/// `NAME=VALUE` as the parameter `tag.NAME`.
fn tag_parameter(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) => Ok((format!("tag.{name}"), value.to_owned())),
        None => bail!("--tag `{text}` is not NAME=VALUE"),
    }
}

/// The name of a column, with the unit of its values if they have one.
fn heading(column: &str, unit: &Value) -> String {
    match unit.as_str() {
        Some(unit) if !["device_id", "seq", "count"].contains(&column) => format!("{column} ({unit})"),
        _ => column.to_owned(),
    }
}

fn row(point: &Value, columns: &[&str]) -> Vec<String> {
    let time = point["ts"].as_i64().map(times::iso).unwrap_or_default();
    std::iter::once(time).chain(columns.iter().map(|column| shown(&point[*column]))).collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => number.as_f64().map(short).unwrap_or_default(),
        other => other.to_string(),
    }
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
fn values(points: &[Value], column: &str, step: Option<i64>) -> Vec<Option<f64>> {
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
