//! One connection of the fleet: a device with its token, or a gateway with a key.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, anyhow};
use mio::{Registry, Token};
use model::Millis;
use model::limits::MQTT_PACKET_BYTES_MAX;
use mqtt::client::{self, PublishTemplate, Reply};
use mqtt::{PropertyId, Qos, Reason};

use super::{FleetReport, Ids, KEEP_ALIVE_S, Timeline};
use crate::api::Credentials;
use crate::device::Device;
use crate::load::stream::{Portion, Stream};
use crate::packet::Login;
use crate::socket::{ReadEnd, Socket};

/// The wait before connecting again: doubled each time up to the greatest, with up to half of it drawn at random so
/// that a fleet does not come back all at once.
const BACKOFF_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// How long the server may take to answer CONNECT.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(10);
/// Packet ids go round from 1 to this.
const IDS: u64 = 65_535;

enum Phase {
    Down(Duration),
    Opening(Socket, Duration),
    Ready(Socket),
}

/// A connection with its devices.
pub struct Link {
    login: Login,
    devices: Vec<Device>,
    topics: Vec<PublishTemplate>,
    timeline: Timeline,
    boot: u32,
    stream: Stream,
    phase: Phase,
    backoff: Duration,
    last_write: Duration,
    /// What went wrong since the last look.
    trouble: bool,
    last_error: Option<String>,
    history: u64,
    resent: u64,
    reconnects: u64,
    refused: u64,
}

impl Link {
    pub fn new(
        login: Login,
        credentials: &Credentials,
        devices: &[Device],
        timeline: Timeline,
        boot: u32,
        window: u64,
    ) -> Self {
        let ids: Ids = devices.iter().map(Device::id).collect();
        let tenant = credentials.tenant_id;
        let topic = |device: &Device| {
            let topic = format!("tenant/{tenant}/device/{}/data", device.id());
            PublishTemplate::new(login.version, &topic, Qos::AtLeastOnce, &[])
        };
        Self {
            topics: devices.iter().map(topic).collect(),
            login,
            devices: devices.to_vec(),
            history: timeline.passed(timeline.live_from),
            timeline,
            boot,
            stream: Stream::new(ids, 1, window, 0),
            phase: Phase::Down(Duration::ZERO),
            backoff: BACKOFF_MIN,
            last_write: Duration::ZERO,
            trouble: false,
            last_error: None,
            resent: 0,
            reconnects: 0,
            refused: 0,
        }
    }

