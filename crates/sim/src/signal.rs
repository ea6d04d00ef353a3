//! Believable signals: what a sensor would report at an instant, as a pure function of (seed, time).
//!
//! A signal is a sum: a level, a daily cycle, a slow drift, steps that last for a while, and the sensor's noise. It is
//! rounded as the sensor would round it and kept within what the sensor can show.

use model::Millis;

use crate::seeded;

#[cfg(test)]
mod tests;

/// A day in milliseconds.
pub const DAY: Millis = 24 * HOUR;
/// An hour in milliseconds.
pub const HOUR: Millis = 60 * MINUTE;
/// A minute in milliseconds.
pub const MINUTE: Millis = 60_000;

/// One metric's course. `Signal::level(20.0)` is constant; the other parts are added by name.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Signal {
    level: f64,
    daily: f64,
    /// When the daily cycle is highest, in milliseconds after midnight UTC.
    daily_peak: Millis,
    drift: f64,
    step: f64,
    /// How long one step lasts.
    step_period: Millis,
    noise: f64,
    decimals: i32,
    lowest: f64,
    highest: f64,
}

/// How long a drift takes to turn: neither a cycle of the day nor visible within minutes.
const DRIFT_PERIOD: Millis = 7 * HOUR;

impl Signal {
    /// A constant, shown with one decimal.
    pub const fn level(level: f64) -> Self {
        Self {
            level,
            daily: 0.0,
            daily_peak: 0,
            drift: 0.0,
            step: 0.0,
            step_period: HOUR,
            noise: 0.0,
            decimals: 1,
            lowest: f64::MIN,
            highest: f64::MAX,
        }
    }

    /// Adds a daily cycle of this amplitude that peaks at `peak_hour` UTC.
    pub const fn daily(mut self, amplitude: f64, peak_hour: i64) -> Self {
        (self.daily, self.daily_peak) = (amplitude, peak_hour * HOUR);
        self
    }

    /// Adds a slow wander of at most this amplitude.
    pub const fn drift(mut self, amplitude: f64) -> Self {
        self.drift = amplitude;
        self
    }

    /// Adds a level of 0 to `height` that is drawn anew every `period`.
    pub const fn steps(mut self, height: f64, period: Millis) -> Self {
        (self.step, self.step_period) = (height, period);
        self
    }

    /// Adds noise of this standard deviation.
    pub const fn noise(mut self, deviation: f64) -> Self {
        self.noise = deviation;
        self
    }

    /// Rounds to this many decimals.
    pub const fn decimals(mut self, decimals: i32) -> Self {
        self.decimals = decimals;
        self
    }

    /// Keeps the value within what the sensor can show.
    pub const fn within(mut self, lowest: f64, highest: f64) -> Self {
        (self.lowest, self.highest) = (lowest, highest);
        self
    }

    /// The reading at `at` (Unix ms) of the sensor with this seed.
    pub fn value(&self, seed: u64, at: Millis) -> f64 {
        let turn = (at - self.daily_peak) as f64 / DAY as f64 * std::f64::consts::TAU;
        let mut value = self.level + self.daily * turn.cos();
        value += self.drift * seeded::wander(seeded::hash([seed, 1]), at, DRIFT_PERIOD);
        if self.step != 0.0 {
            let slot = at.div_euclid(self.step_period);
            value += self.step * seeded::unit(seeded::hash([seed, 2, slot as u64]));
        }
        value += self.noise * seeded::noise(seeded::hash([seed, 3]), at);
        round(value.clamp(self.lowest, self.highest), self.decimals)
    }
}

/// Rounds to a number of decimals, as a sensor's display does.
pub fn round(value: f64, decimals: i32) -> f64 {
    let scale = 10f64.powi(decimals);
    (value * scale).round() / scale
}

/// Whether something that is on for `share` of the time, in turns of `period`, is on at `at`. Each turn starts with
/// the on part, and turns of different seeds are shifted against each other.
pub fn duty(seed: u64, at: Millis, period: Millis, share: f64) -> bool {
    let shift = (seeded::unit(seeded::hash([seed, 4])) * period as f64) as Millis;
    let turn = (at + shift).div_euclid(period);
    let length = share * seeded::between(seeded::hash([seed, 5, turn as u64]), 0.7, 1.3);
    ((at + shift).rem_euclid(period) as f64) < length * period as f64
}
