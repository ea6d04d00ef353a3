//! Chunks on their way into totals.

use std::ops::Range;

use model::Millis;
use model::limits::HEAD_PAGE_ROWS;

use super::{RolledUp, selected};
use crate::error::Error;
use crate::head::{Column, Visible};
use crate::query::accumulate::Totals;
use crate::query::{Devices, Tier};

impl RolledUp<'_, '_, '_> {
    /// Takes a chunk in. False if its rows have to be read one by one.
    pub(super) fn chunk(&mut self, chunk: &Visible) -> Result<bool, Error> {
        let by_device = self.is_by_device();
        // A device's rows are found through their chain, and first and last rows need their keys.
        if self.gather.needs.edges || by_device && !matches!(self.filter.devices, Devices::All) {
            return Ok(false);
        }
        if !by_device && self.shared.is_erased_from_head(&chunk.chunk) {
            return Ok(false);
        }
        let Some(columns) = selected(self.filter, chunk.columns.iter().map(|column| &column.key)) else {
            return Ok(false);
        };
        let spill = chunk.chunk.spill.read().expect("no holder of this lock panics");
        if spill.keys.iter().any(|key| self.filter.selection.place(key).is_some()) {
            return Ok(false);
        }
        for (number, _) in columns {
            let column = &chunk.columns[number];
            if by_device {
                self.each_device(chunk, column)?;
                continue;
            }
            for page in 0..chunk.len.div_ceil(HEAD_PAGE_ROWS) {
                self.page(chunk, column, page)?;
            }
        }
        Ok(true)
    }

    /// Takes a chunk's rows for each device on its own. They come in the order of arrival, and a device's mostly in that
    /// of time, so what is added up goes into its bucket once the device has come to the next one.
    fn each_device(&mut self, chunk: &Visible, column: &Column) -> Result<(), Error> {
        let devices = chunk.chunk.devices.ids();
        let is_erased: Vec<bool> = devices.iter().map(|device| self.shared.is_erased(*device)).collect();
        let (span, kept_from) = (&self.filter.span, self.filter.kept_from);
        let resolution = self.gather.query.resolution;
        let mut open: Vec<Option<(Range<Millis>, Totals)>> = vec![None; devices.len()];
        for page in 0..chunk.len.div_ceil(HEAD_PAGE_ROWS) {
            let rows = chunk.len.min((page + 1) * HEAD_PAGE_ROWS) - page * HEAD_PAGE_ROWS;
            self.meter.charge(Tier::Head, rows)?;
            let mut result = Ok(());
            let gather = &mut *self.gather;
            chunk.visit_page(column, page, &mut |row, ts, bits| {
                let slot = chunk.slot(row) as usize;
                let is_kept = ts >= kept_from || chunk.received(row) >= kept_from;
                if !is_kept || !(span.from..span.to).contains(&ts) || is_erased[slot] {
                    return;
                }
                let Some(one) = Totals::of(column.key.kind, &[bits]) else { return };
                match &mut open[slot] {
                    Some((bucket, totals)) if bucket.contains(&ts) => totals.merge(&one),
                    other => {
                        if let Some((bucket, totals)) = other.replace((resolution.bucket(ts), one))
                            && result.is_ok()
                        {
                            result = gather.totals(Some(devices[slot]), bucket.start, &totals);
                        }
                    }
                }
            });
            result?;
        }
        for (device, open) in devices.into_iter().zip(open) {
            if let Some((bucket, totals)) = open {
                self.gather.totals(Some(device), bucket.start, &totals)?;
            }
        }
        Ok(())
    }

    /// Takes a page of a chunk: by its totals if all of it is wanted, else row by row.
    fn page(&mut self, chunk: &Visible, column: &Column, page: usize) -> Result<(), Error> {
        let (span, kept_from) = (&self.filter.span, self.filter.kept_from);
        let resolution = self.gather.query.resolution;
        if (page + 1) * HEAD_PAGE_ROWS <= chunk.len {
            let known = chunk.page_totals(column, page);
            let Some(totals) = &known.totals else { return Ok(()) };
            let (first, last) = known.ts;
            if first >= span.to || last < span.from {
                return Ok(());
            }
            let is_wanted = first >= span.from.max(kept_from) && last < span.to;
            if is_wanted && resolution.bucket(first).contains(&last) {
                self.meter.covered(Tier::Head, totals.count());
                return self.gather.totals(None, first, totals);
            }
        }
        self.meter.charge(Tier::Head, chunk.len.min((page + 1) * HEAD_PAGE_ROWS) - page * HEAD_PAGE_ROWS)?;
        let (mut times, mut cells) = (Vec::with_capacity(HEAD_PAGE_ROWS), Vec::with_capacity(HEAD_PAGE_ROWS));
        chunk.visit_page(column, page, &mut |row, ts, bits| {
            let is_kept = ts >= kept_from || chunk.received(row) >= kept_from;
            if (span.from..span.to).contains(&ts) && is_kept {
                times.push(ts);
                cells.push(bits);
            }
        });
        self.gather.cells(None, column.key.kind, &times, &cells)
    }
}
