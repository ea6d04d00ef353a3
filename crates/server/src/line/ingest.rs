//! The ingest thread of one partition: durable batches of `raw` in, queryable rows and dead letters out.
//!
//! It is a cursor on `raw`. Its progress rides in its output: the store's catalog says from where rows must be derived
//! again, a snapshot holds the pipeline's state there, and the `dead-letter` log says which letters it has. Opening it
//! derives again whatever the last process had not sealed, before anything new is accepted.
//!
//! At a *barrier* it hands a snapshot to the [`Keeper`] and every unsealed row to the store's sealing thread, so that a
//! restart has a bounded amount to derive again.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use journal::{Frame, Gap, Log};
use model::{BatchView, Clock, Offset, Partition, limits};
use pipeline::{Flagged, Output, Pipeline, Plan, RestoreError};
use store::{Store, Writer};
use tokio::sync::mpsc;

use super::dead_letters::{DeadLetterError, DeadLetterWriter};
use super::device_table::DeviceTable;
use super::keeper::KeeperHandle;
use super::normalized::{NormalizedTopic, NormalizedWriter};
use super::overload::{Flow, Overload, Pressure, choose};
use super::sessions::HeldIds;
use super::snapshot::{Snapshot, Snapshots};
use super::trial::TrialRequests;
use crate::operations::Metrics;

/// Bytes of `raw` taken per round: large enough that a round's fixed costs vanish.
const READ_BYTES: usize = 4 << 20;
/// How long the thread waits for new batches before it looks at its duties again.
const WAIT: Duration = Duration::from_millis(50);
/// Between attempts to write dead letters for which the disk has no space.
const SPACE_WAIT: Duration = Duration::from_millis(100);
/// How often pressure is looked at.
const PRESSURE_INTERVAL: Duration = Duration::from_millis(20);

/// What the ingest thread works on.
pub struct IngestParts {
    pub partition: Partition,
    pub raw: Log,
    pub dead_letters: Log,
    pub trials: TrialRequests,
    /// Takes the devices that the pipeline flags.
    pub flagged: mpsc::Sender<Flagged>,
    pub normalized: Arc<NormalizedTopic>,
    pub store: Store,
    pub snapshots: Arc<Snapshots>,
    pub devices: Arc<DeviceTable>,
    pub overload: Arc<Overload>,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
    /// Raw bytes behind unsealed rows at which everything is sealed.
    pub replay_bytes_max: u64,
    /// Answers how many bytes can still be written to the data directory.
    pub free_bytes: Box<dyn Fn() -> u64 + Send>,
}

/// Why the line could not be opened or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error(transparent)]
    Journal(#[from] journal::Error),
    #[error(transparent)]
    DeadLetters(#[from] DeadLetterError),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("the snapshots cannot be read: {0}")]
    Snapshots(#[from] std::io::Error),
    #[error("the state in the snapshot at raw offset {0} cannot be restored: {1}")]
    State(Offset, RestoreError),
    #[error("raw offset {0} holds a batch that cannot be read; run `tidewater journal check`")]
    Layout(Offset),
    #[error(
        "a defect, please report it: the line panicked at raw offset {0}: {1}. What was acknowledged is safe in the journal, and becomes readable with a version that has it mended"
    )]
    Panicked(Offset, String),
}

/// See the module.
pub struct Ingest {
    parts: IngestParts,
    pipeline: Pipeline,
    output: Output,
    held: HeldIds,
    writer: Writer,
    dead_letters: DeadLetterWriter,
    normalized: NormalizedWriter,
    position: Offset,
    /// Raw bytes since the last barrier, and when that was.
    barrier_bytes: u64,
    barrier_at: Duration,
    pressure_at: Duration,
}

