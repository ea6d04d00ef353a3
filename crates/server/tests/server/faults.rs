//! Promise: a failed sync acknowledges nothing, stops the log until it is opened again, and is said aloud; a slow sync
//! holds up acknowledgements and nothing else.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use disk::{Faults, InjectedDisk, Operation, RealDisk};
use model::Clock;
use mqtt::{Qos, Reason, Version};
use serde_json::json;

use super::api::{Api, Device, message, point};
use super::client::*;
use super::wait::{until, until_equal};
use super::world::{Setup, World, metric};

fn with_faults() -> (World, Faults) {
    let faults = Faults::default();
    let disk = Arc::new(InjectedDisk::new(Arc::new(RealDisk), faults.clone()));
    (World::start(Setup { disk, ..Setup::default() }), faults)
}

#[test]
fn a_failed_sync_is_no_acknowledgement_and_stops_the_log() {
    let (world, faults) = with_faults();
    let device = world.api.device();
    let http = world.api.with_key(&device.token);
    let mut sender = Client::device(world.listen.mqtt, Version::V5, &device);
    sender.publish(&device.topic, 1, &message(0).to_string());
    let mut bystander = Client::key(world.listen.mqtt, Version::V5, &world.api.new_key(&["ingest"]).1);
    let mut old = Client::key(world.listen.mqtt, Version::V3, &world.api.new_key(&["ingest"]).1);
    world.api.expect_points(&device, &[point(0)]);

    // The one over MQTT and the one over HTTP wait for the same failing syncs.
    faults.hold(Operation::SyncData);
    faults.fail(Operation::SyncData, 1, 1 << 40, ErrorKind::Other);
    sender.send(&publish(Version::V5, &device.topic, Qos::AtLeastOnce, 2, message(1).to_string().as_bytes()));
    sender.expect_alive();
    let posted = std::thread::spawn({
        let (http, device) = (http.clone(), device.clone());
        move || http.ingest(&device, &message(2))
    });
    faults.wait_held(Operation::SyncData, 2);
    faults.release(Operation::SyncData);
    sender.expect_end(Reason::SERVER_UNAVAILABLE);
    bystander.expect_end(Reason::SERVER_UNAVAILABLE);
    old.expect_closed();
    let (status, answer) = posted.join().unwrap();
    assert_eq!(status, 503, "{answer}");

    assert_eq!(world.obstacles(), ["journal-poisoned"]);
    // What was durable is read as before.
    world.api.expect_points(&device, &[point(0)]);
    // The disk works again, but nobody knows what it has lost: nothing is taken until the log is opened again.
    faults.heal();
    let mut sender = Client::device(world.listen.mqtt, Version::V5, &device);
    sender.send(&publish(Version::V5, &device.topic, Qos::AtLeastOnce, 3, message(3).to_string().as_bytes()));
    sender.expect(&puback_with(3, Reason::UNSPECIFIED_ERROR));
    let mut old = Client::device(world.listen.mqtt, Version::V3, &device);
    old.send(&publish(Version::V3, &device.topic, Qos::AtLeastOnce, 4, message(3).to_string().as_bytes()));
    old.expect_closed();
    assert_eq!(http.ingest(&device, &message(3)).0, 503);
    assert_eq!(world.obstacles(), ["journal-poisoned"]);

    // Opened again it goes on, and what is sent again is stored once, whether the failing disk had it or not.
    let world = World::start_in(world.stop(), Setup::default());
    let mut sender = Client::device(world.listen.mqtt, Version::V5, &device);
    for seq in 1..=3 {
        sender.publish(&device.topic, 5, &message(seq).to_string());
    }
    world.api.expect_points(&device, &[point(0), point(1), point(2), point(3)]);
    assert!(world.obstacles().is_empty());
}

