//! `POST /v1/devices:import`: many devices in one request, a line of JSON each. Every line has its own answer, so a
//! mistake in one costs that one only.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use registry::{Created, NewDevice};
use serde_json::{Value, json};

use super::{DEVICES, credentials};
use crate::http::body::{media_type, object, read_inflated};
use crate::http::ndjson::lines;
use crate::http::{App, Context, Problem, Route};

/// Devices in one request: ten transactions, a second or two. A fleet is imported in several requests.
const DEVICES_MAX: usize = 10_000;

const EXAMPLE: &str = r#"{"created":1,"existing":0,"refused":1,"devices":[{"line":1,"device_id":"c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7","auth_token":"twd_…","tenant_id":"0b2f6c1e-9d0a-4c55-8a43-3f1f5b6f0c11","topic":"tenant/…/device/…/data"},{"line":2,"code":"not-well-formed","detail":"…"}]}"#;

pub fn routes() -> Vec<Route> {
    vec![
        Route::post("/v1/devices:import", DEVICES, import)
            .says("Registers up to 10,000 devices, one JSON object a line (application/x-ndjson; gzip and zstd are understood). `devices` answers each line; lines that are registered already with the same content have no token.")
            .takes(r#"{"device_id":"c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7","device_class":"pump","metadata":{"site":"north"}}"#)
            .answers(200, EXAMPLE),
    ]
}

/// A line on its way: its number from 1, and what it asks for or why not.
type Line = (usize, Result<NewDevice, Problem>);

async fn import(
    State(app): State<App>,
    context: Context,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let media = media_type(&headers);
    if !matches!(media.as_str(), "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "") {
        let detail = format!("This takes a device a line (Content-Type: application/x-ndjson), not `{media}`.");
        return Err(Problem::invalid("media-type-unsupported", detail).status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let body = read_inflated(&app, &headers, body).await?;
    let lines: Vec<Line> = lines(&body.bytes).take(DEVICES_MAX + 1).map(|(at, line)| (at + 1, object(&line))).collect();
    if lines.len() > DEVICES_MAX {
        let detail = format!("The body has more than {DEVICES_MAX} lines. Send it in parts.");
        return Err(Problem::invalid("body-too-large", detail).status(StatusCode::PAYLOAD_TOO_LARGE));
    }
    let (mut numbers, mut devices) = (Vec::with_capacity(lines.len()), Vec::with_capacity(lines.len()));
    for (number, line) in lines {
        numbers.push((number, line.map(|device| devices.push(device))));
    }
    let created = app.registry.import_devices(context.tenant, devices).await?;
    let made = created.iter().flatten().map(|made| made.device.settings.device_class.as_str());
    app.plans.devices_settled(context.tenant, made).await?;
    Ok(Json(answer(numbers, created)))
}

fn answer(lines: Vec<(usize, Result<(), Problem>)>, created: Vec<registry::Result<Created>>) -> Value {
    let mut created = created.into_iter();
    let (mut new, mut existing, mut refused) = (0, 0, 0);
    let mut rows = Vec::with_capacity(lines.len());
    for (number, line) in lines {
        let made = line.and_then(|()| Ok(created.next().expect("every device has its answer")?));
        let mut row = match made {
            Ok(made) => {
                *(if made.token.is_some() { &mut new } else { &mut existing }) += 1;
                credentials(made.device.tenant_id, made.device.device_id, made.token.as_ref())
            }
            Err(problem) => {
                refused += 1;
                let document = problem.document();
                json!({"code": document["code"], "detail": document["detail"]})
            }
        };
        row["line"] = number.into();
        rows.push(row);
    }
    json!({"created": new, "existing": existing, "refused": refused, "devices": rows})
}
