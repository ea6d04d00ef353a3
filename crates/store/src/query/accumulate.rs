//! What a bucket gathers from its rows.

use model::limits::PERCENTILE_EXACT_MAX;
use model::{DeviceId, ValueKind};

use super::buckets::{Aggregate, Bucket};
use super::sketch::Sketch;
use super::{Millis, Value};
use crate::key::RowKey;

#[cfg(test)]
mod tests;

/// Which parts of an [`Accumulator`] the aggregates need.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    pub edges: bool,
    pub percentiles: bool,
}

impl Needs {
    pub fn of(aggregates: &[Aggregate]) -> Self {
        Self {
            edges: aggregates.iter().any(|aggregate| matches!(aggregate, Aggregate::First | Aggregate::Last)),
            percentiles: aggregates.iter().any(|aggregate| aggregate.quantile().is_some()),
        }
    }
}

/// Running totals of values of one type.
#[derive(Clone, Copy, Debug)]
struct Lane<V, S> {
    count: u64,
    sum: S,
    min: V,
    max: V,
}

/// Where a value stands in time; the device and then the order of sources settle what is equal.
pub type Place = (RowKey, DeviceId, usize);

/// One bucket. Integers and booleans are kept apart from doubles, so that a column of integers stays exact.
#[derive(Clone, Debug)]
pub struct Accumulator {
    doubles: Lane<f64, f64>,
    integers: Lane<i64, i128>,
    texts: u64,
    edges: Option<Box<[(Place, Value); 2]>>,
    values: Option<Box<Values>>,
}

#[derive(Clone, Debug)]
enum Values {
    Exact(Vec<f64>),
    Sketch(Sketch),
}

impl Default for Accumulator {
    fn default() -> Self {
        Self {
            doubles: Lane { count: 0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY },
            integers: Lane { count: 0, sum: 0, min: i64::MAX, max: i64::MIN },
            texts: 0,
            edges: None,
            values: None,
        }
    }
}

impl Accumulator {
    /// Takes a value in, and where it stands.
    pub fn add(&mut self, needs: Needs, place: Place, value: &Value) {
        match value {
            Value::F64(value) => self.add_double(*value),
            Value::I64(value) => self.add_integer(*value),
            Value::Bool(value) => self.add_integer(i64::from(*value)),
            Value::Str(_) => self.texts += 1,
        }
        if needs.percentiles
            && let Some(value) = as_double(value)
        {
            self.values.get_or_insert_with(|| Box::new(Values::Exact(Vec::new()))).add(value);
        }
        if needs.edges {
            self.add_edge(place, value);
        }
    }

    fn add_double(&mut self, value: f64) {
        let lane = &mut self.doubles;
        lane.count += 1;
        lane.sum += value;
        lane.min = lane.min.min(value);
        lane.max = lane.max.max(value);
    }

    fn add_integer(&mut self, value: i64) {
        let lane = &mut self.integers;
        lane.count += 1;
        lane.sum += i128::from(value);
        lane.min = lane.min.min(value);
        lane.max = lane.max.max(value);
    }

    /// Takes in a row that may be the first or the last one; its value is counted elsewhere. Of rows whose places are
    /// equal, the first that comes is the first and the last that comes is the last.
    pub fn add_edge(&mut self, place: Place, value: &Value) {
        let Some(edges) = &mut self.edges else {
            self.edges = Some(Box::new([(place, value.clone()), (place, value.clone())]));
            return;
        };
        let [first, last] = &mut **edges;
        if place < first.0 {
            *first = (place, value.clone());
        }
        if place >= last.0 {
            *last = (place, value.clone());
        }
    }

    /// Takes totals in. They have neither edges nor percentiles.
    pub fn add_totals(&mut self, totals: &Totals) {
        match *totals {
            Totals::Doubles { count, sum, min, max } => {
                let lane = &mut self.doubles;
                lane.count += count;
                lane.sum += sum;
                lane.min = lane.min.min(min);
                lane.max = lane.max.max(max);
            }
            Totals::Integers { count, sum, min, max } => {
                let lane = &mut self.integers;
                lane.count += count;
                lane.sum += sum;
                lane.min = lane.min.min(min);
                lane.max = lane.max.max(max);
            }
        }
    }

    /// Gives the exact values up for a sketch.
    pub fn sketch(&mut self) {
        if let Some(values) = &mut self.values {
            values.sketch();
        }
    }

    fn count(&self) -> u64 {
        self.doubles.count + self.integers.count + self.texts
    }

    fn sum(&self) -> f64 {
        self.doubles.sum + self.integers.sum as f64
    }

    /// The bucket's answer: one value per aggregate.
    pub fn finish(&mut self, start: Millis, aggregates: &[Aggregate]) -> Bucket {
        if let Some(Values::Exact(values)) = self.values.as_deref_mut() {
            values.sort_unstable_by(f64::total_cmp);
        }
        let approximate = matches!(self.values.as_deref(), Some(Values::Sketch(_)));
        Bucket { start, values: aggregates.iter().map(|aggregate| self.answer(*aggregate)).collect(), approximate }
    }

