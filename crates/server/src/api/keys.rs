//! `/v1/keys`: API keys of the caller's tenant; with the operator's key, of any tenant that `tenant` names.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use model::KeyId;
use registry::{ApiKey, KeySettings, Paging, Patch, Right, Rights};
use serde::Deserialize;
use serde_json::{Value, json};

use super::parameters::{Parameters, tenant_of};
use crate::http::{Access, App, Context, JsonBody, Problem, Route};

const EXAMPLE: &str = r#"{"key_id":"6a0f2a53-61d5-4b0a-9d0b-58d3a6f4a5f1","tenant_id":"0b2f6c1e-9d0a-4c55-8a43-3f1f5b6f0c11","name":"dashboard","rights":["query"],"created_at":1800000000000}"#;
const NEW_EXAMPLE: &str = r#"{"key_id":"6a0f2a53-61d5-4b0a-9d0b-58d3a6f4a5f1","tenant_id":"0b2f6c1e-9d0a-4c55-8a43-3f1f5b6f0c11","name":"dashboard","rights":["query"],"created_at":1800000000000,"token":"twk_…"}"#;
const LIST_EXAMPLE: &str = r#"{"keys":[{"key_id":"6a0f2a53-61d5-4b0a-9d0b-58d3a6f4a5f1","tenant_id":"0b2f6c1e-9d0a-4c55-8a43-3f1f5b6f0c11","name":"dashboard","rights":["query"],"created_at":1800000000000}],"next":null}"#;
const ADMIN: Access = Access::Key(Right::Admin);
const TENANT: &str = "Another tenant, by name or id; only with the operator's key.";

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/keys", ADMIN, list)
            .says("Lists API keys, never their tokens.")
            .optional("tenant", TENANT)
            .optional("limit", "Rows, 1 to 1000; 100 if absent.")
            .optional("cursor", "`next` of the page before.")
            .answers(200, LIST_EXAMPLE),
        Route::post("/v1/keys", ADMIN, create)
            .says(
                "Creates an API key. Its token is in this answer only. `tenant` (operator only) names another tenant.",
            )
            .takes(r#"{"name":"dashboard","rights":["query"]}"#)
            .answers(201, NEW_EXAMPLE),
        Route::get("/v1/keys/{key_id}", ADMIN, show)
            .says("Shows an API key.")
            .optional("tenant", TENANT)
            .answers(200, EXAMPLE),
        Route::patch("/v1/keys/{key_id}", ADMIN, update)
            .says("Changes name or rights (JSON merge patch); it takes effect at once.")
            .optional("tenant", TENANT)
            .takes(r#"{"rights":["query","ingest"]}"#)
            .answers(200, EXAMPLE),
        Route::delete("/v1/keys/{key_id}", ADMIN, delete)
            .says("Revokes an API key at once.")
            .optional("tenant", TENANT)
            .answers(204, ""),
    ]
}

/// Settings, and for the operator the tenant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    name: String,
    rights: Rights,
    tenant: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    tenant: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfTenant {
    tenant: Option<String>,
}

async fn list(
    State(app): State<App>,
    context: Context,
    Parameters(listing): Parameters<Listing>,
) -> Result<Json<Value>, Problem> {
    let tenant = tenant_of(&app, &context, listing.tenant.as_deref()).await?;
    let page = app.registry.keys(tenant, &Paging { cursor: listing.cursor, limit: listing.limit }).await?;
    Ok(Json(json!({"keys": page.rows, "next": page.next})))
}

async fn create(
    State(app): State<App>,
    context: Context,
    JsonBody(new): JsonBody<NewKey>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let tenant = tenant_of(&app, &context, new.tenant.as_deref()).await?;
    let made = app.registry.create_key(tenant, KeySettings { name: new.name, rights: new.rights }).await?;
    let mut answer = serde_json::to_value(&made.key).expect("a key is plain JSON");
    answer["token"] = made.token.expose().into();
    Ok((StatusCode::CREATED, Json(answer)))
}

async fn show(
    State(app): State<App>,
    context: Context,
    Path(key): Path<String>,
    Parameters(of): Parameters<OfTenant>,
) -> Result<Json<ApiKey>, Problem> {
    let tenant = tenant_of(&app, &context, of.tenant.as_deref()).await?;
    Ok(Json(app.registry.key(tenant, key_id(&key)?).await?))
}

async fn update(
    State(app): State<App>,
    context: Context,
    Path(key): Path<String>,
    Parameters(of): Parameters<OfTenant>,
    JsonBody(patch): JsonBody<Patch>,
) -> Result<Json<ApiKey>, Problem> {
    let tenant = tenant_of(&app, &context, of.tenant.as_deref()).await?;
    Ok(Json(app.registry.update_key(tenant, key_id(&key)?, patch).await?))
}

async fn delete(
    State(app): State<App>,
    context: Context,
    Path(key): Path<String>,
    Parameters(of): Parameters<OfTenant>,
) -> Result<StatusCode, Problem> {
    let tenant = tenant_of(&app, &context, of.tenant.as_deref()).await?;
    app.registry.delete_key(tenant, key_id(&key)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn key_id(text: &str) -> Result<KeyId, Problem> {
    text.parse().map_err(|_| {
        let detail = format!("`{text}` is not a key id: a key id is a UUID. `GET /v1/keys` lists them.");
        Problem::invalid("key-id-malformed", detail)
    })
}
