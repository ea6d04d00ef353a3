//! The latest value of each metric: that of the greatest (ts, boot, seq) whose ts is not ahead of its receipt.
//!
//! What came last most likely holds what is latest, so chunks and blocks are looked at from the last one on, and one that
//! cannot hold anything later than what was found is passed over. Chunks and blocks know their devices' latest rows
//! ([`crate::head::LatestRows`], [`crate::block::Latest`]); only where devices have few rows are these looked through.

use std::sync::Arc;

use model::{DeviceId, Millis, TableKind, TenantId};

use super::scan::Snapshot;
use super::{Budget, Meter, Scope, SourceRead, Value};
use crate::error::Error;
use crate::store::Shared;

mod blocks;
mod found;
mod head;

use found::Page;

/// A metric, the time of its latest value, and the value.
pub type LatestMetric = (Arc<str>, Millis, Value);

/// What a device said last.
#[derive(Clone, PartialEq, Debug)]
pub struct DeviceLatest {
    pub device: DeviceId,
    /// Ascending by name.
    pub metrics: Vec<LatestMetric>,
}

/// The answer for one device.
#[derive(Clone, PartialEq, Debug)]
pub struct Latest {
    /// Ascending by name; empty for a device without rows.
    pub metrics: Vec<LatestMetric>,
    pub sources: Vec<SourceRead>,
}

/// The answer for several devices: those with rows, ascending by id.
#[derive(Clone, PartialEq, Debug)]
pub struct LatestOfMany {
    pub devices: Vec<DeviceLatest>,
    /// The last device of this page, if there are more.
    pub next: Option<DeviceId>,
    pub sources: Vec<SourceRead>,
}

/// See [`crate::Store::latest`].
pub(crate) fn of_device(shared: &Shared, tenant: TenantId, device: DeviceId, budget: Budget) -> Result<Latest, Error> {
    let answer = of_many(shared, tenant, &Scope::Device(device), None, 1, budget)?;
    let metrics = answer.devices.into_iter().next().map_or(Vec::new(), |found| found.metrics);
    Ok(Latest { metrics, sources: answer.sources })
}

/// See [`crate::Store::latest_of_many`].
pub(crate) fn of_many(
    shared: &Shared,
    tenant: TenantId,
    scope: &Scope,
    after: Option<DeviceId>,
    limit: usize,
    budget: Budget,
) -> Result<LatestOfMany, Error> {
    let mut meter = Meter::new(&shared.clock, budget);
    let tables = shared.tables_of(tenant, scope, TableKind::Readings);
    let snapshots: Vec<Snapshot> = tables.iter().map(|table| shared.snapshot(table)).collect();
    let mut ids = match shared.devices_of(scope) {
        Some(named) => named.into_iter().filter(|id| after.is_none_or(|after| *id > after)).collect(),
        None => devices_after(shared, &snapshots, after, limit + 1)?,
    };
    let more = ids.len() > limit;
    ids.truncate(limit);
    let next = ids.last().copied().filter(|_| more);
    let mut page = Page::new(ids);
    // Of rows that are equal, those of the later table win, as those that came later do.
    for snapshot in snapshots.iter().rev() {
        for chunk in snapshot.chunks.iter().rev() {
            head::latest(chunk, snapshot.kept_from, &mut meter, &mut page)?;
        }
        for block in snapshot.blocks.iter().rev().filter(|block| block.entry.newest >= snapshot.kept_from) {
            blocks::latest(block, snapshot.kept_from, &mut meter, &mut page)?;
        }
    }
    Ok(LatestOfMany { devices: page.finish(), next, sources: meter.sources() })
}

/// The devices with rows, ascending, that come after one; at most `limit`.
fn devices_after(
    shared: &Shared,
    snapshots: &[Snapshot],
    after: Option<DeviceId>,
    limit: usize,
) -> Result<Vec<DeviceId>, Error> {
    let has_erased = shared.has_erased();
    let is_shown = |id: &DeviceId| !has_erased || !shared.is_erased(*id);
    let mut devices = Vec::new();
    for snapshot in snapshots {
        for chunk in &snapshot.chunks {
            let all = chunk.devices();
            let next = after.map_or(0, |after| all.partition_point(|(id, _)| *id <= after));
            unite(&mut devices, all[next..].iter().map(|(id, _)| *id).filter(is_shown), limit);
        }
        for block in snapshot.blocks.iter().filter(|block| block.entry.newest >= snapshot.kept_from) {
            let last = if devices.len() < limit { None } else { devices.last() };
            if last.is_some_and(|last| block.entry.device_min > *last) {
                continue;
            }
            let tail = block.open()?;
            let ids = tail.directory.devices();
            let next = after.map_or(0, |after| ids.partition_point(|id| *id <= after));
            let wanted = &ids[next..];
            // Blocks that were sealed one after the other mostly hold the same devices.
            if !has_erased && wanted.get(..limit).unwrap_or(wanted) == devices {
                continue;
            }
            unite(&mut devices, wanted.iter().copied().filter(is_shown), limit);
        }
    }
    Ok(devices)
}

/// Adds ids, which are ascending, to some that are; the first `limit` of all stay.
fn unite(devices: &mut Vec<DeviceId>, added: impl Iterator<Item = DeviceId>, limit: usize) {
    let mut united = Vec::with_capacity(limit.min(devices.len() * 2 + 16));
    let (mut before, mut added) = (devices.iter().copied().peekable(), added.peekable());
    while united.len() < limit {
        let next = match (before.peek(), added.peek()) {
            (None, None) => break,
            (Some(id), None) | (None, Some(id)) => *id,
            (Some(id), Some(other)) => *id.min(other),
        };
        before.next_if_eq(&next);
        added.next_if_eq(&next);
        united.push(next);
    }
    *devices = united;
}
