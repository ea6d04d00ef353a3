//! Which buckets of rollups stand for the rows that a query asks for, and which times are left to be read from rows.

use std::ops::Range;

use model::Millis;

use super::Resolution;
use crate::block::RolledUp;
use crate::error::Error;

#[cfg(test)]
mod tests;

/// The buckets of one level, and how long they are.
pub type Buckets<'a> = (Millis, &'a [RolledUp]);

/// What a query asks of a source's rows.
#[derive(Clone, Debug)]
pub struct Cover {
    /// How the answer's buckets lie.
    pub resolution: Resolution,
    /// The times that are wanted.
    pub wanted: Range<Millis>,
    /// The times that the source's rows may have.
    pub held: Range<Millis>,
}

impl Cover {
    /// Takes the buckets, long ones first, that lie within one bucket of the answer and within what is wanted; leaves the
    /// times in `gaps` that no such bucket stands for. A level says of every row in which of its buckets it is, so between
    /// buckets there is nothing. `take` gets the number of the level and that of the bucket.
    pub fn divide(
        &self,
        levels: &[Buckets<'_>],
        gaps: &mut Vec<Range<Millis>>,
        take: &mut impl FnMut(usize, usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.descend(levels, 0, intersection(&self.wanted, &self.held), gaps, take)
    }

    fn descend(
        &self,
        levels: &[Buckets<'_>],
        level: usize,
        times: Range<Millis>,
        gaps: &mut Vec<Range<Millis>>,
        take: &mut impl FnMut(usize, usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if times.is_empty() {
            return Ok(());
        }
        let Some((period, buckets)) = levels.get(level) else {
            match gaps.last_mut().filter(|last| last.end == times.start) {
                Some(last) => last.end = times.end,
                None => gaps.push(times),
            }
            return Ok(());
        };
        let end = |bucket: &RolledUp| bucket.start.saturating_add(*period);
        let first = buckets.partition_point(|bucket| end(bucket) <= times.start);
        for (at, bucket) in buckets.iter().enumerate().skip(first).take_while(|(_, bucket)| bucket.start < times.end) {
            let of_bucket = intersection(&(bucket.start..end(bucket)), &self.held);
            let is_wanted = times.start <= of_bucket.start && of_bucket.end <= times.end;
            if is_wanted && of_bucket.end <= self.resolution.bucket(of_bucket.start).end {
                take(level, at)?;
            } else {
                self.descend(levels, level + 1, intersection(&of_bucket, &times), gaps, take)?;
            }
        }
        Ok(())
    }
}

impl Resolution {
    /// The times of the bucket in which `ts` is; the last one ends where time does.
    pub fn bucket(self, ts: Millis) -> Range<Millis> {
        match self {
            Self::All => Millis::MIN..Millis::MAX,
            Self::Millis(length) => {
                let number = ts.div_euclid(length);
                number.saturating_mul(length)..number.saturating_add(1).saturating_mul(length)
            }
        }
    }
}

fn intersection(times: &Range<Millis>, others: &Range<Millis>) -> Range<Millis> {
    times.start.max(others.start)..times.end.min(others.end)
}
