//! The acked-set checker: compares what a generator sent and got acknowledged with what a server kept, and counts.
//!
//! A pure function over one device's evidence; counts of devices add up. It reads nothing itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::AddAssign;

use model::{DeviceId, Millis, TenantId};
use serde::{Deserialize, Serialize};

use crate::acked::{Logged, Ranges};
use crate::load::payload::{Shape, device_key, tenths};

#[cfg(test)]
mod tests;

/// What one device said, by its boots.
#[derive(Clone, PartialEq, Debug)]
pub struct Expected {
    pub tenant: TenantId,
    pub device: DeviceId,
    pub boots: BTreeMap<u32, Said>,
}

/// What a device said between one start and the next, as sets of seqs.
#[derive(Clone, PartialEq, Debug)]
pub struct Said {
    /// What its values are a function of, besides seq and ts.
    pub key: u64,
    pub shape: Shape,
    pub sent: Ranges,
    pub acked: Ranges,
    pub refused: Ranges,
}

/// A reading as the query API gives it.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
pub struct Point {
    pub ts: Millis,
    pub seq: Option<u64>,
    pub boot: Option<u32>,
    pub value: f64,
}

/// A message as it stands in the journal.
#[derive(Clone, PartialEq, Debug)]
pub struct RawMessage {
    /// Partition, offset, index.
    pub address: (u16, u64, u32),
    pub tenant: TenantId,
    pub seq: Option<u64>,
    pub boot: Option<u32>,
    /// A hash of its bytes.
    pub digest: u64,
}

/// All that is known of one device on the server's side.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Evidence {
    /// The readings in the store, one list per metric of the payload's shape.
    pub stored: Vec<Vec<Point>>,
    /// (boot, seq) of its dead letters.
    pub dead: BTreeSet<(u32, u64)>,
    /// Its messages in the journal, in the order of reading; several dumps one after the other are fine.
    pub raw: Option<Vec<RawMessage>>,
    /// Readings of this device that another tenant could see.
    pub foreign: Option<u64>,
}

/// The outcome. What could not be checked is absent, never zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Counts {
    pub devices: u64,
    pub sent: u64,
    pub acked: u64,
    pub stored: u64,
    pub dead_lettered: u64,
    /// Acknowledged, and neither stored nor dead-lettered (nor in the journal, where that was read).
    pub lost: u64,
    /// Acknowledged and in the journal, but not queryable.
    pub unseen: Option<u64>,
    /// Addresses of the journal that were read twice with different content.
    pub inconsistent: Option<u64>,
    /// Rows of the store beyond the first with the same (device, boot, seq).
    pub duplicated: u64,
    /// Messages whose first place in the journal is behind a later one of their device.
    pub reordered: Option<u64>,
    /// Rows whose values are not what their device sent, or that have not all their metrics.
    pub corrupt: u64,
    /// Rows that were never sent.
    pub never_sent: u64,
    /// Messages that stand under, or can be read by, another tenant.
    pub wrong_tenant: Option<u64>,
    /// Refused and stored all the same: allowed.
    pub refused_but_stored: u64,
}

