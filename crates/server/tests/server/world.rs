//! A server in this process.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Weak};

use disk::RealDisk;
use model::{Clock, Disk};
use server::config::Config;
use server::data_dir::Listen;
use server::run::Server;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::api::Api;

/// What a server is started with.
pub struct Setup {
    pub disk: Arc<dyn Disk>,
    pub clock: Clock,
    pub configure: fn(&mut Config),
}

impl Default for Setup {
    fn default() -> Self {
        Self { disk: Arc::new(RealDisk), clock: Clock::system(), configure: |_| {} }
    }
}

/// A running server and its data directory.
pub struct World {
    pub listen: Listen,
    /// With the operator's key.
    pub api: Api,
    server: Option<Server>,
    runtime: Option<Runtime>,
    dir: Option<TempDir>,
}

/// The server of the tests that need no other.
static SHARED: Mutex<Weak<World>> = Mutex::new(Weak::new());

impl World {
    /// One server for all tests that leave it as it was; it ends with the last of them.
    pub fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(world) = shared.upgrade() {
            return world;
        }
        let world = Arc::new(Self::start(Setup::default()));
        *shared = Arc::downgrade(&world);
        world
    }

    /// A server of its own.
    pub fn start(setup: Setup) -> Self {
        Self::start_in(TempDir::new().unwrap(), setup)
    }

    /// A server on a directory that an earlier one may have left.
    pub fn start_in(dir: TempDir, setup: Setup) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = Config::default();
        config.base.data = dir.path().to_owned();
        (config.mqtt.listen, config.http.listen, config.operations.listen) = (any, any, any);
        config.dev_anonymous = Some(any);
        (setup.configure)(&mut config);
        let runtime = server::cli::serve::runtime().unwrap();
        let server = runtime.block_on(Server::start(config, setup.disk, setup.clock)).unwrap();
        let listen = server.listen.clone();
        let key = std::fs::read_to_string(dir.path().join("admin.key")).unwrap();
        let api = Api::new(listen.http, &key);
        Self { listen, api, server: Some(server), runtime: Some(runtime), dir: Some(dir) }
    }

    /// Ends the server as SIGTERM would; its directory stays.
    pub fn stop(mut self) -> TempDir {
        self.end();
        self.dir.take().unwrap()
    }

    /// Ends a server whose disk is gone; its directory stays.
    pub fn abandon(mut self) -> TempDir {
        if let (Some(server), Some(runtime)) = (self.server.take(), self.runtime.take()) {
            drop(runtime.block_on(server.stop()));
        }
        self.dir.take().unwrap()
    }

    fn end(&mut self) {
        let (Some(server), Some(runtime)) = (self.server.take(), self.runtime.take()) else { return };
        runtime.block_on(server.stop()).unwrap();
    }

    /// MQTT connections that are open now.
    pub fn connections(&self) -> u64 {
        metric(self.listen.operations, "tidewater_connections{protocol=\"mqtt\"}")
    }

    /// The codes of what stands in the way of readiness.
    pub fn obstacles(&self) -> Vec<String> {
        let ((_, body), _) = Api::new(self.listen.operations, "").send("GET", "/ready", None);
        body["reasons"].as_array().unwrap().iter().map(|reason| reason["code"].as_str().unwrap().to_owned()).collect()
    }

    /// Every metric as text.
    pub fn metrics(&self) -> String {
        scrape(self.listen.operations)
    }

    pub fn anonymous(&self) -> SocketAddr {
        self.listen.dev_anonymous.unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A test that has failed may have left the server in a state in which it cannot end.
        if std::thread::panicking() {
            std::mem::forget(self.server.take());
            if let Some(runtime) = self.runtime.take() {
                runtime.shutdown_background();
            }
        } else {
            self.end();
        }
    }
}

/// The value of a metric, named with its labels.
pub fn metric(operations: SocketAddr, name: &str) -> u64 {
    let text = scrape(operations);
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no metric {name}:\n{text}")).parse().unwrap()
}

fn scrape(operations: SocketAddr) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(operations).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}
