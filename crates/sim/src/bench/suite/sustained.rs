//! A long run at full rate: does the store keep up, and is what it holds bounded?

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::cases::{Case, Contender};
use super::table::{mebibytes, rate, share};
use super::{Better, Score, Section, SuiteConfig};
use crate::bench::measure::measure;
use crate::bench::report::Figures;
use crate::bench::{Bench, Load, Step};

const MARGIN: f64 = 0.2;

/// One long run between two short ones of the null server.
pub fn run(bench: Bench<'_>, config: &SuiteConfig) -> Result<Section> {
    let title = format!("Sustained: QoS 1, 16 × 100 for {} s", config.sustained.as_secs());
    let case = Case::new("sustained-16x100", "16 × 100", 16, 100);
    let contenders =
        <[Contender; 2]>::try_from(case.subjects(bench, config)?).ok().context("null server and server")?;
    let [mut null, mut server] = contenders;
    let load = Load { duration: Some(config.sustained), ..case.load };
    (bench.step)(Step::Part(title.clone()));
    let mut nulls = vec![measure(bench, &null.load, &mut null.subject, None)?];
    let figures = measure(bench, &load, &mut server.subject, None)?;
    nulls.push(measure(bench, &null.load, &mut null.subject, None)?);
    let shed = figures.refused + figures.sent - figures.acked;
    ensure!(shed == 0 && figures.stored == Some(figures.acked), "something was shed: {figures:?}");
    server.subject.end()?;
    let null_rate = nulls.iter().map(|figures| figures.acked_per_second).sum::<f64>() / nulls.len() as f64;
    Ok(section(title, &figures, null_rate))
}

fn section(title: String, figures: &Figures, null_rate: f64) -> Section {
    let of_null = figures.acked_per_second / null_rate;
    let held = figures.held.unwrap_or_default();
    let bytes = |bytes: u64| mebibytes(Some(bytes as f64));
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    Section {
        title,
        headings: vec!["", "value"],
        rows: vec![
            row("null server, msg/s", rate(Some(null_rate))),
            row("acknowledged/s", rate(Some(figures.acked_per_second))),
            row("of null", share(Some(of_null))),
            row("queryable/s, until all was", rate(figures.queryable_per_second)),
            row("acknowledged and stored", rate(figures.stored.map(|stored| stored as f64))),
            row("refused or shed", "0".to_owned()),
            row("looks that found ingest paused, of all", format!("{} of {}", held.paused, held.looks)),
            row("lag max MiB", bytes(held.lag_bytes_max)),
            row("head max MiB", bytes(held.head_bytes_max)),
            row("RSS MiB at the start", bytes(held.memory_first)),
            row("RSS MiB half-way", bytes(held.memory_middle)),
            row("RSS MiB at the end", bytes(held.memory_last)),
            row("RSS max MiB", mebibytes(figures.server_memory_max.map(|bytes| bytes as f64))),
            row("CPU s/M", share(figures.server_cpu_seconds_per_million)),
            row("bytes to the disk a message", rate(figures.written_bytes_per_message)),
        ],
        notes: Vec::new(),
        scores: vec![Score {
            key: "sustained-16x100".to_owned(),
            value: of_null,
            better: Better::Higher,
            margin: MARGIN,
        }],
        data: json!({"null_per_second": null_rate, "server": figures}),
    }
}

/// The usual length in `make bench`.
pub const USUAL: Duration = Duration::from_secs(20);
