//! What HTTP requests are answered with: one module per resource, each with its part of the route table.

pub mod parameters;

pub mod classes;
pub mod devices;
pub mod keys;
pub mod tenants;

use crate::http::Route;

/// Every route of the HTTP listener.
pub fn routes() -> Vec<Route> {
    let parts = [tenants::routes(), keys::routes(), classes::routes(), devices::routes()];
    parts.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
