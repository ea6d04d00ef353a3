//! The operations listener: `/metrics` for Prometheus, `/live` and `/ready` for whoever starts and stops servers.
//!
//! It asks for no credential and shows no tenant's data; it stands on a loopback address unless configured otherwise.

pub mod metrics;
pub mod ready;
pub mod sample;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::json;

pub use metrics::Metrics;
pub use ready::{Obstacle, obstacles, warnings};
pub use sample::Sample;

/// Reads the state of the server when somebody asks for it.
pub type Sampler = Arc<dyn Fn() -> Sample + Send + Sync>;

/// What the listener answers from.
#[derive(Clone)]
pub struct Operations {
    pub metrics: Arc<Metrics>,
    pub sampler: Sampler,
}

/// The listener's routes.
pub fn router(operations: Operations) -> Router {
    Router::new()
        .route("/metrics", get(metrics_text))
        .route("/live", get(|| async { axum::Json(json!({"live": true})) }))
        .route("/ready", get(readiness))
        .with_state(operations)
}

async fn metrics_text(State(operations): State<Operations>) -> impl IntoResponse {
    let text = operations.metrics.scrape(&(operations.sampler)());
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}

async fn readiness(State(operations): State<Operations>) -> impl IntoResponse {
    let sample = (operations.sampler)();
    let (obstacles, warnings) = (obstacles(&sample), warnings(&sample));
    let status = if obstacles.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(json!({"ready": obstacles.is_empty(), "reasons": obstacles, "warnings": warnings})))
}
