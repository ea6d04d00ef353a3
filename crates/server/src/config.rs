//! Configuration: one TOML file of few keys, every one optional; the command line overrides it.
//!
//! Each section's doc comments are the reference; `tidewater check-config` prints them. All mistakes are reported at
//! once, each with its line. There are no secrets in it.

pub mod backends;
pub mod credentials;
pub mod section;
pub mod setting;

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use model::blocks::BLOCK_BYTES;
use model::{ErrorKind, limits};
use toml::de::DeTable;

use backends::{CacheUrl, JournalUrl, ObjectsUrl, RegistryUrl, SchemasUrl, StoreUrl};
use section::{Mistake, Reader, Section, line_of, section};
use setting::{Roles, Size};

#[cfg(test)]
mod tests;

/// The whole configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Config {
    pub base: BaseConfig,
    pub mqtt: MqttConfig,
    pub http: HttpConfig,
    pub operations: OperationsConfig,
    pub journal: JournalConfig,
    pub registry: RegistryConfig,
    pub cache: CacheConfig,
    pub store: StoreConfig,
    pub objects: ObjectsConfig,
    pub schemas: SchemasConfig,
    /// A loopback listener without credentials; from the command line only.
    pub dev_anonymous: Option<SocketAddr>,
}

section! {
    /// What concerns the whole process.
    BaseConfig = "" {
        /// The data directory. Everything that the server keeps is in it.
        data: PathBuf = "./tidewater-data".into(),
        /// The parts that this process runs.
        roles: Roles = Roles::all(),
    }
}

section! {
    /// The MQTT listener.
    MqttConfig = "mqtt" {
        /// Address and port. Port 0 takes a free one.
        listen: SocketAddr = any_address(1883),
        /// Publishes with QoS 1 and 2 that one connection may have unacknowledged (MQTT 5 Receive Maximum).
        receive_maximum: u16 = limits::MQTT_RECEIVE_MAX,
        /// Topic aliases that one MQTT 5 connection may define; 0 for none.
        topic_alias_maximum: u16 = limits::MQTT_TOPIC_ALIAS_MAX,
        /// The largest packet that a client may send.
        packet_bytes_max: Size = Size(limits::MQTT_PACKET_BYTES_MAX as u64),
    }
}

section! {
    /// The HTTP listener: ingest, query, registry, console.
    HttpConfig = "http" {
        /// Address and port. Port 0 takes a free one.
        listen: SocketAddr = any_address(8080),
    }
}

section! {
    /// The operations listener: `/metrics`, `/live`, `/ready`. It asks for no credential: keep it on a private address.
    OperationsConfig = "operations" {
        /// Address and port. Port 0 takes a free one.
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 9464)),
    }
}

section! {
    /// The journal.
    JournalConfig = "journal" {
        /// `file:` (in the data directory), `file:PATH`, or `memory:` (nothing survives the process).
        url: JournalUrl = JournalUrl::File(None),
        /// Age up to which raw messages are kept behind what is stored, for cursors and for repair.
        retention: Duration = limits::RETENTION_AGE,
        /// Size up to which they are kept, whichever is less.
        retention_bytes: Size = Size(limits::RETENTION_BYTES),
        /// Size of a segment file of the log; some six of them are in use at once. Smaller ones suit a small volume: what is
        /// in memory only is sealed whenever four are full.
        segment_bytes: Size = Size(limits::SEGMENT_BYTES),
        /// Age up to which dead letters are kept.
        dead_letter_retention: Duration = limits::DEAD_LETTER_AGE,
        /// Size up to which they are kept, whichever is less.
        dead_letter_bytes: Size = Size(limits::DEAD_LETTER_BYTES),
    }
}

section! {
    /// Tenants, keys, classes and devices.
    RegistryConfig = "registry" {
        /// `sqlite:` (in the data directory) or `sqlite:PATH`.
        url: RegistryUrl = RegistryUrl::Sqlite(None),
    }
}

section! {
    /// Looked-up tokens.
    CacheConfig = "cache" {
        /// `memory:`.
        url: CacheUrl = CacheUrl::Memory,
    }
}

section! {
    /// The store's hot tier.
    StoreConfig = "store" {
        /// `file:` (in the data directory) or `file:PATH`.
        url: StoreUrl = StoreUrl::File(None),
    }
}

section! {
    /// The store's warm and cold tiers.
    ObjectsConfig = "objects" {
        /// `file:` (beside the hot tier) or `file:PATH`.
        url: ObjectsUrl = ObjectsUrl::File(None),
    }
}

section! {
    /// The schema registry.
    SchemasConfig = "schemas" {
        /// `builtin:`, or `http(s)://…` of a server that speaks Confluent's API; https trusts the system's authorities (or SSL_CERT_FILE).
        url: SchemasUrl = SchemasUrl::Builtin,
        /// A file with `USER:PASSWORD`, or with a bearer token, for that server. Or set TIDEWATER_SCHEMAS_CREDENTIALS to that.
        credentials_file: Option<PathBuf> = None,
    }
}

/// A CONNECT of usual length still fits.
const PACKET_BYTES_LEAST: u64 = 1 << 10;
/// The journal takes a few of them at a time, and an HTTP body is no larger either.
const PACKET_BYTES_MOST: u64 = 8 << 20;

/// The largest batch, and the largest packet on top of it, fit a segment.
const SEGMENT_BYTES_LEAST: u64 = 4 << 20;
const PACKETS_PER_SEGMENT: u64 = 4;
/// A file that is read whole when it is checked.
const SEGMENT_BYTES_MOST: u64 = 1 << 30;

