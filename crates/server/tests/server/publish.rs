//! Promise: what is published is acknowledged once it is durable, in order, and the store answers exactly what was sent,
//! however the bytes arrive and whatever they are encoded in.

use mqtt::{Property, PropertyId, Qos, Value, Version};
use serde_json::json;

use super::api::{message, point};
use super::client::*;
use super::wait::until_equal;
use super::world::{Setup, World};

/// Largest packet by default (`mqtt.packet_bytes_max`).
const PACKET_BYTES_MAX: usize = 1 << 20;

/// Everything that one message is answered with, and for QoS 2 what the client says in between.
#[track_caller]
fn deliver(client: &mut Client, topic: &str, qos: Qos, packet_id: u16, payload: &str) {
    client.send(&publish(client.version, topic, qos, packet_id, payload.as_bytes()));
    match qos {
        Qos::AtMostOnce => {}
        Qos::AtLeastOnce => client.expect(&puback(packet_id)),
        Qos::ExactlyOnce => {
            client.expect(&pubrec(packet_id));
            client.send(&pubrel(packet_id));
            client.expect(&pubcomp(packet_id));
        }
    }
}

#[test]
fn every_version_and_qos_is_read_back_exactly() {
    let world = World::shared();
    let device = world.api.device();
    let mut expected = Vec::new();
    for version in VERSIONS {
        let mut client = Client::device(world.listen.mqtt, version, &device);
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
            let seq = expected.len() as u64;
            deliver(&mut client, &device.topic, qos, 7, &message(seq).to_string());
            expected.push(point(seq));
        }
        client.expect_alive();
    }
    world.api.expect_points(&device, &expected);
}

#[test]
fn bytes_may_come_one_at_a_time() {
    let world = World::shared();
    for version in VERSIONS {
        let device = world.api.device();
        let mut bytes = connect(&login(version, &device));
        bytes.extend(publish(version, &device.topic, Qos::AtLeastOnce, 1, message(0).to_string().as_bytes()));
        bytes.extend(publish(version, &device.topic, Qos::ExactlyOnce, 2, message(1).to_string().as_bytes()));
        bytes.extend(pubrel(2));
        bytes.extend([0xC0, 0]);
        let mut client = Client::dial(world.listen.mqtt, version);
        bytes.iter().for_each(|byte| client.send(&[*byte]));
        assert_eq!(client.receive().unwrap()[..1], [0x20]);
        let mut answers: Vec<Vec<u8>> = (0..4).map(|_| client.receive().unwrap()).collect();
        // PINGRESP waits for nobody; the acknowledgements wait for the disk, in order.
        answers.retain(|packet| packet[..] != [0xD0, 0]);
        assert_eq!(answers, [puback(1), pubrec(2), pubcomp(2)]);
        world.api.expect_points(&device, &[point(0), point(1)]);
    }
}

#[test]
fn a_thousand_publishes_in_one_write_are_acknowledged_in_order() {
    let world = World::shared();
    for version in VERSIONS {
        let device = world.api.device();
        let mut client = Client::device(world.listen.mqtt, version, &device);
        let packet = |seq: u64| {
            publish(version, &device.topic, Qos::AtLeastOnce, seq as u16 + 1, message(seq).to_string().as_bytes())
        };
        client.send(&(0..1000).flat_map(packet).collect::<Vec<u8>>());
        for packet_id in 1..=1000 {
            client.expect(&puback(packet_id));
        }
        world.api.expect_points(&device, &(0..1000).map(point).collect::<Vec<_>>());
    }
}

#[test]
fn a_client_need_not_wait_for_its_connack() {
    let world = World::shared();
    for version in VERSIONS {
        // A new device: the registry is to be asked about it while the rest is there already.
        let device = world.api.device();
        let packet = |seq: u64| {
            publish(version, &device.topic, Qos::AtLeastOnce, seq as u16 + 1, message(seq).to_string().as_bytes())
        };
        let mut client = Client::dial(world.listen.mqtt, version);
        client.send(&[connect(&login(version, &device)), (0..300).flat_map(packet).collect()].concat());
        assert_eq!(client.receive().unwrap()[..1], [0x20]);
        (1..=300).for_each(|packet_id| client.expect(&puback(packet_id)));
        world.api.expect_points(&device, &(0..300).map(point).collect::<Vec<_>>());
    }
}

