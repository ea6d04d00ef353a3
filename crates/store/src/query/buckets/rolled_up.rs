//! Sources whose totals are known, in part or as a whole: blocks by their statistics and rollups, chunks page by page
//! (`chunk`).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use model::{DeviceId, Millis, ValueKind};

use super::Resolution;
use super::cells::{CellsOf, Wanted};
use super::cover::{Buckets, Cover};
use super::gather::Gather;
use crate::block::{Block, Level, Rollup, Span, Tail};
use crate::error::Error;
use crate::query::scan::{Filter, Held, Selection, Source};
use crate::query::{Devices, Meter, Span as QuerySpan, Tier};
use crate::store::Shared;

mod chunk;

/// Times over all devices that are read one after the other.
const GAPS_MAX: usize = 2;

/// What is to be read from rows.
struct Gaps {
    /// Times of one device or of all.
    times: BTreeMap<Option<DeviceId>, Vec<Range<Millis>>>,
    /// Also the rows whose ts is past retention: some may have been received later.
    old: bool,
}

impl Gaps {
    fn new() -> Self {
        Self { times: BTreeMap::new(), old: false }
    }
}

/// A query on its way through one source.
pub struct RolledUp<'a, 'b, 'c> {
    pub gather: &'a mut Gather<'b>,
    pub shared: &'a Shared,
    pub source: &'a Source<'a>,
    pub filter: &'a Filter<'a>,
    pub meter: &'a mut Meter<'c>,
}

