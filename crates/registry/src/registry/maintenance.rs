//! What happens from time to time: times of last contact are written, overlaps of rotated tokens end.

use std::time::Duration;

use model::{DeviceId, Millis};

use super::Registry;
use crate::Result;
use crate::backend::on;

/// How far behind `last_seen_at` and the end of an overlap may be.
const FLUSH_INTERVAL: Duration = Duration::from_secs(3);
/// Rows of one transaction: the writer is free for others in between.
const FLUSH_ROWS: usize = 1000;

impl Registry {
    /// Notes when devices were last heard, in Unix milliseconds. One lock for all of them, no I/O: call it once per
    /// batch.
    pub fn touch(&self, seen: impl IntoIterator<Item = (DeviceId, Millis)>) {
        self.0.presence.touch(seen);
    }

    /// Does everything that is due now.
    pub async fn flush(&self) -> Result<()> {
        let seen = self.0.presence.take();
        for (done, rows) in seen.chunks(FLUSH_ROWS).enumerate() {
            if let Err(error) = on!(self.0.backend, db => db.seen(rows)) {
                self.0.presence.touch(seen[done * FLUSH_ROWS..].iter().copied());
                return Err(error);
            }
        }
        self.end_overlaps().await
    }

    /// Calls [`Registry::flush`] every few seconds, for ever; drop it to stop, then [`Registry::close`].
    pub async fn run_maintenance(&self) {
        let mut ticks = tokio::time::interval(FLUSH_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.flush().await {
                tracing::warn!(%error, "the registry could not write last_seen_at; trying again");
            }
        }
    }

    async fn end_overlaps(&self) -> Result<()> {
        loop {
            let ended = self
                .to_the_end(async |inner| {
                    let ended = on!(inner.backend, db => db.expire_tokens(inner.clock.now_ms(), FLUSH_ROWS))?;
                    ended.iter().for_each(|device| inner.device_changed(*device));
                    Ok(ended.len())
                })
                .await?;
            if ended < FLUSH_ROWS {
                return Ok(());
            }
        }
    }
}
