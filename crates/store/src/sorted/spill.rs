//! Columns beyond what one block may have become rows of a narrow block: one row per value.

use std::sync::Arc;

use model::ColumnKey;
use model::limits::COLUMNS_PER_BLOCK_MAX;

use super::{DeviceRows, Optional, Present, SortedRows, narrow_columns};

impl SortedRows {
    /// Takes the columns beyond [`COLUMNS_PER_BLOCK_MAX`] out and gives them back as the rows of a narrow block.
    pub fn split_narrow(&mut self) -> Option<Self> {
        if self.columns.len() <= COLUMNS_PER_BLOCK_MAX {
            return None;
        }
        let spilled = self.columns.split_off(COLUMNS_PER_BLOCK_MAX);
        let mut cells: Vec<Cell> = Vec::new();
        for (number, (_, column)) in spilled.iter().enumerate() {
            cells.extend(column.cells().map(|(row, bits)| Cell { row, number, bits }));
        }
        cells.sort_unstable_by_key(|cell| (cell.row, cell.number));
        Some(self.narrow(&spilled, &cells))
    }

    fn narrow(&self, spilled: &[(ColumnKey, Optional)], cells: &[Cell]) -> Self {
        let take = |column: &Optional| {
            let all: Vec<_> = column.all(self.len()).collect();
            Optional::gather(cells.len(), cells.iter().map(|cell| all[cell.row]))
        };
        let mut texts = self.texts.clone();
        let names = texts.len() as u64;
        texts.extend(spilled.iter().map(|(key, _)| Arc::clone(&key.name)));
        let [metric, values @ ..] = narrow_columns();
        let names = cells.iter().map(|cell| names + cell.number as u64).collect();
        let mut columns = vec![(metric, Optional { present: Present::All, values: names })];
        columns.extend(values.into_iter().map(|value| {
            let of_kind = |cell: &Cell| (spilled[cell.number].0.kind == value.kind).then_some(cell.bits);
            let column = Optional::gather(cells.len(), cells.iter().map(of_kind));
            (value, column)
        }));
        columns.retain(|(_, cells)| !cells.values.is_empty());
        Self {
            devices: self.narrow_devices(cells),
            ts: cells.iter().map(|cell| self.ts[cell.row]).collect(),
            boot: take(&self.boot),
            seq: take(&self.seq),
            received: take(&self.received),
            buffered: cells.iter().map(|cell| self.buffered[cell.row]).collect(),
            tags: take(&self.tags),
            columns,
            texts,
        }
    }

    fn narrow_devices(&self, cells: &[Cell]) -> Vec<DeviceRows> {
        let place = |row: usize| cells.partition_point(|cell| cell.row < row);
        let spans = self
            .devices
            .iter()
            .map(|span| DeviceRows { device: span.device, rows: place(span.rows.start)..place(span.rows.end) });
        spans.filter(|span| !span.rows.is_empty()).collect()
    }
}

/// A value of a column that has no room.
struct Cell {
    row: usize,
    /// Position in the spilled columns.
    number: usize,
    bits: u64,
}
