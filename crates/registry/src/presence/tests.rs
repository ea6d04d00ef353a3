use super::*;

fn id(number: u8) -> DeviceId {
    DeviceId::from_bytes([number; 16])
}

#[test]
fn parts_go_round_in_order() {
    let presence = Presence::default();
    presence.touch((0..10).rev().map(|n| (id(n), i64::from(n))));
    let numbers = |part: Vec<(DeviceId, Millis)>| part.into_iter().map(|(_, at)| at).collect::<Vec<_>>();
    assert_eq!(numbers(presence.take(4)), [0, 1, 2, 3]);
    presence.touch([(id(1), 1), (id(2), 2)]);
    assert_eq!(numbers(presence.take(4)), [4, 5, 6, 7]);
    assert_eq!(numbers(presence.take(3)), [8, 9, 1]);
    assert_eq!(numbers(presence.take(3)), [2]);
    assert!(presence.take(3).is_empty());
}

#[test]
fn a_time_never_goes_back() {
    let presence = Presence::default();
    presence.touch([(id(1), 5)]);
    presence.touch([(id(1), 3)]);
    assert_eq!(presence.take(1), [(id(1), 5)]);
}
