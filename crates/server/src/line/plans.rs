//! The way of rules from the registry to `raw`: schemas and what classes say about messages become control records.
//!
//! The pipeline asks nobody, so what it follows must stand in the log before the messages that it holds for. At start every
//! tenant's rules are compared with what the line restored; later a tenant's are whenever the registry says that something
//! changed. Only what differs is written. Who changed something waits in [`Plans::settled`], so that what is published
//! after the answer is read under the new rules.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use model::contract::{SchemaRecord, SchemaSource, UnknownIds, Verdict};
use model::{Batch, BatchPool, ClassRules, Clock, Control, ErrorKind, Offset, TenantId, limits};
use registry::{Change, MetricUnits, Paging, Registry, TenantRules};
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, oneshot, watch};
use xxhash_rust::xxh3::xxh3_128;

use super::raw_log::{RawLog, Refused};

#[cfg(test)]
mod tests;

/// Between attempts to append while every commit slot is taken.
const BUSY_WAIT: Duration = Duration::from_millis(1);
/// How long one look at the watermark waits.
const DURABLE_WAIT: Duration = Duration::from_millis(200);
/// Of a control record beside its JSON and the class's name: tag, lengths, tenant.
const RECORD_BYTES: usize = 64;

/// Which rules a log has, by their digests.
#[derive(Clone, Default, Debug)]
pub struct KnownRules {
    schemas: HashMap<(TenantId, u32), u128>,
    unknown: UnknownIds,
    source: SchemaSource,
    classes: HashMap<TenantId, HashMap<Arc<str>, u128>>,
}

/// Why rules are not in force, though the registry has them. They will be at the next start at the latest.
#[derive(Debug, thiserror::Error)]
pub enum PlansError {
    #[error(transparent)]
    Registry(#[from] registry::Error),
    #[error("the change is kept, and takes effect once the journal can be written again: {0}")]
    Journal(journal::Error),
    #[error("the change is kept, and takes effect at the next start: the server is shutting down")]
    ShuttingDown,
}

impl PlansError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Registry(error) => error.kind(),
            Self::Journal(_) | Self::ShuttingDown => ErrorKind::Unavailable,
        }
    }
}

/// Asks the gateway to say when it has acted on every change that the registry announced until now.
pub type Passed = mpsc::Sender<oneshot::Sender<()>>;

/// See the module.
pub struct Plans {
    registry: Registry,
    raw: Arc<RawLog>,
    clock: Clock,
    known: Mutex<KnownRules>,
    /// Of tenants whose rules name units.
    units: RwLock<HashMap<TenantId, Arc<MetricUnits>>>,
    /// One comparison at a time: what it finds missing is written once.
    turn: tokio::sync::Mutex<()>,
    gateway: Option<Passed>,
}

impl Plans {
    /// `known` is what the line restored.
    pub fn new(registry: Registry, raw: Arc<RawLog>, known: KnownRules, clock: Clock) -> Self {
        let (known, units) = (Mutex::new(known), RwLock::default());
        Self { registry, raw, clock, known, units, turn: tokio::sync::Mutex::default(), gateway: None }
    }

    /// From now on [`Plans::settled`] waits for the gateway too.
    pub fn with_gateway(self, gateway: Passed) -> Self {
        Self { gateway: Some(gateway), ..self }
    }

    /// Brings every tenant's rules into the log.
    pub async fn settle_all(&self) -> Result<(), PlansError> {
        let mut paging = Paging::default();
        loop {
            let page = self.registry.tenants(&paging).await?;
            for tenant in page.rows {
                self.settle(tenant.tenant_id).await?;
            }
            let Some(next) = page.next else { return Ok(()) };
            paging.cursor = Some(next);
        }
    }

    /// From here on schemas come from there.
    pub async fn follow_source(&self, source: SchemaSource) -> Result<(), PlansError> {
        let _turn = self.turn.lock().await;
        if self.lock().source != source {
            self.append(vec![(Control::SchemaSource(source), 0)]).await?;
            self.lock().source = source;
        }
        Ok(())
    }

    /// Whether the log says what the tenant's id means, or that it means nothing.
    pub fn knows_schema(&self, tenant: TenantId, id: u32) -> bool {
        self.lock().schemas.contains_key(&(tenant, id))
    }

