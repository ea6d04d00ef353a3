//! Decoding against encoding, in any pieces, and against bytes that mean nothing.

use proptest::prelude::*;

use crate::client::{self, ConnectOptions, PublishTemplate, Reply};
use crate::frame::{Framed, frame};
use crate::packet::connect::Connect;
use crate::property::{Property, PropertyId, Value};
use crate::wire::{Input, VARIABLE_MAX, put_variable, variable};
use crate::{Error, Qos, Reason, Subscribe, Unsubscribe, Version, text};

const LIMIT: usize = 1 << 20;

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V3), Just(Version::V5)]
}

fn qos() -> impl Strategy<Value = Qos> {
    prop_oneof![Just(Qos::AtMostOnce), Just(Qos::AtLeastOnce), Just(Qos::ExactlyOnce)]
}

/// A stream of packets that a server may send, and what each is.
fn stream() -> impl Strategy<Value = (Version, Vec<u8>, usize)> {
    let message = (qos(), "[a-z/]{1,200}", 1..u16::MAX, proptest::collection::vec(any::<u8>(), 0..300));
    (version(), proptest::collection::vec(message, 1..8)).prop_map(|(version, messages)| {
        let mut bytes = Vec::new();
        let packets = 2 * messages.len();
        for (qos, topic, packet_id, payload) in messages {
            PublishTemplate::new(version, &topic, qos, &[]).encode(&mut bytes, packet_id, &payload);
            client::puback(&mut bytes, packet_id);
        }
        (version, bytes, packets)
    })
}

/// Every packet's bytes, with the stream cut into pieces of the lengths given, in turn.
fn packets(bytes: &[u8], pieces: &[usize]) -> Vec<Vec<u8>> {
    let (mut buffer, mut found, mut rest) = (Vec::new(), Vec::new(), bytes);
    for piece in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at((*piece).clamp(1, rest.len()));
        buffer.extend_from_slice(now);
        rest = later;
        loop {
            match frame(&buffer, LIMIT).expect("a stream that we made") {
                Framed::Whole(frame) => {
                    let len = frame.len;
                    found.push(buffer.drain(..len).collect());
                }
                Framed::Partial(needed) => {
                    assert!(needed > buffer.len(), "more bytes are needed than there are");
                    break;
                }
            }
        }
    }
    assert!(buffer.is_empty());
    found
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_packets(
        (_, bytes, count) in stream(),
        pieces in proptest::collection::vec(1_usize..50, 1..10),
    ) {
        let whole = packets(&bytes, &[bytes.len()]);
        prop_assert_eq!(whole.len(), count);
        prop_assert_eq!(&packets(&bytes, &pieces), &whole);
        prop_assert_eq!(&packets(&bytes, &[1]), &whole);
    }

    #[test]
    fn a_publish_reads_as_it_was_written(
        version in version(), qos in qos(), topic in "[a-zäß/]{1,100}", packet_id in 1..u16::MAX,
        payload: Vec<u8>, expiry: u32,
    ) {
        let properties = [
            Property { id: PropertyId::MessageExpiry, value: Value::Four(expiry) },
            Property { id: PropertyId::User, value: Value::Pair("name", "value") },
        ];
        let mut bytes = Vec::new();
        PublishTemplate::new(version, &topic, qos, &properties).encode(&mut bytes, packet_id, &payload);
        let (reply, len) = client::decode(&bytes, version, LIMIT).expect("decodes").expect("is whole");
        prop_assert_eq!(len, bytes.len());
        let Reply::Publish(publish) = reply else { return Err(TestCaseError::fail("not a PUBLISH")) };
        prop_assert_eq!(publish.topic, topic.as_bytes());
        prop_assert_eq!(publish.qos, qos);
        prop_assert_eq!(publish.packet_id, if qos == Qos::AtMostOnce { 0 } else { packet_id });
        prop_assert_eq!(publish.payload, payload);
        let read: Vec<Property<'_>> = publish.properties.iter().collect();
        prop_assert_eq!(read, if version == Version::V5 { properties.to_vec() } else { vec![] });
    }

    #[test]
    fn a_connect_reads_as_it_was_written(
        version in version(), clean_start: bool, keep_alive: u16, client_id in "[a-z]{0,30}",
        username in proptest::option::of("[a-z]{0,30}"), password: Vec<u8>, will: bool,
    ) {
        let options = ConnectOptions {
            version, clean_start, keep_alive, client_id: &client_id,
            username: username.as_deref(),
            password: username.as_ref().map(|_| password.as_slice()),
            will: will.then_some(("will/topic", b"gone".as_slice())),
            properties: &[Property { id: PropertyId::SessionExpiry, value: Value::Four(7) }],
        };
        let mut bytes = Vec::new();
        client::connect(&mut bytes, &options);
        let Framed::Whole(frame) = frame(&bytes, LIMIT).expect("frames") else { panic!("is whole") };
        let connect = Connect::decode(frame.flags(), frame.body).expect("decodes");
        prop_assert_eq!(connect.version, version);
        prop_assert_eq!(connect.clean_start, clean_start);
        prop_assert_eq!(connect.keep_alive, keep_alive);
        prop_assert_eq!(connect.client_id, client_id);
        prop_assert_eq!(connect.username, username.as_deref());
        prop_assert_eq!(connect.password, username.as_ref().map(|_| password.as_slice()));
        prop_assert_eq!(connect.will.map(|will| (will.topic, will.qos)), will.then_some(("will/topic", Qos::AtLeastOnce)));
        if version == Version::V5 {
            prop_assert_eq!(connect.session_expiry(), 7);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, version in version()) {
        if let Ok(Some((reply, len))) = client::decode(&bytes, version, LIMIT) {
            prop_assert!(len <= bytes.len());
            if let Reply::Publish(publish) = reply {
                publish.properties.iter().for_each(drop);
            }
        }
        for body in 0..bytes.len() {
            let body = &bytes[body..];
            if let Ok(connect) = Connect::decode(0, body) {
                connect.properties.iter().for_each(drop);
            }
            if let Ok(subscribe) = Subscribe::decode(body, version) {
                prop_assert!(subscribe.filters().count() > 0);
            }
            if let Ok(unsubscribe) = Unsubscribe::decode(body, version) {
                prop_assert!(unsubscribe.filters().count() > 0);
            }
            text::topic_filter(body);
            text::topic_name(body);
        }
    }

    #[test]
    fn variable_byte_integers_read_as_they_were_written(value in 0..=VARIABLE_MAX) {
        let mut bytes = Vec::new();
        put_variable(&mut bytes, value);
        prop_assert_eq!(variable(&bytes), Ok(Some((value, bytes.len()))));
        prop_assert_eq!(variable(&bytes[..bytes.len() - 1]), Ok(None));
        prop_assert_eq!(Input(&bytes).variable(), Ok(value));
    }
}