impl RolledUp<'_, '_, '_> {
    /// Takes the source in. False if its rows have to be read one by one; nothing is taken then.
    pub fn take(mut self) -> Result<bool, Error> {
        if self.gather.needs.percentiles || self.filter.span.tag.is_some() {
            return Ok(false);
        }
        match self.source.place {
            Held::Block(block) => self.block(block),
            Held::Chunk(chunk) => self.chunk(chunk),
        }
    }

    fn is_by_device(&self) -> bool {
        self.gather.query.by_device || !matches!(self.filter.devices, Devices::All)
    }

    /// The levels whose buckets may lie within one of the answer.
    fn levels(&self) -> impl Iterator<Item = Level> + use<> {
        let length = match self.gather.query.resolution {
            Resolution::All => Millis::MAX,
            Resolution::Millis(length) => length,
        };
        Level::of(self.is_by_device()).into_iter().filter(move |level| level.period() <= length)
    }

    fn block(&mut self, block: &Block) -> Result<bool, Error> {
        let by_device = self.is_by_device();
        // First and last rows are known over all devices only; a narrow block has rows of many metrics.
        if block.entry.narrow || block.entry.ts_max == Millis::MAX || by_device && self.gather.needs.edges {
            return Ok(false);
        }
        let tail = block.open()?;
        let Some(columns) = selected(self.filter, tail.columns.iter().map(|column| &column.key)) else {
            return Ok(false);
        };
        // Rows that are equal but for their value's type stand in two columns: only the rows tell which comes first.
        if self.gather.needs.edges && columns.len() > 1 {
            return Ok(false);
        }
        if !by_device && self.shared.is_erased_from(block, &tail) {
            return Ok(false);
        }
        if !by_device && self.whole(block, &tail, &columns)? {
            return Ok(true);
        }
        for (number, kind) in columns {
            let of_column = OfColumn::load(block, &tail, self.levels(), (number, kind))?;
            self.column(block, &tail, &of_column)?;
        }
        Ok(true)
    }

    /// Takes the block's statistics, if they are those of exactly the rows that are asked for.
    fn whole(&mut self, block: &Block, tail: &Tail, columns: &[(usize, ValueKind)]) -> Result<bool, Error> {
        let (entry, span) = (&block.entry, &self.filter.span);
        let is_whole = self.gather.query.resolution == Resolution::All
            && !self.gather.needs.edges
            && (span.from..span.to).contains(&entry.ts_min)
            && (span.from..span.to).contains(&entry.ts_max)
            && entry.ts_min >= self.filter.kept_from;
        if !is_whole {
            return Ok(false);
        }
        for (number, _) in columns {
            if let Some(totals) = &tail.columns[*number].totals {
                self.gather.totals(None, entry.ts_min, totals)?;
            }
        }
        if !columns.is_empty() {
            self.meter.covered(Tier::Hot, entry.rows);
        }
        Ok(true)
    }

    fn column(&mut self, block: &Block, tail: &Tail, of: &OfColumn) -> Result<(), Error> {
        let mut gaps = Gaps::new();
        if !self.is_by_device() {
            let held = block.entry.ts_min..block.entry.ts_max + 1;
            self.part(tail, of, 0, held, None, &mut gaps)?;
            return self.gaps(tail, of, gaps);
        }
        match self.filter.devices {
            Devices::One(device) => self.device(tail, of, device, 0, &mut gaps)?,
            Devices::List(devices) => {
                let mut place = 0;
                for device in devices {
                    place = tail.directory.seek(place, *device);
                    self.device(tail, of, *device, place, &mut gaps)?;
                }
            }
            Devices::All => {
                for (place, device) in tail.directory.devices().iter().enumerate() {
                    if !self.shared.is_erased(*device) {
                        self.device(tail, of, *device, place, &mut gaps)?;
                    }
                }
            }
        }
        self.gaps(tail, of, gaps)
    }

    /// Takes what is known of a device whose place in the directory is `from` or behind.
    fn device(
        &mut self,
        tail: &Tail,
        of: &OfColumn,
        device: DeviceId,
        from: usize,
        gaps: &mut Gaps,
    ) -> Result<(), Error> {
        let place = tail.directory.seek(from, device);
        if tail.directory.devices().get(place) != Some(&device) {
            return Ok(());
        }
        let span = tail.directory.span(place);
        self.part(tail, of, place, span.ts_min..span.ts_max + 1, Some(device), gaps)
    }

    /// Takes the buckets over all devices, or those of one.
    fn part(
        &mut self,
        tail: &Tail,
        of: &OfColumn,
        place: usize,
        held: Range<Millis>,
        device: Option<DeviceId>,
        gaps: &mut Gaps,
    ) -> Result<(), Error> {
        let (span, kept_from) = (&self.filter.span, self.filter.kept_from);
        let wanted = span.from.max(kept_from)..span.to;
        // Rows before `kept_from` are past retention, but for those that were received after it.
        let old = span.from.max(held.start)..kept_from.min(span.to).min(held.end);
        if !old.is_empty() && tail.has_received() {
            gaps.old = true;
        }
        let levels: Vec<Buckets<'_>> =
            of.levels.iter().map(|(level, rollup)| (level.period(), rollup.buckets(place))).collect();
        let cover = Cover { resolution: self.gather.query.resolution, wanted, held };
        let mut left = Vec::new();
        let (gather, meter, order) = (&mut *self.gather, &mut *self.meter, self.source.order);
        cover.divide(&levels, &mut left, &mut |level, at| {
            let bucket = &levels[level].1[at];
            let start = bucket.start.max(cover.held.start);
            gather.totals(device, start, &bucket.totals)?;
            meter.covered(Tier::Hot, bucket.totals.count());
            match of.levels[level].1.edges().get(at) {
                Some(edges) if gather.needs.edges => gather.edges(start, of.kind, edges, order),
                _ => Ok(()),
            }
        })?;
        if !left.is_empty() {
            gaps.times.insert(device, left);
        }
        Ok(())
    }

    /// Reads the rows that are left.
    fn gaps(&mut self, tail: &Tail, of: &OfColumn, gaps: Gaps) -> Result<(), Error> {
        if gaps.old {
            let old = self.filter.span.from..self.filter.kept_from.min(self.filter.span.to);
            self.rows(of.kind, std::slice::from_ref(&old))?;
        }
        let Gaps { times, .. } = gaps;
        let Some(of_all) = times.get(&None) else {
            return self.cells(tail, of, &|device| times.get(&Some(device)).map(|times| &times[..]));
        };
        // Two times apart are read one after the other, more in one pass over all that lies between them.
        let together = if of_all.len() <= GAPS_MAX { 1 } else { of_all.len() };
        of_all.chunks(together).try_for_each(|times| match self.gather.needs.edges {
            true => self.rows(of.kind, times),
            false => self.cells(tail, of, &|_| Some(times)),
        })
    }

    /// Adds up the cells of all devices in the times that are wanted of them.
    fn cells<'t>(
        &mut self,
        tail: &Tail,
        of: &OfColumn,
        times: &dyn Fn(DeviceId) -> Option<&'t [Range<Millis>]>,
    ) -> Result<(), Error> {
        let spans = |span: Span| {
            let times = times(span.device)?;
            let is_apart = times.first()?.start > span.ts_max || times.last()?.end <= span.ts_min;
            (!is_apart).then_some((span, times))
        };
        let wanted: Vec<Wanted<'_>> = match self.filter.devices {
            Devices::One(device) => tail.directory.find(device).and_then(spans).into_iter().collect(),
            Devices::List(devices) => {
                devices.iter().filter_map(|device| spans(tail.directory.find(*device)?)).collect()
            }
            Devices::All => tail.directory.spans().filter_map(spans).collect(),
        };
        CellsOf { tail, column: of.number }.add_up(&wanted, self.meter, self.gather)
    }

    /// Reads rows in times that are ascending and apart, one by one.
    fn rows(&mut self, kind: ValueKind, times: &[Range<Millis>]) -> Result<(), Error> {
        let (Some(first), Some(last)) = (times.first(), times.last()) else { return Ok(()) };
        let Selection::Metric { name, .. } = self.filter.selection else { return Ok(()) };
        let filter = Filter {
            span: QuerySpan { from: first.start, to: last.end, tag: None },
            selection: Selection::Metric { name, kind: Some(kind) },
            ..self.filter.clone()
        };
        let (gather, order) = (&mut *self.gather, self.source.order);
        self.source.scan(self.shared, &filter, self.meter, &mut |row| {
            let next = times.partition_point(|times| times.end <= row.key.ts);
            if times.get(next).is_some_and(|times| times.contains(&row.key.ts)) {
                gather.row(&row, order)?;
            }
            Ok(true)
        })
    }
}

