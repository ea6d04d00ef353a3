//! `bench`: puts a server under load and reads the figures off: acknowledged, queryable, latencies, CPU, memory; beside
//! the null server in the same run.
//!
//! A [`Load`] says what is sent. A [`subject::Subject`] is a server that takes it: a Tidewater of this run or a running
//! one, the null server, or another broker. [`measure`] puts one under the other, once. [`suite`] is the table of
//! `make bench`: many loads, several rounds, and the comparison with a baseline.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use model::Clock;
use mqtt::{Qos, Version};

use crate::load::Times;
use crate::load::payload::Shape;
use crate::process;
use crate::stop::Stop;

mod gauges;
mod measure;
mod probe;
mod report;
mod schema;
mod subject;
pub mod suite;

pub use report::{BenchReport, Figures, Latency};
use subject::{Request, Subject};

/// What is sent.
#[derive(Clone, Debug)]
pub struct Load {
    pub protocol: Protocol,
    pub connections: usize,
    pub devices: usize,
    /// Publish with an API key instead of with device tokens; always if there are more devices than connections.
    pub with_key: bool,
    pub window: u32,
    pub rate: Option<f64>,
    pub shape: Shape,
    pub seed: u64,
    /// Puts `boot` into the payload; always with an acked-set log.
    pub with_boot: bool,
    pub times: Times,
    pub messages: Option<u64>,
    pub duration: Option<Duration>,
    pub threads: usize,
    pub reconnect: bool,
    /// The devices' class has a schema of all metrics, two canonical units and three tags from the devices' metadata.
    pub with_schema: bool,
}

impl Load {
    /// Whether an API key speaks for the devices.
    pub fn keyed(&self) -> bool {
        self.with_key || self.devices > self.connections
    }

    /// Whether what is sent is acknowledged.
    pub fn acknowledged(&self) -> bool {
        !matches!(self.protocol, Protocol::Mqtt { qos: Qos::AtMostOnce, .. })
    }
}

/// How messages are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    Mqtt { version: Version, qos: Qos },
    Http { array: u32 },
}

/// One load, and which servers take it.
#[derive(Clone, Debug)]
pub struct BenchConfig {
    pub load: Load,
    pub place: Place,
    pub null: Null,
    pub acked_log: Option<PathBuf>,
    /// How often a probe measures sent → queryable.
    pub probe_interval: Option<Duration>,
}

/// Which server is measured.
#[derive(Clone, Debug)]
pub enum Place {
    /// A new one with its data below this directory, removed afterwards; `serve` gets the extra arguments.
    Start { parent: PathBuf, extra: Vec<String> },
    /// A running one.
    Running { url: String, mqtt: String, key: String, pid: Option<u32> },
}

/// Whether the null server is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Null {
    No,
    /// Before the server, in the same run.
    Beside,
    Only,
}

/// What is going on, for a person who waits.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// A part of the suite begins.
    Part(String),
    Starting(&'static str),
    Registering {
        done: u64,
        all: u64,
    },
    Connecting {
        done: u64,
        all: u64,
    },
    Running {
        acked: u64,
        elapsed: Duration,
    },
    Draining,
}

/// What every measurement needs.
#[derive(Clone, Copy)]
pub struct Bench<'a> {
    /// The `tidewater` binary, for the servers that are started.
    pub binary: &'a Path,
    pub clock: &'a Clock,
    pub stop: &'a Stop,
    /// Called from another thread, too.
    pub step: &'a (dyn Fn(Step) + Sync),
}

/// The class of the devices that a bench registers, and that of the probe.
pub const CLASS: &str = "bench";
const PROBE_CLASS: &str = "bench-probe";
/// Descriptors that generator and server need beside the connections.
const DESCRIPTORS_SPARE: u64 = 100;

/// Measures one load.
pub fn run(bench: Bench<'_>, config: &BenchConfig) -> Result<BenchReport> {
    let BenchConfig { load, place, null, acked_log, probe_interval } = config;
    raise_descriptors(load.connections)?;
    let mut report = BenchReport::new(load);
    if *null != Null::No {
        let mut subject = Subject::null(bench, load)?;
        report.null = Some(measure::measure(bench, load, &mut subject, None)?);
    }
    if *null != Null::Only {
        let request = Request { load, probe_interval: *probe_interval };
        let mut subject = match place {
            Place::Running { url, mqtt, key, pid } => Subject::running(bench, &request, url, mqtt, key, *pid)?,
            Place::Start { parent, extra } => Subject::start(bench, &request, parent, extra)?,
        };
        report.server = Some(measure::measure(bench, load, &mut subject, acked_log.as_deref())?);
        subject.end()?;
    }
    report.relate();
    Ok(report)
}

/// Makes room for so many connections in this process and its children.
fn raise_descriptors(connections: usize) -> Result<()> {
    let limit = process::raise_descriptor_limit()?;
    let needed = connections as u64 + DESCRIPTORS_SPARE;
    ensure!(limit >= needed, "{needed} open files are needed and {limit} are allowed: raise `ulimit -n`");
    Ok(())
}

/// Checks what no part alone can see. To be called before anything is started.
pub fn check(config: &BenchConfig) -> Result<()> {
    let load = &config.load;
    ensure!(load.connections > 0, "a bench needs at least one connection");
    ensure!(load.devices >= load.connections, "each connection needs a device of its own: raise --devices");
    ensure!(load.messages.is_some() || load.duration.is_some(), "a bench needs an end: --messages or --duration");
    ensure!(
        config.acked_log.is_none() || load.acknowledged(),
        "QoS 0 has no acknowledgements: an acked-set log needs QoS 1 or 2, or HTTP"
    );
    Ok(())
}
