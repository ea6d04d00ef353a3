//! What to merge, to drop and to rewrite: pure functions of the catalog. One worker does what they say.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{DeviceId, Millis, Partition, Table};

use super::{Catalog, Entry};
use crate::key::millis;

#[cfg(test)]
mod tests;

/// Rows of a block that a merge writes.
pub const BLOCK_ROWS_MAX: usize = 1 << 20;
/// Fewer runs are not worth a merge.
const MERGE_RUNS_MIN: usize = 4;
/// More runs would open too many files at once.
const MERGE_RUNS_MAX: usize = 16;
/// Rows of a run beyond which it is left alone.
const RUN_ROWS_MAX: u64 = 1 << 26;
/// Rows per device beyond which a run is left alone: a query for one device then reads whole pages of it.
const DEVICE_ROWS_ENOUGH: u64 = 4096;
/// Runs up to this size are merged whatever times they span.
const SMALL_ROWS: u64 = 1 << 16;
/// Times that a run spans if its table has no retention.
const SPAN_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// The share of a table's retention that a run may span, so that rows go not much later than they are hidden.
const SPANS_PER_RETENTION: i64 = 8;
/// Where the retention clock of a new store stands.
const UNSET: Millis = 0;
/// How much the retention clock may advance at once, and by how much it may gain on the monotonic clock.
const AGE_STEP_MAX: Duration = Duration::from_secs(24 * 3600);
const AGE_GAIN: i64 = 24;
/// How long an erased device is remembered: what it sent before may still be on its way.
const ERASED_KEPT: Duration = Duration::from_secs(48 * 3600);

/// Blocks that were written by one merge or from one chunk: their rows are of disjoint devices.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Run<'a> {
    blocks: Vec<&'a Entry>,
    rows: u64,
    devices: u64,
    ts: (Millis, Millis),
}

/// What keeps merges of one kind together.
type Group<'a> = (&'a Table, Partition, bool, bool);

/// The ids of blocks to merge into one run, in the order of arrival. Runs are merged with their neighbours, so that the
/// order of arrival is kept; a merge at least doubles the largest of them, so that a row is rewritten at most
/// log2(largest run / smallest run) times. Small ones go first. `is_final` names blocks that are left alone, `age_max_ms`
/// gives a table's retention.
pub fn merge(
    catalog: &Catalog,
    is_final: impl Fn(&Entry) -> bool,
    age_max_ms: impl Fn(&Table) -> Option<i64>,
) -> Option<Vec<u64>> {
    let mut best: Option<(u64, Vec<u64>)> = None;
    for ((table, _, late, _), runs) in &groups(catalog) {
        let age_max = age_max_ms(table).map(|age| (age / SPANS_PER_RETENTION).max(1));
        let span_max = if *late { i64::MAX } else { age_max.unwrap_or(millis(SPAN_MAX)) };
        let is_left = |run: &Run<'_>| is_enough(run) || run.blocks.iter().any(|entry| is_final(entry));
        for open in runs.split(is_left) {
            let Some(window) = window(open, span_max) else { continue };
            let largest = window.iter().map(|run| run.rows).max().unwrap_or(0);
            if best.as_ref().is_none_or(|(rows, _)| largest < *rows) {
                let ids = window.iter().flat_map(|run| &run.blocks).map(|entry| entry.id);
                best = Some((largest, ids.collect()));
            }
        }
    }
    best.map(|(_, ids)| ids)
}

fn groups(catalog: &Catalog) -> BTreeMap<Group<'_>, Vec<Run<'_>>> {
    let mut groups: BTreeMap<Group<'_>, Vec<Run<'_>>> = BTreeMap::new();
    for entry in catalog.blocks.iter().filter(|entry| !entry.damaged) {
        let runs = groups.entry((&entry.table, entry.partition, entry.late, entry.narrow)).or_default();
        match runs.last_mut().filter(|run| run.blocks[0].sequences == entry.sequences) {
            Some(run) => {
                run.blocks.push(entry);
                run.rows += entry.rows;
                run.devices += u64::from(entry.devices);
                run.ts = (run.ts.0.min(entry.ts_min), run.ts.1.max(entry.ts_max));
            }
            None => runs.push(Run {
                blocks: vec![entry],
                rows: entry.rows,
                devices: u64::from(entry.devices),
                ts: (entry.ts_min, entry.ts_max),
            }),
        }
    }
    groups
}

