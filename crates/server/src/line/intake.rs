//! The way into the line for callers that wait for an answer: HTTP.
//!
//! One thread per partition owns the open batch. Requests that come together share one commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use bytes::Bytes;
use model::{Clock, ErrorKind, Format, GroupFlags, GroupKey, PayloadKind, Replay, Source, limits};
use registry::{Durability, KnownProfile};
use tokio::sync::{mpsc, oneshot};

use super::appender::{Appender, NotAppended};
use super::device_table::{DeviceTable, TableFull};
use super::overload::{Flow, Overload};
use super::raw_log::RawLog;

/// Requests that may wait for the thread; more wait in their own connections.
const REQUESTS_WAITING_MAX: usize = 1024;
/// How long the thread sleeps when nothing wakes it; a wake-up is never lost, this only bounds a shutdown.
const IDLE_WAIT: Duration = Duration::from_millis(200);

/// One payload and where it belongs.
#[derive(Clone, Debug)]
pub struct Submission {
    pub source: Source,
    /// What the device has beside its class; of no account for a free topic.
    pub profile: KnownProfile,
    pub kind: PayloadKind,
    pub format: Format,
    pub flags: GroupFlags,
    /// What the answer promises; of several payloads, the strongest.
    pub durability: Durability,
    /// At most [`limits::PAYLOAD_BYTES_MAX`] bytes, what stands in front of a replayed one aside.
    pub payload: Bytes,
}

/// Why nothing of a request was accepted.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    #[error("ingest is paused: {reason}; try again in {} s", retry_after.as_secs())]
    Paused { reason: String, retry_after: Duration },
    #[error("ingest is stopped: {0}")]
    Stopped(String),
    #[error("the server is shutting down; send again once it is back")]
    ShuttingDown,
    #[error("it could not be made durable: the journal refused the write; see /ready for the reason, then send again")]
    NotDurable,
    #[error(transparent)]
    TableFull(#[from] TableFull),
    #[error("a payload of {0} bytes is larger than the {max} bytes that one may have", max = limits::PAYLOAD_BYTES_MAX)]
    TooLarge(usize),
}

impl IntakeError {
    fn paused(overload: &Overload) -> Self {
        Self::Paused { reason: overload.reason(), retry_after: Duration::from_secs(1) }
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Paused { .. } => ErrorKind::Limited,
            Self::Stopped(_) | Self::ShuttingDown | Self::NotDurable => ErrorKind::Unavailable,
            Self::TableFull(_) => ErrorKind::Limited,
            Self::TooLarge(_) => ErrorKind::Invalid,
        }
    }
}

type Answer = oneshot::Sender<Result<(), IntakeError>>;

struct Request {
    payloads: Vec<(GroupKey, Bytes)>,
    durability: Durability,
    answer: Answer,
}

/// A handle on the intake thread; cheap to clone.
#[derive(Clone)]
pub struct Intake {
    raw: Arc<RawLog>,
    requests: mpsc::Sender<Request>,
    thread: Thread,
    overload: Arc<Overload>,
}

/// The running intake; [`IntakeThread::stop`] ends it.
pub struct IntakeThread {
    stop: Arc<AtomicBool>,
    handle: JoinHandle<()>,
    /// Keeps the log's wake-ups coming for as long as the thread runs.
    _wakes: journal::Registration,
}

impl Intake {
    /// Starts the thread.
    pub fn start(raw: Arc<RawLog>, overload: Arc<Overload>, clock: Clock) -> std::io::Result<(Self, IntakeThread)> {
        let (requests, receiver) = mpsc::channel(REQUESTS_WAITING_MAX);
        let stop = Arc::new(AtomicBool::new(false));
        let awaiting = Arc::new(AtomicBool::new(false));
        let worker = Worker {
            // A request counts for itself how long it waits.
            appender: Appender::new(raw.clone(), clock.clone(), |_| {}),
            clock,
            stuck_since: None,
            requests: receiver,
            overload: overload.clone(),
            awaiting: awaiting.clone(),
            stop: stop.clone(),
        };
        let handle = std::thread::Builder::new().name("intake".into()).spawn(move || worker.run())?;
        let thread = handle.thread().clone();
        let woken = thread.clone();
        let concerned = awaiting.clone();
        let wakes = raw.log().on_durable(Box::new(move || {
            if concerned.load(Ordering::Acquire) {
                woken.unpark();
            }
        }));
        Ok((Self { raw, requests, thread, overload }, IntakeThread { stop, handle, _wakes: wakes }))
    }

    /// What each device index stands for.
    pub fn devices(&self) -> &DeviceTable {
        self.raw.devices()
    }

