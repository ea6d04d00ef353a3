//! `bench`: starts a server (or takes a running one), registers devices, lets the generator run, and reads the figures
//! off: acknowledged, queryable, latencies, CPU; beside the null server if asked, in the same run.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use model::{Clock, DeviceId, TenantId};
use mqtt::{Qos, Version};
use serde_json::json;

use crate::acked::{AckedLog, Run};
use crate::api::{Api, NewDevice};
use crate::load::payload::Shape;
use crate::load::{self, Credential, LoadConfig, LoadReport, Progress, Senders, Target};
use crate::null::NullChild;
use crate::process::{self, Server};
use crate::stop::Stop;

mod probe;
mod report;

use probe::{Probe, Visible};
pub use report::{BenchReport, Figures, Latency};

/// What is measured.
#[derive(Clone, Debug)]
pub struct BenchConfig {
    pub place: Place,
    pub null: Null,
    /// The `tidewater` binary, for the servers that are started.
    pub binary: PathBuf,
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
    pub messages: Option<u64>,
    pub duration: Option<Duration>,
    pub threads: usize,
    pub reconnect: bool,
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

/// How messages are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    Mqtt { version: Version, qos: Qos },
    Http { array: u32 },
}

/// What is going on, for a person who waits.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Step {
    Starting(&'static str),
    Registering { done: u64, all: u64 },
    Connecting { done: u64, all: u64 },
    Running { acked: u64, elapsed: Duration },
    Draining,
}

/// The class of the devices that a bench registers.
pub const CLASS: &str = "bench";
/// How long the end waits for acknowledgements, and then for the last probe.
const DRAIN_MAX: Duration = Duration::from_secs(30);
/// Descriptors that generator and server need beside the connections.
const DESCRIPTORS_SPARE: u64 = 100;
const WATCH_INTERVAL: Duration = Duration::from_millis(100);
/// The start is looked for more often: CPU time counts from there.
const START_WATCH_INTERVAL: Duration = Duration::from_millis(5);

/// The server under load, whichever it is.
struct Subject<'a> {
    mqtt: SocketAddr,
    http: SocketAddr,
    pid: Option<u32>,
    senders: Senders,
    /// None for the null server.
    real: Option<Real<'a>>,
}

struct Real<'a> {
    api: &'a Api,
    probe: Option<Probe>,
    acked_log: Option<&'a Path>,
}

/// Measures. `step` is called from another thread.
pub fn run(config: &BenchConfig, clock: &Clock, stop: &Stop, step: &(dyn Fn(Step) + Sync)) -> Result<BenchReport> {
    let mut report = BenchReport::new(config);
    let limit = process::raise_descriptor_limit()?;
    let needed = config.connections as u64 + DESCRIPTORS_SPARE;
    ensure!(limit >= needed, "{needed} open files are needed and {limit} are allowed: raise `ulimit -n`");
    if config.null != Null::No {
        step(Step::Starting("the null server"));
        let null = NullChild::start(&config.binary)?;
        let (mqtt, http) = (resolve(&null.listen.mqtt)?, resolve(&null.listen.http)?);
        let devices: Arc<[DeviceId]> = (0..config.devices).map(|_| DeviceId::random()).collect();
        let tokens = || (0..config.devices).map(|number| format!("twd_null-{number}")).collect();
        let credential =
            if keyed(config) { Credential::Key("twk_null".to_owned()) } else { Credential::Tokens(tokens()) };
        let senders = Senders { tenant: TenantId::random(), devices, credential };
        let subject = Subject { mqtt, http, pid: Some(null.pid()), senders, real: None };
        report.null = Some(measure(config, subject, clock, stop, step)?);
    }
    if config.null != Null::Only {
        report.server = Some(match &config.place {
            Place::Running { url, mqtt, key, pid } => {
                measure_real(config, url, mqtt, &Api::new(url, key), *pid, clock, stop, step)?
            }
            Place::Start { parent, extra } => measure_new(config, parent, extra, clock, stop, step)?,
        });
    }
    report.relate();
    Ok(report)
}