fn is_enough(run: &Run<'_>) -> bool {
    let is_full = run.rows >= BLOCK_ROWS_MAX as u64 && run.rows / run.devices.max(1) >= DEVICE_ROWS_ENOUGH;
    is_full || run.rows >= RUN_ROWS_MAX
}

/// The neighbours whose merge is cheapest: the largest of them is the smallest.
fn window<'a, 'b>(runs: &'a [Run<'b>], span_max: i64) -> Option<&'a [Run<'b>]> {
    let mut best: Option<(u64, &[Run<'b>])> = None;
    for start in 0..runs.len() {
        let (mut rows, mut largest, mut ts) = (0, 0, runs[start].ts);
        for (at, run) in runs[start..].iter().enumerate().take(MERGE_RUNS_MAX) {
            rows += run.rows;
            largest = largest.max(run.rows);
            ts = (ts.0.min(run.ts.0), ts.1.max(run.ts.1));
            if ts.1.saturating_sub(ts.0) > span_max && rows > SMALL_ROWS {
                break;
            }
            let is_wide = at + 1 >= MERGE_RUNS_MIN && rows >= 2 * largest;
            // Of windows with the same largest run, the longest.
            let is_better = best.is_none_or(|(other, window)| (largest, window.len()) < (other, at + 1));
            if is_wide && is_better {
                best = Some((largest, &runs[start..=start + at]));
            }
        }
    }
    best.map(|(_, window)| window)
}

/// The ids of blocks all of whose rows are past retention. `kept_from` gives the time for each table.
pub fn drop_old(catalog: &Catalog, kept_from: impl Fn(&Table) -> Millis) -> Vec<u64> {
    let is_old = |entry: &&Entry| entry.newest < kept_from(&entry.table);
    catalog.blocks.iter().filter(is_old).map(|entry| entry.id).collect()
}

/// The blocks to rewrite because they hold an erased device. `holds` looks into the block's directory.
pub fn rewrite(catalog: &Catalog, mut holds: impl FnMut(&Entry, DeviceId) -> bool) -> Vec<u64> {
    let may_hold = |entry: &Entry, device: DeviceId| (entry.device_min..=entry.device_max).contains(&device);
    let mut is_hit = |entry: &&Entry| {
        !entry.damaged && catalog.erased.keys().any(|device| may_hold(entry, *device) && holds(entry, *device))
    };
    catalog.blocks.iter().filter(|entry| is_hit(entry)).map(|entry| entry.id).collect()
}

/// The erased devices that need not be remembered any longer, once no block holds them.
pub fn forget(catalog: &Catalog, now: Millis) -> Vec<DeviceId> {
    let is_past = |at: Millis| now.saturating_sub(at) > millis(ERASED_KEPT);
    catalog.erased.iter().filter(|(_, at)| is_past(**at)).map(|(device, _)| *device).collect()
}

/// The time up to which rows may be dropped for their age: the wall clock, unless it ran ahead of the monotonic one. A
/// clock that jumps to 2106 would otherwise cost all data at once; so it costs a day's worth at first and then 24 hours'
/// per hour, which is time to set it right. Back it goes at once.
pub fn age_to(aged_to: Millis, now: Millis, elapsed: Duration) -> Millis {
    set(match aged_to {
        UNSET => now,
        aged_to => now.min(aged_to.saturating_add(millis(elapsed).saturating_mul(AGE_GAIN))),
    })
}

/// Like [`age_to`], at start: how long the store was closed is not known.
pub fn age_to_at_start(aged_to: Millis, now: Millis) -> Millis {
    set(match aged_to {
        UNSET => now,
        aged_to => now.min(aged_to.saturating_add(millis(AGE_STEP_MAX))),
    })
}

/// A retention clock that stands at the first millisecond of 1970 is set all the same: were it taken for one that is not, the
/// next jump would be believed.
fn set(aged_to: Millis) -> Millis {
    if aged_to == UNSET { UNSET + 1 } else { aged_to }
}
