//! `tidewater bench`: the load generator, beside the machine's limit.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use model::Clock;
use mqtt::{Qos, Version};
use sim::bench::{self, Bench, BenchConfig, BenchReport, Load, Null, Place, Protocol, Step};
use sim::load::Times;
use sim::load::payload::Shape;

use super::output;
use super::target::{TargetArgs, stop_on_signals};
use crate::units;

mod suite;

/// Measure what a server acknowledges and makes queryable.
///
/// Without --url and --data it starts a server of its own on free ports, with its data in a directory that is removed
/// afterwards. With --null it measures first a server that only decodes, acknowledges and discards: the machine's limit.
/// As fast as the window allows, or with --rate at a pace; then latencies count from when a message was due.
///
/// With --suite it measures the whole table: many loads, each in several rounds beside the null server, and compares
/// them with a baseline.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tidewater bench --null                               16 connections, 100 messages in flight on each
  tidewater bench --connections 2000 --window 1
  tidewater bench --rate 1000000 --duration 60s
  tidewater bench --devices 100000 --messages 5000000  one API key for all devices
  tidewater bench --http-array 100 --metrics 12
  tidewater bench --suite --parts ingest,paced         the table, or parts of it
  tidewater bench --data DIR --acked-log run.acked     against a running server; then `tidewater verify`")]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    /// MQTT quality of service: 0, 1 or 2.
    #[arg(long, value_name = "0|1|2", default_value = "1", value_parser = qos)]
    qos: Qos,
    /// MQTT version: 3 (3.1.1) or 5.
    #[arg(long, value_name = "3|5", default_value = "5", value_parser = version)]
    mqtt_version: Version,
    /// HTTP instead of MQTT, with so many messages in a request.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    http_array: Option<u32>,
    /// Connections.
    #[arg(long, value_name = "N", default_value_t = 16)]
    connections: usize,
    /// Devices; more than connections are published for with the API key [default: one a connection].
    #[arg(long, value_name = "N")]
    devices: Option<usize>,
    /// Publish with the API key even if each device has its own connection.
    #[arg(long)]
    with_key: bool,
    /// Messages in flight on each connection.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=65_535))]
    window: u32,
    /// Messages a second in total; without it as fast as the window allows.
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// Metrics in a message: 2 (about 80 bytes) or 12.
    #[arg(long, value_name = "2|12", default_value = "2", value_parser = shape)]
    metrics: Shape,
    /// Give the class a schema of all metrics with ranges, two units to convert and three tags from metadata.
    #[arg(long)]
    with_schema: bool,
    /// Number of messages after which it ends.
    #[arg(long, value_name = "N")]
    messages: Option<u64>,
    /// Time after which it ends [default: 10s, unless --messages is given].
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// Threads of the generator.
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// Decides the values in the payloads.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Put `boot` into the payloads.
    #[arg(long)]
    boot: bool,
    /// Connect again when a connection is lost, and send again what was not acknowledged.
    #[arg(long)]
    reconnect: bool,
    /// Log what is sent and acknowledged, for `tidewater verify`. An existing log is continued.
    #[arg(long, value_name = "FILE")]
    acked_log: Option<PathBuf>,
    /// How often sent → queryable is measured; 0s: never. Not with --reconnect.
    #[arg(long, value_name = "TIME", default_value = "50ms", value_parser = duration)]
    probe_interval: Duration,
    /// Measure the null server first, in the same run.
    #[arg(long)]
    null: bool,
    /// Measure the null server only.
    #[arg(long, conflicts_with_all = ["null", "url", "data", "acked_log"])]
    null_only: bool,
    /// Directory below which the server's data is put for the run [default: the system's temporary directory].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Configuration file of the server that is started.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "data"])]
    config: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    suite: suite::SuiteArgs,
    /// Be the null server of another bench.
    #[arg(long, hide = true)]
    null_server: bool,
}

fn qos(text: &str) -> Result<Qos, String> {
    text.parse().ok().and_then(Qos::from_bits).ok_or_else(|| "expected 0, 1 or 2".to_owned())
}

fn version(text: &str) -> Result<Version, String> {
    match text {
        "3" | "3.1.1" => Ok(Version::V3),
        "5" | "5.0" => Ok(Version::V5),
        _ => Err("expected 3 or 5".to_owned()),
    }
}

fn shape(text: &str) -> Result<Shape, String> {
    text.parse().ok().and_then(Shape::from_number).ok_or_else(|| "expected 2 or 12".to_owned())
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    units::parse_duration(text).ok_or_else(|| "expected a number and ms, s, m, h or d, for example 90s".to_owned())
}

const DURATION: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(100);

