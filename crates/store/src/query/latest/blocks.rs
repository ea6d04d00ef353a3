//! The latest values of a block.

use std::ops::Range;

use model::{ColumnKey, Millis, ValueKind};

use super::found::{Found, Page};
use crate::block::{Block, Latest, Reader, Span, Tail};
use crate::error::Error;
use crate::key::RowKey;
use crate::query::scan::value_of;
use crate::query::{Meter, Tier, Value};
use crate::sorted::{NARROW_METRIC, NARROW_VALUE, Optional, Present};

/// Of a device with more rows, those at the end are looked at first; each further look takes four times as many.
const LOOK_ROWS: usize = 256;
/// Rows that are read at once for several devices.
const READ_ROWS_MAX: usize = 1 << 16;

/// Offers the values of a page's devices.
pub fn latest(block: &Block, kept_from: Millis, meter: &mut Meter<'_>, page: &mut Page) -> Result<(), Error> {
    let (Some(first), Some(last)) = (page.ids().first(), page.ids().last()) else { return Ok(()) };
    if block.entry.device_max < *first || block.entry.device_min > *last {
        return Ok(());
    }
    let tail = block.open()?;
    let metrics = tail.columns.iter().map(|column| &column.key.name);
    if !block.entry.narrow && !page.is_open_at(metrics, block.entry.ts_max) {
        return Ok(());
    }
    let section = if block.entry.narrow { None } else { Some(block.latest(&tail)?) };
    let known = section.as_deref().and_then(Option::as_ref);
    let has_received = tail.has_received();
    let (mut place, mut read, mut left) = (0, 0, Vec::new());
    for at in 0..page.ids().len() {
        let device = page.ids()[at];
        place = tail.directory.seek(place, device);
        if tail.directory.devices().get(place) != Some(&device) {
            continue;
        }
        // Among rows that were received late, one that is not past retention may stand before one that is.
        let is_known = known.is_some_and(|known| {
            read += 1;
            offer(&tail, known, place, kept_from, page.found(at)) || !has_received
        });
        if !is_known {
            left.push((at, tail.directory.span(place)));
        }
    }
    meter.charge(Tier::Hot, read)?;
    let look = LookThrough { block, tail: &tail, kept_from };
    look.all(left, meter, page)?;
    page.changed();
    Ok(())
}

/// Offers what the latest section says of a device; false if some of it is past retention.
fn offer(tail: &Tail, known: &Latest, place: usize, kept_from: Millis, found: &mut Found) -> bool {
    let mut all_kept = true;
    for (key, cells) in known.rows(place) {
        if key.aged_from() < kept_from {
            all_kept = false;
            continue;
        }
        for cell in cells {
            let column = &tail.columns[cell.column as usize].key;
            let value = || value_of(column.kind, cell.bits, |number| known.text(number).clone());
            found.offer_older(&column.name, key, value);
        }
    }
    all_kept
}

/// The way through the rows of devices.
struct LookThrough<'a> {
    block: &'a Block,
    tail: &'a Tail,
    kept_from: Millis,
}

impl LookThrough<'_> {
    /// Offers the values of devices, which stand in the order of the block. Devices with few rows are read together.
    fn all(&self, mut left: Vec<(usize, Span)>, meter: &mut Meter<'_>, page: &mut Page) -> Result<(), Error> {
        left.retain(|(at, span)| self.block.entry.narrow || self.is_open(page.found(*at), span.ts_max));
        let mut left = &left[..];
        while let Some(((at, span), _)) = left.split_first() {
            if span.rows.len() > LOOK_ROWS {
                self.device(span, meter, page.found(*at))?;
                left = &left[1..];
                continue;
            }
            let fits = |(_, other): &&(usize, Span)| {
                other.rows.len() <= LOOK_ROWS && other.rows.end - span.rows.start <= READ_ROWS_MAX
            };
            let (group, others) = left.split_at(left.iter().take_while(fits).count());
            let end = group[group.len() - 1].1.rows.end;
            meter.charge(Tier::Hot, end - span.rows.start)?;
            let look = Look::read(self, span.rows.start..end)?;
            for (at, span) in group {
                page.found(*at).merge_older(look.found(span.rows.clone()));
            }
            left = others;
        }
        Ok(())
    }

    /// Offers the values of one device with many rows.
    fn device(&self, span: &Span, meter: &mut Meter<'_>, found: &mut Found) -> Result<(), Error> {
        let mut own = Found::default();
        let (mut end, mut step) = (span.rows.end, LOOK_ROWS);
        while end > span.rows.start {
            let is_open = |column: &ColumnKey| found.is_open_at(&column.name, span.ts_max) && !own.has(&column.name);
            if !self.block.entry.narrow && !self.tail.columns.iter().any(|column| is_open(&column.key)) {
                break;
            }
            let rows = span.rows.start.max(end.saturating_sub(step))..end;
            (end, step) = (rows.start, step * 4);
            meter.charge(Tier::Hot, rows.len())?;
            let look = Look::read(self, rows.clone())?;
            own.merge_older(look.found(rows));
        }
        found.merge_older(own);
        Ok(())
    }

    fn is_open(&self, found: &Found, ts: Millis) -> bool {
        self.tail.columns.iter().any(|column| found.is_open_at(&column.key.name, ts))
    }
}

