//! One connection, step by step, in raw bytes.

use model::{Control, SessionKey};
use proptest::prelude::*;

use super::*;
use crate::Qos;
use crate::client::{self, ConnectOptions, PublishTemplate};
use crate::property::{Property, PropertyId, Value};

const OFFER: fn() -> Offer = || Offer { receive_max: 3, topic_alias_max: 2, ..Offer::default() };

/// A session that has been let in, and its CONNACK.
fn open_with(offer: Offer, options: &ConnectOptions<'_>, grant: Grant<'_>) -> (Session, Vec<u8>) {
    let (mut bytes, mut out) = (Vec::new(), Vec::new());
    client::connect(&mut bytes, options);
    let mut session = Session::new(offer);
    let step = session.step(&bytes, &mut out);
    assert_eq!(step.used, bytes.len());
    assert!(matches!(step.action, Action::Connect(_)), "{:?}", step.action);
    session.accept(grant, &mut out).expect("the client takes a CONNACK");
    (session, out)
}

fn options<'a>(version: Version) -> ConnectOptions<'a> {
    ConnectOptions { version, client_id: "c", ..ConnectOptions::default() }
}

fn open(version: Version) -> Session {
    open_with(OFFER(), &options(version), Grant::default()).0
}

fn publish(version: Version, qos: Qos, packet_id: u16, topic: &str, payload: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    PublishTemplate::new(version, topic, qos, &[]).encode(&mut bytes, packet_id, payload.as_bytes());
    bytes
}

fn alias(number: u16, topic: &str) -> Vec<u8> {
    let property = Property { id: PropertyId::TopicAlias, value: Value::Two(number) };
    let mut bytes = Vec::new();
    PublishTemplate::new(Version::V5, topic, Qos::AtMostOnce, &[property]).encode(&mut bytes, 0, b"x");
    bytes
}

/// What the session makes of one packet, in words: the action, and the reason where it closes.
fn check(session: &mut Session, packet: &[u8], expect: &str) {
    let mut out = Vec::new();
    let action = match session.step(packet, &mut out).action {
        Action::Publish(publish) => format!("publish {} {:?}", publish.topic.slot, publish.topic.name),
        Action::Repeat(_, topic) => format!("repeat {} {:?}", topic.slot, topic.name),
        Action::Release(_) => "release".to_owned(),
        Action::Close(close) => {
            close.encode(&mut out);
            format!("close {:02X} {out:02X?}", close.reason.0)
        }
        Action::Disconnect(reason) => format!("disconnect {:02X}", reason.0),
        other => format!("{other:?}"),
    };
    assert_eq!(action, expect, "after {packet:02X?}");
}

/// Takes a publish or PUBREL and acknowledges it; the bytes of the acknowledgement.
fn acknowledged(session: &mut Session, packet: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let ack = match session.step(packet, &mut out).action {
        Action::Publish(publish) => publish.ack().expect("QoS 1 or 2"),
        Action::Repeat(ack, _) | Action::Release(ack) => ack,
        other => panic!("unexpected {other:?}"),
    };
    session.acknowledge(ack, &mut out);
    out
}

fn pubrel(packet_id: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    client::pubrel(&mut bytes, packet_id);
    bytes
}

#[test]
fn the_connack_names_what_differs_from_the_defaults() {
    let offer = Offer {
        topic_alias_max: 10,
        packet_bytes_max: 2_000_000,
        receive_max: 20,
        keep_alive_max: 100,
        session_expiry_max: 3600,
        qos_max: Qos::AtLeastOnce,
        retain_available: false,
        wildcard_available: false,
        subscription_id_available: false,
        shared_available: false,
        ..Offer::default()
    };
    let expiry = [Property { id: PropertyId::SessionExpiry, value: Value::Four(7200) }];
    let options = ConnectOptions { keep_alive: 300, properties: &expiry, client_id: "", ..options(Version::V5) };
    let grant = Grant { assigned_client_id: Some("id"), ..Grant::default() };
    let (session, connack) = open_with(offer, &options, grant);
    let properties: &[&[u8]] = &[
        &[0x22, 0, 10],
        &[0x27, 0x00, 0x1E, 0x84, 0x80],
        &[0x21, 0, 20],
        &[0x11, 0, 0, 0x0E, 0x10],
        &[0x12, 0, 2, b'i', b'd'],
        &[0x13, 0, 100],
        &[0x24, 1, 0x25, 0, 0x28, 0, 0x29, 0, 0x2A, 0],
    ];
    let properties = properties.concat();
    assert_eq!(connack[..5], [0x20, 3 + properties.len() as u8, 0, 0, properties.len() as u8]);
    assert_eq!(connack[5..], properties);
    assert_eq!(session.keep_alive(), Some(Duration::from_secs(150)));
    assert!(session.is_persistent());
}