#[test]
fn a_batch_that_is_not_durable_releases_its_held_identifiers() {
    let (world, faults) = with_faults();
    let device = world.api.device();
    let options = lasting(login(Version::V5, &device));
    let payload = br#"{"metrics":{"x":1}}"#;
    let (mut sender, _) = Client::connect(world.listen.mqtt, &options);
    sender.publish(&device.topic, 1, r#"{"metrics":{"x":0}}"#);
    faults.fail(Operation::SyncData, 1, 1 << 40, ErrorKind::Other);
    sender.send(&publish(Version::V5, &device.topic, Qos::ExactlyOnce, 2, payload));
    sender.expect_end(Reason::SERVER_UNAVAILABLE);
    // A repeat of what was never acknowledged must not be told that it was received.
    let (mut sender, _) = Client::connect(world.listen.mqtt, &options);
    sender.send(&publish_again(Version::V5, &device.topic, Qos::ExactlyOnce, 2, payload));
    let answer = sender.receive();
    assert_ne!(answer.as_deref(), Some(&pubrec(2)[..]));
    faults.heal();
}

#[test]
fn a_slow_sync_holds_up_acknowledgements_and_nothing_else() {
    let (world, faults) = with_faults();
    let device = world.api.device();
    let mut sender = Client::device(world.listen.mqtt, Version::V5, &device);
    sender.publish(&device.topic, 1, &message(0).to_string());
    world.api.expect_points(&device, &[point(0)]);
    faults.hold(Operation::SyncData);
    for seq in 1..=100 {
        let packet_id = seq as u16 + 1;
        sender.send(&publish(
            Version::V5,
            &device.topic,
            Qos::AtLeastOnce,
            packet_id,
            message(seq).to_string().as_bytes(),
        ));
        sender.expect_alive();
    }
    // Others come in, and what is durable is read; what is not is not visible.
    Client::device(world.listen.mqtt, Version::V3, &world.api.device()).expect_alive();
    assert_eq!(world.api.points(&device, "x"), [point(0)]);
    faults.release(Operation::SyncData);
    (2..=101).for_each(|packet_id| sender.expect(&puback(packet_id)));
    world.api.expect_points(&device, &(0..=100).map(point).collect::<Vec<_>>());
}

/// A server whose journal finds no space for a next segment, with a clock that the test turns, and a device whose last
/// message waits for it.
struct Full {
    world: World,
    faults: Faults,
    clock: Clock,
    filler: Client,
    /// The packet id that waits.
    waiting: u16,
}

impl Full {
    fn start(version: Version) -> Self {
        let (faults, clock) = (Faults::default(), Clock::manual(1_800_000_000_000));
        let disk = Arc::new(InjectedDisk::new(Arc::new(RealDisk), faults.clone()));
        let world = World::start(Setup { disk, clock: clock.clone(), ..Setup::default() });
        faults.fail(Operation::Allocate, 1, 1 << 40, ErrorKind::StorageFull);
        let mut filler = Client::dial(world.anonymous(), version);
        filler.send(&connect(&mqtt::client::ConnectOptions { version, ..Default::default() }));
        filler.receive().unwrap();
        // Free topics are not looked into, so a segment is soon full.
        let packet = |packet_id| publish(version, "filler", Qos::AtLeastOnce, packet_id, &[b'.'; 1_000_000]);
        let mut full = Self { world, faults, clock, filler, waiting: 0 };
        // The clock stands, so that nobody looks yet whether ingest should pause.
        while full.metric("tidewater_journal_blocked") == 0 {
            full.waiting += 1;
            full.filler.send(&packet(full.waiting));
            full.filler.receive().unwrap();
        }
        full.waiting += 1;
        full.filler.send(&packet(full.waiting));
        let received = "tidewater_received_payloads_total{protocol=\"mqtt\"}";
        until_equal(&full.waiting.into(), || full.metric(received));
        until_equal(&1, || {
            full.turn(25);
            full.metric("tidewater_ingest_held")
        });
        full
    }

    fn metric(&self, name: &str) -> u64 {
        metric(self.world.listen.operations, name)
    }

    fn turn(&self, milliseconds: u64) {
        self.clock.advance(Duration::from_millis(milliseconds));
    }

    /// Turns the clock until nothing stands in the way any more.
    fn wait_until_ready(&self) {
        until_equal(&Vec::<String>::new(), || {
            self.turn(25);
            self.world.obstacles()
        });
    }
}

#[test]
fn a_journal_without_space_for_a_segment_pauses_and_goes_on_by_itself() {
    let mut full = Full::start(Version::V5);
    assert_eq!(full.world.obstacles(), ["journal-blocked"]);
    // What is stored is read, and whoever sends over HTTP waits.
    let device = full.world.api.device();
    let posted = std::thread::spawn({
        let (api, device) = (full.world.api.clone(), device.clone());
        move || api.ingest(&device, &message(1))
    });
    full.world.api.expect_points(&device, &[]);

    full.faults.heal();
    full.filler.expect(&puback_with(full.waiting, Reason::NO_MATCHING_SUBSCRIBERS));
    full.wait_until_ready();
    assert_eq!(posted.join().unwrap().0, 202);
    full.world.api.expect_points(&device, &[point(1)]);
}

#[test]
fn what_waits_too_long_for_a_segment_is_refused() {
    for version in VERSIONS {
        let mut full = Full::start(version);
        full.turn(11_000);
        let (clock, client) = (&full.clock, &mut full.filler);
        let farewell = client.receive_while(|| clock.advance(Duration::from_millis(25)));
        let reason = [0xE0, 1, Reason::QUOTA_EXCEEDED.0];
        assert_eq!(farewell.as_deref(), (version == Version::V5).then_some(&reason[..]));
        // Who comes now is refused message by message, and alive.
        let device = full.world.api.device();
        let mut sender = Client::device(full.world.listen.mqtt, Version::V5, &device);
        sender.send(&publish(Version::V5, &device.topic, Qos::AtLeastOnce, 1, message(1).to_string().as_bytes()));
        sender.expect(&puback_with(1, Reason::QUOTA_EXCEEDED));
        sender.expect_alive();

        full.faults.heal();
        full.wait_until_ready();
        let mut sender = Client::device(full.world.listen.mqtt, Version::V5, &device);
        sender.publish(&device.topic, 1, &message(1).to_string());
        full.world.api.expect_points(&device, &[point(1)]);
    }
}

#[test]
fn a_server_that_waits_for_space_ends_when_it_is_asked_to() {
    let mut full = Full::start(Version::V5);
    drop(full.world.stop());
    full.filler.expect_end(Reason::SERVER_SHUTTING_DOWN);
}

#[test]
fn a_dead_letter_that_cannot_be_written_is_not_dropped_and_is_said_aloud() {
    let (world, faults) = with_faults();
    let (device, other) = (world.api.device(), world.api.device());
    let mut sender = Client::device(world.listen.mqtt, Version::V5, &device);
    sender.publish(&device.topic, 1, &message(0).to_string());
    world.api.expect_points(&device, &[point(0)]);
    sender.publish(&device.topic, 2, r#"{"seq":1,"metrics":{"x":[]}}"#);
    until("the first letter is there", || (world.api.dead_letters(&device).len() == 1).then_some(()));
    faults.fail_under("dead-letter", Operation::Write, ErrorKind::Other);
    sender.publish(&device.topic, 2, r#"{"seq":1,"metrics":{"x":[]}}"#);
    until("it is said", || (!world.obstacles().is_empty()).then_some(()));
    assert_eq!(world.api.ingest(&device, &message(2)).0, 503);
    // What was stored is read as before, and other things are served.
    world.api.expect_points(&device, &[point(0)]);
    assert_eq!(world.api.dead_letters(&other), []);
    let ((_, ready), _) = Api::new(world.listen.operations, "").send("GET", "/ready", None);
    assert!(ready["reasons"][0]["detail"].as_str().is_some_and(|detail| detail.contains("dead-letter")), "{ready}");

    faults.heal();
    let world = World::start_in(world.stop(), Setup::default());
    until("the letters are there", || (world.api.dead_letters(&device).len() == 2).then_some(()));
    assert_eq!(world.api.ingest(&device, &message(2)).0, 202);
    world.api.expect_points(&device, &[point(0), point(2)]);
}

#[test]
fn a_dead_letter_for_which_there_is_no_space_holds_up_the_line_until_there_is() {
    // Its segment was never given its space, or is full.
    for operation in [Operation::Write, Operation::Allocate] {
        let (world, faults) = with_faults();
        let device = world.api.device();
        assert_eq!(world.api.ingest(&device, &message(0)).0, 202);
        world.api.expect_points(&device, &[point(0)]);
        faults.fail_under("dead-letter", operation, ErrorKind::StorageFull);
        let (held, mut sent) = (AtomicBool::new(false), 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !held.load(Ordering::Acquire) {
                    sent += 1;
                    let bad = json!({"seq": sent, "metrics": {"x": [".".repeat(500_000)]}});
                    assert_eq!(world.api.ingest(&device, &bad).0, 202, "it waits, and is accepted");
                }
            });
            until("it is said", || world.obstacles().contains(&"journal-blocked".to_owned()).then_some(()));
            held.store(true, Ordering::Release);
            let ((_, ready), _) = Api::new(world.listen.operations, "").send("GET", "/ready", None);
            let detail = ready["reasons"][0]["detail"].as_str().unwrap();
            assert!(detail.contains("dead-letter") && detail.contains("full"), "{ready}");
            // What was stored is read as before.
            world.api.expect_points(&device, &[point(0)]);
            faults.heal();
        });
        // It goes on by itself, and has all of them.
        assert_eq!(world.api.ingest(&device, &message(1_000_000)).0, 202);
        world.api.expect_points(&device, &[point(0), point(1_000_000)]);
        assert_eq!(count_letters(&world, &device), sent);
        until_equal(&Vec::<String>::new(), || world.obstacles());
    }
}

