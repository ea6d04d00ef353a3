//! What HTTP requests are answered with: one module per resource, each with its part of the route table.

use crate::http::Route;

/// Every route of the HTTP listener.
pub fn routes() -> Vec<Route> {
    Vec::new()
}
