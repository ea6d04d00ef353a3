//! `…/latest`: what a device, or each of several devices, said last.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use model::DeviceId;
use model::limits::LIST_ROWS_MAX;
use registry::Right;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use store::{Budget, DeviceLatest, LatestMetric, LatestOfMany, Scope};

use super::answer::{List, Shown, unencodable};
use super::fields::Fields;
use super::query;
use crate::http::auth::device_id;
use crate::http::{Access, App, Context, Problem, Route};

const QUERY: Access = Access::Key(Right::Query);
const EXAMPLE: &str = r#"{"device_id":"c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7","metrics":{"temperature":{"ts":1800000000000,"value":23.4}}}"#;
const MANY_EXAMPLE: &str = r#"{"devices":[{"device_id":"c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7","metrics":{"temperature":{"ts":1800000000000,"value":23.4}}}],"next":null}"#;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/devices/{device_id}/latest", QUERY, of_device)
            .says("The latest value of each metric of a device.")
            .answers(200, EXAMPLE),
        Route::get("/v1/latest", QUERY, of_many)
            .says(
                "The latest values of each device of a class, or of those that are named, in the order of device ids.",
            )
            .optional("class", "The class; not needed if devices are named.")
            .optional("device", "Only these devices: ids with commas between, at most 1000.")
            .optional("limit", "Devices in the answer, at most 1000.")
            .optional("cursor", "`next` of the page before.")
            .answers(200, MANY_EXAMPLE),
    ]
}

async fn of_device(State(app): State<App>, context: Context, Path(device): Path<String>) -> Result<Response, Problem> {
    let device = device_id(&device)?;
    let tenant = context.tenant;
    let latest = query::run(&app, move |store| store.latest(tenant, device, Budget::default())).await?;
    if latest.metrics.is_empty() {
        query::refuse_unknown_device(&app, &context, device).await?;
    }
    json(&ShownDevice { device, metrics: &latest.metrics })
}

async fn of_many(State(app): State<App>, context: Context, mut fields: Fields) -> Result<Response, Problem> {
    let scope = scope(&mut fields)?;
    let limit = fields.limit(LIST_ROWS_MAX)?;
    let after = fields.take("cursor")?.map(|text| device_id(&text)).transpose()?;
    let (tenant, asked) = (context.tenant, scope.clone());
    let page = query::run(&app, move |store| {
        let page = store.latest_of_many(tenant, &asked, after, limit, Budget::default())?;
        Ok((page.devices.is_empty(), json(&ShownPage(&page))))
    });
    let (is_empty, answer) = page.await?;
    if is_empty && after.is_none() {
        query::refuse_unknown(&app, &context, &scope).await?;
    }
    answer
}

/// The class, the devices, or the devices of the class that a request names.
fn scope(fields: &mut Fields) -> Result<Scope, Problem> {
    match (fields.take("class")?, query::devices(fields)?) {
        (Some(class), None) => Ok(Scope::Class(class)),
        (Some(class), Some(devices)) => Ok(Scope::DevicesOfClass(class, devices)),
        (None, Some(devices)) => Ok(Scope::Devices(devices)),
        (None, None) => {
            let detail = "`class` or `device` is missing: add one, for example `class=pump`.";
            Err(Problem::invalid("parameter-missing", detail))
        }
    }
}

fn json(document: &impl Serialize) -> Result<Response, Problem> {
    let bytes = serde_json::to_vec(document).map_err(|error| unencodable(&error))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], bytes).into_response())
}

struct ShownPage<'a>(&'a LatestOfMany);

impl Serialize for ShownPage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("devices", &List(&self.0.devices, ShownDevice::new))?;
        map.serialize_entry("next", &self.0.next)?;
        map.end()
    }
}

struct ShownDevice<'a> {
    device: DeviceId,
    metrics: &'a [LatestMetric],
}

impl<'a> ShownDevice<'a> {
    fn new(found: &'a DeviceLatest) -> Self {
        Self { device: found.device, metrics: &found.metrics }
    }
}

impl Serialize for ShownDevice<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("device_id", &self.device)?;
        map.serialize_entry("metrics", &ShownMetrics(self.metrics))?;
        map.end()
    }
}

struct ShownMetrics<'a>(&'a [LatestMetric]);

impl Serialize for ShownMetrics<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|metric| (&metric.0, ShownMetric(metric))))
    }
}

struct ShownMetric<'a>(&'a LatestMetric);

impl Serialize for ShownMetric<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (_, ts, value) = self.0;
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("ts", ts)?;
        map.serialize_entry("value", &Shown(value))?;
        map.end()
    }
}
