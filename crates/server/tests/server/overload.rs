//! Promise: overload is first a pause, then a refusal that the device can act on, and it ends by itself. A connection
//! that was refused once is refused until it reconnects, so that order holds.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use disk::FaultDisk;
use model::Clock;
use mqtt::client::ConnectOptions;
use mqtt::{Qos, Reason, Version};

use super::api::{Answer, Device, message, point};
use super::client::*;
use super::wait::until_equal;
use super::world::{Setup, World, metric};

/// A server on a disk that the test fills, and whose clock it turns.
struct Crowded {
    world: World,
    disk: FaultDisk,
    clock: Clock,
    device: Device,
}

impl Crowded {
    fn start() -> Self {
        let (disk, clock) = (FaultDisk::new(), Clock::manual(1_800_000_000_000));
        let world = World::start(Setup { disk: Arc::new(disk.clone()), clock: clock.clone(), ..Setup::default() });
        let device = world.api.device();
        Self { world, disk, clock, device }
    }

    /// Sets what the disk takes, and waits until ingest is held up, or not any more.
    fn fill(&self, capacity: u64, held: u64) {
        self.disk.set_capacity(capacity);
        until_equal(&held, || {
            self.clock.advance(Duration::from_millis(25));
            metric(self.world.listen.operations, "tidewater_ingest_held")
        });
    }

    fn connect(&self, version: Version) -> Client {
        let name = format!("{version:?}");
        let options = ConnectOptions { client_id: &name, ..login(version, &self.device) };
        Client::connect(self.world.listen.mqtt, &options).0
    }

    fn send(&self, client: &mut Client, seq: u64) {
        let payload = message(seq).to_string();
        client.send(&publish(client.version, &self.device.topic, Qos::AtLeastOnce, seq as u16, payload.as_bytes()));
    }

    /// A request on a thread of its own: status, body, `Retry-After`.
    fn post(&self, seq: u64) -> JoinHandle<(Answer, Option<String>)> {
        let (api, path) = (self.world.api.clone(), format!("/v1/ingest/{}", self.device.id));
        std::thread::spawn(move || api.send("POST", &path, Some(message(seq).to_string())))
    }
}

#[test]
fn a_short_pause_refuses_nobody() {
    let crowded = Crowded::start();
    let mut clients = VERSIONS.map(|version| crowded.connect(version));
    let mut bystander = Client::device(crowded.world.listen.mqtt, Version::V5, &crowded.device);
    crowded.fill(0, 1);
    clients.iter_mut().zip(1..).for_each(|(client, seq)| crowded.send(client, seq));
    let posted = crowded.post(3);
    // Who wants nothing of the log is served meanwhile.
    bystander.expect_alive();
    Client::device(crowded.world.listen.mqtt, Version::V3, &crowded.world.api.device()).expect_alive();
    crowded.fill(u64::MAX, 0);
    clients.iter_mut().zip(1..).for_each(|(client, packet_id)| client.expect(&puback(packet_id)));
    assert_eq!(posted.join().unwrap().0.0, 202);
    crowded.world.api.expect_points(&crowded.device, &[point(1), point(2), point(3)]);
}

#[test]
fn a_long_pause_refuses_until_it_ends() {
    let crowded = Crowded::start();
    let (mut v5, mut v3) = (crowded.connect(Version::V5), crowded.connect(Version::V3));
    crowded.fill(0, 1);
    assert_eq!(crowded.world.obstacles(), ["disk-full"]);
    let posted = crowded.post(1);
    crowded.send(&mut v5, 2);
    crowded.send(&mut v3, 3);
    let second = || crowded.clock.advance(Duration::from_secs(1));
    assert_eq!(v5.receive_while(second).as_deref(), Some(&puback_with(2, Reason::QUOTA_EXCEEDED)[..]));
    assert_eq!(v3.receive_while(second), None);
    v5.expect_alive();
    let ((status, problem), retry_after) = posted.join().unwrap();
    assert_eq!((status, problem["code"].as_str()), (429, Some("ingest-paused")));
    assert!(retry_after.is_some());

    crowded.fill(u64::MAX, 0);
    assert!(crowded.world.obstacles().is_empty());
    // A later message must not overtake the refused one: nothing is taken from this connection any more.
    crowded.send(&mut v5, 4);
    v5.expect(&puback_with(4, Reason::QUOTA_EXCEEDED));
    let mut again = crowded.connect(Version::V5);
    for seq in [2, 3, 4] {
        crowded.send(&mut again, seq);
        again.expect(&puback(seq as u16));
    }
    let ((status, _), _) = crowded.post(1).join().unwrap();
    assert_eq!(status, 202);
    crowded.world.api.expect_points(&crowded.device, &[point(1), point(2), point(3), point(4)]);
}
