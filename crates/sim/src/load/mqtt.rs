//! One MQTT connection of the generator: packets from a template, acknowledgements counted in runs.

use anyhow::anyhow;
use model::DeviceId;
use model::limits::MQTT_PACKET_BYTES_MAX;
use mqtt::client::{self, Reply};
use mqtt::{PropertyId, Qos, Reason};

use super::connection::{Acked, Failure};
use super::payload::{Shape, Template, device_key};
use super::stream::{Portion, Stream};
use super::{LoadConfig, Times};
use crate::packet::{DUP, Login, PublishHead, is_trouble, may_retry};

/// Packet ids go round from 1 to this, in step with the numbers of the stream.
const IDS: u64 = 65_535;

/// The packet id of message `number`.
fn id_of(number: u64) -> u16 {
    (number % IDS) as u16 + 1
}

/// State of one connection.
pub struct MqttTalk {
    login: Login,
    qos: Qos,
    tenant: String,
    shape: Shape,
    seed: u64,
    boot: Option<u32>,
    times: Times,
    /// Also a server in trouble (not a mistake of ours) is tried again.
    patient: bool,
    /// The packet with holes; none before the first message.
    packet: Option<Packet>,
}

struct Packet {
    template: Template,
    head: PublishHead,
    /// Where the device's id stands in the topic.
    device_at: usize,
    device: DeviceId,
    key: u64,
}

impl MqttTalk {
    pub fn new(config: &LoadConfig, login: Login, qos: Qos) -> Self {
        let LoadConfig { shape, seed, boot, times, reconnect: patient, .. } = *config;
        Self { login, qos, tenant: config.senders.tenant.to_string(), shape, seed, boot, times, patient, packet: None }
    }

    fn may_retry(&self, reason: Reason) -> bool {
        may_retry(reason) || (self.patient && is_trouble(reason))
    }

    pub fn hello(&mut self, out: &mut Vec<u8>) {
        self.login.connect(out);
    }

    pub fn send(&mut self, stream: &mut Stream, portion: Portion, out: &mut Vec<u8>, acked: Acked<'_>) {
        for (number, device, seq) in stream.messages(portion.from, portion.end) {
            self.prepare(device, seq);
            let packet = self.packet.as_mut().expect("just prepared");
            packet.template.fill(packet.key, seq, self.times.of(seq, portion.ts));
            let start = out.len();
            out.extend_from_slice(&packet.template.bytes);
            if let Some(id_at) = packet.head.id_at {
                out[start + id_at..start + id_at + 2].copy_from_slice(&id_of(number).to_be_bytes());
                if portion.again {
                    out[start] |= DUP;
                }
            }
        }
        if self.qos == Qos::AtMostOnce {
            let count = portion.end - portion.from;
            assert!(stream.acknowledge(count, acked) && stream.complete(count), "a portion was just sent");
        }
    }

    /// Makes the template fit this device and seq.
    fn prepare(&mut self, device: DeviceId, seq: u64) {
        match &mut self.packet {
            Some(packet) if packet.template.fits(seq) => {
                if packet.device != device {
                    let place = &mut packet.template.bytes[packet.device_at..packet.device_at + 36];
                    device.0.hyphenated().encode_lower(place);
                    packet.device = device;
                    packet.key = device_key(self.seed, device, self.boot.unwrap_or(0));
                }
            }
            _ => self.packet = Some(self.lay_out(device, seq)),
        }
    }

    fn lay_out(&self, device: DeviceId, seq: u64) -> Packet {
        let front = format!("tenant/{}/device/", self.tenant);
        let topic = format!("{front}{device}/data");
        let payload_len = Template::new(self.shape, self.boot, seq).bytes.len();
        let head = PublishHead::new(self.login.version, self.qos, &topic, payload_len);
        let template = Template::behind(&[head.bytes.as_slice(), b"{"].concat(), self.shape, self.boot, seq);
        let device_at = head.topic_at + front.len();
        Packet { template, head, device_at, device, key: device_key(self.seed, device, self.boot.unwrap_or(0)) }
    }

