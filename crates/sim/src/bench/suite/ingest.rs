//! What the server takes in: as fast as the window allows, with many devices behind a key, and at a pace.

use std::time::Duration;

use anyhow::{Context, Result};
use mqtt::{Qos, Version};
use serde_json::{Value, json};

use super::cases::{self, Case, Contender, Measured};
use super::table::{mebibytes, ms, rate, share};
use super::{Better, Score, Section, SuiteConfig};
use crate::bench::measure::measure;
use crate::bench::report::thousands;
use crate::bench::subject::{Request, Subject};
use crate::bench::{Bench, Figures, Load, Protocol, Step};
use crate::load::payload::Shape;

/// How far a share of the null server may lie below the baseline's: two runs on one quiet machine differ by up to a tenth.
const SHARE_MARGIN: f64 = 0.2;
/// The same for CPU time at a pace, which also depends on how the kernel wakes threads.
const CPU_MARGIN: f64 = 0.3;

const HEADINGS: [&str; 16] = [
    "load",
    "server",
    "msg/s",
    "of null",
    "to reach",
    "queryable/s",
    "ack p50 ms",
    "p99",
    "max",
    "visible p50 ms",
    "p99",
    "max",
    "CPU s/M",
    "sender CPU s/M",
    "lag max MiB",
    "RSS max MiB",
];

fn mqtt(qos: Qos) -> Protocol {
    Protocol::Mqtt { version: Version::V5, qos }
}

/// The loads of part `ingest`.
fn window_cases() -> Vec<Case> {
    let qos = |qos| move |load: &mut Load| load.protocol = mqtt(qos);
    let http = |array| move |load: &mut Load| load.protocol = Protocol::Http { array };
    vec![
        Case::new("qos1-16x100", "QoS 1, 16 × 100", 16, 100).at_least(0.2),
        Case::new("qos1-200x100", "QoS 1, 200 × 100", 200, 100).at_least(0.4),
        Case::new("qos1-2000x10", "QoS 1, 2,000 × 10", 2_000, 10).at_least(0.8),
        Case::new("qos1-2000x1", "QoS 1, 2,000 × 1", 2_000, 1).at_least(0.9),
        Case::new("qos1-10000x1", "QoS 1, 10,000 × 1", 10_000, 1),
        Case::new("qos0-16", "QoS 0, 16", 16, 100).with(qos(Qos::AtMostOnce)),
        Case::new("qos2-16x100", "QoS 2, 16 × 100", 16, 100).with(qos(Qos::ExactlyOnce)),
        Case::new("http-16", "HTTP, 16, one a request", 16, 1).with(http(1)),
        Case::new("http-16x100", "HTTP, 16, arrays of 100", 16, 1).with(http(100)),
        Case::new("qos1-16x100-12", "QoS 1, 16 × 100, 12 metrics", 16, 100).with(|load| load.shape = Shape::Twelve),
    ]
}

/// As fast as the window allows, one device a connection.
pub fn windows(bench: Bench<'_>, config: &SuiteConfig) -> Result<Section> {
    let mut section = section("Ingest: connections × window, one device a connection");
    for case in window_cases() {
        let mut contenders = case.subjects(bench, config)?;
        contenders.extend(case.peers(bench, config)?);
        let measured = cases::run(bench, case.title, contenders, config.rounds)?;
        add(&mut section, &case, &measured);
        if case.load.shape == Shape::Twelve {
            let readings = measured[1].middle(|figures| Some(figures.readings_per_second));
            section.notes.push(format!("{}: {} readings/s", case.title, rate(readings)));
        }
        if case.key == "qos1-16x100" {
            section.notes.push(format!("{}: CPU ns a message by thread: {}", case.title, threads(&measured[1])));
        }
    }
    Ok(section)
}

/// Devices behind one key.
const FLEETS: [(&str, &str, usize); 3] = [
    ("key-1000", "QoS 1, 16 × 100, key for 1,000", 1_000),
    ("key-100000", "QoS 1, 16 × 100, key for 100,000", 100_000),
    ("key-1000000", "QoS 1, 16 × 100, key for 1,000,000", 1_000_000),
];

