//! The order of a device's rows, and where receive time matters.

use model::{Millis, limits};

/// Receive time is stored only where it differs from ts by more than this (RULES, "Values, queries, ages").
pub const RECEIVED_APART_MS: i64 = 60_000;
/// At sealing, rows further behind their receipt go to a separate late block.
pub const LATE_MS: i64 = 24 * 3_600_000;
/// At sealing, rows further ahead of their receipt go to a separate late block.
pub const EARLY_MS: i64 = 3_600_000;
/// The latest value is that of a row not further ahead of its receipt than this: a clock that is wrong does not win.
pub const AHEAD_MAX_MS: i64 = 300_000;

/// What orders the rows of one device. The first three are the row's identity; receive time and then the order of
/// arrival settle what a device without sequence numbers leaves open. The order of fields is the order of comparison.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RowKey {
    pub ts: Millis,
    pub boot: Option<u32>,
    pub seq: Option<u64>,
    /// Receive time; ts where it is not stored.
    pub received: Millis,
}

impl RowKey {
    /// Whether the row may be its device's latest.
    pub fn may_be_latest(&self) -> bool {
        self.ts <= self.received.saturating_add(AHEAD_MAX_MS)
    }

    /// The time from which the row's age counts.
    pub fn aged_from(&self) -> Millis {
        self.ts.max(self.received)
    }
}

/// Whether a row belongs into a late block.
pub fn is_late(ts: Millis, received: Millis) -> bool {
    let behind = received.saturating_sub(ts);
    !(-EARLY_MS..=LATE_MS).contains(&behind)
}

/// Whether receive time has to be stored beside this ts.
pub fn is_received_apart(ts: Millis, received: Millis) -> bool {
    ts.abs_diff(received) > RECEIVED_APART_MS.unsigned_abs()
}

/// Milliseconds of a duration, at most a third of what fits, so that sums do not overflow.
pub fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).min(i64::MAX / 3)
}

const _: () = assert!(limits::HEAD_CHUNK_ROWS < u32::MAX as usize, "rows are numbered in 32 bits");
