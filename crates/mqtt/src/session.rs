//! One connection's protocol state on the server.
//!
//! The caller feeds bytes to [`Session::step`] and gets one [`Action`] at a time. It asks who the client is
//! ([`Action::Connect`] → [`Session::accept`] or [`Session::close`]), appends messages to the log, keeps the [`Ack`]s in
//! the order in which it got them, and hands each to [`Session::acknowledge`] once everything before it is durable.
//!
//! It never sends an acknowledgement by itself, never reads a clock (the caller holds the deadline of
//! [`Session::keep_alive`]), and never allocates for a PUBLISH whose topic it has seen.

mod ack;
mod connect;
mod offer;
mod publish;
mod state;
mod topics;

#[cfg(test)]
mod tests;

pub use ack::{Ack, Acks};
pub use connect::{Grant, StoredWill};
pub use offer::Offer;
pub use publish::{Publish, Topic};
pub use state::SessionState;

use std::time::Duration;

use topics::Topics;

use crate::encode;
use crate::error::Error;
use crate::frame::{Frame, Framed, frame, kind};
use crate::packet::Version;
use crate::packet::ack::AckPacket;
use crate::packet::connect::{Answer, Connect};
use crate::packet::disconnect::DisconnectPacket;
use crate::packet::subscribe::{Subscribe, Unsubscribe};
use crate::reason::Reason;

/// What one call of [`Session::step`] made of the input.
#[derive(Debug)]
pub struct Step<'a> {
    /// Bytes taken from the front of the input; 0 if it did not hold a whole packet.
    pub used: usize,
    pub action: Action<'a>,
}