    pub fn hear(
        &mut self,
        input: &[u8],
        stream: &mut Stream,
        out: &mut Vec<u8>,
        acked: Acked<'_>,
    ) -> Result<(usize, bool), Failure> {
        let (mut at, mut ready) = (0, false);
        loop {
            let run = self.hear_run(&input[at..], stream, out, acked)?;
            at += run;
            if run > 0 {
                continue;
            }
            let reply = client::decode(&input[at..], self.login.version, MQTT_PACKET_BYTES_MAX);
            let Some((reply, len)) = reply.map_err(|error| Failure::Fatal(error.into()))? else {
                return Ok((at, ready));
            };
            at += len;
            ready |= self.hear_one(&reply, stream, out)?;
        }
    }

    /// Counts acknowledgements that come as expected: success, in the order of sending. Returns the bytes used up.
    fn hear_run(
        &self,
        input: &[u8],
        stream: &mut Stream,
        out: &mut Vec<u8>,
        acked: Acked<'_>,
    ) -> Result<usize, Failure> {
        let (first, next) = match input.first() {
            Some(&first @ (PUBACK | PUBREC)) => (first, stream.acked()),
            Some(&first @ PUBCOMP) => (first, stream.done()),
            _ => return Ok(0),
        };
        let mut count = 0;
        for chunk in input.as_chunks::<4>().0 {
            let [high, low] = id_of(next + count).to_be_bytes();
            if *chunk != [first, 2, high, low] {
                break;
            }
            count += 1;
        }
        let known = match first {
            PUBACK => stream.acknowledge(count, acked) && stream.complete(count),
            PUBREC => {
                (next..next + count).for_each(|number| client::pubrel(out, id_of(number)));
                stream.acknowledge(count, acked)
            }
            _ => stream.complete(count),
        };
        if known { Ok(count as usize * 4) } else { Err(out_of_order(id_of(next))) }
    }

    /// Anything else. True if the connection became ready.
    fn hear_one(&self, reply: &Reply<'_>, stream: &mut Stream, out: &mut Vec<u8>) -> Result<bool, Failure> {
        match reply {
            Reply::Connack { reason: Reason::SUCCESS, properties, .. } => {
                let receive_max = properties.number(PropertyId::ReceiveMaximum).unwrap_or(u32::from(u16::MAX));
                if self.qos != Qos::AtMostOnce {
                    stream.limit_window(u64::from(receive_max));
                }
                stream.rewind();
                // QoS 2: what the server has received and we have not released yet (MQTT 5.0 section 4.4).
                (stream.done()..stream.acked()).for_each(|number| client::pubrel(out, id_of(number)));
                Ok(true)
            }
            Reply::Connack { reason, .. } => {
                let why = anyhow!("the server refused the connection: {}", self.login.refusal(*reason));
                Err(refused(None, self.login.may_retry(*reason) || self.may_retry(*reason), why))
            }
            Reply::Puback(ack) | Reply::Pubrec(ack) if ack.reason.is_failure() => {
                let ahead = (u64::from(ack.packet_id) + IDS - u64::from(id_of(stream.acked()))) % IDS;
                let why = anyhow!("the server refused a message: {}", ack.reason);
                Err(refused(Some(stream.acked() + ahead), self.may_retry(ack.reason), why))
            }
            // With "packet identifier not found" the server had released it already, and its answer was lost.
            Reply::Pubcomp(ack) if ack.packet_id == id_of(stream.done()) && stream.complete(1) => Ok(false),
            Reply::Puback(ack) | Reply::Pubrec(ack) | Reply::Pubcomp(ack) => Err(out_of_order(ack.packet_id)),
            Reply::Pingresp => Ok(false),
            Reply::Disconnect(bye) => {
                let why = anyhow!("the server closed the connection: {}", bye.reason);
                Err(if self.may_retry(bye.reason) { refused(None, true, why) } else { Failure::Lost(why) })
            }
            other => Err(Failure::Fatal(anyhow!("the server sent what a publisher does not expect: {other:?}"))),
        }
    }
}

/// The first bytes of the answers that come in runs.
const PUBACK: u8 = 0x40;
const PUBREC: u8 = 0x50;
const PUBCOMP: u8 = 0x70;

fn refused(number: Option<u64>, later: bool, why: anyhow::Error) -> Failure {
    if later { Failure::Refused { number, why } } else { Failure::Fatal(why) }
}

fn out_of_order(id: u16) -> Failure {
    Failure::Fatal(anyhow!("the server's acknowledgement of packet {id} is out of the order of sending"))
}
