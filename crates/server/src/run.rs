//! How the parts are put together: open what is kept, open the line, listen, serve, shut down in the opposite order.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use journal::{Gap, Journal, JournalConfig, Topic};
use model::contract::SchemaSource;
use model::{Clock, Disk, TenantId};
use pipeline::Flagged;
use registry::Registry;
use store::{Store, StoreConfig};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::config::backends::{JournalUrl, RegistryUrl, SchemasUrl, StoreUrl};
use crate::config::{Config, credentials};
use crate::data_dir::{DataDir, Listen};
use crate::external::client::Client;
use crate::external::{self, External};
use crate::gateway::{self, Gateway, GatewayParts};
use crate::http::server::Connections;
use crate::http::{self, App};
use crate::line::plans::Plans;
use crate::line::sessions::HeldIds;
use crate::line::{Line, LineParts, PARTITION, Restored};
use crate::operations::{self, Metrics, Operations, Sample, Sampler};
use crate::quarantine::{FLAGGED_WAITING_MAX, Quarantine};
use crate::{quotas, retention};

/// Gaps of the journal that `/ready` names; the log and `journal check` name all.
const DAMAGE_SHOWN_MAX: usize = 8;

/// A running server. It serves until [`Server::stop`].
pub struct Server {
    pub listen: Listen,
    /// The first admin key, if this start made it.
    pub new_admin_key: Option<NewAdminKey>,
    data: DataDir,
    line: Line,
    registry: Registry,
    gateway: Gateway,
    /// Turned to true, the listeners finish what is in flight and end.
    stopping: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// The admin key of a new data directory. It is shown once.
pub struct NewAdminKey {
    pub token: String,
    /// The file that has it, mode 0600.
    pub path: PathBuf,
}

/// Everything that is kept, open, and as far as the log told.
struct Kept {
    registry: Registry,
    /// Whose the messages of anonymous clients are.
    dev_tenant: TenantId,
    new_admin_key: Option<NewAdminKey>,
    store: Store,
    schemas: Schemas,
    line: Line,
    /// MQTT QoS 2 ids that await PUBREL.
    held: HeldIds,
    plans: Plans,
    /// The devices that the line flags.
    flagged: mpsc::Receiver<Flagged>,
}

/// The sockets, bound before anything else is touched: a port in use is the commonest reason not to start.
struct Listeners {
    mqtt: TcpListener,
    anonymous: Option<TcpListener>,
    http: TcpListener,
    operations: TcpListener,
}

impl Server {
    /// Starts everything that `config` says on this runtime, and returns once every listener answers.
    pub async fn start(config: Config, disk: Arc<dyn Disk>, clock: Clock) -> Result<Self> {
        let data = DataDir::open(&config.base.data)?;
        let listeners = Listeners::bind(&config)?;
        let listen = listeners.addresses()?;
        let metrics = Arc::new(Metrics::new());

        let kept = Kept::open(&config, &data, &disk, &clock, &metrics).await?;
        let Kept { registry, dev_tenant, new_admin_key, store, schemas, line, held, plans, flagged } = kept;
        let gateway = Gateway::start(GatewayParts {
            listener: listeners.mqtt,
            anonymous: listeners.anonymous.map(|listener| (listener, dev_tenant)),
            offer: gateway::offer(&config.mqtt),
            raw: line.raw.clone(),
            held,
            overload: line.overload.clone(),
            ledger: line.ledger.clone(),
            registry: registry.clone(),
            metrics: metrics.clone(),
            clock: clock.clone(),
            runtime: Handle::current(),
        })?;
        let plans = Arc::new(plans.with_gateway(gateway.passed()));
        let external = schemas.external(&registry, &plans, &clock);
        let (stopping, stop) = watch::channel(false);
        let sampler = sampler(&line, &store, disk, &data, external.clone(), stop.clone());
        let operations = operations::router(Operations { metrics: metrics.clone(), sampler });
        let http_connections = Connections {
            open: metrics.http.connections.clone(),
            accept_failures: metrics.http.accept_failures.clone(),
        };
        let operations_connections = Connections::default();
        let app = App::new(http::Parts {
            clock,
            metrics,
            registry: registry.clone(),
            store: store.clone(),
            intake: line.intake.clone(),
            plans: plans.clone(),
            external: external.clone(),
            dead_letters: line.dead_letters.clone(),
            ledger: line.ledger.clone(),
            trials: line.trials.clone(),
            normalized: line.normalized.clone(),
        });
        let (listener, operations_listener) = (listeners.http.try_into()?, listeners.operations.try_into()?);
        let quarantine = Quarantine { registry: registry.clone(), store: store.clone(), intake: line.intake.clone() };
        let mut tasks = vec![
            tokio::spawn(http::server::serve(listener, http::router(app.clone()), http_connections, stop.clone())),
            tokio::spawn(http::server::serve(operations_listener, operations, operations_connections, stop.clone())),
            tokio::spawn(quarantine.follow(flagged, stop.clone())),
            tokio::spawn(retention::follow(registry.clone(), store, stop.clone())),
            tokio::spawn(plans.follow(stop.clone())),
            tokio::spawn(maintain(registry.clone(), stop.clone())),
        ];
        if let Some(external) = external {
            tasks.push(tokio::spawn(external::follow::follow(app, external, external::follow::PERIOD, stop)));
        }
        data.write_listen(&listen).context("listen.json could not be written")?;
        Ok(Self { listen, new_admin_key, data, line, registry, gateway, stopping, tasks })
    }