    /// Brings verdicts on ids that are none of the registry's schemas into the log. What it says of a schema stays.
    pub async fn tell(&self, tenant: TenantId, verdicts: Vec<SchemaRecord>) -> Result<(), PlansError> {
        let _turn = self.turn.lock().await;
        let (mut records, mut told) = (Vec::new(), Vec::new());
        for record in verdicts {
            let unknown = matches!(record.contract, Verdict::Unknown);
            {
                let known = self.lock();
                let has = known.schemas.contains_key(&(tenant, record.id));
                if has && (unknown || !known.unknown.contains(tenant, record.id)) {
                    continue;
                }
            }
            let (digest, bytes) = digest(&record);
            told.push((record.id, digest, unknown));
            records.push((Control::Schema { tenant, record: Box::new(record) }, bytes));
        }
        if !records.is_empty() {
            self.append(records).await?;
        }
        let mut known = self.lock();
        told.into_iter().for_each(|(id, digest, unknown)| known.learn_schema(tenant, id, digest, unknown));
        Ok(())
    }

    /// Completes when the tenant's rules as they are now hold for everything that is published from now on.
    pub async fn settled(&self, tenant: TenantId) -> Result<(), PlansError> {
        self.settle(tenant).await?;
        self.gateway_settled().await;
        Ok(())
    }

    /// As [`Plans::settled`], for devices of these classes: profiles reach the log with the next message, so only the
    /// gateway has to know, and the log a class that is new with them.
    pub async fn devices_settled(
        &self,
        tenant: TenantId,
        classes: impl IntoIterator<Item = &str> + Send,
    ) -> Result<(), PlansError> {
        let all_known = {
            let known = self.lock();
            let of_tenant = known.classes.get(&tenant);
            classes.into_iter().all(|class| of_tenant.is_some_and(|known| known.contains_key(class)))
        };
        if !all_known {
            self.settle(tenant).await?;
        }
        self.gateway_settled().await;
        Ok(())
    }

