//! Rows of several blocks as one.

use std::collections::HashMap;
use std::sync::Arc;

use model::{ColumnKey, DeviceId, ValueKind};

use super::order::{LEFT_OUT, Order};
use super::spare::Spare;
use super::{DeviceRows, Optional, SortedRows};

/// See [`SortedRows::merge`].
pub fn merge(parts: &[SortedRows], is_erased: impl Fn(DeviceId) -> bool, spare: &mut Spare) -> Option<SortedRows> {
    let mut devices: Vec<DeviceId> = parts.iter().flat_map(|part| &part.devices).map(|span| span.device).collect();
    devices.sort_unstable();
    devices.dedup();
    devices.retain(|device| !is_erased(*device));
    if devices.is_empty() {
        return None;
    }
    let ranks = ranks(parts, &devices);
    let keys: Vec<_> = parts.iter().flat_map(SortedRows::keys).collect();
    let key = |row: u32| keys[row as usize];
    let mut order = Order::new(&ranks, devices.len(), |row| key(row).ts, key, spare);
    let ts = std::mem::take(&mut order.ts);
    let (texts, numbers) = unite_texts(parts);
    let merge = Merge { parts, numbers, order };
    let spans = devices.into_iter().zip(merge.order.starts.windows(2));
    Some(SortedRows {
        devices: spans.map(|(device, span)| DeviceRows { device, rows: span[0] as usize..span[1] as usize }).collect(),
        ts,
        boot: merge.column(false, |part| Some(&part.boot)),
        seq: merge.column(false, |part| Some(&part.seq)),
        received: merge.column(false, |part| Some(&part.received)),
        buffered: merge.buffered(),
        tags: merge.column(true, |part| Some(&part.tags)),
        columns: merge.columns(),
        texts,
    })
}

struct Merge<'a> {
    parts: &'a [SortedRows],
    /// For each part the new number of each of its texts.
    numbers: Vec<Vec<u64>>,
    order: Order,
}

impl Merge<'_> {
    fn column(&self, is_text: bool, column: impl Fn(&SortedRows) -> Option<&Optional>) -> Optional {
        let found: Vec<_> = self.parts.iter().map(&column).collect();
        if found.iter().flatten().all(|cells| cells.values.is_empty()) {
            return Optional::none();
        }
        let mut cells: Vec<Option<u64>> = vec![None; self.parts.iter().map(SortedRows::len).sum()];
        let mut base = 0;
        for ((part, numbers), column) in self.parts.iter().zip(&self.numbers).zip(found) {
            for (row, bits) in column.into_iter().flat_map(Optional::cells) {
                cells[base + row] = Some(if is_text { numbers[bits as usize] } else { bits });
            }
            base += part.len();
        }
        Optional::gather(self.order.rows.len(), self.order.rows.iter().map(|row| cells[*row as usize]))
    }

    fn columns(&self) -> Vec<(ColumnKey, Optional)> {
        let mut keys: Vec<&ColumnKey> = Vec::new();
        for (key, _) in self.parts.iter().flat_map(|part| &part.columns) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let column = |key: &ColumnKey| {
            self.column(key.kind == ValueKind::Str, |part| {
                part.columns.iter().find(|(other, _)| other == key).map(|(_, cells)| cells)
            })
        };
        keys.into_iter().map(|key| (key.clone(), column(key))).collect()
    }

    fn buffered(&self) -> Vec<bool> {
        let all: Vec<bool> = self.parts.iter().flat_map(|part| part.buffered.iter().copied()).collect();
        self.order.rows.iter().map(|row| all[*row as usize]).collect()
    }
}

/// The rank of each row's device.
fn ranks(parts: &[SortedRows], devices: &[DeviceId]) -> Vec<u32> {
    let mut ranks = Vec::with_capacity(parts.iter().map(SortedRows::len).sum());
    for part in parts {
        let mut rank = 0;
        for span in &part.devices {
            rank += devices[rank..].partition_point(|device| *device < span.device);
            let is_kept = devices.get(rank) == Some(&span.device);
            let of_device = if is_kept { rank as u32 } else { LEFT_OUT };
            ranks.extend(span.rows.clone().map(|_| of_device));
        }
    }
    ranks
}

fn unite_texts(parts: &[SortedRows]) -> (Vec<Arc<str>>, Vec<Vec<u64>>) {
    let mut texts = Vec::new();
    let mut known: HashMap<Arc<str>, u64> = HashMap::new();
    let mut number = |text: &Arc<str>| {
        *known.entry(text.clone()).or_insert_with(|| {
            texts.push(text.clone());
            texts.len() as u64 - 1
        })
    };
    let numbers = parts.iter().map(|part| part.texts.iter().map(&mut number).collect()).collect();
    (texts, numbers)
}