    fn answer(&self, aggregate: Aggregate) -> Option<Value> {
        let integers = self.integers.count > 0 && self.doubles.count == 0;
        let numbers = self.integers.count + self.doubles.count;
        let (lowest, greatest) = (self.integers.min as f64, self.integers.max as f64);
        match aggregate {
            Aggregate::Count => return Some(Value::I64(self.count() as i64)),
            Aggregate::First => return self.edges.as_ref().map(|edges| edges[0].1.clone()),
            Aggregate::Last => return self.edges.as_ref().map(|edges| edges[1].1.clone()),
            _ if numbers == 0 => return None,
            Aggregate::Avg => return Some(Value::F64(self.sum() / numbers as f64)),
            _ => {}
        }
        if let Some(quantile) = aggregate.quantile() {
            return self.values.as_ref().and_then(|values| values.quantile(quantile)).map(Value::F64);
        }
        Some(match aggregate {
            Aggregate::Min if integers => Value::I64(self.integers.min),
            Aggregate::Max if integers => Value::I64(self.integers.max),
            Aggregate::Sum if integers && i64::try_from(self.integers.sum).is_ok() => {
                Value::I64(self.integers.sum as i64)
            }
            Aggregate::Min if self.integers.count == 0 => Value::F64(self.doubles.min),
            Aggregate::Max if self.integers.count == 0 => Value::F64(self.doubles.max),
            Aggregate::Min => Value::F64(self.doubles.min.min(lowest)),
            Aggregate::Max => Value::F64(self.doubles.max.max(greatest)),
            _ => Value::F64(self.sum()),
        })
    }
}

impl Values {
    fn add(&mut self, value: f64) {
        match self {
            Self::Exact(values) => {
                values.push(value);
                if values.len() > PERCENTILE_EXACT_MAX {
                    self.sketch();
                }
            }
            Self::Sketch(sketch) => sketch.add(value),
        }
    }

    fn sketch(&mut self) {
        if let Self::Exact(values) = self {
            let mut sketch = Sketch::default();
            values.iter().for_each(|value| sketch.add(*value));
            *self = Self::Sketch(sketch);
        }
    }

    /// Exact values are sorted; between two of them the percentile is interpolated (as SQL's `PERCENTILE_CONT`).
    fn quantile(&self, quantile: f64) -> Option<f64> {
        let values = match self {
            Self::Sketch(sketch) => return sketch.quantile(quantile),
            Self::Exact(values) => values,
        };
        let rank = quantile * values.len().checked_sub(1)? as f64;
        let (below, above) = (values[rank.floor() as usize], values[rank.ceil() as usize]);
        Some(below + (above - below) * rank.fract())
    }
}

/// Totals of a column of a block.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Totals {
    Doubles { count: u64, sum: f64, min: f64, max: f64 },
    Integers { count: u64, sum: i128, min: i64, max: i64 },
}

impl Totals {
    /// The totals of cells of a column of numbers; `None` without any.
    pub fn of(kind: ValueKind, cells: &[u64]) -> Option<Self> {
        let count = cells.len() as u64;
        match kind {
            _ if cells.is_empty() => None,
            ValueKind::Str => None,
            ValueKind::F64 => {
                // Four sums, because each addition waits for the one before it.
                let mut lanes = [(0.0, f64::INFINITY, f64::NEG_INFINITY); 4];
                let take = |(sum, min, max): &mut (f64, f64, f64), bits: u64| {
                    let value = f64::from_bits(bits);
                    *sum += value;
                    *min = if value < *min { value } else { *min };
                    *max = if value > *max { value } else { *max };
                };
                let (fours, rest) = cells.as_chunks::<4>();
                fours.iter().for_each(|four| lanes.iter_mut().zip(four).for_each(|(lane, bits)| take(lane, *bits)));
                lanes.iter_mut().zip(rest).for_each(|(lane, bits)| take(lane, *bits));
                let sum = (lanes[0].0 + lanes[1].0) + (lanes[2].0 + lanes[3].0);
                let min = lanes.iter().fold(f64::INFINITY, |min, lane| min.min(lane.1));
                let max = lanes.iter().fold(f64::NEG_INFINITY, |max, lane| max.max(lane.2));
                Some(Self::Doubles { count, sum, min, max })
            }
            ValueKind::I64 | ValueKind::Bool => {
                let values = || cells.iter().map(|bits| *bits as i64);
                let (min, max) = (values().min()?, values().max()?);
                // Small numbers are added in 64 bits.
                let is_small = min >= -(1 << 31) && max < 1 << 31 && cells.len() < 1 << 31;
                let sum = if is_small { i128::from(values().sum::<i64>()) } else { values().map(i128::from).sum() };
                Some(Self::Integers { count, sum, min, max })
            }
        }
    }

    pub fn count(&self) -> u64 {
        match *self {
            Self::Doubles { count, .. } | Self::Integers { count, .. } => count,
        }
    }

    /// Takes in other totals of the same column.
    pub fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Doubles { count, sum, min, max }, Self::Doubles { count: n, sum: s, min: a, max: b }) => {
                (*count, *sum, *min, *max) = (*count + n, *sum + s, min.min(*a), max.max(*b));
            }
            (Self::Integers { count, sum, min, max }, Self::Integers { count: n, sum: s, min: a, max: b }) => {
                (*count, *sum, *min, *max) = (*count + n, *sum + s, (*min).min(*a), (*max).max(*b));
            }
            _ => debug_assert!(false, "a column has one type"),
        }
    }
}

fn as_double(value: &Value) -> Option<f64> {
    match value {
        Value::F64(value) => Some(*value),
        Value::I64(value) => Some(*value as f64),
        Value::Bool(value) => Some(f64::from(u8::from(*value))),
        Value::Str(_) => None,
    }
}
