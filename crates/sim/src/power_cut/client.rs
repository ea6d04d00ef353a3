//! What is sent: new messages, re-sends of what was not acknowledged and of what was, messages that are to be rejected,
//! and control records.
//!
//! Each payload goes with what it means, so that nothing has to read it to know what is to become of it.

use std::collections::VecDeque;
use std::sync::Arc;

use model::rules::{ClassRules, Computed};
use model::{Control, Millis, Offset, PayloadKind, Reason, SessionKey};

use super::dice::Dice;
use super::fleet::{self, CLASSES, DEVICES, METRICS, Style};

/// Payloads of one device that may be sent again: fewer than a window without order remembers.
const RECENT: usize = 30;
/// A time that puts a row among the late ones.
const LATE: Millis = 30 * 3600 * 1000;

/// A batch to be appended.
#[derive(Clone, PartialEq, Debug)]
pub struct Sent {
    pub received: Millis,
    pub payloads: Vec<Payload>,
    pub controls: Vec<Control>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Payload {
    pub device: usize,
    pub kind: PayloadKind,
    pub bytes: Vec<u8>,
    /// What each message in it is, in order; one for a payload that is not an array.
    pub meant: Vec<Meant>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Meant {
    Message(Message),
    /// It is to be rejected.
    Bad(Reason),
}

/// A message with one number, or an event with that number in its data.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Message {
    pub ts: Option<Millis>,
    pub boot: Option<u32>,
    pub seq: Option<u64>,
    pub value: u32,
    pub is_event: bool,
}

/// The sending side. It outlives every crash.
pub struct Client {
    dice: Dice,
    devices: Vec<Device>,
    /// Taken in and not acknowledged, oldest first, each with the offset behind it.
    outstanding: VecDeque<(Offset, Vec<Payload>)>,
    /// To be sent again before anything new.
    again: VecDeque<Payload>,
    held: Vec<(u128, u16)>,
    value: u32,
    pub acknowledged: u64,
}

struct Device {
    boot: u32,
    seq: u64,
    /// Its newest ts.
    ts: Millis,
    recent: VecDeque<Payload>,
}

impl Client {
    pub fn new(seed: u64) -> Self {
        let device = |_| Device { boot: 0, seq: 0, ts: 0, recent: VecDeque::new() };
        Self {
            dice: Dice::new(seed),
            devices: (0..DEVICES).map(device).collect(),
            outstanding: VecDeque::new(),
            again: VecDeque::new(),
            held: Vec::new(),
            value: 0,
            acknowledged: 0,
        }
    }

    /// What to send next.
    pub fn next(&mut self, now: Millis) -> Sent {
        let controls = if self.dice.percent(12) { vec![self.control()] } else { Vec::new() };
        let least = u64::from(controls.is_empty());
        let count = least + self.dice.below(5);
        let mut payloads: Vec<Payload> = (0..count).map(|_| self.payload(now)).collect();
        // A batch is grouped by device as the gateway fills it: neighbours share a group.
        if self.dice.percent(50) {
            payloads.sort_by_key(|payload| payload.device);
        }
        Sent { received: now, payloads, controls }
    }

    /// The log has taken a batch in.
    pub fn sent(&mut self, payloads: Vec<Payload>, end: Offset) {
        self.outstanding.push_back((end, payloads));
    }

    /// The log had no room for a batch.
    pub fn refused(&mut self, payloads: Vec<Payload>) {
        self.again.extend(payloads);
    }

    /// Everything before this offset is acknowledged.
    pub fn hear(&mut self, acknowledged_to: Offset) {
        while self.outstanding.front().is_some_and(|(end, _)| *end <= acknowledged_to) {
            let (_, payloads) = self.outstanding.pop_front().expect("it was there");
            self.acknowledged += payloads.len() as u64;
        }
    }

    /// The connection is gone: what was not acknowledged is sent again, most of it.
    pub fn reconnect(&mut self) {
        for payload in std::mem::take(&mut self.outstanding).into_iter().flat_map(|(_, payloads)| payloads) {
            if self.dice.percent(80) {
                self.again.push_back(payload);
            }
        }
    }

    fn payload(&mut self, now: Millis) -> Payload {
        if let Some(payload) = self.again.pop_front() {
            return payload;
        }
        let device = self.dice.below(DEVICES as u64) as usize;
        let recent = &self.devices[device].recent;
        if !recent.is_empty() && self.dice.percent(20) {
            return recent[self.dice.below(recent.len() as u64) as usize].clone();
        }
        let mut payload = self.new_payload(device, now);
        if self.dice.percent(8) {
            // It was lost on the way, and comes later or never.
            self.remember(payload);
            payload = self.new_payload(device, now);
        }
        self.remember(payload.clone());
        payload
    }

    fn remember(&mut self, payload: Payload) {
        let recent = &mut self.devices[payload.device].recent;
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back(payload);
    }

