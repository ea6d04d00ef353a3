//! Promise: what is refused is told so, with a reason where the protocol has one, and nothing of it is stored.

use std::time::Duration;

use model::Clock;
use mqtt::client::{ConnectOptions, subscribe};
use mqtt::{Qos, Reason, Version};

use super::api::{message, point};
use super::client::*;
use super::wait::until_equal;
use super::world::{Setup, World};

/// A refused CONNECT: the return code of 3.1.1, the reason of 5.
#[track_caller]
fn expect_refused(world: &World, options: &ConnectOptions<'_>, return_code: u8, reason: Reason) {
    let mut client = Client::dial(world.listen.mqtt, options.version);
    client.send(&connect(options));
    match options.version {
        Version::V3 => client.expect(&[0x20, 2, 0, return_code]),
        Version::V5 => client.expect(&[0x20, 3, 0, reason.0, 0]),
    }
    client.expect_closed();
}

#[test]
fn a_wrong_credential_is_refused() {
    let world = World::shared();
    let (device, other) = (world.api.device(), world.api.device());
    let (_, key) = world.api.new_key(&["query"]);
    let unknown = "00000000-0000-4000-8000-000000000000";
    let credentials = [
        (Some(device.id.as_str()), Some(other.token.as_str())),
        (Some(&device.id), Some("twd_nonsense")),
        (Some(&device.id), None),
        (Some(unknown), Some(&device.token)),
        (Some("not an id"), Some(&device.token)),
        (Some("key"), Some(&device.token)),
        (Some(&device.id), Some(&key)),
        (None, None),
    ];
    for version in VERSIONS {
        for (username, password) in credentials {
            let password = password.map(str::as_bytes);
            let options = ConnectOptions { version, username, password, client_id: "c", ..ConnectOptions::default() };
            expect_refused(&world, &options, 4, Reason::BAD_USER_NAME_OR_PASSWORD);
        }
    }
}

#[test]
fn a_foreign_topic_is_refused_and_the_tenant_comes_from_the_credential() {
    let world = World::shared();
    let (device, other) = (world.api.device(), world.api.device());
    let foreign_tenant = device.topic.replace(&device.tenant, "00000000-0000-4000-8000-000000000000");
    let commands = device.topic.replace("/data", "/commands");
    let topics = [other.topic.as_str(), &foreign_tenant, &commands, "tenant/x", "$SYS/broker/uptime", "free/topic"];
    for topic in topics {
        let mut client = Client::device(world.listen.mqtt, Version::V5, &device);
        client.send(&publish(Version::V5, topic, Qos::AtLeastOnce, 1, message(0).to_string().as_bytes()));
        client.expect(&puback_with(1, Reason::NOT_AUTHORIZED));
        client.send(&publish(Version::V5, topic, Qos::ExactlyOnce, 2, message(0).to_string().as_bytes()));
        client.expect(&[0x50, 3, 0, 2, Reason::NOT_AUTHORIZED.0]);
        client.send(&publish(Version::V5, topic, Qos::AtMostOnce, 0, message(0).to_string().as_bytes()));
        client.expect_end(Reason::NOT_AUTHORIZED);

        let mut client = Client::device(world.listen.mqtt, Version::V3, &device);
        client.send(&publish(Version::V3, topic, Qos::AtLeastOnce, 1, message(0).to_string().as_bytes()));
        client.expect_closed();
    }
    let mut client = Client::device(world.listen.mqtt, Version::V5, &device);
    client.publish(&device.topic, 1, &message(1).to_string());
    world.api.expect_points(&device, &[point(1)]);
    world.api.expect_points(&other, &[]);
}

#[test]
fn a_key_that_names_an_unknown_device_hears_so_in_its_turn() {
    let world = World::shared();
    let (_, token) = world.api.new_key(&["ingest"]);
    let device = world.api.device();
    let unknown = device.topic.replace(&device.id, "00000000-0000-4000-8000-000000000001");
    let packets = |version| {
        let at =
            |topic: &str, id, seq| publish(version, topic, Qos::AtLeastOnce, id, message(seq).to_string().as_bytes());
        [at(&device.topic, 1, 1), at(&unknown, 2, 2), at(&device.topic, 3, 3)].concat()
    };
    let mut client = Client::key(world.listen.mqtt, Version::V5, &token);
    client.send(&packets(Version::V5));
    client.expect(&puback(1));
    client.expect(&puback_with(2, Reason::NOT_AUTHORIZED));
    client.expect(&puback(3));
    client.expect_alive();
    world.api.expect_points(&device, &[point(1), point(3)]);

    // With 3.1.1 the only way to say it is to close; what was acceptable before it is acknowledged, what is behind is not.
    let device = world.api.device();
    let unknown = device.topic.replace(&device.id, "00000000-0000-4000-8000-000000000001");
    let at =
        |topic: &str, id, seq| publish(Version::V3, topic, Qos::AtLeastOnce, id, message(seq).to_string().as_bytes());
    let mut client = Client::key(world.listen.mqtt, Version::V3, &token);
    client.publish(&device.topic, 1, &message(1).to_string());
    client.send(&[at(&unknown, 2, 2), at(&device.topic, 3, 3)].concat());
    client.expect_closed();
    world.api.expect_points(&device, &[point(1)]);
}

