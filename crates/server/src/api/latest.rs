//! `…/latest`: what a device, or each of several devices, said last.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use model::limits::LIST_ROWS_MAX;
use model::{DeviceId, TenantId};
use registry::{MetricUnits, Registry, Right};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use store::{Budget, DeviceLatest, LatestMetric, LatestOfMany, Scope};
use tokio::runtime::Handle;

use super::answer::{Shown, unencodable};
use super::fields::Fields;
use super::query;
use super::unit::DeviceUnits;
use crate::http::auth::device_id;
use crate::http::{Access, App, Context, Problem, Route};

const QUERY: Access = Access::Key(Right::Query);
const EXAMPLE: &str = r#"{"device_id":"c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7","metrics":{"temperature":{"ts":1800000000000,"value":23.4,"unit":"Cel"}}}"#;
const MANY_EXAMPLE: &str = r#"{"devices":[{"device_id":"c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7","metrics":{"temperature":{"ts":1800000000000,"value":23.4,"unit":"Cel"}}}],"next":null}"#;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/devices/{device_id}/latest", QUERY, of_device)
            .says("The latest value of each metric of a device, with its `unit` if there is one.")
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
    let units = app.plans.units(tenant);
    let units = DeviceUnits::of(&units, &app.registry, tenant, device).await?;
    json(&ShownDevice { device, metrics: &latest.metrics, units: &units })
}

async fn of_many(State(app): State<App>, context: Context, mut fields: Fields) -> Result<Response, Problem> {
    let scope = scope(&mut fields)?;
    let limit = fields.limit(LIST_ROWS_MAX)?;
    let after = fields.take("cursor")?.map(|text| device_id(&text)).transpose()?;
    let (tenant, asked) = (context.tenant, scope.clone());
    let (units, registry, runtime) = (app.plans.units(tenant), app.registry.clone(), Handle::current());
    let page = query::run(&app, move |store| {
        let page = store.latest_of_many(tenant, &asked, after, limit, Budget::default())?;
        let units = runtime.block_on(units_of_page(&units, &registry, tenant, &page));
        Ok((page.devices.is_empty(), units.and_then(|units| json(&ShownPage { page: &page, units: &units }))))
    });
    let (is_empty, answer) = page.await?;
    if is_empty && after.is_none() {
        query::refuse_unknown(&app, &context, &scope).await?;
    }
    answer
}

/// The units of each device of a page; devices that are not in the cache are asked for together.
async fn units_of_page<'u>(
    units: &'u MetricUnits,
    registry: &Registry,
    tenant: TenantId,
    page: &LatestOfMany,
) -> Result<Vec<DeviceUnits<'u>>, Problem> {
    let devices: Vec<DeviceId> = page.devices.iter().map(|found| found.device).collect();
    if !units.is_empty() {
        registry.learn(&devices).await?;
    }
    let mut all = Vec::with_capacity(devices.len());
    for device in devices {
        all.push(DeviceUnits::of(units, registry, tenant, device).await?);
    }
    Ok(all)
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

struct ShownPage<'a> {
    page: &'a LatestOfMany,
    /// Parallel to the devices.
    units: &'a [DeviceUnits<'a>],
}

impl Serialize for ShownPage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        let devices: Vec<_> = self.page.devices.iter().zip(self.units).map(ShownDevice::new).collect();
        map.serialize_entry("devices", &devices)?;
        map.serialize_entry("next", &self.page.next)?;
        map.end()
    }
}

struct ShownDevice<'a> {
    device: DeviceId,
    metrics: &'a [LatestMetric],
    units: &'a DeviceUnits<'a>,
}

impl<'a> ShownDevice<'a> {
    fn new((found, units): (&'a DeviceLatest, &'a DeviceUnits<'a>)) -> Self {
        Self { device: found.device, metrics: &found.metrics, units }
    }
}

impl Serialize for ShownDevice<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("device_id", &self.device)?;
        map.serialize_entry("metrics", &ShownMetrics(self))?;
        map.end()
    }
}

struct ShownMetrics<'a>(&'a ShownDevice<'a>);

impl Serialize for ShownMetrics<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ShownDevice { metrics, units, .. } = self.0;
        let shown = metrics.iter().map(|latest| (&latest.0, ShownMetric { latest, unit: units.unit(&latest.0) }));
        serializer.collect_map(shown)
    }
}

struct ShownMetric<'a> {
    latest: &'a LatestMetric,
    unit: Option<&'a str>,
}

impl Serialize for ShownMetric<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (_, ts, value) = self.latest;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("ts", ts)?;
        map.serialize_entry("value", &Shown(value))?;
        if let Some(unit) = self.unit {
            map.serialize_entry("unit", unit)?;
        }
        map.end()
    }
}
