//! HTTP: ingest, query, registry and console on one listener.
//!
//! [`routes`] is the table that the router, the authorization and the API's description are made from; [`auth`] turns
//! a credential into a context; [`problem`] is how failures are told.

pub mod auth;
pub mod body;
pub mod inflate;
pub mod ndjson;
pub mod problem;
pub mod routes;
pub mod server;
pub mod times;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use model::Clock;
use registry::Registry;

use crate::operations::Metrics;

pub use auth::{Access, Caller, Context};
pub use body::JsonBody;
pub use problem::Problem;
pub use routes::Route;

/// What handlers need. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts that an [`App`] is made of.
pub struct Parts {
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub registry: Registry,
}

impl App {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The HTTP listener's router: every route of the API, bounded in time and counted.
pub fn router(app: App) -> Router {
    routes::router(crate::api::routes(), app.clone()).layer(from_fn_with_state(app, server::bound_and_count))
}
