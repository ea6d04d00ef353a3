use std::collections::HashSet;

use super::*;

const NOON: Millis = 1_699_963_200_000;

fn message(device: &Device, at: Millis) -> serde_json::Value {
    let mut out = Vec::new();
    device.message(at, 42, 3, false, &mut out);
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn a_fleet_has_every_kind_and_ids_of_its_own() {
    let fleet: Vec<Device> = (0..20).map(|number| Device::new(1, number)).collect();
    assert_eq!(fleet.iter().map(|device| device.kind).collect::<HashSet<_>>().len(), 5);
    assert_eq!(fleet.iter().map(Device::id).collect::<HashSet<_>>().len(), 20);
    assert_eq!(fleet[6].id(), Device::new(1, 6).id());
    assert_ne!(fleet[6].id(), Device::new(2, 6).id());
    assert_eq!((fleet[6].name().as_str(), fleet[6].site().as_str()), ("cold-store-7", "site-2"));
}

#[test]
fn a_message_has_the_outer_form() {
    for number in 0..5 {
        let device = Device::new(1, number);
        let message = message(&device, NOON);
        assert_eq!(message["ts"], NOON);
        assert_eq!(message["seq"], 42);
        assert_eq!(message["boot"], 3);
        assert_eq!(message["buffered"], false);
        assert!(message["metrics"][device.kind.main_metric()].is_number(), "{message}");
    }
}

#[test]
fn a_message_can_be_repeated_exactly() {
    let device = Device::new(1, 2);
    assert_eq!(message(&device, NOON), message(&device, NOON));
    assert_ne!(message(&device, NOON)["metrics"], message(&device, NOON + 5_000)["metrics"]);
}

#[test]
fn outages_come_as_often_as_asked_and_are_the_same_from_every_instant_within() {
    let device = Device::new(1, 3);
    let outages: HashSet<(Millis, Millis)> =
        (0..30 * 24 * 60).filter_map(|minute| device.outage(NOON + minute * MINUTE, 4.0)).collect();
    assert!((60..180).contains(&outages.len()), "{}", outages.len());
    for (from, to) in outages {
        assert!((2 * MINUTE..15 * MINUTE).contains(&(to - from)));
        assert_eq!(device.outage(from, 4.0), Some((from, to)));
        assert_eq!(device.outage(to - 1, 4.0), Some((from, to)));
        assert_eq!(device.outage(to, 4.0), None);
    }
    assert!((0..10_000).all(|minute| device.outage(NOON + minute * MINUTE, 0.0).is_none()));
}

#[test]
fn an_energy_counter_never_runs_backwards() {
    let device = Device::new(1, 3);
    let energy = |minute: i64| match device.readings(NOON + minute * MINUTE)[1] {
        ("energy", Value::Number(energy)) => energy,
        other => panic!("{other:?}"),
    };
    assert!((0..3_000).all(|minute| energy(minute + 1) >= energy(minute)));
}

#[test]
fn a_pump_that_stands_still_does_not_pump() {
    let device = Device::new(1, 2);
    let mut states = HashSet::new();
    for minute in 0..600 {
        let message = message(&device, NOON + minute * MINUTE);
        let running = message["metrics"]["running"].as_bool().unwrap();
        assert_eq!(running, message["metrics"]["flow"].as_f64().unwrap() > 0.0);
        states.insert(running);
    }
    assert_eq!(states.len(), 2);
}
