//! Rows of a chunk.

use std::collections::HashMap;
use std::sync::Arc;

use model::{DeviceId, ValueKind};

use super::{Filter, Row, SLICE_ROWS, TagFilter, Visit, value_of};
use crate::error::Error;
use crate::head::{Column, Visible};
use crate::key::RowKey;
use crate::query::{Devices, Meter, Tier, Value};
use crate::store::Shared;

/// A column that a query reads, and which of a row's two values it gives.
struct Selected {
    place: usize,
    kind: ValueKind,
    cells: SelectedCells,
}

enum SelectedCells {
    Column(Arc<Column>),
    Spilled(HashMap<u32, u64>),
}

impl SelectedCells {
    fn get(&self, row: usize) -> Option<u64> {
        match self {
            Self::Column(column) => column.get(row),
            Self::Spilled(cells) => cells.get(&(row as u32)).copied(),
        }
    }
}

/// See [`super::Source::scan`].
pub fn scan(
    shared: &Shared,
    chunk: &Visible,
    filter: &Filter<'_>,
    meter: &mut Meter<'_>,
    visit: Visit<'_>,
) -> Result<(), Error> {
    let selected = select(chunk, filter, meter)?;
    if selected.is_empty() {
        return Ok(());
    }
    let mut pass = Pass { chunk, filter, selected, tags: TagFilter::new(filter.span.tag) };
    match filter.devices {
        Devices::All => pass.all(shared, meter, visit),
        Devices::One(device) => pass.device(shared, device, meter, visit),
        Devices::List(devices) => {
            for device in devices {
                pass.device(shared, *device, meter, visit)?;
            }
            Ok(())
        }
    }
}

fn select(chunk: &Visible, filter: &Filter<'_>, meter: &mut Meter<'_>) -> Result<Vec<Selected>, Error> {
    let mut selected = Vec::new();
    for column in chunk.columns.iter() {
        if let Some(place) = filter.selection.place(&column.key) {
            selected.push(Selected { place, kind: column.key.kind, cells: SelectedCells::Column(column.clone()) });
        }
    }
    let spill = chunk.chunk.spill.read().expect("no holder of this lock panics");
    for (at, key) in spill.keys.iter().enumerate() {
        let Some(place) = filter.selection.place(key) else { continue };
        meter.charge(Tier::Head, spill.cells.len())?;
        let cells = spill.cells.iter().filter(|cell| cell.key == at as u32 && (cell.row as usize) < chunk.len);
        let cells = cells.map(|cell| (cell.row, cell.bits)).collect();
        selected.push(Selected { place, kind: key.kind, cells: SelectedCells::Spilled(cells) });
    }
    Ok(selected)
}

struct Pass<'a> {
    chunk: &'a Visible,
    filter: &'a Filter<'a>,
    selected: Vec<Selected>,
    tags: TagFilter<'a>,
}

impl Pass<'_> {
    /// One device's rows in the order of keys.
    fn device(
        &mut self,
        shared: &Shared,
        device: DeviceId,
        meter: &mut Meter<'_>,
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        if shared.is_erased(device) {
            return Ok(());
        }
        let mut rows: Vec<(RowKey, usize)> = Vec::new();
        let mut read = 0;
        for row in self.chunk.rows_of(device) {
            read += 1;
            if read % SLICE_ROWS == 0 {
                meter.charge(Tier::Head, SLICE_ROWS)?;
            }
            if self.is_in_span(row) {
                rows.push((self.chunk.key(row), row));
            }
        }
        meter.charge(Tier::Head, read % SLICE_ROWS)?;
        // The row's number is the order of arrival.
        rows.sort_unstable();
        let mut left = self.filter.rows_max;
        for (key, row) in rows {
            let Some(row) = self.row(device, key, row) else { continue };
            left -= usize::from(visit(row)?);
            if left == 0 {
                break;
            }
        }
        Ok(())
    }

    /// All rows in the order of arrival.
    fn all(&mut self, shared: &Shared, meter: &mut Meter<'_>, visit: Visit<'_>) -> Result<(), Error> {
        let devices = self.chunk.chunk.devices.ids();
        let is_erased: Vec<bool> = devices.iter().map(|device| shared.is_erased(*device)).collect();
        for start in (0..self.chunk.len).step_by(SLICE_ROWS) {
            let end = self.chunk.len.min(start + SLICE_ROWS);
            meter.charge(Tier::Head, end - start)?;
            for row in start..end {
                let slot = self.chunk.slot(row) as usize;
                if is_erased[slot] || !self.is_in_span(row) {
                    continue;
                }
                let Some(row) = self.row(devices[slot], self.chunk.key(row), row) else { continue };
                visit(row)?;
            }
        }
        Ok(())
    }

    fn is_in_span(&self, row: usize) -> bool {
        let ts = self.chunk.ts(row);
        (self.filter.span.from..self.filter.span.to).contains(&ts)
            && (ts >= self.filter.kept_from || self.chunk.received(row) >= self.filter.kept_from)
    }

    /// The row with its values, if it has one and its tags match.
    fn row(&mut self, device: DeviceId, key: RowKey, row: usize) -> Option<Row> {
        let mut values: [Option<Value>; 2] = [None, None];
        for column in &self.selected {
            if let Some(bits) = column.cells.get(row) {
                values[column.place] = Some(value_of(column.kind, bits, |number| self.chunk.text(number)));
            }
        }
        if values.iter().all(Option::is_none) {
            return None;
        }
        if self.filter.span.tag.is_some() {
            let number = self.chunk.chunk.tags.get(row);
            if !self.tags.matches(number, |number| self.chunk.text(number)) {
                return None;
            }
        }
        let tags = self.filter.tags.then(|| self.chunk.tags(row)).flatten();
        Some(Row { device, key, values, tags })
    }
}
