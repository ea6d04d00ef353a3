//! The queries of a dashboard over a long history, through the HTTP API: right after it was filled in, after the blocks
//! were merged, and while the server takes in as much as it can.
//!
//! The history is filled in through the front door, with times in the past. Every answer is checked: its number of
//! points, and that an average is over all rows.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use model::{DeviceId, Millis};
use serde_json::{Value, json};

use super::cases::Case;
use super::table::{ms, rate, share};
use super::{Better, Score, Section, SuiteConfig};
use crate::bench::gauges::Gauges;
use crate::bench::measure::measure;
use crate::bench::subject::{Keeper, Request, Subject};
use crate::bench::{Bench, CLASS, Figures, Latency, Load, Step};
use crate::load::{Times, latency_histogram};
use crate::stop::Stop;

/// Devices of the history, and its length.
const DEVICES: usize = 1_000;
const SPAN: Duration = Duration::from_secs(3 * 24 * 3600);
const DAY: Millis = 24 * 3600 * 1000;
const METRIC: &str = "temperature";
/// Rows of the usual run; the full one has 50 million.
pub const ROWS: u64 = 10_000_000;
pub const ROWS_FULL: u64 = 50_000_000;
/// A query is asked so often, but no longer than so long.
const ASKED: usize = 60;
const ASKED_FOR_MAX: Duration = Duration::from_secs(6);
/// Answers that are not counted, so that what can be in memory is.
const WARM_UP: usize = 3;
/// Merging is over when the blocks have stayed the same for so long.
const STEADY: Duration = Duration::from_secs(10);
const MERGE_WAIT_MAX: Duration = Duration::from_secs(240);
/// How long the load runs before the queries begin: connections are made, and the head has rows.
const BUSY_BEFORE: Duration = Duration::from_secs(1);
const TIME_MARGIN: f64 = 0.5;
const BYTES_MARGIN: f64 = 0.05;

/// One of the queries.
struct Query {
    key: &'static str,
    title: &'static str,
    /// What it is to take at most, and what the best engines for it take on such a machine.
    to_reach_ms: f64,
    others: &'static str,
    /// The path for the n-th time it is asked.
    path: fn(&History, usize) -> String,
    /// Whether an answer is right.
    right: fn(&History, &Value) -> bool,
}

static QUERIES: [Query; 3] = [
    Query {
        key: "device-day",
        title: "one device, one day at 1m",
        to_reach_ms: 3.0,
        others: "ClickHouse engine 2.5, QuestDB 7.9",
        path: History::device_day,
        right: History::is_device_day,
    },
    Query {
        key: "latest",
        title: "latest of 1,000 devices",
        to_reach_ms: 3.0,
        others: "QuestDB 2.1, ClickHouse engine 510",
        path: |_, _| format!("/v1/latest?class={CLASS}&limit=1000"),
        // While ingesting there are more devices than fit a page.
        right: |_, answer| answer["devices"].as_array().is_some_and(|devices| devices.len() == DEVICES),
    },
    Query {
        key: "average",
        title: "average over everything",
        to_reach_ms: 10.0,
        others: "QuestDB 7–10, ClickHouse engine 221",
        path: |history, _| history.over_everything("avg,count"),
        right: |history, answer| answer["points"][0]["count"].as_u64() >= Some(history.rows),
    },
];

/// What was filled in.
struct History {
    devices: Vec<DeviceId>,
    first: Millis,
    /// Between two messages of a device.
    interval: Millis,
    rows: u64,
}

impl History {
    /// The second day of a device; another device each time.
    fn device_day(&self, number: usize) -> String {
        let device = self.devices[number * 389 % self.devices.len()];
        // A whole day from midnight on, so that there are 1,440 buckets.
        let from = (self.first / DAY + 2) * DAY;
        format!("/v1/devices/{device}/metrics?metric={METRIC}&from={from}&to={}&resolution=1m&agg=avg", from + DAY)
    }

    /// A bucket for every minute, or for every message if they are further apart.
    fn is_device_day(&self, answer: &Value) -> bool {
        let expect = DAY / self.interval.max(60_000);
        answer["points"].as_array().is_some_and(|points| (points.len() as i64 - expect).abs() <= 1)
    }

