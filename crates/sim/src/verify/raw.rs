//! What the journal holds of the log's devices: its batches, read offline or beside a running server, and the messages
//! in them.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};
use disk::RealDisk;
use journal::Topic;
use journal::inspect::{self, DumpedFrame};
use model::wire::Short;
use model::{
    BatchView, Control, DeviceId, DeviceIndex, Disk, GroupFlags, Offset, Partition, PayloadKind, Replay, TenantId,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::check::RawMessage;
use crate::seeded;

#[cfg(test)]
mod tests;

/// The messages of some devices, in the order of reading.
pub type RawMessages = HashMap<DeviceId, Vec<RawMessage>>;

/// Collects messages from the batches of one partition of `raw`, given in order.
struct Collector {
    partition: Partition,
    bindings: HashMap<DeviceIndex, (TenantId, DeviceId)>,
}

/// What the checker wants to know of a message.
#[derive(Deserialize)]
struct Message {
    seq: Option<u64>,
    boot: Option<u32>,
}

impl Collector {
    fn new(partition: Partition) -> Self {
        Self { partition, bindings: HashMap::new() }
    }

    /// Takes in one batch: its bindings, then the messages of the devices that `messages` has.
    fn batch(&mut self, base: Offset, body: &[u8], messages: &mut RawMessages) -> Result<(), Short> {
        let batch = BatchView::parse(body)?;
        for control in batch.controls() {
            if let Control::BindDevices { tenant, devices, .. } = control? {
                self.bindings.extend(devices.into_iter().map(|(index, device)| (index, (tenant, device))));
            }
        }
        let mut offset = base;
        for group in batch.groups() {
            let group = group?;
            let bound = self.bindings.get(&group.key.device).filter(|_| group.key.kind == PayloadKind::Data);
            let wanted = bound.and_then(|(tenant, device)| Some((*tenant, messages.get_mut(device)?)));
            if let Some((tenant, messages)) = wanted {
                let replayed = group.key.flags.contains(GroupFlags::REPLAYED);
                for (place, mut payload) in group.payloads().enumerate() {
                    if replayed {
                        Replay::decode(&mut payload)?;
                    }
                    let at = |index| (self.partition.0, offset + place as u64, index);
                    messages.extend(
                        split(payload).enumerate().map(|(index, text)| message(at(index as u32), tenant, text)),
                    );
                }
            }
            offset += u64::from(group.count);
        }
        Ok(())
    }
}

/// The messages of a payload: itself, or the elements of an array. What is not JSON is one message without seq.
fn split(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let elements = match payload.first() {
        Some(b'[') => serde_json::from_slice::<Vec<&RawValue>>(payload).ok(),
        _ => None,
    };
    let whole = elements.is_none().then_some(payload);
    whole.into_iter().chain(elements.into_iter().flatten().map(|element| element.get().as_bytes()))
}

fn message(address: (u16, u64, u32), tenant: TenantId, text: &[u8]) -> RawMessage {
    let message = serde_json::from_slice(text).unwrap_or(Message { seq: None, boot: None });
    RawMessage { address, tenant, seq: message.seq, boot: message.boot, digest: seeded::hash_bytes(text) }
}

/// Reads all of `raw` that is retained, for these devices. The server may be running: what it appends meanwhile may be
/// read or not.
pub fn read(journal: &Path, devices: impl Iterator<Item = DeviceId>) -> Result<RawMessages> {
    let mut messages: RawMessages = devices.map(|device| (device, Vec::new())).collect();
    for partition in partitions(journal)? {
        let mut collector = Collector::new(partition);
        let mut trouble = None;
        let mut visit = |dumped: DumpedFrame| {
            let frame = &dumped.frame;
            let taken = collector.batch(frame.base, frame.batch.body(), &mut messages);
            trouble = taken.err().map(|error| (frame.base, error));
            trouble.is_none()
        };
        inspect::dump(&RealDisk, journal, (Topic::Raw, partition), 0, &mut visit)?;
        if let Some((base, error)) = trouble {
            return Err(error).with_context(|| format!("the batch at {}-{base} of raw", partition.0));
        }
    }
    Ok(messages)
}

/// The partitions of `raw` that the journal has.
fn partitions(journal: &Path) -> Result<Vec<Partition>> {
    let dir = journal.join(Topic::Raw.name());
    let entries = RealDisk.list(&dir).with_context(|| format!("there is no journal at {}", journal.display()))?;
    Ok(entries.iter().filter_map(|entry| entry.name.parse().ok().map(Partition)).collect())
}
