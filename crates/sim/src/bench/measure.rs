//! One load on one server, once.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::gauges::Gauges;
use super::probe::Visible;
use super::report::{Figures, Held};
use super::subject::{Keeper, Subject};
use super::{Bench, CLASS, Load, Protocol, Step};
use crate::acked::{AckedLog, Run};
use crate::load::{self, LoadConfig, LoadReport, Progress, Target};
use crate::process;
use crate::stop::Stop;

/// How long the end waits for acknowledgements, and then for the last probe.
const DRAIN_MAX: Duration = Duration::from_secs(30);
const WATCH_INTERVAL: Duration = Duration::from_millis(100);
/// The start is looked for more often: CPU time counts from there.
const START_WATCH_INTERVAL: Duration = Duration::from_millis(5);
/// A server is quiet when it uses less than a tenth of a core for so long.
const QUIET: Duration = Duration::from_millis(300);
const QUIET_WAIT_MAX: Duration = Duration::from_secs(10);

/// Puts `subject` under `load` and waits until everything that came of it is done: acknowledged, queryable, sealed as far
/// as it is due.
pub fn measure(bench: Bench<'_>, load: &Load, subject: &mut Subject, acked_log: Option<&Path>) -> Result<Figures> {
    let boot = match acked_log {
        Some(path) => Some(AckedLog::next_boot(path)?),
        None => load.with_boot.then_some(1),
    };
    let config = load_config(load, subject, boot);
    let log = match acked_log {
        Some(path) => {
            let started = bench.clock.now_ms();
            let run = Run { seed: config.seed, boot: boot.unwrap_or(0), shape: config.shape, started };
            Some(AckedLog::open(path, run, config.senders.tenant, &load::streams(&config))?)
        }
        None => None,
    };
    let counted = |keeper: Option<&Keeper>| match keeper {
        Some(keeper) if keeper.counts => keeper.api.count(CLASS, load.shape.metrics()[0]).map(Some),
        _ => Ok(None),
    };
    let stored_before = counted(subject.keeper.as_ref())?;
    let progress = Progress::default();
    let watch = Watch::new(bench, &progress, load, subject);
    let began = bench.clock.monotonic();
    let (outcome, visible, held) = under_watch(&config, &watch, log.as_ref(), subject.keeper.as_mut());
    watch.wait_until_quiet();
    let cost = watch.cost();
    let outcome = outcome?;
    if let Some(log) = log {
        log.close()?;
    }
    let mut figures = Figures::new(&outcome, load.shape, visible);
    figures.connecting_seconds = outcome.started.saturating_sub(began).as_secs_f64();
    figures.spent(cost.as_ref(), held);
    figures.stored = counted(subject.keeper.as_ref())?.zip(stored_before).map(|(after, before)| after - before);
    subject.begun = outcome.begun.into();
    Ok(figures)
}

fn load_config(load: &Load, subject: &Subject, boot: Option<u32>) -> LoadConfig {
    let target = match load.protocol {
        Protocol::Mqtt { version, qos } => Target::Mqtt { address: subject.mqtt, version, qos },
        Protocol::Http { array } => Target::Http { address: subject.http, array },
    };
    LoadConfig {
        target,
        senders: subject.senders.clone(),
        connections: load.connections,
        window: load.window,
        rate: load.rate,
        shape: load.shape,
        seed: load.seed,
        boot,
        times: load.times,
        begun: subject.begun.clone(),
        messages: load.messages,
        duration: load.duration,
        threads: load.threads,
        reconnect: load.reconnect,
        drain_max: DRAIN_MAX,
    }
}

/// What is looked at while a load runs.
struct Watch<'a> {
    bench: Bench<'a>,
    progress: &'a Progress,
    connections: usize,
    duration: Option<Duration>,
    pid: Option<u32>,
    gauges: Option<Gauges>,
    /// What had been spent when the load began.
    before: OnceLock<process::Usage>,
    generator_before: OnceLock<f64>,
}