    /// Ends the server without losing what it acknowledged: clients are told, what is in flight becomes durable and is
    /// acknowledged, rows become blocks, files close.
    pub async fn stop(self) -> Result<()> {
        let Self { data, line, registry, gateway, stopping, tasks, .. } = self;
        data.remove_listen().context("listen.json could not be removed")?;
        stopping.send_replace(true);
        line.normalized.close();
        gateway.stop().await;
        for task in tasks {
            task.await.context("a listener ended abnormally")?;
        }
        tokio::task::spawn_blocking(move || line.stop()).await.context("the line ended abnormally")?;
        registry.close().await.context("the registry could not be closed")
    }
}

impl Kept {
    async fn open(
        config: &Config,
        data: &DataDir,
        disk: &Arc<dyn Disk>,
        clock: &Clock,
        metrics: &Arc<Metrics>,
    ) -> Result<Self> {
        let began = clock.monotonic();
        let (registry, dev_tenant, new_admin_key) = open_registry(config, data, clock.clone()).await?;
        let registry_open = clock.monotonic();
        let store = open_store(config, data, disk.clone(), clock.clone())?;
        retention::load(&registry, &store).await?;
        let schemas = schemas_from(config, &registry).await?;
        let store_open = clock.monotonic();
        let journal = open_journal(config, data, disk.clone(), clock.clone())?;
        let journal_open = clock.monotonic();
        let (flags, flagged) = mpsc::channel(FLAGGED_WAITING_MAX);
        let parts = LineParts {
            journal,
            store: store.clone(),
            disk: disk.clone(),
            dir: data.path().to_owned(),
            snapshots: data.snapshots(),
            metrics: metrics.clone(),
            clock: clock.clone(),
            flagged: flags,
        };
        let (line, Restored { held, rules }) = open_line(parts).await?;
        let plans = Plans::new(registry.clone(), line.raw.clone(), rules, clock.clone());
        let followed = plans.follow_source(schemas.source()).await;
        followed.context("the source of schemas could not be brought into the log")?;
        plans.settle_all().await.context("the rules of classes could not be brought into the log")?;
        quotas::load(&registry, &line.ledger).await?;
        tracing::info!(
            registry_ms = (registry_open - began).as_millis(),
            store_ms = (store_open - registry_open).as_millis(),
            journal_ms = (journal_open - store_open).as_millis(),
            line_ms = (clock.monotonic() - journal_open).as_millis(),
            "everything that is kept is open"
        );
        Ok(Self { registry, dev_tenant, new_admin_key, store, schemas, line, held, plans, flagged })
    }
}

impl Listeners {
    fn bind(config: &Config) -> Result<Self> {
        let anonymous =
            config.dev_anonymous.map(|at| gateway::bind(at, "the anonymous MQTT listener", "--dev-anonymous"));
        let listeners = Self {
            mqtt: gateway::bind(config.mqtt.listen, "MQTT", "--mqtt")?,
            anonymous: anonymous.transpose()?,
            http: gateway::bind(config.http.listen, "HTTP", "--http")?,
            operations: gateway::bind(config.operations.listen, "the operations listener", "--operations")?,
        };
        listeners.http.set_nonblocking(true)?;
        listeners.operations.set_nonblocking(true)?;
        Ok(listeners)
    }