    fn over_everything(&self, aggregates: &str) -> String {
        let from = self.first - DAY;
        format!("/v1/classes/{CLASS}/metrics?metric={METRIC}&from={from}&resolution=all&agg={aggregates}")
    }
}

pub fn run(bench: Bench<'_>, config: &SuiteConfig) -> Result<Section> {
    let null_rate = null_rate(bench)?;
    let (subject, filled, history) = fill(bench, config)?;
    let keeper = subject.keeper.as_ref().context("a server that keeps what it takes")?;
    let gauges = Gauges::new(keeper.operations.as_deref().context("the server is ours")?);
    let fill_rate = filled.acked_per_second;
    let mut table = Table { section: section(history.rows), null_rate };
    table.note_store("unmerged", &gauges)?;
    table.phase(bench, keeper, &history, "unmerged")?;
    wait_for_merging(bench, &gauges)?;
    table.note_store("merged", &gauges)?;
    table.phase(bench, keeper, &history, "merged")?;
    let busy_rate = busy(bench, &mut table, &subject, &history)?;
    let mut section = table.section;
    section.notes.push(format!("filled in at {} rows/s; null server {}", rate(Some(fill_rate)), rate(Some(null_rate))));
    section.notes.push(format!("ingest while the queries ran: {} msg/s", rate(Some(busy_rate))));
    subject.end()?;
    Ok(section)
}

fn section(rows: u64) -> Section {
    Section {
        title: format!(
            "Queries over {} rows of {DEVICES} devices, warm, through the HTTP API",
            rate(Some(rows as f64))
        ),
        headings: vec!["query", "blocks", "p50 ms", "p99 ms", "first ms", "to reach", "others (from their own runs)"],
        rows: Vec::new(),
        notes: Vec::new(),
        scores: Vec::new(),
        data: json!({}),
    }
}

/// The measure of this machine's speed: messages a second of the null server.
fn null_rate(bench: Bench<'_>) -> Result<f64> {
    let load = Load { duration: Some(Duration::from_secs(2)), ..Case::new("null", "null", 16, 100).load };
    let mut null = Subject::null(bench, &load)?;
    Ok(measure(bench, &load, &mut null, None)?.acked_per_second)
}

/// Fills in the history, one device after the other within a key's connections.
fn fill(bench: Bench<'_>, config: &SuiteConfig) -> Result<(Subject, Figures, History)> {
    let per_device = config.rows.div_ceil(DEVICES as u64);
    let rows = per_device * DEVICES as u64;
    let interval = (SPAN.as_millis() as u64 / per_device) as u32;
    let first = bench.clock.now_ms() - SPAN.as_millis() as Millis;
    let case = Case::new("history", "history", 10, 160).with(|load| {
        (load.devices, load.with_key) = (DEVICES, true);
        (load.messages, load.duration) = (Some(rows), None);
        load.times = Times::Past { first, interval };
    });
    (bench.step)(Step::Part(format!("filling in {} rows", rate(Some(rows as f64)))));
    let request = Request { load: &case.load, probe_interval: Some(case.probe_interval) };
    let mut subject = Subject::start(bench, &request, &config.parent, &[])?;
    let filled = measure(bench, &case.load, &mut subject, None)?;
    ensure!(filled.stored == Some(rows), "{:?} of {rows} rows were stored", filled.stored);
    let devices = subject.senders.devices.to_vec();
    Ok((subject, filled, History { devices, first, interval: Millis::from(interval), rows }))
}

/// Waits until maintenance has nothing to merge any more.
fn wait_for_merging(bench: Bench<'_>, gauges: &Gauges) -> Result<()> {
    (bench.step)(Step::Part("waiting for the blocks to be merged".to_owned()));
    let give_up = bench.clock.monotonic() + MERGE_WAIT_MAX;
    let mut steady_since = bench.clock.monotonic();
    let state = |gauges: &Gauges| {
        let reading = gauges.read()?;
        Ok::<_, anyhow::Error>((reading.of("tidewater_blocks"), reading.of("tidewater_block_bytes")))
    };
    let mut last = state(gauges)?;
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let (now, current) = (bench.clock.monotonic(), state(gauges)?);
        if current != last {
            (last, steady_since) = (current, now);
        }
        if now - steady_since >= STEADY || now > give_up {
            return Ok(());
        }
        if bench.stop.wanted() {
            bail!("stopped while blocks were merged");
        }
    }
}

