//! The figures of a bench.

use std::collections::BTreeMap;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;

use super::gauges::Reading;
use super::probe::Visible;
use super::{Load, Protocol};
use crate::load::LoadReport;
use crate::load::payload::Shape;
use crate::process::Usage;

/// What was measured, on what, and the server beside the null server.
#[derive(Clone, Debug, Serialize)]
pub struct BenchReport {
    pub protocol: String,
    pub connections: usize,
    pub devices: usize,
    pub with_key: bool,
    /// Messages in flight on a connection, where that is what bounds it.
    pub window: Option<u32>,
    /// Messages a second that were asked for; none: as fast as the window allows.
    pub rate: Option<f64>,
    pub metrics: usize,
    /// With QoS 0 nothing is acknowledged: figures are of what was sent.
    pub acknowledged: bool,
    pub null: Option<Figures>,
    pub server: Option<Figures>,
    /// The server's rate as a share of the null server's.
    pub share_of_null: Option<f64>,
}

/// One server's figures.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    pub sent: u64,
    pub acked: u64,
    /// Until all connections were made, and from there to the last acknowledgement.
    pub connecting_seconds: f64,
    pub seconds: f64,
    pub acked_per_second: f64,
    /// Of what was acknowledged, until all of it was queryable.
    pub queryable_per_second: Option<f64>,
    pub readings_per_second: f64,
    /// Rows that the store has of it, counted by a query when all was queryable.
    pub stored: Option<u64>,
    pub ack: Latency,
    pub queryable: Option<Latency>,
    /// Why queryability could not be measured.
    pub probe_trouble: Option<String>,
    pub server_cpu_seconds_per_million: Option<f64>,
    pub generator_cpu_seconds_per_million: f64,
    /// CPU nanoseconds per message of the server's threads, by name.
    pub server_threads_ns: BTreeMap<String, f64>,
    /// Bytes that the server handed to the disk, per message.
    pub written_bytes_per_message: Option<f64>,
    /// Memory that the server had in use at the end and at most, in bytes.
    pub server_memory: Option<u64>,
    pub server_memory_max: Option<u64>,
    /// What the server held while the load ran; none if it was not asked.
    pub held: Option<Held>,
    pub resent: u64,
    pub refused: u64,
    pub reconnects: u64,
}

/// What a server held while a load ran, as seen every 100 ms.
#[derive(Clone, Copy, PartialEq, Default, Debug, Serialize)]
pub struct Held {
    /// Looks at it.
    pub looks: u64,
    /// Resident bytes when the load began, half-way and when it ended.
    pub memory_first: u64,
    pub memory_middle: u64,
    pub memory_last: u64,
    /// Durable bytes of `raw` that were not queryable.
    pub lag_bytes_max: u64,
    /// Memory of rows that were not in a block.
    pub head_bytes_max: u64,
    /// Looks at which ingest was paused.
    pub paused: u64,
    #[serde(skip)]
    pub generator_seconds: f64,
}

impl Held {
    /// Notes a look at a server that says nothing about itself.
    pub(super) fn look(&mut self, memory: u64, half_over: bool) {
        if self.looks == 0 {
            self.memory_first = memory;
        }
        if !half_over {
            self.memory_middle = memory;
        }
        self.memory_last = memory;
        self.looks += 1;
    }

    pub(super) fn note(&mut self, reading: &Reading) {
        self.lag_bytes_max = self.lag_bytes_max.max(reading.of("tidewater_lag_bytes") as u64);
        self.head_bytes_max = self.head_bytes_max.max(reading.of("tidewater_head_bytes") as u64);
        self.paused += reading.of("tidewater_ingest_held") as u64;
    }
}

/// Milliseconds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Latency {
    pub count: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

impl Latency {
    /// From a histogram of microseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let ms = |micros: u64| micros as f64 / 1000.0;
        Self {
            count: histogram.len(),
            p50_ms: ms(histogram.value_at_quantile(0.5)),
            p99_ms: ms(histogram.value_at_quantile(0.99)),
            max_ms: ms(histogram.max()),
        }
    }
}