#[test]
fn a_3_1_1_client_keeps_its_own_keep_alive() {
    let offer = Offer { keep_alive_max: 100, ..OFFER() };
    for (asked, deadline) in [(0, None), (60, Some(90)), (300, Some(450))] {
        let options = ConnectOptions { keep_alive: asked, ..options(Version::V3) };
        let (session, _) = open_with(offer, &options, Grant::default());
        assert_eq!(session.keep_alive(), deadline.map(Duration::from_secs));
    }
}

#[test]
fn a_refused_client_is_told_in_its_version() {
    for (version, expect) in [(Version::V3, vec![0x20, 2, 0, 4]), (Version::V5, vec![0x20, 3, 0, 0x86, 0])] {
        let (mut bytes, mut out) = (Vec::new(), Vec::new());
        client::connect(&mut bytes, &options(version));
        let mut session = Session::new(OFFER());
        assert!(matches!(session.step(&bytes, &mut out).action, Action::Connect(_)));
        check(&mut session, &[0xC0, 0], "Wait");
        session.close(Reason::BAD_USER_NAME_OR_PASSWORD).encode(&mut out);
        assert_eq!(out, expect);
        check(&mut session, &[0xC0, 0], "None");
    }
}

#[test]
fn only_a_connect_within_its_limit_may_come_first() {
    let mut session = Session::new(Offer { connect_bytes_max: 100, ..OFFER() });
    check(&mut session, &[0x10], "Incomplete(2)");
    check(&mut session, &[0x10, 80], "Incomplete(82)");
    check(&mut session, &[0x10, 0xFF, 0x01], "close 95 []");
    check(&mut Session::new(OFFER()), &[0xC0, 0], "close 81 []");
}

#[test]
fn a_client_identifier_beyond_the_limit_is_refused() {
    let long = "c".repeat(300);
    for (version, answer) in [(Version::V3, "[20, 02, 00, 02]"), (Version::V5, "[20, 03, 00, 85, 00]")] {
        let mut bytes = Vec::new();
        client::connect(&mut bytes, &ConnectOptions { client_id: &long, ..options(version) });
        check(&mut Session::new(OFFER()), &bytes, &format!("close 85 {answer}"));
    }
}

#[test]
fn a_repeated_topic_is_named_once_and_two_can_alternate() {
    let mut session = open(Version::V3);
    let to = |topic| publish(Version::V3, Qos::AtMostOnce, 0, topic, "x");
    check(&mut session, &to("data"), "publish 1 Some(\"data\")");
    check(&mut session, &to("data"), "publish 1 None");
    check(&mut session, &to("events"), "publish 0 Some(\"events\")");
    check(&mut session, &to("data"), "publish 1 None");
    check(&mut session, &to("events"), "publish 0 None");
    check(&mut session, &to("third"), "publish 1 Some(\"third\")");
    check(&mut session, &to("data"), "publish 0 Some(\"data\")");
}

#[test]
fn an_alias_stands_for_the_topic_it_was_given_last() {
    let mut session = open(Version::V5);
    check(&mut session, &alias(1, "a"), "publish 2 Some(\"a\")");
    check(&mut session, &alias(1, ""), "publish 2 None");
    check(&mut session, &alias(2, "b"), "publish 3 Some(\"b\")");
    check(&mut session, &alias(1, "c"), "publish 2 Some(\"c\")");
    check(&mut session, &alias(1, "c"), "publish 2 None");
    check(&mut session, &alias(3, "a"), "close 94 [E0, 01, 94]");
    check(&mut open(Version::V5), &alias(0, "a"), "close 94 [E0, 01, 94]");
    check(&mut open(Version::V5), &alias(2, ""), "close 82 [E0, 01, 82]");
}

#[test]
fn a_topic_beyond_the_limit_is_refused() {
    let topic = "t".repeat(1025);
    let bytes = publish(Version::V5, Qos::AtLeastOnce, 1, &topic, "x");
    check(&mut open(Version::V5), &bytes, "close 90 [E0, 01, 90]");
}