#[test]
fn a_message_sent_again_is_acknowledged_again_and_stored_once() {
    let world = World::shared();
    let device = world.api.device();
    for version in VERSIONS {
        let mut client = Client::device(world.listen.mqtt, version, &device);
        client.publish(&device.topic, 1, &message(0).to_string());
        client.publish(&device.topic, 2, &message(0).to_string());
        client.send(&publish_again(version, &device.topic, Qos::AtLeastOnce, 3, message(0).to_string().as_bytes()));
        client.expect(&puback(3));
    }
    let mut client = Client::device(world.listen.mqtt, Version::V5, &device);
    client.publish(&device.topic, 1, &message(1).to_string());
    world.api.expect_points(&device, &[point(0), point(1)]);
}

#[test]
fn an_api_key_publishes_for_every_device_of_its_tenant() {
    let world = World::shared();
    let (_, token) = world.api.new_key(&["ingest"]);
    let devices: Vec<_> = (0..5).map(|_| world.api.device()).collect();
    for (version, seq) in VERSIONS.into_iter().zip(0..) {
        let mut client = Client::key(world.listen.mqtt, version, &token);
        // Twice over all: first the registry is asked about each, then it is known.
        let packets = (1..=10).flat_map(|id: u16| {
            let topic = &devices[usize::from(id) % 5].topic;
            publish(version, topic, Qos::AtLeastOnce, id, message(2 * seq + u64::from(id) / 6).to_string().as_bytes())
        });
        client.send(&packets.collect::<Vec<u8>>());
        (1..=10).for_each(|id| client.expect(&puback(id)));
        client.expect_alive();
    }
    for device in &devices {
        world.api.expect_points(device, &(0..4).map(point).collect::<Vec<_>>());
    }
}

#[test]
fn the_content_type_names_the_format() {
    // {"ts": 1700000000000 + seq, "seq": seq, "metrics": {"x": seq + 0.5}}, by hand for seq 0 and 1.
    let ts = 1_700_000_000_000_u64.to_be_bytes();
    let half = 0.5_f64.to_be_bytes();
    let message_pack = [&b"\x83\xA2ts\xCF"[..], &ts, b"\xA3seq\x00\xA7metrics\x81\xA1x\xCB", &half].concat();
    let (ts, more) = (1_700_000_000_001_u64.to_be_bytes(), 1.5_f64.to_be_bytes());
    let cbor = [&b"\xA3\x62ts\x1B"[..], &ts, b"\x63seq\x01\x67metrics\xA1\x61x\xFB", &more].concat();
    let world = World::shared();
    let device = world.api.device();
    let mut client = Client::device(world.listen.mqtt, Version::V5, &device);
    let json = message(2).to_string();
    let payloads = [
        ("application/msgpack", message_pack.as_slice()),
        ("application/cbor", &cbor),
        ("application/json; charset=utf-8", json.as_bytes()),
    ];
    for (content_type, payload) in payloads {
        let property = Property { id: PropertyId::ContentType, value: Value::Text(content_type) };
        client.send(&publish_with(Version::V5, &device.topic, Qos::AtLeastOnce, 9, payload, &[property]));
        client.expect(&puback(9));
    }
    // Without a content type it is JSON again, and this is not: acknowledged, and kept as a dead letter.
    client.send(&publish(Version::V5, &device.topic, Qos::AtLeastOnce, 10, &message_pack));
    client.expect(&puback(10));
    world.api.expect_points(&device, &[point(0), point(1), point(2)]);
    until_equal(&vec!["not-well-formed".to_owned()], || {
        world.api.dead_letters(&device).into_iter().map(|(reason, _)| reason).collect()
    });
}

