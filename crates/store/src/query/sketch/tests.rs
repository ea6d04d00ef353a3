use super::*;

fn check(values: impl Iterator<Item = f64> + Clone) {
    let mut sketch = Sketch::default();
    values.clone().for_each(|value| sketch.add(value));
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    for quantile in [0.0, 0.01, 0.5, 0.95, 0.99, 1.0] {
        let exact = sorted[(quantile * (sorted.len() - 1) as f64).round() as usize];
        let found = sketch.quantile(quantile).unwrap();
        assert!((found - exact).abs() <= RELATIVE_ERROR * exact.abs() + ZERO_MAX, "{quantile}: {found} {exact}");
    }
}

#[test]
fn percentiles_are_within_the_relative_error() {
    check((1..5000).map(f64::from));
    check((-2500..2500).map(|value| f64::from(value) * 0.01));
    check([0.0, 0.0, 1e-9, -1e9, 1e300].into_iter());
}

#[test]
fn a_sketch_of_nothing_has_no_percentile() {
    assert_eq!(Sketch::default().quantile(0.5), None);
}
