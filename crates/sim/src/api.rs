//! The server's HTTP API as fleet, generator and checker use it.

use std::collections::BTreeSet;
use std::io::Read;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::{DeviceId, Millis, TenantId};
use serde::Deserialize;
use serde_json::{Value, json};
use ureq::http::{Request, Response};
use ureq::{Agent, Body, SendBody};

use crate::check::Point;

/// A server and a key to speak to it with. Connections are kept alive.
#[derive(Clone, Debug)]
pub struct Api {
    agent: Agent,
    url: String,
    key: String,
}

/// How long one answer may take: longer than the server allows itself.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(60);
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(5);
/// The largest answer that is read.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// Devices in one import request: within the server's limit, and a second's work at most.
const IMPORT_DEVICES: usize = 5_000;
/// A time after every reading, in Unix ms: 2100-01-01.
const FOREVER: Millis = 4_102_444_800_000;

/// A device to register.
#[derive(Clone, PartialEq, Debug)]
pub struct NewDevice {
    pub id: DeviceId,
    pub class: String,
    pub metadata: Value,
}

/// A registered device's credentials.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Credentials {
    pub device_id: DeviceId,
    pub tenant_id: TenantId,
    /// Only where the device is new, or its token was just made.
    pub auth_token: Option<String>,
}

impl Api {
    /// `url` as `http://host:port`.
    pub fn new(url: &str, key: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_WAIT_MAX))
            .timeout_global(Some(ANSWER_WAIT_MAX))
            .proxy(None)
            .build();
        Self { agent: config.into(), url: url.trim_end_matches('/').to_owned(), key: key.trim().to_owned() }
    }

    pub fn key(&self) -> &str {
        &self.key
    }

    /// The same server, asked with another key.
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: key.trim().to_owned(), ..self.clone() }
    }

    /// `GET path`, as JSON.
    pub fn get<T: for<'de> Deserialize<'de>>(&self, path: &str) -> Result<T> {
        read_json(success(self.send("GET", path, None)?)?)
    }

    /// `GET path`, as JSON, whatever the status.
    pub fn answer<T: for<'de> Deserialize<'de>>(&self, path: &str) -> Result<T> {
        read_json(self.send("GET", path, None)?)
    }

    /// `GET path`, as it comes.
    pub fn text(&self, path: &str) -> Result<String> {
        let mut response = success(self.send("GET", path, None)?)?;
        let limited = response.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        limited.read_to_string().context("the server's answer broke off")
    }

    /// `POST path` with a JSON body, as JSON.
    pub fn post<T: for<'de> Deserialize<'de>>(&self, path: &str, body: &Value) -> Result<T> {
        let body = ("application/json", body.to_string());
        read_json(success(self.send("POST", path, Some(body))?)?)
    }

    fn send(&self, method: &str, path: &str, body: Option<(&str, String)>) -> Result<Response<Body>> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {}", self.key));
        let sent = match body {
            Some((media, body)) => self.agent.run(request.header("content-type", media).body(body)?),
            None => self.agent.run(request.body(SendBody::none())?),
        };
        sent.map_err(|error| anyhow!("the server at {} does not answer: {error}", self.url))
    }

    /// Registers devices. Those that were registered before with the same content get a new token, which ends their
    /// old one.
    pub fn register(&self, devices: &[NewDevice], mut progress: impl FnMut(usize)) -> Result<Vec<Credentials>> {
        let mut all = Vec::with_capacity(devices.len());
        for part in devices.chunks(IMPORT_DEVICES) {
            all.extend(self.import(part)?);
            progress(all.len());
        }
        Ok(all)
    }

    fn import(&self, devices: &[NewDevice]) -> Result<Vec<Credentials>> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Line {
            Done(Credentials),
            Refused { code: String, detail: String },
        }
        #[derive(Deserialize)]
        struct Imported {
            devices: Vec<Line>,
        }
        let line = |device: &NewDevice| {
            let (id, class, metadata) = (device.id, &device.class, &device.metadata);
            json!({"device_id": id, "device_class": class, "metadata": metadata}).to_string()
        };
        let body = devices.iter().map(line).collect::<Vec<_>>().join("\n");
        let answer = self.send("POST", "/v1/devices:import", Some(("application/x-ndjson", body)))?;
        let imported: Imported = read_json(success(answer)?)?;
        ensure!(imported.devices.len() == devices.len(), "the import answered another number of devices than was sent");
        let complete = |line| match line {
            Line::Done(credentials) if credentials.auth_token.is_some() => Ok(credentials),
            Line::Done(credentials) => self.new_token(credentials.device_id),
            Line::Refused { code, detail } => bail!("a device could not be registered: {detail} ({code})"),
        };
        imported.devices.into_iter().map(complete).collect()
    }

    fn new_token(&self, device: DeviceId) -> Result<Credentials> {
        self.post(&format!("/v1/devices/{device}/token"), &json!({}))
    }

    /// All raw readings of one metric of one device, of all times. None if the key may not see the device.
    pub fn points(&self, device: DeviceId, metric: &str) -> Result<Option<Vec<Point>>> {
        #[derive(Deserialize)]
        struct Page {
            points: Vec<Point>,
            next: Option<String>,
        }
        let path = format!("/v1/devices/{device}/metrics?metric={metric}&from={}&to={FOREVER}", -FOREVER);
        let (mut all, mut next) = (Vec::new(), None);
        loop {
            let cursor = next.map_or(String::new(), |cursor: String| format!("&cursor={cursor}"));
            let answer = self.send("GET", &format!("{path}{cursor}"), None)?;
            if answer.status() == 404 {
                return Ok(None);
            }
            let page: Page = read_json(success(answer)?)?;
            all.extend(page.points);
            next = page.next;
            if next.is_none() {
                return Ok(Some(all));
            }
        }
    }

    /// The newest readings of a device: (ts, value) of one metric, if there is one.
    pub fn latest(&self, device: DeviceId, metric: &str) -> Result<Option<(Millis, f64)>> {
        let answer = self.send("GET", &format!("/v1/devices/{device}/latest"), None)?;
        if answer.status() == 404 {
            return Ok(None);
        }
        let answer: Value = read_json(success(answer)?)?;
        let reading = &answer["metrics"][metric];
        Ok(reading["ts"].as_i64().zip(reading["value"].as_f64()))
    }

    /// How many readings of a metric a class has.
    pub fn count(&self, class: &str, metric: &str) -> Result<u64> {
        let path = format!("/v1/classes/{class}/metrics?metric={metric}&agg=count&resolution=all");
        let answer: Value = self.get(&format!("{path}&from={}&to={FOREVER}", -FOREVER))?;
        let counts = answer["points"].as_array().map(Vec::as_slice).unwrap_or_default().iter();
        Ok(counts.filter_map(|point| point["count"].as_u64()).sum())
    }

    /// (boot, seq) of a device's dead letters.
    pub fn dead_letters(&self, device: DeviceId) -> Result<BTreeSet<(u32, u64)>> {
        let (mut all, mut next) = (BTreeSet::new(), None);
        loop {
            let cursor = next.map_or(String::new(), |cursor: String| format!("&cursor={cursor}"));
            let page: DeadLetters = self.get(&format!("/v1/dead-letters?device={device}{cursor}"))?;
            all.extend(page.dead_letters.iter().filter_map(|letter| boot_and_seq(&letter.payload)));
            next = page.next;
            if next.is_none() {
                return Ok(all);
            }
        }
    }
}

