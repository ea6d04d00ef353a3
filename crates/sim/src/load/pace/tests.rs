use super::*;

const START: Duration = Duration::from_secs(1);

#[test]
fn streams_share_a_rate_and_are_staggered() {
    let paces: Vec<Pace> = (0..4).map(|number| Pace::share(Some(1_000.0), START, number, 4, 0)).collect();
    let due_at = |ms: u64| paces.iter().map(|pace| pace.due(START + Duration::from_millis(ms))).collect::<Vec<_>>();
    assert_eq!(due_at(0), [1, 0, 0, 0]);
    assert_eq!(due_at(1), [1, 1, 0, 0]);
    assert_eq!(due_at(3), [1, 1, 1, 1]);
    assert_eq!(due_at(4), [2, 1, 1, 1]);
    assert_eq!(due_at(999).iter().sum::<u64>(), 1_000);
}

#[test]
fn a_stream_that_goes_on_is_due_from_where_it_was() {
    let pace = Pace::share(Some(1_000.0), START, 1, 4, 50);
    assert_eq!(pace.due(START), 50, "message 49 was of the run before");
    assert_eq!(pace.due(START + Duration::from_millis(1)), 51);
    assert_eq!(pace.instant(51, START), START + Duration::from_millis(5));
}

#[test]
fn nothing_is_due_before_the_start() {
    assert_eq!(Pace::share(Some(10.0), START, 0, 1, 0).due(Duration::ZERO), 0);
}

#[test]
fn a_closed_loop_is_always_due_and_counts_from_sending() {
    let pace = Pace::share(None, START, 0, 1, 0);
    assert_eq!(pace.due(Duration::ZERO), u64::MAX);
    assert_eq!(pace.instant(9, Duration::from_millis(5)), Duration::from_millis(5));
}

#[test]
fn a_stall_is_charged_to_every_message_that_it_held_up() {
    // Sent together after a stall of 100 ms, but due one after the other.
    let pace = Pace::share(Some(100.0), START, 0, 1, 0);
    let sent = START + Duration::from_millis(100);
    assert_eq!(pace.due(sent), 11);
    assert_eq!(sent - pace.instant(0, sent), Duration::from_millis(100));
    assert_eq!(sent - pace.instant(10, sent), Duration::ZERO);
}
