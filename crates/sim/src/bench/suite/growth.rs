//! Start-up with a million devices and 10 GB of data: after an orderly end, and after `kill -9` under load.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use super::cases::Case;
use super::table::{mebibytes, ms, rate};
use super::{Better, Score, Section, SuiteConfig};
use crate::bench::measure::measure;
use crate::bench::subject::{Request, Subject};
use crate::bench::{Bench, Load, Step};
use crate::process::{Launch, Server, directory_bytes};
use crate::scratch::Scratch;

const DEVICES: usize = 1_000_000;
const DATA_BYTES: u64 = 10_000_000_000;
/// One go at filling; the size of the data is looked at in between.
const PORTION: Duration = Duration::from_secs(10);
const MARGIN: f64 = 0.5;

pub fn run(bench: Bench<'_>, config: &SuiteConfig) -> Result<Section> {
    let scratch = Scratch::new(&config.parent)?;
    let data = scratch.path().join("data");
    let case = Case::new("growth", "growth", 16, 100).with(|load| {
        (load.devices, load.duration) = (DEVICES, Some(PORTION));
    });
    let request = Request { load: &case.load, probe_interval: None };
    let server = Launch::new(bench.binary, &data).start(bench.clock)?;
    let mut subject = Subject::of_server(bench, &request, &server)?;
    let once = Load { messages: Some(DEVICES as u64), duration: None, ..case.load.clone() };
    (bench.step)(Step::Part("a million devices speak for the first time".to_owned()));
    let mut messages = measure(bench, &once, &mut subject, None)?.acked;
    while directory_bytes(&data)? < DATA_BYTES {
        (bench.step)(Step::Part(format!("{} of data", mebibytes(Some(directory_bytes(&data)? as f64)))));
        messages += measure(bench, &case.load, &mut subject, None)?.acked;
    }
    server.stop()?;
    let orderly = start(bench, &data)?;
    let memory = crate::process::memory_bytes(orderly.0.pid())?.0;
    // Killed with everything of the last seconds in the head.
    let mut subject = subject.moved(&orderly.0)?;
    measure(bench, &case.load, &mut subject, None)?;
    drop(orderly.0);
    let killed = start(bench, &data)?;
    let bytes = directory_bytes(&data)?;
    killed.0.stop()?;
    let times = [("after an orderly end", orderly.1), ("after kill -9", killed.1)];
    let row = |(what, took): &(&str, Duration)| {
        vec![(*what).to_owned(), ms(Some(took.as_secs_f64() * 1e3)), "2000".to_owned()]
    };
    let score = |(what, took): &(&str, Duration)| Score {
        key: format!("start-{}", what.replace(' ', "-")),
        value: took.as_secs_f64(),
        better: Better::Lower,
        margin: MARGIN,
    };
    Ok(Section {
        title: "Start-up with 1,000,000 devices and 10 GB of data".to_owned(),
        headings: vec!["start", "ms", "to reach"],
        rows: times.iter().map(row).collect(),
        notes: vec![format!(
            "{} MiB of data, {} messages, RSS after the start {} MiB",
            mebibytes(Some(bytes as f64)),
            rate(Some(messages as f64)),
            mebibytes(Some(memory as f64))
        )],
        scores: times.iter().map(score).collect(),
        data: json!({"bytes": bytes, "messages": messages, "memory": memory}),
    })
}

/// A start on what is there, and how long it took until the listeners answered.
fn start(bench: Bench<'_>, data: &std::path::Path) -> Result<(Server, Duration)> {
    (bench.step)(Step::Starting("the server again"));
    let began = bench.clock.monotonic();
    let server = Launch::new(bench.binary, data).start(bench.clock).context("the second start")?;
    Ok((server, bench.clock.monotonic() - began))
}