/// The metric's columns, by number, if all of them hold numbers.
fn selected<'k>(
    filter: &Filter<'_>,
    keys: impl Iterator<Item = &'k model::ColumnKey>,
) -> Option<Vec<(usize, ValueKind)>> {
    let wanted = keys.enumerate().filter(|(_, key)| filter.selection.place(key).is_some());
    wanted.map(|(number, key)| (key.kind != ValueKind::Str).then_some((number, key.kind))).collect()
}

/// What is known of a column, long buckets first.
struct OfColumn {
    /// Its number among the metrics.
    number: usize,
    kind: ValueKind,
    levels: Vec<(Level, Known)>,
}

/// A rollup that is there.
struct Known(Arc<Option<Rollup>>);

impl std::ops::Deref for Known {
    type Target = Rollup;
    fn deref(&self) -> &Rollup {
        self.0.as_ref().as_ref().expect("only rollups that are there are kept")
    }
}

impl OfColumn {
    fn load(
        block: &Block,
        tail: &Tail,
        wanted: impl Iterator<Item = Level>,
        (number, kind): (usize, ValueKind),
    ) -> Result<Self, Error> {
        let mut levels = Vec::new();
        for level in wanted {
            let rollup = block.rollup(tail, level, number)?;
            levels.extend(rollup.filter(|rollup| rollup.is_some()).map(|rollup| (level, Known(rollup))));
        }
        Ok(Self { number, kind, levels })
    }
}
