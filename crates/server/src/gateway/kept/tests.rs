use super::*;

const ID: ConnectionId = ConnectionId { slot: 1, generation: 1 };
const OTHER: ConnectionId = ConnectionId { slot: 2, generation: 1 };
const KEY: SessionKey = SessionKey(7);
const NOW: Duration = Duration::from_secs(1000);

fn state(expiry: u32) -> SessionState {
    let mut state = SessionState::new(expiry);
    state.hold(5, 55);
    state
}

#[test]
fn a_kept_session_comes_back_until_it_expires() {
    let mut sessions = KeptSessions::default();
    assert_eq!(sessions.begin(KEY, ID), None);
    assert_eq!(sessions.holder(KEY), Some(ID));
    assert_eq!(sessions.end(KEY, ID, state(10), NOW), None);
    assert_eq!(sessions.expire(NOW + Duration::from_secs(9)), []);
    assert_eq!(sessions.begin(KEY, OTHER), Some(state(10)));
    assert_eq!(sessions.end(KEY, OTHER, state(10), NOW), None);
    assert_eq!(sessions.expire(NOW + Duration::from_secs(10)), [Control::SessionEnded { session: KEY }]);
    assert_eq!(sessions.begin(KEY, ID), None);
}

#[test]
fn a_session_without_expiry_ends_with_its_connection() {
    let mut sessions = KeptSessions::default();
    sessions.begin(KEY, ID);
    assert_eq!(sessions.end(KEY, ID, state(0), NOW), Some(Control::SessionEnded { session: KEY }));
}

#[test]
fn a_connection_that_lost_its_session_cannot_give_it_back() {
    let mut sessions = KeptSessions::default();
    sessions.begin(KEY, ID);
    sessions.begin(KEY, OTHER);
    assert_eq!(sessions.end(KEY, ID, state(10), NOW), None);
    assert_eq!(sessions.holder(KEY), Some(OTHER));
}

#[test]
fn the_log_brings_sessions_back() {
    let mut held = HeldIds::default();
    held.apply(&Control::Held { session: KEY, packet_id: 5, payload_hash: 55 });
    let mut sessions = KeptSessions::recover(&held, NOW);
    let back = sessions.begin(KEY, ID).expect("kept");
    assert_eq!(back.held().collect::<Vec<_>>(), [(5, 55)]);
}

#[test]
fn what_was_not_stored_counts_as_new_when_it_is_sent_again() {
    let mut sessions = KeptSessions::default();
    sessions.begin(KEY, ID);
    assert_eq!(sessions.end(KEY, ID, state(10), NOW), None);
    let mut batch = model::BatchPool::default().builder();
    batch.control(&Control::Held { session: KEY, packet_id: 5, payload_hash: 55 });
    batch.control(&Control::Held { session: SessionKey(8), packet_id: 5, payload_hash: 55 });
    sessions.forget(&batch.seal(0));
    assert_eq!(sessions.begin(KEY, OTHER), Some(SessionState::new(10)));
}
