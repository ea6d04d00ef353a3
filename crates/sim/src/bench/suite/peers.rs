//! Other brokers under the same load, in the same run: mosquitto and rumqttd. They store nothing.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use mqtt::{Qos, Version};

use crate::bench::{Bench, Load, Protocol, Step};
use crate::scratch::Scratch;

/// The brokers that are asked for, as programs; none: not asked for.
#[derive(Clone, Default, Debug)]
pub struct Brokers {
    pub mosquitto: Option<PathBuf>,
    pub rumqttd: Option<PathBuf>,
}

/// A running broker; killed when dropped.
pub struct Peer {
    pub name: &'static str,
    pub mqtt: SocketAddr,
    /// The version that it speaks best: in version 5 rumqttd acknowledges out of the order of sending, and mosquitto tells
    /// each message that nobody listens, which the generator would have to take apart.
    pub version: Version,
    child: Child,
    _files: Scratch,
}

const START_WAIT_MAX: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

impl Brokers {
    /// Starts those that can take the load: MQTT with QoS 1 or 2.
    pub fn start(&self, bench: Bench<'_>, load: &Load) -> Result<Vec<Peer>> {
        let Protocol::Mqtt { version: Version::V5, qos: Qos::AtLeastOnce | Qos::ExactlyOnce } = load.protocol else {
            return Ok(Vec::new());
        };
        let mosquitto = self.mosquitto.iter().map(|program| ("mosquitto", program, MOSQUITTO));
        let rumqttd = self.rumqttd.iter().map(|program| ("rumqttd", program, RUMQTTD));
        mosquitto.chain(rumqttd).map(|(name, program, kind)| Peer::start(bench, name, program, kind)).collect()
    }
}

/// How a broker is set up: its configuration for a port, and the version of MQTT that it is spoken to with.
type Kind = (fn(u16) -> String, Version);

const MOSQUITTO: Kind = (mosquitto_config, Version::V3);
const RUMQTTD: Kind = (rumqttd_config, Version::V3);

impl Peer {
    fn start(bench: Bench<'_>, name: &'static str, program: &Path, (config, version): Kind) -> Result<Self> {
        (bench.step)(Step::Starting(name));
        let files = Scratch::new(&std::env::temp_dir())?;
        let mqtt = free_address()?;
        // rumqttd tells the format by the name; mosquitto does not care.
        let path = files.path().join("config.toml");
        std::fs::write(&path, config(mqtt.port()))?;
        let mut command = Command::new(program);
        command.arg("-c").arg(&path);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let mut peer = Self { name, mqtt, version, child, _files: files };
        let give_up = bench.clock.monotonic() + START_WAIT_MAX;
        while TcpStream::connect(mqtt).is_err() {
            if let Some(status) = peer.child.try_wait()? {
                bail!("{name} ended at its start ({status})");
            }
            if bench.clock.monotonic() > give_up {
                bail!("{name} does not listen after {} s", START_WAIT_MAX.as_secs());
            }
            std::thread::sleep(LOOK);
        }
        Ok(peer)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A port that is free now. Neither broker takes port 0 and says which it got.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

fn mosquitto_config(port: u16) -> String {
    format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type none\nset_tcp_nodelay true\n\
         max_inflight_messages 1000\nmax_queued_messages 0\nmax_connections -1\nuser root\n"
    )
}

fn rumqttd_config(port: u16) -> String {
    format!(
        "id = 0\n[router]\nid = 0\nmax_connections = 10010\nmax_outgoing_packet_count = 200\n\
         max_segment_size = 104857600\nmax_segment_count = 10\n\
         [v4.1]\nname = \"v4-1\"\nlisten = \"127.0.0.1:{port}\"\nnext_connection_delay_ms = 1\n\
         [v4.1.connections]\nconnection_timeout_ms = 60000\nmax_payload_size = 20480\nmax_inflight_count = 500\n\
         dynamic_filters = true\n"
    )
}