    /// Follows the registry until `stop` turns true: changes whose handlers do not wait, or are not here.
    pub async fn follow(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut changes = self.registry.changes();
        loop {
            let change = tokio::select! {
                change = changes.recv() => change,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let done = match change {
                Ok(
                    Change::Class(tenant, _)
                    | Change::Rules(tenant, _)
                    | Change::Schema(tenant)
                    | Change::Tenant(tenant),
                ) => self.settle(tenant).await,
                Ok(Change::Device(_) | Change::Profile(_) | Change::Profiles(_) | Change::Key(_)) => Ok(()),
                Err(RecvError::Lagged(_)) => self.settle_all().await,
                Err(RecvError::Closed) => return,
            };
            if let Err(error) = done {
                tracing::warn!(%error, "rules did not reach the log; those before them stay in force");
            }
        }
    }

    async fn settle(&self, tenant: TenantId) -> Result<(), PlansError> {
        let _turn = self.turn.lock().await;
        let rules = self.registry.rules_of(tenant).await?;
        let units = MetricUnits::of(&rules);
        let missing = self.lock().missing(tenant, rules);
        if !missing.records.is_empty() {
            self.append(missing.records).await?;
        }
        self.lock().learn(tenant, missing.learnt);
        let mut all = self.units.write().unwrap_or_else(PoisonError::into_inner);
        match units.is_empty() {
            true => all.remove(&tenant),
            false => all.insert(tenant, Arc::new(units)),
        };
        Ok(())
    }

    /// The units under the rules in force.
    pub fn units(&self, tenant: TenantId) -> Arc<MetricUnits> {
        self.units.read().unwrap_or_else(PoisonError::into_inner).get(&tenant).cloned().unwrap_or_default()
    }

    async fn gateway_settled(&self) {
        let Some(gateway) = &self.gateway else { return };
        let (passed, answer) = oneshot::channel();
        // A gateway that has ended has nothing to act on.
        if gateway.send(passed).await.is_ok() {
            drop(answer.await);
        }
    }

    /// Completes when the records are durable.
    async fn append(&self, records: Vec<(Control, usize)>) -> Result<(), PlansError> {
        let (raw, now) = (self.raw.clone(), self.clock.now_ms());
        let written = tokio::task::spawn_blocking(move || {
            let mut end = 0;
            for batch in batches(records, now) {
                end = append(&raw, batch)?;
            }
            wait_durable(&raw, end)
        });
        written.await.unwrap_or(Err(PlansError::ShuttingDown))
    }

    /// No code under this lock can panic half-way through a change.
    fn lock(&self) -> MutexGuard<'_, KnownRules> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a log does not have of a tenant's rules.
struct Missing {
    /// With about the bytes that each takes.
    records: Vec<(Control, usize)>,
    learnt: Learnt,
}

/// Digests that hold once the records are written.
#[derive(Default)]
struct Learnt {
    schemas: Vec<(u32, u128)>,
    classes: Vec<(Arc<str>, u128)>,
}

impl KnownRules {
    /// Takes note of what a pipeline follows.
    pub fn of(plan: &pipeline::Plan) -> Self {
        let mut known = Self::default();
        for (tenant, record) in plan.schemas() {
            let unknown = matches!(record.contract, Verdict::Unknown);
            known.learn_schema(tenant, record.id, digest(record).0, unknown);
        }
        known.source = plan.source();
        for (tenant, class, rules) in plan.classes() {
            known.classes.entry(tenant).or_default().insert(class.clone(), digest(rules).0);
        }
        known
    }

    fn missing(&self, tenant: TenantId, rules: TenantRules) -> Missing {
        let (mut records, mut learnt) = (Vec::new(), Learnt::default());
        for record in rules.schemas {
            let (digest, bytes, record) = bounded(record);
            if self.schemas.get(&(tenant, record.id)) != Some(&digest) {
                learnt.schemas.push((record.id, digest));
                records.push((Control::Schema { tenant, record: Box::new(record) }, bytes));
            }
        }
        for (class, rules) in rules.classes {
            let (digest, bytes) = digest(&rules);
            let known = self.classes.get(&tenant).and_then(|classes| classes.get(&class));
            if known == Some(&digest) {
                continue;
            }
            learnt.classes.push((class.clone(), digest));
            // A class that nothing was ever said about has the usual rules.
            if known.is_some() || rules != ClassRules::default() {
                let bytes = bytes + class.len();
                records.push((Control::Class { tenant, class, rules: Box::new(rules) }, bytes));
            }
        }
        Missing { records, learnt }
    }

    /// As the pipeline does when it follows the record.
    fn learn_schema(&mut self, tenant: TenantId, id: u32, digest: u128, unknown: bool) {
        if let Some(forgotten) = self.unknown.told(tenant, id, unknown) {
            self.schemas.remove(&(tenant, forgotten));
        }
        self.schemas.insert((tenant, id), digest);
    }

    fn learn(&mut self, tenant: TenantId, learnt: Learnt) {
        for (id, digest) in learnt.schemas {
            self.learn_schema(tenant, id, digest, false);
        }
        self.classes.entry(tenant).or_default().extend(learnt.classes);
    }
}

/// A digest of a description, and the bytes of its JSON.
fn digest(description: &impl Serialize) -> (u128, usize) {
    let json = serde_json::to_vec(description).expect("descriptions hold texts and finite numbers only");
    (xxh3_128(&json), json.len())
}

/// The record as one batch can hold it.
fn bounded(record: SchemaRecord) -> (u128, usize, SchemaRecord) {
    let (found, bytes) = digest(&record);
    if bytes + RECORD_BYTES <= limits::BATCH_BYTES_MAX {
        return (found, bytes, record);
    }
    let why = format!("what it says about messages takes {bytes} bytes, too many for one record of the log: split it");
    let record = SchemaRecord { contract: Verdict::Unusable(why), ..record };
    let (found, bytes) = digest(&record);
    (found, bytes, record)
}

/// The records in their order, in as few batches as hold them.
fn batches(records: Vec<(Control, usize)>, now: model::Millis) -> Vec<Batch> {
    let pool = BatchPool::default();
    let (mut batches, mut open) = (Vec::new(), pool.builder());
    for (record, bytes) in records {
        if !open.is_empty() && open.bytes() + bytes + RECORD_BYTES > limits::BATCH_BYTES_MAX {
            batches.push(std::mem::replace(&mut open, pool.builder()).seal(now));
        }
        open.control(&record);
    }
    if !open.is_empty() {
        batches.push(open.seal(now));
    }
    batches
}

/// Where the log ends with the batch.
fn append(raw: &RawLog, mut batch: Batch) -> Result<Offset, PlansError> {
    loop {
        match raw.append(batch) {
            Ok(range) => return Ok(range.end),
            Err(Refused { batch: back, error: journal::Error::Busy }) => {
                batch = back;
                std::thread::sleep(BUSY_WAIT);
            }
            Err(Refused { error, .. }) => return Err(PlansError::Journal(error)),
        }
    }
}

fn wait_durable(raw: &RawLog, end: Offset) -> Result<(), PlansError> {
    while end > 0 && !raw.log().wait(end - 1, DURABLE_WAIT) {
        if let Some(error) = raw.log().poisoned() {
            return Err(PlansError::Journal(error));
        }
    }
    Ok(())
}
