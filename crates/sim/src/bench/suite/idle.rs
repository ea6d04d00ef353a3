//! Connections that say nothing: what each costs in memory.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use super::cases::{Case, Contender};
use super::table::rate;
use super::{Better, Score, Section, SuiteConfig};
use crate::bench::measure::measure;
use crate::bench::subject::{Request, Subject};
use crate::bench::{Bench, Figures, Step};
use crate::process::{self, Launch};
use crate::scratch::Scratch;

/// As many as the descriptor limit allows, and no more than there are ports for on one address.
const CONNECTIONS_MAX: u64 = 28_000;
/// Descriptors that a server needs beside its connections: files, listeners, the probe.
const DESCRIPTORS_SPARE: u64 = 1_000;
const MARGIN: f64 = 0.15;

/// Connects everybody with a device token and lets one message a second through, so that only waiting is measured.
pub fn run(bench: Bench<'_>, config: &SuiteConfig) -> Result<Section> {
    let connections =
        process::raise_descriptor_limit()?.saturating_sub(DESCRIPTORS_SPARE).min(CONNECTIONS_MAX) as usize;
    let case = Case::new("idle-bytes", "idle", connections, 1).with(|load| {
        (load.rate, load.duration) = (Some(1.0), Some(Duration::from_secs(2)));
    });
    let mut section = Section {
        title: format!("Idle: {connections} MQTT connections, each with a device token"),
        headings: vec!["server", "RSS bytes a connection", "connections made/s"],
        rows: Vec::new(),
        notes: Vec::new(),
        scores: Vec::new(),
        data: json!({"connections": connections}),
    };
    let null = Contender::new("null", case.load.clone(), Subject::null(bench, &case.load)?);
    connect(bench, &mut section, null)?;
    let scratch = Scratch::new(&config.parent)?;
    let server = Launch::new(bench.binary, scratch.path()).start(bench.clock)?;
    let subject = Subject::of_server(bench, &Request { load: &case.load, probe_interval: None }, &server)?;
    // A new start, since registering leaves memory behind that connections would fill.
    server.stop()?;
    let server = Launch::new(bench.binary, scratch.path()).start(bench.clock)?;
    let tidewater = Contender::new("tidewater", case.load.clone(), subject.moved(&server)?);
    let value = connect(bench, &mut section, tidewater)?;
    section.scores.push(Score { key: case.key.to_owned(), value, better: Better::Lower, margin: MARGIN });
    server.stop()?;
    Ok(section)
}

/// Connects everybody and adds the row; returns the bytes that a connection takes.
fn connect(bench: Bench<'_>, section: &mut Section, mut contender: Contender) -> Result<f64> {
    let connections = contender.load.connections as f64;
    (bench.step)(Step::Part(format!("{connections} idle connections, {}", contender.name)));
    let before = memory(&contender)?;
    let figures = measure(bench, &contender.load, &mut contender.subject, None)?;
    let bytes = grown(&figures, before) / connections;
    let made = connections / figures.connecting_seconds;
    section.rows.push(vec![contender.name.to_owned(), rate(Some(bytes)), rate(Some(made))]);
    section.data[contender.name] = json!({"bytes": bytes, "made_per_second": made});
    Ok(bytes)
}

fn memory(contender: &Contender) -> Result<u64> {
    Ok(process::memory_bytes(contender.subject.pid.context("the server runs here")?)?.0)
}

fn grown(figures: &Figures, before: u64) -> f64 {
    figures.held.unwrap_or_default().memory_last.saturating_sub(before) as f64
}
