//! The MQTT gateway: sockets in, batches of `raw` out, acknowledgements back when the log says durable.
//!
//! What happens to a PUBLISH, in reading order: [`event_loop`] sees a socket ready, [`serve`] reads it, [`mqtt::Session`]
//! finds the packet, [`publish`] routes it and puts it into the open batch, [`crate::line::appender`] commits the batch,
//! and the loop writes the acknowledgements that the durable watermark has released.
//!
//! Connections live on one single-threaded loop and never move. The loop never waits: what needs the database (a token
//! that is not in the cache, a device that an API key names) goes to the runtime and comes back through the inbox. It
//! never acknowledges what is not durable, and never reads a socket whose answers it could not hold.

mod connect;
mod connection;
mod event_loop;
pub(crate) mod identity;
mod kept;
mod known_devices;
mod look_ups;
mod news;
mod publish;
mod quota;
mod serve;
pub(crate) mod sockets;
mod timers;
pub(crate) mod topic;
mod wills;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use mio::{Poll, Token, Waker};
use model::{Clock, TenantId};
use mqtt::{Offer, Qos};
use registry::{Change, Registry};
use tokio::runtime::Handle;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::line::ledger::Ledger;
use crate::line::overload::Overload;
use crate::line::plans::Passed;
use crate::line::raw_log::RawLog;
use crate::line::sessions::HeldIds;
use crate::operations::Metrics;
use event_loop::EventLoop;
use look_ups::Waiting;

/// Messages to the loop that may wait; their senders wait beyond it.
const INBOX_MAX: usize = 1024;
/// The poll token of the inbox; listeners and connections have the others.
const WAKE: Token = Token(usize::MAX);

/// What a gateway is made of.
pub struct GatewayParts {
    /// Where devices and keys connect.
    pub listener: TcpListener,
    /// Where whoever connects acts as this tenant, with free topics only.
    pub anonymous: Option<(TcpListener, TenantId)>,
    pub offer: Offer,
    pub raw: Arc<RawLog>,
    /// QoS 2 ids that await PUBREL from before the start.
    pub held: HeldIds,
    pub overload: Arc<Overload>,
    pub ledger: Arc<Ledger>,
    pub registry: Registry,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
    pub runtime: Handle,
}

/// What comes to the loop from other threads.
pub(crate) enum Inbound {
    /// The registry has been asked for these; its cache knows the answers now. `round`: the next question may follow.
    LookedUp { waiting: Vec<Waiting>, round: bool },
    /// Something that live sessions depend on has changed; `None`: more than could be told, so take it that all has.
    Changed(Option<Change>),
    /// Answer: every change that was announced before has been acted on.
    Passed(oneshot::Sender<()>),
    /// Finish: no more input, acknowledge what is on its way, say good-bye.
    Stop,
}

/// A handle on the running gateway.
pub struct Gateway {
    inbox: Inbox,
    thread: JoinHandle<()>,
    changes: tokio::task::JoinHandle<()>,
    passed: Passed,
    /// Keeps the log's wake-ups coming.
    _wakes: journal::Registration,
}

/// The way to the loop; cheap to clone.
#[derive(Clone)]
pub(crate) struct Inbox {
    sender: mpsc::Sender<Inbound>,
    waker: Arc<Waker>,
}

impl Inbox {
    /// Waits for room, then wakes the loop. A loop that has ended takes nothing any more.
    pub(crate) async fn send(&self, message: Inbound) {
        if self.sender.send(message).await.is_ok()
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "the gateway could not be woken; it looks by itself once a second");
        }
    }
}

/// What the server offers to MQTT clients under this configuration: everything that it does, and nothing that it does
/// not do yet.
pub fn offer(config: &crate::config::MqttConfig) -> Offer {
    Offer {
        packet_bytes_max: u32::try_from(config.packet_bytes_max.0).unwrap_or(u32::MAX),
        receive_max: config.receive_maximum,
        topic_alias_max: config.topic_alias_maximum,
        qos_max: Qos::ExactlyOnce,
        ..Offer::default()
    }
}

impl Gateway {
    /// Starts the loop. It accepts connections at once.
    pub fn start(parts: GatewayParts) -> io::Result<Self> {
        raise_descriptor_limit();
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let (sender, receiver) = mpsc::channel(INBOX_MAX);
        let inbox = Inbox { sender, waker: waker.clone() };
        let wakes = parts.raw.log().on_durable(Box::new(move || {
            // A full eventfd means that the loop is awake anyway; there is no other failure to act on here.
            let _woken: io::Result<()> = waker.wake();
        }));
        let (passed, asked) = mpsc::channel(INBOX_MAX);
        let changes = parts.runtime.spawn(forward_changes(parts.registry.changes(), asked, inbox.clone()));
        let event_loop = EventLoop::new(poll, parts, inbox.clone(), receiver)?;
        let thread = std::thread::Builder::new().name("gateway-0".into()).spawn(move || event_loop.run())?;
        Ok(Self { inbox, thread, changes, passed, _wakes: wakes })
    }

    /// Whom to ask whether the gateway has acted on what the registry announced.
    pub fn passed(&self) -> Passed {
        self.passed.clone()
    }

    /// Acknowledges everything that is on its way, tells every client, and ends the loop.
    pub async fn stop(self) {
        self.changes.abort();
        self.inbox.send(Inbound::Stop).await;
        let thread = self.thread;
        match tokio::task::spawn_blocking(move || thread.join()).await {
            Ok(Ok(())) => {}
            _ => tracing::error!("the gateway panicked; nothing that it had not acknowledged was acknowledged"),
        }
    }
}

/// Lets this process open as many files as the system allows it: service managers start programs with 1024, for the
/// sake of those that use select(2).
fn raise_descriptor_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    #[allow(unsafe_code, reason = "std has no getrlimit")]
    // SAFETY: both calls are given a struct that lives through them.
    let raised = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 && {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit) == 0
        }
    };
    if !raised {
        let error = io::Error::last_os_error();
        tracing::warn!(%error, "the limit of open files could not be raised; it bounds the connections");
    }
}

async fn forward_changes(
    mut changes: broadcast::Receiver<Change>,
    mut asked: mpsc::Receiver<oneshot::Sender<()>>,
    inbox: Inbox,
) {
    loop {
        let change = tokio::select! {
            change = changes.recv() => match change {
                Ok(change) => Some(change),
                Err(RecvError::Lagged(_)) => None,
                Err(RecvError::Closed) => return,
            },
            Some(passed) = asked.recv() => {
                // What was announced before goes before.
                loop {
                    match changes.try_recv() {
                        Ok(change) => inbox.send(Inbound::Changed(Some(change))).await,
                        Err(TryRecvError::Lagged(_)) => inbox.send(Inbound::Changed(None)).await,
                        Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                    }
                }
                inbox.send(Inbound::Passed(passed)).await;
                continue;
            }
        };
        inbox.send(Inbound::Changed(change)).await;
    }
}

/// Binds a listening address, with the port's owner's next step in the error.
pub fn bind(address: SocketAddr, what: &str, option: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => "another program listens there",
            io::ErrorKind::PermissionDenied => "ports below 1024 need root",
            _ => "check the address",
        };
        anyhow::anyhow!("{what} cannot listen on {address}: {error}; {advice}. Choose another address with {option}")
    })
}
