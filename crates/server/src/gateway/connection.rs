//! One connection: its socket, its bytes in both directions, and where its topics lead.

use std::io::{self, Read, Write};
use std::time::Duration;

use mio::net::TcpStream;
use model::{DeviceId, Format, GroupKey, PayloadKind, SessionKey, TenantId};
use mqtt::{Acks, Publish, Qos, Session};
use registry::Durability;

use super::identity::Identity;

/// Answers that may wait for a peer that does not read; beyond it nothing more is read from the peer.
pub const OUTPUT_BYTES_MAX: usize = 256 << 10;
/// Capacity that an idle connection may keep in each direction.
const IDLE_CAPACITY: usize = 512;

/// A place in the loop's table and how often it was given out, so that a late answer never reaches another client.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct ConnectionId {
    pub slot: u32,
    pub generation: u32,
}

/// How far a connection is.
#[derive(Debug)]
pub(crate) enum Stage {
    /// No CONNECT yet.
    Connecting,
    /// The registry is being asked about the CONNECT.
    Authenticating,
    Open(Identity),
    /// Everything is said; what still comes in is thrown away until the peer closes or the deadline passes, so that the
    /// farewell is not lost to a reset.
    Closing,
}

/// Where the topic in one of the session's slots leads.
#[derive(Clone, Debug)]
pub(crate) enum Route {
    Unbound,
    /// To this group. The device is there to judge again when the registry says that it changed.
    To {
        key: GroupKey,
        target: Option<(TenantId, DeviceId, PayloadKind)>,
    },
    /// The registry changed since this was judged.
    Stale {
        tenant: TenantId,
        device: DeviceId,
        kind: PayloadKind,
    },
    Refused(&'static str),
}

/// A publish that waits for the registry. Nothing behind it is taken meanwhile, so order holds.
#[derive(Debug)]
pub(crate) struct Parked {
    pub slot: u16,
    pub tenant: TenantId,
    pub device: DeviceId,
    pub kind: PayloadKind,
    pub payload: Vec<u8>,
    pub format: Option<Format>,
    pub qos: Qos,
    pub packet_id: u16,
    pub payload_hash: u128,
}

impl Parked {
    /// The publish again, without the topic's name: its slot is bound by now.
    pub fn publish(&self) -> Publish<'_> {
        Publish {
            topic: mqtt::Topic { slot: self.slot, name: None },
            payload: &self.payload,
            qos: self.qos,
            dup: false,
            retain: false,
            packet_id: self.packet_id,
            payload_hash: self.payload_hash,
            properties: mqtt::Properties::default(),
        }
    }
}

/// See the module.
pub(crate) struct Connection {
    pub id: ConnectionId,
    pub stream: TcpStream,
    /// The tenant of the anonymous listener that it came through.
    pub anonymous: Option<TenantId>,
    pub session: Session,
    pub session_key: Option<SessionKey>,
    /// From CONNECT, until the identity is known.
    pub client_id: Box<str>,
    pub clean_start: bool,
    pub will_topic: Option<Box<str>>,
    /// When its acknowledgements may leave.
    pub durability: Durability,
    pub stage: Stage,
    /// What was read and not taken yet.
    pub input: Vec<u8>,
    /// Answers that were not written yet.
    pub output: Vec<u8>,
    pub routes: Vec<Route>,
    pub parked: Option<Parked>,
    /// Bytes may be waiting in the socket.
    pub readable: bool,
    /// The peer sends no more than what is in the socket, and no event will say so again.
    pub hung_up: bool,
    /// Input was left because of [`Connection::may_take`]: it is served again when the reason is gone.
    pub blocked: bool,
    /// Its next packet waits until the log takes more: nothing is read, and nothing is held against it.
    pub held_off: bool,
    /// It stands in the loop's list of connections to be served.
    pub queued: bool,
    /// It stands in the loop's list of connections with something to write.
    pub dirty: bool,
    /// A message was refused for overload: so is every later one, until it reconnects.
    pub refusing: bool,
    /// Its tenant has as many dead letters as it may have.
    pub at_quota: bool,
    /// When it was last heard of, and how long it may be silent (monotonic). Before its CONNECT is answered and after the
    /// farewell it is the whole stage that is bounded, whatever trickles in.
    pub heard_at: Duration,
    pub silence_max: Option<Duration>,
}

/// What reading a socket gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ReadOutcome {
    /// This many bytes; `true`: there may be more.
    Data(usize, bool),
    Nothing,
    Ended,
}

impl Connection {
    /// Reads once into `buffer`.
    pub fn read(&mut self, buffer: &mut [u8]) -> ReadOutcome {
        loop {
            return match self.stream.read(buffer) {
                Ok(0) => ReadOutcome::Ended,
                // A short read empties the socket (epoll(7)): the next event will say when there is more, or the end.
                Ok(read) => ReadOutcome::Data(read, read == buffer.len() || self.hung_up),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ReadOutcome::Nothing,
                Err(_) => ReadOutcome::Ended,
            };
        }
    }

    /// Writes what it can of the waiting answers; false if the connection is gone.
    pub fn flush(&mut self) -> bool {
        let mut written = 0;
        while written < self.output.len() {
            match self.stream.write(&self.output[written..]) {
                Ok(0) => return false,
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return false,
            }
        }
        self.output.drain(..written);
        if self.output.is_empty() && self.output.capacity() > IDLE_CAPACITY {
            self.output = Vec::new();
        }
        true
    }

    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open(_))
    }

    /// Keeps what was not taken.
    pub fn keep_input(&mut self, rest: &[u8]) {
        self.input.clear();
        if rest.is_empty() && self.input.capacity() > IDLE_CAPACITY {
            self.input = Vec::new();
        }
        self.input.extend_from_slice(rest);
    }

    /// Whether more of its input may be taken now.
    pub fn may_take(&self) -> bool {
        let asking = matches!(self.stage, Stage::Authenticating);
        !asking && self.parked.is_none() && self.output.len() <= OUTPUT_BYTES_MAX
    }

    /// Where a slot of the session leads.
    pub fn route(&self, slot: u16) -> &Route {
        self.routes.get(usize::from(slot)).unwrap_or(&Route::Unbound)
    }

    pub fn set_route(&mut self, slot: u16, route: Route) {
        let at = usize::from(slot);
        if self.routes.len() <= at {
            self.routes.resize(at + 1, Route::Unbound);
        }
        self.routes[at] = route;
    }

    /// Puts acknowledgements into `output`.
    pub fn acknowledge(&mut self, acks: Acks) {
        self.session.acknowledge(acks, &mut self.output);
    }
}
