//! The null server: it decodes what a publisher sends, acknowledges and discards it.
//!
//! What it takes is what the machine can do; every figure of the real server is a share of that. It stores nothing,
//! checks no credential, and runs on one thread like the gateway.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use model::limits::MQTT_PACKET_BYTES_MAX;
use mqtt::Framed;
use serde::{Deserialize, Serialize};

use crate::socket::{READ_BYTES, ReadEnd, Socket};
use crate::stop::Stop;

#[cfg(test)]
mod tests;

/// A listening null server.
pub struct NullServer {
    poll: Poll,
    mqtt: TcpListener,
    http: TcpListener,
}

const MQTT: Token = Token(0);
const HTTP: Token = Token(1);
/// How often the loop looks whether it should stop.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Mqtt,
    Http,
}

impl NullServer {
    /// Listens on two free ports of the loopback interface.
    pub fn open() -> Result<Self> {
        let poll = Poll::new()?;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (mut mqtt, mut http) = (TcpListener::bind(any)?, TcpListener::bind(any)?);
        poll.registry().register(&mut mqtt, MQTT, Interest::READABLE)?;
        poll.registry().register(&mut http, HTTP, Interest::READABLE)?;
        Ok(Self { poll, mqtt, http })
    }

    pub fn mqtt_address(&self) -> Result<SocketAddr> {
        Ok(self.mqtt.local_addr()?)
    }

    pub fn http_address(&self) -> Result<SocketAddr> {
        Ok(self.http.local_addr()?)
    }

    /// Serves until it is asked to stop.
    pub fn run(mut self, stop: &Stop) -> Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut peers: HashMap<Token, (Socket, Protocol)> = HashMap::new();
        let mut next = 2;
        let (mut buffer, mut out) = (vec![0; READ_BYTES], Vec::with_capacity(READ_BYTES));
        while !stop.wanted() {
            match self.poll.poll(&mut events, Some(LOOK)) {
                Err(error) if error.kind() != std::io::ErrorKind::Interrupted => return Err(error.into()),
                _ => {}
            }
            for event in events.iter() {
                let token = event.token();
                let listener = match token {
                    MQTT => Some((&self.mqtt, Protocol::Mqtt)),
                    HTTP => Some((&self.http, Protocol::Http)),
                    _ => None,
                };
                if let Some((listener, protocol)) = listener {
                    while let Ok((stream, _)) = listener.accept() {
                        let token = Token(next);
                        next += 1;
                        peers.insert(token, (Socket::adopt(stream, self.poll.registry(), token)?, protocol));
                    }
                } else if let Some((socket, protocol)) = peers.get_mut(&token)
                    && !serve(socket, *protocol, &mut buffer, &mut out)
                {
                    peers.remove(&token);
                }
            }
        }
        Ok(())
    }
}

/// Runs a null server in this process until its standard input ends, as the child of [`NullChild`]. `print` is given
/// the addresses as a line of JSON.
pub fn serve_child(print: impl FnOnce(&str)) -> Result<()> {
    let server = NullServer::open()?;
    let listen = Listen { mqtt: server.mqtt_address()?.to_string(), http: server.http_address()?.to_string() };
    print(&serde_json::to_string(&listen)?);
    let stop = Stop::default();
    std::thread::spawn({
        let stop = stop.clone();
        move || {
            // The parent holds the other end: it closes when the parent ends, however it ends.
            drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
            stop.stop();
        }
    });
    server.run(&stop)
}

/// Where a null server listens.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Listen {
    pub mqtt: String,
    pub http: String,
}

/// A null server as a process of its own, so that its CPU time can be told from the generator's. Killed when dropped.
#[derive(Debug)]
pub struct NullChild {
    child: Child,
    pub listen: Listen,
}

impl NullChild {
    /// Starts `binary bench --null-server`, which calls [`serve_child`].
    pub fn start(binary: &Path) -> Result<Self> {
        let mut command = Command::new(binary);
        command.args(["bench", "--null-server"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", binary.display()))?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("the null server's output is piped")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let listen = serde_json::from_str(&line).context("the null server did not say where it listens")?;
        Ok(Self { child, listen })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for NullChild {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads and answers all that is there. False if the connection is at its end.
fn serve(socket: &mut Socket, protocol: Protocol, buffer: &mut [u8], out: &mut Vec<u8>) -> bool {
    if socket.flush().is_err() {
        return false;
    }
    loop {
        out.clear();
        let end = socket.read(buffer, |input| match protocol {
            Protocol::Mqtt => answer_mqtt(input, out),
            Protocol::Http => answer_http(input, out),
        });
        if socket.write(out).is_err() {
            return false;
        }
        let Ok(end) = end else { return false };
        match end {
            ReadEnd::More => {}
            ReadEnd::Drained => return true,
            ReadEnd::Closed => return false,
        }
    }
}

fn invalid(what: &'static str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, what)
}

/// Packet types (MQTT 5.0 table 2-1).
const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;
const PUBREL: u8 = 6;
const PINGREQ: u8 = 12;
const DISCONNECT: u8 = 14;

/// Answers whole packets; returns the bytes used up.
fn answer_mqtt(input: &[u8], out: &mut Vec<u8>) -> std::io::Result<usize> {
    let mut at = 0;
    loop {
        let framed = mqtt::frame(&input[at..], MQTT_PACKET_BYTES_MAX).map_err(|_| invalid("a packet"))?;
        let Framed::Whole(frame) = framed else { return Ok(at) };
        at += frame.len;
        let (body, kind, flags) = (frame.body, frame.first >> 4, frame.first & 0xf);
        match kind {
            CONNECT if body.get(6) == Some(&5) => out.extend_from_slice(&[0x20, 3, 0, 0, 0]),
            CONNECT => out.extend_from_slice(&[0x20, 2, 0, 0]),
            PUBLISH if flags & 0b110 != 0 => {
                let topic = body.first_chunk::<2>().map_or(0, |len| usize::from(u16::from_be_bytes(*len)));
                let Some(id) = body.get(2 + topic..4 + topic) else { return Err(invalid("a packet id")) };
                out.extend_from_slice(&[if flags & 0b100 == 0 { 0x40 } else { 0x50 }, 2, id[0], id[1]]);
            }
            PUBREL if body.len() >= 2 => out.extend_from_slice(&[0x70, 2, body[0], body[1]]),
            PINGREQ => out.extend_from_slice(&[0xd0, 0]),
            PUBLISH => {}
            DISCONNECT => return Err(std::io::ErrorKind::ConnectionAborted.into()),
            _ => return Err(invalid("a packet kind")),
        }
    }
}

/// Answers whole requests; returns the bytes used up.
fn answer_http(input: &[u8], out: &mut Vec<u8>) -> std::io::Result<usize> {
    let mut at = 0;
    while let Some(head) = input[at..].windows(4).position(|window| window == b"\r\n\r\n") {
        let text = std::str::from_utf8(&input[at..at + head]).map_err(|_| invalid("a head"))?;
        let mut fields = text.split("\r\n").filter_map(|line| line.split_once(": "));
        let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length: usize = length.and_then(|(_, value)| value.parse().ok()).ok_or_else(|| invalid("a length"))?;
        let start = at + head + 4;
        let Some(body) = input.get(start..start + length) else { break };
        let messages = body.windows(5).filter(|window| window == b"\"seq\"").count();
        let answer = format!("{{\"accepted\":{messages}}}");
        let length = answer.len();
        out.extend_from_slice(
            format!(
                "HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{answer}"
            )
            .as_bytes(),
        );
        at = start + body.len();
    }
    Ok(at)
}
