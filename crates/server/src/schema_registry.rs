//! `/schema-registry`: the API of Confluent's Schema Registry, so that its clients (and those of Karapace and Apicurio)
//! work unchanged with the schemas of their tenant.
//!
//! Everything is as that API has it, not as the rest of ours: its own errors ([`failure`]), unknown query parameters
//! ignored, booleans in any capitals, HTTP Basic with an API key as the password beside Bearer, one context only. Paths are
//! split before they are decoded, so subjects may contain slashes. [`call`] is what was asked, [`answers`] and its
//! parts what it is answered with, [`entity`] how schemas are shown.

mod answers;
mod call;
mod entity;
mod failure;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;

use crate::http::App;

use answers::Answer;
use call::Call;

/// Where it is mounted.
const BASE: &str = "/schema-registry";
/// The media types of answers; the first is what a client gets that does not care.
const MEDIA_TYPES: [&str; 3] =
    ["application/vnd.schemaregistry.v1+json", "application/vnd.schemaregistry+json", "application/json"];

/// The routes of Confluent's API.
pub fn router(app: App) -> Router {
    let paths = [BASE, "/schema-registry/", "/schema-registry/{*path}"];
    paths.into_iter().fold(Router::new(), |router, path| router.route(path, any(serve))).with_state(app)
}

async fn serve(State(app): State<App>, request: Request) -> Response {
    let media_type = answered_as(request.headers());
    let answer = match Call::of(&app, request).await {
        Ok(call) => call.answer().await,
        Err(failure) => Err(failure),
    };
    let mut response = match answer {
        Ok(Answer::Json(value)) => Body::from(value.to_string()).into_response(),
        Ok(Answer::Text(text)) => Body::from(text).into_response(),
        Ok(Answer::Nothing) => return axum::http::StatusCode::NO_CONTENT.into_response(),
        Err(failure) => failure.into_response(),
    };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// The first of our media types that the client names; never a refusal.
fn answered_as(headers: &HeaderMap) -> &'static str {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let named = accepted.split(',').map(|range| range.split(';').next().unwrap_or_default().trim());
    named.filter_map(|range| MEDIA_TYPES.into_iter().find(|known| range == *known)).next().unwrap_or(MEDIA_TYPES[0])
}
