//! A client that speaks MQTT byte by byte, for what no well-behaved client does.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use mqtt::client::PublishTemplate;
use mqtt::{Qos, Version};

use crate::packet::Login;

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    version: Version,
}

impl Client {
    /// Connects and logs in; reads wait as long.
    pub fn connect(at: &str, version: Version, user: &str, password: &str, wait: Duration) -> Result<Self> {
        let stream = TcpStream::connect(at)?;
        stream.set_read_timeout(Some(wait))?;
        stream.set_write_timeout(Some(wait))?;
        let login = Login {
            version,
            client_id: format!("fault-{:x}", stream.local_addr()?.port()),
            user: user.to_owned(),
            password: password.to_owned(),
            keep_session: false,
            keep_alive_s: 600,
        };
        let mut out = Vec::new();
        login.connect(&mut out);
        let mut client = Self { stream, version };
        client.send(&out)?;
        let answer = client.receive()?.context("no CONNACK")?;
        ensure!(answer[0] == 0x20 && answer[3] == 0, "the login is refused: {answer:02X?}");
        Ok(client)
    }

    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Sends a PUBLISH.
    pub fn publish(&mut self, topic: &str, qos: Qos, packet_id: u16, payload: &[u8]) -> Result<()> {
        let mut out = Vec::new();
        PublishTemplate::new(self.version, topic, qos, &[]).encode(&mut out, packet_id, payload);
        self.send(&out)
    }

    /// The next packet, whole; none if there is none in time or the server has closed.
    pub fn receive(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(first) = self.byte()? else { return Ok(None) };
        let (mut packet, mut len, mut shift) = (vec![first], 0, 0);
        loop {
            let byte = self.byte()?.context("a packet that ends in its length")?;
            packet.push(byte);
            len |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
            ensure!(shift < 28, "a malformed length");
        }
        let start = packet.len();
        packet.resize(start + len, 0);
        self.stream.read_exact(&mut packet[start..])?;
        Ok(Some(packet))
    }

    fn byte(&mut self) -> Result<Option<u8>> {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(byte[0])),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::ConnectionReset) =>
            {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// True if a PINGREQ is answered in time, nothing else coming before.
    pub fn ping(&mut self) -> Result<bool> {
        self.send(&[0xC0, 0])?;
        Ok(self.receive()?.is_some_and(|answer| answer == [0xD0, 0]))
    }
}
