//! Cells of one column on their way into totals: a block's rows, read column by column, without a look at each row.

use std::ops::Range;

use model::{DeviceId, Millis};

use super::gather::Gather;
use crate::block::{Reader, Span, Tail};
use crate::error::Error;
use crate::query::{Meter, Tier};
use crate::sorted::Present;

/// Rows that are read at once.
const READ_ROWS: usize = 1 << 16;
/// Rows of others that are read along with those of two devices, rather than reading twice: half a page.
const BETWEEN_ROWS: usize = 1 << 12;
/// Rows that are decoded for a part of them however short it is: a page.
const PAGE_ROWS: usize = 1 << 13;

/// A column of numbers whose cells are added up.
pub struct CellsOf<'a> {
    pub tail: &'a Tail,
    /// Its number among the metrics.
    pub column: usize,
}

/// A device's rows, and the times that are wanted of them, ascending and apart.
pub type Wanted<'a> = (Span, &'a [Range<Millis>]);

impl CellsOf<'_> {
    /// Adds up the cells of rows that are wanted; the devices come in the order of the block.
    pub fn add_up(&self, wanted: &[Wanted<'_>], meter: &mut Meter<'_>, gather: &mut Gather<'_>) -> Result<(), Error> {
        let mut left = wanted;
        while let Some(((first, _), _)) = left.split_first() {
            let mut end = first.rows.start;
            let fits = |(span, _): &&Wanted<'_>| {
                let is_near = span.rows.start <= end + BETWEEN_ROWS && span.rows.end <= first.rows.start + READ_ROWS;
                end = span.rows.end;
                is_near
            };
            let (group, others) = left.split_at(left.iter().take_while(fits).count().max(1));
            self.group(group, meter, gather)?;
            left = others;
        }
        Ok(())
    }

    fn group(&self, group: &[Wanted<'_>], meter: &mut Meter<'_>, gather: &mut Gather<'_>) -> Result<(), Error> {
        let rows = group[0].0.rows.start..group[group.len() - 1].0.rows.end;
        meter.charge(Tier::Hot, rows.len())?;
        let mut reader = Reader::new(self.tail);
        let ts = reader.ts(rows.clone())?;
        let mut parts: Vec<(DeviceId, Range<usize>)> = Vec::new();
        for (span, times) in group {
            let of_device = span.rows.start - rows.start..span.rows.end - rows.start;
            for times in *times {
                let place = |bound: Millis| of_device.start + ts[of_device.clone()].partition_point(|ts| *ts < bound);
                let part = place(times.start)..place(times.end);
                if !part.is_empty() {
                    parts.push((span.device, part));
                }
            }
        }
        let (Some((_, first)), Some((_, last))) = (parts.first(), parts.last()) else { return Ok(()) };
        let hull = first.start..last.end;
        let alone: usize = parts.iter().map(|(_, part)| part.len() + PAGE_ROWS).sum();
        if alone >= hull.len() {
            return self.parts(&mut reader, rows.start, &ts, hull, &parts, gather);
        }
        for part in &parts {
            self.parts(&mut reader, rows.start, &ts, part.1.clone(), std::slice::from_ref(part), gather)?;
        }
        Ok(())
    }

    /// Reads the cells of rows, counted from row `base` as `ts` is, and adds up the parts of them.
    fn parts(
        &self,
        reader: &mut Reader<'_>,
        base: usize,
        ts: &[Millis],
        rows: Range<usize>,
        parts: &[(DeviceId, Range<usize>)],
        gather: &mut Gather<'_>,
    ) -> Result<(), Error> {
        let key = &self.tail.columns[self.column].key;
        let cells = reader.metric(self.tail.position(self.column), key.kind, base + rows.start..base + rows.end)?;
        let mut times = Vec::new();
        for (device, part) in parts {
            let (start, end) = (part.start - rows.start, part.end - rows.start);
            let (times, values) = match &cells.present {
                Present::All => (&ts[part.clone()], &cells.values[start..end]),
                Present::Rows(present) => {
                    let place = |row: usize| present.partition_point(|other| (*other as usize) < row);
                    let found = place(start)..place(end);
                    times.clear();
                    times.extend(present[found.clone()].iter().map(|row| ts[rows.start + *row as usize]));
                    (&times[..], &cells.values[found])
                }
            };
            gather.cells(Some(*device), key.kind, times, values)?;
        }
        Ok(())
    }
}
