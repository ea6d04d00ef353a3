//! The store as a list of everything that was ever sent, and every query as a look at all of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{DeviceId, TableKind, ValueKind};
use store::{Aggregate, BucketQuery, EventQuery, PointQuery, Resolution, Scope, Value};

use crate::fixture::{Message, World, device};

/// A message and when it was received.
#[derive(Clone, Debug)]
pub struct Row {
    pub message: Message,
    pub received: i64,
}

/// What orders rows: the store's order, written once more.
type Order<'a> = (i64, Option<u32>, Option<u64>, i64, DeviceId, &'a str);

impl Row {
    fn received_kept(&self) -> i64 {
        let apart = self.received.abs_diff(self.message.ts) > 60_000;
        if apart { self.received } else { self.message.ts }
    }

    fn order(&self) -> Order<'_> {
        let message = &self.message;
        let device = device(message.device);
        (message.ts, message.boot, message.seq, self.received_kept(), device, message.class)
    }

    fn value(&self, name: &str, kind: Option<ValueKind>) -> Option<Value> {
        let is_wanted =
            |(other, value): &&(String, Value)| other == name && kind.is_none_or(|kind| kind == value.kind());
        self.message.metrics.iter().find(is_wanted).map(|(_, value)| value.clone())
    }

    fn has_tag(&self, tag: &Option<(String, String)>) -> bool {
        let Some((name, value)) = tag else { return true };
        let tags = self.message.tags.as_deref().unwrap_or("{}");
        let tags: BTreeMap<String, String> = serde_json::from_str(tags).unwrap();
        tags.get(name) == Some(value)
    }
}

/// Everything that was sent, and what hides some of it.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub rows: Vec<Row>,
    pub erased: Vec<usize>,
    /// Class and age.
    pub retention: BTreeMap<&'static str, i64>,
    pub now: i64,
}

impl Model {
    pub fn of(world: &World) -> Self {
        let rows = world.log.iter().flat_map(|logged| {
            logged.messages.iter().map(|message| Row { message: message.clone(), received: logged.received })
        });
        Self { rows: rows.collect(), now: world.clock.now_ms(), ..Self::default() }
    }

    fn is_hidden(&self, row: &Row) -> bool {
        let kept_from = self.retention.get(row.message.class).map_or(i64::MIN, |age| self.now - age);
        self.erased.contains(&row.message.device) || row.message.ts.max(row.received_kept()) < kept_from
    }

    /// What is visible of a kind within a scope, in order.
    fn visible(&self, kind: TableKind, scope: &Scope) -> Vec<&Row> {
        let is_in_scope = |row: &&Row| match scope {
            Scope::Device(id) => device(row.message.device) == *id,
            Scope::Devices(ids) => ids.contains(&device(row.message.device)),
            Scope::Class(class) => row.message.class == class,
            Scope::DevicesOfClass(class, ids) => {
                row.message.class == class && ids.contains(&device(row.message.device))
            }
        };
        let mut rows: Vec<&Row> = self
            .rows
            .iter()
            .filter(|row| row.message.kind == kind && !self.is_hidden(row))
            .filter(is_in_scope)
            .collect();
        rows.sort_by_key(|row| row.order());
        rows
    }

    pub fn points(&self, query: &PointQuery) -> Vec<(DeviceId, i64, Value, Option<u64>, Option<u32>, Option<String>)> {
        let rows = self.visible(TableKind::Readings, &query.scope).into_iter();
        let rows = rows.filter(|row| (query.from..query.to).contains(&row.message.ts) && row.has_tag(&query.tag));
        let points = rows.filter_map(|row| {
            let value = row.value(&query.metric, query.kind)?;
            let message = &row.message;
            Some((device(message.device), message.ts, value, message.seq, message.boot, message.tags.clone()))
        });
        points.collect()
    }

    pub fn events(&self, query: &EventQuery) -> Vec<(DeviceId, i64, Arc<str>, Option<Value>)> {
        let rows = self.visible(TableKind::Events, &query.scope).into_iter();
        let events = rows.filter(|row| (query.from..query.to).contains(&row.message.ts)).filter_map(|row| {
            let Some(Value::Str(event_type)) = row.value("type", None) else { return None };
            let is_wanted = query.event_type.as_deref().is_none_or(|wanted| wanted == &*event_type);
            is_wanted.then(|| (device(row.message.device), row.message.ts, event_type, row.value("data", None)))
        });
        events.collect()
    }