impl Ingest {
    /// Restores the state and derives again what was not sealed. On return everything durable in `raw` is queryable,
    /// the device table is complete, and [`Ingest::held`] has the MQTT ids that await PUBREL.
    pub fn open(parts: IngestParts) -> Result<Self, IngestError> {
        let replay_from = parts.store.sealed_to(parts.partition);
        let began = parts.clock.monotonic();
        let snapshot = parts.snapshots.newest(replay_from)?;
        let (pipeline, held, position) = match snapshot {
            Some(stored) => {
                let restored = Pipeline::restore(stored.pipeline());
                let pipeline = restored.map_err(|error| IngestError::State(stored.offset, error))?;
                (pipeline, stored.held, stored.offset)
            }
            None => (Pipeline::new(parts.partition, Plan::default()), HeldIds::default(), 0),
        };
        let restored = parts.clock.monotonic();
        let reached = replay_from.max(position);
        if reached > parts.raw.end() {
            tracing::error!(
                stored = reached,
                journal = parts.raw.end(),
                "the journal has lost raw records that are already stored; it goes on behind them, and keeps their offsets"
            );
            parts.raw.skip_to(reached)?;
        }
        let oldest = parts.raw.oldest();
        if position < oldest {
            tracing::error!(
                from = position,
                to = oldest,
                "no snapshot reaches back to the oldest raw record: a re-send of an older message may be stored twice"
            );
        }
        let mut writer = parts.store.writer(parts.partition);
        let mut normalized = NormalizedWriter::new(parts.normalized.clone());
        std::thread::scope(|scope| {
            // A million bindings take a third of a second, which two threads share.
            scope.spawn(|| parts.devices.restore(pipeline.bindings()));
            for (index, source) in pipeline.bindings() {
                writer.bind(index, &source);
                normalized.bind(index, &source);
            }
        });
        let now = parts.clock.monotonic();
        let mut ingest = Self {
            dead_letters: DeadLetterWriter::open(parts.dead_letters.clone())?,
            normalized,
            pipeline,
            output: Output::default(),
            held,
            writer,
            position: position.max(oldest),
            barrier_bytes: 0,
            barrier_at: now,
            pressure_at: now,
            parts,
        };
        ingest.guarded(Self::catch_up)?;
        tracing::info!(
            restored_ms = (restored - began).as_millis(),
            bound_ms = (now - restored).as_millis(),
            derived_ms = (ingest.parts.clock.monotonic() - now).as_millis(),
            devices = ingest.pipeline.devices(),
            "the line is where it was"
        );
        Ok(ingest)
    }

    /// What the pipeline follows.
    pub fn plan(&self) -> &Plan {
        self.pipeline.plan()
    }

    #[cfg(feature = "sabotage")]
    pub fn forget_seen(&mut self) {
        self.pipeline.forget_windows();
    }

    /// MQTT QoS 2 ids that await PUBREL.
    pub fn held(&self) -> &HeldIds {
        &self.held
    }

    fn catch_up(&mut self) -> Result<(), IngestError> {
        let (from, end) = (self.position, self.parts.raw.durable());
        while self.position < end {
            // A start on a full disk fails and says why.
            self.round(&AtomicBool::new(true))?;
        }
        if from < end {
            tracing::info!(from, to = end, "derived again what was not sealed");
        }
        Ok(())
    }

    /// Works until `stop` is set and everything durable is processed, then leaves a last barrier behind.
    pub fn run(mut self, stop: &AtomicBool, keeper: &KeeperHandle) {
        if let Err(error) = self.guarded(|ingest| ingest.work(stop, keeper)) {
            self.parts.overload.set(Flow::Stopped, &error.to_string());
        }
    }

    /// What the pipeline does not isolate stops the line as a failure does: a thread that just ended would leave a server that
    /// acknowledges what nobody ever sees. Nothing goes on behind a panic, whose state may be half changed.
    fn guarded(&mut self, work: impl FnOnce(&mut Self) -> Result<(), IngestError>) -> Result<(), IngestError> {
        let outcome = catch_unwind(AssertUnwindSafe(|| work(self)));
        outcome.unwrap_or_else(|cause| Err(IngestError::Panicked(self.position, panic_text(&*cause).to_owned())))
    }

    fn work(&mut self, stop: &AtomicBool, keeper: &KeeperHandle) -> Result<(), IngestError> {
        loop {
            // Read before looking for work: what was durable when the stop was asked for is still processed.
            let stopping = stop.load(Ordering::Acquire);
            let ready = self.parts.raw.wait(self.position, if stopping { Duration::ZERO } else { WAIT });
            if ready {
                self.round(stop)?;
            } else if stopping {
                return self.barrier(keeper, true);
            }
            self.parts.trials.answer(&self.pipeline);
            self.look_at_pressure(false);
            if self.barrier_due() {
                self.barrier(keeper, false)?;
            }
        }
    }

    /// Takes what is durable through pipeline and store, about [`READ_BYTES`] of it; whether there was anything. Does not
    /// wait for space on the disk.
    pub fn turn(&mut self) -> Result<bool, IngestError> {
        let ready = self.position < self.parts.raw.durable();
        if ready {
            self.round(&AtomicBool::new(true))?;
        }
        Ok(ready)
    }