    fn addresses(&self) -> Result<Listen> {
        Ok(Listen {
            mqtt: self.mqtt.local_addr()?,
            http: self.http.local_addr()?,
            operations: self.operations.local_addr()?,
            dev_anonymous: self.anonymous.as_ref().map(TcpListener::local_addr).transpose()?,
        })
    }
}

async fn open_registry(
    config: &Config,
    data: &DataDir,
    clock: Clock,
) -> Result<(Registry, TenantId, Option<NewAdminKey>)> {
    let RegistryUrl::Sqlite(path) = &config.registry.url;
    let path = path.clone().unwrap_or_else(|| data.registry());
    let registry = Registry::open(&format!("sqlite:{}", path.display()), clock).await?;
    let mut written = None;
    let deliver = |key: &registry::Secret| {
        let token = key.expose().to_owned();
        written = Some(NewAdminKey { path: data.write_admin_key(&token)?, token });
        Ok(())
    };
    let bootstrap = registry.bootstrap(deliver).await?;
    Ok((registry, bootstrap.dev_tenant, written))
}

/// Where schemas come from.
enum Schemas {
    BuiltIn,
    External(Client),
}

/// Fails if the schemas that are kept came from elsewhere.
async fn schemas_from(config: &Config, registry: &Registry) -> Result<Schemas> {
    let schemas = match &config.schemas.url {
        SchemasUrl::Builtin => Schemas::BuiltIn,
        SchemasUrl::External(url) => {
            let variable = std::env::var(credentials::VARIABLE).ok();
            let credentials = credentials::read(config.schemas.credentials_file.as_deref(), variable)?;
            Schemas::External(Client::new(url, credentials.as_deref()))
        }
    };
    registry.take_schemas_from(schemas.source()).await?;
    Ok(schemas)
}

impl Schemas {
    fn source(&self) -> SchemaSource {
        match self {
            Self::BuiltIn => SchemaSource::BuiltIn,
            Self::External(_) => SchemaSource::External,
        }
    }