impl<'a> Watch<'a> {
    fn new(bench: Bench<'a>, progress: &'a Progress, load: &Load, subject: &Subject) -> Self {
        let gauges = subject.keeper.as_ref().and_then(|keeper| keeper.operations.as_deref().map(Gauges::new));
        Self {
            bench,
            progress,
            connections: load.connections,
            duration: load.duration,
            pid: subject.pid,
            gauges,
            before: OnceLock::new(),
            generator_before: OnceLock::new(),
        }
    }

    /// What the server has spent; none if it runs elsewhere.
    fn usage(&self) -> process::Usage {
        self.pid.and_then(|pid| process::Usage::of(pid).ok()).unwrap_or_default()
    }

    fn generator(&self) -> f64 {
        process::cpu_seconds(std::process::id()).unwrap_or(0.0)
    }

    fn run(&self, over: &Stop) -> Held {
        let mut held = Held::default();
        while !over.wanted() {
            let Some(started) = self.progress.started() else {
                (self.bench.step)(Step::Connecting { done: self.progress.connected(), all: self.connections as u64 });
                std::thread::sleep(START_WATCH_INTERVAL);
                continue;
            };
            self.generator_before.get_or_init(|| self.generator());
            self.before.get_or_init(|| self.usage());
            let elapsed = self.bench.clock.monotonic().saturating_sub(started);
            (self.bench.step)(Step::Running { acked: self.progress.acked(), elapsed });
            if let Some((memory, _)) = self.pid.and_then(|pid| process::memory_bytes(pid).ok()) {
                held.look(memory, self.duration.is_some_and(|duration| elapsed > duration / 2));
            }
            if let Some(reading) = self.gauges.as_ref().and_then(|gauges| gauges.read().ok()) {
                held.note(&reading);
            }
            std::thread::sleep(WATCH_INTERVAL);
        }
        held.generator_seconds = self.generator() - self.generator_before.get().copied().unwrap_or(0.0);
        held
    }

    /// Waits until the server has nothing left to do.
    fn wait_until_quiet(&self) {
        self.before.get_or_init(|| self.usage());
        let Some(pid) = self.pid else { return };
        let give_up = self.bench.clock.monotonic() + QUIET_WAIT_MAX;
        while self.bench.clock.monotonic() < give_up {
            let Ok(before) = process::cpu_seconds(pid) else { return };
            std::thread::sleep(QUIET);
            let Ok(after) = process::cpu_seconds(pid) else { return };
            if after - before < QUIET.as_secs_f64() / 10.0 {
                return;
            }
        }
    }

    fn cost(&self) -> Option<process::Usage> {
        let usage = self.usage();
        let before = self.before.get().cloned().unwrap_or_else(|| usage.clone());
        self.pid.map(|_| usage.since(&before))
    }
}

type Watched = (Result<LoadReport>, Option<Result<Visible>>, Held);

fn under_watch(config: &LoadConfig, watch: &Watch<'_>, log: Option<&AckedLog>, keeper: Option<&mut Keeper>) -> Watched {
    let over = Stop::default();
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch.run(&over));
        let prober = keeper.and_then(|Keeper { api, probe, .. }| probe.as_mut().map(|probe| (probe, &*api)));
        let prober = prober.map(|(probe, api)| {
            let over = &over;
            let begun = || watch.progress.started().is_some();
            scope.spawn(move || probe.run(api, watch.bench.clock, begun, over, DRAIN_MAX))
        });
        let outcome = load::run(config, watch.bench.clock, watch.bench.stop, watch.progress, log);
        over.stop();
        (watch.bench.step)(Step::Draining);
        let visible = prober.map(|prober| prober.join().map_err(|_| anyhow!("the probe panicked"))?);
        let held = watcher.join().expect("the watcher only reads and prints");
        (outcome, visible, held)
    })
}
