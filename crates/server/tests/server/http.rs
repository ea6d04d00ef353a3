//! The HTTP API as a whole: every answer with its status, headers and body, nothing hidden.

mod dead_letters;
mod errors;
mod hostile;
mod ingest;
mod operations;
mod queries;
mod schema_registry;
mod units;
mod walls;

use std::io::Read;
use std::net::SocketAddr;

use serde_json::{Value, json};
use ureq::Agent;

use super::wait::{PATIENCE, until};
use super::world::{Setup, World};

/// A server of its own and its admin key.
struct Running {
    world: Option<World>,
    key: String,
    agent: Agent,
}

/// A device that was made for a test.
struct Device {
    id: String,
    token: String,
}

/// An answer, whole.
struct Answer {
    status: u16,
    headers: ureq::http::HeaderMap,
    bytes: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null if there is none.
    fn json(&self) -> Value {
        if self.bytes.is_empty() { Value::Null } else { serde_json::from_slice(&self.bytes).unwrap() }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }

    /// Status and code of a problem document.
    fn problem(&self) -> (u16, String) {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.text());
        let document = self.json();
        assert_eq!(document["status"], self.status);
        assert!(document["detail"].as_str().is_some_and(|detail| detail.ends_with('.')), "a sentence: {document}");
        (self.status, document["code"].as_str().unwrap().to_owned())
    }
}

impl Running {
    /// Starts a server on a new directory.
    fn start() -> Self {
        Self::start_with(Setup::default())
    }

    fn start_with(setup: Setup) -> Self {
        let world = World::start(setup);
        let agent =
            Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).proxy(None).build();
        Self { key: world.api.key.clone(), world: Some(world), agent: agent.into() }
    }

    fn world(&self) -> &World {
        self.world.as_ref().unwrap()
    }

    /// Stops the server as SIGTERM does, and starts it again on the same directory.
    fn restart(&mut self) {
        let directory = self.world.take().unwrap().stop();
        self.world = Some(World::start_in(directory, Setup::default()));
    }

    fn request(&self, method: &str, path: &str, token: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.send(self.world().listen.http, method, path, token, headers, body)
    }

    /// A request to the operations listener.
    fn operations(&self, path: &str) -> Answer {
        self.send(self.world().listen.operations, "GET", path, "", &[], b"")
    }

    fn send(
        &self,
        to: SocketAddr,
        method: &str,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("http://{to}{path}"));
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.to_vec()).unwrap();
        let mut answer = self.agent.run(request).unwrap();
        let mut bytes = Vec::new();
        answer.body_mut().as_reader().read_to_end(&mut bytes).unwrap();
        Answer { status: answer.status().as_u16(), headers: answer.headers().clone(), bytes }
    }

    fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &self.key, &[], b"")
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.request("POST", path, &self.key, &[("content-type", "application/json")], body.to_string().as_bytes())
    }

    /// A new device of a class.
    fn device(&self, class: &str) -> Device {
        let answer = self.post("/v1/devices", &json!({"device_class": class}));
        assert_eq!(answer.status, 201, "{}", answer.text());
        let made = answer.json();
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        Device { id: text("device_id"), token: text("auth_token") }
    }

    /// Sends JSON as a device; 202 or panic.
    fn ingest(&self, device: &Device, body: &Value) {
        let path = format!("/v1/ingest/{}", device.id);
        let json = [("content-type", "application/json")];
        let answer = self.request("POST", &path, &device.token, &json, body.to_string().as_bytes());
        assert_eq!(answer.status, 202, "{}", answer.text());
    }

    /// Asks until `found` says yes: what is acknowledged becomes visible a moment later.
    fn eventually(&self, path: &str, found: impl Fn(&Value) -> bool) -> Value {
        until(path, || Some(self.get(path).json()).filter(&found))
    }

    /// Waits until a device's metric has so many raw points.
    fn points(&self, device: &Device, metric: &str, count: usize) -> Vec<Value> {
        let path = format!("/v1/devices/{}/metrics?metric={metric}&from=0&to=9999999999999", device.id);
        let answer = self.eventually(&path, |answer| answer["points"].as_array().is_some_and(|it| it.len() >= count));
        answer["points"].as_array().unwrap().clone()
    }
}