    fn new_payload(&mut self, device: usize, now: Millis) -> Payload {
        let style = Style::of(device);
        let is_event = style == Style::Events && self.dice.percent(40);
        let kind = if is_event { PayloadKind::Events } else { PayloadKind::Data };
        if self.dice.percent(6) {
            let (bytes, reason) = self.bad();
            return Payload { device, kind, bytes, meant: vec![Meant::Bad(reason(is_event))] };
        }
        // A message that is found by its bytes stands alone.
        let is_array = style != Style::SeqAlone && self.dice.percent(15);
        let count = if is_array { 2 + self.dice.below(3) } else { 1 };
        let (mut texts, mut meant) = (Vec::new(), Vec::new());
        for _ in 0..count {
            if is_array && self.dice.percent(10) {
                texts.push(r#"{"seq":-1,"type":"t","metrics":{"v":1}}"#.to_owned());
                meant.push(Meant::Bad(Reason::SeqInvalid));
            } else {
                let message = self.message(device, style, is_event, now);
                texts.push(text(&message));
                meant.push(Meant::Message(message));
            }
        }
        let bytes = if is_array { format!("[{}]", texts.join(",")) } else { texts.remove(0) };
        Payload { device, kind, bytes: bytes.into_bytes(), meant }
    }

    /// A payload that cannot be read, and why, for a message and for an event.
    fn bad(&mut self) -> (Vec<u8>, fn(bool) -> Reason) {
        self.value += 1;
        let number = self.value;
        match self.dice.below(3) {
            0 => (format!("{{\"v\":{number},").into_bytes(), |_| Reason::NotWellFormed),
            1 => (format!("{{\"ts\":{number}}}").into_bytes(), |is_event| {
                if is_event { Reason::EventInvalid } else { Reason::MetricsMissing }
            }),
            _ => {
                (format!(r#"{{"seq":"{number}","type":"t","metrics":{{"v":1}}}}"#).into_bytes(), |_| Reason::SeqInvalid)
            }
        }
    }

    fn message(&mut self, device: usize, style: Style, is_event: bool, now: Millis) -> Message {
        self.value += 1;
        let (dice, value) = (&mut self.dice, self.value);
        let device = &mut self.devices[device];
        let is_reset = dice.percent(3);
        device.seq += 1 + u64::from(dice.percent(5)) * dice.below(4);
        // A device's clock stands still now and then, and is never ahead.
        device.ts = if dice.percent(10) { device.ts } else { device.ts.max(now - 500) + 1 };
        if is_reset {
            (device.boot, device.seq) = (device.boot + 1, 0);
            device.ts += 1;
        }
        let late = if dice.percent(2) { LATE } else { 0 };
        let (ts, boot, seq) = match style {
            Style::Boot | Style::Events => (Some(device.ts - late), Some(device.boot), Some(device.seq)),
            Style::Epoch => (Some(device.ts), None, Some(device.seq)),
            Style::TsAlone => (Some(device.ts - late), None, None),
            Style::SeqAlone => (None, None, Some(device.seq % 20)),
            Style::Bare => (None, None, None),
        };
        Message { ts, boot, seq, value, is_event }
    }

    /// A class computes otherwise from now on, or a QoS 2 id is held or released.
    fn control(&mut self) -> Control {
        let session = self.dice.below(3) as u128;
        match self.dice.below(5) {
            0 | 1 => {
                let packet_id = self.dice.below(50) as u16;
                self.held.push((session, packet_id));
                let payload_hash = u128::from(self.dice.next());
                Control::Held { session: SessionKey(session), packet_id, payload_hash }
            }
            2 if !self.held.is_empty() => {
                let at = self.dice.below(self.held.len() as u64) as usize;
                let (session, packet_id) = self.held.swap_remove(at);
                Control::Released { session: SessionKey(session), packet_id }
            }
            3 if self.dice.percent(20) => Control::SessionEnded { session: SessionKey(session) },
            _ => self.class_rules(),
        }
    }

    fn class_rules(&mut self) -> Control {
        let tenant = fleet::tenants()[self.dice.below(2) as usize];
        let class: Arc<str> = CLASSES[self.dice.below(2) as usize].into();
        let expression = format!("{} * {}", METRICS[0], 2 + self.dice.below(8));
        let computed = Computed { metric: METRICS[1].to_owned(), expression, unit: None };
        let rules = ClassRules { computed: vec![computed], ..ClassRules::default() };
        Control::Class { tenant, class, rules: Box::new(rules) }
    }
}

fn text(message: &Message) -> String {
    let Message { ts, boot, seq, value, is_event } = message;
    let mut fields = Vec::new();
    fields.extend(ts.map(|ts| format!("\"ts\":{ts}")));
    fields.extend(boot.map(|boot| format!("\"boot\":{boot}")));
    fields.extend(seq.map(|seq| format!("\"seq\":{seq}")));
    fields.push(if *is_event {
        format!("\"type\":\"t\",\"data\":{value}")
    } else {
        format!("\"metrics\":{{\"{}\":{value}}}", METRICS[0])
    });
    format!("{{{}}}", fields.join(","))
}
