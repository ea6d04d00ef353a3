//! Rows of a block.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use model::{DeviceId, Millis, ValueKind};

use super::{Filter, Row, SLICE_ROWS, Selection, TagFilter, Visit, value_of};
use crate::block::{Block, Reader, Span, Tail};
use crate::error::Error;
use crate::key::RowKey;
use crate::query::accumulate::Totals;
use crate::query::latest::Found;
use crate::query::{Devices, Meter, Tier};
use crate::sorted::{NARROW_METRIC, NARROW_VALUE, Optional, Present};
use crate::store::Shared;

/// Rows that a scan over all devices reads at once.
const SCAN_ROWS: usize = 8 * SLICE_ROWS;

/// See [`super::Source::scan`].
pub fn scan(
    shared: &Shared,
    block: &Block,
    filter: &Filter<'_>,
    meter: &mut Meter<'_>,
    visit: Visit<'_>,
) -> Result<(), Error> {
    let tail = block.open()?;
    let selected = Selected::of(block, &tail, filter);
    if selected.columns.is_empty() {
        return Ok(());
    }
    let mut pass = Pass { tail: &tail, filter, selected, tags: TagFilter::new(filter.span.tag), meter };
    match filter.devices {
        Devices::All => pass.all(shared, visit),
        Devices::One(device) => pass.device(device, visit),
        Devices::List(devices) => {
            for device in devices {
                pass.device(*device, visit)?;
            }
            Ok(())
        }
    }
}

/// See [`super::Source::totals`].
pub fn totals(
    shared: &Shared,
    block: &Block,
    filter: &Filter<'_>,
    meter: &mut Meter<'_>,
) -> Result<Option<Vec<Totals>>, Error> {
    let (entry, span) = (&block.entry, &filter.span);
    let is_whole = matches!(filter.devices, Devices::All)
        && span.tag.is_none()
        && (span.from..span.to).contains(&entry.ts_min)
        && (span.from..span.to).contains(&entry.ts_max)
        && entry.ts_min >= filter.kept_from;
    if entry.narrow || !is_whole || shared.has_erased() {
        return Ok(None);
    }
    let tail = block.open()?;
    let selected = tail.columns.iter().filter(|column| filter.selection.place(&column.key).is_some());
    let totals: Option<Vec<Totals>> = selected.map(|column| column.totals).collect();
    if totals.as_ref().is_some_and(|totals| !totals.is_empty()) {
        meter.covered(Tier::Hot, entry.rows);
    }
    Ok(totals)
}

/// The columns that a query reads.
struct Selected {
    /// Which of a row's two values it gives, its position in the file, and its kind.
    columns: Vec<(usize, usize, ValueKind)>,
    /// Of a narrow block: the position of the metric's name, and the name that is wanted.
    metric: Option<(usize, String)>,
}

impl Selected {
    fn of(block: &Block, tail: &Tail, filter: &Filter<'_>) -> Self {
        let mut selected = Self { columns: Vec::new(), metric: None };
        match filter.selection {
            Selection::Metric { name, kind } if block.entry.narrow => {
                let wanted = |found: ValueKind| kind.is_none_or(|kind| kind == found);
                let values = tail.find_columns(|key| &*key.name == NARROW_VALUE && wanted(key.kind));
                selected.columns.extend(values.map(|(at, key)| (0, at, key.kind)));
                let mut metric = tail.find_columns(|key| &*key.name == NARROW_METRIC);
                selected.metric = metric.next().map(|(at, _)| (at, name.to_owned()));
            }
            selection => {
                let found = tail.find_columns(|key| selection.place(key).is_some());
                let place = |key| selection.place(key).expect("only selected columns are found");
                selected.columns.extend(found.map(|(at, key)| (place(key), at, key.kind)));
            }
        }
        selected
    }
}

struct Pass<'a, 'b> {
    tail: &'a Tail,
    filter: &'a Filter<'a>,
    selected: Selected,
    tags: TagFilter<'a>,
    meter: &'a mut Meter<'b>,
}

