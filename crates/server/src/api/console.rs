//! `/`: one page to look around with. It holds no data of its own: it asks the API with the key that is pasted into it.

use axum::http::{HeaderName, header};
use axum::response::{Html, IntoResponse};

use crate::http::{Access, Route};

/// The whole page: no other file, no other host.
const PAGE: &str = include_str!("console/page.html");
/// Nothing may be loaded from anywhere else, and no other page may frame it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const HEADERS: [(HeaderName, &str); 3] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-cache"),
];

pub fn routes() -> Vec<Route> {
    vec![Route::get("/", Access::Open, page).says("A page for people: devices, their metrics, a chart.")]
}

async fn page() -> impl IntoResponse {
    (HEADERS, Html(PAGE))
}