/// The queries while a load runs at full rate; returns its rate.
fn busy(bench: Bench<'_>, table: &mut Table, subject: &Subject, history: &History) -> Result<f64> {
    let keeper = subject.keeper.as_ref().context("a server that keeps what it takes")?;
    let over = Stop::default();
    let load = Case::new("busy", "busy", 16, 100)
        .with(|load| (load.with_key, load.duration) = (true, Some(Duration::from_secs(120))))
        .load;
    let mut beside = subject.beside(load.devices)?;
    let under_load = Bench { stop: &over, ..bench };
    std::thread::scope(|scope| {
        let ingest = scope.spawn(|| measure(under_load, &load, &mut beside, None));
        // Until connections are made and the head has filled.
        std::thread::sleep(BUSY_BEFORE);
        let asked = table.phase(bench, keeper, history, "while ingesting");
        over.stop();
        let figures = ingest.join().map_err(|_| anyhow::anyhow!("the load panicked"))??;
        asked?;
        Ok(figures.acked_per_second)
    })
}

/// The section in the making.
struct Table {
    section: Section,
    null_rate: f64,
}

impl Table {
    /// Asks all queries.
    fn phase(&mut self, bench: Bench<'_>, keeper: &Keeper, history: &History, phase: &str) -> Result<()> {
        for query in &QUERIES {
            (bench.step)(Step::Part(format!("{}, {phase}", query.title)));
            let (first, latency) = ask(bench, keeper, history, query)?;
            let latency = Latency::of(&latency);
            self.section.rows.push(vec![
                query.title.to_owned(),
                phase.to_owned(),
                ms(Some(latency.p50_ms)),
                ms(Some(latency.p99_ms)),
                ms(Some(first.as_secs_f64() * 1e3)),
                format!("{}", query.to_reach_ms),
                query.others.to_owned(),
            ]);
            let key = format!("query-{}-{}", query.key, phase.replace(' ', "-"));
            self.section.data[&key] = json!(latency);
            // In messages that the null server takes meanwhile: comparable between machines.
            let value = latency.p50_ms * self.null_rate / 1e3;
            self.section.scores.push(Score { key, value, better: Better::Lower, margin: TIME_MARGIN });
        }
        Ok(())
    }

    fn note_store(&mut self, phase: &str, gauges: &Gauges) -> Result<()> {
        let reading = gauges.read()?;
        let (blocks, bytes) = (reading.of("tidewater_blocks"), reading.of("tidewater_block_bytes"));
        let rows = reading.of("tidewater_block_rows");
        let mut note = format!("{phase}: {blocks} blocks, {} bytes", rate(Some(bytes)));
        if rows > 0.0 {
            note += &format!(", {} bytes a row", share(Some(bytes / rows)));
            let key = format!("bytes-a-row-{phase}");
            self.section.scores.push(Score { key, value: bytes / rows, better: Better::Lower, margin: BYTES_MARGIN });
        }
        let written = reading.of("tidewater_store_written_bytes_total");
        if written > 0.0 {
            note += &format!(", written {} × what is kept", share(Some(written / bytes)));
        }
        self.section.notes.push(note);
        Ok(())
    }
}

/// Asks one query again and again: how long the first answer took, and the later ones.
fn ask(bench: Bench<'_>, keeper: &Keeper, history: &History, query: &Query) -> Result<(Duration, Histogram<u64>)> {
    let mut latency = latency_histogram();
    let once = |number: usize| -> Result<Duration> {
        let started = bench.clock.monotonic();
        let answer = keeper.api.text(&(query.path)(history, number))?;
        let took = bench.clock.monotonic() - started;
        let answer: Value = serde_json::from_str(&answer)?;
        let path = (query.path)(history, number);
        ensure!((query.right)(history, &answer), "{path} is not answered with what was filled in: {answer:.300}");
        Ok(took)
    };
    let first = once(0)?;
    (1..WARM_UP).try_for_each(|number| once(number).map(drop))?;
    let give_up = bench.clock.monotonic() + ASKED_FOR_MAX;
    for number in WARM_UP..WARM_UP + ASKED {
        latency.saturating_record((once(number)?.as_micros() as u64).max(1));
        if bench.clock.monotonic() > give_up {
            break;
        }
    }
    Ok((first, latency))
}
