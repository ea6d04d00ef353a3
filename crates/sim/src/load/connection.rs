//! What the two protocols have in common, and how a conversation fails.

use std::time::Duration;

use anyhow::Error;
use mqtt::Qos;

use super::http::HttpTalk;
use super::mqtt::MqttTalk;
use super::stream::{Portion, Stream};
use super::{Credential, FIRST_SEQ, LoadConfig, Target, slice_of};
use crate::packet::Login;
use crate::socket::Socket;

/// One connection of the generator.
pub struct Connection {
    /// Its number among all connections.
    pub number: usize,
    pub phase: Phase,
    pub talk: Talk,
    pub stream: Stream,
    /// The wait before the next attempt to connect.
    pub backoff: Duration,
}

impl Connection {
    /// Connection `number` of a load.
    pub fn new(config: &LoadConfig, number: usize) -> Self {
        let senders = &config.senders;
        let devices = slice_of(senders.devices.len(), config.connections, number);
        let device = senders.devices[devices.start];
        let (user, password, single) = match &senders.credential {
            Credential::Tokens(tokens) => (device.to_string(), tokens[devices.start].clone(), Some(device)),
            Credential::Key(key) => ("key".to_owned(), key.clone(), None),
        };
        let (talk, window) = match config.target {
            Target::Mqtt { version, qos, .. } => {
                let client_id = format!("bench-{:x}-{number}", config.seed);
                let keep_session = config.reconnect && qos == Qos::ExactlyOnce;
                let login = Login { version, client_id, user, password, keep_session, keep_alive_s: KEEP_ALIVE_S };
                let window = if qos == Qos::AtMostOnce { u64::MAX / 2 } else { u64::from(config.window.min(65_535)) };
                (Talk::Mqtt(MqttTalk::new(config, login, qos)), window)
            }
            Target::Http { address, array } => {
                let talk = HttpTalk::new(config, address, &password, single, array);
                (Talk::Http(talk), u64::from(array.max(1)))
            }
        };
        let begun = config.begun.get(number).copied().unwrap_or(0);
        let stream = Stream::new(senders.devices[devices].into(), FIRST_SEQ, window, begun);
        Self { number, phase: Phase::Down(Duration::ZERO), talk, stream, backoff: BACKOFF_MIN }
    }

    /// How many messages are still to be sent in this run of `quota` messages.
    pub fn rest(&self, quota: u64) -> u64 {
        self.stream.begun().saturating_add(quota).saturating_sub(self.stream.sent())
    }
}

/// A keep-alive that never has to be kept: runs are shorter.
const KEEP_ALIVE_S: u16 = 3600;

/// The first wait before connecting again; it doubles up to [`BACKOFF_MAX`].
pub const BACKOFF_MIN: Duration = Duration::from_millis(50);
pub const BACKOFF_MAX: Duration = Duration::from_secs(1);

pub enum Phase {
    /// No connection until this instant.
    Down(Duration),
    /// Connecting, or waiting for CONNACK, since this instant.
    Opening(Socket, Duration),
    Ready(Socket),
}

impl Phase {
    pub fn socket(&mut self) -> Option<&mut Socket> {
        match self {
            Self::Down(_) => None,
            Self::Opening(socket, _) | Self::Ready(socket) => Some(socket),
        }
    }
}

/// Why a conversation cannot go on.
#[derive(Debug)]
pub enum Failure {
    /// The connection is gone.
    Lost(Error),
    /// The server refused this message, or the connection as a whole, for now.
    Refused { number: Option<u64>, why: Error },
    /// Trying again will not help.
    Fatal(Error),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Lost(error.into())
    }
}

/// Messages that were acknowledged: numbers [from, end) and when they were sent.
pub type Acked<'a> = &'a mut dyn FnMut(u64, u64, Duration);

/// A protocol with its state of one connection.
pub enum Talk {
    Mqtt(MqttTalk),
    Http(HttpTalk),
}

impl Talk {
    /// A new connection begins: appends its first bytes. True if it may be used at once.
    pub fn hello(&mut self, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Mqtt(talk) => {
                talk.hello(out);
                false
            }
            Self::Http(talk) => {
                talk.hello();
                true
            }
        }
    }

    /// The end of the numbers that may be sent now, given that those below `due` are due.
    pub fn limit(&self, stream: &Stream, due: u64) -> u64 {
        match self {
            Self::Mqtt(_) => due,
            Self::Http(talk) => talk.limit(stream, due),
        }
    }

    /// Appends these messages.
    pub fn send(&mut self, stream: &mut Stream, portion: Portion, out: &mut Vec<u8>, acked: Acked<'_>) {
        match self {
            Self::Mqtt(talk) => talk.send(stream, portion, out, acked),
            Self::Http(talk) => talk.send(stream, portion, out),
        }
    }

    /// Takes in what the server says; returns how many bytes it used up and whether the connection is ready. Answers go
    /// to `out`.
    pub fn hear(
        &mut self,
        input: &[u8],
        stream: &mut Stream,
        out: &mut Vec<u8>,
        acked: Acked<'_>,
    ) -> Result<(usize, bool), Failure> {
        match self {
            Self::Mqtt(talk) => talk.hear(input, stream, out, acked),
            Self::Http(talk) => Ok((talk.hear(input, stream, acked)?, true)),
        }
    }
}