/// Kept from its outcome, a replay is as if the server had been killed in between.
#[test]
fn a_replay_that_ends_before_its_outcome_is_neither_lost_nor_done_twice() {
    let (world, faults) = with_faults();
    let device = world.api.device();
    let path = format!("/v1/devices/{}", device.id);
    world.api.patch(&path, &json!({"status": "quarantined"}));
    // Nothing in the message tells it from a new one.
    let message = json!({"metrics": {"x": 7}});
    assert_eq!(world.api.ingest(&device, &message).0, 202);
    let letters = format!("/v1/dead-letters?device={}", device.id);
    let letter = until("the letter is there", || world.api.get(&letters)["dead_letters"].get(0).cloned());
    world.api.patch(&path, &json!({"status": "active"}));
    let replay = json!({"ids": [letter["id"]]});
    let replay = |world: &World| world.api.call("POST", "/v1/dead-letters/replay", Some(&replay));

    // It is appended to `raw` and durable there; what became of it cannot be written.
    faults.fail_under("dead-letter", Operation::Write, ErrorKind::StorageFull);
    let (status, answer) = replay(&world);
    assert_eq!((status, &answer["replayed"], &answer["undecided"]), (200, &json!(0), &json!(1)), "{answer}");
    assert_eq!(world.api.points(&device, "x"), []);
    let dir = world.abandon();

    let world = World::start_in(dir, Setup::default());
    let shown = || world.api.get(&format!("/v1/dead-letters/{}", letter["id"].as_str().unwrap()));
    until_equal(&json!("replayed"), || shown()["state"].clone());
    assert_eq!(shown()["tries"], 1);
    assert_eq!(world.api.points(&device, "x").len(), 1);
    let (_, answer) = replay(&world);
    assert_eq!((&answer["replayed"], &answer["skipped"]), (&json!(0), &json!({"replayed": 1})), "{answer}");
    assert_eq!(world.api.points(&device, "x").len(), 1);
}

/// How many dead letters a device has, read a few at a time: they are large.
fn count_letters(world: &World, device: &Device) -> usize {
    let mut count = 0;
    let mut cursor = String::new();
    loop {
        let page = world.api.get(&format!("/v1/dead-letters?device={}&limit=5{cursor}", device.id));
        count += page["dead_letters"].as_array().unwrap().len();
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return count,
        }
    }
}
