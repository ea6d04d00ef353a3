//! The loop: what it holds, and one round of it: sockets that are ready ([`super::serve`]), batches that are due,
//! acknowledgements that are released.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::event::Event;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use model::{Clock, Millis, TenantId, limits};
use mqtt::{Ack, Acks, Offer, Reason};
use registry::{Durability, Registry};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::connection::{Connection, ConnectionId};
use super::kept::KeptSessions;
use super::known_devices::KnownDevices;
use super::look_ups::LookUps;
use super::sockets::listen;
use super::wills::Wills;
use super::{GatewayParts, Inbound, Inbox, WAKE};
use crate::line::appender::{Appender, NotAppended};
use crate::line::ledger::Ledger;
use crate::line::overload::{Flow, Overload};
use crate::operations::Metrics;

/// Sockets served before acknowledgements are looked at again, so that they are not held up.
const EVENTS_PER_ROUND: usize = 64;
/// One read. All connections share the buffer.
pub(super) const READ_BYTES: usize = 64 << 10;
/// How often timers are looked at; their precision.
const TICK: Duration = Duration::from_secs(1);
/// How long the loop sleeps at most while sockets are not read because of overload.
pub(super) const OVERLOAD_WAIT: Duration = Duration::from_millis(10);
/// The code in the metrics of what is refused because a pause lasted too long.
pub(super) const OVERLOAD_CODE: &str = "overload";
/// The poll tokens of the listeners.
pub(super) const LISTENER: Token = Token(usize::MAX - 1);
pub(super) const LISTENER_ANONYMOUS: Token = Token(usize::MAX - 2);

/// Acknowledgements and who waits for them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owed {
    pub to: ConnectionId,
    pub acks: Acks,
}

impl Owed {
    /// Has `ack` leave to `to` once what is in the open batch is durable at this level.
    #[inline]
    pub fn add(appender: &mut Appender<Self>, to: ConnectionId, ack: Ack, durability: Durability) {
        let joined = appender.last_ack(durability).is_some_and(|last| last.to == to && last.acks.extend(ack));
        if !joined {
            appender.ack(Self { to, acks: ack.into() }, durability);
        }
    }
}

/// What was taken in since the shared counters were told: they are told once a round, not once a message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub received: u64,
    pub received_bytes: u64,
}

impl Counts {
    /// One more payload was taken in.
    #[inline]
    pub fn add(&mut self, payload: &[u8]) {
        self.received += 1;
        self.received_bytes += payload.len() as u64;
    }
}

/// See the module.
pub(crate) struct EventLoop {
    pub(super) poll: Poll,
    pub(super) listener: TcpListener,
    pub(super) anonymous: Option<(TcpListener, TenantId)>,
    pub(super) connections: Vec<Option<Box<Connection>>>,
    pub(super) free: Vec<u32>,
    /// How often each slot was given out.
    pub(super) generations: Vec<u32>,
    pub(super) open: usize,
    /// Connections that have something to be read or taken.
    pub(super) ready: VecDeque<ConnectionId>,
    /// Connections whose next packet is one for the log, while none of those is taken.
    pub(super) held_off: Vec<ConnectionId>,
    /// Nothing that the log would have to take is taken: ingest is paused, or there is no room for a batch. What concerns the
    /// connection alone goes on: who connects, pings or leaves is answered.
    pub(super) holding: bool,
    /// What the batch must have room for before that ends.
    pub(super) room_wanted: usize,
    /// Connections that have something to be written.
    pub(super) dirty: Vec<ConnectionId>,
    pub(super) appender: Appender<Owed>,
    pub(super) sessions: KeptSessions,
    pub(super) wills: Wills,
    pub(super) known_devices: KnownDevices,
    pub(super) look_ups: LookUps,
    /// When the registry was last told which devices were heard of (Unix ms).
    pub(super) touched_at: Millis,
    pub(super) buffer: Vec<u8>,
    pub(super) offer: Offer,
    pub(super) overload: Arc<Overload>,
    pub(super) ledger: Arc<Ledger>,
    /// The tenants of which nothing is taken in, as of this state of the ledger.
    pub(super) at_quota: Arc<HashSet<TenantId>>,
    pub(super) quota_generation: u64,
    /// The last connection could not be accepted: it was said, and is not said again.
    pub(super) accept_failing: bool,
    /// Since when ingest is paused.
    pub(super) paused_at: Option<Duration>,
    pub(super) registry: Registry,
    pub(super) metrics: Arc<Metrics>,
    pub(super) counts: Counts,
    pub(super) clock: Clock,
    /// Monotonic, read once a round.
    pub(super) now: Duration,
    pub(super) ticked_at: Duration,
    pub(super) runtime: Handle,
    pub(super) inbox: Inbox,
    pub(super) receiver: mpsc::Receiver<Inbound>,
    /// The raw log was found poisoned. Others may have found it before and stopped ingest, so the flow does not tell.
    pub(super) log_failed: bool,
    pub(super) stopping: bool,
}

