//! The load generator: many connections on one thread, made to cost far less than the server that it measures.
//!
//! Packets are templates in which a few bytes are patched; a portion of messages is one write; acknowledgements are
//! counted in runs and allocate nothing. Closed loop: a window of unacknowledged messages per connection. Open loop: a
//! rate, with latencies from the instant at which a message was due. It knows nothing of what the server does with a
//! message.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use ::mqtt::{Qos, Version};
use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use model::{Clock, DeviceId, Millis, TenantId};

use crate::acked::{AckedLog, StreamGauge};
use crate::stop::Stop;

pub mod pace;
pub mod payload;
pub mod stream;

mod connection;
mod http;
mod mqtt;
mod tally;
#[cfg(test)]
mod tests;
mod worker;

use payload::Shape;

/// Where messages go and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    Mqtt {
        address: SocketAddr,
        version: Version,
        qos: Qos,
    },
    /// Keep-alive connections; a request carries `array` messages (1: an object, not an array).
    Http {
        address: SocketAddr,
        array: u32,
    },
}

/// Who sends.
#[derive(Clone, Debug)]
pub struct Senders {
    pub tenant: TenantId,
    /// Dealt out to the connections in equal slices.
    pub devices: Arc<[DeviceId]>,
    pub credential: Credential,
}

/// How senders prove who they are.
#[derive(Clone, Debug)]
pub enum Credential {
    /// One token per device; then a connection is one device.
    Tokens(Arc<[String]>),
    /// An API key with the right `ingest` that speaks for all devices.
    Key(String),
}

/// What to send.
#[derive(Clone, Debug)]
pub struct LoadConfig {
    pub target: Target,
    pub senders: Senders,
    pub connections: usize,
    /// Messages in flight per connection (HTTP: one request).
    pub window: u32,
    /// Messages a second in total; none: as fast as the window allows.
    pub rate: Option<f64>,
    pub shape: Shape,
    pub seed: u64,
    /// Goes into the payload if given.
    pub boot: Option<u32>,
    pub times: Times,
    /// Where each connection goes on: messages that it sent in earlier runs over the same devices. Empty: nowhere yet.
    pub begun: Arc<[u64]>,
    /// Ends after so many messages.
    pub messages: Option<u64>,
    /// Ends after so long.
    pub duration: Option<Duration>,
    pub threads: usize,
    /// Connects again when a connection is lost, and sends again what was not acknowledged.
    pub reconnect: bool,
    /// How long to wait at the end for acknowledgements.
    pub drain_max: Duration,
}

/// What `ts` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Times {
    /// When the message was written.
    Now,
    /// A past that is filled in: a device's message `seq` is `interval` ms after the one before it.
    Past { first: Millis, interval: u32 },
}

