//! The latest values that were found so far.

use std::sync::Arc;

use model::{DeviceId, Millis};

use super::{DeviceLatest, LatestMetric};
use crate::key::RowKey;
use crate::query::Value;

/// A metric, where its latest row stands, and the value there.
type Metric = (Arc<str>, RowKey, Value);

/// The latest values of one device, ascending by name.
#[derive(Default)]
pub struct Found(Vec<Metric>);

impl Found {
    /// Takes a value of a row that comes before those that were offered, or stands beside one of them: of equal rows, what
    /// is there wins.
    pub fn offer_older(&mut self, metric: &Arc<str>, key: RowKey, value: impl FnOnce() -> Value) {
        match self.find(metric) {
            Ok(at) if key > self.0[at].1 => self.0[at] = (metric.clone(), key, value()),
            Ok(_) => {}
            Err(at) => self.0.insert(at, (metric.clone(), key, value())),
        }
    }

    /// Takes a value of a row that comes after those that were offered: of equal rows, it wins.
    pub fn offer_newer(&mut self, metric: &Arc<str>, key: RowKey, value: impl FnOnce() -> Value) {
        match self.find(metric) {
            Ok(at) if key >= self.0[at].1 => self.0[at] = (metric.clone(), key, value()),
            Ok(_) => {}
            Err(at) => self.0.insert(at, (metric.clone(), key, value())),
        }
    }

    /// Takes what was found in rows that came before.
    pub fn merge_older(&mut self, older: Self) {
        for (metric, key, value) in older.0 {
            self.offer_older(&metric, key, || value);
        }
    }

    /// Whether a row with this key is later than what was found.
    pub fn is_later(&self, metric: &str, key: &RowKey) -> bool {
        self.find(metric).map_or(true, |at| *key > self.0[at].1)
    }

    /// Whether a row at `ts` or before could be a metric's latest.
    pub fn is_open_at(&self, metric: &str, ts: Millis) -> bool {
        self.find(metric).map_or(true, |at| ts >= self.0[at].1.ts)
    }

    pub fn has(&self, metric: &str) -> bool {
        self.find(metric).is_ok()
    }

    fn find(&self, metric: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(name, ..)| (**name).cmp(metric))
    }

    fn finish(self) -> Vec<LatestMetric> {
        self.0.into_iter().map(|(name, key, value)| (name, key.ts, value)).collect()
    }
}

/// The latest values of a page of devices.
pub struct Page {
    /// Ascending.
    ids: Vec<DeviceId>,
    found: Vec<Found>,
    /// The metrics of which every device has a value, and the lowest ts of these values; as of the last change.
    common: Vec<(Arc<str>, Millis)>,
}

impl Page {
    pub fn new(ids: Vec<DeviceId>) -> Self {
        Self { found: ids.iter().map(|_| Found::default()).collect(), ids, common: Vec::new() }
    }

    pub fn ids(&self) -> &[DeviceId] {
        &self.ids
    }

    pub fn found(&mut self, at: usize) -> &mut Found {
        &mut self.found[at]
    }

    /// Whether a row at `ts` or before could be the latest of any device for any of these metrics.
    pub fn is_open_at<'a>(&self, mut metrics: impl Iterator<Item = &'a Arc<str>>, ts: Millis) -> bool {
        let is_closed = |metric: &Arc<str>| self.common.iter().any(|(name, lowest)| name == metric && ts < *lowest);
        !metrics.all(is_closed)
    }

    /// Values were offered.
    pub fn changed(&mut self) {
        self.common.clear();
        let Some((first, others)) = self.found.split_first() else { return };
        let lowest = |(metric, key, _): &Metric| {
            let of_others = others.iter().map(|found| found.find(metric).ok().map(|at| found.0[at].1.ts));
            let lowest = of_others.reduce(|lowest, ts| Some(lowest?.min(ts?))).unwrap_or(Some(key.ts));
            lowest.map(|lowest| (metric.clone(), lowest.min(key.ts)))
        };
        self.common.extend(first.0.iter().filter_map(lowest));
    }

    /// The devices for which something was found.
    pub fn finish(self) -> Vec<DeviceLatest> {
        let devices = self.ids.into_iter().zip(self.found);
        let devices = devices.map(|(device, found)| DeviceLatest { device, metrics: found.finish() });
        devices.filter(|found| !found.metrics.is_empty()).collect()
    }
}
