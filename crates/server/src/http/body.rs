//! Request bodies: read up to a limit, inflated up to another, and of a media type that the route takes.

use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use model::limits::{HTTP_BODY_BYTES_MAX, HTTP_INFLATED_BYTES_MAX};
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::App;
use crate::http::inflate::{Encoding, inflate};
use crate::http::problem::Problem;

/// A JSON body of the API. Unlike telemetry it may not be compressed.
pub struct JsonBody<T>(pub T);

/// Bodies of the API's own resources are small; bulk data has routes of its own.
const RESOURCE_BYTES_MAX: usize = 1 << 20;

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let media = media_type(&parts.headers);
        if !(media.is_empty() || media == "application/json" || media.ends_with("+json")) {
            let detail = format!("This takes a JSON body (Content-Type: application/json), not `{media}`.");
            return Err(Problem::invalid("media-type-unsupported", detail).status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let bytes = read(body, RESOURCE_BYTES_MAX).await?;
        object(&bytes).map(Self)
    }
}

/// Reads one JSON object. (A derived `Deserialize` would take an array of the members' values as well.)
pub fn object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let value = serde_json::from_slice(bytes).map_err(|error| json_problem(&error))?;
    if bytes.trim_ascii_start().first() == Some(&b'{') {
        return Ok(value);
    }
    Err(Problem::invalid("body-invalid", "The JSON does not fit: it must be an object."))
}

/// What is wrong with JSON of the API, and where.
fn json_problem(error: &serde_json::Error) -> Problem {
    let code = if error.is_data() { "body-invalid" } else { "not-well-formed" };
    let what = if error.is_data() { "The JSON does not fit" } else { "This is not valid JSON" };
    Problem::invalid(code, format!("{what}: {error}.")).with("line", error.line()).with("column", error.column())
}

/// The body's media type in lower case, without parameters; empty if there is none.
pub fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A body as it was before it was compressed.
pub struct Inflated {
    pub bytes: Bytes,
    /// Held for as long as what was made of the body is in memory.
    pub turn: Option<OwnedSemaphorePermit>,
}

/// Bodies that may be in memory at once, so that their sum is bounded whatever the number of connections: a small one
/// needs no turn, a large one takes up to [`HTTP_BODY_BYTES_MAX`] while it is read, and up to
/// [`HTTP_INFLATED_BYTES_MAX`] twice over (inflated, and split) while it is taken in.
#[derive(Clone)]
pub struct Turns {
    read: Arc<Semaphore>,
    take_in: Arc<Semaphore>,
}

/// A body that is not larger, and not compressed, needs no turn.
const SMALL_BYTES_MAX: u64 = 64 << 10;
/// 64 × 8 MiB.
const LARGE_READ_AT_ONCE_MAX: usize = 64;
/// 4 × 2 × 64 MiB; more would wait for a core anyway.
const LARGE_TAKEN_IN_AT_ONCE_MAX: usize = 4;

impl Default for Turns {
    fn default() -> Self {
        Self {
            read: Arc::new(Semaphore::new(LARGE_READ_AT_ONCE_MAX)),
            take_in: Arc::new(Semaphore::new(LARGE_TAKEN_IN_AT_ONCE_MAX)),
        }
    }
}

/// The whole body as it was before it was compressed. Inflating happens away from the threads that serve connections.
pub async fn read_inflated(app: &App, headers: &HeaderMap, body: Body) -> Result<Inflated, Problem> {
    let encoding = Encoding::from_header(headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok()))?;
    let small = body.size_hint().upper().is_some_and(|bytes| bytes <= SMALL_BYTES_MAX);
    if small && encoding == Encoding::Identity {
        return Ok(Inflated { bytes: read(body, HTTP_BODY_BYTES_MAX).await?, turn: None });
    }
    let reading = turn(&app.turns().read).await;
    let bytes = read(body, HTTP_BODY_BYTES_MAX).await?;
    let turn = Some(turn(&app.turns().take_in).await);
    drop(reading);
    if encoding == Encoding::Identity {
        return Ok(Inflated { bytes, turn });
    }
    let inflated = tokio::task::spawn_blocking(move || inflate(encoding, &bytes, HTTP_INFLATED_BYTES_MAX)).await;
    Ok(Inflated { bytes: inflated.expect("inflating does not panic")?.into(), turn })
}

/// Waits for a turn; the request's own time bounds the wait.
async fn turn(turns: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    turns.clone().acquire_owned().await.expect("the semaphore is never closed")
}

/// The whole body, at most `bytes_max` bytes. One that says that it is longer is not even begun.
async fn read(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let too_large = || {
        let detail = format!("The body is larger than {bytes_max} bytes. Send it in parts.");
        Err(Problem::invalid("body-too-large", detail).status(StatusCode::PAYLOAD_TOO_LARGE))
    };
    if body.size_hint().lower() > bytes_max as u64 {
        return too_large();
    }
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => too_large(),
        Err(error) => Err(Problem::invalid("body-broken-off", format!("The body could not be read: {error}."))),
    }
}
