//! What slows ingest down, decided in one place and read by every gateway.
//!
//! Only the pipeline, the store and a disk that is nearly full, or full, hold the gateway up (RULES, "Acceptance and refusal").
//! Overload is first a pause: sockets are not read and acks wait. A gateway that was paused longer than
//! [`limits::OVERLOAD_PAUSE_MAX`] refuses. A log that failed refuses at once.

use std::borrow::Cow;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use model::limits;
use tokio::sync::Notify;

/// Whether payloads are taken in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Flow {
    Open = 0,
    /// Something is behind; it is expected to catch up.
    Paused = 1,
    /// Nothing can be made durable until an operator acts.
    Stopped = 2,
}

/// The state, and why.
#[derive(Debug, Default)]
pub struct Overload {
    flow: AtomicU8,
    reason: Mutex<String>,
    changed: Notify,
}

impl Overload {
    /// One atomic load.
    pub fn flow(&self) -> Flow {
        match self.flow.load(Ordering::Acquire) {
            0 => Flow::Open,
            1 => Flow::Paused,
            _ => Flow::Stopped,
        }
    }

    /// Waits while ingest is paused, at most `wait_max`, and says how it stands then.
    pub async fn wait_while_paused(&self, wait_max: Duration) -> Flow {
        let over = async {
            loop {
                // Made before the state is looked at, so that no change is missed.
                let changed = self.changed.notified();
                match self.flow() {
                    Flow::Paused => changed.await,
                    flow => return flow,
                }
            }
        };
        tokio::time::timeout(wait_max, over).await.unwrap_or(Flow::Paused)
    }

    /// Why ingest is paused or stopped; empty while it is open.
    pub fn reason(&self) -> String {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A stop is final until the process starts again: later changes do not lift it.
    pub fn set(&self, flow: Flow, reason: &str) {
        let mut current = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        if self.flow() == Flow::Stopped || (self.flow() == flow && *current == reason) {
            return;
        }
        match flow {
            Flow::Open => tracing::info!("ingest is open again"),
            Flow::Paused => tracing::warn!(reason, "ingest is paused"),
            Flow::Stopped => tracing::error!(reason, "ingest is stopped"),
        }
        reason.clone_into(&mut current);
        self.flow.store(flow as u8, Ordering::Release);
        self.changed.notify_waiters();
    }
}

/// What [`choose`] decides from.
#[derive(Clone, Debug)]
pub struct Pressure {
    /// Why `raw` or `dead-letter` cannot take more for now.
    pub obstacle: Option<journal::Error>,
    /// Raw bytes that are durable and not yet queryable.
    pub lag_bytes: u64,
    /// Whether the store has no room for more unsealed rows.
    pub store_full: bool,
    /// Bytes that can still be written to the data directory.
    pub free_bytes: u64,
}

/// Whether ingest goes on under this pressure.
pub fn choose(pressure: Pressure) -> (Flow, Cow<'static, str>) {
    if let Some(obstacle) = pressure.obstacle {
        return (Flow::Paused, Cow::Owned(obstacle.to_string()));
    }
    let (flow, reason) = choose_by_figures(&pressure);
    (flow, Cow::Borrowed(reason))
}

fn choose_by_figures(pressure: &Pressure) -> (Flow, &'static str) {
    if pressure.free_bytes < limits::DISK_RESERVE_BYTES {
        return (
            Flow::Paused,
            "the disk is nearly full: what is free is kept for sealing and trimming; free some space or shorten a retention",
        );
    }
    if pressure.lag_bytes > limits::LAG_BYTES_MAX {
        return (Flow::Paused, "the pipeline is behind the journal");
    }
    if pressure.store_full {
        return (Flow::Paused, "the store is still sealing earlier rows");
    }
    (Flow::Open, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pressure_pauses_and_a_stop_is_final() {
        let calm = || Pressure { obstacle: None, lag_bytes: 0, store_full: false, free_bytes: u64::MAX };
        assert_eq!(choose(calm()), (Flow::Open, Cow::Borrowed("")));
        assert_eq!(choose(Pressure { lag_bytes: limits::LAG_BYTES_MAX + 1, ..calm() }).0, Flow::Paused);
        assert_eq!(choose(Pressure { store_full: true, ..calm() }).0, Flow::Paused);
        assert_eq!(choose(Pressure { free_bytes: limits::DISK_RESERVE_BYTES - 1, ..calm() }).0, Flow::Paused);
        let full = journal::Error::MemoryFull { bytes_max: 7 };
        let (flow, reason) = choose(Pressure { obstacle: Some(full.clone()), ..calm() });
        assert_eq!((flow, reason.into_owned()), (Flow::Paused, full.to_string()));

        let overload = Overload::default();
        overload.set(Flow::Stopped, "a sync failed");
        overload.set(Flow::Open, "");
        assert_eq!((overload.flow(), overload.reason().as_str()), (Flow::Stopped, "a sync failed"));
    }

    #[tokio::test]
    async fn a_pause_is_waited_out_up_to_its_limit() {
        let overload = Overload::default();
        assert_eq!(overload.wait_while_paused(Duration::ZERO).await, Flow::Open);
        overload.set(Flow::Paused, "behind");
        assert_eq!(overload.wait_while_paused(Duration::ZERO).await, Flow::Paused, "the limit has passed");
        let wait = overload.wait_while_paused(limits::OVERLOAD_PAUSE_MAX);
        let (flow, ()) = tokio::join!(wait, async { overload.set(Flow::Open, "") });
        assert_eq!(flow, Flow::Open);
    }
}