/// Rows with all their metrics.
struct Look<'a> {
    tail: &'a Tail,
    narrow: bool,
    reader: Reader<'a>,
    /// The number of the first row.
    start: usize,
    keys: Vec<RowKey>,
    columns: Vec<Optional>,
    kept_from: Millis,
}

impl<'a> Look<'a> {
    fn read(of: &LookThrough<'a>, rows: Range<usize>) -> Result<Self, Error> {
        let mut reader = Reader::new(of.tail);
        let (start, count) = (rows.start, rows.len());
        let ts = reader.ts(rows.clone())?;
        let (boot, seq) = (reader.boot(rows.clone())?, reader.seq(rows.clone())?);
        let received = reader.received(rows.clone())?;
        let (mut boots, mut seqs, mut apart) = (boot.all(count), seq.all(count), received.all(count));
        let key = |ts: Millis| RowKey {
            ts,
            boot: boots.next().flatten().map(|boot| boot as u32),
            seq: seqs.next().flatten(),
            received: apart.next().flatten().map_or(ts, |bits| bits as Millis),
        };
        let keys = ts.into_iter().map(key).collect();
        let mut columns = Vec::with_capacity(of.tail.columns.len());
        for (column, key) in of.tail.find_columns(|_| true) {
            columns.push(reader.metric(column, key.kind, rows.clone())?);
        }
        let (tail, narrow, kept_from) = (of.tail, of.block.entry.narrow, of.kept_from);
        Ok(Self { tail, narrow, reader, start, keys, columns, kept_from })
    }

    /// The latest values of rows of one device.
    fn found(&self, rows: Range<usize>) -> Found {
        let rows = rows.start - self.start..rows.end - self.start;
        if self.narrow { self.found_narrow(rows) } else { self.found_wide(rows) }
    }

    fn may_be_latest(&self, at: usize) -> bool {
        self.keys[at].may_be_latest() && self.keys[at].aged_from() >= self.kept_from
    }

    fn found_wide(&self, rows: Range<usize>) -> Found {
        let mut cells: Vec<(usize, usize, u64)> = Vec::with_capacity(self.columns.len());
        for (column, values) in self.columns.iter().enumerate() {
            let last = match &values.present {
                Present::All => rows.clone().rev().find(|row| self.may_be_latest(*row)).map(|row| (row, row)),
                Present::Rows(present) => {
                    let end = present.partition_point(|row| (*row as usize) < rows.end);
                    let of_device = present[..end].iter().map(|row| *row as usize).enumerate().rev();
                    let mut of_device = of_device.take_while(|(_, row)| *row >= rows.start);
                    of_device.find(|(_, row)| self.may_be_latest(*row)).map(|(at, row)| (row, at))
                }
            };
            cells.extend(last.map(|(row, at)| (row, column, values.values[at])));
        }
        // A metric that came with two types has two columns: its last row counts.
        cells.sort_unstable();
        let mut own = Found::default();
        for (row, column, bits) in cells {
            let key = &self.tail.columns[column].key;
            own.offer_newer(&key.name, self.keys[row], || self.value(key.kind, bits));
        }
        own
    }

    fn found_narrow(&self, rows: Range<usize>) -> Found {
        let mut own = Found::default();
        let columns = || self.tail.columns.iter().map(|column| &column.key).zip(&self.columns);
        let Some((_, names)) = columns().find(|(key, _)| &*key.name == NARROW_METRIC) else { return own };
        let of_rows = |cells: &Optional| -> Vec<Option<u64>> {
            cells.all(self.keys.len()).skip(rows.start).take(rows.len()).collect()
        };
        let names = of_rows(names);
        let values = columns().filter(|(key, _)| &*key.name == NARROW_VALUE);
        let values: Vec<_> = values.map(|(key, cells)| (key.kind, of_rows(cells))).collect();
        for row in rows.clone().filter(|row| self.may_be_latest(*row)) {
            let Some(name) = names[row - rows.start] else { continue };
            for (kind, cells) in &values {
                if let Some(bits) = cells[row - rows.start] {
                    own.offer_newer(self.reader.text(name), self.keys[row], || self.value(*kind, bits));
                }
            }
        }
        own
    }

    fn value(&self, kind: ValueKind, bits: u64) -> Value {
        value_of(kind, bits, |number| self.reader.text(number).clone())
    }
}
