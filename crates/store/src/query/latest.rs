//! The latest value of each metric: that of the greatest (ts, boot, seq) whose ts is not ahead of its receipt.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{DeviceId, Millis, TableKind, TenantId};

use super::{Budget, Meter, Scope, SourceRead, Value};
use crate::error::Error;
use crate::key::RowKey;
use crate::store::Shared;

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

/// The answer for a class: devices with rows, ascending by id.
#[derive(Clone, PartialEq, Debug)]
pub struct LatestOfClass {
    pub devices: Vec<DeviceLatest>,
    /// The last device of this page, if there are more.
    pub next: Option<DeviceId>,
    pub sources: Vec<SourceRead>,
}

/// The latest values found so far.
#[derive(Default)]
pub(crate) struct Found(BTreeMap<Arc<str>, (RowKey, Value)>);

impl Found {
    /// Whether a row with this key is later than what was found.
    pub fn is_later(&self, metric: &str, key: &RowKey) -> bool {
        self.0.get(metric).is_none_or(|(found, _)| key > found)
    }

    /// Whether a row at `ts` or before could be a metric's latest.
    pub fn is_open_at(&self, metric: &str, ts: Millis) -> bool {
        self.0.get(metric).is_none_or(|(found, _)| ts >= found.ts)
    }

    pub fn has(&self, metric: &str) -> bool {
        self.0.contains_key(metric)
    }

    /// Takes a value if its row is later, or equal: of equal rows, the one that is offered last wins.
    pub fn offer(&mut self, metric: &Arc<str>, key: RowKey, value: Value) {
        if self.0.get(metric).is_none_or(|(found, _)| key >= *found) {
            self.0.insert(metric.clone(), (key, value));
        }
    }

    /// Takes what was found in rows that came before: of equal rows, what is there wins.
    pub fn merge_older(&mut self, older: Self) {
        for (metric, (key, value)) in older.0 {
            if self.is_later(&metric, &key) {
                self.0.insert(metric, (key, value));
            }
        }
    }

    fn finish(self) -> Vec<LatestMetric> {
        self.0.into_iter().map(|(name, (key, value))| (name, key.ts, value)).collect()
    }
}

/// See [`crate::Store::latest`].
pub(crate) fn of_device(shared: &Shared, tenant: TenantId, device: DeviceId, budget: Budget) -> Result<Latest, Error> {
    let mut meter = Meter::new(&shared.clock, budget);
    let scope = Scope::Device(device);
    let mut found = Found::default();
    if !shared.is_erased(device) {
        // Of rows that are equal, those of the later table win, as those that came later do.
        for table in shared.tables_of(tenant, &scope, TableKind::Readings).iter().rev() {
            shared.snapshot(table).latest(device, &mut meter, &mut found)?;
        }
    }
    Ok(Latest { metrics: found.finish(), sources: meter.sources() })
}

/// See [`crate::Store::latest_of_class`].
pub(crate) fn of_class(
    shared: &Shared,
    tenant: TenantId,
    class: &str,
    after: Option<DeviceId>,
    limit: usize,
    budget: Budget,
) -> Result<LatestOfClass, Error> {
    let mut meter = Meter::new(&shared.clock, budget);
    let scope = Scope::Class(class.to_owned());
    let mut answer = LatestOfClass { devices: Vec::new(), next: None, sources: Vec::new() };
    for table in shared.tables_of(tenant, &scope, TableKind::Readings) {
        let snapshot = shared.snapshot(&table);
        let mut ids = snapshot.devices_after(shared, after, limit + 1)?;
        if ids.len() > limit {
            ids.truncate(limit);
            answer.next = ids.last().copied();
        }
        for device in ids {
            let mut found = Found::default();
            snapshot.latest(device, &mut meter, &mut found)?;
            answer.devices.push(DeviceLatest { device, metrics: found.finish() });
        }
    }
    // A device all of whose rows are past retention has nothing to say.
    answer.devices.retain(|device| !device.metrics.is_empty());
    answer.sources = meter.sources();
    Ok(answer)
}
