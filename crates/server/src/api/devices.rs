//! `/v1/devices`: devices of the caller's tenant, their tokens, and the import of whole fleets.

mod import;

use std::time::Duration;

use axum::Json;
use axum::body::HttpBody;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::StatusCode;
use model::{DeviceId, TenantId};
use registry::{Device, DeviceFilter, NewDevice, Paging, Patch, Right, Secret, Status};
use serde::Deserialize;
use serde_json::{Value, json};

use super::parameters::Parameters;
use crate::http::auth::device_id;
use crate::http::{Access, App, Context, JsonBody, Problem, Route};

const EXAMPLE: &str = r#"{"device_id":"c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7","tenant_id":"0b2f6c1e-9d0a-4c55-8a43-3f1f5b6f0c11","device_class":"pump","schema_id":null,"status":"active","registered_at":1800000000000,"last_seen_at":1800000060000,"metadata":{"site":"north"}}"#;
const LIST_EXAMPLE: &str = r#"{"devices":[{"device_id":"c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7","tenant_id":"0b2f6c1e-9d0a-4c55-8a43-3f1f5b6f0c11","device_class":"pump","schema_id":null,"status":"active","registered_at":1800000000000,"last_seen_at":null,"metadata":{}}],"next":null}"#;
const NEW_EXAMPLE: &str = r#"{"device_id":"c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7","auth_token":"twd_…","tenant_id":"0b2f6c1e-9d0a-4c55-8a43-3f1f5b6f0c11","topic":"tenant/0b2f6c1e-9d0a-4c55-8a43-3f1f5b6f0c11/device/c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7/data"}"#;
const TOKEN_EXAMPLE: &str = r#"{"device_id":"c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7","auth_token":"twd_…","tenant_id":"0b2f6c1e-9d0a-4c55-8a43-3f1f5b6f0c11","topic":"tenant/…/device/…/data","previous_until":1800000060000}"#;
const DEVICES: Access = Access::Key(Right::Devices);

pub fn routes() -> Vec<Route> {
    let mut routes = vec![
        Route::get("/v1/devices", DEVICES, list)
            .says("Lists devices in the order of their ids.")
            .optional("class", "Only devices of this class.")
            .optional("status", "Only devices of this status: active, inactive or quarantined.")
            .optional("limit", "Rows, 1 to 1000; 100 if absent.")
            .optional("cursor", "`next` of the page before.")
            .answers(200, LIST_EXAMPLE),
        Route::post("/v1/devices", DEVICES, create)
            .says("Registers a device; every member is optional and an unknown class is created. The token is in this answer only. A `device_id` that is registered already with the same content answers 200 without a token.")
            .takes(r#"{"device_class":"pump","schema_id":null,"metadata":{"site":"north"}}"#)
            .answers(201, NEW_EXAMPLE),
        Route::get("/v1/devices/{device_id}", DEVICES, show).says("Shows a device.").answers(200, EXAMPLE),
        Route::patch("/v1/devices/{device_id}", DEVICES, update)
            .says("Changes class, schema, status or metadata (JSON merge patch). Another class or status ends the device's live sessions within a second; schema and metadata hold for the next message after the answer, and end none.")
            .takes(r#"{"status":"inactive","metadata":{"site":null}}"#)
            .answers(200, EXAMPLE),
        Route::delete("/v1/devices/{device_id}", DEVICES, delete)
            .says("Revokes a device at once; its id is never given again and its readings stay until their retention ends.")
            .optional("data", "`keep` (default), or `erase`: its readings are hidden at once, and gone from the disk as blocks are rewritten and the journal's retention ends.")
            .answers(204, ""),
        Route::post("/v1/devices/{device_id}/token", DEVICES, rotate)
            .says("Gives a device a new token, which is in this answer only. The old one ends at once, or after `overlap_seconds`.")
            .takes(r#"{"overlap_seconds":3600}"#)
            .answers(201, TOKEN_EXAMPLE),
    ];
    routes.extend(import::routes());
    routes
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    class: Option<String>,
    status: Option<Status>,
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deletion {
    #[serde(default)]
    data: Readings,
}

/// What becomes of a deleted device's readings.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Readings {
    #[default]
    Keep,
    Erase,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    #[serde(default)]
    overlap_seconds: u64,
}

async fn list(
    State(app): State<App>,
    context: Context,
    Parameters(listing): Parameters<Listing>,
) -> Result<Json<Value>, Problem> {
    let filter = DeviceFilter { class: listing.class, status: listing.status };
    let paging = Paging { cursor: listing.cursor, limit: listing.limit };
    let page = app.registry.devices(context.tenant, &filter, &paging).await?;
    Ok(Json(json!({"devices": page.rows, "next": page.next})))
}

async fn create(
    State(app): State<App>,
    context: Context,
    JsonBody(new): JsonBody<NewDevice>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let created = app.registry.create_device(context.tenant, new).await?;
    app.plans.devices_settled(context.tenant, [&*created.device.settings.device_class]).await?;
    let status = if created.token.is_some() { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(credentials(context.tenant, created.device.device_id, created.token.as_ref()))))
}

async fn show(State(app): State<App>, context: Context, Path(device): Path<String>) -> Result<Json<Device>, Problem> {
    Ok(Json(app.registry.device(context.tenant, device_id(&device)?).await?))
}

async fn update(
    State(app): State<App>,
    context: Context,
    Path(device): Path<String>,
    JsonBody(patch): JsonBody<Patch>,
) -> Result<Json<Device>, Problem> {
    let device = app.registry.update_device(context.tenant, device_id(&device)?, patch).await?;
    app.plans.devices_settled(context.tenant, [&*device.settings.device_class]).await?;
    Ok(Json(device))
}

async fn delete(
    State(app): State<App>,
    context: Context,
    Path(device): Path<String>,
    Parameters(deletion): Parameters<Deletion>,
) -> Result<StatusCode, Problem> {
    let device = app.registry.device(context.tenant, device_id(&device)?).await?.device_id;
    if deletion.data == Readings::Erase {
        // Before the device goes: if it fails, the same request can be sent again.
        let store = app.store.clone();
        let erased = tokio::task::spawn_blocking(move || store.erase_device(device)).await;
        erased.expect("erasing does not panic")?;
    }
    app.registry.delete_device(context.tenant, device).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn rotate(
    State(app): State<App>,
    context: Context,
    Path(device): Path<String>,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let device = device_id(&device)?;
    let rotation = if request.body().is_end_stream() {
        Rotation::default()
    } else {
        JsonBody::from_request(request, &()).await?.0
    };
    let overlap = Duration::from_secs(rotation.overlap_seconds);
    let rotated = app.registry.rotate_token(context.tenant, device, Some(overlap)).await?;
    let mut answer = credentials(context.tenant, device, Some(&rotated.token));
    answer["previous_until"] = rotated.previous_until.into();
    Ok((StatusCode::CREATED, Json(answer)))
}

/// What a device needs in order to speak.
fn credentials(tenant: TenantId, device: DeviceId, token: Option<&Secret>) -> Value {
    json!({
        "device_id": device,
        "auth_token": token.map(Secret::expose),
        "tenant_id": tenant,
        "topic": format!("tenant/{tenant}/device/{device}/data"),
    })
}
