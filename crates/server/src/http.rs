//! HTTP: ingest, query, registry and console on one listener.
//!
//! What happens to a posted message: [`auth`] finds who sends, [`body`] and [`inflate`] read and unpack what was sent,
//! [`ingest`] splits it into payloads and hands them to [`crate::line::intake`], which answers once they are durable.
//!
//! [`routes`] is the table that the router, the authorization and the API's description are made from; [`problem`]
//! is how failures are told.

pub mod auth;
pub mod body;
pub mod inflate;
pub mod ingest;
mod leftover;
pub mod ndjson;
pub mod problem;
pub mod routes;
pub mod server;
pub mod times;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use journal::Log;
use model::Clock;
use model::limits::QUERIES_AT_ONCE_MAX;
use registry::Registry;
use store::Store;
use tokio::sync::{Mutex, Semaphore};

use crate::external::External;
use crate::line::intake::Intake;
use crate::line::ledger::Ledger;
use crate::line::normalized::NormalizedTopic;
use crate::line::plans::Plans;
use crate::line::trial::Trials;
use crate::operations::Metrics;

pub use auth::{Access, Caller, Context};
pub use body::{JsonBody, Turns};
pub use problem::Problem;
pub use routes::Route;

/// What handlers need. Cheap to clone.
#[derive(Clone)]
pub struct App {
    parts: Arc<Parts>,
    /// Turns of queries: so many run at once.
    queries: Arc<Semaphore>,
    /// Turns of large bodies.
    turns: Turns,
    /// Held by whoever replays dead letters.
    replaying: Arc<Mutex<()>>,
}

/// The parts that an [`App`] is made of.
pub struct Parts {
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub registry: Registry,
    pub store: Store,
    pub intake: Intake,
    /// Sees to it that rules are in force.
    pub plans: Arc<Plans>,
    /// Where schemas come from, if not from `registry`.
    pub external: Option<External>,
    /// The `dead-letter` topic.
    pub dead_letters: Log,
    /// What is known of it.
    pub ledger: Arc<Ledger>,
    /// Pipelines to try messages out with.
    pub trials: Trials,
    /// The `normalized` topic.
    pub normalized: Arc<NormalizedTopic>,
}

impl App {
    pub fn new(parts: Parts) -> Self {
        let queries = Arc::new(Semaphore::new(QUERIES_AT_ONCE_MAX));
        Self { parts: Arc::new(parts), queries, turns: Turns::default(), replaying: Arc::default() }
    }

    pub fn queries(&self) -> &Arc<Semaphore> {
        &self.queries
    }

    pub fn turns(&self) -> &Turns {
        &self.turns
    }

    /// One replay at a time, so that a letter is not tried by two at once.
    pub fn replaying(&self) -> &Mutex<()> {
        &self.replaying
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// The HTTP listener's router: every route of the API, bounded in time and counted.
pub fn router(app: App) -> Router {
    routes::router(crate::api::routes(), app.clone())
        .merge(crate::schema_registry::router(app.clone()))
        .layer(from_fn_with_state(app, server::bound_and_count))
        .layer(from_fn(leftover::finish))
}
