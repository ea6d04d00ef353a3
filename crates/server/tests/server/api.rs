//! The HTTP API, as the tests use it.

use std::net::SocketAddr;

use serde_json::{Value, json};
use ureq::http::Request;
use ureq::{Agent, SendBody};

use super::wait::{PATIENCE, until_equal};

/// A server and a key to speak to it with.
#[derive(Clone)]
pub struct Api {
    agent: Agent,
    url: String,
    pub key: String,
}

/// A registered device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Device {
    pub id: String,
    pub token: String,
    pub tenant: String,
    /// Where its messages go; events go beside it.
    pub topic: String,
}

/// One raw point: ts, seq, value.
pub type Point = (i64, Option<u64>, Value);

/// An answer: status and body; null if it has none.
pub type Answer = (u16, Value);

impl Api {
    pub fn new(http: SocketAddr, key: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(PATIENCE))
            .proxy(None)
            .build();
        Self { agent: config.into(), url: format!("http://{http}"), key: key.trim().to_owned() }
    }

    /// The same server, asked with another credential.
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self.clone() }
    }

    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.send(method, path, body.map(Value::to_string)).0
    }

    /// The answer, and its `Retry-After`.
    pub fn send(&self, method: &str, path: &str, body: Option<String>) -> (Answer, Option<String>) {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("Authorization", format!("Bearer {}", self.key))
            .header("Content-Type", "application/json");
        let body = body.map_or(SendBody::none(), |text| SendBody::from_owned_reader(std::io::Cursor::new(text)));
        let mut response = self.agent.run(request.body(body).unwrap()).unwrap();
        let retry_after = response.headers().get("Retry-After").map(|value| value.to_str().unwrap().to_owned());
        let text = response.body_mut().read_to_string().unwrap();
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
        ((response.status().as_u16(), body), retry_after)
    }

    pub fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, None);
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    pub fn patch(&self, path: &str, patch: &Value) {
        let (status, body) = self.call("PATCH", path, Some(patch));
        assert_eq!(status, 200, "PATCH {path} {patch}: {body}");
    }

    /// Registers a schema: what names its major, and its id in the Confluent wire format.
    pub fn register(&self, schema: &Value) -> (String, u32) {
        let (status, body) = self.call("POST", "/v1/schemas", Some(schema));
        assert_eq!(status, 201, "{schema}: {body}");
        (body["schema_id"].as_str().unwrap().to_owned(), body["id"].as_u64().unwrap() as u32)
    }

    pub fn device(&self) -> Device {
        self.device_of("pump")
    }

    /// A new device of a class.
    pub fn device_of(&self, class: &str) -> Device {
        let (status, body) = self.call("POST", "/v1/devices", Some(&json!({"device_class": class})));
        assert_eq!(status, 201, "{body}");
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        Device { id: text("device_id"), token: text("auth_token"), tenant: text("tenant_id"), topic: text("topic") }
    }

    /// A new key with these rights: its id and its token.
    pub fn new_key(&self, rights: &[&str]) -> (String, String) {
        let (status, body) = self.call("POST", "/v1/keys", Some(&json!({"name": "a key", "rights": rights})));
        assert_eq!(status, 201, "{body}");
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        (text("key_id"), text("token"))
    }

    /// `POST /v1/ingest/{device_id}` with this credential: status and body.
    pub fn ingest(&self, device: &Device, message: &Value) -> Answer {
        self.call("POST", &format!("/v1/ingest/{}", device.id), Some(message))
    }

    /// Every raw point of a metric, in the order in which the API gives them.
    pub fn points(&self, device: &Device, metric: &str) -> Vec<Point> {
        let mut points = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/v1/devices/{}/metrics?metric={metric}&from=0&to=9999999999999{cursor}", device.id);
            let body = self.get(&path);
            let found = body["points"].as_array().unwrap().iter();
            points.extend(found.map(|p| (p["ts"].as_i64().unwrap(), p["seq"].as_u64(), p["value"].clone())));
            match body["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return points,
            }
        }
    }

    /// Waits until a device's points of the metric `x` are exactly these.
    pub fn expect_points(&self, device: &Device, expected: &[Point]) {
        until_equal(&expected.to_vec(), || self.points(device, "x"));
    }

    /// Dead letters of a device, newest first: reason and payload (base64).
    pub fn dead_letters(&self, device: &Device) -> Vec<(String, String)> {
        let body = self.get(&format!("/v1/dead-letters?device={}", device.id));
        let text = |letter: &Value, name: &str| letter[name].as_str().unwrap().to_owned();
        let letters = body["dead_letters"].as_array().unwrap().iter();
        letters.map(|letter| (text(letter, "reason"), text(letter, "payload"))).collect()
    }
}

/// The message with this seq that the tests send: its ts and its value follow from it.
pub fn message(seq: u64) -> Value {
    json!({"ts": 1_700_000_000_000 + seq, "seq": seq, "metrics": {"x": seq as f64 + 0.5}})
}

/// What the query answers about [`message`].
pub fn point(seq: u64) -> Point {
    (1_700_000_000_000 + seq as i64, Some(seq), json!(seq as f64 + 0.5))
}
