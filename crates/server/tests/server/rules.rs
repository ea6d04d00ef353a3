//! Promise: a change of what holds for messages holds for the next one: whoever has the answer of the PATCH publishes
//! under the new rule, over the session that was open all the time, over an API key's session and over HTTP. What was
//! acknowledged before it stays under the old one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mqtt::{Reason, Version};
use serde_json::{Value, json};

use super::api::{Api, Device};
use super::client::*;
use super::wait::{until, until_equal};
use super::world::{Setup, World};

/// How often the rules go round: a race shows itself in one of them.
const ROUNDS: usize = 8;
const START: u64 = 1_700_000_000_000;

/// What a message became: its readings and tags, or why it was rejected.
type Outcome = Value;

#[derive(Clone, Copy)]
enum Way {
    /// The device's own session.
    Session,
    /// The session of an API key.
    Gateway,
    Http,
}

/// A device that is heard in three ways.
struct Heard {
    world: World,
    device: Device,
    session: Client,
    gateway: Client,
    http: Api,
    sent: u64,
    expected: Vec<Outcome>,
}

impl Heard {
    fn new(class: Value) -> Self {
        let world = World::start(Setup::default());
        let mut class = class;
        class["name"] = json!("watched");
        if let Some(schema) = class["schema_id"].as_object().cloned() {
            let schema = json!({"subject": "watched", "type": "json", "schema": schema});
            class["schema_id"] = json!(world.api.register(&schema).0);
        }
        let (status, answer) = world.api.call("POST", "/v1/classes", Some(&class));
        assert_eq!(status, 201, "{answer}");
        let device = world.api.device_of("watched");
        let session = Client::device(world.listen.mqtt, Version::V5, &device);
        let gateway = Client::key(world.listen.mqtt, Version::V3, &world.api.new_key(&["ingest"]).1);
        let http = world.api.with_key(&device.token);
        Self { world, device, session, gateway, http, sent: 0, expected: Vec::new() }
    }

    fn class(&self) -> String {
        "/v1/classes/watched".to_owned()
    }

    fn path(&self) -> String {
        format!("/v1/devices/{}", self.device.id)
    }

    fn tenant(&self) -> String {
        format!("/v1/tenants/{}", self.device.tenant)
    }

    /// Sends a message in each way, each acknowledged before the next, and notes what is to become of them.
    fn say(&mut self, more: &Value, expected: &Outcome) {
        [Way::Session, Way::Gateway, Way::Http].iter().for_each(|way| self.say_by(*way, more, expected));
    }

    /// The message has the metric `x`, which is 32, and these fields.
    fn say_by(&mut self, way: Way, more: &Value, expected: &Outcome) {
        let mut message = json!({"ts": START + self.sent, "seq": self.sent, "metrics": {"x": 32}});
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (packet_id, text) = (self.sent as u16 + 1, message.to_string());
        match way {
            Way::Session => self.session.publish(&self.device.topic, packet_id, &text),
            Way::Gateway => self.gateway.publish(&self.device.topic, packet_id, &text),
            Way::Http => assert_eq!(self.http.ingest(&self.device, &message), (202, json!({"accepted": 1}))),
        }
        self.sent += 1;
        self.expected.push(expected.clone());
    }

    /// Goes round these rules: after each change comes a message, and none before the answer.
    fn go_round(&mut self, path: &str, message: &Value, rules: &[(Value, Outcome)]) {
        for (patch, expected) in std::iter::repeat_n(rules, ROUNDS).flatten() {
            self.world.api.patch(path, patch);
            self.say(message, expected);
        }
        self.check();
    }

    /// Each message has become what it was to become.
    fn check(&mut self) {
        self.session.expect_alive();
        self.gateway.expect_alive();
        for (seq, expected) in (0..).zip(&self.expected) {
            let found = until("a message is a row or a letter", || self.row(seq).or_else(|| self.letter(seq)));
            assert_eq!(found, *expected, "message {seq}");
        }
    }

