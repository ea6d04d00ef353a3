//! The latest values of a chunk.

use std::collections::HashMap;

use super::found::{Found, Page};
use crate::error::Error;
use crate::head::{LatestRows, Visible};
use crate::query::scan::value_of;
use crate::query::{Meter, Millis, Tier};

/// Offers the values of a page's devices.
pub fn latest(chunk: &Visible, kept_from: Millis, meter: &mut Meter<'_>, page: &mut Page) -> Result<(), Error> {
    chunk.latest_rows(page.ids().len(), |rows| of_page(chunk, rows, kept_from, meter, page))?;
    spilled(chunk, kept_from, meter, page)?;
    page.changed();
    Ok(())
}

fn of_page(
    chunk: &Visible,
    rows: Option<&LatestRows>,
    kept_from: Millis,
    meter: &mut Meter<'_>,
    page: &mut Page,
) -> Result<(), Error> {
    let has_received = chunk.has_received();
    let mut read = 0;
    for at in 0..page.ids().len() {
        let Some(slot) = chunk.chunk.devices.slot(page.ids()[at]) else { continue };
        let is_known = rows.is_some_and(|rows| {
            read += 1;
            // Among rows that were received late, one that is not past retention may stand before one that is.
            Known { chunk, rows, slot, kept_from }.offer(page.found(at)) || !has_received
        });
        if !is_known {
            look_through(chunk, slot, kept_from, meter, page.found(at))?;
        }
    }
    meter.charge(Tier::Head, read)
}

/// A device's latest rows.
struct Known<'a> {
    chunk: &'a Visible,
    rows: &'a LatestRows,
    slot: u32,
    kept_from: Millis,
}

impl Known<'_> {
    /// Offers the values; false if one of them is past retention.
    fn offer(&self, found: &mut Found) -> bool {
        let Self { chunk, rows, slot, kept_from } = self;
        let latest = |column: usize| rows.row(column, *slot);
        let mut all_kept = true;
        let mut last = None;
        let mut own = Found::default();
        let mut cells: Vec<(usize, usize)> = Vec::with_capacity(chunk.columns.len());
        cells.extend((0..chunk.columns.len()).filter_map(|column| latest(column).map(|row| (row, column))));
        // A metric that came with two types has two columns: of equal rows, the one that came later wins.
        cells.sort_unstable();
        for (row, column) in cells {
            let key = match last {
                Some((before, key)) if before == row => key,
                _ => chunk.key(row),
            };
            last = Some((row, key));
            if key.aged_from() < *kept_from {
                all_kept = false;
                continue;
            }
            let column = &chunk.columns[column];
            if let Some(bits) = column.get(row) {
                let value = || value_of(column.key.kind, bits, |number| chunk.text(number));
                own.offer_newer(&column.key.name, key, value);
            }
        }
        found.merge_older(own);
        all_kept
    }
}

/// Looks through a device's rows.
fn look_through(
    chunk: &Visible,
    slot: u32,
    kept_from: Millis,
    meter: &mut Meter<'_>,
    found: &mut Found,
) -> Result<(), Error> {
    let mut read = 0;
    for row in chunk.rows_of_slot(slot) {
        read += 1;
        let key = chunk.key(row);
        if !key.may_be_latest() || key.aged_from() < kept_from {
            continue;
        }
        // The last arrival comes first and wins over what is equal to it, so the others have to be later.
        for column in chunk.columns.iter() {
            if found.is_later(&column.key.name, &key)
                && let Some(bits) = column.get(row)
            {
                let value = || value_of(column.key.kind, bits, |number| chunk.text(number));
                found.offer_older(&column.key.name, key, value);
            }
        }
    }
    meter.charge(Tier::Head, read)
}

/// Offers the values of metrics that have no column.
fn spilled(chunk: &Visible, kept_from: Millis, meter: &mut Meter<'_>, page: &mut Page) -> Result<(), Error> {
    let spill = chunk.chunk.spill.read().expect("no holder of this lock panics");
    if spill.cells.is_empty() {
        return Ok(());
    }
    let ids = page.ids().iter().enumerate();
    let places: HashMap<u32, usize> =
        ids.filter_map(|(at, id)| chunk.chunk.devices.slot(*id).map(|slot| (slot, at))).collect();
    let mut own: HashMap<usize, Found> = HashMap::new();
    meter.charge(Tier::Head, spill.cells.len())?;
    for cell in spill.cells.iter().filter(|cell| (cell.row as usize) < chunk.len) {
        let row = cell.row as usize;
        let Some(at) = places.get(&chunk.slot(row)) else { continue };
        let (key, column) = (chunk.key(row), &spill.keys[cell.key as usize]);
        if key.may_be_latest() && key.aged_from() >= kept_from {
            let value = || value_of(column.kind, cell.bits, |number| chunk.text(number));
            own.entry(*at).or_default().offer_newer(&column.name, key, value);
        }
    }
    own.into_iter().for_each(|(at, found)| page.found(at).merge_older(found));
    Ok(())
}