#[test]
fn receive_maximum_counts_until_puback_and_pubcomp() {
    let mut session = open(Version::V5);
    let qos_1 = |id| publish(Version::V5, Qos::AtLeastOnce, id, "t", "x");
    let mut acks = Vec::new();
    for id in 1..=3 {
        let bytes = qos_1(id);
        let Action::Publish(publish) = session.step(&bytes, &mut Vec::new()).action else { panic!("a publish") };
        acks.push(publish.ack().expect("QoS 1"));
    }
    let mut out = Vec::new();
    session.acknowledge(acks[0], &mut out);
    assert_eq!(out, [0x40, 2, 0, 1]);
    assert_eq!(session.in_flight(), 2);
    // A QoS 2 message takes its place until PUBCOMP.
    assert_eq!(acknowledged(&mut session, &publish(Version::V5, Qos::ExactlyOnce, 9, "t", "x")), [0x50, 2, 0, 9]);
    assert_eq!(session.in_flight(), 3);
    assert_eq!(acknowledged(&mut session, &pubrel(9)), [0x70, 2, 0, 9]);
    assert_eq!(session.in_flight(), 2);
    check(&mut session, &qos_1(4), "publish 1 None");
    check(&mut session, &qos_1(5), "close 93 [E0, 01, 93]");
}

#[test]
fn receive_maximum_does_not_bind_3_1_1() {
    let mut session = open(Version::V3);
    for id in 1..=10 {
        let packet = publish(Version::V3, Qos::AtLeastOnce, id, "t", "x");
        assert!(matches!(session.step(&packet, &mut Vec::new()).action, Action::Publish(_)));
    }
    assert_eq!(session.in_flight(), 10);
}

#[test]
fn a_held_identifier_means_the_same_message_or_an_error() {
    for (version, farewell) in [(Version::V3, "[]"), (Version::V5, "[E0, 01, 82]")] {
        let to = |topic, payload| publish(version, Qos::ExactlyOnce, 5, topic, payload);
        let held = || {
            let mut session = open(version);
            assert_eq!(acknowledged(&mut session, &to("t", "x")), [0x50, 2, 0, 5]);
            session
        };
        let mut session = held();
        assert_eq!(acknowledged(&mut session, &to("t", "x")), [0x50, 2, 0, 5]);
        assert_eq!(session.in_flight(), 1);
        check(&mut session, &to("t", "x"), &format!("close 82 {farewell}"));
        check(&mut held(), &to("t", "y"), &format!("close 82 {farewell}"));
        check(&mut held(), &to("u", "x"), &format!("close 82 {farewell}"));
        let mut session = held();
        assert_eq!(acknowledged(&mut session, &pubrel(5)), [0x70, 2, 0, 5]);
        assert_eq!(acknowledged(&mut session, &pubrel(5)), [0x70, 2, 0, 5]);
        assert_eq!(session.in_flight(), 0);
        check(&mut session, &to("t", "y"), "publish 1 None");
    }
}

#[test]
fn a_session_moves_to_another_connection() {
    let options = ConnectOptions { clean_start: false, ..options(Version::V3) };
    let (mut session, connack) = open_with(OFFER(), &options, Grant::default());
    assert_eq!(connack, [0x20, 2, 0, 0]);
    let packet = publish(Version::V3, Qos::ExactlyOnce, 5, "t", "x");
    assert_eq!(acknowledged(&mut session, &packet), [0x50, 2, 0, 5]);
    let hash = session.state.held[&5].hash();
    let mut out = Vec::new();
    session.close(Reason::SESSION_TAKEN_OVER).encode(&mut out);
    let state = session.into_state();

    // The same is rebuilt from the log.
    let key = SessionKey(1);
    let mut rebuilt = SessionState::new(state.expiry);
    rebuilt.apply(&Control::Held { session: key, packet_id: 5, payload_hash: hash });
    rebuilt.apply(&Control::Held { session: key, packet_id: 6, payload_hash: 0 });
    rebuilt.apply(&Control::Released { session: key, packet_id: 6 });
    assert!(rebuilt.held().eq(state.held()));

    let (mut session, connack) = open_with(OFFER(), &options, Grant { resumed: Some(state), ..Grant::default() });
    assert_eq!(connack, [0x20, 2, 1, 0]);
    // What came first was a repeat: the topic was never bound, and the next message was refused for it.
    check(&mut session, &packet, "repeat 1 Some(\"t\")");
    check(&mut session, &publish(Version::V3, Qos::AtMostOnce, 0, "t", "y"), "publish 1 None");
    assert_eq!(acknowledged(&mut session, &pubrel(5)), [0x70, 2, 0, 5]);
    assert_eq!(session.in_flight(), 0);
    assert!(session.into_state().is_empty());
}

