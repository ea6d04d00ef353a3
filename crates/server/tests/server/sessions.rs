//! Promise: a session belongs to one connection at a time; what it holds of QoS 2 outlives the connection, and an
//! acknowledgement never reaches anyone but the connection that it is owed to.

use std::sync::Arc;

use disk::{Faults, InjectedDisk, Operation, RealDisk};
use mqtt::client::ConnectOptions;
use mqtt::{Qos, Reason, Version};

use super::api::{message, point};
use super::client::*;
use super::wait::until_equal;
use super::world::{Setup, World};

#[test]
fn a_session_that_is_taken_over_ends_its_first_connection() {
    let world = World::shared();
    let (device, other) = (world.api.device(), world.api.device());
    for version in VERSIONS {
        let mut first = Client::device(world.listen.mqtt, version, &device);
        // The same client id under another identity is another session.
        let mut stranger = Client::device(world.listen.mqtt, version, &other);
        let mut second = Client::device(world.listen.mqtt, version, &device);
        first.expect_end(Reason::SESSION_TAKEN_OVER);
        second.publish(&device.topic, 1, &message(0).to_string());
        stranger.expect_alive();
    }
}

#[test]
fn what_awaits_its_release_outlives_the_connection() {
    let world = World::shared();
    for version in VERSIONS {
        let device = world.api.device();
        let options = lasting(login(version, &device));
        // Neither ts nor seq: nothing but the held identifier tells that the second one is the first one again.
        let (payload, other) = (br#"{"metrics":{"x":1}}"#, br#"{"metrics":{"x":2}}"#);
        let (mut client, present) = Client::connect(world.listen.mqtt, &options);
        assert!(!present);
        client.send(&publish(version, &device.topic, Qos::ExactlyOnce, 9, payload));
        client.expect(&pubrec(9));
        drop(client);

        let (mut client, present) = Client::connect(world.listen.mqtt, &options);
        assert!(present);
        client.send(&publish_again(version, &device.topic, Qos::ExactlyOnce, 9, payload));
        client.expect(&pubrec(9));
        // Another message under the same identifier is no re-send, and must not be dropped for one.
        client.send(&publish(version, &device.topic, Qos::ExactlyOnce, 9, other));
        client.expect_end(Reason::PROTOCOL_ERROR);

        let (mut client, present) = Client::connect(world.listen.mqtt, &options);
        assert!(present);
        client.send(&pubrel(9));
        client.expect(&pubcomp(9));
        client.send(&publish(version, &device.topic, Qos::ExactlyOnce, 9, payload));
        client.expect(&pubrec(9));
        until_equal(&2, || world.api.points(&device, "x").len());
    }
}

#[test]
fn a_clean_start_forgets_what_was_held() {
    let world = World::shared();
    for version in VERSIONS {
        let device = world.api.device();
        let payload = br#"{"metrics":{"x":1}}"#;
        let (mut client, _) = Client::connect(world.listen.mqtt, &lasting(login(version, &device)));
        client.send(&publish(version, &device.topic, Qos::ExactlyOnce, 9, payload));
        client.expect(&pubrec(9));
        let (mut client, present) = Client::connect(world.listen.mqtt, &login(version, &device));
        assert!(!present);
        client.send(&publish(version, &device.topic, Qos::ExactlyOnce, 9, payload));
        client.expect(&pubrec(9));
        until_equal(&2, || world.api.points(&device, "x").len());
    }
}

#[test]
fn an_ack_that_comes_too_late_reaches_nobody_else() {
    let faults = Faults::default();
    let disk = Arc::new(InjectedDisk::new(Arc::new(RealDisk), faults.clone()));
    let world = World::start(Setup { disk, ..Setup::default() });
    let device = world.api.device();
    let at = world.listen.mqtt;
    Client::device(at, Version::V5, &device).publish(&device.topic, 1, &message(0).to_string());
    until_equal(&0, || world.connections());

    faults.hold(Operation::SyncData);
    let mut gone = Client::device(at, Version::V5, &device);
    gone.send(&publish(Version::V5, &device.topic, Qos::AtLeastOnce, 7, message(1).to_string().as_bytes()));
    gone.expect_alive();
    drop(gone);
    until_equal(&0, || world.connections());
    // The same place in the server's table, and a publish of its own.
    let mut next = Client::device(at, Version::V5, &device);
    next.send(&publish(Version::V5, &device.topic, Qos::AtLeastOnce, 9, message(1).to_string().as_bytes()));
    next.expect_alive();
    faults.release(Operation::SyncData);
    next.expect(&puback(9));
    next.expect_alive();
    world.api.expect_points(&device, &[point(0), point(1)]);
}

#[test]
fn a_will_is_published_for_a_client_that_vanishes_and_not_for_one_that_takes_its_leave() {
    let world = World::shared();
    for version in VERSIONS {
        let device = world.api.device();
        let (will, foreign) = (message(7).to_string(), world.api.device().topic);
        let options = |topic| ConnectOptions { will: Some((topic, will.as_bytes())), ..login(version, &device) };
        let (mut polite, _) = Client::connect(world.listen.mqtt, &options(&device.topic));
        polite.send(&[0xE0, 0]);
        polite.expect_closed();
        let (mut client, _) = Client::connect(world.listen.mqtt, &options(&device.topic));
        client.publish(&device.topic, 1, &message(1).to_string());
        drop(client);
        world.api.expect_points(&device, &[point(1), point(7)]);

        let mut stranger = Client::dial(world.listen.mqtt, version);
        stranger.send(&connect(&options(&foreign)));
        let answer = stranger.receive().expect("a CONNACK");
        assert!(answer[0] == 0x20 && answer[3] != 0, "a will for another device is refused: {answer:02x?}");
    }
}