#[test]
fn a_topic_alias_stands_for_its_topic() {
    let world = World::shared();
    let (device, other) = (world.api.device(), world.api.device());
    let (_, token) = world.api.new_key(&["ingest"]);
    let mut client = Client::key(world.listen.mqtt, Version::V5, &token);
    // Alias 16 is the last by default. It is defined, used, defined anew and used; alias 1 beside it.
    let packets =
        [(16, device.topic.as_str(), 0), (16, "", 1), (1, &other.topic, 5), (16, &other.topic, 6), (16, "", 7)];
    for (alias, topic, seq) in packets {
        let alias = Property { id: PropertyId::TopicAlias, value: Value::Two(alias) };
        let payload = message(seq).to_string();
        let packet_id = seq as u16 + 1;
        client.send(&publish_with(Version::V5, topic, Qos::AtLeastOnce, packet_id, payload.as_bytes(), &[alias]));
        client.expect(&puback(packet_id));
    }
    world.api.expect_points(&device, &[point(0), point(1)]);
    world.api.expect_points(&other, &[point(5), point(6), point(7)]);
    let beyond = Property { id: PropertyId::TopicAlias, value: Value::Two(17) };
    client.send(&publish_with(Version::V5, &device.topic, Qos::AtLeastOnce, 1, b"{}", &[beyond]));
    client.expect_end(mqtt::Reason::TOPIC_ALIAS_INVALID);
}

/// A PUBLISH of exactly `len` bytes: the message, with spaces behind it.
fn padded(version: Version, topic: &str, seq: u64, len: usize) -> Vec<u8> {
    let message = message(seq).to_string();
    let head = publish(version, topic, Qos::AtLeastOnce, 1, &[0; 1 << 19]).len() - (1 << 19);
    let payload = message.clone() + &" ".repeat(len - head - message.len());
    publish(version, topic, Qos::AtLeastOnce, 1, payload.as_bytes())
}

#[test]
fn a_packet_may_be_as_large_as_the_limit_and_not_larger() {
    let world = World::shared();
    for version in VERSIONS {
        let device = world.api.device();
        let mut client = Client::device(world.listen.mqtt, version, &device);
        let largest = padded(version, &device.topic, 0, PACKET_BYTES_MAX);
        assert_eq!(largest.len(), PACKET_BYTES_MAX);
        client.send(&largest);
        client.expect(&puback(1));
        // Its length alone is enough: the server does not wait for the rest.
        client.send(&padded(version, &device.topic, 1, PACKET_BYTES_MAX + 1)[..100]);
        client.expect_end(mqtt::Reason::PACKET_TOO_LARGE);
        world.api.expect_points(&device, &[point(0)]);
    }
}

#[test]
fn the_limit_is_the_configured_one_up_to_the_most_that_may_be_configured() {
    let configure = |config: &mut server::config::Config| config.mqtt.packet_bytes_max.0 = 8 << 20;
    let world = World::start(Setup { configure, ..Setup::default() });
    let device = world.api.device();
    let mut client = Client::device(world.listen.mqtt, Version::V5, &device);
    // The length takes a byte more than in `padded`, so these are as large as may be.
    let packets = (0..6).flat_map(|seq| padded(Version::V5, &device.topic, seq, (8 << 20) - 1));
    client.send(&packets.collect::<Vec<u8>>());
    (0..6).for_each(|_| client.expect(&puback(1)));
    world.api.expect_points(&device, &(0..6).map(point).collect::<Vec<_>>());
}

#[test]
fn large_packets_in_one_write_all_arrive() {
    let world = World::shared();
    let device = world.api.device();
    let mut client = Client::device(world.listen.mqtt, Version::V5, &device);
    let packets = (0..10).flat_map(|seq| padded(Version::V5, &device.topic, seq, 300_000 + 50_000 * seq as usize));
    client.send(&packets.collect::<Vec<u8>>());
    (0..10).for_each(|_| client.expect(&puback(1)));
    world.api.expect_points(&device, &(0..10).map(point).collect::<Vec<_>>());
}

#[test]
fn events_go_to_their_own_topic() {
    let world = World::shared();
    let device = world.api.device();
    let mut client = Client::device(world.listen.mqtt, Version::V5, &device);
    let events = device.topic.replace("/data", "/events");
    client.publish(&events, 1, r#"{"type":"door","ts":1700000000000,"data":{"open":[true]}}"#);
    client.publish(&device.topic, 2, &message(0).to_string());
    client.publish(&events, 3, r#"{"type":"door","ts":1700000000001,"data":null}"#);
    world.api.expect_points(&device, &[point(0)]);
    let path = format!("/v1/devices/{}/events?from=0&to=9999999999999", device.id);
    until_equal(&json!([[1_700_000_000_000_i64, {"open": [true]}], [1_700_000_000_001_i64, null]]), || {
        let answer = world.api.get(&path);
        answer["events"].as_array().unwrap().iter().map(|event| json!([event["ts"], event["data"]])).collect()
    });
}
