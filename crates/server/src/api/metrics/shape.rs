//! The shape of the answers: as JSON documents (DESIGN section 5) and as tables.

use std::sync::Arc;

use model::DeviceId;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use store::{Aggregate, Bucket, Buckets, Point, Points, Scope, Series};

use crate::api::answer::{Cells, Column, List, Read, Shown};

/// What was asked for.
pub struct Subject {
    pub scope: Scope,
    pub metric: String,
    /// Of the values, if it is known.
    pub unit: Option<String>,
    pub resolution: Option<String>,
}

impl Subject {
    /// Whether rows of several devices stand side by side.
    fn many(&self) -> bool {
        !matches!(self.scope, Scope::Device(_))
    }

    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        match &self.scope {
            Scope::Device(device) => map.serialize_entry("device_id", device)?,
            Scope::Class(class) | Scope::DevicesOfClass(class, _) => map.serialize_entry("class", class)?,
            Scope::Devices(devices) => map.serialize_entry("device_ids", devices)?,
        }
        map.serialize_entry("metric", &self.metric)?;
        map.serialize_entry("unit", &self.unit)?;
        map.serialize_entry("resolution", &self.resolution)
    }
}

/// Raw points.
pub struct PointsAnswer<'a> {
    pub subject: &'a Subject,
    pub points: &'a Points,
}

impl Serialize for PointsAnswer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.subject.write(&mut map)?;
        let many = self.subject.many();
        map.serialize_entry("points", &List(&self.points.points, |point| ShownPoint { point, many }))?;
        map.serialize_entry("next", &self.points.next.map(|next| next.to_string()))?;
        map.serialize_entry("sources", &Read::all(&self.points.sources))?;
        map.end()
    }
}

impl PointsAnswer<'_> {
    pub fn table(&self) -> Vec<Column> {
        let points = &self.points.points;
        let text = |device: DeviceId| Some(Arc::from(device.to_string()));
        let mut columns = Vec::new();
        if self.subject.many() {
            let devices = points.iter().map(|point| text(point.device)).collect();
            columns.push(Column { name: "device_id", cells: Cells::Texts(devices) });
        }
        let cells = Cells::Time(points.iter().map(|point| Some(point.ts)).collect());
        columns.push(Column { name: "ts", cells });
        let cells = Cells::Values(points.iter().map(|point| Some(point.value.clone())).collect());
        columns.push(Column { name: "value", cells });
        let cells = Cells::Counts(points.iter().map(|point| point.seq).collect());
        columns.push(Column { name: "seq", cells });
        let cells = Cells::Counts(points.iter().map(|point| point.boot.map(u64::from)).collect());
        columns.push(Column { name: "boot", cells });
        let cells = Cells::Texts(points.iter().map(|point| point.tags.clone()).collect());
        columns.push(Column { name: "tags", cells });
        let cells = Cells::Time(points.iter().map(|point| point.received).collect());
        columns.push(Column { name: "received", cells });
        columns
    }
}

struct ShownPoint<'a> {
    point: &'a Point,
    many: bool,
}

impl Serialize for ShownPoint<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let point = self.point;
        let mut map = serializer.serialize_map(None)?;
        if self.many {
            map.serialize_entry("device_id", &point.device)?;
        }
        map.serialize_entry("ts", &point.ts)?;
        map.serialize_entry("value", &Shown(&point.value))?;
        if let Some(seq) = point.seq {
            map.serialize_entry("seq", &seq)?;
        }
        if let Some(boot) = point.boot {
            map.serialize_entry("boot", &boot)?;
        }
        if let Some(received) = point.received {
            map.serialize_entry("received", &received)?;
        }
        if let Some(tags) = point.tags.as_deref().and_then(|tags| serde_json::from_str::<&RawValue>(tags).ok()) {
            map.serialize_entry("tags", tags)?;
        }
        map.end()
    }
}

/// Buckets.
pub struct BucketsAnswer<'a> {
    pub subject: &'a Subject,
    pub buckets: &'a Buckets,
    pub aggregates: &'a [Aggregate],
    pub by_device: bool,
}

impl Serialize for BucketsAnswer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.subject.write(&mut map)?;
        let series = &self.buckets.series;
        let shown = |bucket| ShownBucket { bucket, aggregates: self.aggregates };
        if self.by_device {
            let shown = |series| ShownSeries { series, aggregates: self.aggregates };
            map.serialize_entry("series", &List(series, shown))?;
        } else {
            let buckets = series.first().map_or(&[][..], |series| &series.buckets);
            map.serialize_entry("points", &List(buckets, shown))?;
        }
        map.serialize_entry("next", &self.buckets.next.map(|next| next.to_string()))?;
        map.serialize_entry("sources", &Read::all(&self.buckets.sources))?;
        map.end()
    }
}

impl BucketsAnswer<'_> {
    pub fn table(&self) -> Vec<Column> {
        let series = &self.buckets.series;
        let buckets = || series.iter().flat_map(|series| &series.buckets);
        let mut columns = Vec::new();
        if self.by_device {
            let name = |series: &Series| series.device.map(|device| Arc::from(device.to_string()));
            let devices = series.iter().flat_map(|series| std::iter::repeat_n(name(series), series.buckets.len()));
            columns.push(Column { name: "device_id", cells: Cells::Texts(devices.collect()) });
        }
        columns.push(Column { name: "ts", cells: Cells::Time(buckets().map(|bucket| Some(bucket.start)).collect()) });
        for (at, aggregate) in self.aggregates.iter().enumerate() {
            let values = buckets().map(|bucket| bucket.values.get(at).cloned().flatten()).collect();
            columns.push(Column { name: aggregate.name(), cells: Cells::Values(values) });
        }
        if buckets().any(|bucket| bucket.approximate) {
            let flags = buckets().map(|bucket| bucket.approximate).collect();
            columns.push(Column { name: "approximate", cells: Cells::Flags(flags) });
        }
        columns
    }
}

struct ShownSeries<'a> {
    series: &'a Series,
    aggregates: &'a [Aggregate],
}

impl Serialize for ShownSeries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("device_id", &self.series.device)?;
        let shown = |bucket| ShownBucket { bucket, aggregates: self.aggregates };
        map.serialize_entry("points", &List(&self.series.buckets, shown))?;
        map.end()
    }
}

struct ShownBucket<'a> {
    bucket: &'a Bucket,
    aggregates: &'a [Aggregate],
}

impl Serialize for ShownBucket<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("ts", &self.bucket.start)?;
        for (aggregate, value) in self.aggregates.iter().zip(&self.bucket.values) {
            map.serialize_entry(aggregate.name(), &value.as_ref().map(Shown))?;
        }
        if self.bucket.approximate {
            map.serialize_entry("approximate", &true)?;
        }
        map.end()
    }
}
