//! What is counted, in the Prometheus (OpenMetrics) text format.
//!
//! Counters are incremented per batch, connection or request, never per message. Every label has few values: a
//! protocol, a reason, a route; never a device, a tenant or a topic.

use std::sync::atomic::Ordering;
use std::time::Duration;

use model::dead_letter::Entry;
use model::{Offset, Reason};
use pipeline::Output;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::sample::{Process, Sample};

#[cfg(test)]
mod tests;

/// Every counter of the server.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub mqtt: Protocol,
    pub http: Protocol,
    requests: Family<Request, Counter>,
    ingested: Ingested,
    state: State,
}

/// What one way into the server counts.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// Open connections.
    pub connections: Gauge,
    /// Times that a connection could not be accepted, for want of descriptors most likely.
    pub accept_failures: Counter,
    /// Payloads put into a batch, and their bytes.
    pub received: Counter,
    pub received_bytes: Counter,
    /// Payloads acknowledged, so durable.
    pub acknowledged: Counter,
    durable_seconds: Histogram,
    refused: Family<Refusal, Counter>,
}

/// What the pipeline made of messages.
#[derive(Debug, Default)]
struct Ingested {
    accepted: Counter,
    duplicates: Counter,
    events: Counter,
    free: Counter,
    rejected: Family<Rejection, Counter>,
    replayed: Family<Tried, Counter>,
}

