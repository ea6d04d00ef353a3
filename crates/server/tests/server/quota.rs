//! Promise: a tenant that has as many dead letters as it may have is refused before acceptance, with a reason that a device
//! can act on, until it has fewer or may have more; other tenants do not notice.

use mqtt::{Qos, Reason, Version};
use serde_json::{Value, json};

use super::api::{Api, Device, message, point};
use super::client::*;
use super::wait::until_equal;
use super::world::{Setup, World, metric};

/// A message that becomes a dead letter of 200 bytes and its own.
const BAD: &str = r#"{"metrics":{"x":[]}}"#;
const BAD_BYTES: u64 = 220;

/// A tenant with this quota, and its key.
fn tenant(world: &World, name: &str, dead_letter_bytes: Option<u64>) -> (String, Api) {
    let limits = json!({"name": name, "limits": {"dead_letter_bytes": dead_letter_bytes}});
    let (status, made) = world.api.call("POST", "/v1/tenants", Some(&limits));
    assert_eq!(status, 201, "{made}");
    let id = made["tenant_id"].as_str().unwrap().to_owned();
    let rights = json!({"name": "all", "rights": ["admin"], "tenant": id});
    let key = world.api.call("POST", "/v1/keys", Some(&rights)).1;
    (id, world.api.with_key(key["token"].as_str().unwrap()))
}

fn change_quota(world: &World, tenant: &str, bytes: Option<u64>) {
    let patch = json!({"limits": {"dead_letter_bytes": bytes}});
    assert_eq!(world.api.call("PATCH", &format!("/v1/tenants/{tenant}"), Some(&patch)).0, 200);
}

fn set_status(api: &Api, device: &Device, status: &str) {
    let path = format!("/v1/devices/{}", device.id);
    assert_eq!(api.call("PATCH", &path, Some(&json!({"status": status}))).0, 200);
}

fn send_bad(api: &Api, device: &Device, count: usize) {
    for _ in 0..count {
        let ((status, answer), _) = api.send("POST", &format!("/v1/ingest/{}", device.id), Some(BAD.to_owned()));
        assert_eq!(status, 202, "{answer}");
    }
}

fn until_letters(api: &Api, device: &Device, count: usize) {
    until_equal(&count, || api.dead_letters(device).len());
}

/// What a good message is answered with over HTTP: status, code, `Retry-After`.
fn answer(api: &Api, device: &Device, seq: u64) -> (u16, Value, Option<String>) {
    let path = format!("/v1/ingest/{}", device.id);
    let ((status, body), retry_after) = api.send("POST", &path, Some(message(seq).to_string()));
    (status, body["code"].clone(), retry_after)
}

fn refused() -> (u16, Value, Option<String>) {
    (429, json!("dead-letter-quota"), Some("60".to_owned()))
}

const ACCEPTED: (u16, Value, Option<String>) = (202, Value::Null, None);

#[test]
fn a_tenant_at_its_quota_is_refused_over_http_and_mqtt_and_no_other() {
    let world = World::start(Setup::default());
    let (tenant_id, api) = tenant(&world, "full", Some(3 * BAD_BYTES));
    let (_, unlimited) = tenant(&world, "unlimited", None);
    let (device, other) = (api.device(), unlimited.device());
    let mut fifth = Client::device(world.listen.mqtt, Version::V5, &device);
    let mut third = Client::device(world.listen.mqtt, Version::V3, &api.device());
    fifth.publish(&device.topic, 1, &message(0).to_string());

    send_bad(&api, &device, 2);
    until_letters(&api, &device, 2);
    assert_eq!(answer(&api, &device, 1), ACCEPTED);
    send_bad(&api, &device, 1);
    // What comes before the quota is noticed is accepted: a re-send, which leaves nothing behind.
    until_equal(&refused(), || answer(&api, &device, 1));
    let items = json!([{"device_id": device.id, "metrics": {"x": 1}}]);
    assert_eq!(api.call("POST", "/v1/ingest", Some(&items)).1["code"], "dead-letter-quota");

    let payload = message(3).to_string();
    for packet_id in 2..4 {
        fifth.send(&publish(Version::V5, &device.topic, Qos::AtLeastOnce, packet_id, payload.as_bytes()));
        fifth.expect(&puback_with(packet_id, Reason::QUOTA_EXCEEDED));
    }
    third.send(&publish(Version::V3, &device.topic, Qos::AtLeastOnce, 2, payload.as_bytes()));
    third.expect_closed();
    // A connection that comes now is refused as well.
    let mut late = Client::device(world.listen.mqtt, Version::V5, &api.device());
    late.send(&publish(Version::V5, &device.topic, Qos::AtLeastOnce, 2, payload.as_bytes()));
    late.expect(&puback_with(2, Reason::QUOTA_EXCEEDED));
    let refusals = |protocol| {
        let name = format!("tidewater_refused_total{{code=\"dead-letter-quota\",protocol=\"{protocol}\"}}");
        let other = format!("tidewater_refused_total{{protocol=\"{protocol}\",code=\"dead-letter-quota\"}}");
        let text = world.metrics();
        let value =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim().parse::<u64>());
        value(&name).or_else(|| value(&other)).unwrap_or_else(|| panic!("no refusals in\n{text}")).unwrap()
    };
    assert_eq!(refusals("mqtt"), 4);
    assert!(refusals("http") >= 2);
    assert_eq!(metric(world.listen.operations, "tidewater_tenants_at_dead_letter_quota"), 1);

    // The control: a tenant without a quota has more letters and is heard.
    send_bad(&unlimited, &other, 10);
    until_letters(&unlimited, &other, 10);
    assert_eq!(answer(&unlimited, &other, 1), ACCEPTED);
    unlimited.expect_points(&other, &[point(1)]);

    // A larger quota holds at once, and a smaller one.
    change_quota(&world, &tenant_id, Some(3 * BAD_BYTES + 1));
    assert_eq!(answer(&api, &device, 4), ACCEPTED);
    change_quota(&world, &tenant_id, Some(10));
    assert_eq!(answer(&api, &device, 5), refused());
    change_quota(&world, &tenant_id, None);
    assert_eq!(answer(&api, &device, 5), ACCEPTED);
    api.expect_points(&device, &[point(0), point(1), point(4), point(5)]);
}

