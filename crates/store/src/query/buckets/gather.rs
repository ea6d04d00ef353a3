//! Rows on their way into buckets.

use std::collections::HashMap;

use model::limits::PERCENTILE_EXACT_MAX;
use model::{DeviceId, Millis, ValueKind};

use super::rolled_up::RolledUp;
use super::{BucketCursor, BucketQuery, Buckets, Resolution, Series, check_texts};
use crate::block::Edge;
use crate::error::Error;
use crate::query::accumulate::{Accumulator, Needs, Totals};
use crate::query::scan::{Filter, Row, Source, value_of};
use crate::query::{Meter, SourceRead};
use crate::store::Shared;

/// Buckets that one query may make before it is told to use a coarser resolution.
const BUCKETS_MAX: usize = 500_000;
/// Exact values for percentiles that one query may hold over all its buckets.
const HELD_VALUES_MAX: usize = 8 * PERCENTILE_EXACT_MAX;

/// What tells buckets apart. Strings are kept apart from numbers, because only one of the two is answered.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    device: Option<DeviceId>,
    start: Millis,
    is_text: bool,
}

/// Rows on their way into buckets.
pub struct Gather<'a> {
    pub needs: Needs,
    /// Where the first bucket of this page begins.
    pub from: Millis,
    /// Sources of the tables before.
    pub order: usize,
    pub query: &'a BucketQuery,
    places: HashMap<Key, usize>,
    buckets: Vec<(Key, Accumulator)>,
    /// The bucket of the row before: mostly it is that of the next row too.
    last: usize,
    held: usize,
}

impl<'a> Gather<'a> {
    pub fn new(query: &'a BucketQuery) -> Self {
        let cursor = query.cursor.filter(|_| !query.by_device).map(|cursor| cursor.start);
        Self {
            needs: Needs::of(&query.aggregates),
            from: query.from.max(cursor.unwrap_or(Millis::MIN)),
            order: 0,
            query,
            places: HashMap::new(),
            buckets: Vec::new(),
            last: 0,
            held: 0,
        }
    }

    /// Takes a source in: by its totals as far as they are known, else row by row.
    pub fn source(
        &mut self,
        shared: &Shared,
        source: &Source<'_>,
        filter: &Filter<'_>,
        meter: &mut Meter<'_>,
    ) -> Result<(), Error> {
        if (RolledUp { gather: self, shared, source, filter, meter }).take()? {
            return Ok(());
        }
        let order = source.order;
        source.scan(shared, filter, meter, &mut |row| self.row(&row, order).map(|()| true))
    }

    /// Takes totals in of rows of which one is at `ts`, all of them in the same bucket.
    pub fn totals(&mut self, device: Option<DeviceId>, ts: Millis, totals: &Totals) -> Result<(), Error> {
        if totals.count() > 0 {
            let device = device.filter(|_| self.query.by_device);
            let at = self.bucket(Key { device, start: self.start_of(ts), is_text: false })?;
            self.buckets[at].1.add_totals(totals);
        }
        Ok(())
    }

    /// Takes in the first and the last row of what is counted in totals; one of the rows counted is at `ts`.
    pub fn edges(&mut self, ts: Millis, kind: ValueKind, edges: &[Edge; 2], order: usize) -> Result<(), Error> {
        let at = self.bucket(Key { device: None, start: self.start_of(ts), is_text: false })?;
        for edge in edges {
            let value = value_of(kind, edge.bits, |_| "".into());
            self.buckets[at].1.add_edge((edge.key, edge.device, self.order + order), &value);
        }
        Ok(())
    }

    /// Takes cells of numbers in, with the ts of each, of one device or of several.
    pub fn cells(
        &mut self,
        device: Option<DeviceId>,
        kind: ValueKind,
        mut ts: &[Millis],
        mut cells: &[u64],
    ) -> Result<(), Error> {
        while let Some(first) = ts.first() {
            let bucket = self.query.resolution.bucket(*first);
            let same = ts.iter().position(|ts| !bucket.contains(ts)).unwrap_or(ts.len());
            let (of_bucket, others) = cells.split_at(same);
            if let Some(totals) = Totals::of(kind, of_bucket) {
                self.totals(device, *first, &totals)?;
            }
            (ts, cells) = (&ts[same..], others);
        }
        Ok(())
    }

    /// Takes a row in; `order` is that of its source.
    pub fn row(&mut self, row: &Row, order: usize) -> Result<(), Error> {
        let [Some(value), _] = &row.values else { return Ok(()) };
        let start = self.start_of(row.key.ts);
        let device = self.query.by_device.then_some(row.device);
        let at = self.bucket(Key { device, start, is_text: value.kind() == ValueKind::Str })?;
        self.buckets[at].1.add(self.needs, (row.key, row.device, self.order + order), value);
        if self.needs.percentiles {
            self.held += 1;
            if self.held > HELD_VALUES_MAX {
                self.sketch_all();
            }
        }
        Ok(())
    }

    fn bucket(&mut self, key: Key) -> Result<usize, Error> {
        if self.buckets.get(self.last).is_some_and(|(last, _)| *last == key) {
            return Ok(self.last);
        }
        let next = self.buckets.len();
        self.last = *self.places.entry(key).or_insert(next);
        if self.last == next {
            if next == BUCKETS_MAX {
                return Err(Error::Budget { what: format!("would make more than {BUCKETS_MAX} buckets") });
            }
            self.buckets.push((key, Accumulator::default()));
        }
        Ok(self.last)
    }

    fn start_of(&self, ts: Millis) -> Millis {
        match self.query.resolution {
            Resolution::All => self.query.from,
            // The first bucket of all time begins where time does.
            resolution => resolution.bucket(ts).start,
        }
    }

    fn sketch_all(&mut self) {
        self.buckets.iter_mut().for_each(|(_, bucket)| bucket.sketch());
        self.held = 0;
    }

    /// The answer: numbers, or strings if there are no numbers.
    pub fn finish(mut self, sources: Vec<SourceRead>) -> Result<Buckets, Error> {
        let has_numbers = self.buckets.iter().any(|(key, _)| !key.is_text);
        self.buckets.retain(|(key, _)| key.is_text != has_numbers);
        if !self.buckets.is_empty() && !has_numbers {
            check_texts(self.query)?;
        }
        let place = |key: &Key| BucketCursor { device: key.device, start: key.start };
        let is_answered = |key: &Key| self.query.cursor.is_some_and(|cursor| place(key) < cursor);
        self.buckets.retain(|(key, _)| !is_answered(key));
        self.buckets.sort_unstable_by_key(|(key, _)| place(key));
        let next = self.buckets.get(self.query.limit).map(|(key, _)| place(key));
        self.buckets.truncate(self.query.limit);
        let by_device = self.query.by_device;
        let mut series = if by_device { Vec::new() } else { vec![Series { device: None, buckets: Vec::new() }] };
        for (key, mut accumulator) in self.buckets {
            if by_device && series.last().is_none_or(|series: &Series| series.device != key.device) {
                series.push(Series { device: key.device, buckets: Vec::new() });
            }
            let bucket = accumulator.finish(key.start, &self.query.aggregates);
            series.last_mut().expect("a series was just made").buckets.push(bucket);
        }
        Ok(Buckets { series, next, sources })
    }
}