impl BenchReport {
    pub(super) fn new(load: &Load) -> Self {
        let protocol = match load.protocol {
            Protocol::Mqtt { version: mqtt::Version::V3, qos } => format!("MQTT 3.1.1 QoS {}", qos as u8),
            Protocol::Mqtt { version: mqtt::Version::V5, qos } => format!("MQTT 5.0 QoS {}", qos as u8),
            Protocol::Http { array: 1 } => "HTTP, one message a request".to_owned(),
            Protocol::Http { array } => format!("HTTP, {array} messages a request"),
        };
        Self {
            protocol,
            connections: load.connections,
            devices: load.devices,
            with_key: load.keyed(),
            window: match load.protocol {
                Protocol::Http { .. } | Protocol::Mqtt { qos: mqtt::Qos::AtMostOnce, .. } => None,
                Protocol::Mqtt { .. } => Some(load.window),
            },
            rate: load.rate,
            metrics: load.shape.metrics().len(),
            acknowledged: load.acknowledged(),
            null: None,
            server: None,
            share_of_null: None,
        }
    }

    pub(super) fn relate(&mut self) {
        if let (Some(server), Some(null)) = (&self.server, &self.null) {
            self.share_of_null = Some(server.acked_per_second / null.acked_per_second);
        }
    }
}

impl Figures {
    pub(super) fn new(outcome: &LoadReport, shape: Shape, visible: Option<Result<Visible>>) -> Self {
        let probe_trouble = visible.as_ref().and_then(|visible| Some(format!("{:#}", visible.as_ref().err()?)));
        let visible = visible.and_then(Result::ok);
        let queryable_per_second = |visible: &Visible| {
            let seconds = visible.all_at?.saturating_sub(outcome.started).as_secs_f64();
            (seconds > 0.0).then(|| outcome.acked as f64 / seconds)
        };
        Self {
            sent: outcome.sent,
            acked: outcome.acked,
            connecting_seconds: 0.0,
            seconds: outcome.elapsed.as_secs_f64(),
            acked_per_second: outcome.rate(),
            queryable_per_second: visible.as_ref().and_then(queryable_per_second),
            readings_per_second: outcome.rate() * shape.metrics().len() as f64,
            stored: None,
            ack: Latency::of(&outcome.ack_us),
            queryable: visible.as_ref().map(|visible| Latency::of(&visible.latency_us)),
            probe_trouble,
            server_cpu_seconds_per_million: None,
            generator_cpu_seconds_per_million: 0.0,
            server_threads_ns: BTreeMap::new(),
            written_bytes_per_message: None,
            server_memory: None,
            server_memory_max: None,
            held: None,
            resent: outcome.resent,
            refused: outcome.refused,
            reconnects: outcome.reconnects,
        }
    }

    /// Adds what the run cost: what the server used up, if it runs here, and what it held.
    pub(super) fn spent(&mut self, server: Option<&Usage>, held: Held) {
        let acked = self.acked.max(1) as f64;
        self.generator_cpu_seconds_per_million = held.generator_seconds * 1e6 / acked;
        self.held = (held.looks > 0).then_some(held);
        let Some(usage) = server else { return };
        self.server_cpu_seconds_per_million = Some(usage.cpu_seconds * 1e6 / acked);
        let threads = usage.threads.iter().map(|(name, seconds)| (name.clone(), seconds * 1e9 / acked));
        self.server_threads_ns = threads.filter(|(_, nanos)| *nanos >= 1.0).collect();
        self.written_bytes_per_message = Some(usage.written_bytes as f64 / acked);
        (self.server_memory, self.server_memory_max) = (Some(usage.memory), Some(usage.memory_max));
    }
}

/// A row of the table.
struct Line {
    name: &'static str,
    /// What it is called where nothing is acknowledged; none: it says nothing there.
    name_unacknowledged: Option<&'static str>,
    cell: fn(&Figures) -> Option<String>,
}

