use super::*;

fn device() -> DeviceId {
    DeviceId::from_bytes([7; 16])
}

#[test]
fn a_payload_is_exactly_its_function() {
    let key = device_key(1, device(), 3);
    let mut template = Template::new(Shape::Two, Some(3), 10_042);
    template.fill(key, 10_042, 1_700_000_000_000);
    let temperature = f64::from(tenths(Shape::Two, 0, key, 10_042, 1_700_000_000_000)) / 10.0;
    let humidity = f64::from(tenths(Shape::Two, 1, key, 10_042, 1_700_000_000_000)) / 10.0;
    let expect = format!(
        "{{\"ts\":1700000000000,\"metrics\":{{\"temperature\":{temperature:.1},\"humidity\":{humidity:.1}}},\"seq\":10042,\"boot\":3}}"
    );
    assert_eq!(String::from_utf8(template.bytes).unwrap(), expect);
}

#[test]
fn known_values_stay_as_they_are() {
    // Logs of older runs are checked with this function: a change makes their content look corrupt.
    let key = device_key(1, device(), 3);
    let values = [0, 1].map(|metric| tenths(Shape::Two, metric, key, 10_042, 1_700_000_000_000));
    assert_eq!(values, [301, 291]);
}

#[test]
fn a_refilled_template_equals_a_fresh_one() {
    let key = device_key(5, device(), 0);
    let mut reused = Template::new(Shape::Twelve, None, 100);
    for (seq, ts) in
        [(100, 1_700_000_000_000), (101, 1_700_000_000_000), (101, 1_700_000_000_001), (999, 1_800_000_000_000)]
    {
        let mut fresh = Template::new(Shape::Twelve, None, seq);
        fresh.fill(key, seq, ts);
        reused.fill(key, seq, ts);
        assert_eq!(reused.bytes, fresh.bytes);
        let value: serde_json::Value = serde_json::from_slice(&reused.bytes).unwrap();
        assert_eq!((value["seq"].as_u64(), value["ts"].as_i64()), (Some(seq), Some(ts)));
        assert_eq!(value["metrics"].as_object().unwrap().len(), 12);
    }
}

#[test]
fn a_template_fits_seqs_of_its_length_only() {
    let template = Template::new(Shape::Two, None, 10);
    assert!(template.fits(99) && !template.fits(9) && !template.fits(100));
    assert_eq!([digits(0), digits(9), digits(10), digits(u64::MAX)], [1, 1, 2, 20]);
}

#[test]
fn values_are_in_range_for_every_metric() {
    for seed in 0..50 {
        let key = device_key(seed, device(), 1);
        for metric in 0..12 {
            for seq in (0..5_000).step_by(7) {
                assert!((100..1000).contains(&tenths(Shape::Twelve, metric, key, seq, seed as i64)));
            }
        }
    }
}

#[test]
fn every_argument_changes_the_values_of_some_message() {
    let course = |seed, boot, shift: u64, ts| {
        let key = device_key(seed, device(), boot);
        (0..64).map(|seq| tenths(Shape::Two, 1, key, seq + shift, ts)).collect::<Vec<_>>()
    };
    let base = course(1, 1, 0, 0);
    assert_eq!(base, course(1, 1, 0, 0));
    for other in [course(2, 1, 0, 0), course(1, 2, 0, 0), course(1, 1, 1, 0), course(1, 1, 0, 1)] {
        assert_ne!(base, other);
    }
}
