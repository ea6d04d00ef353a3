//! The `normalized` topic: accepted messages for whoever follows them live.
//!
//! It can be derived from `raw`, so it is written only while a cursor is registered on it. A cursor starts where it
//! registers. It is a position in the log and costs no memory in proportion to its backlog; one that falls behind what
//! the log keeps is told so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use journal::{Append, Log, Registration};
use model::normalized::{self, Normalized};
use model::{Batch, DeviceId, DeviceIndex, Offset, Rows, Source};
use tokio::sync::Notify;

#[cfg(test)]
mod tests;

/// Bytes that a cursor reads at a time.
const READ_BYTES: usize = 256 << 10;

/// The topic of one partition, shared by its writer and its cursors.
pub struct NormalizedTopic {
    log: Log,
    cursors: AtomicUsize,
    /// Counts batches that could not be written: cursors from before such a gap end.
    gaps: AtomicU64,
    closed: AtomicBool,
    closing: Notify,
}

/// Why a cursor ended.
#[derive(Debug, thiserror::Error)]
pub enum CursorError {
    #[error("out-of-range: the cursor is behind what the log keeps; read what is missing from the store")]
    OutOfRange,
    #[error("out-of-range: a part could not be written to the log; read what is missing from the store")]
    Gap,
    #[error("the server is shutting down")]
    Closed,
    #[error("the log cannot be read: {0}")]
    Journal(journal::Error),
    #[error("a batch at offset {0} cannot be read")]
    Layout(Offset),
}

/// A registered cursor. Dropping it ends its right to be written for.
pub struct Cursor {
    topic: Arc<NormalizedTopic>,
    next: Offset,
    gaps: u64,
    moved: Arc<Notify>,
    /// Keeps the wake-ups coming.
    _wakes: Registration,
}

/// The ingest thread's side: knows which device an index is.
pub struct NormalizedWriter {
    topic: Arc<NormalizedTopic>,
    devices: Vec<Option<DeviceId>>,
    body: Vec<u8>,
}

impl NormalizedTopic {
    pub fn new(log: Log) -> Self {
        Self {
            log,
            cursors: AtomicUsize::new(0),
            gaps: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            closing: Notify::new(),
        }
    }

    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Registers a cursor at the end.
    pub fn register(self: &Arc<Self>) -> Cursor {
        self.cursors.fetch_add(1, Ordering::AcqRel);
        let moved = Arc::new(Notify::new());
        let wake = moved.clone();
        Cursor {
            next: self.log.durable(),
            gaps: self.gaps.load(Ordering::Acquire),
            topic: self.clone(),
            moved,
            _wakes: self.log.on_durable(Box::new(move || wake.notify_one())),
        }
    }

    /// Ends every cursor.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.closing.notify_waiters();
    }
}

impl Cursor {
    /// The next tables; waits until there are some.
    pub async fn next(&mut self) -> Result<Vec<Normalized>, CursorError> {
        let topic = self.topic.clone();
        loop {
            // Made before the flag is looked at, so that no closing is missed.
            let closing = topic.closing.notified();
            if topic.closed.load(Ordering::Acquire) {
                return Err(CursorError::Closed);
            }
            if topic.gaps.load(Ordering::Acquire) != self.gaps {
                return Err(CursorError::Gap);
            }
            let tables = self.read()?;
            if !tables.is_empty() {
                return Ok(tables);
            }
            tokio::select! {
                () = self.moved.notified() => {}
                () = closing => {}
            }
        }
    }

    fn read(&mut self) -> Result<Vec<Normalized>, CursorError> {
        let frames = self.topic.log.read(self.next, READ_BYTES).map_err(|error| match error {
            journal::Error::OutOfRange { .. } => CursorError::OutOfRange,
            journal::Error::Corrupt { .. } => CursorError::Gap,
            error => CursorError::Journal(error),
        })?;
        let mut tables = Vec::new();
        for frame in frames {
            tables.extend(normalized::decode(frame.batch.body()).map_err(|_| CursorError::Layout(frame.base))?);
            self.next = frame.end();
        }
        Ok(tables)
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        self.topic.cursors.fetch_sub(1, Ordering::AcqRel);
    }
}

impl NormalizedWriter {
    pub fn new(topic: Arc<NormalizedTopic>) -> Self {
        Self { topic, devices: Vec::new(), body: Vec::new() }
    }

    /// Says which device an index is.
    pub fn bind(&mut self, index: DeviceIndex, source: &Source) {
        if self.devices.len() <= index.as_usize() {
            self.devices.resize(index.as_usize() + 1, None);
        }
        self.devices[index.as_usize()] = source.device();
    }

    /// Something of `raw` is missing: whoever follows is told so.
    pub fn note_gap(&mut self) {
        self.topic.gaps.fetch_add(1, Ordering::AcqRel);
    }

    /// Writes the rows of one batch of `raw` if anybody follows. Nobody's failure to be followed holds up the line: a
    /// batch that cannot be written ends the cursors, which then know that they miss something.
    pub fn append(&mut self, tables: &[Rows]) {
        if self.topic.cursors.load(Ordering::Acquire) == 0 || tables.is_empty() {
            return;
        }
        self.body.clear();
        let device_of = |index: DeviceIndex| {
            self.devices[index.as_usize()].expect("only devices have rows, and they are bound first")
        };
        let mut count = 0;
        for rows in tables {
            normalized::encode(rows, device_of, &mut self.body);
            count += rows.len() as u32;
        }
        if let Append::Refused { error, .. } = self.topic.log.append(Batch::from_body(count, &self.body), None) {
            tracing::warn!(%error, "the normalized topic could not be written; its cursors end");
            self.topic.gaps.fetch_add(1, Ordering::AcqRel);
        }
    }
}
