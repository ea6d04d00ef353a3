//! Sent → queryable, seen from outside: a device of its own sends a counter, and the query API is asked for the newest
//! value until it is there.
//!
//! Probes leave at fixed instants, and a latency counts from the instant. With one partition, a probe that is sent after
//! the last acknowledgement and has become visible shows that everything before it is.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use model::Clock;
use model::limits::MQTT_PACKET_BYTES_MAX;
use mqtt::client::{self, PublishTemplate, Reply};
use mqtt::{Qos, Reason, Version};

use crate::api::{Api, Credentials};
use crate::load::latency_histogram;
use crate::packet::Login;
use crate::stop::Stop;

/// A device that measures.
pub struct Probe {
    credentials: Credentials,
    mqtt: SocketAddr,
    interval: Duration,
    /// Probes sent so far, by earlier runs too: their seq.
    sent: u64,
}

/// What the probes saw.
#[derive(Clone, Debug)]
pub struct Visible {
    /// Microseconds from due to queryable.
    pub latency_us: Histogram<u64>,
    /// When the last probe, sent after the end of the load, became queryable; none if it did not in time.
    pub all_at: Option<Duration>,
}

/// How often the API is asked while a probe is on its way.
const ASK_INTERVAL: Duration = Duration::from_millis(1);
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);
const METRIC: &str = "probe";

impl Probe {
    pub fn new(credentials: Credentials, mqtt: SocketAddr, interval: Duration) -> Self {
        Self { credentials, mqtt, interval, sent: 0 }
    }

    /// Probes from when `begun` until `over`, then sends a last one and waits for it.
    pub fn run(
        &mut self,
        api: &Api,
        clock: &Clock,
        begun: impl Fn() -> bool,
        over: &Stop,
        wait_max: Duration,
    ) -> Result<Visible> {
        let mut line = Line::open(self).context("the probe cannot connect")?;
        while !begun() && !over.wanted() {
            std::thread::sleep(ASK_INTERVAL);
        }
        let mut visible = Visible { latency_us: latency_histogram(), all_at: None };
        let mut waiting: VecDeque<(u64, Duration)> = VecDeque::new();
        let mut next_due = clock.monotonic();
        let mut give_up = None;
        loop {
            let now = clock.monotonic();
            if give_up.is_none() && (now >= next_due || over.wanted()) {
                self.sent += 1;
                line.send(self.sent, clock.now_ms())?;
                waiting.push_back((self.sent, if over.wanted() { now } else { next_due }));
                next_due += self.interval;
                give_up = over.wanted().then_some(now + wait_max);
            }
            line.drain()?;
            if !waiting.is_empty() {
                let newest = api.latest(self.credentials.device_id, METRIC)?.map_or(0, |(_, value)| value as u64);
                let seen = clock.monotonic();
                while let Some((_, due)) = waiting.front().copied().filter(|(number, _)| *number <= newest) {
                    visible.latency_us.saturating_record((seen.saturating_sub(due).as_micros() as u64).max(1));
                    waiting.pop_front();
                }
                if let Some(give_up) = give_up
                    && (waiting.is_empty() || seen >= give_up)
                {
                    visible.all_at = waiting.is_empty().then_some(seen);
                    return Ok(visible);
                }
            }
            std::thread::sleep(ASK_INTERVAL);
        }
    }
}

/// The probe's own connection.
struct Line {
    stream: TcpStream,
    topic: PublishTemplate,
    out: Vec<u8>,
}

impl Line {
    fn open(probe: &Probe) -> Result<Self> {
        let credentials = &probe.credentials;
        let id = credentials.device_id.to_string();
        let login = Login {
            version: Version::V5,
            client_id: id.clone(),
            user: id.clone(),
            password: credentials.auth_token.clone().unwrap_or_default(),
            keep_session: false,
            keep_alive_s: 0,
        };
        let topic = format!("tenant/{}/device/{id}/data", credentials.tenant_id);
        let topic = PublishTemplate::new(login.version, &topic, Qos::AtLeastOnce, &[]);
        let mut stream = TcpStream::connect(probe.mqtt)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WAIT_MAX))?;
        let mut out = Vec::new();
        login.connect(&mut out);
        stream.write_all(&out)?;
        let (mut input, mut buffer) = (Vec::new(), [0; 256]);
        loop {
            let read = stream.read(&mut buffer)?;
            input.extend_from_slice(&buffer[..read]);
            match client::decode(&input, login.version, MQTT_PACKET_BYTES_MAX)? {
                Some((Reply::Connack { reason: Reason::SUCCESS, .. }, _)) => break,
                Some((Reply::Connack { reason, .. }, _)) => bail!("refused: {}", login.refusal(reason)),
                Some((other, _)) => bail!("the server answered CONNECT with {other:?}"),
                None if read == 0 => bail!("the server closed the connection"),
                None => {}
            }
        }
        stream.set_nonblocking(true)?;
        Ok(Self { stream, topic, out })
    }

    /// Sends probe `number`. It is so little that the kernel always has room for it.
    fn send(&mut self, number: u64, ts: i64) -> Result<()> {
        let payload = format!("{{\"ts\":{ts},\"metrics\":{{\"{METRIC}\":{number}}},\"seq\":{number}}}");
        self.out.clear();
        self.topic.encode(&mut self.out, (number % 65_535) as u16 + 1, payload.as_bytes());
        Ok(self.stream.write_all(&self.out)?)
    }

    /// Takes in the acknowledgements, which say nothing that the query does not say better.
    fn drain(&mut self) -> Result<()> {
        let mut buffer = [0; 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => bail!("the server closed the probe's connection"),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
