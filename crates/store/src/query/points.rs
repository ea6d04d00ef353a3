//! Raw points: the values of one metric as they were sent, in the order of time.

use std::sync::Arc;

use model::{DeviceId, Millis, TableKind, TenantId, ValueKind};

use super::cursor::Place;
use super::scan::{Filter, Row, Selection};
use super::{Budget, Cursor, Devices, Meter, Scope, SourceRead, Span, Value};
use crate::error::Error;
use crate::key::RowKey;
use crate::store::Shared;

/// A question for raw points.
#[derive(Clone, Debug)]
pub struct PointQuery {
    pub tenant: TenantId,
    pub scope: Scope,
    pub metric: String,
    /// Only values of this type.
    pub kind: Option<ValueKind>,
    /// Inclusive.
    pub from: Millis,
    /// Exclusive.
    pub to: Millis,
    /// Only rows with this tag.
    pub tag: Option<(String, String)>,
    /// Points in the answer.
    pub limit: usize,
    pub cursor: Option<Cursor>,
    pub budget: Budget,
}

/// One value as it was sent.
#[derive(Clone, PartialEq, Debug)]
pub struct Point {
    pub device: DeviceId,
    pub ts: Millis,
    pub value: Value,
    pub seq: Option<u64>,
    pub boot: Option<u32>,
    /// When it was received, where that is more than a minute from `ts`.
    pub received: Option<Millis>,
    /// A JSON object of strings.
    pub tags: Option<Arc<str>>,
}

/// The answer: ascending by (ts, boot, seq), then by device.
#[derive(Clone, PartialEq, Debug)]
pub struct Points {
    pub points: Vec<Point>,
    pub next: Option<Cursor>,
    pub sources: Vec<SourceRead>,
}

/// See [`crate::Store::points`].
pub(crate) fn run(shared: &Shared, query: &PointQuery) -> Result<Points, Error> {
    let page = Page {
        tenant: query.tenant,
        scope: &query.scope,
        kind: TableKind::Readings,
        selection: Selection::Metric { name: &query.metric, kind: query.kind },
        from: query.from,
        to: query.to,
        tag: query.tag.as_ref().map(|(name, value)| (&**name, &**value)),
        limit: query.limit,
        cursor: query.cursor,
        budget: query.budget,
    };
    let (rows, next, sources) = page.read(shared, |_| true)?;
    let points = rows.into_iter().filter_map(|row| {
        let [value, _] = row.values;
        let RowKey { ts, boot, seq, received } = row.key;
        let received = (received != ts).then_some(received);
        value.map(|value| Point { device: row.device, ts, value, seq, boot, received, tags: row.tags })
    });
    Ok(Points { points: points.collect(), next, sources })
}

/// One page of rows in the order of (key, device), from all tables and sources that hold them.
pub(super) struct Page<'a> {
    pub tenant: TenantId,
    pub scope: &'a Scope,
    pub kind: TableKind,
    pub selection: Selection<'a>,
    pub from: Millis,
    pub to: Millis,
    pub tag: Option<(&'a str, &'a str)>,
    pub limit: usize,
    pub cursor: Option<Cursor>,
    pub budget: Budget,
}

/// The rows of a page, where the next one begins, and what was read.
type PageRead = (Vec<Row>, Option<Cursor>, Vec<SourceRead>);

/// A row, where it stands, and what settles equal places: the number of its source.
type Candidate = (Place, usize, Row);

impl Page<'_> {
    /// Reads the page; only rows for which `wanted` is true count.
    pub fn read(&self, shared: &Shared, wanted: impl Fn(&Row) -> bool) -> Result<PageRead, Error> {
        if self.limit == 0 {
            return Err(Error::Query("at least one row must be asked for".to_owned()));
        }
        let mut meter = Meter::new(&shared.clock, self.budget);
        let answered = self.cursor.map_or(0, |cursor| cursor.answered as usize);
        // The rows answered before under the cursor's own key, the page, and one that says whether there is more.
        let mut best = Best { rows: Vec::new(), max: answered + self.limit + 1 };
        let devices = shared.devices_of(self.scope);
        let mut base = 0;
        for table in shared.tables_of(self.tenant, self.scope, self.kind) {
            let snapshot = shared.snapshot(&table);
            let filter = self.filter(&devices, snapshot.kept_from, best.max);
            for source in snapshot.sources(&filter) {
                // Sources of a table come in the order of their first ts.
                if best.is_before(source.ts_min()) {
                    continue;
                }
                source.scan(shared, &filter, &mut meter, &mut |row| {
                    let place = Place { key: row.key, device: row.device };
                    let is_wanted = self.cursor.is_none_or(|cursor| place >= cursor.place) && wanted(&row);
                    if is_wanted {
                        best.push((place, base + source.order, row));
                    }
                    Ok(is_wanted)
                })?;
                best.trim();
            }
            base += snapshot.len();
        }
        let (rows, next) = self.cut(best.rows);
        Ok((rows, next, meter.sources()))
    }

    fn filter<'a>(&'a self, devices: &'a Option<Vec<DeviceId>>, kept_from: Millis, rows_max: usize) -> Filter<'a> {
        let from = self.cursor.map_or(self.from, |cursor| self.from.max(cursor.place.key.ts));
        Filter {
            span: Span { from, to: self.to, tag: self.tag },
            devices: Devices::of(devices),
            selection: self.selection,
            identity: true,
            tags: true,
            kept_from,
            rows_max,
        }
    }

    /// Leaves out what the page before answered, and says where the next one begins.
    fn cut(&self, mut rows: Vec<Candidate>) -> (Vec<Row>, Option<Cursor>) {
        let answered = self.cursor.map_or(0, |cursor| {
            let same = rows.iter().take_while(|(place, ..)| *place == cursor.place).count();
            same.min(cursor.answered as usize)
        });
        let more = rows.len() > answered + self.limit;
        rows.truncate(answered + self.limit);
        let next = rows.last().filter(|_| more).map(|(place, ..)| {
            let same = rows.iter().rev().take_while(|(other, ..)| other == place).count();
            Cursor { place: *place, answered: same as u32 }
        });
        (rows.into_iter().skip(answered).map(|(.., row)| row).collect(), next)
    }
}

/// The first rows of all that were seen.
struct Best {
    rows: Vec<Candidate>,
    max: usize,
}

impl Best {
    fn push(&mut self, candidate: Candidate) {
        self.rows.push(candidate);
        if self.rows.len() >= 2 * self.max {
            self.trim();
        }
    }

    /// Rows of equal place and source stay in the order in which they came.
    fn trim(&mut self) {
        self.rows.sort_by_key(|(place, source, _)| (*place, *source));
        self.rows.truncate(self.max);
    }

    /// Whether no row from `ts` on can be among the first.
    fn is_before(&self, ts: Millis) -> bool {
        self.rows.len() >= self.max && self.rows.last().is_some_and(|(place, ..)| place.key.ts < ts)
    }
}