#[test]
fn a_packet_beyond_the_limit_is_refused_before_its_bytes_come() {
    let refused = frame(&[0x30, 0xFF, 0xFF, 0x03], 1000).expect_err("too large");
    assert_eq!(refused.reason(), Reason::PACKET_TOO_LARGE);
    assert_eq!(frame(&[0x30, 0xE5, 0x07], 1000), Ok(Framed::Partial(1000)));
}

#[test]
fn a_length_that_is_no_number_loses_the_framing() {
    for bytes in [[0x30, 0x80, 0x80, 0x80, 0x80], [0x30, 0x80, 0x00, 0, 0]] {
        assert!(matches!(frame(&bytes, LIMIT), Err(Error::Framing(_))), "{bytes:?}");
    }
}

#[test]
fn texts_without_control_characters_and_non_characters_pass() {
    for good in ["", "a", "tenant/ä/€", "A\u{2A6D4}", " "] {
        assert_eq!(text::check(good.as_bytes()), Some(good));
    }
    let bad: [&[u8]; 7] =
        [b"a\0", b"\x1F", b"\x7F", "\u{9F}".as_bytes(), "\u{FFFF}".as_bytes(), "\u{FDD0}".as_bytes(), b"\xED\xA0\x80"];
    for bad in bad {
        assert_eq!(text::check(bad), None, "{bad:?}");
        assert_eq!(text::topic_name(bad), None, "{bad:?}");
    }
}

#[test]
fn topic_names_have_no_wildcards_and_filters_have_them_at_their_place() {
    for good in ["a", "/", "a/b c/ä", "$test/x"] {
        assert_eq!(text::topic_name(good.as_bytes()), Some(good));
    }
    for bad in ["", "a/+", "#", "ä/#"] {
        assert_eq!(text::topic_name(bad.as_bytes()), None, "{bad}");
    }
    for good in ["#", "+", "a/+/b/#", "/", "$share/group/a/#", "$share/group//"] {
        assert_eq!(text::topic_filter(good.as_bytes()), Some(good));
    }
    for bad in ["", "a#", "a+/b", "#/a", "ab/+e", "$share/group", "$share//a", "$share/g+/a", "$share/group/"] {
        assert_eq!(text::topic_filter(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn a_subscribe_keeps_its_options() {
    let body = [0, 9, 2, 0x0B, 7, 0, 3, b'a', b'/', b'+', 0b0010_1101];
    let subscribe = Subscribe::decode(&body, Version::V5).expect("decodes");
    assert_eq!((subscribe.packet_id, subscribe.subscription_id), (9, Some(7)));
    let filters: Vec<_> = subscribe.filters().collect();
    let [filter] = filters.as_slice() else { panic!("one filter") };
    assert_eq!((filter.topic, filter.qos, filter.retain_handling), ("a/+", Qos::AtLeastOnce, 2));
    assert!(filter.no_local && filter.retain_as_published);
}

#[test]
fn a_password_is_not_printed() {
    let mut bytes = Vec::new();
    let (username, password) = (Some("user"), Some(b"secret".as_slice()));
    client::connect(&mut bytes, &ConnectOptions { username, password, ..ConnectOptions::default() });
    let connect = Connect::decode(0, &bytes[2..]).expect("decodes");
    assert!(!format!("{connect:?}").contains("secret"));
    assert!(!format!("{connect:?}").contains("115, 101"));
}

#[test]
fn return_codes_of_3_1_1_agree_with_the_table_of_kinds() {
    use model::ErrorKind::{Conflict, Corrupt, Denied, Internal, Invalid, Limited, NotFound, Unavailable};
    for kind in [Invalid, NotFound, Denied, Conflict, Limited, Unavailable, Corrupt, Internal] {
        let meaning = kind.meaning();
        assert_eq!(Reason(meaning.mqtt_reason).connect_return_code(), meaning.mqtt3_connack, "{kind:?}");
    }
}
