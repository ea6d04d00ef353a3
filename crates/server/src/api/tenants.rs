//! `/v1/tenants`: managed with the operator's key (the right `admin` in the default tenant). The administrator of
//! another tenant sees that one only.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use registry::{Patch, Right, Tenant, TenantRef, TenantSettings};
use serde_json::{Value, json};

use super::parameters::{Listing, Parameters, tenant_of};
use crate::http::{Access, App, Caller, Context, JsonBody, Problem, Route};
use crate::quotas;

const EXAMPLE: &str = r#"{"tenant_id":"0b2f6c1e-9d0a-4c55-8a43-3f1f5b6f0c11","name":"acme","limits":{"messages_per_second":null,"bytes_per_second":null,"connections":null,"devices":1000,"classes":null,"dead_letter_bytes":null},"units":{"temperature":"Cel"},"metadata":{"region":"eu"},"created_at":1800000000000}"#;
const LIST_EXAMPLE: &str = r#"{"tenants":[{"tenant_id":"0b2f6c1e-9d0a-4c55-8a43-3f1f5b6f0c11","name":"acme","limits":{"devices":1000},"created_at":1800000000000}],"next":null}"#;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/tenants", Access::Key(Right::Admin), list)
            .says("Lists tenants in the order of their names; with an ordinary admin key its own only.")
            .optional("limit", "Rows, 1 to 1000; 100 if absent.")
            .optional("cursor", "`next` of the page before.")
            .answers(200, LIST_EXAMPLE),
        Route::post("/v1/tenants", Access::Operator, create)
            .says("Creates a tenant. Its first key is made with `POST /v1/keys` and `\"tenant\"`.")
            .takes(r#"{"name":"acme","limits":{"devices":1000},"units":{"temperature":"Cel"}}"#)
            .answers(201, EXAMPLE),
        Route::get("/v1/tenants/{tenant}", Access::Key(Right::Admin), show)
            .says("Shows a tenant by name or id.")
            .answers(200, EXAMPLE),
        Route::patch("/v1/tenants/{tenant}", Access::Operator, update)
            .says("Changes name, limits, units or metadata (JSON merge patch); it takes effect at once. `units` are those in which metrics are stored, in all classes that do not say it themselves.")
            .takes(r#"{"limits":{"devices":2000}}"#)
            .answers(200, EXAMPLE),
        Route::delete("/v1/tenants/{tenant}", Access::Operator, delete)
            .says(
                "Deletes a tenant and revokes everything of it at once; its readings stay until their retention ends.",
            )
            .answers(204, ""),
    ]
}

async fn list(
    State(app): State<App>,
    context: Context,
    Parameters(listing): Parameters<Listing>,
) -> Result<Json<Value>, Problem> {
    if !matches!(&context.caller, Caller::Key(key) if key.operator) {
        let own = app.registry.tenant(&TenantRef::Id(context.tenant)).await?;
        return Ok(Json(json!({"tenants": [own], "next": null})));
    }
    let page = app.registry.tenants(&listing.paging()).await?;
    Ok(Json(json!({"tenants": page.rows, "next": page.next})))
}

async fn create(
    State(app): State<App>,
    JsonBody(settings): JsonBody<TenantSettings>,
) -> Result<(StatusCode, Json<Tenant>), Problem> {
    let tenant = app.registry.create_tenant(settings).await?;
    quotas::set(&app.ledger, &tenant);
    Ok((StatusCode::CREATED, Json(tenant)))
}

async fn show(State(app): State<App>, context: Context, Path(tenant): Path<String>) -> Result<Json<Tenant>, Problem> {
    let tenant = tenant_of(&app, &context, Some(&tenant)).await?;
    Ok(Json(app.registry.tenant(&TenantRef::Id(tenant)).await?))
}

async fn update(
    State(app): State<App>,
    Path(tenant): Path<String>,
    JsonBody(patch): JsonBody<Patch>,
) -> Result<Json<Tenant>, Problem> {
    let tenant = app.registry.update_tenant(&TenantRef::from(tenant.as_str()), patch).await?;
    quotas::set(&app.ledger, &tenant);
    app.plans.settled(tenant.tenant_id).await?;
    Ok(Json(tenant))
}

async fn delete(State(app): State<App>, Path(tenant): Path<String>) -> Result<StatusCode, Problem> {
    let tenant = app.registry.tenant(&TenantRef::from(tenant.as_str())).await?.tenant_id;
    app.registry.delete_tenant(&TenantRef::Id(tenant)).await?;
    app.ledger.set_quota(tenant, None);
    Ok(StatusCode::NO_CONTENT)
}
