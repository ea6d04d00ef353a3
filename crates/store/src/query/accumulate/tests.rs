use super::*;
use crate::query::buckets::Aggregate::{Avg, P50, P99};

const PERCENTILES: Needs = Needs { edges: false, percentiles: true };

fn place() -> Place {
    let key = RowKey { ts: 0, boot: None, seq: None, received: 0 };
    (key, DeviceId::from_bytes([0; 16]), 0)
}

#[test]
fn percentiles_are_exact_up_to_the_limit_and_marked_beyond_it() {
    let mut bucket = Accumulator::default();
    let limit = PERCENTILE_EXACT_MAX as i64;
    for value in 0..limit {
        bucket.add(PERCENTILES, place(), &Value::I64(value));
    }
    let exact = bucket.clone().finish(0, &[P50, P99]);
    assert!(!exact.approximate);
    let at = |share: f64| Some(Value::F64(share * (limit - 1) as f64));
    assert_eq!(exact.values, [at(0.5), at(0.99)]);

    bucket.add(PERCENTILES, place(), &Value::I64(limit));
    let sketched = bucket.finish(0, &[P50, Avg]);
    assert!(sketched.approximate);
    let [Some(Value::F64(median)), average] = &sketched.values[..] else { panic!("{sketched:?}") };
    assert!((median / (limit as f64 / 2.0) - 1.0).abs() < 0.01);
    assert_eq!(average, &Some(Value::F64(limit as f64 / 2.0)));
}