    /// Completes when every submission is durable. All are accepted or none; a caller that goes away before that has
    /// no acknowledgement, whatever became of its payloads.
    pub async fn submit(&self, submissions: Vec<Submission>) -> Result<(), IntakeError> {
        self.wait_until_open().await?;
        let early = submissions.iter().all(|submission| submission.durability == Durability::Memory);
        let durability = if early { Durability::Memory } else { Durability::Persisted };
        let mut payloads = Vec::with_capacity(submissions.len());
        for Submission { source, profile, kind, format, flags, payload, .. } in submissions {
            let in_front = if flags.contains(GroupFlags::REPLAYED) { Replay::BYTES } else { 0 };
            if payload.len() - in_front.min(payload.len()) > limits::PAYLOAD_BYTES_MAX {
                return Err(IntakeError::TooLarge(payload.len()));
            }
            let device = self.raw.devices().index_of(&source, &profile)?;
            payloads.push((GroupKey { device, kind, format, flags }, payload));
        }
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request { payloads, durability, answer }).await.map_err(|_| IntakeError::ShuttingDown)?;
        self.thread.unpark();
        answered.await.unwrap_or(Err(IntakeError::NotDurable))
    }

    /// Overload is first a pause: the request waits. It is refused when the pause takes too long.
    async fn wait_until_open(&self) -> Result<(), IntakeError> {
        match self.overload.wait_while_paused(limits::OVERLOAD_PAUSE_MAX).await {
            Flow::Open => Ok(()),
            Flow::Paused => Err(IntakeError::paused(&self.overload)),
            Flow::Stopped => Err(IntakeError::Stopped(self.overload.reason())),
        }
    }
}

impl IntakeThread {
    /// Makes durable what was submitted, answers it, and ends the thread.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        self.handle.thread().unpark();
        if self.handle.join().is_err() {
            tracing::error!("the intake thread panicked; what it had not answered was not acknowledged");
        }
    }
}

struct Worker {
    appender: Appender<Answer>,
    requests: mpsc::Receiver<Request>,
    overload: Arc<Overload>,
    /// Whether commits concern it: the gateway's are many, and waking it for each costs more than its own.
    awaiting: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    clock: Clock,
    /// Since when requests have waited for a log that cannot take them.
    stuck_since: Option<Duration>,
}

impl Worker {
    fn run(mut self) {
        loop {
            self.appender.release(|answer| drop(answer.send(Ok(()))));
            let stopping = self.stop.load(Ordering::Acquire);
            if stopping {
                self.requests.close();
            }
            let took = self.take();
            if self.appender.is_due(!took) {
                self.commit();
            }
            self.refuse_what_waits(stopping);
            if let Some(error) = self.appender.raw().log().poisoned() {
                // Dropping the appender drops every answer that waits: none of them was made durable.
                self.overload.set(Flow::Stopped, &error.to_string());
                return;
            }
            if !took && self.appender.is_settled() {
                if stopping {
                    return;
                }
                self.awaiting.store(false, Ordering::Release);
            }
            let wait = self.appender.due_in(true).map_or(IDLE_WAIT, |due| due.min(IDLE_WAIT));
            if !took && !wait.is_zero() {
                std::thread::park_timeout(wait);
            }
        }
    }

    /// Refuses what waits for a log that has been unable to take it for too long, or that a shutdown will not wait for.
    fn refuse_what_waits(&mut self, stopping: bool) {
        let log = self.appender.raw().log();
        if log.slot_free() || log.obstacle().is_none() {
            self.stuck_since = None;
            return;
        }
        let now = self.clock.monotonic();
        let since = *self.stuck_since.get_or_insert(now);
        if !stopping && now.saturating_sub(since) < limits::OVERLOAD_PAUSE_MAX {
            return;
        }
        for answer in self.appender.take_back().1 {
            let error = if stopping { IntakeError::ShuttingDown } else { IntakeError::paused(&self.overload) };
            drop(answer.send(Err(error)));
        }
    }

    /// False if the log refused: every answer that came with the batch is dropped, so none of them is an ack.
    fn commit(&mut self) -> bool {
        match self.appender.commit() {
            Ok(()) => true,
            Err(NotAppended { error, .. }) => {
                tracing::error!(%error, "the journal refused a batch");
                false
            }
        }
    }

    /// Moves waiting requests into the open batch, as far as it has room; false if there was none to move.
    fn take(&mut self) -> bool {
        let mut took = false;
        while self.appender.has_room(limits::PAYLOAD_BYTES_MAX + Replay::BYTES) {
            let Ok(request) = self.requests.try_recv() else { break };
            took = true;
            self.awaiting.store(true, Ordering::Release);
            if self.push(&request.payloads) {
                self.appender.ack(request.answer, request.durability);
            }
            if self.appender.is_due(false) {
                break;
            }
        }
        took
    }

    /// False if a part of the request could not be appended, so that it must not be acknowledged.
    fn push(&mut self, payloads: &[(GroupKey, Bytes)]) -> bool {
        for (key, payload) in payloads {
            if !self.appender.has_room(payload.len()) && !self.commit() {
                return false;
            }
            self.appender.push(*key, payload);
        }
        true
    }
}
