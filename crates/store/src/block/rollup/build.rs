//! Sorted rows → rollups.

use std::ops::Range;

use model::wire::Writer;
use model::{Millis, ValueKind};

use super::{BUCKET_ROWS_MIN, Level, RolledUp};
use crate::block::key::put_key;
use crate::block::varint;
use crate::query::accumulate::Totals;
use crate::sorted::{Optional, Present, SortedRows};

/// How many buckets the time that a block spans may have for each that is allowed: the others are empty.
const EMPTY_BUCKETS: usize = 4;

/// Writes the section, unless no level pays; says whether it did.
pub fn encode(rows: &SortedRows, out: &mut Vec<u8>) -> bool {
    let Some(plan) = Plan::new(rows) else { return false };
    let mut index = vec![plan.levels.len() as u8];
    let mut parts: Vec<Vec<Vec<u8>>> = plan.levels.iter().map(|_| Vec::new()).collect();
    for (key, cells) in &rows.columns {
        if key.kind == ValueKind::Str {
            parts.iter_mut().for_each(|parts| parts.push(Vec::new()));
            continue;
        }
        let built = Built::new(rows, &plan, key.kind, cells);
        for (level, parts) in plan.levels.iter().zip(&mut parts) {
            parts.push(built.put(rows, &plan, *level));
        }
    }
    for (level, parts) in plan.levels.iter().zip(&parts) {
        index.push(*level as u8);
        parts.iter().for_each(|part| index.u32(part.len() as u32));
    }
    out.extend_from_slice(&index);
    parts.iter().flatten().for_each(|part| out.extend_from_slice(part));
    true
}

/// Rows of one device in one minute, or hour if no level needs minutes.
struct Run {
    device: u32,
    start: Millis,
    rows: Range<usize>,
}

/// Which levels pay, and what all columns need for them.
struct Plan {
    levels: Vec<Level>,
    runs: Vec<Run>,
    /// The period of the runs.
    period: Millis,
    /// The start of the first bucket that a row is in.
    first: Millis,
    /// How many buckets there are from there to the last row.
    span: usize,
}

impl Plan {
    fn new(rows: &SortedRows) -> Option<Self> {
        let buckets_max = rows.len() / BUCKET_ROWS_MIN;
        let [hours, minutes] = Level::of(false);
        let span = |level| span(rows, level).filter(|(_, span)| *span <= EMPTY_BUCKETS * buckets_max);
        // Where hours are too many, minutes are as well, and those of each device all the more.
        let (mut first, mut buckets) = span(hours)?;
        let mut levels = vec![hours];
        let mut period = hours.period();
        if let Some(of_minutes) = span(minutes) {
            levels.push(minutes);
            period = minutes.period();
            (first, buckets) = of_minutes;
        }
        let runs = runs(rows, period);
        levels.retain(|level| occupied(&runs, first, buckets, period, level.period()) <= buckets_max);
        for level in Level::of(true).into_iter().filter(|level| level.period() >= period) {
            let same = |run: &Run, other: &Run| run.device == other.device && same_bucket(run, other, level.period());
            if runs.chunk_by(same).count() <= buckets_max {
                levels.push(level);
            }
        }
        (!levels.is_empty()).then_some(Self { levels, runs, period, first, span: buckets })
    }
}

/// The start of the first bucket that a row is in, and how many there are to the last one.
fn span(rows: &SortedRows, level: Level) -> Option<(Millis, usize)> {
    let period = level.period();
    let first = rows.devices.iter().map(|span| rows.ts[span.rows.start]).min()?.div_euclid(period);
    let last = rows.devices.iter().map(|span| rows.ts[span.rows.end - 1]).max()?.div_euclid(period);
    Some((first.checked_mul(period)?, usize::try_from(last.checked_sub(first)?).ok()? + 1))
}

fn runs(rows: &SortedRows, period: Millis) -> Vec<Run> {
    let mut runs = Vec::new();
    for (device, span) in (0u32..).zip(&rows.devices) {
        let mut at = span.rows.start;
        while at < span.rows.end {
            let start = rows.ts[at].div_euclid(period) * period;
            let end = at + first_from(&rows.ts[at..span.rows.end], start.saturating_add(period));
            runs.push(Run { device, start, rows: at..end });
            at = end;
        }
    }
    runs
}

/// The place of the first ts that is not less than `bound`: it is near.
fn first_from(ts: &[Millis], bound: Millis) -> usize {
    let mut step = 1;
    while ts.get(step - 1).is_some_and(|ts| *ts < bound) {
        step *= 2;
    }
    let (from, to) = (step / 2, ts.len().min(step - 1));
    from + ts[from..to].partition_point(|ts| *ts < bound)
}

fn same_bucket(run: &Run, other: &Run, period: Millis) -> bool {
    run.start.div_euclid(period) == other.start.div_euclid(period)
}

/// How many buckets of a period hold a run.
fn occupied(runs: &[Run], first: Millis, span: usize, of_runs: Millis, period: Millis) -> usize {
    let mut is_occupied = vec![false; span];
    runs.iter().for_each(|run| is_occupied[((run.start - first) / of_runs) as usize] = true);
    let starts = (0..span).filter(|at| is_occupied[*at]).map(|at| (first + at as Millis * of_runs).div_euclid(period));
    let starts: Vec<Millis> = starts.collect();
    starts.chunk_by(|start, other| start == other).count()
}

