//! When a message is due.
//!
//! Closed loop: whenever the window has room. Open loop: at fixed instants, however slow the server is. A latency in
//! open loop counts from the instant at which the message was due, not from when it could be sent, so a server that
//! stalls is charged for every message that it held up (no coordinated omission).

use std::time::Duration;

#[cfg(test)]
mod tests;

/// The pace of one stream of messages.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Pace {
    Closed,
    /// Message n is due at `first + n * interval`, in nanoseconds of the loop's clock.
    Open {
        first: f64,
        interval: f64,
    },
}

impl Pace {
    /// Stream `number` of `streams` that share `rate` messages a second, staggered evenly from `start` on, when message
    /// `begun` of the stream is due.
    pub fn share(rate: Option<f64>, start: Duration, number: usize, streams: usize, begun: u64) -> Self {
        let Some(rate) = rate else { return Self::Closed };
        let interval = 1e9 * streams as f64 / rate;
        let stagger = interval * (number as f64 / streams as f64 - begun as f64);
        Self::Open { first: start.as_nanos() as f64 + stagger, interval }
    }

    /// How many messages are due by `now`.
    pub fn due(&self, now: Duration) -> u64 {
        match self {
            Self::Closed => u64::MAX,
            Self::Open { first, interval } => {
                let passed = now.as_nanos() as f64 - first;
                if passed < 0.0 { 0 } else { (passed / interval) as u64 + 1 }
            }
        }
    }

    /// When message `number` was due; closed loop: when it was sent.
    pub fn instant(&self, number: u64, sent: Duration) -> Duration {
        match self {
            Self::Closed => sent,
            Self::Open { first, interval } => Duration::from_nanos((first + number as f64 * interval) as u64),
        }
    }
}