    /// Series by device (one without device unless `by_device`), buckets by start, one value per aggregate.
    pub fn buckets(&self, query: &BucketQuery) -> Vec<(Option<DeviceId>, i64, Vec<Option<Value>>)> {
        let mut groups: BTreeMap<(Option<DeviceId>, i64), Vec<Value>> = BTreeMap::new();
        let rows = self.visible(TableKind::Readings, &query.scope).into_iter();
        let rows: Vec<_> = rows
            .filter(|row| (query.from..query.to).contains(&row.message.ts) && row.has_tag(&query.tag))
            .filter_map(|row| Some((row, row.value(&query.metric, query.kind)?)))
            .collect();
        let has_numbers = rows.iter().any(|(_, value)| value.kind() != ValueKind::Str);
        for (row, value) in rows {
            if has_numbers && value.kind() == ValueKind::Str {
                continue;
            }
            let start = match query.resolution {
                Resolution::All => query.from,
                Resolution::Millis(length) => row.message.ts.div_euclid(length).saturating_mul(length),
            };
            let of = query.by_device.then(|| device(row.message.device));
            groups.entry((of, start)).or_default().push(value);
        }
        let answer =
            |values: &[Value]| query.aggregates.iter().map(|aggregate| aggregated(*aggregate, values)).collect();
        groups.into_iter().map(|((of, start), values)| (of, start, answer(&values))).collect()
    }

    pub fn latest(&self, scope: &Scope) -> BTreeMap<DeviceId, Vec<(String, i64, Value)>> {
        let mut latest: BTreeMap<DeviceId, BTreeMap<String, (i64, Value)>> = BTreeMap::new();
        for row in self.visible(TableKind::Readings, scope) {
            if row.message.ts > row.received_kept().saturating_add(300_000) {
                continue;
            }
            for (name, value) in &row.message.metrics {
                let of_device = latest.entry(device(row.message.device)).or_default();
                of_device.insert(name.clone(), (row.message.ts, value.clone()));
            }
        }
        let flat = |metrics: BTreeMap<String, (i64, Value)>| {
            metrics.into_iter().map(|(name, (ts, value))| (name, ts, value)).collect()
        };
        latest.into_iter().map(|(device, metrics)| (device, flat(metrics))).collect()
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::F64(value) => Some(*value),
        Value::I64(value) => Some(*value as f64),
        Value::Bool(value) => Some(f64::from(u8::from(*value))),
        Value::Str(_) => None,
    }
}

/// The answer over values in the order of time.
fn aggregated(aggregate: Aggregate, values: &[Value]) -> Option<Value> {
    let mut numbers: Vec<f64> = values.iter().filter_map(number).collect();
    let are_integers = values.iter().all(|value| value.kind() != ValueKind::F64);
    let typed = |value: f64| if are_integers { Value::I64(value as i64) } else { Value::F64(value) };
    let quantile = |numbers: &mut Vec<f64>, share: f64| {
        numbers.sort_by(f64::total_cmp);
        let rank = share * (numbers.len() - 1) as f64;
        let (below, above) = (numbers[rank.floor() as usize], numbers[rank.ceil() as usize]);
        Some(Value::F64(below + (above - below) * rank.fract()))
    };
    match aggregate {
        Aggregate::Count => Some(Value::I64(values.len() as i64)),
        Aggregate::First => values.first().cloned(),
        Aggregate::Last => values.last().cloned(),
        _ if numbers.is_empty() => None,
        Aggregate::Avg => Some(Value::F64(numbers.iter().sum::<f64>() / numbers.len() as f64)),
        Aggregate::Sum => Some(typed(numbers.iter().sum())),
        Aggregate::Min => numbers.into_iter().reduce(f64::min).map(typed),
        Aggregate::Max => numbers.into_iter().reduce(f64::max).map(typed),
        Aggregate::P50 => quantile(&mut numbers, 0.5),
        Aggregate::P95 => quantile(&mut numbers, 0.95),
        Aggregate::P99 => quantile(&mut numbers, 0.99),
    }
}