const fn line(name: &'static str, cell: fn(&Figures) -> Option<String>) -> Line {
    Line { name, name_unacknowledged: Some(name), cell }
}

const fn of_acks(name: &'static str, sent: Option<&'static str>, cell: fn(&Figures) -> Option<String>) -> Line {
    Line { name, name_unacknowledged: sent, cell }
}

static LINES: [Line; 20] = [
    of_acks("messages acknowledged", Some("messages sent"), |figures| Some(thousands(figures.acked as f64))),
    line("messages stored", |figures| Some(thousands(figures.stored? as f64))),
    line("seconds", |figures| Some(format!("{:.2}", figures.seconds))),
    of_acks("acknowledged a second", Some("sent a second"), |figures| Some(thousands(figures.acked_per_second))),
    line("queryable a second", |figures| figures.queryable_per_second.map(thousands)),
    line("readings a second", |figures| Some(thousands(figures.readings_per_second))),
    of_acks("ack p50 ms", None, |figures| Some(three_decimals(figures.ack.p50_ms))),
    of_acks("ack p99 ms", None, |figures| Some(three_decimals(figures.ack.p99_ms))),
    of_acks("ack max ms", None, |figures| Some(three_decimals(figures.ack.max_ms))),
    line("sent to queryable p50 ms", |figures| Some(three_decimals(figures.queryable?.p50_ms))),
    line("sent to queryable p99 ms", |figures| Some(three_decimals(figures.queryable?.p99_ms))),
    line("sent to queryable max ms", |figures| Some(three_decimals(figures.queryable?.max_ms))),
    line("server CPU s per million", |figures| Some(three_decimals(figures.server_cpu_seconds_per_million?))),
    line("generator CPU s per million", |figures| Some(three_decimals(figures.generator_cpu_seconds_per_million))),
    line("server memory max MiB", |figures| Some(mebibytes(figures.server_memory_max?))),
    line("server lag max MiB", |figures| Some(mebibytes(figures.held?.lag_bytes_max))),
    line("server wrote bytes a message", |figures| figures.written_bytes_per_message.map(thousands)),
    line("sent again", |figures| (figures.resent > 0).then(|| thousands(figures.resent as f64))),
    line("refused", |figures| (figures.refused > 0).then(|| thousands(figures.refused as f64))),
    line("reconnects", |figures| (figures.reconnects > 0).then(|| thousands(figures.reconnects as f64))),
];

fn mebibytes(bytes: u64) -> String {
    thousands(bytes as f64 / f64::from(1 << 20))
}

/// A number with three decimals.
fn three_decimals(number: f64) -> String {
    format!("{number:.3}")
}

/// `1234567` as `1,234,567`.
pub fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |digits| ("-", digits));
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    format!("{sign}{}", groups.join(","))
}

