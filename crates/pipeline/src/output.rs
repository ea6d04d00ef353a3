//! What one batch became.

use model::dead_letter::Entry;
use model::{Control, DeviceIndex, Millis, Offset, Reason, Rows, Source};

/// How many messages of a batch went which way. `messages` is the sum of `accepted`, `duplicates` and `rejected`;
/// free payloads are counted beside them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Messages and events found; a payload that could not be read counts as one.
    pub messages: u64,
    /// Messages and events that became rows.
    pub accepted: u64,
    /// Re-sends of accepted messages: dropped.
    pub duplicates: u64,
    /// Messages that became dead letters.
    pub rejected: u64,
    /// Events among the accepted.
    pub events: u64,
    /// Payloads of free topics: delivered elsewhere, never readings by themselves.
    pub free: u64,
}

/// Something in the log that its own writer should never have written. The pipeline goes on; the server reports it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Defect {
    /// The batch could not be read from this offset on.
    UnreadableGroup { offset: Offset },
    /// A control record and those behind it could not be read.
    UnreadableControl,
    /// A binding's index is beyond `model::limits::DEVICE_INDICES_MAX`: ignored.
    IndexOutOfRange { index: DeviceIndex },
    /// Payloads under an index that was never bound: they became dead letters.
    Unbound { index: DeviceIndex, offset: Offset },
    /// A message made the pipeline panic: it became a dead letter (`poison`).
    Poison { offset: Offset, index: u32 },
}

/// A device that is flagged for what it sends (see [`model::rules::Quarantine`]).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flagged {
    pub device: DeviceIndex,
    pub source: Source,
    /// When the message that decided it was received.
    pub at: Millis,
    /// The messages that were looked at together.
    pub messages: u16,
    /// Those of them that were rejected.
    pub rejected: u16,
    /// Why the last of them was.
    pub reason: Reason,
    /// Whether its class says that its status becomes `quarantined`.
    pub quarantine: bool,
}

/// What one batch became. Reused from batch to batch: [`crate::Pipeline::process`] empties it first and keeps its memory.
#[derive(Debug, Default)]
pub struct Output {
    /// Bindings that are new or changed with this batch; repetitions are left out.
    pub bindings: Vec<(DeviceIndex, Source)>,
    /// One element per table with accepted messages.
    pub rows: Vec<Rows>,
    /// Rejected messages, and what became of dead letters that were tried again, in the order of `raw`.
    pub dead: Vec<Entry>,
    /// Devices whose share of rejected messages has passed their class's limit with this batch.
    pub flagged: Vec<Flagged>,
    /// Control records that concern other stages (held, released, session ended), in order.
    pub controls: Vec<Control>,
    pub defects: Vec<Defect>,
    pub counts: Counts,
    /// Rows of earlier batches, for reuse.
    spare: Vec<Rows>,
}

/// Spare rows kept: more tables than this in one batch are rare, and fresh memory serves them.
const SPARE_MAX: usize = 64;

impl Output {
    pub(crate) fn begin(&mut self) {
        self.bindings.clear();
        self.dead.clear();
        self.flagged.clear();
        self.controls.clear();
        self.defects.clear();
        self.counts = Counts::default();
        self.spare.append(&mut self.rows);
        self.spare.truncate(SPARE_MAX);
    }

    /// Opens the rows of one more table, in memory of an earlier batch if there is any, and returns their position.
    pub(crate) fn open(&mut self, layout: &std::sync::Arc<model::TableLayout>, received: i64) -> usize {
        let same = |rows: &Rows| rows.layout.table == layout.table;
        let at = self.spare.iter().position(same).or(self.spare.len().checked_sub(1));
        let rows = match at.map(|at| self.spare.swap_remove(at)) {
            Some(mut rows) => {
                rows.clear(received);
                rows.columns.truncate(layout.columns.len());
                rows.layout = layout.clone();
                rows
            }
            None => Rows::new(layout.clone(), received),
        };
        self.rows.push(rows);
        self.rows.len() - 1
    }

    /// Takes back what a panic left of a row that was not finished.
    pub(crate) fn repair(&mut self) {
        for rows in &mut self.rows {
            let lengths = [rows.offset.len(), rows.index.len(), rows.device.len(), rows.ts.len(), rows.seq.len()];
            let whole = lengths.into_iter().fold(rows.boot.len().min(rows.flags.len()), usize::min);
            rows.offset.truncate(whole);
            rows.index.truncate(whole);
            rows.device.truncate(whole);
            rows.ts.truncate(whole);
            rows.seq.truncate(whole);
            rows.boot.truncate(whole);
            rows.flags.truncate(whole);
            for column in rows.columns.iter_mut().chain([&mut rows.tags]) {
                let values = column.rows.partition_point(|row| (*row as usize) < whole);
                column.rows.truncate(values);
                column.bits.truncate(values);
            }
        }
    }
}
