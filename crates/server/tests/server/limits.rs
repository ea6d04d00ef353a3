//! Promise: a connection costs little, and one that talks nonsense costs nobody else anything.

use model::Clock;
use mqtt::client::ConnectOptions;
use mqtt::{Reason, Version};
use tempfile::TempDir;

use super::api::{message, point};
use super::client::*;
use super::program::Program;
use super::wait::{until, until_equal};
use super::world::{Setup, World};

/// What an idle connection may take (DESIGN section 7), and what the allocator's rounding, the journal's tail and the head
/// may add for the one message that each has sent.
const IDLE_BYTES_MAX: u64 = (4 << 10) + (2 << 10);
/// Connections over which it is measured: so many that what the server takes once, whenever that is, hardly counts.
const IDLE: u64 = 6000;

#[test]
fn an_idle_connection_takes_little_memory() {
    let files = raise_descriptor_limit();
    assert!(files >= IDLE + 500, "this test needs {} descriptors, and {files} are allowed", IDLE + 500);
    let dir = TempDir::new().unwrap();
    let program = Program::start(dir.path(), "");
    let device = program.api.device();
    let open = |number: u64| {
        let id = format!("sensor-{number}");
        let options = ConnectOptions { client_id: &id, keep_alive: 60, ..login(Version::V5, &device) };
        let (mut client, _) = Client::connect(program.listen.mqtt, &options);
        // It has worked once, so that it is idle rather than new.
        client.publish(&device.topic, 1, &message(number).to_string());
        client
    };
    // The first ones pay for what all share.
    let mut clients: Vec<Client> = (0..200).map(open).collect();
    let (before, descriptors) = (program.resident_bytes(), program.descriptors());
    clients.extend((200..200 + IDLE).map(open));
    let each = program.resident_bytes().saturating_sub(before) / IDLE;
    println!("{each} bytes for each of {IDLE} idle connections");
    assert!(each <= IDLE_BYTES_MAX, "{each} bytes for each idle connection");
    drop(clients);
    // At most: the connection of an HTTP client may have ended, too.
    until("all are closed", || (program.descriptors() <= descriptors - 200).then_some(()));
}

#[test]
fn exhausted_descriptors_are_said_once_and_cost_only_who_comes_then() {
    let dir = TempDir::new().unwrap();
    let program = Program::start(dir.path(), "");
    let device = program.api.device();
    let mut first = Client::device(program.listen.mqtt, Version::V5, &device);
    first.publish(&device.topic, 1, &message(0).to_string());
    program.limit_descriptors(program.next_descriptor());
    let mut later: Vec<Client> = (0..64)
        .map(|number| {
            let id = format!("later-{number}");
            let mut client = Client::dial(program.listen.mqtt, Version::V5);
            client.send(&connect(&ConnectOptions { client_id: &id, ..login(Version::V5, &device) }));
            client
        })
        .collect();
    let said = || std::fs::read_to_string(dir.path().join("serve.log")).unwrap().matches("cannot be accepted").count();
    until("it is said", || (said() > 0).then_some(()));
    for seq in 1..100 {
        first.publish(&device.topic, 1, &message(seq).to_string());
    }
    assert_eq!(said(), 1);
    program.limit_descriptors(u64::MAX);
    for client in &mut later {
        let connack = client.receive().unwrap();
        assert_eq!((connack[0], connack[3]), (0x20, 0), "who waited in the kernel is let in");
    }
    program.api.expect_points(&device, &(0..100).map(point).collect::<Vec<_>>());
}

/// Lets this process open as many files as the system allows; the server does so for itself.
fn raise_descriptor_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    #[allow(unsafe_code, reason = "std has no getrlimit")]
    // SAFETY: both calls are given a struct that lives through them.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
    limit.rlim_cur
}

/// A server on which nothing ever times out.
fn with_clock_standing() -> World {
    World::start(Setup { clock: Clock::manual(1_800_000_000_000), ..Setup::default() })
}

#[test]
fn nonsense_closes_its_own_connection_and_no_other() {
    let world = with_clock_standing();
    let device = world.api.device();
    let mut bystander = Client::device(world.listen.mqtt, Version::V5, &device);
    let nonsense: [&[u8]; 9] = [
        b"GET / HTTP/1.1\r\nHost: t\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        &[0; 64],
        &[0xFF; 64],
        // A remaining length of 256 MiB, one of five bytes, and a CONNECT beyond its own limit.
        &[0x10, 0xFF, 0xFF, 0xFF, 0x7F],
        &[0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
        &[0x10, 0xFE, 0x7F],
        // A PUBLISH before CONNECT, and a protocol that nobody speaks.
        &[0x30, 3, 0, 1, b'a'],
        b"\x10\x0C\x00\x04MQTX\x04\x02\x00\x3C\x00\x00",
    ];
    for bytes in nonsense {
        let mut client = Client::dial(world.listen.mqtt, Version::V3);
        client.send(bytes);
        client.expect_closed();
        bystander.expect_alive();
    }
    bystander.publish(&device.topic, 1, &message(0).to_string());
    world.api.expect_points(&device, &[point(0)]);
}

#[test]
fn a_connection_that_ends_in_the_middle_leaves_nothing_behind() {
    // What went wrong once: data and the end in one event, and only the data was taken.
    let world = with_clock_standing();
    let device = world.api.device();
    let hello = connect(&login(Version::V5, &device));
    for len in 0..hello.len() {
        Client::dial(world.listen.mqtt, Version::V5).send(&hello[..len]);
    }
    let half = publish(Version::V5, &device.topic, mqtt::Qos::AtLeastOnce, 1, message(0).to_string().as_bytes());
    for len in 1..half.len() {
        Client::device(world.listen.mqtt, Version::V5, &device).send(&half[..len]);
    }
    // Nor does one that announces a large packet and goes on talking.
    let mut client = Client::device(world.listen.mqtt, Version::V5, &device);
    client.send(&[0x32, 0xFF, 0xFF, 0xFF, 0x7F]);
    client.expect_end(Reason::PACKET_TOO_LARGE);
    drop(client);
    until_equal(&0, || world.connections());
    world.api.expect_points(&device, &[]);
}