impl EventLoop {
    pub fn new(poll: Poll, parts: GatewayParts, inbox: Inbox, receiver: mpsc::Receiver<Inbound>) -> io::Result<Self> {
        let now = parts.clock.monotonic();
        let counted = parts.metrics.clone();
        let mut listener = listen(parts.listener)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let anonymous = match parts.anonymous {
            Some((listener, tenant)) => {
                let mut listener = listen(listener)?;
                poll.registry().register(&mut listener, LISTENER_ANONYMOUS, Interest::READABLE)?;
                Some((listener, tenant))
            }
            None => None,
        };
        Ok(Self {
            poll,
            listener,
            anonymous,
            connections: Vec::new(),
            free: Vec::new(),
            generations: Vec::new(),
            open: 0,
            ready: VecDeque::new(),
            held_off: Vec::new(),
            holding: false,
            room_wanted: READ_BYTES,
            dirty: Vec::new(),
            appender: Appender::new(parts.raw, parts.clock.clone(), move |took| counted.mqtt.durable_after(took)),
            sessions: KeptSessions::recover(&parts.held, now),
            wills: Wills::default(),
            known_devices: KnownDevices::new(limits::KNOWN_DEVICES_MAX),
            look_ups: LookUps::default(),
            touched_at: parts.clock.now_ms(),
            buffer: vec![0; READ_BYTES],
            offer: parts.offer,
            overload: parts.overload,
            // Looked at in the first round.
            quota_generation: u64::MAX,
            at_quota: Arc::default(),
            ledger: parts.ledger,
            accept_failing: false,
            paused_at: None,
            registry: parts.registry,
            metrics: parts.metrics,
            counts: Counts::default(),
            clock: parts.clock,
            now,
            ticked_at: now,
            runtime: parts.runtime,
            inbox,
            receiver,
            log_failed: false,
            stopping: false,
        })
    }

