//! The common stage: a server on a data directory, generators that go on through every restart, and the checker.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use model::{DeviceId, TenantId};
use mqtt::{Qos, Version};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Context;
use super::outcome::{Outcome, longest};
use crate::acked::{AckedLog, Run};
use crate::api::{Api, NewDevice};
use crate::check::Counts;
use crate::load::payload::Shape;
use crate::load::{self, Credential, LoadConfig, LoadReport, Progress, Senders, Target, Times};
use crate::process::{self, Launch, Listen, Server};
use crate::scratch::Scratch;
use crate::stop::Stop;
use crate::verify::{self, VerifyConfig};

/// One generator.
#[derive(Clone, Debug)]
pub struct Generator {
    pub name: &'static str,
    pub protocol: Protocol,
    pub connections: usize,
    /// More than connections are spoken for by an API key.
    pub devices: usize,
    pub window: u32,
    /// Messages a second; none: as fast as the window allows.
    pub rate: Option<f64>,
    pub shape: Shape,
    /// Its topics name another tenant than its credential's: it must not get anywhere.
    pub astray: bool,
}

/// How it speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    Mqtt(Version, Qos),
    /// So many messages in a request.
    Http(u32),
}

/// Every way in at once: QoS 1 by MQTT 5, QoS 2, an API key by MQTT 3.1.1, and HTTP.
pub fn mixed(rate: f64) -> Vec<Generator> {
    let one = |name, protocol, connections, devices, window, share| Generator {
        name,
        protocol,
        connections,
        devices,
        window,
        rate: Some(rate * share),
        shape: Shape::Two,
        astray: false,
    };
    vec![
        one("qos1", Protocol::Mqtt(Version::V5, Qos::AtLeastOnce), 8, 8, 100, 0.65),
        one("qos2", Protocol::Mqtt(Version::V5, Qos::ExactlyOnce), 4, 4, 20, 0.1),
        one("key", Protocol::Mqtt(Version::V3, Qos::AtLeastOnce), 2, 20, 50, 0.1),
        one("http", Protocol::Http(20), 2, 2, 1, 0.15),
    ]
}

/// A small log that rolls, seals and trims within seconds.
pub const SMALL_SEGMENTS: &str = "[journal]\nsegment_bytes = \"4MiB\"\nretention = \"0s\"\n";

/// The class of the devices.
const CLASS: &str = "fault";
/// How long the end of a generator waits for acknowledgements, and a checker for what is not queryable yet.
const DRAIN_MAX: Duration = Duration::from_secs(30);
/// How long anything is waited for that must come.
pub const WAIT_MAX: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);

/// See the module.
pub struct Stage<'a> {
    context: &'a Context<'a>,
    pub scratch: Scratch,
    /// How the server is started; the addresses of the first start are kept.
    pub launch: Launch,
    server: Option<Server>,
    key: String,
    stranger: Stranger,
    running: Vec<Running>,
    /// The acked-set logs of generators that have ended.
    logs: Vec<PathBuf>,
    restarts: Vec<Duration>,
    /// How long the checker waits for what is not queryable yet.
    pub patience: Duration,
    /// Memory and descriptors at the first and the last look.
    looks: Option<[(u64, u64); 2]>,
}

/// Another tenant, and an API key with all rights in it.
pub struct Stranger {
    pub tenant: TenantId,
    pub key: String,
}

/// A generator on its thread.
struct Running {
    name: &'static str,
    acked_log: PathBuf,
    /// It is refused, so it may end by itself.
    astray: bool,
    stop: Stop,
    progress: Arc<Progress>,
    /// Why it ended by itself.
    failure: Arc<OnceLock<String>>,
    thread: JoinHandle<Result<LoadReport>>,
}

impl<'a> Stage<'a> {
    /// Starts a server with this configuration on a directory of its own.
    pub fn open(context: &'a Context<'a>, configuration: &str) -> Result<Self> {
        let scratch = Scratch::new(context.parent)?;
        let mut launch = Launch::new(context.binary, &scratch.path().join("data"));
        launch.log = scratch.path().join("serve.log");
        if !configuration.is_empty() {
            let file = scratch.path().join("tidewater.toml");
            std::fs::write(&file, configuration)?;
            launch.extra = vec!["--config".to_owned(), file.display().to_string()];
        }
        Self::open_on(context, scratch, launch)
    }

