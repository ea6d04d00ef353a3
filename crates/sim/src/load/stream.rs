//! The messages of one connection as numbers: which are sent, which are acknowledged, which come next.
//!
//! Message n of a stream is by device `n mod devices` and has seq `first_seq + n / devices`, so a range of numbers says
//! everything about the messages in it. Acknowledgements come in the order of sending (MQTT 5.0, MQTT-4.6.0-2), so what
//! is acknowledged is a prefix. Nothing here knows a protocol or a clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use model::{DeviceId, Millis};

#[cfg(test)]
mod tests;

/// Messages that were sent together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Run {
    from: u64,
    end: u64,
    ts: Millis,
    sent: Duration,
}

/// Messages to be written now: [from, end), all with one `ts`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Portion {
    pub from: u64,
    pub end: u64,
    pub ts: Millis,
    /// They were sent before, on a connection that was lost.
    pub again: bool,
}

/// One connection's messages.
#[derive(Debug)]
pub struct Stream {
    devices: Arc<[DeviceId]>,
    first_seq: u64,
    window: u64,
    /// Messages below are acknowledged.
    acked: u64,
    /// Messages below belong to an earlier run.
    begun: u64,
    /// Messages below take no room of the window any more (with QoS 2 later than acknowledged).
    done: u64,
    /// The next to be written on this connection.
    cursor: u64,
    /// The next that was never sent.
    next: u64,
    /// What is not acknowledged, oldest first.
    runs: VecDeque<Run>,
}

/// Messages of one portion: as many as fill a large write.
pub const PORTION_MESSAGES_MAX: u64 = 1024;

impl Stream {
    /// A stream over these devices (at least one), with at most `window` messages in flight, that goes on at message
    /// number `begun`.
    pub fn new(devices: Arc<[DeviceId]>, first_seq: u64, window: u64, begun: u64) -> Self {
        assert!(!devices.is_empty(), "a stream has at least one device");
        let (acked, done, cursor, next) = (begun, begun, begun, begun);
        Self { devices, first_seq, window: window.max(1), begun, acked, done, cursor, next, runs: VecDeque::new() }
    }

    pub fn devices(&self) -> &Arc<[DeviceId]> {
        &self.devices
    }

    /// Number, device and seq of each message in [from, end).
    pub fn messages(&self, from: u64, end: u64) -> impl Iterator<Item = (u64, DeviceId, u64)> + use<> {
        // One division for the range: its devices follow one another.
        let devices = self.devices.clone();
        let (mut place, mut seq) =
            ((from % devices.len() as u64) as usize, self.first_seq + from / devices.len() as u64);
        (from..end).map(move |number| {
            let message = (number, devices[place], seq);
            place += 1;
            if place == devices.len() {
                (place, seq) = (0, seq + 1);
            }
            message
        })
    }

    /// Where this run began.
    pub fn begun(&self) -> u64 {
        self.begun
    }

    /// The number of the first message that is not acknowledged; all below are.
    pub fn acked(&self) -> u64 {
        self.acked
    }

    /// Messages with a number below are no longer in the window.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// The number of the first message that was never sent.
    pub fn sent(&self) -> u64 {
        self.next
    }

    /// Messages that hold a place in the window.
    pub fn in_flight(&self) -> u64 {
        self.next - self.done
    }

    /// Lowers the window to what the server allows.
    pub fn limit_window(&mut self, window: u64) {
        self.window = self.window.min(window.max(1));
    }

    /// The next messages to write: first those to be sent again, then new ones with a number below `limit`.
    pub fn take(&mut self, limit: u64, ts: Millis, now: Duration) -> Option<Portion> {
        let room = (self.done + self.window).min(self.cursor + PORTION_MESSAGES_MAX);
        if self.cursor < self.next {
            let run = self.runs.iter().find(|run| run.end > self.cursor).expect("what is not acknowledged has a run");
            let portion = Portion { from: self.cursor, end: run.end.min(room), ts: run.ts, again: true };
            if portion.end <= portion.from {
                return None;
            }
            self.cursor = portion.end;
            return Some(portion);
        }
        let (from, end) = (self.next, limit.min(room));
        if end <= from {
            return None;
        }
        match self.runs.back_mut() {
            Some(run) if run.ts == ts && run.sent == now => run.end = end,
            _ => self.runs.push_back(Run { from, end, ts, sent: now }),
        }
        (self.next, self.cursor) = (end, end);
        Some(Portion { from, end, ts, again: false })
    }

    /// Notes that the next `count` messages are acknowledged. `each` is given every run among them: its first number,
    /// its end, and when it was sent. False if not so many were sent.
    pub fn acknowledge(&mut self, count: u64, mut each: impl FnMut(u64, u64, Duration)) -> bool {
        let end = self.acked + count;
        if end > self.cursor {
            return false;
        }
        self.acked = end;
        while let Some(run) = self.runs.front_mut() {
            let run_end = run.end.min(end);
            if run_end > run.from {
                each(run.from, run_end, run.sent);
            }
            if run.end > end {
                run.from = run_end.max(run.from);
                break;
            }
            self.runs.pop_front();
        }
        true
    }

    /// Gives the places of the next `count` acknowledged messages in the window free.
    pub fn complete(&mut self, count: u64) -> bool {
        self.done += count;
        self.done <= self.acked
    }

    /// After a reconnect: everything that is not acknowledged is written again.
    pub fn rewind(&mut self) {
        self.cursor = self.acked;
    }
}