#[test]
fn the_last_connection_of_a_kept_session_still_records_what_it_releases() {
    let options = ConnectOptions { clean_start: false, ..options(Version::V5) };
    let mut state = SessionState::new(9);
    state.hold(5, 1);
    let (session, _) = open_with(OFFER(), &options, Grant { resumed: Some(state), ..Grant::default() });
    assert!(session.is_persistent());
    assert_eq!(session.into_state().expiry, 0);
    let (session, _) = open_with(OFFER(), &options, Grant::default());
    assert!(!session.is_persistent());
}

#[test]
fn a_clean_start_forgets_the_session() {
    let mut state = SessionState::new(9);
    state.hold(5, 1);
    let (session, connack) =
        open_with(OFFER(), &options(Version::V3), Grant { resumed: Some(state), ..Grant::default() });
    assert_eq!(connack, [0x20, 2, 0, 0]);
    assert!(!session.is_persistent());
    assert!(session.into_state().is_empty());
}

#[test]
fn a_refusal_is_an_acknowledgement_in_turn_or_the_end() {
    let refused = |version, qos, reason| {
        let mut session = open(version);
        let packet = publish(version, qos, 7, "t", "x");
        let Action::Publish(publish) = session.step(&packet, &mut Vec::new()).action else { panic!("a publish") };
        let mut out = Vec::new();
        match session.refuse(&publish, reason) {
            Ok(ack) => session.acknowledge(ack, &mut out),
            Err(close) => close.encode(&mut out),
        }
        assert!(session.state.held.is_empty());
        out
    };
    assert_eq!(refused(Version::V5, Qos::AtLeastOnce, Reason::NOT_AUTHORIZED), [0x40, 3, 0, 7, 0x87]);
    assert_eq!(refused(Version::V5, Qos::ExactlyOnce, Reason::QUOTA_EXCEEDED), [0x50, 3, 0, 7, 0x97]);
    assert_eq!(refused(Version::V5, Qos::ExactlyOnce, Reason::SERVER_BUSY), [0x50, 3, 0, 7, 0x80]);
    assert_eq!(refused(Version::V5, Qos::AtMostOnce, Reason::NOT_AUTHORIZED), [0xE0, 1, 0x87]);
    assert!(refused(Version::V3, Qos::AtLeastOnce, Reason::NOT_AUTHORIZED).is_empty());
}

#[test]
fn a_will_is_kept_unless_the_client_takes_its_leave() {
    let will = Some(("will", b"gone".as_slice()));
    let with = |leave: &[u8], reason: &str| {
        let options = ConnectOptions { will, ..options(Version::V5) };
        let (mut session, _) = open_with(OFFER(), &options, Grant::default());
        check(&mut session, leave, reason);
        session.take_will().map(|will| (will.topic, will.payload))
    };
    let stored = Some(("will".to_owned(), b"gone".to_vec()));
    assert_eq!(with(&[0xE0, 0], "disconnect 00"), None);
    assert_eq!(with(&[0xE0, 1, 4], "disconnect 04"), stored);
    assert_eq!(with(&[0xC1, 0], "close 81 [E0, 01, 81]"), stored);
}

#[test]
fn a_disconnect_may_change_an_expiry_but_not_invent_one() {
    let expiry = [Property { id: PropertyId::SessionExpiry, value: Value::Four(7) }];
    let leave = [0xE0, 7, 0, 5, 0x11, 0, 0, 0, 9];
    let (mut session, _) =
        open_with(OFFER(), &ConnectOptions { properties: &expiry, ..options(Version::V5) }, Grant::default());
    check(&mut session, &leave, "disconnect 00");
    assert_eq!(session.into_state().expiry, 9);
    check(&mut open(Version::V5), &leave, "close 82 [E0, 01, 82]");
}

#[test]
fn what_the_server_does_not_offer_is_refused() {
    let offer = Offer { retain_available: false, qos_max: Qos::AtLeastOnce, ..OFFER() };
    let open = || open_with(offer, &options(Version::V5), Grant::default()).0;
    check(&mut open(), &publish(Version::V5, Qos::ExactlyOnce, 1, "t", "x"), "close 9B [E0, 01, 9B]");
    check(&mut open(), &[0x31, 4, 0, 1, b't', 0], "close 9A [E0, 01, 9A]");
    check(&mut open(), &[0x32, 0xFF, 0xFF, 0xFF, 0x7F], "close 95 [E0, 01, 95]");
}

