//! The window of a device that is not regular: several boots or epochs, many gaps, or messages without seq.
//!
//! Stored as day u32 | boots: count u32, then boot u32 and runs each | epochs: count u32, then from i64, to i64,
//! latest i64 and runs each | recent clockless | recent seqless.

use model::wire::{Reader, Short, Writer};

use super::Identity;
use super::recent::Recent;
use super::runs::{Minute, Runs, day};

/// All that was seen of one device.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Wide {
    /// The day on which past runs were last forgotten.
    pub day: u32,
    /// Sorted by boot.
    pub boots: Vec<(u32, Runs)>,
    /// Sorted by time, disjoint.
    pub epochs: Vec<Epoch>,
    /// Payload hashes of messages with seq and neither ts nor boot.
    clockless: Recent,
    /// Hashes of ts and values of messages without seq.
    seqless: Recent,
    /// Runs over all numberings.
    count: usize,
}

/// A range of ts in which one numbering holds, of messages without boot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Epoch {
    /// The first ts that falls in it.
    pub from: i64,
    /// The last ts that falls in it: [`i64::MAX`] while it is the newest.
    pub to: i64,
    /// The greatest ts seen in it.
    pub latest: i64,
    pub runs: Runs,
}

impl Wide {
    /// Takes a message in; `false` if it was seen before. `runs_max` bounds the memory: beyond it the oldest are
    /// forgotten, so that in doubt a message is kept.
    pub fn admit(&mut self, identity: &Identity, now: Minute, runs_max: usize) -> bool {
        if self.day != day(now) {
            self.forget_past(now);
        }
        if self.count >= runs_max && matches!(identity, Identity::Boot { .. } | Identity::Ts { .. }) {
            self.forget_oldest(self.count / 4 + 1);
        }
        match *identity {
            Identity::Boot { boot, seq } => {
                let runs = self.boot(boot);
                let (before, fresh, after) = (runs.0.len(), runs.insert(seq, now), runs.0.len());
                self.count = self.count + after - before;
                fresh
            }
            Identity::Ts { ts, seq } => {
                let epoch = self.epoch(ts, seq);
                let runs = &mut epoch.runs;
                let (before, fresh, after) = (runs.0.len(), runs.insert(seq, now), runs.0.len());
                if fresh {
                    epoch.latest = epoch.latest.max(ts);
                }
                self.count = self.count + after - before;
                fresh
            }
            Identity::Payload(hash) => self.clockless.insert(hash, now),
            Identity::Values(hash) => self.seqless.insert(hash, now),
            Identity::None => true,
        }
    }

    /// Takes out the message that came last. What it did beside (it may have opened an epoch, or forgotten old runs) stays:
    /// in doubt a message is kept.
    pub fn retract(&mut self, identity: &Identity) {
        match *identity {
            Identity::Boot { boot, seq } => self.boot(boot).remove(seq),
            Identity::Ts { ts, seq } => self.epoch(ts, seq).runs.remove(seq),
            Identity::Payload(hash) => self.clockless.remove(hash),
            Identity::Values(hash) => self.seqless.remove(hash),
            Identity::None => {}
        }
        self.drop_empty();
    }

    /// Takes in a message that continues the newest numbering of its day; `false` says nothing.
    pub fn extend(&mut self, identity: &Identity, now: Minute) -> bool {
        match *identity {
            Identity::Boot { boot, seq } => {
                self.boots.last_mut().is_some_and(|(last, runs)| *last == boot && runs.extend(seq, now))
            }
            Identity::Ts { ts, seq } => self.epochs.last_mut().is_some_and(|epoch| {
                let extended = epoch.to == i64::MAX && epoch.from <= ts && epoch.runs.extend(seq, now);
                if extended {
                    epoch.latest = epoch.latest.max(ts);
                }
                extended
            }),
            _ => false,
        }
    }

    fn boot(&mut self, boot: u32) -> &mut Runs {
        let at = self.boots.partition_point(|(known, _)| *known < boot);
        if self.boots.get(at).is_none_or(|(known, _)| *known != boot) {
            self.boots.insert(at, (boot, Runs::default()));
        }
        &mut self.boots[at].1
    }

    /// The epoch that a message falls in. A lower seq with a ts newer than any opens a new one: the counter was reset.
    /// Where ts falls between epochs (the one there was forgotten), an epoch for just that range is made, so that
    /// nothing seen at another time can be taken for this message.
    fn epoch(&mut self, ts: i64, seq: u64) -> &mut Epoch {
        let newest = self.epochs.last_mut().filter(|epoch| epoch.to == i64::MAX);
        if let Some(newest) = newest
            && ts > newest.latest
            && newest.runs.highest().is_some_and(|highest| seq < highest)
        {
            newest.to = newest.latest;
        }
        let at = self.epochs.partition_point(|epoch| epoch.to < ts);
        if self.epochs.get(at).is_none_or(|epoch| epoch.from > ts) {
            let from = at.checked_sub(1).map_or(i64::MIN, |before| self.epochs[before].to + 1);
            let to = self.epochs.get(at).map_or(i64::MAX, |after| after.from - 1);
            self.epochs.insert(at, Epoch { from, to, latest: ts, runs: Runs::default() });
        }
        &mut self.epochs[at]
    }

