//! `/v1/classes`: device classes of the caller's tenant.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use registry::{Class, ClassSettings, Patch, Right};
use serde_json::{Value, json};

use super::parameters::{Listing, Parameters};
use crate::http::{Access, App, Context, JsonBody, Problem, Route};

const EXAMPLE: &str = r#"{"tenant_id":"0b2f6c1e-9d0a-4c55-8a43-3f1f5b6f0c11","name":"pump","retention":{"hot":"7d","warm":"90d","cold":null},"durability":"persisted","schema_id":null,"format":null,"unknown_fields":"keep","ts_unit":"ms","units":{"temperature":"Cel"},"computed":[{"metric":"power","expression":"voltage * current","unit":"W"}],"quarantine":{"messages":100,"rejected_percent":50.0,"quarantine":false},"tags":["site","class.vendor"],"free_topics":false,"metadata":{},"limits":{"messages_per_second":null,"bytes_per_second":null},"created_at":1800000000000}"#;
const LIST_EXAMPLE: &str = r#"{"classes":[{"tenant_id":"0b2f6c1e-9d0a-4c55-8a43-3f1f5b6f0c11","name":"pump","retention":{"hot":"7d","warm":"90d","cold":null},"durability":"persisted"}],"next":null}"#;
const DEVICES: Access = Access::Key(Right::Devices);

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/classes", DEVICES, list)
            .says("Lists device classes in the order of their names.")
            .optional("limit", "Rows, 1 to 1000; 100 if absent.")
            .optional("cursor", "`next` of the page before.")
            .answers(200, LIST_EXAMPLE),
        Route::post("/v1/classes", DEVICES, create)
            .says("Creates a device class. Everything but the name has a default; ages in `retention` count from receipt, null is for ever. `units` are those in which metrics are stored (UCUM codes), `computed` makes metrics of others, `quarantine` flags a device of whose last `messages` more than `rejected_percent` were rejected, `tags` names metadata that every row carries (`NAME` of the device, `class.NAME`, `tenant.NAME`).")
            .takes(r#"{"name":"pump","retention":{"hot":"7d","warm":"90d","cold":null},"units":{"temperature":"Cel"},"tags":["site"]}"#)
            .answers(201, EXAMPLE),
        Route::get("/v1/classes/{class}", DEVICES, show).says("Shows a device class.").answers(200, EXAMPLE),
        Route::patch("/v1/classes/{class}", DEVICES, update)
            .says("Changes a device class (JSON merge patch): what is not named stays, null takes back the default. What concerns messages holds for the next one after the answer, and ends no session.")
            .takes(r#"{"retention":{"cold":"3650d"},"units":{"pressure":"kPa"}}"#)
            .answers(200, EXAMPLE),
        Route::delete("/v1/classes/{class}", DEVICES, delete)
            .says("Deletes a device class that has no devices; its readings stay until their retention ends.")
            .answers(204, ""),
    ]
}

async fn list(
    State(app): State<App>,
    context: Context,
    Parameters(listing): Parameters<Listing>,
) -> Result<Json<Value>, Problem> {
    let page = app.registry.classes(context.tenant, &listing.paging()).await?;
    Ok(Json(json!({"classes": page.rows, "next": page.next})))
}

async fn create(
    State(app): State<App>,
    context: Context,
    JsonBody(settings): JsonBody<ClassSettings>,
) -> Result<(StatusCode, Json<Class>), Problem> {
    let class = app.registry.create_class(context.tenant, settings).await?;
    app.plans.settled(context.tenant).await?;
    Ok((StatusCode::CREATED, Json(class)))
}

async fn show(State(app): State<App>, context: Context, Path(class): Path<String>) -> Result<Json<Class>, Problem> {
    Ok(Json(app.registry.class(context.tenant, &class).await?))
}

async fn update(
    State(app): State<App>,
    context: Context,
    Path(class): Path<String>,
    JsonBody(patch): JsonBody<Patch>,
) -> Result<Json<Class>, Problem> {
    let class = app.registry.update_class(context.tenant, &class, patch).await?;
    app.plans.settled(context.tenant).await?;
    Ok(Json(class))
}

async fn delete(State(app): State<App>, context: Context, Path(class): Path<String>) -> Result<StatusCode, Problem> {
    app.registry.delete_class(context.tenant, &class).await?;
    Ok(StatusCode::NO_CONTENT)
}