/// One column's totals.
struct Built {
    /// Of each run, if it has a value.
    of_runs: Vec<Option<Totals>>,
    /// Of each bucket of the plan's period over all devices, and its first and last row: device, row, bits.
    of_all: Vec<Option<(Totals, [EdgeRow; 2])>>,
}

/// A row that is the first or last: its device's number, and its value.
#[derive(Clone, Copy)]
struct EdgeRow {
    device: u32,
    row: usize,
    bits: u64,
}

impl Built {
    fn new(rows: &SortedRows, plan: &Plan, kind: ValueKind, cells: &Optional) -> Self {
        let mut of_runs = Vec::with_capacity(plan.runs.len());
        let mut of_all: Vec<Option<(Totals, [EdgeRow; 2])>> = vec![None; plan.span];
        let mut next = 0;
        for run in &plan.runs {
            let values = match &cells.present {
                Present::All => run.rows.clone(),
                Present::Rows(present) => {
                    let start = next;
                    next += present[start..].iter().take_while(|row| (**row as usize) < run.rows.end).count();
                    start..next
                }
            };
            let Some(totals) = Totals::of(kind, &cells.values[values.clone()]) else {
                of_runs.push(None);
                continue;
            };
            of_runs.push(Some(totals));
            let edge = |at: usize| EdgeRow { device: run.device, row: row_of(cells, at), bits: cells.values[at] };
            let edges = [edge(values.start), edge(values.end - 1)];
            match &mut of_all[((run.start - plan.first) / plan.period) as usize] {
                empty @ None => *empty = Some((totals, edges)),
                Some((all, all_edges)) => {
                    all.merge(&totals);
                    join(rows, all_edges, edges);
                }
            }
        }
        Self { of_runs, of_all }
    }

    /// The part of a level; empty without a value.
    fn put(&self, rows: &SortedRows, plan: &Plan, level: Level) -> Vec<u8> {
        let mut out = Vec::new();
        if self.of_runs.iter().all(Option::is_none) {
            return out;
        }
        if !level.is_by_device() {
            self.put_all(rows, plan, level, &mut out);
            return out;
        }
        let mut next = 0;
        let mut buckets: Vec<RolledUp> = Vec::new();
        for device in 0..rows.devices.len() as u32 {
            buckets.clear();
            while plan.runs.get(next).is_some_and(|run| run.device == device) {
                if let Some(totals) = &self.of_runs[next] {
                    let start = plan.runs[next].start.div_euclid(level.period()) * level.period();
                    match buckets.last_mut().filter(|last| last.start == start) {
                        Some(last) => last.totals.merge(totals),
                        None => buckets.push(RolledUp { start, totals: *totals }),
                    }
                }
                next += 1;
            }
            varint::put(&mut out, buckets.len() as u64);
            let mut before = 0;
            buckets.iter().for_each(|bucket| put_bucket(&mut out, bucket, level, &mut before));
        }
        out
    }

    fn put_all(&self, rows: &SortedRows, plan: &Plan, level: Level, out: &mut Vec<u8>) {
        let mut buckets: Vec<(RolledUp, [EdgeRow; 2])> = Vec::new();
        for (of_all, at) in self.of_all.iter().zip(0..) {
            let Some((totals, edges)) = of_all else { continue };
            let start = (plan.first + at * plan.period).div_euclid(level.period()) * level.period();
            match buckets.last_mut().filter(|(last, _)| last.start == start) {
                // What is later in time has the later rows.
                Some((last, last_edges)) => {
                    last.totals.merge(totals);
                    last_edges[1] = edges[1];
                }
                None => buckets.push((RolledUp { start, totals: *totals }, *edges)),
            }
        }
        varint::put(out, buckets.len() as u64);
        let mut before = 0;
        for (bucket, edges) in &buckets {
            put_bucket(out, bucket, level, &mut before);
            for edge in edges {
                varint::put(out, u64::from(edge.device));
                put_key(out, rows.key(edge.row), bucket.start);
                out.u64(edge.bits);
            }
        }
    }
}

fn put_bucket(out: &mut Vec<u8>, bucket: &RolledUp, level: Level, before: &mut i64) {
    let number = bucket.start.div_euclid(level.period());
    varint::put_zigzag(out, number.wrapping_sub(*before));
    *before = number;
    match bucket.totals {
        Totals::Doubles { count, sum, min, max } => {
            varint::put(out, count);
            [sum, min, max].into_iter().for_each(|value| out.u64(value.to_bits()));
        }
        Totals::Integers { count, sum, min, max } => {
            varint::put(out, count);
            out.u128(sum as u128);
            [min, max].into_iter().for_each(|value| varint::put_zigzag(out, value));
        }
    }
}

fn row_of(cells: &Optional, at: usize) -> usize {
    match &cells.present {
        Present::All => at,
        Present::Rows(rows) => rows[at] as usize,
    }
}

/// Of rows that are equal, the one of the lower device comes first; runs come in the order of devices.
fn join(rows: &SortedRows, edges: &mut [EdgeRow; 2], others: [EdgeRow; 2]) {
    let is_before = |a: usize, b: usize| match rows.ts[a].cmp(&rows.ts[b]) {
        std::cmp::Ordering::Equal => rows.key(a) < rows.key(b),
        order => order.is_lt(),
    };
    if is_before(others[0].row, edges[0].row) {
        edges[0] = others[0];
    }
    if !is_before(others[1].row, edges[1].row) {
        edges[1] = others[1];
    }
}
