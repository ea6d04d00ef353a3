//! The server that a simulation, a bench or a verification speaks to.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use sim::Stop;
use sim::process::{Listen, admin_key};
use tokio::signal::unix::{SignalKind, signal};

/// A running server: a data directory on this machine, or addresses and a key.
#[derive(clap::Args, Clone, Debug)]
pub struct TargetArgs {
    /// The server's HTTP address, for example http://127.0.0.1:8080; without it that of the server on --data.
    #[arg(long, env = "TIDEWATER_URL", value_name = "URL")]
    pub url: Option<String>,
    /// Where the server takes MQTT; without it port 1883 of the URL's host, or that of the server on --data.
    #[arg(long, value_name = "HOST:PORT")]
    pub mqtt: Option<String>,
    /// An API key (`twk_…`); without it DIR/admin.key.
    #[arg(long, env = "TIDEWATER_KEY", value_name = "KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// The data directory of a server on this machine.
    #[arg(long, env = "TIDEWATER_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// Where a server is and with what key.
pub struct Target {
    pub url: String,
    pub mqtt: String,
    pub key: String,
    /// Its data directory, if it is on this machine.
    pub data: Option<PathBuf>,
}

/// The data directory where nothing else is said.
const DATA: &str = "./tidewater-data";

impl TargetArgs {
    /// Whether the person named a server at all.
    pub fn is_given(&self) -> bool {
        self.url.is_some() || self.data.is_some()
    }

    /// Finds out what was not said.
    pub fn resolve(&self) -> Result<Target> {
        let data = match (&self.data, &self.url) {
            (Some(data), _) => Some(data.clone()),
            (None, None) => Some(PathBuf::from(DATA)),
            (None, Some(_)) => None,
        };
        let listen = match &data {
            Some(data) if self.url.is_none() || self.mqtt.is_none() => Some(Listen::read(data)?),
            _ => None,
        };
        let url = match (&self.url, &listen) {
            (Some(url), _) => url.trim_end_matches('/').to_owned(),
            (None, Some(listen)) => format!("http://{}", listen.http),
            (None, None) => bail!("give --url or --data"),
        };
        let Some(host) = url.strip_prefix("http://") else {
            bail!("`{url}` is not a URL that this command can use: it must begin with http://");
        };
        let mqtt = match (&self.mqtt, &listen) {
            (Some(mqtt), _) => mqtt.clone(),
            (None, Some(listen)) => listen.mqtt.clone(),
            (None, None) => format!("{}:1883", host.rsplit_once(':').map_or(host, |(host, _)| host)),
        };
        let key = match (&self.key, &data) {
            (Some(key), _) => key.trim().to_owned(),
            (None, Some(data)) => admin_key(data).context("no API key: give --key or set TIDEWATER_KEY")?,
            (None, None) => bail!("no API key: give --key or set TIDEWATER_KEY"),
        };
        Ok(Target { url, mqtt, key, data })
    }
}

impl Target {
    /// The address that MQTT is taken at.
    pub fn mqtt_address(&self) -> Result<SocketAddr> {
        let mut found = self.mqtt.to_socket_addrs().with_context(|| format!("`{}` is not HOST:PORT", self.mqtt))?;
        found.next().with_context(|| format!("`{}` has no address", self.mqtt))
    }

    /// The process that owns the data directory.
    pub fn pid(&self) -> Option<u32> {
        std::fs::read_to_string(self.data.as_ref()?.join("lock")).ok()?.trim().parse().ok()
    }
}

/// A wish to stop that Ctrl-C and SIGTERM make come true.
pub fn stop_on_signals() -> Result<Stop> {
    let stop = Stop::default();
    let wish = stop.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return tracing::warn!("signals cannot be caught: Ctrl-C ends at once");
            };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            wish.stop();
        });
    })?;
    Ok(stop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(url: Option<&str>, mqtt: Option<&str>, key: Option<&str>) -> TargetArgs {
        let text = |text: Option<&str>| text.map(str::to_owned);
        TargetArgs { url: text(url), mqtt: text(mqtt), key: text(key), data: None }
    }

    #[test]
    fn what_is_said_is_used_and_the_rest_is_derived() {
        let target = args(Some("http://host:8080/"), None, Some(" twk_x ")).resolve().unwrap();
        assert_eq!(
            (target.url.as_str(), target.mqtt.as_str(), target.key.as_str()),
            ("http://host:8080", "host:1883", "twk_x")
        );
        let target = args(Some("http://host"), Some("other:1884"), Some("k")).resolve().unwrap();
        assert_eq!(target.mqtt, "other:1884");
    }

    #[test]
    fn what_is_missing_is_named() {
        let message = |args: TargetArgs| args.resolve().err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(message(args(Some("http://host"), None, None)).contains("--key"));
        assert!(message(args(Some("host:8080"), None, Some("k"))).contains("http://"));
    }

    #[test]
    fn a_data_directory_says_it_all() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("listen.json", r#"{"mqtt":"127.0.0.1:1","http":"127.0.0.1:2","operations":"127.0.0.1:3"}"#);
        write("admin.key", "twk_y\n");
        write("lock", "77\n");
        let args = TargetArgs { data: Some(dir.path().to_owned()), ..args(None, None, None) };
        let target = args.resolve().unwrap();
        assert_eq!(
            (target.url.as_str(), target.mqtt.as_str(), target.key.as_str()),
            ("http://127.0.0.1:2", "127.0.0.1:1", "twk_y")
        );
        assert_eq!(target.pid(), Some(77));
    }
}