    /// Runs held, over all numberings.
    pub fn runs(&self) -> usize {
        self.count
    }

    fn all(&self) -> impl Iterator<Item = &Runs> {
        self.boots.iter().map(|(_, runs)| runs).chain(self.epochs.iter().map(|epoch| &epoch.runs))
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Runs> {
        self.boots.iter_mut().map(|(_, runs)| runs).chain(self.epochs.iter_mut().map(|epoch| &mut epoch.runs))
    }

    /// Whether messages without seq, or with neither ts nor boot, are remembered.
    pub fn has_recent(&self) -> bool {
        !self.clockless.is_empty() || !self.seqless.is_empty()
    }

    pub fn is_empty(&self) -> bool {
        self.boots.is_empty() && self.epochs.is_empty() && !self.has_recent()
    }

    pub fn forget_past(&mut self, now: Minute) {
        self.day = day(now);
        self.all_mut().for_each(|runs| runs.forget_past(now));
        self.clockless.forget_past(now);
        self.seqless.forget_past(now);
        self.drop_empty();
    }

    /// Forgets about `count` runs, those first to which nothing was added for longest.
    fn forget_oldest(&mut self, count: usize) {
        let mut ages: Vec<Minute> = self.all().flat_map(|runs| runs.0.iter().map(|run| run.at)).collect();
        let nth = count.min(ages.len() - 1);
        let (_, &mut limit, _) = ages.select_nth_unstable(nth);
        let older = ages.iter().filter(|at| **at < limit).count();
        let mut spare = count.saturating_sub(older);
        for runs in self.all_mut() {
            runs.0.retain(|run| {
                let tie = run.at == limit && spare > 0;
                spare -= usize::from(tie);
                run.at >= limit && !tie
            });
        }
        self.drop_empty();
    }

    fn drop_empty(&mut self) {
        self.boots.retain(|(_, runs)| !runs.0.is_empty());
        self.epochs.retain(|epoch| !epoch.runs.0.is_empty());
        self.recount();
    }

    fn recount(&mut self) {
        self.count = self.all().map(|runs| runs.0.len()).sum();
    }

    /// A window with one numbering of a boot.
    pub fn of_boot(day: u32, boot: u32, runs: Runs) -> Self {
        Self { day, count: runs.0.len(), boots: vec![(boot, runs)], ..Self::default() }
    }

    /// A window with one epoch for all times.
    pub fn of_epoch(day: u32, latest: i64, runs: Runs) -> Self {
        let count = runs.0.len();
        Self { day, count, epochs: vec![Epoch { from: i64::MIN, to: i64::MAX, latest, runs }], ..Self::default() }
    }

    /// Bytes on the heap, this value's own included.
    pub fn bytes(&self) -> usize {
        let runs: usize = self.all().map(|runs| runs.0.capacity() * size_of::<super::runs::Run>()).sum();
        size_of::<Self>()
            + runs
            + self.boots.capacity() * size_of::<(u32, Runs)>()
            + self.epochs.capacity() * size_of::<Epoch>()
            + self.clockless.bytes()
            + self.seqless.bytes()
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u32(self.day);
        out.u32(self.boots.len() as u32);
        for (boot, runs) in &self.boots {
            out.u32(*boot);
            runs.encode(out);
        }
        out.u32(self.epochs.len() as u32);
        for epoch in &self.epochs {
            [epoch.from, epoch.to, epoch.latest].iter().for_each(|ts| out.u64(*ts as u64));
            epoch.runs.encode(out);
        }
        self.clockless.encode(out);
        self.seqless.encode(out);
    }

    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Short> {
        let mut wide = Self { day: reader.u32()?, ..Self::default() };
        for _ in 0..reader.u32()? {
            let boot = reader.u32()?;
            if wide.boots.last().is_some_and(|(last, _)| *last >= boot) {
                return Err(Short);
            }
            wide.boots.push((boot, Runs::decode(reader)?));
        }
        for _ in 0..reader.u32()? {
            let [from, to, latest] = [reader.u64()? as i64, reader.u64()? as i64, reader.u64()? as i64];
            if to < from || wide.epochs.last().is_some_and(|last| last.to >= from) {
                return Err(Short);
            }
            wide.epochs.push(Epoch { from, to, latest, runs: Runs::decode(reader)? });
        }
        wide.clockless = Recent::decode(reader)?;
        wide.seqless = Recent::decode(reader)?;
        wide.recount();
        Ok(wide)
    }
}
