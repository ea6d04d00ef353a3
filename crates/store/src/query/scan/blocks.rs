//! Rows of a block.

use std::ops::Range;

use model::{DeviceId, Millis, ValueKind};

use super::{Filter, Row, SLICE_ROWS, Selection, TagFilter, Visit, value_of};
use crate::block::{Block, Reader, Span, Tail};
use crate::error::Error;
use crate::key::RowKey;
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
