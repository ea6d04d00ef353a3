//! A mergeable sketch of many values for percentiles.
//!
//! DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees",
//! VLDB 2019): values are counted in buckets whose bounds grow by a constant factor, so that a percentile is wrong by at
//! most [`RELATIVE_ERROR`] of itself.

use std::collections::BTreeMap;

#[cfg(test)]
mod tests;

/// How far a percentile may be from the exact one, as a share of it.
const RELATIVE_ERROR: f64 = 0.005;
/// Smaller magnitudes count as zero.
const ZERO_MAX: f64 = 1e-12;

/// The sketch. At most some 6,000 buckets for all doubles of one sign between 1e-12 and 1e12.
#[derive(Clone, Debug, Default)]
pub struct Sketch {
    positive: BTreeMap<i32, u64>,
    negative: BTreeMap<i32, u64>,
    zero: u64,
    count: u64,
}

fn growth() -> f64 {
    (1.0 + RELATIVE_ERROR) / (1.0 - RELATIVE_ERROR)
}

fn bucket_of(magnitude: f64) -> i32 {
    (magnitude.ln() / growth().ln()).ceil() as i32
}

fn value_of(bucket: i32) -> f64 {
    2.0 * growth().powi(bucket) / (growth() + 1.0)
}

impl Sketch {
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        if value.abs() <= ZERO_MAX {
            self.zero += 1;
        } else if value > 0.0 {
            *self.positive.entry(bucket_of(value)).or_default() += 1;
        } else {
            *self.negative.entry(bucket_of(-value)).or_default() += 1;
        }
    }

    /// The value below which the share `quantile` of all values lies; `None` without values.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let rank = (quantile * self.count.checked_sub(1)? as f64).round() as u64;
        let negative = self.negative.iter().rev().map(|(bucket, count)| (-value_of(*bucket), *count));
        let positive = self.positive.iter().map(|(bucket, count)| (value_of(*bucket), *count));
        let mut seen = 0;
        negative.chain([(0.0, self.zero)]).chain(positive).find_map(|(value, count)| {
            seen += count;
            (seen > rank).then_some(value)
        })
    }
}