    fn external(self, registry: &Registry, plans: &Arc<Plans>, clock: &Clock) -> Option<External> {
        let Self::External(client) = self else { return None };
        Some(External::new(client, registry.clone(), plans.clone(), clock.clone()))
    }
}

fn open_store(config: &Config, data: &DataDir, disk: Arc<dyn Disk>, clock: Clock) -> Result<Store> {
    let StoreUrl::File(path) = &config.store.url;
    let dir = path.clone().unwrap_or_else(|| data.store());
    let (store, recovered) = Store::open(StoreConfig::new(dir), disk, clock)?;
    if !recovered.catalogs_unreadable.is_empty() || !recovered.damaged.is_empty() {
        let (catalogs, blocks) = (&recovered.catalogs_unreadable, &recovered.damaged);
        tracing::error!(
            ?catalogs,
            ?blocks,
            "the store is damaged; the rest is served, and `/metrics` counts what is not"
        );
    }
    let (replay_from, orphans_removed) = (&recovered.replay_from, recovered.orphans_removed.len());
    tracing::info!(?replay_from, orphans_removed, set_aside = recovered.set_aside.len(), "the store is open");
    Ok(store)
}

fn open_journal(config: &Config, data: &DataDir, disk: Arc<dyn Disk>, clock: Clock) -> Result<Journal> {
    let dir = match &config.journal.url {
        JournalUrl::File(path) => path.clone().unwrap_or_else(|| data.journal()),
        JournalUrl::Memory => data.journal(),
    };
    let journal_config = JournalConfig {
        segment_bytes: config.journal.segment_bytes.0,
        retention_age: config.journal.retention,
        retention_bytes: config.journal.retention_bytes.0,
        dead_letter_age: config.journal.dead_letter_retention,
        dead_letter_bytes: config.journal.dead_letter_bytes.0,
        ..JournalConfig::new(dir)
    };
    if config.journal.url == JournalUrl::Memory {
        tracing::warn!("the journal is in memory: what is acknowledged is lost when this process ends");
        return Ok(Journal::memory(journal_config, clock));
    }
    let (journal, recovery) = Journal::open(journal_config, disk, clock)?;
    for log in &recovery.logs {
        let (topic, partition) = (log.topic.name(), log.partition.0);
        tracing::info!(topic, partition, oldest = log.oldest, end = log.end, segments = log.segments, "a log is open");
        if log.torn_bytes > 0 {
            let (bytes, batches, at) = (log.torn_bytes, log.torn_batches, &log.torn_at);
            tracing::warn!(topic, bytes, batches, ?at, "a torn end was cut off: it was never acknowledged");
        }
        if !log.corrupt.is_empty() || !log.damage.is_empty() {
            let (corrupt, damage) = (&log.corrupt, &log.damage);
            tracing::error!(topic, ?corrupt, ?damage, "a log is damaged: run `tidewater journal check`");
        }
    }
    Ok(journal)
}

/// Deriving again what was not sealed takes up to a second or two of work: not on the runtime's threads.
async fn open_line(parts: LineParts) -> Result<(Line, Restored)> {
    Ok(tokio::task::spawn_blocking(move || Line::open(parts)).await.context("the line could not be opened")??)
}

async fn maintain(registry: Registry, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = registry.run_maintenance() => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

/// Reads the state of the running server whenever `/metrics` or `/ready` is asked.
fn sampler(
    line: &Line,
    store: &Store,
    disk: Arc<dyn Disk>,
    data: &DataDir,
    external: Option<External>,
    stop: watch::Receiver<bool>,
) -> Sampler {
    let (raw, dead_letters, overload) = (line.raw.clone(), line.dead_letters.clone(), line.overload.clone());
    let (store, dir, ledger) = (store.clone(), data.path().to_owned(), line.ledger.clone());
    Arc::new(move || {
        let figures = store.figures();
        let poisoned = raw.log().poisoned().or_else(|| dead_letters.poisoned());
        let obstacle = raw.log().obstacle().or_else(|| dead_letters.obstacle());
        let gaps = [(Topic::Raw, raw.log().gaps()), (Topic::DeadLetter, dead_letters.gaps())];
        let damage = gaps.iter().flat_map(|(topic, gaps)| gaps.iter().map(move |gap| format!("{topic}: {gap}")));
        let offsets = |gaps: &[Gap]| gaps.iter().map(|gap| gap.offsets.end - gap.offsets.start).sum();
        Sample {
            damage: damage.take(DAMAGE_SHOWN_MAX).collect(),
            damaged_offsets: gaps.iter().map(|(topic, gaps)| (*topic, offsets(gaps))).collect(),
            journal_blocked: obstacle.map(|error| error.to_string()),
            logs: vec![(Topic::Raw, raw.log().figures()), (Topic::DeadLetter, dead_letters.figures())],
            poisoned: poisoned.map(|error| error.to_string()),
            ingest_held: overload.reason(),
            lag_bytes: raw.log().bytes_from(store.visible_to(PARTITION)),
            head_bytes: figures.head_bytes as u64,
            blocks: figures.blocks as u64,
            block_bytes: figures.block_bytes,
            block_rows: figures.block_rows,
            rows_merged: figures.rows_merged,
            blocks_damaged: figures.blocks_damaged as u64,
            dead_letter_bytes: ledger.pending_bytes(),
            tenants_at_quota: ledger.at_quota().len() as u64,
            schemas_outage: external.as_ref().and_then(External::outage),
            store_failure: figures.failure,
            free_bytes: disk.free_bytes(&dir).unwrap_or(0),
            stopping: *stop.borrow(),
        }
    })
}