impl Counts {
    /// The counts that have to be zero, by name; absent where they could not be checked.
    pub fn must_be_zero(&self) -> [(&'static str, Option<u64>); 8] {
        [
            ("lost", Some(self.lost)),
            ("unseen after drain", self.unseen),
            ("inconsistent", self.inconsistent),
            ("duplicated in the store", Some(self.duplicated)),
            ("reordered within a device", self.reordered),
            ("corrupt", Some(self.corrupt)),
            ("never sent", Some(self.never_sent)),
            ("wrong tenant", self.wrong_tenant),
        ]
    }

    /// Whether every count that has to be zero and was checked is zero.
    pub fn clean(&self) -> bool {
        self.must_be_zero().iter().all(|(_, count)| count.unwrap_or(0) == 0)
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let add = |mine: &mut Option<u64>, other: Option<u64>| {
            if let Some(other) = other {
                *mine = Some(mine.unwrap_or(0) + other);
            }
        };
        self.devices += other.devices;
        self.sent += other.sent;
        self.acked += other.acked;
        self.stored += other.stored;
        self.dead_lettered += other.dead_lettered;
        self.lost += other.lost;
        add(&mut self.unseen, other.unseen);
        add(&mut self.inconsistent, other.inconsistent);
        self.duplicated += other.duplicated;
        add(&mut self.reordered, other.reordered);
        self.corrupt += other.corrupt;
        self.never_sent += other.never_sent;
        add(&mut self.wrong_tenant, other.wrong_tenant);
        self.refused_but_stored += other.refused_but_stored;
    }
}

/// What each device of a log said, ascending by device.
pub fn expectations(logged: &Logged) -> Vec<Expected> {
    let mut places: BTreeMap<DeviceId, Vec<(usize, usize)>> = BTreeMap::new();
    for (number, stream) in logged.streams.iter().enumerate() {
        for (place, device) in stream.devices.iter().enumerate() {
            places.entry(*device).or_default().push((number, place));
        }
    }
    let expected = |(device, places): (DeviceId, Vec<(usize, usize)>)| {
        let mut boots: BTreeMap<u32, Said> = BTreeMap::new();
        for (number, place) in &places {
            let stream = &logged.streams[*number];
            let said = boots.entry(stream.run.boot).or_insert_with(|| Said {
                key: device_key(stream.run.seed, device, stream.run.boot),
                shape: stream.run.shape,
                sent: Ranges::default(),
                acked: Ranges::default(),
                refused: Ranges::default(),
            });
            said.sent.extend(&stream.seqs(&stream.sent, *place));
            said.acked.extend(&stream.seqs(&stream.acked, *place));
            said.refused.extend(&stream.seqs(&stream.refused, *place));
        }
        Expected { tenant: logged.streams[places[0].0].tenant, device, boots }
    };
    places.into_iter().map(expected).collect()
}

/// Counts what is wrong with one device.
pub fn check(expected: &Expected, evidence: &Evidence) -> Counts {
    let mut counts = Counts { devices: 1, wrong_tenant: evidence.foreign, ..Counts::default() };
    let seen = check_rows(expected, &evidence.stored, &mut counts);
    let mut in_raw = None;
    if let Some(raw) = &evidence.raw {
        let wrong = raw.iter().filter(|message| message.tenant != expected.tenant).count() as u64;
        counts.wrong_tenant = Some(counts.wrong_tenant.unwrap_or(0) + wrong);
        counts.inconsistent = Some(count_inconsistent(raw));
        let (known, reordered) = order_of_first(raw);
        counts.reordered = Some(reordered);
        counts.unseen = Some(0);
        in_raw = Some(known);
    }
    let none = Ranges::default();
    for (boot, said) in &expected.boots {
        let stored = seen.get(boot).unwrap_or(&none);
        counts.sent += said.sent.count();
        counts.acked += said.acked.count();
        for seq in said.acked.numbers().filter(|seq| !stored.contains(*seq)) {
            if evidence.dead.contains(&(*boot, seq)) {
                counts.dead_lettered += 1;
            } else if in_raw.as_ref().is_some_and(|raw| raw.get(boot).is_some_and(|seqs| seqs.contains(seq))) {
                counts.unseen = counts.unseen.map(|unseen| unseen + 1);
            } else {
                counts.lost += 1;
            }
        }
        let refused = said.refused.numbers().filter(|seq| !said.acked.contains(*seq) && stored.contains(*seq));
        counts.refused_but_stored += refused.count() as u64;
    }
    counts
}

/// Compares rows with what was sent and returns, by boot, the seqs that are in the store.
fn check_rows(expected: &Expected, stored: &[Vec<Point>], counts: &mut Counts) -> HashMap<u32, Ranges> {
    let mut by_metric: Vec<HashMap<u32, Ranges>> = Vec::new();
    for (metric, points) in stored.iter().enumerate() {
        let mut seen: HashMap<u32, Ranges> = HashMap::new();
        for point in points {
            let sent = point.boot.zip(point.seq).and_then(|(boot, seq)| Some((boot, seq, expected.boots.get(&boot)?)));
            let Some((boot, seq, said)) = sent.filter(|(_, seq, said)| said.sent.contains(*seq)) else {
                counts.never_sent += 1;
                continue;
            };
            let seqs = seen.entry(boot).or_default();
            if seqs.contains(seq) {
                // Counted once per row, not once per metric.
                counts.duplicated += u64::from(metric == 0);
            } else {
                seqs.insert(seq, seq + 1);
            }
            let value = f64::from(tenths(said.shape, metric, said.key, seq, point.ts)) / 10.0;
            counts.corrupt += u64::from(point.value != value);
        }
        by_metric.push(seen);
    }
    counts.stored = stored.first().map_or(0, |points| points.len() as u64);
    let mut by_metric = by_metric.into_iter();
    let first = by_metric.next().unwrap_or_default();
    for other in by_metric {
        counts.corrupt += missing(&first, &other) + missing(&other, &first);
    }
    first
}

/// How many seqs are in `these` and not in `those`.
fn missing(these: &HashMap<u32, Ranges>, those: &HashMap<u32, Ranges>) -> u64 {
    let absent = |(boot, seqs): (&u32, &Ranges)| match those.get(boot) {
        Some(others) if others == seqs => 0,
        Some(others) => seqs.numbers().filter(|seq| !others.contains(*seq)).count() as u64,
        None => seqs.count(),
    };
    these.iter().map(absent).sum()
}

fn count_inconsistent(raw: &[RawMessage]) -> u64 {
    let mut contents: HashMap<(u16, u64, u32), u64> = HashMap::new();
    let differs = |message: &&RawMessage| *contents.entry(message.address).or_insert(message.digest) != message.digest;
    raw.iter().filter(differs).count() as u64
}

/// The (boot, seq) in the journal, and how many of them first appear behind a greater one.
fn order_of_first(raw: &[RawMessage]) -> (HashMap<u32, Ranges>, u64) {
    let mut by_address: Vec<&RawMessage> = raw.iter().collect();
    by_address.sort_by_key(|message| message.address);
    let mut seen: HashMap<u32, Ranges> = HashMap::new();
    let (mut greatest, mut reordered) = (None, 0);
    for message in by_address {
        let (Some(boot), Some(seq)) = (message.boot, message.seq) else { continue };
        let seqs = seen.entry(boot).or_default();
        if seqs.contains(seq) {
            continue;
        }
        seqs.insert(seq, seq + 1);
        reordered += u64::from(greatest > Some((boot, seq)));
        greatest = greatest.max(Some((boot, seq)));
    }
    (seen, reordered)
}
