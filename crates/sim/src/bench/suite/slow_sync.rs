//! The same load on a disk whose fdatasync takes 5 ms longer, beside the undisturbed server in the same rounds.
//!
//! The server is the shipped binary. With a C compiler the call is replaced by a preloaded library, which costs nothing
//! but the wait; without one `strace` delays it, which stops every thread at the call for some µs more.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::cases::{self, Case, Contender, Measured};
use super::table::{ms, rate, share};
use super::{Better, Score, Section, SuiteConfig};
use crate::bench::Bench;
use crate::bench::subject::{Request, Subject};
use crate::scratch::Scratch;

const DELAY: Duration = Duration::from_millis(5);
const SOURCE: &str = include_str!("slow_sync.c");
const MARGIN: f64 = 0.25;

/// How the calls are delayed.
enum Delay {
    /// A library to preload.
    Preload(PathBuf),
    Strace,
}

pub fn run(bench: Bench<'_>, config: &SuiteConfig) -> Result<Section> {
    let scratch = Scratch::new(&config.parent)?;
    let delay = Delay::find(scratch.path())?;
    let mut section = Section {
        title: format!("fdatasync slowed by {} ms ({})", DELAY.as_millis(), delay.name()),
        headings: vec!["load", "server", "msg/s", "of undisturbed", "to reach", "of null", "ack p50 ms", "p99"],
        rows: Vec::new(),
        notes: Vec::new(),
        scores: Vec::new(),
        data: Value::Array(Vec::new()),
    };
    let cases = [
        (Case::new("slow-sync-16x100", "QoS 1, 16 × 100", 16, 100), "250,000/s"),
        (Case::new("slow-sync-200x100", "QoS 1, 200 × 100", 200, 100), "0.6"),
    ];
    for (case, to_reach) in cases {
        let mut contenders = case.subjects(bench, config)?;
        let (slowed, tracer) = delay.start(bench, config, &case)?;
        contenders.push(slowed);
        let measured = cases::run(bench, case.title, contenders, config.rounds)?;
        drop(tracer);
        add(&mut section, &case, to_reach, &measured)?;
    }
    Ok(section)
}

fn add(section: &mut Section, case: &Case, to_reach: &str, measured: &[Measured]) -> Result<()> {
    let (null, undisturbed, slowed) = (&measured[0], &measured[1], &measured[2]);
    let p50 = slowed.middle(|figures| Some(figures.ack.p50_ms)).unwrap_or(0.0);
    ensure!(
        p50 >= DELAY.as_secs_f64() * 1e3,
        "acknowledgements came after {p50} ms: the delay of fdatasync has not reached the server's commits"
    );
    let rate_of = |figures: &crate::bench::Figures| Some(figures.acked_per_second);
    let of_undisturbed = slowed.share_of(undisturbed, rate_of);
    for server in measured {
        let is_slowed = server.name == slowed.name;
        section.rows.push(vec![
            if server.name == null.name { case.title.to_owned() } else { String::new() },
            server.name.to_owned(),
            rate(server.rate()),
            share(of_undisturbed.filter(|_| is_slowed)),
            if is_slowed { to_reach.to_owned() } else { String::new() },
            share(server.share_of(null, rate_of).filter(|_| server.name != null.name)),
            ms(server.middle(|figures| Some(figures.ack.p50_ms))),
            ms(server.middle(|figures| Some(figures.ack.p99_ms))),
        ]);
    }
    let score = |value| Score { key: case.key.to_owned(), value, better: Better::Higher, margin: MARGIN };
    section.scores.extend(of_undisturbed.map(score));
    let rounds: Vec<Value> = measured.iter().map(Measured::data).collect();
    if let Value::Array(data) = &mut section.data {
        data.push(json!({"load": case.key, "title": case.title, "servers": rounds}));
    }
    Ok(())
}

impl Delay {
    /// The means that this machine has; the library is made in `dir`.
    fn find(dir: &Path) -> Result<Self> {
        let (source, library) = (dir.join("slow_sync.c"), dir.join("slow_sync.so"));
        std::fs::write(&source, SOURCE)?;
        let delay = format!("-DDELAY_US={}", DELAY.as_micros());
        let mut compiler = Command::new("cc");
        compiler.args(["-O2", "-shared", "-fPIC", &delay, "-o"]).arg(&library).arg(&source).stderr(Stdio::null());
        if compiler.status().is_ok_and(|status| status.success()) {
            return Ok(Self::Preload(library));
        }
        let traced = Command::new("strace").arg("-V").stdout(Stdio::null()).status();
        ensure!(traced.is_ok_and(|status| status.success()), "slowing fdatasync needs `cc` or `strace`: install one");
        Ok(Self::Strace)
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Preload(_) => "by a preloaded library",
            Self::Strace => "by strace",
        }
    }

    /// A server whose calls are delayed, and what has to live as long.
    fn start(&self, bench: Bench<'_>, config: &SuiteConfig, case: &Case) -> Result<(Contender, Option<Tracer>)> {
        let request = Request { load: &case.load, probe_interval: Some(case.probe_interval) };
        let environment = match self {
            Self::Preload(library) => vec![("LD_PRELOAD", library.as_path())],
            Self::Strace => Vec::new(),
        };
        let subject = Subject::start_in(bench, &request, &config.parent, &[], &environment)?;
        let tracer = match (self, subject.pid) {
            (Self::Strace, Some(pid)) => Some(Tracer::attach(pid)?),
            (Self::Strace, None) => bail!("the server's process is not known"),
            (Self::Preload(_), _) => None,
        };
        Ok((Contender::new("slowed", case.load.clone(), subject), tracer))
    }
}

/// A running `strace`; ends when dropped.
struct Tracer(Child);

impl Tracer {
    fn attach(pid: u32) -> Result<Self> {
        let inject = format!("inject=fdatasync:delay_enter={}", DELAY.as_micros());
        let mut command = Command::new("strace");
        command.args(["-f", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", &inject, "-p", &pid.to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let tracer = Self(child.context("cannot start strace")?);
        // It says nothing when it is there; the first commits before that are not slowed.
        std::thread::sleep(Duration::from_millis(500));
        Ok(tracer)
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // Both fail only if it has ended with the server.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
