use super::*;

const AT: Duration = Duration::from_millis(1);

fn stream(devices: u8, window: u64) -> Stream {
    Stream::new((0..devices).map(|byte| DeviceId::from_bytes([byte; 16])).collect(), 1, window, 0)
}

fn portion(from: u64, end: u64, ts: Millis, again: bool) -> Option<Portion> {
    Some(Portion { from, end, ts, again })
}

#[test]
fn numbers_name_device_and_seq() {
    let stream = stream(3, 10);
    let messages = stream.messages(2, 8).map(|(number, device, seq)| (number, device.as_bytes()[0], seq));
    assert_eq!(messages.collect::<Vec<_>>(), [(2, 2, 1), (3, 0, 2), (4, 1, 2), (5, 2, 2), (6, 0, 3), (7, 1, 3)]);
}

#[test]
fn a_stream_goes_on_where_an_earlier_one_ended() {
    let mut stream = Stream::new([DeviceId::from_bytes([1; 16])].into(), 1, 4, 70);
    assert_eq!((stream.begun(), stream.acked(), stream.in_flight()), (70, 70, 0));
    assert_eq!(stream.take(100, 5, AT), portion(70, 74, 5, false));
    assert!(stream.acknowledge(4, |from, end, _| assert_eq!((from, end), (70, 74))));
}

#[test]
fn the_window_bounds_what_is_in_flight() {
    let mut stream = stream(1, 4);
    assert_eq!(stream.take(100, 5, AT), portion(0, 4, 5, false));
    assert_eq!(stream.take(100, 6, AT), None);
    assert!(stream.acknowledge(3, |from, end, sent| assert_eq!((from, end, sent), (0, 3, AT))));
    assert_eq!(stream.take(100, 6, AT), None, "QoS 2: the place is free after the second half");
    assert!(stream.complete(3));
    assert_eq!(stream.take(100, 6, AT), portion(4, 7, 6, false));
    assert_eq!((stream.acked(), stream.in_flight()), (3, 4));
}

#[test]
fn the_limit_bounds_what_is_new() {
    let mut stream = stream(1, 4);
    assert_eq!(stream.take(2, 5, AT), portion(0, 2, 5, false));
    assert_eq!(stream.take(2, 5, AT), None);
}

#[test]
fn an_acknowledgement_is_told_with_the_times_of_sending() {
    let mut stream = stream(1, 10);
    stream.take(2, 5, AT);
    stream.take(4, 5, 2 * AT);
    let mut told = Vec::new();
    assert!(stream.acknowledge(3, |from, end, sent| told.push((from, end, sent))));
    assert!(stream.acknowledge(1, |from, end, sent| told.push((from, end, sent))));
    assert_eq!(told, [(0, 2, AT), (2, 3, 2 * AT), (3, 4, 2 * AT)]);
}

#[test]
fn more_acknowledgements_than_messages_are_noticed() {
    let mut stream = stream(1, 10);
    stream.take(2, 5, AT);
    assert!(!stream.acknowledge(3, |_, _, _| ()));
    assert!(stream.acknowledge(2, |_, _, _| ()));
    assert!(!stream.complete(3));
}

#[test]
fn after_a_reconnect_the_unacknowledged_go_again_with_their_own_times() {
    let mut stream = stream(1, 6);
    stream.take(3, 5, AT);
    stream.take(6, 7, 2 * AT);
    stream.acknowledge(1, |_, _, _| ());
    stream.complete(1);
    stream.rewind();
    assert_eq!(stream.take(100, 9, 3 * AT), portion(1, 3, 5, true));
    // Lost once more before the rest was written.
    stream.rewind();
    assert_eq!(stream.take(100, 9, 3 * AT), portion(1, 3, 5, true));
    assert_eq!(stream.take(100, 9, 3 * AT), portion(3, 6, 7, true));
    assert_eq!(stream.take(100, 9, 3 * AT), portion(6, 7, 9, false));
    assert!(stream.acknowledge(6, |_, _, _| ()));
}

#[test]
fn an_acknowledgement_before_the_resend_is_a_fault_of_the_server() {
    let mut stream = stream(1, 6);
    stream.take(3, 5, AT);
    stream.rewind();
    assert!(!stream.acknowledge(1, |_, _, _| ()));
}