    pub fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_PER_ROUND);
        while !self.stopping {
            if let Err(error) = self.poll.poll(&mut events, Some(self.wait()))
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "the gateway cannot wait for sockets and ends");
                return;
            }
            self.now = self.clock.monotonic();
            for event in &events {
                match event.token() {
                    WAKE => self.take_inbox(),
                    LISTENER | LISTENER_ANONYMOUS => self.accept(event.token()),
                    Token(slot) => self.note_event(slot, event),
                }
            }
            self.look_at_quotas();
            self.refuse_what_waits();
            self.release();
            self.serve_ready();
            let idle = self.ready.is_empty() && events.iter().count() < EVENTS_PER_ROUND;
            self.commit_if_due(idle);
            self.ask_registry();
            self.release();
            self.flush_dirty();
            if self.now.saturating_sub(self.ticked_at) >= TICK {
                self.tick();
            }
        }
        self.shut_down(&mut events);
    }

    /// How long to wait for events: not at all while there is work that could be done now.
    fn wait(&self) -> Duration {
        if !self.ready.is_empty() {
            return Duration::ZERO;
        }
        if self.overload.flow() == Flow::Paused && self.paused_at.is_some() {
            return OVERLOAD_WAIT;
        }
        self.appender.due_in(true).map_or(TICK, |due| due.min(TICK))
    }

    fn note_event(&mut self, slot: usize, event: &Event) {
        let Some(connection) = self.connections.get_mut(slot).and_then(Option::as_deref_mut) else { return };
        let id = connection.id;
        let readable = event.is_readable() || event.is_read_closed();
        connection.readable |= readable;
        connection.hung_up |= event.is_read_closed();
        if event.is_writable() && !connection.output.is_empty() {
            self.mark_dirty(id);
        }
        if readable {
            self.queue(id);
        }
    }

    fn serve_ready(&mut self) {
        // A commit that ends wakes the loop, and a pause is looked at again by itself, in every round, so that the beginning
        // of an earlier one is not taken for this one's.
        self.look_whether_to_hold();
        for _ in 0..self.ready.len().min(EVENTS_PER_ROUND) {
            let Some(id) = self.ready.pop_front() else { return };
            self.serve(id);
            self.commit_if_due(false);
            self.look_whether_to_hold();
        }
    }

    fn look_whether_to_hold(&mut self) {
        self.holding = self.is_paused() || !self.make_room(self.room_wanted);
        if self.holding {
            return;
        }
        self.room_wanted = READ_BYTES;
        let now = self.now;
        for id in std::mem::take(&mut self.held_off) {
            if let Some(connection) = self.get(id) {
                (connection.held_off, connection.heard_at) = (false, now);
                self.queue(id);
            }
        }
    }

    /// Whether sockets are left alone for now. A pause that lasts too long ends in refusals, which need reading.
    pub(super) fn is_paused(&mut self) -> bool {
        if self.overload.flow() != Flow::Paused {
            self.paused_at = None;
            return false;
        }
        let since = *self.paused_at.get_or_insert(self.now);
        self.now.saturating_sub(since) < limits::OVERLOAD_PAUSE_MAX
    }

    /// Why a publish cannot be taken now, if so. What had been read when a pause began is still taken: a pause is to be
    /// waited out, not refused.
    pub(super) fn refusal(&self) -> Option<Reason> {
        let too_long = |since| self.now.saturating_sub(since) >= limits::OVERLOAD_PAUSE_MAX;
        match self.overload.flow() {
            Flow::Open => None,
            Flow::Paused => self.paused_at.is_some_and(too_long).then_some(Reason::QUOTA_EXCEEDED),
            Flow::Stopped => Some(Reason::UNSPECIFIED_ERROR),
        }
    }

    /// Whether the open batch takes `len` more bytes, if need be after a commit.
    pub(super) fn make_room(&mut self, len: usize) -> bool {
        if !self.appender.has_room(len) && self.appender.can_commit() {
            self.commit();
        }
        self.appender.has_room(len)
    }

    pub(super) fn commit_if_due(&mut self, idle: bool) {
        if self.appender.is_due(idle) {
            self.commit();
        }
    }

    fn commit(&mut self) {
        let Err(NotAppended { error, batch }) = self.appender.commit() else { return };
        tracing::error!(%error, "the journal refused a batch; clients are disconnected to send it again");
        self.close_all(Reason::SERVER_UNAVAILABLE, |_| true);
        self.sessions.forget(&batch);
    }

    /// Ends the connections whose messages wait for a log that has been unable to take them for too long. Their clients send
    /// them again, and are refused until it can.
    fn refuse_what_waits(&mut self) {
        if self.refusal() != Some(Reason::QUOTA_EXCEEDED) || self.appender.raw().log().slot_free() {
            return;
        }
        let (batches, owed) = self.appender.take_back();
        if batches.is_empty() {
            return;
        }
        let senders: HashSet<ConnectionId> = owed.iter().map(|owed| owed.to).collect();
        let refused = batches.iter().map(|batch| u64::from(batch.count())).sum();
        tracing::warn!(
            payloads = refused,
            senders = senders.len(),
            "the log could not take what waited; it is refused"
        );
        self.metrics.mqtt.refused(OVERLOAD_CODE, refused);
        self.close_all(Reason::QUOTA_EXCEEDED, |connection| senders.contains(&connection.id));
        batches.iter().for_each(|batch| self.sessions.forget(batch));
    }

    /// Hands out the acknowledgements whose batches are durable.
    pub(super) fn release(&mut self) {
        let (connections, dirty) = (&mut self.connections, &mut self.dirty);
        let mut released = 0;
        self.appender.release(|Owed { to, acks }| {
            let place = connections.get_mut(to.slot as usize).and_then(Option::as_deref_mut);
            let Some(connection) = place.filter(|connection| connection.id == to && connection.is_open()) else {
                return;
            };
            connection.acknowledge(acks);
            released += u64::from(acks.count());
            if !connection.dirty {
                connection.dirty = true;
                dirty.push(to);
            }
        });
        let counts = std::mem::take(&mut self.counts);
        let counters = &self.metrics.mqtt;
        counters.acknowledged.inc_by(released);
        counters.received.inc_by(counts.received);
        counters.received_bytes.inc_by(counts.received_bytes);
    }

    /// One write for each connection, however many answers it is owed.
    pub(super) fn flush_dirty(&mut self) {
        for id in std::mem::take(&mut self.dirty) {
            let Some(connection) = self.get(id) else { continue };
            connection.dirty = false;
            if !connection.flush() {
                self.drop_connection(id);
            } else if connection.blocked && connection.may_take() {
                self.queue(id);
            }
        }
    }
}
