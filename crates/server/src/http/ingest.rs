//! `POST /v1/ingest…`: a body becomes payloads of `raw`, and 202 is sent once they are durable.
//!
//! A body that is not well-formed is refused whole (400) and nothing is stored; what is well-formed but not valid is
//! accepted and becomes a dead letter, as over MQTT. In newline-delimited JSON each line is a payload of its own, so a
//! bad line is one dead letter. A caller that goes away before the answer has no acknowledgement.

pub mod items;
pub mod split;

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use model::{DeviceId, ErrorKind, Format, GroupFlags, PayloadKind, Source, TenantId};
use registry::{DeviceAuth, Durability, KnownProfile};
use serde_json::{Value, json};

use crate::http::auth::device_id;
use crate::http::body::{Inflated, media_type, read_inflated};
use crate::http::problem::sentence;
use crate::http::{Access, App, Caller, Context, Problem, Route};
use crate::line::intake::{IntakeError, Submission};
use crate::line::ledger::{QUOTA_CODE, Quota};

#[cfg(test)]
mod tests;

const EXAMPLE: &str =
    r#"{"ts":1800000000000,"seq":10042,"boot":3,"metrics":{"temperature":23.4,"running":true},"tags":{"line":"A"}}"#;
const EVENT: &str = r#"{"type":"door-opened","ts":1800000000000,"seq":10043,"data":{"door":2}}"#;
const ITEMS: &str = r#"[{"device_id":"c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7","ts":1800000000000,"seq":10042,"metrics":{"temperature":23.4}}]"#;