#[test]
fn a_key_without_the_right_publishes_nothing() {
    let world = World::shared();
    let (_, token) = world.api.new_key(&["query", "devices"]);
    let device = world.api.device();
    let mut client = Client::key(world.listen.mqtt, Version::V5, &token);
    client.send(&publish(Version::V5, &device.topic, Qos::AtLeastOnce, 1, message(0).to_string().as_bytes()));
    client.expect(&puback_with(1, Reason::NOT_AUTHORIZED));
    let (status, _) = world.api.with_key(&token).ingest(&device, &message(0));
    assert_eq!(status, 403);
    world.api.expect_points(&device, &[]);
}

#[test]
fn a_topic_with_a_wildcard_is_malformed() {
    let world = World::shared();
    let device = world.api.device();
    for topic in ["a/#", "a/+/b", "#", ""] {
        for version in VERSIONS {
            let mut client = Client::device(world.listen.mqtt, version, &device);
            client.send(&publish(version, topic, Qos::AtLeastOnce, 1, b"{}"));
            client.expect_end(Reason::MALFORMED_PACKET);
        }
    }
}

#[test]
fn more_in_flight_than_offered_ends_the_connection() {
    let world = World::shared();
    let device = world.api.device();
    let mut client = Client::device(world.listen.mqtt, Version::V5, &device);
    // QoS 2 without PUBREL stays in flight; 1,024 may by default.
    let packet = |id: u16| {
        publish(Version::V5, &device.topic, Qos::ExactlyOnce, id, message(u64::from(id)).to_string().as_bytes())
    };
    client.send(&(1..=1024).flat_map(packet).collect::<Vec<u8>>());
    (1..=1024).for_each(|id| client.expect(&pubrec(id)));
    client.expect_alive();
    client.send(&packet(1025));
    client.expect_end(Reason::RECEIVE_MAXIMUM_EXCEEDED);
}

#[test]
fn a_subscription_is_refused_in_words() {
    let world = World::shared();
    let device = world.api.device();
    for version in VERSIONS {
        let mut client = Client::device(world.listen.mqtt, version, &device);
        let mut packet = Vec::new();
        subscribe(&mut packet, version, 5, "a/#", Qos::AtLeastOnce);
        client.send(&packet);
        let answer = client.receive().unwrap();
        let code = if version == Version::V5 { Reason::IMPLEMENTATION_SPECIFIC_ERROR.0 } else { 0x80 };
        assert_eq!((answer[0], &answer[2..4], answer[answer.len() - 1]), (0x90, &[0, 5][..], code));
        let words = String::from_utf8_lossy(&answer).contains("HTTP API");
        assert_eq!(words, version == Version::V5);
        client.expect_alive();
    }
}

/// A server whose clock the test turns.
fn with_clock() -> (World, Clock) {
    let clock = Clock::manual(1_800_000_000_000);
    (World::start(Setup { clock: clock.clone(), ..Setup::default() }), clock)
}

#[test]
fn who_is_silent_for_too_long_is_dropped() {
    let (world, clock) = with_clock();
    let device = world.api.device();
    // Keep-alive 20 s, so 30 s of silence; a device that pings at 25 s stays.
    let keep = |version| ConnectOptions { keep_alive: 20, client_id: "keep", ..login(version, &device) };
    let (mut silent_v3, _) = Client::connect(world.listen.mqtt, &keep(Version::V3));
    let (mut silent_v5, _) =
        Client::connect(world.listen.mqtt, &ConnectOptions { client_id: "silent", ..keep(Version::V5) });
    let (mut pinging, _) =
        Client::connect(world.listen.mqtt, &ConnectOptions { client_id: "pinging", ..keep(Version::V5) });
    // 3.1.1 without keep-alive may be silent for ever.
    let (mut free, _) =
        Client::connect(world.listen.mqtt, &ConnectOptions { client_id: "free", ..login(Version::V3, &device) });
    clock.advance(Duration::from_secs(25));
    pinging.expect_alive();
    clock.advance(Duration::from_secs(6));
    silent_v3.expect_closed();
    silent_v5.expect_end(Reason::KEEP_ALIVE_TIMEOUT);
    pinging.expect_alive();
    clock.advance(Duration::from_secs(25));
    free.expect_alive();
    pinging.expect_alive();
}

#[test]
fn a_socket_that_does_not_complete_its_connect_is_closed() {
    let (world, clock) = with_clock();
    let device = world.api.device();
    let whole = connect(&login(Version::V5, &device));
    let mut silent = Client::dial(world.listen.mqtt, Version::V5);
    let mut half = Client::dial(world.listen.mqtt, Version::V5);
    half.send(&whole[..whole.len() / 2]);
    // Nor does it help to send a byte now and then.
    let mut trickling = Client::dial(world.listen.mqtt, Version::V5);
    trickling.send(&whole[..1]);
    until_equal(&3, || world.connections());
    clock.advance(Duration::from_secs(6));
    trickling.send(&whole[1..2]);
    Client::device(world.listen.mqtt, Version::V5, &device).expect_alive();
    clock.advance(Duration::from_secs(5));
    silent.expect_closed();
    half.expect_closed();
    trickling.expect_closed();
    until_equal(&0, || world.connections());
}
