//! One HTTP connection of the generator: a request at a time, kept alive.

use std::net::SocketAddr;

use anyhow::anyhow;
use model::DeviceId;

use super::connection::{Acked, Failure};
use super::payload::{Shape, Template, device_key};
use super::stream::{Portion, Stream};
use super::{LoadConfig, Times};

/// State of one connection.
pub struct HttpTalk {
    /// The head of a request up to the content length.
    head: String,
    /// Each message names its device: with an API key.
    named: bool,
    array: u64,
    shape: Shape,
    seed: u64,
    boot: Option<u32>,
    times: Times,
    /// Also a server in trouble is tried again.
    patient: bool,
    template: Option<Template>,
    body: Vec<u8>,
    /// Messages of the request that waits for its answer.
    waiting: u64,
}

impl HttpTalk {
    /// `device`: the device that the bearer token belongs to; none for an API key.
    pub fn new(config: &LoadConfig, host: SocketAddr, bearer: &str, device: Option<DeviceId>, array: u32) -> Self {
        let LoadConfig { shape, seed, boot, times, reconnect: patient, .. } = *config;
        let path = device.map_or("/v1/ingest".to_owned(), |device| format!("/v1/ingest/{device}"));
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {bearer}\r\n\
             Content-Type: application/json\r\nContent-Length: "
        );
        let (named, array) = (device.is_none(), u64::from(array.max(1)));
        Self { head, named, array, shape, seed, boot, times, patient, template: None, body: Vec::new(), waiting: 0 }
    }

    pub fn hello(&mut self) {
        self.waiting = 0;
    }

    /// Nothing while a request waits; else whole arrays of what is due.
    pub fn limit(&self, stream: &Stream, due: u64) -> u64 {
        let whole = stream.sent() + self.array;
        if self.waiting > 0 || due < whole { stream.sent() } else { whole }
    }

    /// Whether a request may be written now.
    pub fn idle(&self) -> bool {
        self.waiting == 0
    }

    pub fn send(&mut self, stream: &mut Stream, portion: Portion, out: &mut Vec<u8>) {
        self.waiting = portion.end - portion.from;
        self.body.clear();
        let array = self.named || self.array > 1;
        for (number, device, seq) in stream.messages(portion.from, portion.end) {
            if array {
                self.body.push(if number == portion.from { b'[' } else { b',' });
            }
            self.append(device, seq, self.times.of(seq, portion.ts));
        }
        if array {
            self.body.push(b']');
        }
        out.extend_from_slice(self.head.as_bytes());
        out.extend_from_slice(self.body.len().to_string().as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(&self.body);
    }

    fn append(&mut self, device: DeviceId, seq: u64, ts: model::Millis) {
        const NAME: &[u8] = b"{\"device_id\":\"";
        let template = match &mut self.template {
            Some(template) if template.fits(seq) => template,
            stale => {
                let front = if self.named { [NAME, &[b'0'; 36], b"\","].concat() } else { b"{".to_vec() };
                stale.insert(Template::behind(&front, self.shape, self.boot, seq))
            }
        };
        if self.named {
            device.0.hyphenated().encode_lower(&mut template.bytes[NAME.len()..NAME.len() + 36]);
        }
        template.fill(device_key(self.seed, device, self.boot.unwrap_or(0)), seq, ts);
        self.body.extend_from_slice(&template.bytes);
    }

    pub fn hear(&mut self, input: &[u8], stream: &mut Stream, acked: Acked<'_>) -> Result<usize, Failure> {
        let Some(answer) = parse_answer(input).map_err(Failure::Fatal)? else { return Ok(0) };
        let text = String::from_utf8_lossy(answer.body);
        let said = || anyhow!("the server answered {}: {text}", answer.status);
        match answer.status {
            202 if accepted(answer.body) == Some(self.waiting) => {}
            status if matches!(status, 429 | 503) || (status >= 500 && self.patient) => {
                return Err(Failure::Refused { number: Some(stream.acked()), why: said() });
            }
            _ => return Err(Failure::Fatal(said())),
        }
        let count = std::mem::take(&mut self.waiting);
        if count == 0 || !stream.acknowledge(count, acked) || !stream.complete(count) {
            return Err(Failure::Fatal(anyhow!("the server answered without a request")));
        }
        Ok(answer.len)
    }
}

struct HttpAnswer<'a> {
    status: u16,
    body: &'a [u8],
    /// Bytes of head and body.
    len: usize,
}

/// Reads a response with a content length (RFC 9112 section 6.3); nothing while it is incomplete.
fn parse_answer(input: &[u8]) -> anyhow::Result<Option<HttpAnswer<'_>>> {
    let Some(head_len) = input.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&input[..head_len])?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status = status.ok_or_else(|| anyhow!("not an HTTP response: {head}"))?;
    let length =
        lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = match length {
        Some((_, value)) => value.trim().parse()?,
        None => anyhow::bail!("a response without a content length: {head}"),
    };
    let start = head_len + 4;
    let Some(body) = input.get(start..start + length) else { return Ok(None) };
    Ok(Some(HttpAnswer { status, body, len: start + length }))
}

/// The number in `{"accepted": n}`.
fn accepted(body: &[u8]) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Accepted {
        accepted: u64,
    }
    serde_json::from_slice::<Accepted>(body).ok().map(|body| body.accepted)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use model::TenantId;

    use super::*;
    use crate::load::{Credential, Senders, Target};

    fn config(device: DeviceId) -> LoadConfig {
        let credential = Credential::Key("t".to_owned());
        LoadConfig {
            target: Target::Http { address: ([127, 0, 0, 1], 80).into(), array: 2 },
            senders: Senders { tenant: TenantId::random(), devices: [device].into(), credential },
            connections: 1,
            window: 1,
            rate: None,
            shape: Shape::Two,
            seed: 1,
            boot: Some(1),
            times: Times::Now,
            begun: Arc::default(),
            messages: Some(2),
            duration: None,
            threads: 1,
            reconnect: false,
            drain_max: Duration::ZERO,
        }
    }

    #[test]
    fn a_response_is_read_whole_or_not_at_all() {
        let input = b"HTTP/1.1 202 Accepted\r\ncontent-LENGTH: 14\r\n\r\n{\"accepted\":3}rest";
        let answer = parse_answer(input).unwrap().unwrap();
        assert_eq!((answer.status, accepted(answer.body), answer.len), (202, Some(3), input.len() - 4));
        for cut in 0..answer.len {
            assert!(parse_answer(&input[..cut]).unwrap().is_none());
        }
        assert!(parse_answer(b"nonsense\r\n\r\n").is_err());
        assert!(parse_answer(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn a_request_is_an_array_with_its_length() {
        let device = DeviceId::from_bytes([1; 16]);
        let mut stream = Stream::new([device].into(), 1, 2, 0);
        let mut talk = HttpTalk::new(&config(device), ([127, 0, 0, 1], 80).into(), "t", None, 2);
        assert_eq!([talk.limit(&stream, 1), talk.limit(&stream, 5)], [0, 2]);
        let portion = stream.take(2, 1_700_000_000_000, Duration::ZERO).unwrap();
        let mut out = Vec::new();
        talk.send(&mut stream, portion, &mut out);
        let text = String::from_utf8(out).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /v1/ingest HTTP/1.1\r\n"));
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!((body.as_array().unwrap().len(), &body[1]["seq"]), (2, &2.into()));
        assert_eq!(body[0]["device_id"], device.to_string());
        assert_eq!(talk.limit(&stream, 5), 2, "a request waits");
    }
}