impl Args {
    pub fn run(self) -> Result<()> {
        if self.null_server {
            return sim::null::serve_child(|line| output::line(line));
        }
        let stop = stop_on_signals()?;
        let bar = ProgressBar::new_spinner();
        bar.set_style(ProgressStyle::with_template("{spinner} {wide_msg}")?);
        let told = Mutex::new(Told::default());
        let step = |step| bar.set_message(told.lock().expect("no holder of this lock panics").describe(step));
        let (binary, clock) = (std::env::current_exe()?, Clock::system());
        let bench = Bench { binary: &binary, clock: &clock, stop: &stop, step: &step };
        if self.suite.suite {
            bar.enable_steady_tick(TICK);
            let outcome = self.suite.run(bench, &self.parent(), self.json, &bar);
            bar.finish_and_clear();
            return outcome;
        }
        let config = self.bench_config()?;
        bench::check(&config)?;
        bar.enable_steady_tick(TICK);
        let outcome = bench::run(bench, &config);
        bar.finish_and_clear();
        self.print(&outcome?)
    }

    /// Where the data of servers goes.
    fn parent(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(std::env::temp_dir)
    }

    fn bench_config(&self) -> Result<BenchConfig> {
        let protocol = match self.http_array {
            Some(array) => Protocol::Http { array },
            None => Protocol::Mqtt { version: self.mqtt_version, qos: self.qos },
        };
        let load = Load {
            protocol,
            connections: self.connections,
            devices: self.devices.unwrap_or(self.connections),
            with_key: self.with_key,
            window: self.window,
            rate: self.rate,
            shape: self.metrics,
            seed: self.seed,
            with_boot: self.boot,
            times: Times::Now,
            messages: self.messages,
            duration: self.duration.or(self.messages.is_none().then_some(DURATION)),
            threads: self.threads,
            reconnect: self.reconnect,
            with_schema: self.with_schema,
        };
        let probes = !self.reconnect && !self.probe_interval.is_zero();
        Ok(BenchConfig {
            place: self.place()?,
            null: match (self.null, self.null_only) {
                (_, true) => Null::Only,
                (true, false) => Null::Beside,
                (false, false) => Null::No,
            },
            acked_log: self.acked_log.clone(),
            probe_interval: probes.then_some(self.probe_interval),
            load,
        })
    }

    fn place(&self) -> Result<Place> {
        if !self.target.is_given() {
            let parent = self.parent();
            let config = self.config.iter().flat_map(|file| ["--config".to_owned(), file.display().to_string()]);
            return Ok(Place::Start { parent, extra: config.collect() });
        }
        let target = self.target.resolve()?;
        let pid = target.pid();
        Ok(Place::Running { url: target.url, mqtt: target.mqtt, key: target.key, pid })
    }

    fn print(&self, report: &BenchReport) -> Result<()> {
        if self.json {
            output::json(&serde_json::to_value(report)?);
        } else {
            output::line(report.title());
            output::table(&report.headings(), &report.rows());
            if let Some(share) = report.share_of_null {
                output::line(format!("{share:.3} of the null server"));
            }
        }
        let Some(server) = &report.server else { return Ok(()) };
        if let Some(trouble) = &server.probe_trouble {
            eprintln!("sent → queryable could not be measured: {trouble}");
        }
        if server.acked < server.sent {
            bail!("{} messages were sent and not acknowledged in time", server.sent - server.acked);
        }
        Ok(())
    }
}

/// What a person was last told.
#[derive(Default)]
struct Told {
    part: Option<String>,
    acked: u64,
    elapsed: Duration,
}

impl Told {
    /// What is going on, with the rate since it was last told.
    fn describe(&mut self, step: Step) -> String {
        let what = match step {
            Step::Part(part) => {
                self.part = Some(part);
                return self.part.clone().unwrap_or_default();
            }
            Step::Starting(what) => format!("starting {what}"),
            Step::Registering { done, all } => format!("registering devices: {done} of {all}"),
            Step::Connecting { done, all } => format!("connecting: {done} of {all}"),
            Step::Running { acked, elapsed } => {
                let since = elapsed.saturating_sub(self.elapsed).as_secs_f64();
                let rate = if since > 0.0 { acked.saturating_sub(self.acked) as f64 / since } else { 0.0 };
                (self.acked, self.elapsed) = (acked, elapsed);
                format!("{:.0} s: {acked} acknowledged, {rate:.0} a second", elapsed.as_secs_f64())
            }
            Step::Draining => "waiting until everything is queryable".to_owned(),
        };
        self.part.as_ref().map_or(what.clone(), |part| format!("{part}: {what}"))
    }
}