    /// What went wrong last, while there is no connection.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref().filter(|_| !matches!(self.phase, Phase::Ready(_)))
    }

    /// Messages of the history.
    pub fn history(&self) -> u64 {
        self.history
    }

    /// Connects if it is time, sends what is due by the wall clock (none: nothing new), keeps the connection alive.
    /// `jitter` is in [0, 1).
    pub fn tend(
        &mut self,
        address: SocketAddr,
        registry: &Registry,
        place: usize,
        now: Duration,
        wall: Option<Millis>,
        jitter: f64,
    ) {
        if std::mem::take(&mut self.trouble) {
            self.fail(now, jitter);
        }
        let outcome = match &self.phase {
            Phase::Down(until) if now >= *until && wall.is_some() => self.open(address, registry, place, now),
            Phase::Opening(_, since) if now > *since + CONNECT_WAIT_MAX => Err(anyhow!("no answer to CONNECT")),
            Phase::Down(_) | Phase::Opening(..) => Ok(()),
            Phase::Ready(_) => self.send(now, wall),
        };
        if let Err(error) = outcome {
            self.fail(now, jitter);
            self.last_error = Some(error.to_string());
        }
    }

    fn open(&mut self, address: SocketAddr, registry: &Registry, place: usize, now: Duration) -> Result<()> {
        let mut socket = Socket::connect(address, registry, Token(place))?;
        let mut out = Vec::new();
        self.login.connect(&mut out);
        socket.write(&out)?;
        self.phase = Phase::Opening(socket, now);
        Ok(())
    }

    fn fail(&mut self, now: Duration, jitter: f64) {
        self.reconnects += u64::from(matches!(self.phase, Phase::Ready(_)));
        self.phase = Phase::Down(now + self.backoff.mul_f64(0.5 + jitter / 2.0));
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
    }

    fn send(&mut self, now: Duration, wall: Option<Millis>) -> Result<()> {
        let due = wall.map_or(self.stream.sent(), |wall| self.timeline.due(&self.devices[0], wall));
        let mut out = Vec::new();
        while let Some(portion) = self.stream.take(due, 0, now) {
            self.resent += if portion.again { portion.end - portion.from } else { 0 };
            self.encode(portion, &mut out);
        }
        if out.is_empty() && now >= self.last_write + Duration::from_secs(u64::from(KEEP_ALIVE_S) / 2) {
            client::pingreq(&mut out);
        }
        let Phase::Ready(socket) = &mut self.phase else { return Ok(()) };
        if !out.is_empty() {
            self.last_write = now;
            socket.write(&out)?;
        }
        Ok(())
    }

    fn encode(&self, portion: Portion, out: &mut Vec<u8>) {
        let mut payload = Vec::with_capacity(256);
        for (number, _, seq) in self.stream.messages(portion.from, portion.end) {
            let place = (number % self.devices.len() as u64) as usize;
            let (device, topic) = (&self.devices[place], &self.topics[place]);
            payload.clear();
            // The gateway's outage is that of its first device.
            let buffered = self.timeline.buffered(&self.devices[0], number);
            device.message(self.timeline.ts(number), seq, self.boot, buffered, &mut payload);
            let id = (number % IDS) as u16 + 1;
            if portion.again {
                topic.encode_again(out, id, &payload);
            } else {
                topic.encode(out, id, &payload);
            }
        }
    }

    /// An event: reads what the server says and writes what was kept.
    pub fn hear(&mut self, buffer: &mut [u8]) {
        if self.trouble {
            return;
        }
        if let Err(error) = self.exchange(buffer) {
            self.trouble = true;
            self.last_error = Some(error.to_string());
        }
    }

    fn exchange(&mut self, buffer: &mut [u8]) -> Result<()> {
        let Self { phase, stream, login, refused, .. } = self;
        let (Phase::Opening(socket, _) | Phase::Ready(socket)) = phase else { return Ok(()) };
        socket.flush()?;
        let mut connected = false;
        loop {
            let end = socket.read(buffer, |input| {
                let mut at = 0;
                while let Some((reply, len)) = client::decode(&input[at..], login.version, MQTT_PACKET_BYTES_MAX)? {
                    at += len;
                    connected |= take(&reply, stream, login, refused)?;
                }
                Ok::<usize, anyhow::Error>(at)
            })?;
            match end {
                ReadEnd::More => {}
                ReadEnd::Drained => break,
                ReadEnd::Closed => return Err(anyhow!("the server closed the connection")),
            }
        }
        if connected {
            self.backoff = BACKOFF_MIN;
            self.phase = match std::mem::replace(&mut self.phase, Phase::Down(Duration::ZERO)) {
                Phase::Opening(socket, _) => Phase::Ready(socket),
                other => other,
            };
        }
        Ok(())
    }

    /// A normal end.
    pub fn say_goodbye(&mut self) {
        if let Phase::Ready(socket) = &mut self.phase {
            let mut out = Vec::new();
            client::disconnect(&mut out, self.login.version, Reason::SUCCESS);
            // The connection may be gone already; then there is nobody to take leave of.
            drop(socket.write(&out));
        }
    }

    pub fn add_to(&self, report: &mut FleetReport) {
        report.devices += self.devices.len() as u64;
        report.connected += u64::from(matches!(self.phase, Phase::Ready(_)));
        report.sent += self.stream.sent();
        report.acked += self.stream.acked();
        report.resent += self.resent;
        report.reconnects += self.reconnects;
        report.refused += self.refused;
        report.trouble = report.trouble.take().or_else(|| self.last_error().map(str::to_owned));
    }
}

/// Takes in one packet of the server. True if it says that the connection is ready.
fn take(reply: &Reply<'_>, stream: &mut Stream, login: &Login, refused: &mut u64) -> Result<bool> {
    match reply {
        Reply::Connack { reason: Reason::SUCCESS, properties, .. } => {
            stream
                .limit_window(u64::from(properties.number(PropertyId::ReceiveMaximum).unwrap_or(u32::from(u16::MAX))));
            stream.rewind();
            Ok(true)
        }
        Reply::Connack { reason, .. } => {
            *refused += 1;
            Err(anyhow!("the server refused the connection: {}", login.refusal(*reason)))
        }
        Reply::Puback(ack) if ack.reason.is_failure() => {
            *refused += 1;
            Err(anyhow!("the server refused a message: {}", ack.reason))
        }
        Reply::Puback(ack) if u64::from(ack.packet_id) == stream.acked() % IDS + 1 => {
            match stream.acknowledge(1, |_, _, _| ()) && stream.complete(1) {
                true => Ok(false),
                false => Err(anyhow!("an acknowledgement of what was not sent")),
            }
        }
        Reply::Pingresp => Ok(false),
        other => Err(anyhow!("not expected here: {other:?}")),
    }
}