#[derive(Deserialize)]
struct DeadLetters {
    dead_letters: Vec<DeadLetter>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct DeadLetter {
    /// Base64.
    payload: String,
}

/// Boot and seq of a payload that is base64 of a JSON message.
fn boot_and_seq(payload: &str) -> Option<(u32, u64)> {
    #[derive(Deserialize)]
    struct Message {
        boot: u32,
        seq: u64,
    }
    let message: Message = serde_json::from_slice(&STANDARD.decode(payload).ok()?).ok()?;
    Some((message.boot, message.seq))
}

fn success(mut response: Response<Body>) -> Result<Response<Body>> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let text = response.body_mut().with_config().limit(1 << 20).read_to_string().unwrap_or_default();
    let document: Value = serde_json::from_str(&text).unwrap_or_default();
    match (document["detail"].as_str(), document["code"].as_str()) {
        (Some(detail), Some(code)) => bail!("{detail} ({}, {code})", status.as_u16()),
        _ => bail!("the server answered {status} without saying why; is this a Tidewater server?"),
    }
}

fn read_json<T: for<'de> Deserialize<'de>>(mut response: Response<Body>) -> Result<T> {
    let mut text = String::new();
    let mut reader = response.body_mut().as_reader().take(ANSWER_BYTES_MAX);
    reader.read_to_string(&mut text).context("the server's answer broke off")?;
    serde_json::from_str(&text).context("the server's answer is not what it should be; is it of this version?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_names_its_message() {
        // {"boot":3,"seq":42}
        assert_eq!(boot_and_seq("eyJib290IjozLCJzZXEiOjQyfQ=="), Some((3, 42)));
        assert_eq!(boot_and_seq("e30="), None);
    }
}