/// Starts a server, measures it, stops it and removes its data.
fn measure_new(
    config: &BenchConfig,
    parent: &Path,
    extra: &[String],
    clock: &Clock,
    stop: &Stop,
    step: &(dyn Fn(Step) + Sync),
) -> Result<Figures> {
    step(Step::Starting("the server"));
    let data = Scratch::new(parent)?;
    let server = Server::start(&config.binary, &data.0, extra, clock)?;
    let url = format!("http://{}", server.listen.http);
    let api = Api::new(&url, &server.admin_key()?);
    let figures = measure_real(config, &url, &server.listen.mqtt, &api, Some(server.pid()), clock, stop, step)?;
    server.stop()?;
    Ok(figures)
}

/// A directory that goes when it is done with.
struct Scratch(PathBuf);

impl Scratch {
    fn new(parent: &Path) -> Result<Self> {
        let path = parent.join(format!("tidewater-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed stays for the person to find.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[allow(clippy::too_many_arguments, reason = "called from two places with what each has found out about its server")]
fn measure_real(
    config: &BenchConfig,
    url: &str,
    mqtt: &str,
    api: &Api,
    pid: Option<u32>,
    clock: &Clock,
    stop: &Stop,
    step: &(dyn Fn(Step) + Sync),
) -> Result<Figures> {
    let (mqtt, http) = (resolve(mqtt)?, resolve(url.trim_start_matches("http://"))?);
    let probes = usize::from(config.probe_interval.is_some());
    let new = |_| NewDevice { id: DeviceId::random(), class: CLASS.to_owned(), metadata: json!({}) };
    let new: Vec<NewDevice> = (0..config.devices + probes).map(new).collect();
    let all = new.len() as u64;
    step(Step::Registering { done: 0, all });
    let mut credentials = api.register(&new, |done| step(Step::Registering { done: done as u64, all }))?;
    let probe = match config.probe_interval {
        Some(interval) => Some(Probe::new(credentials.pop().context("a probe was registered")?, mqtt, interval)),
        None => None,
    };
    let tenant = credentials.first().context("a bench needs a device")?.tenant_id;
    let devices = credentials.iter().map(|credentials| credentials.device_id).collect();
    let tokens = || credentials.iter().map(|credentials| credentials.auth_token.clone().unwrap_or_default()).collect();
    let credential = if keyed(config) { Credential::Key(api.key().to_owned()) } else { Credential::Tokens(tokens()) };
    let senders = Senders { tenant, devices, credential };
    let real = Some(Real { api, probe, acked_log: config.acked_log.as_deref() });
    let stored = || api.count(CLASS, config.shape.metrics()[0]);
    let counted = config.probe_interval.is_some();
    let before = if counted { Some(stored()?) } else { None };
    let mut figures = measure(config, Subject { mqtt, http, pid, senders, real }, clock, stop, step)?;
    if let Some(before) = before {
        figures.stored = Some(stored()? - before);
    }
    Ok(figures)
}

fn keyed(config: &BenchConfig) -> bool {
    config.with_key || config.devices > config.connections
}

fn resolve(address: &str) -> Result<SocketAddr> {
    let mut found = address.to_socket_addrs().with_context(|| format!("`{address}` is not a host and a port"))?;
    found.next().with_context(|| format!("`{address}` has no address"))
}

/// Puts one server under load.
fn measure(
    config: &BenchConfig,
    subject: Subject<'_>,
    clock: &Clock,
    stop: &Stop,
    step: &(dyn Fn(Step) + Sync),
) -> Result<Figures> {
    let Subject { mqtt, http, pid, senders, real } = subject;
    let log_path = real.as_ref().and_then(|real| real.acked_log);
    let boot = match log_path {
        Some(path) => Some(AckedLog::next_boot(path)?),
        None => config.with_boot.then_some(1),
    };
    let load = load_config(config, mqtt, http, senders, boot);
    let log = match log_path {
        Some(path) => {
            let run = Run { seed: load.seed, boot: boot.unwrap_or(0), shape: load.shape, started: clock.now_ms() };
            Some(AckedLog::open(path, run, load.senders.tenant, &load::streams(&load))?)
        }
        None => None,
    };
    let cpu = move || {
        let server = pid.and_then(|pid| process::cpu_seconds(pid).ok());
        (server, process::cpu_seconds(std::process::id()).unwrap_or(0.0))
    };
    let progress = Progress::default();
    let before = Arc::new(std::sync::OnceLock::new());
    let watched = Watch { progress: &progress, clock, connections: load.connections, before: &before, cpu: &cpu };
    let (outcome, visible) = under_watch(&load, &watched, stop, step, log.as_ref(), real.as_ref());
    let after = cpu();
    let outcome = outcome?;
    if let Some(log) = log {
        log.close()?;
    }
    let before = *before.get_or_init(|| after);
    let mut figures = Figures::new(&outcome, load.shape, visible);
    figures.spent(outcome.acked, pid, before, after);
    Ok(figures)
}

type Cpu = (Option<f64>, f64);

/// What is looked at while a load runs.
struct Watch<'a> {
    progress: &'a Progress,
    clock: &'a Clock,
    connections: usize,
    /// CPU time when the load began.
    before: &'a std::sync::OnceLock<Cpu>,
    cpu: &'a (dyn Fn() -> Cpu + Sync),
}

fn under_watch(
    load: &LoadConfig,
    watch: &Watch<'_>,
    stop: &Stop,
    step: &(dyn Fn(Step) + Sync),
    log: Option<&AckedLog>,
    real: Option<&Real<'_>>,
) -> (Result<LoadReport>, Option<Result<Visible>>) {
    let over = Stop::default();
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch.run(step, &over));
        let prober = real.and_then(|real| real.probe.as_ref().map(|probe| (probe, real.api))).map(|(probe, api)| {
            let over = &over;
            scope.spawn(move || probe.run(api, watch.clock, || watch.progress.started().is_some(), over, DRAIN_MAX))
        });
        let outcome = load::run(load, watch.clock, stop, watch.progress, log);
        over.stop();
        step(Step::Draining);
        let visible = prober.map(|prober| prober.join().map_err(|_| anyhow::anyhow!("the probe panicked"))?);
        watcher.join().expect("the watcher only reads and prints");
        (outcome, visible)
    })
}

