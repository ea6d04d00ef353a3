//! A frozen chunk as sorted rows.

use model::{ColumnKey, DeviceId, RowFlags};

use super::order::{Order, order};
use super::{DeviceRows, Optional, Present, SortedRows};
use crate::head::Visible;

/// See [`SortedRows::from_chunk`].
pub fn from_chunk(chunk: &Visible, is_erased: impl Fn(DeviceId) -> bool) -> [Option<SortedRows>; 2] {
    let devices = Ranks::new(chunk.chunk.devices.ids(), is_erased);
    let rows = 0..chunk.len as u32;
    // Without a stored receive time no row is late.
    let has_late = chunk.chunk.received.is_used() && rows.clone().any(|row| chunk.key(row as usize).is_late());
    [false, true].map(|late| {
        if late && !has_late {
            return None;
        }
        let is_part = |row: &u32| !has_late || chunk.key(*row as usize).is_late() == late;
        let is_kept = |row: &u32| devices.rank(chunk, *row) != ERASED && is_part(row);
        let key = |row: u32| chunk.key(row as usize);
        let rank = |row: u32| devices.rank(chunk, row);
        let order = order(rows.clone().filter(is_kept), devices.sorted.len(), rank, |row| chunk.ts(row as usize), key);
        (!order.rows.is_empty()).then(|| gather(chunk, &devices, &order))
    })
}

/// The rank of a device that has none.
const ERASED: u32 = u32::MAX;

struct Ranks {
    /// Ascending, without the erased ones.
    sorted: Vec<DeviceId>,
    /// By slot.
    ranks: Vec<u32>,
}

impl Ranks {
    fn new(ids: Vec<DeviceId>, is_erased: impl Fn(DeviceId) -> bool) -> Self {
        let mut slots: Vec<u32> = (0..ids.len() as u32).filter(|slot| !is_erased(ids[*slot as usize])).collect();
        slots.sort_unstable_by_key(|slot| ids[*slot as usize]);
        let mut ranks = vec![ERASED; ids.len()];
        for (rank, slot) in slots.iter().enumerate() {
            ranks[*slot as usize] = rank as u32;
        }
        Self { sorted: slots.into_iter().map(|slot| ids[slot as usize]).collect(), ranks }
    }

    fn rank(&self, chunk: &Visible, row: u32) -> u32 {
        self.ranks[chunk.slot(row as usize) as usize]
    }
}

fn gather(chunk: &Visible, devices: &Ranks, order: &Order) -> SortedRows {
    let rows = || order.rows.iter().map(|row| *row as usize);
    let count = order.rows.len();
    let spans = devices.sorted.iter().zip(order.starts.windows(2)).filter(|(_, span)| span[0] < span[1]);
    let mut columns: Vec<(ColumnKey, Optional)> = chunk
        .columns
        .iter()
        .map(|column| (column.key.clone(), Optional::gather(count, rows().map(|row| column.get(row)))))
        .collect();
    columns.extend(spilled(chunk, order));
    columns.retain(|(_, cells)| !cells.values.is_empty());
    let optional = |column: &crate::head::Column| {
        if column.is_used() { Optional::gather(count, rows().map(|row| column.get(row))) } else { Optional::none() }
    };
    SortedRows {
        devices: spans
            .map(|(device, span)| DeviceRows { device: *device, rows: span[0] as usize..span[1] as usize })
            .collect(),
        ts: rows().map(|row| chunk.ts(row)).collect(),
        boot: Optional::gather(count, rows().map(|row| chunk.boot(row).map(u64::from))),
        seq: Optional::gather(count, rows().map(|row| chunk.seq(row))),
        received: optional(&chunk.chunk.received),
        buffered: rows().map(|row| chunk.flags(row).has(RowFlags::BUFFERED)).collect(),
        tags: optional(&chunk.chunk.tags),
        columns,
        texts: chunk.chunk.texts.all(),
    }
}

/// The metrics beyond the paged columns.
fn spilled(chunk: &Visible, order: &Order) -> Vec<(ColumnKey, Optional)> {
    let spill = chunk.chunk.spill.read().expect("no holder of this lock panics");
    if spill.cells.is_empty() {
        return Vec::new();
    }
    let mut places = vec![u32::MAX; chunk.len];
    for (place, row) in order.rows.iter().enumerate() {
        places[*row as usize] = place as u32;
    }
    let mut cells: Vec<Vec<(u32, u64)>> = vec![Vec::new(); spill.keys.len()];
    for cell in spill.cells.iter().filter(|cell| (cell.row as usize) < chunk.len) {
        let place = places[cell.row as usize];
        if place != u32::MAX {
            cells[cell.key as usize].push((place, cell.bits));
        }
    }
    let column = |mut cells: Vec<(u32, u64)>| {
        cells.sort_unstable();
        let (rows, values) = cells.into_iter().unzip();
        Optional { present: Present::Rows(rows), values }
    };
    spill.keys.iter().cloned().zip(cells.into_iter().map(column)).collect()
}
