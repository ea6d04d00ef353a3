//! An external schema registry (`schemas.url = "http…"`): a server that speaks Confluent's API is where schemas come from.
//!
//! What it has is copied ([`mirror`]) into the registry's database, with its ids, and told of in `raw`: the pipeline follows records
//! only and never waits for an answer. [`follow`] looks for what is new, every minute and whenever a dead letter names an id
//! that was not told of; [`letters`] finds those letters and has them tried again. [`client`] makes the calls, [`subjects`] says whose a
//! subject is. Nothing that is only in memory decides: after a crash copies, verdicts and letters are found where they were.

pub mod client;
pub mod follow;
mod letters;
mod mirror;
mod subjects;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{Clock, ErrorKind, TenantId};
use registry::{NewSchema, Registered, Registry};
use tokio::sync::Notify;

use crate::line::plans::{Plans, PlansError};
use client::Client;
use mirror::Mirror;

/// An external registry and what is known of it. Cheap to clone.
#[derive(Clone)]
pub struct External(Arc<Inner>);

struct Inner {
    url: String,
    mirror: tokio::sync::Mutex<Mirror>,
    plans: Arc<Plans>,
    outage: Mutex<Option<Silence>>,
    /// Somebody else than the follower has seen it answer.
    answered: Notify,
    clock: Clock,
}

/// The registry does not answer.
#[derive(Clone, Debug)]
struct Silence {
    since: Duration,
    why: String,
}

/// An outage, as it is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outage {
    pub lasts: Duration,
    /// Which registry, why, and what to do.
    pub why: String,
}

/// Why something did not come about.
#[derive(Debug, thiserror::Error)]
pub enum ExternalError {
    #[error("the schema registry at {url} is out of reach: {why}")]
    Unavailable { url: String, why: String },
    #[error("the external schema registry does not take it ({status}): {message}")]
    Refused { status: u16, message: String },
    #[error("`{0}` is the name of another tenant's subject in the external registry: use another one")]
    NameTaken(String),
    /// A version was removed while it was being read.
    #[error("the version was removed from the external registry meanwhile")]
    Gone,
    #[error(transparent)]
    Registry(#[from] registry::Error),
    #[error(transparent)]
    Plans(#[from] PlansError),
}

impl ExternalError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unavailable { .. } => ErrorKind::Unavailable,
            Self::Refused { status: 422, .. } => ErrorKind::Invalid,
            Self::Refused { .. } | Self::NameTaken(_) | Self::Gone => ErrorKind::Conflict,
            Self::Registry(error) => error.kind(),
            Self::Plans(error) => error.kind(),
        }
    }

    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "schema-registry-unavailable",
            Self::Refused { status: 422, .. } => "schema-invalid",
            Self::Refused { status: 409, .. } => "schema-incompatible",
            Self::Refused { .. } => "schema-refused",
            Self::NameTaken(_) => "subject-conflict",
            Self::Gone => "schema-version-unknown",
            Self::Registry(error) => error.code(),
            Self::Plans(_) => "not-in-force",
        }
    }
}

impl External {
    pub fn new(client: Client, registry: Registry, plans: Arc<Plans>, clock: Clock) -> Self {
        let url = client.url().to_owned();
        let mirror = tokio::sync::Mutex::new(Mirror::new(client, registry, plans.clone()));
        let (outage, answered) = (Mutex::default(), Notify::new());
        Self(Arc::new(Inner { url, mirror, plans, outage, answered, clock }))
    }

    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// Takes over whatever is new; how many versions that are. What waits for the registry is looked at again.
    pub async fn refresh(&self) -> Result<usize, ExternalError> {
        let taken = self.take_all().await?;
        self.0.answered.notify_one();
        Ok(taken)
    }

    /// Registers a schema there, and takes it over.
    pub async fn register(
        &self,
        tenant: TenantId,
        subject: &str,
        schema: NewSchema,
        major: bool,
    ) -> Result<Registered, ExternalError> {
        let registered = self.0.mirror.lock().await.register(tenant, subject, schema, major).await;
        self.note(registered)
    }

    /// Since when it does not answer, and why; `None` while it does.
    pub fn outage(&self) -> Option<Outage> {
        let silence = self.0.outage.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let lasts = self.0.clock.monotonic().saturating_sub(silence.since);
        let why = format!(
            "{}. Messages whose schema is not known yet wait as dead letters `schema-unavailable` and are replayed when it \
             answers; check that it runs, and `schemas.url` and its credentials.",
            silence.why
        );
        Some(Outage { lasts, why })
    }

    async fn take_all(&self) -> Result<usize, ExternalError> {
        let taken = self.0.mirror.lock().await.take_all().await;
        self.note(taken)
    }

    /// Sees to it that the log says what the tenant's id means.
    async fn look_up(&self, tenant: TenantId, id: u32) -> Result<(), ExternalError> {
        let taken = self.0.mirror.lock().await.take_id(tenant, id).await;
        self.note(taken)
    }

    /// Whether the log says what the tenant's id means.
    fn knows(&self, tenant: TenantId, id: u32) -> bool {
        self.0.plans.knows_schema(tenant, id)
    }

    /// Takes note of whether the registry answered.
    fn note<T>(&self, outcome: Result<T, ExternalError>) -> Result<T, ExternalError> {
        let mut outage = self.0.outage.lock().unwrap_or_else(PoisonError::into_inner);
        match &outcome {
            Ok(_) => {
                if outage.take().is_some() {
                    tracing::info!(url = self.0.url, "the external schema registry answers again");
                }
            }
            Err(error @ ExternalError::Unavailable { .. }) => {
                let why = error.to_string();
                match &mut *outage {
                    Some(silence) => silence.why = why,
                    none => {
                        tracing::warn!(why, "the external schema registry does not answer");
                        *none = Some(Silence { since: self.0.clock.monotonic(), why });
                    }
                }
            }
            Err(_) => {}
        }
        drop(outage);
        outcome
    }
}
