//! `/v1/schemas`: what messages of the caller's tenant may say. The house rule holds here: within a major there are only
//! additions. Confluent's way to the same schemas is [`crate::schema_registry`].

pub mod description;
pub mod sample;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use model::limits::LIST_ROWS_MAX;
use model::{ErrorKind, TenantId};
use registry::{
    Deleted, Judge, NewSchema, Registered, Right, SchemaMajor, SchemaReference, SchemaText, language_from_name,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use self::sample::sent::SentSample;
use super::fields::Fields;
use crate::external::External;
use crate::http::{Access, App, Context, JsonBody, Problem, Route};

/// Majors in one answer when the request does not say how many.
const ROWS_DEFAULT: usize = 100;

const WRITE: Access = Access::Key(Right::Schemas);
const READ: Access = Access::Either(Right::Schemas, Right::Query);

const REGISTERED: &str =
    r#"{"schema_id":"5b1c0a52-3f5e-4e0c-9f0e-0c7f7a3f8a10","id":1,"subject":"pump","version":1,"major":1}"#;
const MAJOR: &str = r#"{"schema_id":"5b1c0a52-3f5e-4e0c-9f0e-0c7f7a3f8a10","subject":"pump","major":1,"type":"json","versions":[{"version":1,"id":1,"created_at":1800000000000}],"id":1,"schema":"{\"type\":\"object\"}","references":[],"metadata":null,"created_at":1800000000000}"#;
const LIST: &str = r#"{"schemas":[{"schema_id":"5b1c0a52-3f5e-4e0c-9f0e-0c7f7a3f8a10","subject":"pump","major":1,"type":"json","version":1,"id":1,"created_at":1800000000000}],"next":null}"#;
const BY_ID: &str = r#"{"id":1,"type":"json","schema":"{\"type\":\"object\"}","references":[],"metadata":null,"created_at":1800000000000,"places":[{"subject":"pump","version":1,"major":1,"schema_id":"5b1c0a52-3f5e-4e0c-9f0e-0c7f7a3f8a10","deleted":false}]}"#;
const NEW: &str = r#"{"subject":"pump","type":"json","schema":{"type":"object","properties":{"temperature":{"type":"number","unit":"Cel","minimum":-50,"maximum":150}}}}"#;
const REFRESHED: &str = r#"{"versions":2}"#;
const CHECK: &str = r#"{"type":"json","schema":{"type":"object","properties":{"temperature":{"type":"number","unit":"Cel"}}},"sample":{"payload":{"temperature":23.4},"class":"pump"}}"#;
const CHECKED: &str = r#"{"type":"json","usable":true,"why":null,"messages":[{"name":"","indexes":[],"form":"flat","unknown_fields":"as the class says","fields":[{"field":"temperature","name":"temperature","part":"metric","kind":"double","unit":"Cel","range":null,"allowed":null,"default":null,"required":false,"description":null}]}],"sample":{"wire_id":null,"accepted":1,"duplicates":0,"rejected":0,"readings":[{"index":0,"ts":1800000000000,"ts_received":true,"seq":null,"boot":null,"buffered":false,"tags":{},"metrics":{"temperature":{"value":23.4,"unit":"Cel","type":"double"}}}],"dead_letters":[]}}"#;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/schemas", READ, list)
            .says("Lists the majors of schemas in the order of their subjects.")
            .optional("subject", "Of this subject only.")
            .optional("limit", "Rows, 1 to 1000; 100 if absent.")
            .optional("cursor", "`next` of the page before.")
            .answers(200, LIST),
        Route::post("/v1/schemas", WRITE, register)
            .says("Registers a schema (`avro`, `json` or `protobuf`; its text, or for JSON its document). Within a major only optional fields may be added; `\"major\": true` opens the next major. The same schema again answers 200 with the same.")
            .takes(NEW)
            .answers(201, REGISTERED),
        Route::post("/v1/schemas/refresh", WRITE, refresh)
            .says("Takes over what is new in the external schema registry, which is otherwise asked once a minute. For all tenants.")
            .answers(200, REFRESHED),
        Route::post("/v1/schemas/check", READ, check)
            .says("Explains what a schema means for messages, without registering it, and what would become of a `sample` under it: the readings, or the dead letters. The sample is a `payload` as JSON, or `base64` of bytes in a `format` (json, msgpack, cbor, avro, protobuf; bare, single-object or in the wire format), from a device of a `class`: the name of one, or the settings of one as POST /v1/classes takes them.")
            .takes(CHECK)
            .answers(200, CHECKED),
        Route::get("/v1/schemas/{schema_id}", READ, show)
            .says("Shows a major: its versions, and the newest one's text.")
            .answers(200, MAJOR),
        Route::delete("/v1/schemas/{schema_id}", WRITE, delete)
            .says("Deletes a major that no class and no device names. What was sent under it can still be read.")
            .answers(204, ""),
        Route::get("/v1/schemas/ids/{id}", READ, by_id)
            .says("Shows the schema that has this id in the Confluent wire format, and where it is registered.")
            .answers(200, BY_ID),
    ]
}

