//! The command line's side of the HTTP API: finds server and key, sends requests, and turns problem documents into
//! sentences.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use ureq::http::{Request, Response};
use ureq::{Agent, Body, SendBody};

#[cfg(test)]
mod tests;

/// Where the server is and who asks.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Connection {
    /// The server, for example http://127.0.0.1:8080; without it the one whose data directory is DIR.
    #[arg(long, env = "TIDEWATER_URL", value_name = "URL")]
    pub url: Option<String>,
    /// An API key (`twk_…`); without it DIR/admin.key.
    #[arg(long, env = "TIDEWATER_KEY", value_name = "KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// The data directory of a server on this machine.
    #[arg(long, env = "TIDEWATER_DATA", value_name = "DIR", default_value = "./tidewater-data")]
    pub data: PathBuf,
}

/// A server and a key to speak to it with.
pub struct Client {
    agent: Agent,
    url: String,
    key: String,
}

/// How long one answer may take: a little longer than the server allows itself.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(40);
/// How long connecting may take.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(5);
/// The largest answer that is read at once.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";

impl Client {
    /// Finds url and key. Fails with what to do if either is nowhere.
    pub fn open(connection: &Connection) -> Result<Self> {
        let url = match &connection.url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => url_of(&connection.data)?,
        };
        if !url.starts_with("http://") {
            bail!("`{url}` is not a URL that this command can use: it must begin with http://");
        }
        let key = match &connection.key {
            Some(key) => key.trim().to_owned(),
            None => key_of(&connection.data)?,
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_WAIT_MAX))
            .timeout_global(Some(ANSWER_WAIT_MAX))
            .proxy(None)
            .build();
        Ok(Self { agent: config.into(), url, key })
    }

    /// The server's URL, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `GET path?query`, as JSON. Query values are escaped here.
    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        read_json(self.send("GET", &with_query(path, query), None)?)
    }

    /// `POST path` with a JSON body, as JSON (null if the answer has no body).
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        read_json(self.send("POST", path, Some((JSON, body.to_string())))?)
    }

    /// `POST path` with a body of lines of JSON, as JSON.
    pub fn post_lines(&self, path: &str, lines: String) -> Result<Value> {
        read_json(self.send("POST", path, Some((LINES, lines)))?)
    }

    /// `PATCH path` with a JSON body, as JSON.
    pub fn patch(&self, path: &str, body: &Value) -> Result<Value> {
        read_json(self.send("PATCH", path, Some((JSON, body.to_string())))?)
    }

    /// `PUT path` with a JSON body, as JSON.
    pub fn put(&self, path: &str, body: &Value) -> Result<Value> {
        read_json(self.send("PUT", path, Some((JSON, body.to_string())))?)
    }

    /// `DELETE path?query`, as JSON (null if the answer has no body).
    pub fn delete(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        read_json(self.send("DELETE", &with_query(path, query), None)?)
    }

    /// `GET path?query` whose answer goes on without an end: its lines as they come.
    pub fn follow(&self, path: &str, query: &[(&str, &str)]) -> Result<impl BufRead + use<>> {
        let request = Request::builder()
            .uri(format!("{}{}", self.url, with_query(path, query)))
            .header("authorization", format!("Bearer {}", self.key))
            .body(SendBody::none())
            .context("the request cannot be formed")?;
        let request = self.agent.configure_request(request).timeout_global(None).build();
        let response = self.agent.run(request).map_err(|error| self.silent(&error))?;
        if !response.status().is_success() {
            return Err(failure(response));
        }
        Ok(BufReader::new(response.into_body().into_reader()))
    }

    fn silent(&self, error: &ureq::Error) -> anyhow::Error {
        anyhow!("the server at {} does not answer ({error}). Is `tidewater serve` running there?", self.url)
    }

    fn send(&self, method: &str, path: &str, body: Option<(&str, String)>) -> Result<Response<Body>> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {}", self.key));
        let sent = match body {
            Some((media, body)) => {
                let request = request.header("content-type", media).body(body);
                self.agent.run(request.context("the request cannot be formed")?)
            }
            None => self.agent.run(request.body(SendBody::none()).context("the request cannot be formed")?),
        };
        let response = sent.map_err(|error| self.silent(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(failure(response)) }
    }
}

fn read_json(mut response: Response<Body>) -> Result<Value> {
    let mut text = String::new();
    let mut reader = response.body_mut().as_reader().take(ANSWER_BYTES_MAX);
    reader.read_to_string(&mut text).context("the server's answer broke off")?;
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text).context("the server's answer is not JSON; is this a Tidewater server?")
}

/// The sentence of a problem document (under /schema-registry: its message), or what can be said without one.
fn failure(mut response: Response<Body>) -> anyhow::Error {
    let status = response.status();
    let text = response.body_mut().with_config().limit(1 << 20).read_to_string().unwrap_or_default();
    let document: Value = serde_json::from_str(&text).unwrap_or_default();
    match (document["detail"].as_str(), document["code"].as_str()) {
        (Some(detail), Some(code)) => anyhow!("{detail} ({}, {code})", status.as_u16()),
        _ if document["message"].is_string() => {
            let message = document["message"].as_str().unwrap_or_default();
            anyhow!("{message} ({}, {})", status.as_u16(), document["error_code"])
        }
        _ => anyhow!("the server answered {status} without saying why; is this a Tidewater server?"),
    }
}

/// `path` with an escaped query.
pub fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let pairs = query.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value)));
    let joined = pairs.collect::<Vec<_>>().join("&");
    if joined.is_empty() { path.to_owned() } else { format!("{path}?{joined}") }
}

/// `text` with everything percent-encoded that may not stand in a path segment or a query value (RFC 3986, 2.3).
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn url_of(data: &Path) -> Result<String> {
    let path = data.join("listen.json");
    let text = std::fs::read_to_string(&path).map_err(|error| {
        let path = path.display();
        anyhow!("no server found: {path} cannot be read ({error}). Start `tidewater serve`, or give --url or --data.")
    })?;
    let listen: Value = serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
    let address = listen["http"].as_str().with_context(|| format!("{} names no HTTP listener", path.display()))?;
    Ok(format!("http://{address}"))
}

fn key_of(data: &Path) -> Result<String> {
    let path = data.join("admin.key");
    let text = std::fs::read_to_string(&path).map_err(|error| {
        let path = path.display();
        anyhow!("no API key found: {path} cannot be read ({error}). Give --key or set TIDEWATER_KEY.")
    })?;
    Ok(text.trim().to_owned())
}
