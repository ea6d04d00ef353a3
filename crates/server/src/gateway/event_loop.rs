//! The loop: sockets that are ready, batches that are due, acknowledgements that are released.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use model::{Clock, DeviceId, Millis, TenantId, limits};
use mqtt::{Ack, Action, Close, Offer, Reason, Session};
use registry::{Change, Durability, Registry};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::connection::{Connection, ConnectionId, ReadOutcome, Stage};
use super::identity::Identity;
use super::kept::KeptSessions;
use super::publish::KnownDevice;
use super::{GatewayParts, Inbound, Inbox, WAKE};
use crate::line::appender::{Appender, NotAppended};
use crate::line::overload::{Flow, Overload};
use crate::operations::Metrics;

/// Sockets served before acknowledgements are looked at again, so that they are not held up.
const EVENTS_PER_ROUND: usize = 64;
/// One read. All connections share the buffer.
const READ_BYTES: usize = 64 << 10;
/// How often timers are looked at; their precision.
const TICK: Duration = Duration::from_secs(1);
/// How long the loop sleeps at most while sockets are not read because of overload.
const OVERLOAD_WAIT: Duration = Duration::from_millis(10);
/// How long a peer has to close after the farewell.
const FAREWELL_WAIT: Duration = Duration::from_secs(2);
/// How long a shutdown waits for the log.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(10);
/// The poll tokens of the listeners.
const LISTENER: Token = Token(usize::MAX - 1);
const LISTENER_ANONYMOUS: Token = Token(usize::MAX - 2);

/// An acknowledgement and who waits for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owed {
    pub to: ConnectionId,
    pub ack: Ack,
}

/// What was taken in since the shared counters were told: they are told once a round, not once a message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub received: u64,
    pub received_bytes: u64,
}

