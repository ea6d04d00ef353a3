//! From an accepted socket to a closed one: the table of connections, and who is to be served or written to next.

use std::io;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Token};
use model::{TenantId, limits};
use mqtt::{Close, Reason, Session};
use registry::Durability;

use super::connection::{Connection, ConnectionId, Stage};
use super::event_loop::{EventLoop, LISTENER_ANONYMOUS};

/// What to do about connections that cannot be accepted.
pub(crate) const ACCEPT_ADVICE: &str =
    "if descriptors ran out, raise the limit (LimitNOFILE=); it is tried again, and who is connected is served";
/// How long a peer has to close after the farewell.
const FAREWELL_WAIT: Duration = Duration::from_secs(2);

impl EventLoop {
    pub(super) fn accept(&mut self, token: Token) {
        while self.open < limits::MQTT_CONNECTIONS_MAX {
            let (accepted, anonymous) = match (&self.anonymous, token) {
                (Some((listener, tenant)), LISTENER_ANONYMOUS) => (listener.accept(), Some(*tenant)),
                _ => (self.listener.accept(), None),
            };
            match accepted {
                Ok((stream, _)) => {
                    self.accept_failing = false;
                    if let Err(error) = self.add(stream, anonymous) {
                        tracing::debug!(%error, "a connection was gone before it began");
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    // Out of descriptors, most likely. The next tick tries again; who waits, waits in the kernel.
                    self.metrics.mqtt.accept_failures.inc();
                    if !std::mem::replace(&mut self.accept_failing, true) {
                        let connections = self.open;
                        tracing::error!(%error, connections, "connections cannot be accepted; {}", ACCEPT_ADVICE);
                    }
                    return;
                }
            }
        }
    }

    pub(super) fn add(&mut self, mut stream: TcpStream, anonymous: Option<TenantId>) -> io::Result<()> {
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
            will_topic: None,
            durability: Durability::Persisted,
            stage: Stage::Connecting,
            input: Vec::new(),
            output: Vec::new(),
            routes: Vec::new(),
            parked: None,
            readable: false,
            hung_up: false,
            blocked: false,
            held_off: false,
            queued: false,
            dirty: false,
            refusing: false,
            at_quota: false,
            heard_at: self.now,
            silence_max: Some(limits::MQTT_CONNECT_WAIT_MAX),
        }));
        Ok(())
    }

    /// The connection, unless its place was given to another one since.
    pub(super) fn get(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.get_mut(id.slot as usize)?.as_deref_mut().filter(|connection| connection.id == id)
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

    pub(super) fn close_all(&mut self, reason: Reason, concerned: impl Fn(&Connection) -> bool) {
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
}

pub(super) fn listen(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    Ok(TcpListener::from_std(listener))
}