impl Pass<'_, '_> {
    /// One device's rows in the order of keys.
    fn device(&mut self, device: DeviceId, visit: Visit<'_>) -> Result<(), Error> {
        let Some(span) = self.tail.directory.find(device) else { return Ok(()) };
        let (from, to) = (self.filter.span.from, self.filter.span.to);
        if span.ts_max < from || span.ts_min >= to {
            return Ok(());
        }
        self.meter.charge(Tier::Hot, span.rows.len())?;
        let ts = Reader::new(self.tail).ts(span.rows.clone())?;
        let wanted = ts.partition_point(|ts| *ts < from)..ts.partition_point(|ts| *ts < to);
        let mut left = self.filter.rows_max;
        // A page of raw points needs the first rows only; how many depends on how many have a value.
        let slice_rows = left.clamp(SLICE_ROWS, 64 * SLICE_ROWS);
        for start in wanted.clone().step_by(slice_rows) {
            let part = start..wanted.end.min(start + slice_rows);
            let rows = span.rows.start + part.start..span.rows.start + part.end;
            let mut slice = Slice::read(self, rows, ts[part].to_vec())?;
            for at in 0..slice.ts.len() {
                let Some(row) = self.row(&mut slice, device, at) else { continue };
                left -= usize::from(visit(row)?);
                if left == 0 {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// All rows, device by device.
    fn all(&mut self, shared: &Shared, visit: Visit<'_>) -> Result<(), Error> {
        let tail = self.tail;
        let mut spans = tail.directory.spans().peekable();
        for start in (0..tail.directory.rows()).step_by(SCAN_ROWS) {
            let rows = start..tail.directory.rows().min(start + SCAN_ROWS);
            self.meter.charge(Tier::Hot, rows.len())?;
            let ts = Reader::new(tail).ts(rows.clone())?;
            let mut slice = Slice::read(self, rows.clone(), ts)?;
            while let Some(span) = spans.peek() {
                if !shared.is_erased(span.device) {
                    let part = span.rows.start.max(rows.start) - rows.start..span.rows.end.min(rows.end) - rows.start;
                    self.span(&mut slice, span, part, visit)?;
                }
                if span.rows.end > rows.end {
                    break;
                }
                spans.next();
            }
        }
        Ok(())
    }

    fn span(&mut self, slice: &mut Slice<'_>, span: &Span, part: Range<usize>, visit: Visit<'_>) -> Result<(), Error> {
        for at in part {
            if (self.filter.span.from..self.filter.span.to).contains(&slice.ts[at])
                && let Some(row) = self.row(slice, span.device, at)
            {
                visit(row)?;
            }
        }
        Ok(())
    }

    /// The row with its values, if it has one, is not past retention and its tags match. Rows are asked for in order.
    fn row(&mut self, slice: &mut Slice<'_>, device: DeviceId, at: usize) -> Option<Row> {
        if let Some((metric, wanted)) = &mut slice.metric
            && metric.get(at) != Some(*wanted)
        {
            return None;
        }
        let mut values = [None, None];
        for (place, kind, cells) in &mut slice.values {
            if let Some(bits) = cells.get(at) {
                values[*place] = Some(value_of(*kind, bits, |number| slice.reader.text(number).clone()));
            }
        }
        if values.iter().all(Option::is_none) {
            return None;
        }
        let ts = slice.ts[at];
        let received = slice.received.get(at).map_or(ts, |bits| bits as Millis);
        let key = RowKey { ts, boot: slice.boot.get(at).map(|boot| boot as u32), seq: slice.seq.get(at), received };
        if key.aged_from() < self.filter.kept_from {
            return None;
        }
        let tags = slice.tags.get(at);
        if !self.tags.matches(tags, |number| slice.reader.text(number).clone()) {
            return None;
        }
        let tags = tags.filter(|_| self.filter.tags).map(|number| slice.reader.text(number).clone());
        Some(Row { device, key, values, tags })
    }
}

/// Cells that are asked for in the order of rows.
struct Cells {
    column: Optional,
    next: usize,
}

impl Cells {
    fn none() -> Self {
        Self { column: Optional::none(), next: 0 }
    }

    fn get(&mut self, row: usize) -> Option<u64> {
        let Present::Rows(rows) = &self.column.present else { return Some(self.column.values[row]) };
        while rows.get(self.next).is_some_and(|next| (*next as usize) < row) {
            self.next += 1;
        }
        (rows.get(self.next) == Some(&(row as u32))).then(|| self.column.values[self.next])
    }
}

impl From<Optional> for Cells {
    fn from(column: Optional) -> Self {
        Self { column, next: 0 }
    }
}

/// What a query needs of some rows that follow one another.
struct Slice<'a> {
    reader: Reader<'a>,
    ts: Vec<Millis>,
    values: Vec<(usize, ValueKind, Cells)>,
    /// Of a narrow block: the name of each row's metric, and the number of the one that is wanted.
    metric: Option<(Cells, u64)>,
    boot: Cells,
    seq: Cells,
    received: Cells,
    tags: Cells,
}

impl<'a> Slice<'a> {
    fn read(pass: &mut Pass<'a, '_>, rows: Range<usize>, ts: Vec<Millis>) -> Result<Self, Error> {
        pass.tags.renumbered();
        let (filter, mut reader) = (pass.filter, Reader::new(pass.tail));
        let mut values = Vec::with_capacity(pass.selected.columns.len());
        let mut metric = None;
        if let Some((column, name)) = &pass.selected.metric {
            let names = reader.metric(*column, ValueKind::Str, rows.clone())?;
            metric = Some((Cells::from(names), reader.number(name)));
        }
        for (place, column, kind) in &pass.selected.columns {
            values.push((*place, *kind, reader.metric(*column, *kind, rows.clone())?.into()));
        }
        let (mut boot, mut seq, mut tags) = (Cells::none(), Cells::none(), Cells::none());
        if filter.identity {
            boot = reader.boot(rows.clone())?.into();
            seq = reader.seq(rows.clone())?.into();
        }
        if filter.tags || filter.span.tag.is_some() {
            tags = reader.tags(rows.clone())?.into();
        }
        let may_be_old = ts.iter().any(|ts| *ts < filter.kept_from);
        let received = if filter.identity || may_be_old { reader.received(rows)?.into() } else { Cells::none() };
        Ok(Self { reader, ts, values, metric, boot, seq, received, tags })
    }
}

/// Rows that are looked at first for the latest values; each further look takes four times as many.
const LATEST_ROWS: usize = 64;

/// Offers a device's values of every metric.
pub fn latest(
    block: &Block,
    device: DeviceId,
    kept_from: Millis,
    meter: &mut Meter<'_>,
    found: &mut Found,
) -> Result<(), Error> {
    let tail = block.open()?;
    let Some(span) = tail.directory.find(device) else { return Ok(()) };
    let mut own = Found::default();
    let (mut end, mut step) = (span.rows.end, LATEST_ROWS);
    let mut open: Vec<_> = tail.find_columns(|_| true).collect();
    while end > span.rows.start {
        if !block.entry.narrow {
            open.retain(|(_, key)| found.is_open_at(&key.name, span.ts_max) && !own.has(&key.name));
            if open.is_empty() {
                break;
            }
        }
        let rows = span.rows.start.max(end.saturating_sub(step))..end;
        (end, step) = (rows.start, step * 4);
        meter.charge(Tier::Hot, rows.len())?;
        let look = Look::read(&tail, rows, kept_from)?;
        own.merge_older(if block.entry.narrow { look.narrow(&open)? } else { look.wide(&open)? });
    }
    found.merge_older(own);
    Ok(())
}

/// A look at some rows for their latest values.
struct Look<'a> {
    reader: Reader<'a>,
    rows: Range<usize>,
    keys: Vec<RowKey>,
    kept_from: Millis,
}

type Column<'a> = (usize, &'a model::ColumnKey);

impl<'a> Look<'a> {
    fn read(tail: &'a Tail, rows: Range<usize>, kept_from: Millis) -> Result<Self, Error> {
        let reader = Reader::new(tail);
        let ts = reader.ts(rows.clone())?;
        let mut boot = Cells::from(reader.boot(rows.clone())?);
        let mut seq = Cells::from(reader.seq(rows.clone())?);
        let mut received = Cells::from(reader.received(rows.clone())?);
        let key = |(at, ts): (usize, Millis)| RowKey {
            ts,
            boot: boot.get(at).map(|boot| boot as u32),
            seq: seq.get(at),
            received: received.get(at).map_or(ts, |bits| bits as Millis),
        };
        let keys = ts.into_iter().enumerate().map(key).collect();
        Ok(Self { reader, rows, keys, kept_from })
    }