impl Times {
    /// The `ts` of a message that is written at `now`.
    fn of(self, seq: u64, now: Millis) -> Millis {
        match self {
            Self::Now => now,
            Self::Past { first, interval } => first + (seq - FIRST_SEQ) as Millis * Millis::from(interval),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct LoadReport {
    /// When the first message was due, on the loop's clock.
    pub started: Duration,
    /// From there to the last acknowledgement.
    pub elapsed: Duration,
    pub sent: u64,
    pub acked: u64,
    /// Messages written again after a lost connection.
    pub resent: u64,
    pub refused: u64,
    pub reconnects: u64,
    /// What [`LoadConfig::begun`] has to be for a run that goes on after this one.
    pub begun: Vec<u64>,
    /// Microseconds from due (open loop) or sent (closed loop) to acknowledged.
    pub ack_us: Histogram<u64>,
}

impl LoadReport {
    /// Acknowledged messages a second.
    pub fn rate(&self) -> f64 {
        self.acked as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// What others may watch while a load runs.
#[derive(Debug, Default)]
pub struct Progress {
    acked: AtomicU64,
    connected: AtomicU64,
    started: OnceLock<Duration>,
    last_refusal: Mutex<Option<String>>,
}

impl Progress {
    pub fn acked(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }

    pub fn connected(&self) -> u64 {
        self.connected.load(Ordering::Relaxed)
    }

    /// When the first message was due, on the loop's clock; none while connections are made.
    pub fn started(&self) -> Option<Duration> {
        self.started.get().copied()
    }

    /// What the server said when it last refused something.
    pub fn last_refusal(&self) -> Option<String> {
        self.last_refusal.lock().expect("no holder of this lock panics").clone()
    }

    fn refused(&self, why: &anyhow::Error) {
        *self.last_refusal.lock().expect("no holder of this lock panics") = Some(why.to_string());
    }
}

/// The longest latency that a histogram tells apart: an hour, in microseconds.
const LATENCY_US_MAX: u64 = 3_600_000_000;

/// An empty histogram for microseconds, with three significant digits.
pub fn latency_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("these bounds are in order")
}

/// Devices of connection `number`: equal slices, the first ones one longer where it does not come out even.
fn slice_of(devices: usize, connections: usize, number: usize) -> std::ops::Range<usize> {
    let (share, longer) = (devices / connections, devices % connections);
    let from = number * share + number.min(longer);
    from..from + share + usize::from(number < longer)
}

/// The devices of each connection, as [`AckedLog::open`] wants them: with the first seq.
pub fn streams(config: &LoadConfig) -> Vec<(u64, Arc<[DeviceId]>)> {
    let devices = &config.senders.devices;
    let of = |number| devices[slice_of(devices.len(), config.connections, number)].into();
    (0..config.connections).map(|number| (FIRST_SEQ, of(number))).collect()
}

pub(crate) const FIRST_SEQ: u64 = 1;

/// Sends until the count, the duration or `stop`, then waits for what is in flight.
pub fn run(
    config: &LoadConfig,
    clock: &Clock,
    stop: &Stop,
    progress: &Progress,
    log: Option<&AckedLog>,
) -> Result<LoadReport> {
    check(config)?;
    ensure!(log.is_none() || config.begun.is_empty(), "an acked-set log begins with the first message of its streams");
    let threads = config.threads.clamp(1, config.connections);
    let gauges = log.map(AckedLog::gauges);
    let shared = worker::Shared::new(threads, stop);
    let run_thread = |thread| {
        let numbers = slice_of(config.connections, threads, thread);
        worker::run(config, clock, &shared, progress, gauges.as_deref(), numbers)
    };
    let reports = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run_thread(thread))).collect();
        let joined =
            handles.into_iter().map(|handle| handle.join().map_err(|_| anyhow::anyhow!("a load thread panicked"))?);
        joined.collect::<Result<Vec<_>>>()
    })?;
    Ok(merge(reports))
}

fn check(config: &LoadConfig) -> Result<()> {
    let devices = config.senders.devices.len();
    ensure!(config.connections > 0, "at least one connection is needed");
    ensure!(
        devices >= config.connections,
        "{} connections need as many devices, there are {devices}",
        config.connections
    );
    if let Credential::Tokens(tokens) = &config.senders.credential {
        ensure!(tokens.len() == devices, "{devices} devices need as many tokens, there are {}", tokens.len());
        ensure!(devices == config.connections, "several devices on one connection need an API key");
    }
    ensure!(
        config.begun.is_empty() || config.begun.len() == config.connections,
        "every connection has to go on where it was"
    );
    ensure!(config.rate.is_none_or(|rate| rate > 0.0), "a rate is greater than zero");
    ensure!(config.messages.is_some() || config.duration.is_some(), "a load needs an end: a count or a duration");
    Ok(())
}

fn merge(reports: Vec<LoadReport>) -> LoadReport {
    let mut reports = reports.into_iter();
    let mut all = reports.next().expect("there is at least one thread");
    for report in reports {
        all.elapsed = all.elapsed.max(report.elapsed);
        all.sent += report.sent;
        all.acked += report.acked;
        all.resent += report.resent;
        all.refused += report.refused;
        all.reconnects += report.reconnects;
        all.begun.extend(report.begun);
        all.ack_us.add(report.ack_us).expect("all histograms have the same bounds");
    }
    all
}

/// The gauge of a connection's stream, where there is a log.
fn gauge(gauges: Option<&[StreamGauge]>, number: usize) -> Option<&StreamGauge> {
    gauges.and_then(|gauges| gauges.get(number))
}