#[test]
fn subscriptions_are_answered_in_the_client_s_version() {
    let answer = |version, words| {
        let session = open(version);
        let (codes, mut out) = ([Reason::IMPLEMENTATION_SPECIFIC_ERROR, Reason::GRANTED_QOS_1], Vec::new());
        session.subscribed(7, &codes, words, &mut out);
        session.unsubscribed(8, &[Reason::NO_SUBSCRIPTION_EXISTED], &mut out);
        out
    };
    assert_eq!(answer(Version::V3, Some("no")), [0x90, 4, 0, 7, 0x80, 1, 0xB0, 2, 0, 8]);
    assert_eq!(answer(Version::V5, None), [0x90, 5, 0, 7, 0, 0x83, 1, 0xB0, 4, 0, 8, 0, 0x11]);
    let with_words = answer(Version::V5, Some("no"));
    assert_eq!(with_words[..12], [0x90, 10, 0, 7, 5, 0x1F, 0, 2, b'n', b'o', 0x83, 1]);
}

#[test]
fn what_is_kept_per_message_and_per_connection_is_small() {
    assert_eq!(size_of::<Ack>(), 4);
    assert!(size_of::<Session>() <= 192, "{} bytes", size_of::<Session>());
    assert!(size_of::<Step<'_>>() <= 96, "{} bytes", size_of::<Step<'_>>());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, first in 0_u8..16, flags in 0_u8..16, v5: bool) {
        let version = if v5 { Version::V5 } else { Version::V3 };
        let mut packet = vec![first << 4 | flags, bytes.len().min(127) as u8];
        packet.extend_from_slice(&bytes);
        for input in [&bytes, &packet] {
            for mut session in [open(version), Session::new(OFFER())] {
                let (mut at, mut out) = (0, Vec::new());
                loop {
                    let step = session.step(&input[at..], &mut out);
                    at += step.used;
                    prop_assert!(at <= input.len());
                    match step.action {
                        Action::Publish(publish) => if let Some(ack) = publish.ack() {
                            session.acknowledge(ack, &mut out);
                        },
                        Action::Close(close) => close.encode(&mut out),
                        _ => {}
                    }
                    if step.used == 0 || at == input.len() {
                        break;
                    }
                }
            }
        }
    }

    #[test]
    fn the_quick_way_says_what_the_careful_way_says(
        v5: bool, first in prop_oneof![Just(0x30_u8), Just(0x32), any::<u8>()],
        topics in proptest::collection::vec("[ab+\u{1}]{0,2}", 1..6), id in 0_u16..3,
        payload in prop_oneof![Just(vec![]), Just(vec![b'x'; 200]), proptest::collection::vec(any::<u8>(), 0..9)],
    ) {
        let version = if v5 { Version::V5 } else { Version::V3 };
        let (mut quick, mut careful) = (open(version), open(version));
        for topic in &topics {
            let mut bytes = publish(version, Qos::AtLeastOnce, id, topic, &String::from_utf8_lossy(&payload));
            bytes[0] = first;
            let mut out = (Vec::new(), Vec::new());
            let by_quick = format!("{:?}", quick.step(&bytes, &mut out.0));
            let by_careful = format!("{:?}", careful.step_carefully(&bytes, &mut out.1));
            prop_assert_eq!(by_quick, by_careful);
            prop_assert_eq!(out.0, out.1);
            prop_assert_eq!(quick.in_flight, careful.in_flight);
        }
    }
}

#[test]
fn acknowledgements_of_consecutive_identifiers_are_one_run() {
    let mut session = open(Version::V5);
    let (mut acks, mut out) = (None::<Acks>, Vec::new());
    for (packet_id, joins) in [(65534, false), (65535, true), (1, false)] {
        let packet = publish(Version::V5, Qos::AtLeastOnce, packet_id, "a", "x");
        let (used, publish) = session.plain_publish(&packet).expect("a plain one");
        assert_eq!(used, packet.len());
        let ack = publish.ack().expect("QoS 1");
        let joined = acks.as_mut().is_some_and(|acks| acks.extend(ack));
        assert_eq!(joined, joins, "{packet_id}");
        if !joined && let Some(before) = acks.replace(ack.into()) {
            assert_eq!(before.count(), 2);
            session.acknowledge(before, &mut out);
        }
    }
    assert_eq!(out, [0x40, 2, 0xFF, 0xFE, 0x40, 2, 0xFF, 0xFF]);
    assert_eq!(session.in_flight(), 1, "the last one is not acknowledged yet");
}
