//! `tidewater serve`: the server, until it is told to stop.

use anyhow::{Context, Result};
use model::Clock;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Config, Overrides};
use crate::run::Server;

/// Threads of the runtime that serves HTTP and the registry. The line has threads of its own.
const RUNTIME_THREADS: usize = 2;

/// Run the server.
///
/// Everything is embedded unless the configuration says otherwise. The first start creates the default tenant and one
/// admin API key, prints it once and writes it to DIR/admin.key. SIGTERM and Ctrl-C end the server without losing
/// anything that it has acknowledged.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tidewater serve
  tidewater serve --data /var/lib/tidewater --config /etc/tidewater.toml
  tidewater serve --mqtt 127.0.0.1:0 --http 127.0.0.1:0   free ports; see DIR/listen.json")]
pub struct Args {
    #[command(flatten)]
    overrides: Overrides,
}

impl Args {
    pub fn run(self) -> Result<()> {
        let config = Config::load(&self.overrides)?;
        runtime()?.block_on(serve(config))
    }
}

/// The runtime for everything that is not on the line.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(RUNTIME_THREADS).enable_all().build().context("the runtime could not be started")
}

async fn serve(config: Config) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = Server::start(config, the_disk(), Clock::system()).await?;
    greet(&server);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    eprintln!("stopping: what was acknowledged is kept");
    server.stop().await
}

/// The machine's disk.
#[cfg(not(feature = "sabotage"))]
pub fn the_disk() -> std::sync::Arc<dyn model::Disk> {
    std::sync::Arc::new(disk::RealDisk)
}

#[cfg(feature = "sabotage")]
pub use crate::sabotage::the_disk;

/// Says where the server is, and on the first start the admin key.
pub fn greet(server: &Server) {
    let listen = &server.listen;
    eprintln!("MQTT        {}", listen.mqtt);
    eprintln!("HTTP        http://{}", listen.http);
    eprintln!("operations  http://{}/metrics", listen.operations);
    if let Some(anonymous) = listen.dev_anonymous {
        eprintln!("MQTT        {anonymous} without credentials, free topics of tenant `dev`");
    }
    if let Some(key) = &server.new_admin_key {
        eprintln!("admin key   {} (kept in {}; shown this once)", key.token, key.path.display());
    }
}