fn any_address(port: u16) -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], port))
}

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Overrides {
    /// The configuration file; without it everything has its default.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data directory [default: ./tidewater-data].
    #[arg(long, env = "TIDEWATER_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where MQTT listens; port 0 takes a free one [default: 0.0.0.0:1883].
    #[arg(long, value_name = "ADDR")]
    pub mqtt: Option<SocketAddr>,
    /// Where HTTP listens; port 0 takes a free one [default: 0.0.0.0:8080].
    #[arg(long, value_name = "ADDR")]
    pub http: Option<SocketAddr>,
    /// Where /metrics, /live and /ready are served [default: 127.0.0.1:9464].
    #[arg(long, value_name = "ADDR")]
    pub operations: Option<SocketAddr>,
    /// One more MQTT listener that needs no credential, on a loopback address: for trying things out.
    #[arg(long, value_name = "ADDR")]
    pub dev_anonymous: Option<SocketAddr>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the configuration file {} cannot be read: {source}", file.display())]
    Unreadable { file: PathBuf, source: std::io::Error },
    #[error("{}", Listing { file, mistakes })]
    Mistaken { file: PathBuf, mistakes: Vec<Mistake> },
    #[error("--dev-anonymous {0} is not a loopback address: it needs no credential, so it must be like 127.0.0.1:1884")]
    NotLoopback(SocketAddr),
}

impl ConfigError {
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

struct Listing<'a> {
    file: &'a PathBuf,
    mistakes: &'a [Mistake],
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, count) = (self.file.display(), self.mistakes.len());
        write!(f, "{file} has {count} {}:", if count == 1 { "mistake" } else { "mistakes" })?;
        for mistake in self.mistakes {
            write!(f, "\n  {file}:{}: {}", mistake.line, mistake.text)?;
        }
        Ok(())
    }
}

impl Config {
    /// The file's configuration, or the defaults, with the command line's overrides.
    pub fn load(overrides: &Overrides) -> Result<Self, ConfigError> {
        let mut config = match &overrides.config {
            Some(file) => {
                let source = fs::read_to_string(file)
                    .map_err(|source| ConfigError::Unreadable { file: file.clone(), source })?;
                Self::parse(&source).map_err(|mistakes| ConfigError::Mistaken { file: file.clone(), mistakes })?
            }
            None => Self::default(),
        };
        config.apply(overrides)?;
        Ok(config)
    }

    fn apply(&mut self, overrides: &Overrides) -> Result<(), ConfigError> {
        if let Some(data) = &overrides.data {
            self.base.data.clone_from(data);
        }
        self.mqtt.listen = overrides.mqtt.unwrap_or(self.mqtt.listen);
        self.http.listen = overrides.http.unwrap_or(self.http.listen);
        self.operations.listen = overrides.operations.unwrap_or(self.operations.listen);
        match overrides.dev_anonymous {
            Some(address) if !address.ip().is_loopback() => return Err(ConfigError::NotLoopback(address)),
            address => self.dev_anonymous = address,
        }
        Ok(())
    }

    /// The configuration that a file's text says, or every mistake in it.
    pub fn parse(source: &str) -> Result<Self, Vec<Mistake>> {
        let (table, errors) = DeTable::parse_recoverable(source);
        let mut reader = Reader::new(source, table.get_ref());
        let config = Self {
            base: reader.section(),
            mqtt: reader.section(),
            http: reader.section(),
            operations: reader.section(),
            journal: reader.section(),
            registry: reader.section(),
            cache: reader.section(),
            store: reader.section(),
            objects: reader.section(),
            schemas: reader.section(),
            dev_anonymous: None,
        };
        let MqttConfig { receive_maximum, packet_bytes_max, .. } = &config.mqtt;
        reader.require("mqtt", "receive_maximum", *receive_maximum > 0, "at least 1 (MQTT 5, 3.2.2.3.3)");
        let sizes = PACKET_BYTES_LEAST..=PACKET_BYTES_MOST;
        reader.require("mqtt", "packet_bytes_max", sizes.contains(&packet_bytes_max.0), "from 1KiB to 8MiB");
        let segment = config.journal.segment_bytes.0;
        let sizes = SEGMENT_BYTES_LEAST.max(PACKETS_PER_SEGMENT * packet_bytes_max.0)..=SEGMENT_BYTES_MOST;
        let aligned = segment.is_multiple_of(BLOCK_BYTES as u64);
        let expected = "from 4MiB to 1GiB in steps of 4KiB, and at least four times `mqtt.packet_bytes_max`";
        reader.require("journal", "segment_bytes", aligned && sizes.contains(&segment), expected);
        let SchemasConfig { url, credentials_file } = &config.schemas;
        let needless = *url == SchemasUrl::Builtin && credentials_file.is_some();
        let expected = "left out while `schemas.url` is \"builtin:\": nobody asks for credentials there";
        reader.require("schemas", "credentials_file", !needless, expected);
        let mut mistakes = reader.finish();
        if !errors.is_empty() {
            // What a recovering parser makes of a broken file is a guess: only the syntax is reported.
            let at = |error: &toml::de::Error| error.span().map_or(0, |span| span.start);
            let mistake = |error| Mistake { line: line_of(source, at(error)), text: format!("{}.", error.message()) };
            mistakes = errors.iter().map(mistake).collect();
        }
        if mistakes.is_empty() { Ok(config) } else { Err(mistakes) }
    }

    /// The whole configuration as TOML, with every key's reference as a comment.
    pub fn show(&self) -> String {
        let mut out = String::new();
        self.base.show(&mut out);
        self.mqtt.show(&mut out);
        self.http.show(&mut out);
        self.operations.show(&mut out);
        self.journal.show(&mut out);
        self.registry.show(&mut out);
        self.cache.show(&mut out);
        self.store.show(&mut out);
        self.objects.show(&mut out);
        self.schemas.show(&mut out);
        out
    }
}