    /// Starts a server as `launch` says.
    pub fn open_on(context: &'a Context<'a>, scratch: Scratch, mut launch: Launch) -> Result<Self> {
        process::raise_descriptor_limit()?;
        let server = launch.start(context.clock)?;
        launch.listen = Some(server.listen.clone());
        let key = server.admin_key()?;
        let stranger = new_tenant(&Api::new(&format!("http://{}", server.listen.http), &key), "stranger")?;
        let (server, running, logs, restarts) = (Some(server), Vec::new(), Vec::new(), Vec::new());
        Ok(Self {
            context,
            scratch,
            launch,
            server,
            key,
            stranger,
            running,
            logs,
            restarts,
            patience: DRAIN_MAX,
            looks: None,
        })
    }

    /// The addresses, the same at every start.
    pub fn listen(&self) -> &Listen {
        self.launch.listen.as_ref().expect("kept since the first start")
    }

    /// The API of the first tenant's administrator.
    pub fn api(&self) -> Api {
        Api::new(&format!("http://{}", self.listen().http), &self.key)
    }

    pub fn server(&self) -> Result<&Server> {
        self.server.as_ref().context("the server is not running")
    }

    pub fn pid(&self) -> Result<u32> {
        Ok(self.server()?.pid())
    }

    /// Starts these generators. They end with the stage.
    pub fn load(&mut self, generators: &[Generator]) -> Result<()> {
        generators.iter().try_for_each(|generator| {
            let at = match generator.protocol {
                Protocol::Mqtt(..) => self.listen().mqtt.clone(),
                Protocol::Http(_) => self.listen().http.clone(),
            };
            self.load_at(generator, &at)
        })
    }

    /// Starts a generator that speaks to another address, behind which is this server.
    pub fn load_at(&mut self, generator: &Generator, at: &str) -> Result<()> {
        let new = |_| NewDevice { id: DeviceId::random(), class: CLASS.to_owned(), metadata: json!({}) };
        let devices: Vec<NewDevice> = (0..generator.devices).map(new).collect();
        let registered = self.api().register(&devices, |_| ())?;
        let tenant = registered.first().context("a generator needs a device")?.tenant_id;
        let credential = if generator.devices > generator.connections {
            Credential::Key(self.key.clone())
        } else {
            let tokens = registered.iter().map(|one| one.auth_token.clone().context("a new device has a token"));
            Credential::Tokens(tokens.collect::<Result<Vec<_>>>()?.into())
        };
        let devices = registered.iter().map(|one| one.device_id).collect();
        let address = at.parse().with_context(|| format!("{at} is no address"))?;
        let number = self.running.len() as u64;
        let config = LoadConfig {
            target: match generator.protocol {
                Protocol::Mqtt(version, qos) => Target::Mqtt { address, version, qos },
                Protocol::Http(array) => Target::Http { address, array },
            },
            senders: Senders {
                tenant: if generator.astray { self.stranger.tenant } else { tenant },
                devices,
                credential,
            },
            connections: generator.connections,
            window: generator.window,
            rate: generator.rate,
            shape: generator.shape,
            seed: self.context.seed.wrapping_add(number),
            boot: Some(1),
            times: Times::Now,
            begun: Arc::default(),
            messages: None,
            duration: Some(Duration::from_secs(24 * 3600)),
            threads: 1,
            reconnect: true,
            drain_max: if generator.astray { Duration::from_secs(1) } else { DRAIN_MAX },
        };
        let acked_log = self.scratch.path().join(format!("{number}-{}.acked", generator.name));
        self.running.push(Running::start(self.context, generator, tenant, config, acked_log)?);
        Ok(())
    }

    /// Messages acknowledged so far, of all generators.
    pub fn acked(&self) -> u64 {
        self.running.iter().map(|running| running.progress.acked()).sum()
    }

    /// Waits until so many more messages are acknowledged.
    pub fn wait_acked(&self, more: u64) -> Result<()> {
        let goal = self.acked() + more;
        self.wait("acknowledgements", || Ok((self.acked() >= goal).then_some(())))
    }

    /// Waits for what must come.
    pub fn wait<T>(&self, what: &str, found: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        self.wait_at_most(WAIT_MAX, found)?.with_context(|| {
            let said = self.server.as_ref().map(Server::said).unwrap_or_default();
            format!("{what}: not there after {} s; the server said:\n{said}", WAIT_MAX.as_secs())
        })
    }