/// See the module.
pub(crate) struct EventLoop {
    poll: Poll,
    listener: TcpListener,
    anonymous: Option<(TcpListener, TenantId)>,
    pub(super) connections: Vec<Option<Box<Connection>>>,
    free: Vec<u32>,
    /// How often each slot was given out.
    generations: Vec<u32>,
    open: usize,
    /// Connections that have something to be read or taken.
    ready: VecDeque<ConnectionId>,
    /// Connections that have something to be written.
    dirty: Vec<ConnectionId>,
    pub(super) appender: Appender<Owed>,
    pub(super) sessions: KeptSessions,
    pub(super) known_devices: HashMap<DeviceId, KnownDevice>,
    /// When the registry was last told which devices were heard of (Unix ms).
    pub(super) touched_at: Millis,
    buffer: Vec<u8>,
    pub(super) offer: Offer,
    overload: Arc<Overload>,
    /// Since when ingest is paused.
    paused_at: Option<Duration>,
    pub(super) registry: Registry,
    pub(super) metrics: Arc<Metrics>,
    pub(super) counts: Counts,
    pub(super) clock: Clock,
    /// Monotonic, read once a round.
    pub(super) now: Duration,
    ticked_at: Duration,
    pub(super) runtime: Handle,
    pub(super) inbox: Inbox,
    receiver: mpsc::Receiver<Inbound>,
    /// The raw log was found poisoned. Others may have found it before and stopped ingest, so the flow does not tell.
    log_failed: bool,
    stopping: bool,
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
            dirty: Vec::new(),
            appender: Appender::new(parts.raw, parts.clock.clone(), move |took| counted.mqtt.durable_after(took)),
            sessions: KeptSessions::recover(&parts.held, now),
            known_devices: HashMap::new(),
            touched_at: parts.clock.now_ms(),
            buffer: vec![0; READ_BYTES],
            offer: parts.offer,
            overload: parts.overload,
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
            self.release();
            self.serve_ready();
            let idle = self.ready.is_empty() && events.iter().count() < EVENTS_PER_ROUND;
            self.commit_if_due(idle);
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
        if self.overload.flow() == Flow::Paused && self.paused_at.is_some() {
            return OVERLOAD_WAIT;
        }
        let stalled = !self.appender.has_room(READ_BYTES);
        if (!self.ready.is_empty() && !stalled) || self.appender.is_due(true) { Duration::ZERO } else { TICK }
    }

    fn accept(&mut self, token: Token) {
        while self.open < limits::MQTT_CONNECTIONS_MAX {
            let (accepted, anonymous) = match (&self.anonymous, token) {
                (Some((listener, tenant)), LISTENER_ANONYMOUS) => (listener.accept(), Some(*tenant)),
                _ => (self.listener.accept(), None),
            };
            match accepted {
                Ok((stream, _)) => {
                    if let Err(error) = self.add(stream, anonymous) {
                        tracing::debug!(%error, "a connection was gone before it began");
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    // Out of descriptors, most likely. The next tick tries again; who waits, waits in the kernel.
                    tracing::warn!(%error, connections = self.open, "a connection could not be accepted");
                    return;
                }
            }
        }
    }

    fn add(&mut self, mut stream: TcpStream, anonymous: Option<TenantId>) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.generations.push(0);
            (self.connections.len() - 1) as u32
        });
        let at = slot as usize;
        self.generations[at] = self.generations[at].wrapping_add(1);
        let id = ConnectionId { slot, generation: self.generations[at] };
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut stream, Token(at), interest) {
            self.free.push(slot);
            return Err(error);
        }
        self.open += 1;
        self.metrics.mqtt.connections.inc();
        self.connections[at] = Some(Box::new(Connection {
            id,
            stream,
            anonymous,
            session: Session::new(self.offer),
            session_key: None,
            client_id: Box::default(),
            clean_start: false,
            durability: Durability::Persisted,
            stage: Stage::Connecting,
            input: Vec::new(),
            output: Vec::new(),
            routes: Vec::new(),
            parked: None,
            readable: false,
            hung_up: false,
            blocked: false,
            queued: false,
            dirty: false,
            refusing: false,
            heard_at: self.now,
            silence_max: Some(limits::MQTT_CONNECT_WAIT_MAX),
        }));
        Ok(())
    }

    /// The connection, unless its place was given to another one since.
    pub(super) fn get(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.get_mut(id.slot as usize)?.as_deref_mut().filter(|connection| connection.id == id)
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

    pub(super) fn mark_dirty(&mut self, id: ConnectionId) {
        if let Some(connection) = self.get(id)
            && !connection.dirty
        {
            connection.dirty = true;
            self.dirty.push(id);
        }
    }

    /// Has the connection served in the next round.
    pub(super) fn queue(&mut self, id: ConnectionId) {
        if let Some(connection) = self.get(id)
            && !connection.queued
        {
            connection.queued = true;
            self.ready.push_back(id);
        }
    }

    fn serve_ready(&mut self) {
        if self.is_paused() {
            return;
        }
        for _ in 0..self.ready.len().min(EVENTS_PER_ROUND) {
            if !self.make_room(READ_BYTES) {
                return; // A commit that ends wakes the loop.
            }
            let Some(id) = self.ready.pop_front() else { return };
            self.serve(id);
            self.commit_if_due(false);
        }
    }

    /// Whether sockets are left alone for now. A pause that lasts too long ends in refusals, which need reading.
    fn is_paused(&mut self) -> bool {
        if self.overload.flow() != Flow::Paused {
            self.paused_at = None;
            return false;
        }
        let since = *self.paused_at.get_or_insert(self.now);
        self.now.saturating_sub(since) < limits::OVERLOAD_PAUSE_MAX
    }

    /// Why a publish cannot be taken now, if so.
    pub(super) fn refusal(&self) -> Option<Reason> {
        match self.overload.flow() {
            Flow::Open => None,
            Flow::Paused => Some(Reason::QUOTA_EXCEEDED),
            Flow::Stopped => Some(Reason::UNSPECIFIED_ERROR),
        }
    }

    /// Whether the open batch takes `len` more bytes, if need be after a commit.
    fn make_room(&mut self, len: usize) -> bool {
        if !self.appender.has_room(len) && self.appender.is_due(true) {
            self.commit();
        }
        self.appender.has_room(len)
    }

    /// Reads the connection's socket once and takes what is there.
    fn serve(&mut self, id: ConnectionId) {
        let mut buffer = std::mem::take(&mut self.buffer);
        self.serve_with(id, &mut buffer);
        self.buffer = buffer;
    }

    fn serve_with(&mut self, id: ConnectionId, buffer: &mut [u8]) {
        let now = self.now;
        let Some(connection) = self.get(id) else { return };
        connection.queued = false;
        connection.blocked = !connection.may_take();
        if connection.blocked {
            return; // It is queued again when its output is written or the registry has answered.
        }
        let mut input = std::mem::take(&mut connection.input);
        let kept = input.len();
        let unknown = matches!(connection.stage, Stage::Connecting | Stage::Authenticating);
        let outcome = match connection.readable {
            false => ReadOutcome::Nothing,
            true if unknown && kept >= limits::MQTT_CONNECT_BYTES_MAX => ReadOutcome::Nothing,
            // The usual case: what was kept is short and goes before what is read, in the shared buffer.
            true if kept <= buffer.len() / 2 => {
                buffer[..kept].copy_from_slice(&input);
                let end = if unknown { limits::MQTT_CONNECT_BYTES_MAX } else { buffer.len() };
                connection.read(&mut buffer[kept..end])
            }
            // A packet that is larger than the buffer grows where it is.
            true => {
                input.resize(kept + READ_BYTES, 0);
                let outcome = connection.read(&mut input[kept..]);
                input.truncate(kept + if let ReadOutcome::Data(read, _) = outcome { read } else { 0 });
                outcome
            }
        };
        match outcome {
            ReadOutcome::Ended => {
                self.drop_connection(id);
                return;
            }
            ReadOutcome::Data(_, more) => {
                connection.readable = more;
                if matches!(connection.stage, Stage::Open(_)) {
                    connection.heard_at = now;
                }
            }
            ReadOutcome::Nothing => connection.readable = unknown && kept >= limits::MQTT_CONNECT_BYTES_MAX,
        }
        match outcome {
            ReadOutcome::Data(read, _) if input.len() == kept => self.take(id, &buffer[..kept + read]),
            _ => self.take(id, &input),
        }
        if self.get(id).is_some_and(|connection| connection.readable && connection.may_take()) {
            self.queue(id);
        }
    }

    /// Takes packet after packet from the front of `input`; keeps the rest.
    fn take(&mut self, id: ConnectionId, input: &[u8]) {
        let mut at = 0;
        loop {
            let rest = &input[at..];
            let room = self.make_room(rest.len());
            let Some(connection) = self.get(id) else { return };
            if matches!(connection.stage, Stage::Closing) {
                return; // Thrown away.
            }
            if !room || !connection.may_take() {
                connection.blocked = room;
                connection.keep_input(rest);
                if !room {
                    self.queue(id);
                }
                return;
            }
            let before = connection.output.len();
            let step = connection.session.step(rest, &mut connection.output);
            let answered = connection.output.len() > before;
            at += step.used;
            match step.action {
                Action::Incomplete(_) | Action::Wait => {
                    connection.keep_input(rest);
                    return;
                }
                action => self.act(id, action),
            }
            if answered {
                self.mark_dirty(id);
            }
        }
    }

    fn act(&mut self, id: ConnectionId, action: Action<'_>) {
        match action {
            Action::Incomplete(_) | Action::Wait | Action::None => {}
            Action::Publish(publish) => self.publish(id, &publish),
            // Whether what they speak of is durable is not known any more, and cannot be made so.
            Action::Repeat(..) | Action::Release(_) if self.log_failed => self.turn_away(id),
            Action::Repeat(ack, topic) => {
                self.bind(id, topic);
                self.owe(id, ack);
            }
            Action::Release(ack) => self.release_held(id, ack),
            Action::Connect(connect) => self.connect(id, &connect),
            Action::Subscribe(subscribe) => self.refuse_subscribe(id, &subscribe),
            Action::Unsubscribe(unsubscribe) => self.answer_unsubscribe(id, &unsubscribe),
            Action::Disconnect(_) => self.drop_connection(id),
            Action::Close(close) => self.close(id, close),
        }
    }

    fn commit_if_due(&mut self, idle: bool) {
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

    /// Hands out the acknowledgements whose batches are durable.
    fn release(&mut self) {
        let (connections, dirty) = (&mut self.connections, &mut self.dirty);
        let mut released = 0;
        self.appender.release(|Owed { to, ack }| {
            let place = connections.get_mut(to.slot as usize).and_then(Option::as_deref_mut);
            let Some(connection) = place.filter(|connection| connection.id == to && connection.is_open()) else {
                return;
            };
            connection.acknowledge(ack);
            released += 1;
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
    fn flush_dirty(&mut self) {
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

    /// Tells the client why, and gives it a moment to close first.
    pub(super) fn close(&mut self, id: ConnectionId, close: Close) {
        let now = self.now;
        let Some(connection) = self.get(id) else { return };
        let peer = connection.stream.peer_addr().ok();
        tracing::debug!(?peer, reason = %close.reason, what = close.what, "connection closed by the server");
        close.encode(&mut connection.output);
        let alive = connection.flush() && connection.stream.shutdown(std::net::Shutdown::Write).is_ok();
        self.end_session(id);
        let Some(connection) = self.get(id) else { return };
        if !alive {
            self.drop_connection(id);
            return;
        }
        connection.stage = Stage::Closing;
        connection.keep_input(&[]);
        connection.parked = None;
        connection.heard_at = now;
        connection.silence_max = Some(FAREWELL_WAIT);
        self.queue(id);
    }

    /// Forgets the connection. What it sent and was not acknowledged is the client's to send again.
    pub(super) fn drop_connection(&mut self, id: ConnectionId) {
        self.end_session(id);
        let Some(place) = self.connections.get_mut(id.slot as usize) else { return };
        let Some(mut connection) = place.take_if(|connection| connection.id == id) else { return };
        if let Err(error) = self.poll.registry().deregister(&mut connection.stream) {
            tracing::debug!(%error, "a socket could not be taken from the poll");
        }
        self.free.push(id.slot);
        self.open -= 1;
        self.metrics.mqtt.connections.dec();
    }

    fn close_all(&mut self, reason: Reason, concerned: impl Fn(&Connection) -> bool) {
        let ids: Vec<_> =
            self.connections.iter().flatten().filter(|connection| concerned(connection)).map(|c| c.id).collect();
        for id in ids {
            let Some(connection) = self.get(id) else { continue };
            match connection.stage {
                Stage::Open(_) => {
                    let close = connection.session.close(reason);
                    self.close(id, close);
                }
                Stage::Connecting | Stage::Authenticating => self.drop_connection(id),
                Stage::Closing => {}
            }
        }
    }

    fn take_inbox(&mut self) {
        while let Ok(message) = self.receiver.try_recv() {
            match message {
                Inbound::Authenticated(id, answer) => self.authenticated(id, answer),
                Inbound::LookedUp(id) => self.resume(id),
                Inbound::Changed(change) => self.changed(change.as_ref()),
                Inbound::Stop => self.stopping = true,
            }
        }
        if !self.log_failed
            && let Some(error) = self.appender.raw().log().poisoned()
        {
            self.give_up_log(&error);
        }
    }

    /// What is durable is acknowledged, and nothing more, until the log is opened again.
    fn give_up_log(&mut self, error: &journal::Error) {
        self.log_failed = true;
        self.overload.set(Flow::Stopped, &error.to_string());
        self.release();
        self.appender.abandon();
        self.close_all(Reason::SERVER_UNAVAILABLE, |_| true);
    }

    fn turn_away(&mut self, id: ConnectionId) {
        let Some(connection) = self.get(id) else { return };
        let close = connection.session.close(Reason::SERVER_UNAVAILABLE);
        self.close(id, close);
    }

    fn changed(&mut self, change: Option<&Change>) {
        match change {
            Some(Change::Device(device)) => {
                self.forget_device(*device);
                self.close_all(Reason::ADMINISTRATIVE_ACTION, |connection| {
                    matches!(&connection.stage, Stage::Open(Identity::Device(auth)) if auth.device == *device)
                });
            }
            Some(Change::Key(key)) => self.close_all(
                Reason::ADMINISTRATIVE_ACTION,
                |connection| matches!(&connection.stage, Stage::Open(Identity::Key(auth)) if auth.key == *key),
            ),
            Some(Change::Class(tenant, class)) => {
                self.forget_devices();
                self.close_all(Reason::ADMINISTRATIVE_ACTION, |connection| {
                    matches!(&connection.stage, Stage::Open(Identity::Device(auth))
                        if auth.tenant == *tenant && auth.class == *class)
                });
            }
            Some(Change::Tenant(tenant)) => {
                self.forget_devices();
                self.close_all(
                    Reason::ADMINISTRATIVE_ACTION,
                    |connection| matches!(&connection.stage, Stage::Open(identity) if identity.tenant() == *tenant),
                );
            }
            None => {
                self.forget_devices();
                self.close_all(Reason::ADMINISTRATIVE_ACTION, |_| true);
            }
        }
    }

    fn tick(&mut self) {
        self.ticked_at = self.now;
        let now = self.now;
        let silent: Vec<ConnectionId> = self
            .connections
            .iter()
            .flatten()
            .filter(|c| c.silence_max.is_some_and(|max| now.saturating_sub(c.heard_at) > max))
            .map(|connection| connection.id)
            .collect();
        // A peer that was not read because of overload was not silent.
        if self.paused_at.is_none() {
            silent.into_iter().for_each(|id| self.end_silent(id));
        }
        for control in self.sessions.expire(now) {
            self.appender.control(&control);
        }
        self.touch_devices();
        self.take_inbox();
        self.accept(LISTENER);
        if self.anonymous.is_some() {
            self.accept(LISTENER_ANONYMOUS);
        }
    }

    fn end_silent(&mut self, id: ConnectionId) {
        let Some(connection) = self.get(id) else { return };
        match connection.stage {
            Stage::Open(_) => {
                let close = connection.session.close(Reason::KEEP_ALIVE_TIMEOUT);
                self.close(id, close);
            }
            Stage::Connecting | Stage::Authenticating | Stage::Closing => self.drop_connection(id),
        }
    }

    /// Makes durable and acknowledges what was taken, then says good-bye.
    fn shut_down(&mut self, events: &mut Events) {
        let deadline = self.clock.monotonic() + SHUTDOWN_WAIT;
        while !self.appender.is_settled() && self.clock.monotonic() < deadline {
            if self.appender.raw().log().poisoned().is_some() {
                break;
            }
            self.commit_if_due(true);
            self.release();
            self.flush_dirty();
            if !self.appender.is_settled()
                && let Err(error) = self.poll.poll(events, Some(OVERLOAD_WAIT))
            {
                tracing::debug!(%error, "waiting for the log while shutting down");
            }
        }
        self.close_all(Reason::SERVER_SHUTTING_DOWN, |_| true);
    }
}

fn listen(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    Ok(TcpListener::from_std(listener))
}
