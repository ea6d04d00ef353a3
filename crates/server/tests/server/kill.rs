//! Promise: the shipped binary keeps what it acknowledged through kill -9 and SIGTERM under load, once and in order, and
//! remembers the MQTT QoS 2 identifiers that await their release.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use disk::RealDisk;
use mqtt::{Qos, Version};
use tempfile::TempDir;

use super::client::*;
use super::load::{Sender, Verdict, reordered, run_all};
use super::program::Program;
use super::wait::{until, until_equal};

/// Further than any round gets.
const ENDLESS: u64 = 1 << 40;

#[test]
fn what_was_acknowledged_is_stored_once_and_in_order_after_kills() {
    let dir = TempDir::new().unwrap();
    let mut program = Program::start(dir.path(), "");
    let mut senders = [Version::V3, Version::V5, Version::V5].map(|version| Sender::new(&program.api, version));
    for round in 1..=5 {
        let mut victim = Some(program);
        let at = victim.as_ref().unwrap().listen.mqtt;
        run_all(&mut senders, at, ENDLESS, |progress| {
            until("enough is acknowledged", || (progress.load(Ordering::Acquire) >= 300 * round).then_some(()));
            victim.take().unwrap().kill();
        });
        program = Program::start(dir.path(), "");
        assert_eq!(Verdict::of(&senders, &program.api), Verdict::default(), "after kill {round}");
    }
    program.terminate();
    assert!(program.wait().success());
    assert_eq!(reordered(&senders, &dir.path().join("data"), Arc::new(RealDisk)), 0);
}

#[test]
fn a_graceful_end_under_load_loses_nothing_and_says_good_bye() {
    let dir = TempDir::new().unwrap();
    let program = Program::start(dir.path(), "");
    let mut senders = VERSIONS.map(|version| Sender::new(&program.api, version));
    let mut idle = Client::device(program.listen.mqtt, Version::V5, &program.api.device());
    run_all(&mut senders, program.listen.mqtt, ENDLESS, |progress| {
        until("enough is acknowledged", || (progress.load(Ordering::Acquire) >= 500).then_some(()));
        program.terminate();
    });
    idle.expect_end(mqtt::Reason::SERVER_SHUTTING_DOWN);
    assert!(program.wait().success());
    assert!(!dir.path().join("data/listen.json").exists());
    let program = Program::start(dir.path(), "");
    assert_eq!(Verdict::of(&senders, &program.api), Verdict::default());
}

#[test]
fn identifiers_that_await_their_release_survive_a_kill() {
    let dir = TempDir::new().unwrap();
    // Neither ts nor seq: nothing but the held identifier tells that the second one is the first one again.
    let (payload, other) = (br#"{"metrics":{"x":1}}"#, br#"{"metrics":{"x":2}}"#);
    let program = Program::start(dir.path(), "");
    let devices = VERSIONS.map(|version| (version, program.api.device()));
    for (version, device) in &devices {
        let (mut client, present) = Client::connect(program.listen.mqtt, &lasting(login(*version, device)));
        assert!(!present);
        client.send(&publish(*version, &device.topic, Qos::ExactlyOnce, 7, payload));
        client.expect(&pubrec(7));
    }
    program.kill();

    let program = Program::start(dir.path(), "");
    for (version, device) in &devices {
        let options = lasting(login(*version, device));
        let (mut client, present) = Client::connect(program.listen.mqtt, &options);
        assert!(present);
        client.send(&publish_again(*version, &device.topic, Qos::ExactlyOnce, 7, payload));
        client.expect(&pubrec(7));
        // Another message is no repetition: it must not be taken for one and dropped.
        client.send(&publish(*version, &device.topic, Qos::ExactlyOnce, 7, other));
        client.expect_end(mqtt::Reason::PROTOCOL_ERROR);
        let (mut client, _) = Client::connect(program.listen.mqtt, &options);
        client.send(&pubrel(7));
        client.expect(&pubcomp(7));
    }
    program.kill();

    // Released for good: the same bytes are a new message now, and PUBREL is answered however often it comes.
    let program = Program::start(dir.path(), "");
    for (version, device) in &devices {
        assert_eq!(program.api.points(device, "x").len(), 1);
        let (mut client, _) = Client::connect(program.listen.mqtt, &lasting(login(*version, device)));
        client.send(&pubrel(7));
        client.expect(&pubcomp(7));
        client.send(&publish(*version, &device.topic, Qos::ExactlyOnce, 7, payload));
        client.expect(&pubrec(7));
        until_equal(&2, || program.api.points(device, "x").len());
    }
}