    /// Takes the next batches through pipeline and store.
    fn round(&mut self, stop: &AtomicBool) -> Result<(), IngestError> {
        match self.parts.raw.read(self.position, READ_BYTES) {
            Ok(frames) => frames.iter().try_for_each(|frame| self.take(frame, stop)),
            Err(journal::Error::Corrupt { to, .. }) => {
                self.pass_gap(to);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Goes on behind what is damaged. State and windows are as if nothing had been there: a re-send of what is missing is
    /// stored, and a control record among it comes again with the next change of what it says.
    fn pass_gap(&mut self, to: Offset) {
        let gap = self.parts.raw.gaps().into_iter().find(|gap| gap.offsets.contains(&self.position));
        let gap = gap.unwrap_or(Gap { offsets: self.position..to, place: None });
        tracing::error!(
            %gap,
            "raw is damaged: what these offsets held is not stored, and all else goes on; see `tidewater journal check`"
        );
        self.position = to;
        self.writer.publish(to);
        self.normalized.note_gap();
    }

    fn take(&mut self, frame: &Frame, stop: &AtomicBool) -> Result<(), IngestError> {
        let view = BatchView::parse(frame.batch.body()).map_err(|_| IngestError::Layout(frame.base))?;
        #[cfg(feature = "sabotage")]
        if crate::sabotage::Guard::Duplicates.is_broken() {
            self.pipeline.forget_windows();
        }
        self.pipeline.process(frame.base, view, &mut self.output);
        for defect in &self.output.defects {
            tracing::error!(?defect, base = frame.base, "the log holds what its writer should not have written");
        }
        for control in &self.output.controls {
            self.held.apply(control);
        }
        for (index, source) in &self.output.bindings {
            self.writer.bind(*index, source);
            self.normalized.bind(*index, source);
        }
        if !self.output.bindings.is_empty() {
            self.parts.devices.restore(self.output.bindings.iter().cloned());
        }
        self.append_dead(stop)?;
        for flag in self.output.flagged.drain(..) {
            // The line does not wait for the registry.
            if let Err(error) = self.parts.flagged.try_send(flag) {
                tracing::warn!(%error, "a device was flagged, and is not dealt with before it is flagged again");
            }
        }
        for at in 0..self.output.rows.len() {
            self.insert(at)?;
        }
        self.position = frame.end();
        self.writer.publish(self.position);
        self.normalized.append(&self.output.rows);
        self.barrier_bytes += frame.batch.frame().len() as u64;
        self.parts.metrics.ingested(&self.output);
        Ok(())
    }

    /// Appends what was rejected. While the disk has no space for it nothing goes on, and nothing is dropped; unless `stop`
    /// is set, it waits until there is some.
    fn append_dead(&mut self, stop: &AtomicBool) -> Result<(), IngestError> {
        loop {
            match self.dead_letters.append(&self.output.dead) {
                Err(error) if error.passes() && !stop.load(Ordering::Acquire) => {
                    let lag_bytes = self.parts.raw.bytes_from(self.position);
                    self.parts.metrics.lag(lag_bytes, self.position);
                    self.parts.overload.set(Flow::Paused, &format!("dead letters cannot be written: {error}"));
                    std::thread::sleep(SPACE_WAIT);
                }
                done => return Ok(done?),
            }
        }
    }

    /// Inserts one table's rows; waits while the head has no room.
    fn insert(&mut self, at: usize) -> Result<(), IngestError> {
        #[cfg(feature = "sabotage")]
        assert_ne!(&*self.output.rows[at].layout.table.class, "panic-while-inserting");
        loop {
            match self.writer.insert(&self.output.rows[at]) {
                Ok(_) => return Ok(()),
                Err(store::Error::HeadFull) => {
                    self.look_at_pressure(true);
                    self.parts.store.wait_room(WAIT);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn look_at_pressure(&mut self, store_full: bool) {
        let now = self.parts.clock.monotonic();
        if now.saturating_sub(self.pressure_at) < PRESSURE_INTERVAL {
            return;
        }
        self.pressure_at = now;
        let lag_bytes = self.parts.raw.bytes_from(self.position);
        self.parts.metrics.lag(lag_bytes, self.position);
        let (obstacle, free_bytes) = (self.parts.raw.obstacle(), (self.parts.free_bytes)());
        let (flow, reason) = choose(Pressure { obstacle, lag_bytes, store_full, free_bytes });
        self.parts.overload.set(flow, &reason);
    }

    fn barrier_due(&self) -> bool {
        let age = self.parts.clock.monotonic().saturating_sub(self.barrier_at);
        self.barrier_bytes >= self.parts.replay_bytes_max
            || (self.barrier_bytes > 0 && age >= limits::HEAD_CHUNK_AGE_MAX)
    }

    /// Hands over a snapshot and freezes every row before it. Unless it is the last one, it is put off while the keeper
    /// still writes the one before.
    pub fn barrier(&mut self, keeper: &KeeperHandle, last: bool) -> Result<(), IngestError> {
        if self.barrier_bytes == 0 || !(last || keeper.is_idle()) {
            return Ok(());
        }
        self.dead_letters.sync()?;
        let state = |out: &mut Vec<u8>| self.pipeline.snapshot(out);
        keeper.keep(Snapshot::new(self.position, &self.held, keeper.spare_memory(), state));
        self.writer.freeze(self.position);
        self.barrier_bytes = 0;
        self.barrier_at = self.parts.clock.monotonic();
        Ok(())
    }
}

/// What a panic said.
fn panic_text(cause: &(dyn Any + Send)) -> &str {
    let text = cause.downcast_ref::<&str>().copied().or_else(|| cause.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it did not say why")
}
