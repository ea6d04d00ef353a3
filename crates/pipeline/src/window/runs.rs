//! The seqs seen in one numbering (a boot, an epoch): sorted runs of consecutive numbers with the time of their last
//! addition.
//!
//! Runs grow only within one day of receive time, so that each can be forgotten as a whole once it is out of the
//! window: a device that counts on for ever has two runs, today's and yesterday's.
//!
//! Stored as count u32, then per run: lowest u64 | length − 1 u32 | minute u32.

use model::wire::{Reader, Short, Writer};

#[cfg(test)]
mod tests;

/// Minutes since the partition's window clock began; see [`super::Windows`].
pub type Minute = u32;

/// Minutes in a day: the grain in which runs are forgotten.
const DAY: Minute = 24 * 60;

/// The day that a minute is in.
pub fn day(minute: Minute) -> u32 {
    minute / DAY
}

/// The first minute of a day.
pub fn morning(day: u32) -> Minute {
    day.saturating_mul(DAY)
}

/// Whether something last touched at `at` is out of the window at `now`: it is then at least 24 h old, at most 48 h.
pub fn is_past(at: Minute, now: Minute) -> bool {
    day(at) + 1 < day(now)
}

/// Consecutive seqs, all seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    pub lowest: u64,
    /// Numbers beyond the lowest.
    pub more: u32,
    /// When the last of them came.
    pub at: Minute,
}

impl Run {
    pub fn highest(&self) -> u64 {
        self.lowest + u64::from(self.more)
    }

    fn takes(&self, at: Minute) -> bool {
        day(self.at) == day(at) && self.more < u32::MAX
    }
}

/// Sorted, disjoint runs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Runs(pub Vec<Run>);

impl Runs {
    /// Adds a seq that continues the highest run, which is nearly every one; `false` says nothing.
    pub fn extend(&mut self, seq: u64, at: Minute) -> bool {
        let Some(last) = self.0.last_mut() else { return false };
        let continues = last.highest().checked_add(1) == Some(seq) && last.takes(at);
        if continues {
            last.more += 1;
            last.at = at;
        }
        continues
    }

    /// Adds a seq; `false` if it was there.
    pub fn insert(&mut self, seq: u64, at: Minute) -> bool {
        let above = self.0.partition_point(|run| run.lowest <= seq);
        if above > 0 && self.0[above - 1].highest() >= seq {
            return false;
        }
        if above > 0 && self.0[above - 1].highest() + 1 == seq && self.0[above - 1].takes(at) {
            self.0[above - 1].more += 1;
            self.0[above - 1].at = at;
            self.join(above);
            return true;
        }
        match self.0.get_mut(above) {
            Some(run) if seq + 1 == run.lowest && run.takes(at) => {
                *run = Run { lowest: seq, more: run.more + 1, at };
            }
            _ => self.0.insert(above, Run { lowest: seq, more: 0, at }),
        }
        true
    }

    /// Takes a seq out, if it is there.
    pub fn remove(&mut self, seq: u64) {
        let above = self.0.partition_point(|run| run.lowest <= seq);
        let Some(at) = above.checked_sub(1).filter(|at| self.0[*at].highest() >= seq) else { return };
        let Run { lowest, at: minute, .. } = self.0[at];
        let part = |lowest, highest: u64| Run { lowest, more: (highest - lowest) as u32, at: minute };
        let below = (seq > lowest).then(|| part(lowest, seq - 1));
        let rest = (seq < self.0[at].highest()).then(|| part(seq + 1, self.0[at].highest()));
        self.0.splice(at..=at, below.into_iter().chain(rest));
    }

    /// Joins the run at `above` to the one below it if they touch and are of one day.
    fn join(&mut self, above: usize) {
        let Some(&upper) = self.0.get(above) else { return };
        let lower = &mut self.0[above - 1];
        let more = u64::from(lower.more) + 1 + u64::from(upper.more);
        if lower.highest() + 1 == upper.lowest
            && day(lower.at) == day(upper.at)
            && let Ok(more) = u32::try_from(more)
        {
            *lower = Run { lowest: lower.lowest, more, at: lower.at.max(upper.at) };
            self.0.remove(above);
        }
    }

    /// The highest seq in the window.
    pub fn highest(&self) -> Option<u64> {
        self.0.last().map(Run::highest)
    }

    /// Forgets what is out of the window.
    pub fn forget_past(&mut self, now: Minute) {
        self.0.retain(|run| !is_past(run.at, now));
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u32(self.0.len() as u32);
        for run in &self.0 {
            out.u64(run.lowest);
            out.u32(run.more);
            out.u32(run.at);
        }
    }

    /// Fails where runs overlap or are out of order.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Short> {
        let mut runs: Vec<Run> = Vec::new();
        for _ in 0..reader.u32()? {
            let run = Run { lowest: reader.u64()?, more: reader.u32()?, at: reader.u32()? };
            let ordered = runs.last().is_none_or(|last| last.highest() < run.lowest);
            if !ordered || run.lowest.checked_add(run.more.into()).is_none() {
                return Err(Short);
            }
            runs.push(run);
        }
        Ok(Self(runs))
    }
}
