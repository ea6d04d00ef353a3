//! What happens from time to time: times of last contact are written, overlaps of rotated tokens end.

use std::time::Duration;

use model::{DeviceId, Millis};

use super::Registry;
use crate::Result;
use crate::backend::on;

/// How far behind `last_seen_at` and the end of an overlap may be.
const FLUSH_INTERVAL: Duration = Duration::from_secs(3);
/// Rows of one statement: the writer is free for others in between.
const FLUSH_ROWS: usize = 1000;
/// Devices whose `last_seen_at` one round of maintenance writes. Each costs a random page of the database, so a fleet
/// of a million is written over a few minutes instead of taking the disk from the journal.
const ROUND_DEVICES_MAX: usize = 20_000;

impl Registry {
    /// Notes when devices were last heard, in Unix milliseconds. One lock for all of them, no I/O: call it once per
    /// batch.
    pub fn touch(&self, seen: impl IntoIterator<Item = (DeviceId, Millis)>) {
        self.0.presence.touch(seen);
    }

    /// Does everything that is due now.
    pub async fn flush(&self) -> Result<()> {
        self.write_seen(usize::MAX).await?;
        self.end_overlaps().await
    }

    /// Does what is due every few seconds, for ever; drop it to stop, then [`Registry::close`].
    pub async fn run_maintenance(&self) {
        let mut ticks = tokio::time::interval(FLUSH_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let done = match self.write_seen(ROUND_DEVICES_MAX).await {
                Ok(()) => self.end_overlaps().await,
                failed => failed,
            };
            if let Err(error) = done {
                tracing::warn!(%error, "the registry could not write last_seen_at or end overlaps; trying again");
            }
        }
    }

    async fn write_seen(&self, devices_max: usize) -> Result<()> {
        let seen = self.0.presence.take(devices_max);
        for (done, rows) in seen.chunks(FLUSH_ROWS).enumerate() {
            if let Err(error) = on!(self.0.backend, db => db.seen(rows)) {
                self.0.presence.touch(seen[done * FLUSH_ROWS..].iter().copied());
                return Err(error);
            }
        }
        Ok(())
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