/// An API key that speaks for many devices. Each has spoken once before it is measured.
pub fn devices(bench: Bench<'_>, config: &SuiteConfig) -> Result<Section> {
    let mut section = section("Devices: one API key speaks for them all, the full topic in every message");
    for (key, title, devices) in FLEETS {
        let case = Case::new(key, title, 16, 100).at_least(0.15).with(|load| load.devices = devices);
        let registering = bench.clock.monotonic();
        let mut contenders = case.subjects(bench, config)?;
        let registered = bench.clock.monotonic() - registering;
        let memory = |contender: &cases::Contender| {
            let pid = contender.subject.pid.context("the server runs here")?;
            Ok::<u64, anyhow::Error>(crate::process::memory_bytes(pid)?.0)
        };
        let server = &mut contenders[1];
        (bench.step)(Step::Part(format!("{title}, every device for the first time")));
        let before = memory(server)?;
        let once = Load { messages: Some(devices as u64), duration: None, ..case.load.clone() };
        let first = measure(bench, &once, &mut server.subject, None)?;
        let grown = memory(server)?.saturating_sub(before);
        let measured = cases::run(bench, title, contenders, config.rounds)?;
        add(&mut section, &case, &measured);
        section.notes.push(format!(
            "{title}: registered at {} a second; their first messages taken at {} a second, {} bytes of RSS a device \
             with its first row",
            thousands(devices as f64 / registered.as_secs_f64()),
            thousands(first.acked_per_second),
            thousands(grown as f64 / devices as f64)
        ));
    }
    Ok(section)
}

/// The share of the rate without a schema that is left with one of twelve fields, two conversions and three tags.
const UNDER_SCHEMA_SHARE_MIN: f64 = 0.85;

/// Twelve metrics under a schema, beside the same without one.
pub fn under_schema(bench: Bench<'_>, config: &SuiteConfig) -> Result<Section> {
    let mut section = section("Schema: twelve fields with ranges, two units converted, three tags from metadata");
    let case =
        Case::new("schema-16x100-12", "QoS 1, 16 × 100, 12 metrics", 16, 100).with(|load| load.shape = Shape::Twelve);
    let mut contenders = case.subjects(bench, config)?;
    let checked = Load { with_schema: true, ..case.load.clone() };
    let request = Request { load: &checked, probe_interval: Some(case.probe_interval) };
    let subject = Subject::start(bench, &request, &config.parent, &[])?;
    contenders.push(Contender::new("with schema", checked.clone(), subject));
    let measured = cases::run(bench, case.title, contenders, config.rounds)?;
    add_rows(&mut section, &case, &measured);
    let value = measured[2].share_of(&measured[1], |figures| Some(figures.acked_per_second));
    section.notes.extend(
        value.map(|value| format!("{value:.3} of the rate without a schema; to reach: {UNDER_SCHEMA_SHARE_MIN}")),
    );
    section.notes.extend(
        measured[1..].iter().map(|server| format!("{}: CPU ns a message by thread: {}", server.name, threads(server))),
    );
    section.scores.extend(value.map(|value| Score {
        key: case.key.to_owned(),
        value,
        better: Better::Higher,
        margin: SHARE_MARGIN,
    }));
    Ok(section)
}

/// How long a round of an open loop takes, and how often its probe looks.
const PACED_ROUND: Duration = Duration::from_secs(3);
const PACED_PROBE_INTERVAL: Duration = Duration::from_millis(50);

/// At a pace, whatever the server does: latencies count from when a message was due.
pub fn paced(bench: Bench<'_>, config: &SuiteConfig) -> Result<Section> {
    let mut section = section("Paced, open loop: latencies count from when a message was due");
    let at = |per_second| move |load: &mut Load| (load.rate, load.duration) = (Some(per_second), Some(PACED_ROUND));
    let cases = [
        Case::new("paced-1000000", "1,000,000/s over 16", 16, 1024).with(at(1e6)),
        Case::new("paced-100000", "100,000/s over 2,000", 2_000, 1024).with(at(1e5)),
    ];
    for case in cases {
        let case = Case { probe_interval: PACED_PROBE_INTERVAL, ..case };
        let measured = cases::run(bench, case.title, case.subjects(bench, config)?, config.rounds)?;
        add_rows(&mut section, &case, &measured);
        let cpu = measured[1].share_of(&measured[0], |figures| figures.server_cpu_seconds_per_million);
        section.scores.extend(cpu.map(|value| Score {
            key: format!("{}-cpu-of-null", case.key),
            value,
            better: Better::Lower,
            margin: CPU_MARGIN,
        }));
        section.notes.push(format!("{}: CPU ns a message by thread: {}", case.title, threads(&measured[1])));
    }
    Ok(section)
}

