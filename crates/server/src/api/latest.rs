//! `…/latest`: what a device, or each device of a class, said last.

use axum::Json;
use axum::extract::{Path, State};
use model::DeviceId;
use model::limits::LIST_ROWS_MAX;
use registry::Right;
use serde_json::{Map, Value, json};
use store::{Budget, LatestMetric};

use super::answer::Shown;
use super::fields::Fields;
use super::query;
use crate::http::auth::device_id;
use crate::http::{Access, App, Context, Problem, Route};

const QUERY: Access = Access::Key(Right::Query);
const EXAMPLE: &str = r#"{"device_id":"c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7","metrics":{"temperature":{"ts":1800000000000,"value":23.4}}}"#;
const CLASS_EXAMPLE: &str = r#"{"devices":[{"device_id":"c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7","metrics":{"temperature":{"ts":1800000000000,"value":23.4}}}],"next":null}"#;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/devices/{device_id}/latest", QUERY, of_device)
            .says("The latest value of each metric of a device.")
            .answers(200, EXAMPLE),
        Route::get("/v1/latest", QUERY, of_class)
            .says("The latest values of each device of a class, in the order of device ids.")
            .required("class", "The class.")
            .optional("limit", "Devices in the answer, at most 1000.")
            .optional("cursor", "`next` of the page before.")
            .answers(200, CLASS_EXAMPLE),
    ]
}

async fn of_device(
    State(app): State<App>,
    context: Context,
    Path(device): Path<String>,
) -> Result<Json<Value>, Problem> {
    let device = device_id(&device)?;
    let tenant = context.tenant;
    let latest = query::run(&app, move |store| store.latest(tenant, device, Budget::default())).await?;
    if latest.metrics.is_empty() {
        query::refuse_unknown_device(&app, &context, device).await?;
    }
    Ok(Json(shown(device, &latest.metrics)))
}

async fn of_class(State(app): State<App>, context: Context, mut fields: Fields) -> Result<Json<Value>, Problem> {
    let class = fields.require("class", "pump")?;
    let limit = fields.limit(LIST_ROWS_MAX)?;
    let after = fields.take("cursor")?.map(|text| device_id(&text)).transpose()?;
    let (tenant, asked) = (context.tenant, class.clone());
    let page =
        query::run(&app, move |store| store.latest_of_class(tenant, &asked, after, limit, Budget::default())).await?;
    if page.devices.is_empty() && after.is_none() {
        app.registry.class(context.tenant, &class).await?;
    }
    let devices: Vec<Value> = page.devices.iter().map(|found| shown(found.device, &found.metrics)).collect();
    Ok(Json(json!({"devices": devices, "next": page.next})))
}

fn shown(device: DeviceId, metrics: &[LatestMetric]) -> Value {
    let shown = |(name, ts, value): &LatestMetric| (name.to_string(), json!({"ts": ts, "value": Shown(value)}));
    let metrics: Map<String, Value> = metrics.iter().map(shown).collect();
    json!({"device_id": device, "metrics": metrics})
}