/// What is set when somebody asks.
#[derive(Debug, Default)]
struct State {
    lag_bytes: Gauge,
    position: Gauge,
    head_bytes: Gauge,
    blocks: Gauge,
    block_bytes: Gauge,
    block_rows: Gauge,
    rows_merged: Counter,
    blocks_damaged: Gauge,
    dead_letter_bytes: Gauge,
    tenants_at_quota: Gauge,
    store_failing: Gauge,
    schema_registry_silent_seconds: Gauge,
    free_bytes: Gauge,
    commits: Family<Log, Counter>,
    batches: Family<Log, Counter>,
    log_bytes: Family<Log, Gauge>,
    log_segments: Family<Log, Gauge>,
    tail_bytes: Family<Log, Gauge>,
    poisoned: Gauge,
    blocked: Gauge,
    damaged: Family<Log, Gauge>,
    ingest_held: Gauge,
    resident_bytes: Gauge,
    open_descriptors: Gauge,
    threads: Gauge,
    cpu_seconds: Gauge<f64, std::sync::atomic::AtomicU64>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Request {
    route: String,
    status: String,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Refusal {
    code: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Rejection {
    reason: &'static str,
}

/// A dead letter that was tried again: a reason's code, or [`PASSED`].
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Tried {
    outcome: &'static str,
}

const PASSED: &str = "passed";

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Log {
    topic: &'static str,
}

impl Protocol {
    fn new(registry: &mut Registry, name: &'static str) -> Self {
        let protocol = Self {
            connections: Gauge::default(),
            accept_failures: Counter::default(),
            received: Counter::default(),
            received_bytes: Counter::default(),
            acknowledged: Counter::default(),
            // 100 µs to 3.3 s.
            durable_seconds: Histogram::new(exponential_buckets(0.0001, 2.0, 16)),
            refused: Family::default(),
        };
        let registry = registry.sub_registry_with_label(("protocol".into(), name.into()));
        registry.register("connections", "Open connections", protocol.connections.clone());
        let text = "Times that a connection could not be accepted";
        registry.register("accept_failures", text, protocol.accept_failures.clone());
        registry.register("received_payloads", "Payloads put into a batch", protocol.received.clone());
        registry.register("received_bytes", "Bytes of these payloads", protocol.received_bytes.clone());
        registry.register("acknowledged_payloads", "Payloads acknowledged, so durable", protocol.acknowledged.clone());
        let text = "From a batch's or a request's last payload to its durability, in seconds";
        registry.register("durable_seconds", text, protocol.durable_seconds.clone());
        registry.register("refused", "Payloads or connections refused, by code", protocol.refused.clone());
        protocol
    }

    /// Counts a batch or a request that became durable this long after its last payload came.
    pub fn durable_after(&self, took: Duration) {
        self.durable_seconds.observe(took.as_secs_f64());
    }

    /// Counts something refused. The code is one of a fixed set, as in problem documents.
    pub fn refused(&self, code: &'static str, count: u64) {
        self.refused.get_or_create(&Refusal { code }).inc_by(count);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("tidewater");
        let mqtt = Protocol::new(&mut registry, "mqtt");
        let http = Protocol::new(&mut registry, "http");
        let requests = Family::default();
        registry.register("http_requests", "HTTP requests by route and class of status", requests.clone());
        let ingested = Ingested::register(&mut registry);
        let state = State::register(&mut registry);
        Self { registry, mqtt, http, requests, ingested, state }
    }

    /// Counts what the pipeline made of one batch.
    pub fn ingested(&self, output: &Output) {
        let counts = output.counts;
        self.ingested.accepted.inc_by(counts.accepted);
        self.ingested.duplicates.inc_by(counts.duplicates);
        self.ingested.events.inc_by(counts.events);
        self.ingested.free.inc_by(counts.free);
        for entry in &output.dead {
            match entry {
                Entry::Letter(letter) => {
                    self.ingested.rejected.get_or_create(&Rejection { reason: letter.reason.code() }).inc();
                }
                Entry::Replayed(replayed) => {
                    let outcome = replayed.rejected.as_ref().map_or(PASSED, |rejection| rejection.reason.code());
                    self.ingested.replayed.get_or_create(&Tried { outcome }).inc();
                }
            }
        }
    }

    /// How far the ingest thread has come, and how many bytes of `raw` are before it.
    pub fn lag(&self, lag_bytes: u64, position: Offset) {
        self.state.lag_bytes.set(lag_bytes as i64);
        self.state.position.set(position as i64);
    }

    /// Durable bytes of `raw` that were not queryable when the ingest thread last looked.
    pub fn lag_bytes(&self) -> u64 {
        self.state.lag_bytes.get() as u64
    }

    /// Counts a request. `route` is the pattern of the path.
    pub fn request(&self, route: &str, status: u16) {
        let label = Request { route: route.to_owned(), status: format!("{}xx", status / 100) };
        self.requests.get_or_create(&label).inc();
    }

    /// Everything as text.
    pub fn scrape(&self, sample: &Sample) -> String {
        self.state.set(sample, Process::read());
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a String takes every write");
        text
    }
}

impl Ingested {
    fn register(registry: &mut Registry) -> Self {
        let ingested = Self::default();
        for reason in Reason::ALL {
            // Present from the start, so that the first rejection is seen as an increase.
            drop(ingested.rejected.get_or_create(&Rejection { reason: reason.code() }));
        }
        registry.register("messages_accepted", "Messages and events stored", ingested.accepted.clone());
        registry.register("messages_duplicate", "Re-sends recognised and dropped", ingested.duplicates.clone());
        registry.register("events", "Events among the accepted", ingested.events.clone());
        registry.register("free_payloads", "Payloads of free topics", ingested.free.clone());
        drop(ingested.replayed.get_or_create(&Tried { outcome: PASSED }));
        let text = "Dead letters tried again, by outcome: passed, or the reason of the rejection";
        registry.register("dead_letters_replayed", text, ingested.replayed.clone());
        registry.register("messages_rejected", "Dead letters, by reason", ingested.rejected.clone());
        ingested
    }
}

impl State {
    fn register(registry: &mut Registry) -> Self {
        let state = Self::default();
        registry.register("lag_bytes", "Durable bytes of raw that are not queryable yet", state.lag_bytes.clone());
        registry.register("raw_position", "Offset of raw up to which rows are queryable", state.position.clone());
        registry.register("head_bytes", "Memory of rows that are not in a block yet", state.head_bytes.clone());
        registry.register("blocks", "Blocks in the catalog", state.blocks.clone());
        registry.register("block_bytes", "Bytes of these blocks", state.block_bytes.clone());
        registry.register("block_rows", "Rows in these blocks", state.block_rows.clone());
        let help =
            "Rows that merges have written again since the start: with the rows taken in, the write amplification";
        registry.register("rows_merged", help, state.rows_merged.clone());
        registry.register("blocks_damaged", "Blocks not served because they are damaged", state.blocks_damaged.clone());
        let text = "Bytes of dead letters that are kept and have not passed a replay";
        registry.register("dead_letter_bytes", text, state.dead_letter_bytes.clone());
        let text = "Tenants that are refused because they have as many dead letters as they may have";
        registry.register("tenants_at_dead_letter_quota", text, state.tenants_at_quota.clone());
        registry.register("store_failing", "1 while sealing or merging does not get on", state.store_failing.clone());
        let text = "How long the external schema registry has not answered; 0 while it does, or there is none";
        registry.register("schema_registry_silent_seconds", text, state.schema_registry_silent_seconds.clone());
        registry.register("disk_free_bytes", "Bytes that can still be written", state.free_bytes.clone());
        registry.register("journal_commits", "Commits since the start", state.commits.clone());
        registry.register("journal_batches", "Batches since the start", state.batches.clone());
        registry.register("journal_bytes", "Bytes of the log", state.log_bytes.clone());
        registry.register("journal_segments", "Segments of the log", state.log_segments.clone());
        registry.register("journal_tail_bytes", "Bytes in memory for readers", state.tail_bytes.clone());
        registry.register("journal_poisoned", "1 if the journal stopped", state.poisoned.clone());
        let text = "Offsets of the log that were durable and cannot be read any more, as far as is known";
        registry.register("journal_damaged_offsets", text, state.damaged.clone());
        let text = "1 while the journal cannot take more, for want of space or descriptors";
        registry.register("journal_blocked", text, state.blocked.clone());
        registry.register("ingest_held", "1 while ingest is paused or stopped", state.ingest_held.clone());
        let process = registry.sub_registry_with_prefix("process");
        process.register("resident_memory_bytes", "Resident memory", state.resident_bytes.clone());
        process.register("open_fds", "Open file descriptors", state.open_descriptors.clone());
        process.register("threads", "Threads", state.threads.clone());
        process.register("cpu_seconds", "User and system time since the start", state.cpu_seconds.clone());
        state
    }

    fn set(&self, sample: &Sample, process: Process) {
        self.lag_bytes.set(sample.lag_bytes as i64);
        self.head_bytes.set(sample.head_bytes as i64);
        self.blocks.set(sample.blocks as i64);
        self.block_bytes.set(sample.block_bytes as i64);
        self.block_rows.set(sample.block_rows as i64);
        self.rows_merged.inner().store(sample.rows_merged, Ordering::Relaxed);
        self.blocks_damaged.set(sample.blocks_damaged as i64);
        self.dead_letter_bytes.set(sample.dead_letter_bytes as i64);
        self.tenants_at_quota.set(sample.tenants_at_quota as i64);
        self.store_failing.set(i64::from(sample.store_failure.is_some()));
        // From the first moment on it is not 0.
        let silent = sample.schemas_outage.as_ref().map_or(0, |outage| outage.lasts.as_secs() as i64 + 1);
        self.schema_registry_silent_seconds.set(silent);
        self.free_bytes.set(i64::try_from(sample.free_bytes).unwrap_or(i64::MAX));
        self.poisoned.set(i64::from(sample.poisoned.is_some()));
        self.blocked.set(i64::from(sample.journal_blocked.is_some()));
        self.ingest_held.set(i64::from(!sample.ingest_held.is_empty()));
        for (topic, offsets) in &sample.damaged_offsets {
            self.damaged.get_or_create(&Log { topic: topic.name() }).set(*offsets as i64);
        }
        for (topic, figures) in &sample.logs {
            let label = Log { topic: topic.name() };
            self.commits.get_or_create(&label).inner().store(figures.commits, Ordering::Relaxed);
            self.batches.get_or_create(&label).inner().store(figures.batches, Ordering::Relaxed);
            self.log_bytes.get_or_create(&label).set(figures.bytes as i64);
            self.log_segments.get_or_create(&label).set(figures.segments as i64);
            self.tail_bytes.get_or_create(&label).set(figures.tail_bytes as i64);
        }
        self.resident_bytes.set(process.resident_bytes as i64);
        self.open_descriptors.set(process.open_descriptors as i64);
        self.threads.set(process.threads as i64);
        self.cpu_seconds.set(process.cpu_seconds);
    }
}