fn section(title: &str) -> Section {
    Section {
        title: title.to_owned(),
        headings: HEADINGS.to_vec(),
        rows: Vec::new(),
        notes: Vec::new(),
        scores: Vec::new(),
        data: Value::Array(Vec::new()),
    }
}

/// Adds a case's rows, and its share of the null server as a score.
fn add(section: &mut Section, case: &Case, measured: &[Measured]) {
    add_rows(section, case, measured);
    let value = measured[1].share_of(&measured[0], |figures| Some(figures.acked_per_second));
    section.scores.extend(value.map(|value| Score {
        key: case.key.to_owned(),
        value,
        better: Better::Higher,
        margin: SHARE_MARGIN,
    }));
}

fn add_rows(section: &mut Section, case: &Case, measured: &[Measured]) {
    section.rows.extend(measured.iter().map(|server| row(case, server, &measured[0])));
    let troubles = measured.iter().filter_map(|server| Some((server.name, server.trouble.as_ref()?)));
    section.notes.extend(troubles.map(|(name, trouble)| format!("{}: {name} could not: {trouble}", case.title)));
    let rounds: Vec<Value> = measured.iter().map(Measured::data).collect();
    if let Value::Array(data) = &mut section.data {
        data.push(json!({"load": case.key, "title": case.title, "servers": rounds}));
    }
}

fn row(case: &Case, server: &Measured, null: &Measured) -> Vec<String> {
    let middle = |figure: fn(&Figures) -> Option<f64>| server.middle(figure);
    let acknowledged = case.load.acknowledged();
    let ack = |figure: fn(&Figures) -> f64| {
        ms(acknowledged.then(|| server.middle(|figures| Some(figure(figures)))).flatten())
    };
    let ack_max = acknowledged.then(|| server.most(|figures| Some(figures.ack.max_ms))).flatten();
    let to_reach = case.share_min.filter(|_| server.name == "tidewater");
    let of_null = server.share_of(null, |figures| Some(figures.acked_per_second)).filter(|_| server.name != null.name);
    vec![
        if server.name == null.name { case.title.to_owned() } else { String::new() },
        server.name.to_owned(),
        rate(server.rate()),
        share(of_null),
        to_reach.map_or_else(String::new, |share| format!("{share}")),
        rate(middle(|figures| figures.queryable_per_second)),
        ack(|figures| figures.ack.p50_ms),
        ack(|figures| figures.ack.p99_ms),
        ms(ack_max),
        ms(middle(|figures| Some(figures.queryable?.p50_ms))),
        ms(middle(|figures| Some(figures.queryable?.p99_ms))),
        ms(server.most(|figures| Some(figures.queryable?.max_ms))),
        share(middle(|figures| figures.server_cpu_seconds_per_million)),
        share(middle(|figures| Some(figures.generator_cpu_seconds_per_million))),
        mebibytes(server.most(|figures| Some(figures.held?.lag_bytes_max as f64))),
        mebibytes(server.most(|figures| Some(figures.server_memory_max? as f64))),
    ]
}

/// What each thread of a server spends on a message.
fn threads(server: &Measured) -> String {
    let names: std::collections::BTreeSet<&String> =
        server.rounds.iter().flat_map(|figures| figures.server_threads_ns.keys()).collect();
    let spent = |name: &String| server.middle(|figures| figures.server_threads_ns.get(name).copied()).unwrap_or(0.0);
    let mut spent: Vec<(&String, f64)> = names.into_iter().map(|name| (name, spent(name))).collect();
    spent.sort_by(|a, b| b.1.total_cmp(&a.1));
    spent.iter().map(|(name, nanos)| format!("{name} {nanos:.0}")).collect::<Vec<_>>().join(", ")
}