    fn row(&self, seq: u64) -> Option<Outcome> {
        let mut row = json!({});
        for metric in ["x", "twice"] {
            let ts = START + seq;
            let path = format!("{}/metrics?metric={metric}&from={ts}&to={}", self.path(), ts + 1);
            let points = self.world.api.get(&path)["points"].clone();
            if let Some(point) = points.get(0) {
                row[metric] = point["value"].clone();
                row["tags"] = point["tags"].clone();
            }
        }
        row.get("x").is_some().then_some(row)
    }

    fn letter(&self, seq: u64) -> Option<Outcome> {
        let path = format!("/v1/dead-letters?device={}&limit=1000", self.device.id);
        let letters = self.world.api.get(&path)["dead_letters"].as_array().unwrap().clone();
        let of_seq = |letter: &&Value| {
            let payload = STANDARD.decode(letter["payload"].as_str().unwrap()).unwrap();
            serde_json::from_slice::<Value>(&payload).unwrap()["seq"] == seq
        };
        letters.iter().find(of_seq).map(|letter| letter["reason"].clone())
    }
}

fn row(x: f64) -> Outcome {
    json!({"x": x, "tags": null})
}

/// A message of DESIGN's form whose `x` is in degrees Fahrenheit.
fn fahrenheit() -> Value {
    let x = json!({"type": "number", "unit": "[degF]"});
    json!({"type": "object", "properties": {"metrics": {"type": "object", "properties": {"x": x}}}})
}

#[test]
fn units_of_class_and_tenant() {
    let mut heard = Heard::new(json!({"schema_id": fahrenheit()}));
    let celsius = (json!({"units": {"x": "Cel"}}), row(0.0));
    let as_sent = (json!({"units": {"x": null}}), row(32.0));
    heard.say(&json!({}), &row(32.0));
    heard.go_round(&heard.class(), &json!({}), &[celsius.clone(), as_sent.clone()]);
    heard.go_round(&heard.tenant(), &json!({}), &[celsius, as_sent]);
}

#[test]
fn computed_metrics_and_unknown_fields() {
    let mut heard = Heard::new(json!({}));
    let computed = |expression: &str| json!({"computed": [{"metric": "twice", "expression": expression}]});
    let with = |twice: f64| json!({"x": 32.0, "twice": twice, "tags": null});
    heard.say(&json!({}), &row(32.0));
    let rules =
        [(computed("x * 2"), with(64.0)), (computed("x + x + 1"), with(65.0)), (json!({"computed": null}), row(32.0))];
    heard.go_round(&heard.class(), &json!({}), &rules);
    let unknown = |policy: &str| json!({"unknown_fields": policy});
    let rules = [
        (unknown("reject"), json!("unknown-field")),
        (unknown("drop"), row(32.0)),
        (unknown("reject"), json!("unknown-field")),
        (unknown("keep"), row(32.0)),
    ];
    heard.go_round(&heard.class(), &json!({"odd": 7}), &rules);
}

#[test]
fn schemas_of_class_and_device() {
    let mut heard = Heard::new(json!({}));
    let limited = |maximum: f64| {
        let x = json!({"type": "number", "maximum": maximum});
        json!({"type": "object", "properties": {"metrics": {"type": "object", "properties": {"x": x}}}})
    };
    let register = |heard: &Heard, subject: &str, maximum: f64| {
        let schema = json!({"subject": subject, "type": "json", "schema": limited(maximum)});
        json!({"schema_id": heard.world.api.register(&schema).0})
    };
    let (narrow, wide) = (register(&heard, "narrow", 31.0), register(&heard, "wide", 33.0));
    let none = json!({"schema_id": null});
    heard.say(&json!({}), &row(32.0));
    let rules = |last: Outcome| {
        let rejected = json!("out-of-range");
        [
            (narrow.clone(), rejected.clone()),
            (wide.clone(), row(32.0)),
            (narrow.clone(), rejected),
            (none.clone(), last),
        ]
    };
    heard.go_round(&heard.class(), &json!({}), &rules(row(32.0)));
    // A device's own holds before its class's.
    heard.world.api.patch(&heard.class(), &narrow);
    heard.go_round(&heard.path(), &json!({}), &rules(json!("out-of-range")));
}

