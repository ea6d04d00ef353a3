//! The raw log of one partition, together with the bindings that each of its segments must repeat.
//!
//! A log explains itself: every segment binds every device index that it uses. The journal never looks into a batch, so
//! it is told for which segment a batch was bound; when the batch opens a new segment instead, it comes back and is
//! bound again. An index whose device has got another profile is bound again by the batch that uses it next.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use journal::{Append, Log, SegmentId};
use model::{Batch, BatchView, DeviceIndex, Offset};

use super::device_table::DeviceTable;

#[cfg(test)]
mod tests;

/// The only way into `raw`.
pub struct RawLog {
    log: Log,
    devices: Arc<DeviceTable>,
    bound: Mutex<Bound>,
}

/// A batch that the journal did not take, and why.
#[derive(Debug)]
pub struct Refused {
    pub batch: Batch,
    pub error: journal::Error,
}

/// The indices that are bound in the segment that is being written.
#[derive(Debug, Default)]
struct Bound {
    segment: Option<SegmentId>,
    bits: Vec<u64>,
}

impl RawLog {
    pub fn new(log: Log, devices: Arc<DeviceTable>) -> Self {
        Self { log, devices, bound: Mutex::default() }
    }

    pub fn log(&self) -> &Log {
        &self.log
    }

    pub fn devices(&self) -> &DeviceTable {
        &self.devices
    }

    /// Appends a batch and returns the offsets that it takes. They are durable once [`Log::durable`] has passed them.
    /// Takes its lock once per batch. A batch that is refused comes back.
    pub fn append(&self, mut batch: Batch) -> Result<Range<Offset>, Refused> {
        #[cfg(feature = "sabotage")]
        {
            batch = crate::sabotage::reorder(batch);
        }
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        for index in self.devices.take_changed() {
            bound.remove(index);
        }
        loop {
            let segment = self.log.segment();
            bound.enter(segment);
            self.bind(&mut batch, &mut bound);
            match self.log.append(batch, Some(segment)) {
                Append::Accepted { base, end } => return Ok(base..end),
                Append::Rolled(back) => batch = back,
                Append::Refused { batch, error } => {
                    // What this batch would have bound is not in the log.
                    *bound = Bound::default();
                    return Err(Refused { batch, error });
                }
            }
        }
    }

    fn bind(&self, batch: &mut Batch, bound: &mut Bound) {
        let view = BatchView::parse(batch.body()).expect("a batch that our own builder closed");
        let unbound: Vec<DeviceIndex> = view
            .groups()
            .map(|group| group.expect("a batch that our own builder closed").key.device)
            .filter(|device| bound.insert(*device))
            .collect();
        if !unbound.is_empty() {
            self.devices.bindings(&unbound).iter().for_each(|record| batch.add_control(record));
        }
    }
}

impl Bound {
    fn enter(&mut self, segment: SegmentId) {
        if self.segment != Some(segment) {
            self.segment = Some(segment);
            self.bits.fill(0);
        }
    }

    /// Lets the next batch that uses the index bind it.
    fn remove(&mut self, index: DeviceIndex) {
        if let Some(word) = self.bits.get_mut(index.as_usize() / 64) {
            *word &= !(1 << (index.0 % 64));
        }
    }

    /// Marks an index as bound; false if it was.
    fn insert(&mut self, index: DeviceIndex) -> bool {
        let (word, bit) = (index.as_usize() / 64, 1 << (index.0 % 64));
        if word >= self.bits.len() {
            self.bits.resize(word + 1, 0);
        }
        let new = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        new
    }
}
