//! What one thread of the generator counts.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::latency_histogram;
use super::pace::Pace;

/// Counts and latencies.
pub struct Tally {
    /// Microseconds from due or sent to acknowledged.
    pub ack_us: Histogram<u64>,
    /// Acknowledged since it was last told to others.
    pub acked: u64,
    pub resent: u64,
    pub refused: u64,
    pub reconnects: u64,
    pub last_ack: Duration,
}

impl Tally {
    pub fn new() -> Self {
        Self { ack_us: latency_histogram(), acked: 0, resent: 0, refused: 0, reconnects: 0, last_ack: Duration::ZERO }
    }

    /// Notes that the messages [from, end), sent together, were acknowledged now.
    pub fn note(&mut self, pace: Pace, from: u64, end: u64, sent: Duration, now: Duration) {
        self.acked += end - from;
        self.last_ack = now;
        let micros = |since: Duration| (now.saturating_sub(since).as_micros() as u64).max(1);
        match pace {
            Pace::Closed => self.ack_us.saturating_record_n(micros(sent), end - from),
            Pace::Open { .. } => {
                (from..end).for_each(|number| self.ack_us.saturating_record(micros(pace.instant(number, sent))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_closed_loop_counts_from_sending() {
        let mut tally = Tally::new();
        tally.note(Pace::Closed, 0, 100, 10 * MS, 15 * MS);
        assert_eq!((tally.acked, tally.ack_us.len(), tally.last_ack), (100, 100, 15 * MS));
        assert!((4_990..=5_010).contains(&tally.ack_us.max()));
    }

    #[test]
    fn an_open_loop_counts_each_message_from_when_it_was_due() {
        // 1,000 a second from 0 on; all sent and acknowledged together after a stall of 100 ms.
        let pace = Pace::share(Some(1_000.0), Duration::ZERO, 0, 1, 0);
        let mut tally = Tally::new();
        tally.note(pace, 0, 100, 100 * MS, 101 * MS);
        assert!((100_900..=101_100).contains(&tally.ack_us.max()), "the first was due at 0");
        assert!((1_990..=2_010).contains(&tally.ack_us.min()), "the last was due at 99 ms");
        assert!((51_000..=53_000).contains(&tally.ack_us.value_at_quantile(0.5)));
    }
}