    /// Waits for what may come.
    pub fn wait_at_most<T>(&self, most: Duration, mut found: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
        let give_up = self.context.clock.monotonic() + most;
        loop {
            if let Some(found) = found()? {
                return Ok(Some(found));
            }
            ensure!(!self.context.stop.wanted(), "it was stopped");
            let ended = |running: &&Running| running.thread.is_finished() && !running.astray;
            if let Some(running) = self.running.iter().find(ended) {
                let why = running.failure.get().map_or("", String::as_str);
                bail!("the generator {} ended by itself: {why}", running.name);
            }
            if self.context.clock.monotonic() >= give_up {
                return Ok(None);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Lets it go on for a while.
    pub fn pass(&self, time: Duration) -> Result<()> {
        self.wait_at_most(time, || Ok(None::<()>)).map(drop)
    }

    /// Notes what the server holds.
    pub fn look(&mut self) -> Result<()> {
        let pid = self.pid()?;
        let now = (process::memory_bytes(pid)?.0, process::descriptors(pid)?);
        self.looks = Some([self.looks.map_or(now, |[first, _]| first), now]);
        Ok(())
    }

    /// kill -9.
    pub fn kill(&mut self) -> Result<()> {
        self.look()?;
        self.server.take().context("the server is not running")?.kill()
    }

    /// SIGTERM, and its end.
    pub fn stop(&mut self) -> Result<()> {
        self.look()?;
        self.server.take().context("the server is not running")?.stop()
    }

    /// Whether the server has ended by itself; if so it may be started again.
    pub fn has_ended(&mut self) -> Result<bool> {
        let ended = match &mut self.server {
            Some(server) => server.ended()?.is_some(),
            None => true,
        };
        if ended {
            self.server = None;
        }
        Ok(ended)
    }

    /// Whether the server ends by itself within this time.
    pub fn ends_within(&mut self, most: Duration) -> Result<bool> {
        Ok(self.end_within(most)?.is_some())
    }

    /// How the server ends, which it must within this time.
    pub fn ends_with(&mut self, most: Duration) -> Result<ExitStatus> {
        match self.end_within(most)? {
            Some(status) => Ok(status),
            None => bail!("the server has not ended after {} s:\n{}", most.as_secs(), self.server()?.said()),
        }
    }

    /// Waits for the server's end; from then on it may be started again.
    fn end_within(&mut self, most: Duration) -> Result<Option<ExitStatus>> {
        let mut server = self.server.take().context("the server is not running")?;
        let ended = self.wait_at_most(most, || server.ended())?;
        if ended.is_none() {
            self.server = Some(server);
        }
        Ok(ended)
    }

    /// Waits until so many more messages are acknowledged, or the server has ended: true if that came first.
    pub fn ends_before(&mut self, more: u64) -> Result<bool> {
        let goal = self.acked() + more;
        let mut server = self.server.take().context("the server is not running")?;
        let found = || Ok(if server.ended()?.is_some() { Some(true) } else { (self.acked() >= goal).then_some(false) });
        let ended = self.wait_at_most(WAIT_MAX, found)?.context("no acknowledgements, and the server has not ended")?;
        if !ended {
            self.server = Some(server);
        }
        Ok(ended)
    }

    /// SIGTERM, without waiting.
    pub fn ask_to_end(&self) -> Result<()> {
        process::signal(self.pid()?, libc::SIGTERM)
    }

    /// Starts the server again, and notes how long that took.
    pub fn start(&mut self) -> Result<()> {
        let began = self.context.clock.monotonic();
        self.server = Some(self.launch.start(self.context.clock)?);
        self.restarts.push(self.context.clock.monotonic() - began);
        Ok(())
    }

    /// Starts the server through another program, which may end it at any time: true if it came to serve.
    pub fn start_through(&mut self, through: Vec<String>) -> Result<bool> {
        let mut launch = self.launch.clone();
        launch.through = through;
        launch.forget_addresses()?;
        self.server = Some(launch.spawn()?);
        let ready = self.launch.data.join("listen.json");
        let give_up = self.context.clock.monotonic() + self.launch.wait_max;
        while !ready.exists() {
            if self.has_ended()? {
                return Ok(false);
            }
            ensure!(self.context.clock.monotonic() < give_up, "the server is neither ready nor gone");
            std::thread::sleep(LOOK);
        }
        Ok(true)
    }

    /// What keeps `/ready` from saying yes, by code.
    pub fn obstacles(&self) -> Result<Vec<String>> {
        let operations = self.listen().operations.as_ref().context("there is an operations listener")?;
        let ready: Value = Api::new(&format!("http://{operations}"), "").answer("/ready")?;
        let reasons = ready["reasons"].as_array().cloned().unwrap_or_default();
        Ok(reasons.iter().filter_map(|reason| Some(reason["code"].as_str()?.to_owned())).collect())
    }

    /// Ends the generators; their logs stay.
    pub fn end_loads(&mut self, mut outcome: Outcome) -> Result<Outcome> {
        self.running.iter().for_each(|running| running.stop.stop());
        let mut reports = Vec::new();
        for running in self.running.drain(..) {
            self.logs.push(running.acked_log);
            match running.thread.join().map_err(|_| anyhow!("a generator panicked"))? {
                Ok(report) => reports.push(report),
                Err(_) if running.astray => {}
                Err(error) => outcome = outcome.breaks(format!("the generator {}: {error:#}", running.name)),
            }
        }
        let reconnects = reports.iter().map(|report| report.reconnects).sum();
        let resent = reports.iter().map(|report| report.resent).sum();
        Ok(outcome.measured(&reports).with("reconnects", reconnects).with("sent again", resent))
    }

    /// Compares what was acknowledged with what is there, now or after waiting as long for what is not queryable yet.
    pub fn counts(&self, wait: Duration) -> Result<Counts> {
        let mut counts = Counts::default();
        for log in &self.logs {
            counts += self.verify(log, wait)?;
        }
        Ok(counts)
    }

    /// Ends the generators, compares what was acknowledged with what is there, and stops the server.
    pub fn finish(mut self, outcome: Outcome) -> Result<Outcome> {
        let outcome = self.end_loads(outcome)?;
        self.look()?;
        let mut outcome = outcome.counted(self.counts(self.patience)?);
        outcome.restart_max_seconds = longest(&self.restarts);
        if let Some([first, last]) = self.looks {
            outcome.memory_drift_bytes = Some(last.0 as i64 - first.0 as i64);
            outcome.descriptor_drift = Some(last.1 as i64 - first.1 as i64);
        }
        self.stop()?;
        Ok(outcome)
    }

    fn verify(&self, acked_log: &Path, wait: Duration) -> Result<Counts> {
        let config = VerifyConfig {
            url: format!("http://{}", self.listen().http),
            key: self.key.clone(),
            foreign_key: Some(self.stranger.key.clone()),
            acked_log: acked_log.to_owned(),
            journal: Some(self.launch.data.join("journal")),
            wait,
        };
        Ok(verify::run(&config, self.context.clock, |_, _| ())?.counts)
    }
}

impl Running {
    fn start(
        context: &Context<'_>,
        generator: &Generator,
        tenant: TenantId,
        config: LoadConfig,
        acked_log: PathBuf,
    ) -> Result<Self> {
        let (name, astray) = (generator.name, generator.astray);
        let (clock, stop, progress) = (context.clock.clone(), Stop::default(), Arc::new(Progress::default()));
        let failure = Arc::new(OnceLock::new());
        let run = Run { seed: config.seed, boot: 1, shape: config.shape, started: clock.now_ms() };
        let log = AckedLog::open(&acked_log, run, tenant, &load::streams(&config))?;
        let thread = std::thread::Builder::new().name(format!("load-{name}")).spawn({
            let (stop, progress, failure) = (stop.clone(), progress.clone(), failure.clone());
            move || {
                let report = load::run(&config, &clock, &stop, &progress, Some(&log));
                if let Err(error) = &report {
                    failure.get_or_init(|| format!("{error:#}"));
                }
                log.close()?;
                report
            }
        })?;
        Ok(Self { name, acked_log, astray, stop, progress, failure, thread })
    }
}

/// A new tenant.
fn new_tenant(api: &Api, name: &str) -> Result<Stranger> {
    #[derive(Deserialize)]
    struct Made {
        tenant_id: TenantId,
    }
    let made: Made = api.post("/v1/tenants", &json!({"name": name}))?;
    let rights = ["ingest", "query", "devices", "schemas", "dead-letters", "admin"];
    let key: Value = api.post("/v1/keys", &json!({"tenant": name, "name": "admin", "rights": rights}))?;
    let key = key["token"].as_str().context("a new key has a token")?.to_owned();
    Ok(Stranger { tenant: made.tenant_id, key })
}
