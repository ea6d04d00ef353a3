//! What is to become of what was accepted, written from the rules (RULES, "Duplicates", "Acceptance and refusal") as
//! plainly as they can be, without a bound and without forgetting: a round takes less than a day.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use model::{Control, Millis, Offset, Reason};

use super::client::{Meant, Message, Payload, Sent};
use super::fleet::{self, CLASSES, DEVICES};

/// With how many of the last ones of its device a message without an order is compared.
const LAST: usize = 128;

/// A stored value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Row {
    /// Places of tenant and class.
    pub table: (usize, usize),
    pub device: usize,
    /// The metric; of an event `event`.
    pub what: String,
    pub ts: Millis,
    pub boot: Option<u32>,
    pub seq: Option<u64>,
    pub value: String,
}

/// A dead letter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Letter {
    pub offset: Offset,
    pub index: u32,
    pub device: usize,
    pub reason: Reason,
}

/// A QoS 2 id that awaits PUBREL: session, id, hash of the payload.
pub type Held = (u128, u16, u128);

/// What there is to be, derived from a part of `raw`.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// With the time from which its age counts.
    pub rows: Vec<(Row, Millis)>,
    pub letters: Vec<Letter>,
    pub held: BTreeSet<Held>,
    pub duplicates: u64,
    windows: Vec<Window>,
    /// The expression of the computed metric of each table, as the number that it multiplies with.
    factors: HashMap<(usize, usize), u32>,
}

/// What one device has sent.
#[derive(Clone, Debug, Default)]
struct Window {
    boots: HashSet<(u32, u64)>,
    epochs: Vec<Epoch>,
    /// (seq, payload) of messages with neither ts nor boot.
    clockless: VecDeque<(u64, u32)>,
    /// (ts, value) of messages without seq.
    seqless: VecDeque<(Millis, u32)>,
}

/// A range of ts in which one counting holds: from behind the greatest ts of the epoch before.
#[derive(Clone, Debug)]
struct Epoch {
    after: Option<Millis>,
    ts_max: Millis,
    seqs: BTreeSet<u64>,
}

/// Derives everything from batches in order, each with its first offset.
pub fn derive<'a>(batches: impl Iterator<Item = (Offset, &'a Sent)>) -> Expected {
    let mut expected = Expected { windows: vec![Window::default(); DEVICES], ..Expected::default() };
    for (base, sent) in batches {
        sent.controls.iter().for_each(|control| expected.control(control));
        for (payload, offset) in sent.payloads.iter().zip(base..) {
            expected.payload(payload, offset, sent.received);
        }
    }
    expected
}

impl Expected {
    fn control(&mut self, control: &Control) {
        match control {
            Control::Held { session, packet_id, payload_hash } => {
                self.held.retain(|(of, id, _)| (of, id) != (&session.0, packet_id));
                self.held.insert((session.0, *packet_id, *payload_hash));
            }
            Control::Released { session, packet_id } => {
                self.held.retain(|(of, id, _)| (of, id) != (&session.0, packet_id));
            }
            Control::SessionEnded { session } => self.held.retain(|(of, ..)| *of != session.0),
            Control::Class { tenant, class, rules } => {
                let tenant = fleet::tenants().iter().position(|other| other == tenant);
                let class = CLASSES.iter().position(|other| **other == **class);
                let factor = rules.computed.first().and_then(|made| made.expression.rsplit(' ').next()?.parse().ok());
                if let (Some(tenant), Some(class), Some(factor)) = (tenant, class, factor) {
                    self.factors.insert((tenant, class), factor);
                }
            }
            Control::BindDevices { .. }
            | Control::BindTopic { .. }
            | Control::Schema { .. }
            | Control::SchemaSource(_) => {}
        }
    }

    fn payload(&mut self, payload: &Payload, offset: Offset, received: Millis) {
        for (meant, index) in payload.meant.iter().zip(0..) {
            match meant {
                Meant::Bad(reason) => {
                    self.letters.push(Letter { offset, index, device: payload.device, reason: *reason });
                }
                Meant::Message(message) if self.windows[payload.device].admit(message) => {
                    self.store(payload.device, message, received);
                }
                Meant::Message(_) => self.duplicates += 1,
            }
        }
    }

    fn store(&mut self, device: usize, message: &Message, received: Millis) {
        let Message { ts, boot, seq, value, is_event } = *message;
        let (table, ts) = (fleet::table_of(device), ts.unwrap_or(received));
        let row = |what: &str, value: u32| {
            let (what, value) = (what.to_owned(), value.to_string());
            (Row { table, device, what, ts, boot, seq, value }, ts.max(received))
        };
        if is_event {
            self.rows.push(row("event", value));
            return;
        }
        self.rows.push(row(fleet::METRICS[0], value));
        if let Some(factor) = self.factors.get(&table) {
            self.rows.push(row(fleet::METRICS[1], value * factor));
        }
    }
}

impl Window {
    /// Whether a message is to be kept: it is no re-send.
    fn admit(&mut self, message: &Message) -> bool {
        let Message { ts, boot, seq, value, .. } = *message;
        match (ts, boot, seq) {
            // With boot, (device, boot, seq) alone decides.
            (_, Some(boot), Some(seq)) => self.boots.insert((boot, seq)),
            (Some(ts), None, Some(seq)) => self.admit_by_epoch(ts, seq),
            // The value is all that tells payloads of one seq apart.
            (None, None, Some(seq)) => is_new(&mut self.clockless, (seq, value)),
            (Some(ts), _, None) => is_new(&mut self.seqless, (ts, value)),
            (None, _, None) => true,
        }
    }

    /// A message is looked up in the epoch that its ts falls in. A ts greater than every ts of the newest epoch with a
    /// seq lower than that epoch's greatest opens a new one.
    fn admit_by_epoch(&mut self, ts: Millis, seq: u64) -> bool {
        let opens = match self.epochs.last() {
            None => Some(None),
            Some(newest) => {
                let is_reset = ts > newest.ts_max && newest.seqs.last().is_some_and(|greatest| seq < *greatest);
                is_reset.then_some(Some(newest.ts_max))
            }
        };
        if let Some(after) = opens {
            self.epochs.push(Epoch { after, ts_max: ts, seqs: BTreeSet::new() });
        }
        let falls_in = |epoch: &&mut Epoch| epoch.after.is_none_or(|after| ts > after);
        let Some(epoch) = self.epochs.iter_mut().rev().find(falls_in) else { return true };
        if !epoch.seqs.insert(seq) {
            return false;
        }
        epoch.ts_max = epoch.ts_max.max(ts);
        true
    }
}

fn is_new<T: PartialEq>(last: &mut VecDeque<T>, one: T) -> bool {
    if last.contains(&one) {
        return false;
    }
    if last.len() == LAST {
        last.pop_front();
    }
    last.push_back(one);
    true
}