    fn may_be_latest(&self, at: usize) -> bool {
        self.keys[at].may_be_latest() && self.keys[at].aged_from() >= self.kept_from
    }

    fn wide(mut self, columns: &[Column<'_>]) -> Result<Found, Error> {
        let mut own = Found::default();
        // A metric that came with two types has two columns: its last row counts, in whichever it is.
        let mut last_rows: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for (column, key) in columns {
            let cells = self.reader.metric(*column, key.kind, self.rows.clone())?;
            let Some((at, bits)) = cells.cells().filter(|(at, _)| self.may_be_latest(*at)).last() else { continue };
            let last_row = last_rows.entry(&key.name).or_insert(at);
            if at >= *last_row {
                *last_row = at;
                own.offer(
                    &key.name,
                    self.keys[at],
                    value_of(key.kind, bits, |number| self.reader.text(number).clone()),
                );
            }
        }
        Ok(own)
    }

    fn narrow(mut self, columns: &[Column<'_>]) -> Result<Found, Error> {
        let mut own = Found::default();
        let Some((metric, _)) = columns.iter().find(|(_, key)| &*key.name == NARROW_METRIC) else { return Ok(own) };
        let mut names = Cells::from(self.reader.metric(*metric, ValueKind::Str, self.rows.clone())?);
        let mut values = Vec::new();
        for (column, key) in columns.iter().filter(|(_, key)| &*key.name == NARROW_VALUE) {
            values.push((key.kind, Cells::from(self.reader.metric(*column, key.kind, self.rows.clone())?)));
        }
        for at in 0..self.keys.len() {
            let Some(name) = names.get(at) else { continue };
            for (kind, cells) in &mut values {
                if let Some(bits) = cells.get(at)
                    && self.may_be_latest(at)
                {
                    let value = value_of(*kind, bits, |number| self.reader.text(number).clone());
                    own.offer(self.reader.text(name), self.keys[at], value);
                }
            }
        }
        Ok(own)
    }
}