/// A schema in a request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    subject: String,
    r#type: String,
    schema: Box<RawValue>,
    #[serde(default)]
    references: Vec<SchemaReference>,
    #[serde(default)]
    major: bool,
    #[serde(default)]
    metadata: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Checked {
    r#type: String,
    schema: Box<RawValue>,
    #[serde(default)]
    references: Vec<SchemaReference>,
    #[serde(default)]
    sample: Option<SentSample>,
}

async fn register(
    State(app): State<App>,
    context: Context,
    JsonBody(sent): JsonBody<Sent>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let new = NewSchema { metadata: sent.metadata, ..new_schema(&sent.r#type, &sent.schema, sent.references)? };
    let registered = match &app.external {
        Some(external) => register_there(external, context.tenant, sent.subject, new, sent.major).await?,
        None => {
            let judge = Judge::Additive { major: sent.major };
            app.registry.register_schema(context.tenant, &sent.subject, new, judge).await?
        }
    };
    app.plans.settled(context.tenant).await?;
    let (place, id) = (registered.version.place.place, registered.version.place.id);
    let status = if registered.created { StatusCode::CREATED } else { StatusCode::OK };
    let answer = json!({
        "schema_id": place.schema_id, "id": id, "subject": place.subject,
        "version": place.version, "major": place.major,
    });
    Ok((status, Json(answer)))
}

/// What is registered elsewhere is taken over even if the caller goes away.
async fn register_there(
    external: &External,
    tenant: TenantId,
    subject: String,
    new: NewSchema,
    major: bool,
) -> Result<Registered, Problem> {
    let external = external.clone();
    let task = tokio::spawn(async move { external.register(tenant, &subject, new, major).await });
    Ok(task.await.expect("a registration does not panic")?)
}

async fn refresh(State(app): State<App>, _context: Context) -> Result<Json<Value>, Problem> {
    let Some(external) = app.external.clone() else {
        let detail =
            "The schemas of this server are its own (`schemas.url` is \"builtin:\"): there is nothing to take over.";
        return Err(Problem::new(ErrorKind::Conflict, "schemas-built-in", detail));
    };
    let task = tokio::spawn(async move { external.refresh().await });
    let versions = task.await.expect("a refresh does not panic")?;
    Ok(Json(json!({"versions": versions})))
}

/// The schema is its text, or (JSON and Avro) the document itself, which is taken as it is written.
fn new_schema(kind: &str, schema: &RawValue, references: Vec<SchemaReference>) -> Result<NewSchema, Problem> {
    let language = language_from_name(kind).ok_or_else(|| {
        Problem::invalid("body-invalid", format!("`type` is `{kind}`; use `avro`, `json` or `protobuf`."))
    })?;
    let text = match serde_json::from_str::<String>(schema.get()) {
        Ok(text) => text,
        Err(_) => schema.get().to_owned(),
    };
    Ok(NewSchema { references, ..NewSchema::new(language, text) })
}

async fn list(State(app): State<App>, context: Context, mut fields: Fields) -> Result<Json<Value>, Problem> {
    let subject = fields.take("subject")?;
    let after = fields.take("cursor")?.map(|text| cursor(&text)).transpose()?;
    let rows = if fields.has("limit") { fields.limit(LIST_ROWS_MAX)? } else { ROWS_DEFAULT };
    let mut majors = app.registry.schema_majors(context.tenant, subject.as_deref()).await?;
    if let Some((subject, major)) = after {
        majors.retain(|row| (row.subject.as_str(), row.major) > (subject.as_str(), major));
    }
    let more = majors.len() > rows;
    majors.truncate(rows);
    let next = majors.last().filter(|_| more).map(|row| format!("{}:{}", row.major, row.subject));
    let mut shown = Vec::with_capacity(majors.len());
    for major in &majors {
        let (row, text) = newest(&app, &context, major).await?;
        shown.push(json!({
            "schema_id": major.schema_id, "subject": major.subject, "major": major.major, "type": text.language,
            "version": row.place.version, "id": row.id, "created_at": row.created_at,
        }));
    }
    Ok(Json(json!({"schemas": shown, "next": next})))
}

/// `MAJOR:SUBJECT` of the last row of a page.
fn cursor(text: &str) -> Result<(String, u32), Problem> {
    let parts = text.split_once(':').and_then(|(major, subject)| Some((subject.to_owned(), major.parse().ok()?)));
    let detail = "`cursor` is not one of this list: use `next` of the page before.";
    parts.ok_or_else(|| Problem::invalid("parameter-invalid", detail))
}

async fn newest<'a>(
    app: &App,
    context: &Context,
    major: &'a SchemaMajor,
) -> Result<(&'a registry::SchemaPlace, SchemaText), Problem> {
    let row = major.versions.last().expect("a major that is shown has a version");
    Ok((row, app.registry.schema_text(context.tenant, row.id).await?))
}

async fn show(State(app): State<App>, context: Context, Path(schema_id): Path<String>) -> Result<Json<Value>, Problem> {
    let major = app.registry.schema_major(context.tenant, uuid(&schema_id)?).await?;
    let (_, text) = newest(&app, &context, &major).await?;
    let version =
        |row: &registry::SchemaPlace| json!({"version": row.place.version, "id": row.id, "created_at": row.created_at});
    let mut answer = shown(&text);
    answer["schema_id"] = json!(major.schema_id);
    answer["subject"] = json!(major.subject);
    answer["major"] = json!(major.major);
    answer["versions"] = major.versions.iter().map(version).collect();
    Ok(Json(answer))
}

async fn by_id(State(app): State<App>, context: Context, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let wrong =
        || Problem::invalid("schema-id-malformed", format!("`{id}` is not a schema's number: it is 1 or more."));
    let id: u32 = id.parse().map_err(|_| wrong())?;
    let text = app.registry.schema_text(context.tenant, id).await?;
    let places = app.registry.places_of_schema(context.tenant, id, Deleted::With).await?;
    let place = |row: &registry::SchemaPlace| {
        json!({
            "subject": row.place.subject, "version": row.place.version, "major": row.place.major,
            "schema_id": row.place.schema_id, "deleted": row.deleted,
        })
    };
    let mut answer = shown(&text);
    answer["places"] = places.iter().map(place).collect();
    Ok(Json(answer))
}

fn shown(text: &SchemaText) -> Value {
    json!({
        "id": text.id, "type": text.language, "schema": text.text, "references": text.references,
        "metadata": text.metadata, "created_at": text.created_at,
    })
}

async fn delete(
    State(app): State<App>,
    context: Context,
    Path(schema_id): Path<String>,
) -> Result<StatusCode, Problem> {
    if let Some(external) = &app.external {
        let url = external.url();
        let detail =
            format!("Schemas come from the registry at {url}: delete it there. What was taken over stays readable.");
        return Err(Problem::new(ErrorKind::Conflict, "schemas-external", detail));
    }
    app.registry.delete_schema_major(context.tenant, uuid(&schema_id)?).await?;
    app.plans.settled(context.tenant).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn check(
    State(app): State<App>,
    context: Context,
    JsonBody(checked): JsonBody<Checked>,
) -> Result<Json<Value>, Problem> {
    let new = new_schema(&checked.r#type, &checked.schema, checked.references)?;
    let language = new.language;
    let verdict = app.registry.explain_schema(context.tenant, new).await?;
    let mut answer = description::describe(language, &verdict);
    if let Some(sent) = checked.sample {
        answer["sample"] = sent.try_under(&app, context.tenant, language, verdict).await?;
    }
    Ok(Json(answer))
}

fn uuid(text: &str) -> Result<Uuid, Problem> {
    let detail = || format!("`{text}` is not a schema_id: a schema_id is a UUID.");
    text.parse().map_err(|_| Problem::invalid("schema-id-malformed", detail()))
}