impl BenchReport {
    /// The report as rows: what, null server, server. What was not measured has no row.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let measured = [&self.null, &self.server];
        let row = |line: &Line| {
            let cells = measured.into_iter().flatten().map(|figures| (line.cell)(figures).unwrap_or_default());
            let cells: Vec<String> = cells.collect();
            let name = if self.acknowledged { line.name } else { line.name_unacknowledged? };
            cells.iter().any(|cell| !cell.is_empty()).then(|| [vec![name.to_owned()], cells].concat())
        };
        LINES.iter().filter_map(row).collect()
    }

    /// The headings of [`BenchReport::rows`].
    pub fn headings(&self) -> Vec<&'static str> {
        let columns = [("null server", self.null.is_some()), ("tidewater", self.server.is_some())];
        let measured = columns.into_iter().filter_map(|(name, there)| there.then_some(name));
        std::iter::once("").chain(measured).collect()
    }

    /// What was asked for, in one line.
    pub fn title(&self) -> String {
        let Self { protocol, connections, devices, metrics, .. } = self;
        let pace = self.rate.map_or("as fast as it goes".to_owned(), |rate| format!("{} messages/s", thousands(rate)));
        let who = if self.with_key { "API key" } else { "device tokens" };
        let window = self.window.map_or(String::new(), |window| format!(" × window {window}"));
        format!("{protocol}, {connections} connections{window}, {devices} devices, {who}, {metrics} metrics, {pace}")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::latency_histogram;

    fn outcome() -> LoadReport {
        let mut ack_us = latency_histogram();
        (1..=1000).for_each(|micros| ack_us.record(micros * 10).unwrap());
        LoadReport {
            started: Duration::from_secs(5),
            elapsed: Duration::from_secs(2),
            sent: 1_000_000,
            acked: 1_000_000,
            resent: 0,
            refused: 0,
            reconnects: 0,
            begun: Vec::new(),
            ack_us,
        }
    }

    #[test]
    fn rates_count_until_the_last_acknowledgement_and_until_all_is_queryable() {
        let visible = Visible { latency_us: latency_histogram(), all_at: Some(Duration::from_secs(9)) };
        let figures = Figures::new(&outcome(), Shape::Twelve, Some(Ok(visible)));
        assert_eq!(figures.acked_per_second, 500_000.0);
        assert_eq!(figures.queryable_per_second, Some(250_000.0));
        assert_eq!(figures.readings_per_second, 6_000_000.0);
        assert!((figures.ack.p50_ms - 5.0).abs() < 0.01 && (figures.ack.p99_ms - 9.9).abs() < 0.02);
    }

    #[test]
    fn what_never_became_queryable_has_no_rate() {
        let visible = Visible { latency_us: latency_histogram(), all_at: None };
        assert_eq!(Figures::new(&outcome(), Shape::Two, Some(Ok(visible))).queryable_per_second, None);
    }

    #[test]
    fn cost_is_per_million_acknowledged() {
        let mut figures = Figures::new(&outcome(), Shape::Two, None);
        let threads = [("gateway".to_owned(), 2.0), ("signals".to_owned(), 0.0)].into();
        let usage = Usage { cpu_seconds: 3.0, threads, written_bytes: 150_000_000, memory: 5, memory_max: 7 };
        figures.spent(Some(&usage), Held { generator_seconds: 0.5, ..Held::default() });
        assert_eq!(figures.server_cpu_seconds_per_million, Some(3.0));
        assert_eq!(figures.generator_cpu_seconds_per_million, 0.5);
        assert_eq!(figures.server_threads_ns, [("gateway".to_owned(), 2000.0)].into());
        assert_eq!(figures.written_bytes_per_message, Some(150.0));
    }

    #[test]
    fn the_table_has_a_column_per_server_and_no_empty_rows() {
        let null = Figures::new(&outcome(), Shape::Two, None);
        let server = Figures { stored: Some(1_000_000), refused: 3, ..null.clone() };
        let report = BenchReport {
            protocol: "MQTT".to_owned(),
            connections: 16,
            devices: 16,
            with_key: false,
            window: Some(100),
            rate: None,
            metrics: 2,
            acknowledged: true,
            null: Some(null),
            server: Some(server),
            share_of_null: None,
        };
        assert_eq!(report.headings(), ["", "null server", "tidewater"]);
        let rows = report.rows();
        assert_eq!(rows[0], ["messages acknowledged", "1,000,000", "1,000,000"]);
        assert_eq!(rows[1], ["messages stored", "", "1,000,000"]);
        assert_eq!(rows.last().unwrap(), &["refused", "", "3"]);
        assert!(rows.iter().all(|row| row[0] != "reconnects"));
        let unacknowledged = BenchReport { acknowledged: false, ..report }.rows();
        assert_eq!(unacknowledged[0][0], "messages sent");
        assert!(unacknowledged.iter().all(|row| !row[0].starts_with("ack")));
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([0.0, 999.0, 1_000.0, -1_234_567.0].map(thousands), ["0", "999", "1,000", "-1,234,567"]);
    }
}
