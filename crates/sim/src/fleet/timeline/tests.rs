use super::*;

fn timeline(devices: u64) -> Timeline {
    Timeline { origin: 1_000, interval: 300, devices, live_from: 1_500, outages_per_day: 0.0 }
}

#[test]
fn devices_take_turns_within_the_interval() {
    assert_eq!((0..4).map(|number| timeline(1).ts(number)).collect::<Vec<_>>(), [1_000, 1_300, 1_600, 1_900]);
    assert_eq!((0..4).map(|number| timeline(3).ts(number)).collect::<Vec<_>>(), [1_000, 1_100, 1_200, 1_300]);
}

#[test]
fn what_passed_is_what_has_a_time_not_after_now() {
    for devices in [1, 3, 7] {
        let timeline = timeline(devices);
        for now in 900..3_000 {
            let passed = timeline.passed(now);
            assert!(timeline.ts(passed) > now, "{devices} devices at {now}");
            assert!(passed == 0 || timeline.ts(passed - 1) <= now, "{devices} devices at {now}");
        }
    }
}

#[test]
fn before_the_start_messages_are_buffered() {
    let device = Device::new(1, 0);
    assert_eq!(
        (0..4).map(|number| timeline(1).buffered(&device, number)).collect::<Vec<_>>(),
        [true, true, false, false]
    );
}

#[test]
fn an_outage_holds_messages_back_and_marks_them() {
    let device = Device::new(1, 0);
    let timeline = Timeline { origin: 0, interval: 10_000, live_from: 0, outages_per_day: 20.0, ..timeline(1) };
    let inside = (0..1_000_000).map(|step| step * 1_000).find(|at| device.outage(*at, 20.0).is_some()).unwrap();
    let (from, to) = device.outage(inside, 20.0).unwrap();
    let before = timeline.due(&device, from - 1);
    assert_eq!(timeline.due(&device, to - 1), before);
    assert!(timeline.due(&device, to + 10_000) > before + 10);
    assert!(timeline.buffered(&device, before) && !timeline.buffered(&device, before - 1));
}
