//! What HTTP requests are answered with: one module per resource, each with its part of the route table.

pub mod fields;
pub mod parameters;

pub mod answer;
pub mod events;
pub mod latest;
pub mod metrics;
pub mod query;
pub mod stream;
pub mod unit;

pub mod dead_letters;

pub mod classes;
pub mod devices;
pub mod keys;
pub mod schemas;
pub mod tenants;

pub mod console;
pub mod openapi;

use crate::http::{Route, ingest};

/// Every route of the HTTP listener.
pub fn routes() -> Vec<Route> {
    let parts = [
        ingest::routes(),
        metrics::routes(),
        latest::routes(),
        events::routes(),
        stream::routes(),
        dead_letters::routes(),
        devices::routes(),
        classes::routes(),
        schemas::routes(),
        keys::routes(),
        tenants::routes(),
        openapi::routes(),
        console::routes(),
    ];
    parts.into_iter().flatten().collect()
}

#[cfg(test)]
pub(crate) mod tests;
