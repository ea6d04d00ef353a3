//! Promise: whoever loses a credential loses it at once: the live session ends, and nobody comes in with it any more,
//! neither over MQTT nor over HTTP.

use mqtt::{Qos, Reason, Version};
use serde_json::{Value, json};

use super::api::{Device, message, point};
use super::client::*;
use super::wait::until_equal;
use super::world::World;

const BAD: (u8, Reason) = (4, Reason::BAD_USER_NAME_OR_PASSWORD);
const DENIED: (u8, Reason) = (5, Reason::NOT_AUTHORIZED);

/// Both protocol versions, connected, with one message each through them.
fn connected(world: &World, device: &Device) -> [Client; 2] {
    VERSIONS.map(|version| {
        let name = format!("{version:?}");
        let options = mqtt::client::ConnectOptions { client_id: &name, ..login(version, device) };
        let (mut client, _) = Client::connect(world.listen.mqtt, &options);
        client.publish(&device.topic, 1, &message(0).to_string());
        client
    })
}

/// The device's token opens nothing: over MQTT with these codes, over HTTP with this status.
#[track_caller]
fn expect_shut_out(world: &World, device: &Device, (return_code, reason): (u8, Reason), status: u16) {
    for version in VERSIONS {
        let mut client = Client::dial(world.listen.mqtt, version);
        client.send(&connect(&login(version, device)));
        match version {
            Version::V3 => client.expect(&[0x20, 2, 0, return_code]),
            Version::V5 => client.expect(&[0x20, 3, 0, reason.0, 0]),
        }
        client.expect_closed();
    }
    assert_eq!(world.api.with_key(&device.token).ingest(device, &message(9)).0, status);
}

#[track_caller]
fn change(world: &World, method: &str, path: &str, body: Value, status: u16) -> Value {
    let (found, answer) = world.api.call(method, path, (!body.is_null()).then_some(&body));
    assert_eq!(found, status, "{method} {path}: {answer}");
    answer
}

#[test]
fn an_inactive_device_is_closed_and_refused_until_it_is_active_again() {
    let world = World::shared();
    let device = world.api.device();
    let path = format!("/v1/devices/{}", device.id);
    let clients = connected(&world, &device);
    change(&world, "PATCH", &path, json!({"status": "inactive"}), 200);
    clients.into_iter().for_each(|mut client| client.expect_end(Reason::ADMINISTRATIVE_ACTION));
    expect_shut_out(&world, &device, DENIED, 403);

    change(&world, "PATCH", &path, json!({"status": "active"}), 200);
    connected(&world, &device);
    assert_eq!(world.api.with_key(&device.token).ingest(&device, &message(1)).0, 202);
    world.api.expect_points(&device, &[point(0), point(1)]);
}

#[test]
fn an_old_token_ends_with_the_new_one() {
    let world = World::shared();
    let device = world.api.device();
    let clients = connected(&world, &device);
    let answer = change(&world, "POST", &format!("/v1/devices/{}/token", device.id), json!({}), 201);
    clients.into_iter().for_each(|mut client| client.expect_end(Reason::ADMINISTRATIVE_ACTION));
    expect_shut_out(&world, &device, BAD, 401);
    let renewed = Device { token: answer["auth_token"].as_str().unwrap().to_owned(), ..device };
    connected(&world, &renewed);
}

#[test]
fn a_deleted_device_is_gone_and_its_readings_stay() {
    let world = World::shared();
    let device = world.api.device();
    let clients = connected(&world, &device);
    world.api.expect_points(&device, &[point(0)]);
    change(&world, "DELETE", &format!("/v1/devices/{}", device.id), Value::Null, 204);
    clients.into_iter().for_each(|mut client| client.expect_end(Reason::ADMINISTRATIVE_ACTION));
    expect_shut_out(&world, &device, BAD, 401);
    world.api.expect_points(&device, &[point(0)]);
}

#[test]
fn a_deleted_key_is_closed_and_refused() {
    let world = World::shared();
    let device = world.api.device();
    let (id, token) = world.api.new_key(&["ingest"]);
    let clients = VERSIONS.map(|version| {
        let mut client = Client::key(world.listen.mqtt, version, &token);
        client.publish(&device.topic, 1, &message(0).to_string());
        client
    });
    change(&world, "DELETE", &format!("/v1/keys/{id}"), Value::Null, 204);
    clients.into_iter().for_each(|mut client| client.expect_end(Reason::ADMINISTRATIVE_ACTION));
    let key = Device { id: "key".to_owned(), token: token.clone(), ..device.clone() };
    for version in VERSIONS {
        let mut client = Client::dial(world.listen.mqtt, version);
        client.send(&connect(&login(version, &key)));
        assert!(matches!(client.receive().unwrap()[3], 4 | 0x86));
        client.expect_closed();
    }
    assert_eq!(world.api.with_key(&token).ingest(&device, &message(1)).0, 401);
    world.api.expect_points(&device, &[point(0)]);
}

#[test]
fn a_key_goes_on_when_one_of_its_devices_is_switched_off() {
    let world = World::shared();
    let (device, other) = (world.api.device(), world.api.device());
    let (_, token) = world.api.new_key(&["ingest"]);
    let mut client = Client::key(world.listen.mqtt, Version::V5, &token);
    client.publish(&device.topic, 1, &message(0).to_string());
    client.publish(&other.topic, 2, &message(0).to_string());
    change(&world, "PATCH", &format!("/v1/devices/{}", device.id), json!({"status": "inactive"}), 200);
    // The gateway hears of it a moment after the API has answered: what it takes until then was sent before.
    let mut seq = 1;
    let refused = loop {
        client.send(&publish(Version::V5, &device.topic, Qos::AtLeastOnce, 3, message(seq).to_string().as_bytes()));
        let answer = client.receive().unwrap();
        if answer != puback(3) || seq == 1000 {
            break answer;
        }
        seq += 1;
    };
    assert_eq!(refused, puback_with(3, Reason::NOT_AUTHORIZED));
    client.publish(&other.topic, 4, &message(1).to_string());
    world.api.expect_points(&device, &(0..seq).map(point).collect::<Vec<_>>());
    world.api.expect_points(&other, &[point(0), point(1)]);
}

#[test]
fn a_quarantined_device_is_acknowledged_and_kept_apart() {
    let world = World::shared();
    let device = world.api.device();
    let clients = connected(&world, &device);
    change(&world, "PATCH", &format!("/v1/devices/{}", device.id), json!({"status": "quarantined"}), 200);
    clients.into_iter().for_each(|mut client| client.expect_end(Reason::ADMINISTRATIVE_ACTION));
    let mut client = Client::device(world.listen.mqtt, Version::V5, &device);
    client.publish(&device.topic, 1, r#"{"metrics":{"x":1}}"#);
    let (status, answer) = world.api.with_key(&device.token).ingest(&device, &json!({"metrics": {"x": 2}}));
    assert_eq!((status, &answer["accepted"]), (202, &json!(1)));
    let letters = ["eyJtZXRyaWNzIjp7IngiOjJ9fQ==", "eyJtZXRyaWNzIjp7IngiOjF9fQ=="];
    let letters = letters.map(|payload| ("quarantined".to_owned(), payload.to_owned())).to_vec();
    until_equal(&letters, || world.api.dead_letters(&device));
    world.api.expect_points(&device, &[point(0)]);
}