pub fn routes() -> Vec<Route> {
    vec![
        Route::post("/v1/ingest/{device_id}", Access::Device, data)
            .says("Takes messages of a device: one object or an array as JSON, MessagePack or CBOR, or a line each as application/x-ndjson; gzip and zstd are understood. Answers once they are durable.")
            .takes(EXAMPLE)
            .answers(202, r#"{"accepted":1}"#),
        Route::post("/v1/ingest/{device_id}/events", Access::Device, events)
            .says("Takes events of a device, in the same forms.")
            .takes(EVENT)
            .answers(202, r#"{"accepted":1}"#),
        Route::post("/v1/ingest", Access::Key(registry::Right::Ingest), items::post)
            .says("Takes messages of many devices: JSON or application/x-ndjson, each message with its `device_id`. 4xx only if none was accepted.")
            .takes(ITEMS)
            .answers(202, r#"{"accepted":1,"refused":[{"index":1,"code":"device-unknown"}]}"#),
    ]
}

/// When a tenant at its quota may ask again: somebody has to act first.
const QUOTA_RETRY_AFTER: Duration = Duration::from_secs(60);

type Answer = Result<(StatusCode, Json<Value>), Problem>;

async fn data(app: State<App>, context: Context, device: Path<String>, headers: HeaderMap, body: Body) -> Answer {
    post(app, context, device, headers, body, PayloadKind::Data).await
}

async fn events(app: State<App>, context: Context, device: Path<String>, headers: HeaderMap, body: Body) -> Answer {
    post(app, context, device, headers, body, PayloadKind::Events).await
}

async fn post(
    State(app): State<App>,
    context: Context,
    Path(device): Path<String>,
    headers: HeaderMap,
    body: Body,
    kind: PayloadKind,
) -> Answer {
    refuse_at_quota(&app, context.tenant)?;
    let device = match &context.caller {
        Caller::Device(device) => device.clone(),
        Caller::Key(_) => app.registry.device_of(context.tenant, device_id(&device)?).await?,
    };
    let shape = Shape::of(&media_type(&headers), device.format)?;
    let Inflated { bytes, turn } = read_inflated(&app, &headers, body).await?;
    // Checking megabytes takes milliseconds: away from the threads that serve connections.
    let parts = tokio::task::spawn_blocking(move || shape.split(bytes)).await;
    let parts = parts.expect("splitting does not panic")?;
    // A body may take long to come, and meanwhile the device may have got another profile.
    let device = app.registry.device_of(device.tenant, device.device).await?;
    let accepted: usize = parts.payloads.iter().map(|payload| payload.messages).sum();
    let sender = Sender::of(&device);
    let submissions = parts.payloads.into_iter().map(|payload| sender.submission(kind, parts.format, payload.bytes));
    submit(&app, submissions.collect(), &[device.device]).await?;
    drop(turn);
    Ok((StatusCode::ACCEPTED, Json(json!({"accepted": accepted}))))
}

/// Refuses a tenant that has as many dead letters as it may have, before anything of it is read.
fn refuse_at_quota(app: &App, tenant: TenantId) -> Result<(), Problem> {
    let Some(Quota { bytes, bytes_max }) = app.ledger.used_up(tenant) else { return Ok(()) };
    let detail = format!(
        "This tenant has {bytes} bytes of dead letters, and may have {bytes_max}: nothing more is taken in. Mend what is \
         wrong and replay them (`tidewater dead-letter replay`), or raise the tenant's limit `dead_letter_bytes`."
    );
    app.metrics.http.refused(QUOTA_CODE, 1);
    Err(Problem::new(ErrorKind::Limited, QUOTA_CODE, detail).retry_after(QUOTA_RETRY_AFTER))
}

/// Hands payloads over and waits until they are durable.
async fn submit(app: &App, submissions: Vec<Submission>, devices: &[DeviceId]) -> Result<(), Problem> {
    if submissions.is_empty() {
        return Ok(());
    }
    let count = submissions.len() as u64;
    let bytes: usize = submissions.iter().map(|submission| submission.payload.len()).sum();
    let counters = &app.metrics.http;
    counters.received.inc_by(count);
    counters.received_bytes.inc_by(bytes as u64);
    let since = app.clock.monotonic();
    if let Err(error) = app.intake.submit(submissions).await {
        let problem = Problem::from(error);
        counters.refused(problem.code(), count);
        return Err(problem);
    }
    counters.durable_after(app.clock.monotonic().saturating_sub(since));
    counters.acknowledged.inc_by(count);
    let now = app.clock.now_ms();
    app.registry.touch(devices.iter().map(|device| (*device, now)));
    Ok(())
}

/// What all payloads of one device have in common.
struct Sender {
    source: Source,
    profile: KnownProfile,
    flags: GroupFlags,
    durability: Durability,
}

impl Sender {
    fn of(device: &Arc<DeviceAuth>) -> Self {
        let source = Source::Device { tenant: device.tenant, device: device.device, class: device.class.clone() };
        let flags = if device.quarantined() { GroupFlags::QUARANTINED } else { GroupFlags::default() };
        Self { source, profile: device.profile.clone(), flags, durability: device.durability }
    }

    fn submission(&self, kind: PayloadKind, format: Format, payload: Bytes) -> Submission {
        let Self { flags, durability, .. } = *self;
        Submission {
            source: self.source.clone(),
            profile: self.profile.clone(),
            kind,
            format,
            flags,
            durability,
            payload,
        }
    }
}

/// How a body is made up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    /// One object or an array of objects.
    Whole(Format),
    /// A JSON object in each line.
    Lines,
}

/// What programs send that were not told a content type: it says nothing about the body.
const SILENT: [&str; 4] = ["", "application/octet-stream", "application/x-www-form-urlencoded", "text/plain"];
const LINES: [&str; 4] = ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/json-lines"];

impl Shape {
    /// What the content type says, else what the class says, else JSON.
    fn of(media: &str, class_format: Option<Format>) -> Result<Self, Problem> {
        if LINES.contains(&media) {
            return Ok(Self::Lines);
        }
        if SILENT.contains(&media) {
            return Ok(Self::Whole(class_format.unwrap_or(Format::Json)));
        }
        Format::from_content_type(media).map(Self::Whole).ok_or_else(|| {
            let detail = format!(
                "`{media}` is not a type of telemetry: send application/json, application/x-ndjson, \
                 application/msgpack or application/cbor."
            );
            Problem::invalid("media-type-unsupported", detail).status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        })
    }

    fn split(self, body: Bytes) -> Result<Parts, Problem> {
        match self {
            Self::Lines => Ok(Parts { format: Format::Json, payloads: split::lines(&body)? }),
            Self::Whole(format) => Ok(Parts { format, payloads: split::whole(format, body)? }),
        }
    }
}

/// A body, taken apart.
struct Parts {
    format: Format,
    payloads: Vec<split::Payload>,
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        let kind = error.kind();
        let detail = sentence(&error.to_string());
        match error {
            IntakeError::Paused { retry_after, .. } => {
                Self::new(kind, "ingest-paused", detail).retry_after(retry_after)
            }
            IntakeError::Stopped(_) => Self::new(kind, "ingest-stopped", detail),
            IntakeError::ShuttingDown => Self::new(kind, "shutting-down", detail),
            IntakeError::NotDurable => Self::new(kind, "not-durable", detail),
            IntakeError::TableFull(_) => Self::new(kind, "device-table-full", detail),
            IntakeError::TooLarge(_) => {
                Self::new(kind, "payload-too-large", detail).status(StatusCode::PAYLOAD_TOO_LARGE)
            }
        }
    }
}

/// Payloads that one request may bring: a payload costs about 150 bytes beside its own, so 64 MiB of short lines cannot
/// become many times that.
const PAYLOADS_PER_REQUEST_MAX: usize = 1 << 19;

fn too_many() -> Problem {
    let detail =
        format!("A request may bring {PAYLOADS_PER_REQUEST_MAX} payloads, and this one brings more. Send it in parts.");
    Problem::new(ErrorKind::Invalid, "body-too-large", detail).status(StatusCode::PAYLOAD_TOO_LARGE)
}
