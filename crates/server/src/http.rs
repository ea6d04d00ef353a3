//! HTTP: ingest, query, registry and console on one listener.
//!
//! [`routes`] is the table that the router, the authorization and the API's description are made from; [`auth`] turns
//! a credential into a context; [`problem`] is how failures are told.

pub mod auth;
pub mod problem;
pub mod routes;

use std::sync::Arc;

use model::Clock;

pub use auth::{Access, Context, Right};
pub use problem::Problem;
pub use routes::Route;

/// What handlers need. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts that an [`App`] is made of.
pub struct Parts {
    pub clock: Clock,
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
