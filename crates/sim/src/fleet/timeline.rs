//! When the messages of one connection are due and what they are, as functions of their number.

use model::Millis;

use crate::device::Device;

#[cfg(test)]
mod tests;

/// The messages of one connection: its devices take turns, evenly spread over the interval.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Timeline {
    /// The time of message 0.
    pub origin: Millis,
    /// Between two messages of one device, in milliseconds.
    pub interval: i64,
    pub devices: u64,
    /// Messages of before were kept back: they are buffered.
    pub live_from: Millis,
    pub outages_per_day: f64,
}

impl Timeline {
    /// The time of message `number`.
    pub fn ts(&self, number: u64) -> Millis {
        self.origin + (number as i64 * self.interval).div_euclid(self.devices as i64)
    }

    /// How many messages have a time that is not after `now`.
    pub fn passed(&self, now: Millis) -> u64 {
        let since = now - self.origin;
        if since < 0 {
            return 0;
        }
        (((since + 1) * self.devices as i64 - 1) / self.interval) as u64 + 1
    }

    /// How many messages may have been sent by `now`. While the first device has an outage, the connection is down.
    pub fn due(&self, device: &Device, now: Millis) -> u64 {
        match device.outage(now, self.outages_per_day) {
            Some((from, _)) => self.passed(from - 1),
            None => self.passed(now),
        }
    }

    /// Whether message `number` could not be sent when it was measured.
    pub fn buffered(&self, device: &Device, number: u64) -> bool {
        let ts = self.ts(number);
        ts < self.live_from || device.outage(ts, self.outages_per_day).is_some()
    }
}