impl Watch<'_> {
    fn run(&self, step: &(dyn Fn(Step) + Sync), over: &Stop) {
        while !over.wanted() {
            match self.progress.started() {
                Some(started) => {
                    self.before.get_or_init(self.cpu);
                    let elapsed = self.clock.monotonic().saturating_sub(started);
                    step(Step::Running { acked: self.progress.acked(), elapsed });
                }
                None => {
                    step(Step::Connecting { done: self.progress.connected(), all: self.connections as u64 });
                    std::thread::sleep(START_WATCH_INTERVAL);
                    continue;
                }
            }
            std::thread::sleep(WATCH_INTERVAL);
        }
    }
}

fn load_config(
    config: &BenchConfig,
    mqtt: SocketAddr,
    http: SocketAddr,
    senders: Senders,
    boot: Option<u32>,
) -> LoadConfig {
    let target = match config.protocol {
        Protocol::Mqtt { version, qos } => Target::Mqtt { address: mqtt, version, qos },
        Protocol::Http { array } => Target::Http { address: http, array },
    };
    LoadConfig {
        target,
        senders,
        connections: config.connections,
        window: config.window,
        rate: config.rate,
        shape: config.shape,
        seed: config.seed,
        boot,
        times: load::Times::Now,
        begun: Arc::default(),
        messages: config.messages,
        duration: config.duration,
        threads: config.threads,
        reconnect: config.reconnect,
        drain_max: DRAIN_MAX,
    }
}

/// Checks what no part alone can see. To be called before anything is started.
pub fn check(config: &BenchConfig) -> Result<()> {
    ensure!(config.connections > 0, "a bench needs at least one connection");
    ensure!(config.devices >= config.connections, "each connection needs a device of its own: raise --devices");
    ensure!(config.messages.is_some() || config.duration.is_some(), "a bench needs an end: --messages or --duration");
    ensure!(
        config.acked_log.is_none() || !matches!(config.protocol, Protocol::Mqtt { qos: Qos::AtMostOnce, .. }),
        "QoS 0 has no acknowledgements: an acked-set log needs QoS 1 or 2, or HTTP"
    );
    Ok(())
}
