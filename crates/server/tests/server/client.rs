//! An MQTT client that knows nothing but packets: what it sends and what comes back is compared byte for byte.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use model::Clock;
use mqtt::client::{self, ConnectOptions, PublishTemplate};
use mqtt::{Framed, Property, PropertyId, Qos, Reason, Value, Version, frame};

use super::api::Device;
use super::wait::PATIENCE;

/// How long a read waits at a time.
const MOMENT: Duration = Duration::from_millis(20);

pub const VERSIONS: [Version; 2] = [Version::V3, Version::V5];

/// One connection.
pub struct Client {
    pub stream: TcpStream,
    pub version: Version,
    input: Vec<u8>,
}

impl Client {
    /// A connection on which nothing was said yet.
    pub fn dial(at: SocketAddr, version: Version) -> Self {
        Self::over(TcpStream::connect(at).unwrap(), version)
    }

    pub fn over(stream: TcpStream, version: Version) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(MOMENT)).unwrap();
        Self { stream, version, input: Vec::new() }
    }

    /// A connection whose CONNECT was answered: the client and the CONNACK's session-present flag.
    pub fn connect(at: SocketAddr, options: &ConnectOptions<'_>) -> (Self, bool) {
        let mut client = Self::dial(at, options.version);
        client.send(&connect(options));
        let connack = client.receive().expect("a CONNACK");
        assert_eq!((connack[0], connack[3]), (0x20, 0), "{connack:02X?}");
        (client, connack[2] == 1)
    }

    /// A device with its token and a clean session.
    pub fn device(at: SocketAddr, version: Version, device: &Device) -> Self {
        Self::connect(at, &login(version, device)).0
    }

    /// An API key.
    pub fn key(at: SocketAddr, version: Version, key: &str) -> Self {
        let (username, password) = (Some("key"), Some(key.as_bytes()));
        Self::connect(at, &ConnectOptions { version, username, password, ..ConnectOptions::default() }).0
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends for as long as the server takes it; whether it took everything.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next packet, whole; `None` if the server has closed.
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        self.receive_while(|| {})
    }

    /// The same; whenever nothing comes for a moment, `meanwhile` is done.
    pub fn receive_while(&mut self, meanwhile: impl Fn()) -> Option<Vec<u8>> {
        let mut buffer = [0; 16 << 10];
        let clock = Clock::system();
        loop {
            if let Framed::Whole(found) = frame(&self.input, usize::MAX).unwrap() {
                let len = found.len;
                return Some(self.input.drain(..len).collect());
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => self.input.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) if error.kind() == ErrorKind::WouldBlock && clock.monotonic() < PATIENCE => meanwhile(),
                Err(error) => panic!("nothing came: {error}"),
            }
        }
        assert!(self.input.is_empty(), "closed within a packet: {:02X?}", self.input);
        None
    }

    /// The next packet is this one.
    #[track_caller]
    pub fn expect(&mut self, packet: &[u8]) {
        assert_eq!(self.receive().as_deref(), Some(packet), "left: what came, right: what was promised");
    }

    /// The server closes without another packet.
    #[track_caller]
    pub fn expect_closed(&mut self) {
        assert_eq!(self.receive(), None, "left: what came instead of the end");
    }

    /// The server closes: with MQTT 5 it says why, with 3.1.1 it cannot.
    #[track_caller]
    pub fn expect_end(&mut self, reason: Reason) {
        if self.version == Version::V5 {
            self.expect(&[0xE0, 1, reason.0]);
        }
        self.expect_closed();
    }

    /// The connection is alive, and nothing else was waiting to be received.
    #[track_caller]
    pub fn expect_alive(&mut self) {
        self.send(&[0xC0, 0]);
        self.expect(&[0xD0, 0]);
    }

    /// Publishes to a topic with QoS 1 and expects the PUBACK.
    #[track_caller]
    pub fn publish(&mut self, topic: &str, packet_id: u16, payload: &str) {
        self.publish_bytes(topic, packet_id, payload.as_bytes());
    }

    /// The same with a payload that is no text.
    #[track_caller]
    pub fn publish_bytes(&mut self, topic: &str, packet_id: u16, payload: &[u8]) {
        self.send(&publish(self.version, topic, Qos::AtLeastOnce, packet_id, payload));
        self.expect(&puback(packet_id));
    }
}

/// The credential of a device, with a clean session.
pub fn login<'a>(version: Version, device: &'a Device) -> ConnectOptions<'a> {
    let (username, password) = (Some(device.id.as_str()), Some(device.token.as_bytes()));
    ConnectOptions { version, username, password, client_id: "one", ..ConnectOptions::default() }
}

/// A session that outlives its connection.
pub fn lasting<'a>(options: ConnectOptions<'a>) -> ConnectOptions<'a> {
    const EXPIRY: &[Property<'_>] = &[Property { id: PropertyId::SessionExpiry, value: Value::Four(3600) }];
    let properties = if options.version == Version::V5 { EXPIRY } else { &[] };
    ConnectOptions { clean_start: false, properties, ..options }
}

pub fn connect(options: &ConnectOptions<'_>) -> Vec<u8> {
    packet(|out| client::connect(out, options))
}

pub fn publish(version: Version, topic: &str, qos: Qos, packet_id: u16, payload: &[u8]) -> Vec<u8> {
    publish_with(version, topic, qos, packet_id, payload, &[])
}

pub fn publish_with(
    version: Version,
    topic: &str,
    qos: Qos,
    packet_id: u16,
    payload: &[u8],
    properties: &[Property<'_>],
) -> Vec<u8> {
    packet(|out| PublishTemplate::new(version, topic, qos, properties).encode(out, packet_id, payload))
}

/// A PUBLISH with DUP.
pub fn publish_again(version: Version, topic: &str, qos: Qos, packet_id: u16, payload: &[u8]) -> Vec<u8> {
    packet(|out| PublishTemplate::new(version, topic, qos, &[]).encode_again(out, packet_id, payload))
}

pub fn pubrel(packet_id: u16) -> Vec<u8> {
    packet(|out| client::pubrel(out, packet_id))
}

pub fn puback(packet_id: u16) -> [u8; 4] {
    ack(0x40, packet_id)
}

pub fn pubrec(packet_id: u16) -> [u8; 4] {
    ack(0x50, packet_id)
}

pub fn pubcomp(packet_id: u16) -> [u8; 4] {
    ack(0x70, packet_id)
}

/// A PUBACK of MQTT 5 with a reason.
pub fn puback_with(packet_id: u16, reason: Reason) -> [u8; 5] {
    let [high, low] = packet_id.to_be_bytes();
    [0x40, 3, high, low, reason.0]
}

fn ack(first: u8, packet_id: u16) -> [u8; 4] {
    let [high, low] = packet_id.to_be_bytes();
    [first, 2, high, low]
}

fn packet(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out);
    out
}