/// What the caller has to do.
#[derive(Debug)]
pub enum Action<'a> {
    /// No whole packet: call again when at least this many bytes are there in total. Within the packet limit.
    Incomplete(usize),
    /// Nothing can be taken before [`Session::accept`] or [`Session::close`].
    Wait,
    /// Nothing; an answer may be in `out`.
    None,
    /// The client has introduced itself.
    Connect(Box<Connect<'a>>),
    /// A message to append, or to [`Session::refuse`].
    Publish(Publish<'a>),
    /// A QoS 2 message that is held already: nothing to store, but its acknowledgement must wait until everything accepted
    /// so far is durable. Its topic is to be bound all the same: the next message may name it by its slot.
    Repeat(Ack, Topic<'a>),
    /// A QoS 2 message was released: record it in the log ([`model::Control::Released`]) if the session is persistent,
    /// then acknowledge once that is durable.
    Release(Ack),
    /// Answer with [`Session::subscribed`].
    Subscribe(Subscribe<'a>),
    /// Answer with [`Session::unsubscribed`].
    Unsubscribe(Unsubscribe<'a>),
    /// The client took its leave: close without a word. The will is gone unless it asked for it.
    Disconnect(Reason),
    /// The client broke the protocol: write [`Close::encode`] and close.
    Close(Close),
}

/// The end of a connection that the server wills.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "the client is to be told, and the connection to be closed"]
pub struct Close {
    pub reason: Reason,
    /// For the log: what was wrong.
    pub what: &'static str,
    farewell: Farewell,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Farewell {
    Nothing,
    ConnackV3(u8),
    ConnackV5,
    DisconnectV5,
}

impl Close {
    /// Appends the last packet to the client, if there is one: a CONNACK that refuses, or a DISCONNECT. Acknowledgements
    /// that the client is still to get must be in `out` before.
    pub fn encode(self, out: &mut Vec<u8>) {
        match self.farewell {
            Farewell::Nothing => {}
            Farewell::ConnackV3(code) => encode::refuse_connect_v3(out, code),
            Farewell::ConnackV5 => encode::refuse_connect_v5(out, self.reason),
            Farewell::DisconnectV5 => encode::disconnect(out, Version::V5, self.reason),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Nothing but CONNECT may come.
    Fresh,
    /// CONNECT came; the caller decides.
    Asked(Asked),
    Open,
    Closed,
}

/// What the client asked for, until it is granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Asked {
    clean_start: bool,
    /// Seconds; 0 is none.
    keep_alive: u16,
    /// Seconds.
    session_expiry: u32,
}

/// One connection. See the module's header.
#[derive(Debug)]
pub struct Session {
    phase: Phase,
    version: Version,
    offer: Offer,
    /// The client wants reasons in words.
    problem_information: bool,
    /// Seconds; 0 is none.
    keep_alive: u16,
    /// The largest packet that the client takes.
    client_packet_bytes_max: u32,
    /// Publishes of this connection with QoS 1 or 2 that are not fully acknowledged.
    in_flight: u32,
    topics: Topics,
    state: SessionState,
    /// The state comes from an earlier connection.
    resumed: bool,
    will: Option<Box<StoredWill>>,
}

impl Session {
    /// The session of a connection that has just been made.
    pub fn new(offer: Offer) -> Self {
        Self {
            phase: Phase::Fresh,
            version: Version::V3,
            offer,
            problem_information: true,
            keep_alive: 0,
            client_packet_bytes_max: u32::MAX,
            in_flight: 0,
            topics: Topics::default(),
            state: SessionState::default(),
            resumed: false,
            will: None,
        }
    }

    /// Takes one packet from the front of `input`. Immediate answers (PINGRESP, PUBREL) are appended to `out`.
    #[inline]
    pub fn step<'a>(&mut self, input: &'a [u8], out: &mut Vec<u8>) -> Step<'a> {
        match self.plain_publish(input) {
            Some((used, publish)) => Step { used, action: Action::Publish(publish) },
            None => self.step_carefully(input, out),
        }
    }

    #[inline(never)]
    fn step_carefully<'a>(&mut self, input: &'a [u8], out: &mut Vec<u8>) -> Step<'a> {
        let limit = match self.phase {
            Phase::Open => self.offer.packet_bytes_max,
            // Whatever follows: one that speaks another protocol need not be waited for.
            Phase::Fresh if input.first().is_some_and(|first| first >> 4 != kind::CONNECT) => {
                let error = Error::Framing("the first packet is not CONNECT");
                return Step { used: input.len(), action: Action::Close(self.fail(error)) };
            }
            Phase::Fresh => self.offer.connect_bytes_max,
            Phase::Asked(_) => return Step { used: 0, action: Action::Wait },
            Phase::Closed => return Step { used: input.len(), action: Action::None },
        };
        match frame(input, limit as usize) {
            Ok(Framed::Whole(frame)) => Step { used: frame.len, action: self.take(frame, out) },
            Ok(Framed::Partial(needed)) => Step { used: 0, action: Action::Incomplete(needed) },
            Err(error) => Step { used: input.len(), action: Action::Close(self.fail(error)) },
        }
    }

    fn take<'a>(&mut self, frame: Frame<'a>, out: &mut Vec<u8>) -> Action<'a> {
        let taken = match (self.phase, frame.kind()) {
            (Phase::Open, kind::PUBLISH) => self.publish(frame),
            (Phase::Open, _) => self.take_other(frame, out),
            _ => return self.connect(frame),
        };
        taken.unwrap_or_else(|error| Action::Close(self.fail(error)))
    }

    fn take_other<'a>(&mut self, frame: Frame<'a>, out: &mut Vec<u8>) -> Result<Action<'a>, Error> {
        check_flags(frame)?;
        let (body, version) = (frame.body, self.version);
        Ok(match frame.kind() {
            kind::PUBACK => {
                AckPacket::decode(body, version, Reason::fits_publish_ack)?;
                Action::None
            }
            kind::PUBREC => {
                let received = AckPacket::decode(body, version, Reason::fits_publish_ack)?;
                if !received.reason.is_failure() {
                    encode::ack(out, encode::PUBREL, received.packet_id, version, Reason::SUCCESS);
                }
                Action::None
            }
            kind::PUBREL => self.release(AckPacket::decode(body, version, Reason::fits_release)?.packet_id),
            kind::PUBCOMP => {
                AckPacket::decode(body, version, Reason::fits_release)?;
                Action::None
            }
            kind::SUBSCRIBE => Action::Subscribe(Subscribe::decode(body, version)?),
            kind::UNSUBSCRIBE => Action::Unsubscribe(Unsubscribe::decode(body, version)?),
            kind::PINGREQ if body.is_empty() => {
                encode::pingresp(out);
                Action::None
            }
            kind::PINGREQ => return Err(Error::Framing("PINGREQ with content")),
            kind::DISCONNECT => self.disconnect(DisconnectPacket::decode(body, version)?)?,
            kind::CONNECT => return Err(Error::Protocol("a second CONNECT")),
            kind::AUTH => return Err(Error::Protocol("AUTH without an authentication method")),
            kind::PINGRESP if !body.is_empty() => return Err(Error::Framing("PINGRESP with content")),
            _ => return Err(Error::Protocol("a packet that only a server sends")),
        })
    }

    fn disconnect<'a>(&mut self, packet: DisconnectPacket<'_>) -> Result<Action<'a>, Error> {
        match packet.session_expiry() {
            Some(expiry) if expiry > 0 && self.state.expiry == 0 => {
                return Err(Error::Protocol("DISCONNECT keeps a session that CONNECT did not ask to keep"));
            }
            Some(expiry) => self.state.expiry = expiry.min(self.offer.session_expiry_max),
            None => {}
        }
        if packet.reason == Reason::SUCCESS {
            self.will = None;
        }
        self.phase = Phase::Closed;
        Ok(Action::Disconnect(packet.reason))
    }

    /// Ends the connection for a reason of the server's: before [`Session::accept`] this refuses the client. What comes
    /// in afterwards is ignored.
    pub fn close(&mut self, reason: Reason) -> Close {
        self.fail(Error::Refused(reason, reason.text()))
    }

    fn fail(&mut self, error: Error) -> Close {
        let farewell = match (self.phase, self.version, error) {
            (Phase::Fresh | Phase::Closed, ..) | (Phase::Open, Version::V3, _) | (_, _, Error::Framing(_)) => {
                Farewell::Nothing
            }
            (Phase::Asked(_), Version::V3, _) => Farewell::ConnackV3(error.reason().connect_return_code()),
            (Phase::Asked(_), Version::V5, _) => Farewell::ConnackV5,
            (Phase::Open, Version::V5, _) => Farewell::DisconnectV5,
        };
        if matches!(self.phase, Phase::Asked(_)) {
            self.will = None;
        }
        self.phase = Phase::Closed;
        Close { reason: error.reason(), what: error.what(), farewell }
    }

    fn refuse_connect(&mut self, error: Error, answer: Answer) -> Close {
        self.phase = Phase::Closed;
        let farewell = match answer {
            Answer::Nothing => Farewell::Nothing,
            Answer::V3(code) => Farewell::ConnackV3(code),
            Answer::V5 => Farewell::ConnackV5,
        };
        Close { reason: error.reason(), what: error.what(), farewell }
    }

    /// Answers a SUBSCRIBE with one code for each filter: 0 to 2 grants that QoS, a failure refuses. `words` say why to a
    /// person.
    pub fn subscribed(&self, packet_id: u16, codes: &[Reason], words: Option<&str>, out: &mut Vec<u8>) {
        let words = words.filter(|_| self.problem_information);
        let start = out.len();
        encode::suback(out, self.version, packet_id, codes, words);
        if out.len() - start > self.client_packet_bytes_max as usize {
            out.truncate(start);
            encode::suback(out, self.version, packet_id, codes, None);
        }
    }

    /// Answers an UNSUBSCRIBE with one code for each filter; 3.1.1 has none.
    pub fn unsubscribed(&self, packet_id: u16, codes: &[Reason], out: &mut Vec<u8>) {
        encode::unsuback(out, self.version, packet_id, codes);
    }

    /// The protocol version; meaningful once CONNECT has come.
    pub fn version(&self) -> Version {
        self.version
    }

    /// How long the client may be silent: one and a half of the keep-alive that it was granted. `None`: for ever.
    pub fn keep_alive(&self) -> Option<Duration> {
        (self.keep_alive > 0).then(|| Duration::from_millis(u64::from(self.keep_alive) * 1500))
    }

    /// Whether the identifiers that it holds and releases must be recorded in the log: it outlives its connection, or it
    /// is the continuation of one that did, whose identifiers are there.
    pub fn is_persistent(&self) -> bool {
        self.state.expiry > 0 || self.resumed
    }

    /// Publishes with QoS 1 and 2 that are not fully acknowledged. MQTT 5 bounds it by the Receive Maximum; with 3.1.1
    /// the caller bounds it by not reading.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// The will, to be published if the connection ended without a proper DISCONNECT.
    pub fn take_will(&mut self) -> Option<Box<StoredWill>> {
        self.will.take()
    }

    /// Ends this connection's part and gives the session on: to another connection, or to whoever keeps it until it
    /// expires.
    pub fn into_state(self) -> SessionState {
        self.state
    }
}

/// The flags beside the packet type. PUBLISH has its own. Which reason a wrong one gets differs by packet in the field;
/// clients' tests expect it so.
fn check_flags(frame: Frame<'_>) -> Result<(), Error> {
    const WHAT: &str = "flags in the header that this packet must not have";
    let expected = match frame.kind() {
        kind::PUBREL | kind::SUBSCRIBE | kind::UNSUBSCRIBE => 2,
        _ => 0,
    };
    match frame.kind() {
        _ if frame.flags() == expected => Ok(()),
        kind::PUBREL | kind::DISCONNECT | kind::CONNACK | kind::AUTH => Err(Error::Protocol(WHAT)),
        _ => Err(Error::Malformed(WHAT)),
    }
}