/// The device is bound again in the log, and its sessions go on.
#[test]
fn metadata_of_device_class_and_tenant() {
    let mut heard = Heard::new(json!({"tags": ["site", "class.vendor", "tenant.region"]}));
    let tagged = |tags: Value| json!({"x": 32.0, "tags": tags});
    heard.say(&json!({}), &row(32.0));
    let metadata = |name: &str, value: Value| json!({"metadata": {name: value}});
    let sites = [
        (metadata("site", json!("north")), tagged(json!({"site": "north"}))),
        (metadata("site", json!("south")), tagged(json!({"site": "south"}))),
        (metadata("site", Value::Null), row(32.0)),
    ];
    heard.go_round(&heard.path(), &json!({}), &sites);
    let vendors = [
        (metadata("vendor", json!("acme")), tagged(json!({"class.vendor": "acme"}))),
        (metadata("vendor", Value::Null), row(32.0)),
    ];
    heard.go_round(&heard.class(), &json!({}), &vendors);
    let regions = [
        (metadata("region", json!("eu")), tagged(json!({"tenant.region": "eu"}))),
        (metadata("region", json!("us")), tagged(json!({"tenant.region": "us"}))),
        (metadata("region", Value::Null), row(32.0)),
    ];
    heard.go_round(&heard.tenant(), &json!({}), &regions);
    // Which of it is a tag is a rule as well.
    heard.world.api.patch(&heard.path(), &metadata("site", json!("north")));
    let tags = [(json!({"tags": []}), row(32.0)), (json!({"tags": ["site"]}), tagged(json!({"site": "north"})))];
    heard.go_round(&heard.class(), &json!({}), &tags);
}

/// What the gateway keeps beside a topic: the format of payloads that do not say theirs, and whether they count.
#[test]
fn format_of_class_and_status_of_device() {
    let mut heard = Heard::new(json!({}));
    heard.say(&json!({}), &row(32.0));
    let (quarantined, unread) = (json!("quarantined"), json!("not-well-formed"));
    let rules = [
        (heard.class(), json!({"format": "cbor"}), &unread, row(32.0)),
        (heard.path(), json!({"status": "quarantined"}), &quarantined, quarantined.clone()),
        (heard.path(), json!({"status": "active"}), &unread, row(32.0)),
        (heard.class(), json!({"format": null}), &row(32.0), row(32.0)),
    ];
    for (path, patch, expected, with_content_type) in std::iter::repeat_n(&rules, ROUNDS).flatten() {
        heard.world.api.patch(path, patch);
        if patch.get("status").is_some() {
            // It ends the device's sessions, and nobody else's.
            heard.session.expect_end(Reason::ADMINISTRATIVE_ACTION);
            heard.session = Client::device(heard.world.listen.mqtt, Version::V5, &heard.device);
        }
        heard.say_by(Way::Gateway, &json!({}), expected);
        heard.say_by(Way::Session, &json!({}), expected);
        heard.say_by(Way::Http, &json!({}), with_content_type);
    }
    heard.check();
}

#[test]
fn quarantine_of_class() {
    let mut heard = Heard::new(json!({"unknown_fields": "reject"}));
    let (odd, rejected) = (json!({"odd": 7}), json!("unknown-field"));
    heard.say(&odd, &rejected);
    heard.check();
    assert_eq!(heard.world.api.get(&heard.path())["status"], "active");
    let quarantine = json!({"messages": 1, "rejected_percent": 50.0, "quarantine": true});
    heard.world.api.patch(&heard.class(), &json!({"quarantine": quarantine}));
    heard.say_by(Way::Gateway, &odd, &rejected);
    until_equal(&json!("quarantined"), || heard.world.api.get(&heard.path())["status"].clone());
    // The gateway knows when it has ended the device's session.
    heard.session.expect_end(Reason::ADMINISTRATIVE_ACTION);
    heard.session = Client::device(heard.world.listen.mqtt, Version::V5, &heard.device);
    heard.say(&json!({}), &json!("quarantined"));
    heard.check();
}