#[test]
fn a_tenant_that_replays_its_letters_is_heard_again() {
    let world = World::start(Setup::default());
    let (tenant_id, api) = tenant(&world, "acme", None);
    let (device, sender) = (api.device(), api.device());
    set_status(&api, &device, "quarantined");
    for seq in 1..=3 {
        assert_eq!(answer(&api, &device, seq), ACCEPTED);
    }
    until_letters(&api, &device, 3);
    change_quota(&world, &tenant_id, Some(500));
    set_status(&api, &device, "active");
    let mut client = Client::device(world.listen.mqtt, Version::V5, &sender);
    client.send(&publish(Version::V5, &sender.topic, Qos::AtLeastOnce, 1, message(1).to_string().as_bytes()));
    client.expect(&puback_with(1, Reason::QUOTA_EXCEEDED));

    let (status, replayed) = api.call("POST", "/v1/dead-letters/replay", Some(&json!({"filter": {}})));
    assert_eq!((status, &replayed["replayed"]), (200, &json!(3)), "{replayed}");
    assert_eq!(answer(&api, &device, 4), ACCEPTED);
    api.expect_points(&device, &[point(1), point(2), point(3), point(4)]);
    // What was refused is sent again, in order.
    client.expect_end(Reason::ADMINISTRATIVE_ACTION);
    let mut client = Client::device(world.listen.mqtt, Version::V5, &sender);
    client.publish(&sender.topic, 1, &message(1).to_string());
    api.expect_points(&sender, &[point(1)]);
    assert_eq!(metric(world.listen.operations, "tidewater_dead_letters_replayed_total{outcome=\"passed\"}"), 3);
}

#[test]
fn a_quota_is_in_force_after_a_start() {
    let world = World::start(Setup::default());
    let (_, api) = tenant(&world, "acme", Some(2 * BAD_BYTES));
    let device = api.device();
    send_bad(&api, &device, 2);
    until_equal(&refused(), || answer(&api, &device, 1));
    let key = api.key.clone();
    let world = World::start_in(world.stop(), Setup::default());
    let api = world.api.with_key(&key);
    until_equal(&refused(), || answer(&api, &device, 1));
}

#[test]
fn letters_that_are_too_old_are_gone_and_do_not_count() {
    let clock = model::Clock::manual(1_800_000_000_000);
    let setup = Setup {
        clock: clock.clone(),
        configure: |config| config.journal.dead_letter_retention = std::time::Duration::from_secs(7200),
        ..Setup::default()
    };
    let world = World::start(setup);
    let (_, api) = tenant(&world, "acme", Some(2 * BAD_BYTES));
    let device = api.device();
    send_bad(&api, &device, 2);
    until_equal(&refused(), || answer(&api, &device, 1));
    clock.advance(std::time::Duration::from_secs(7199));
    until_letters(&api, &device, 2);
    assert_eq!(answer(&api, &device, 1), refused());
    clock.advance(std::time::Duration::from_secs(2));
    until_letters(&api, &device, 0);
    until_equal(&ACCEPTED, || answer(&api, &device, 1));
}
