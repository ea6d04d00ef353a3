//! `/openapi.json`: the API's description, made from the route table that the router is made from.
//!
//! Schemas are read off the examples in the table, so an example and its schema cannot disagree.

use axum::Json;
use serde_json::{Map, Value, json};

use crate::http::problem;
use crate::http::{Access, Route};

#[cfg(test)]
mod tests;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/openapi.json", Access::Open, document)
            .says("This description (OpenAPI 3.1).")
            .answers(200, r#"{"openapi":"3.1.0"}"#),
    ]
}

async fn document() -> Json<Value> {
    Json(describe(&super::routes()))
}

/// The OpenAPI 3.1 document of these routes.
pub fn describe(routes: &[Route]) -> Value {
    let mut paths = Map::new();
    for route in routes {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation(route);
    }
    let bearer =
        json!({"type": "http", "scheme": "bearer", "description": "An API key (`twk_…`) or a device token (`twd_…`)."});
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidewater",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Ingest, query and registry. Times are Unix milliseconds; failures are problem documents (RFC 9457) with a stable `code`.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": bearer},
            "schemas": {"Problem": problem_schema()},
        },
    })
}

fn operation(route: &Route) -> Value {
    let (status, example) = route.answer;
    let mut success = json!({"description": "Success."});
    if !example.is_empty() {
        success["content"] = content(example);
    }
    let failure = json!({
        "description": "What was wrong and what to do.",
        "content": {problem::CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    });
    let mut operation = json!({
        "summary": route.summary,
        "description": right(route.access),
        "parameters": parameters(route),
        "responses": {status.to_string(): success, "default": failure},
    });
    if route.access != Access::Open {
        operation["security"] = json!([{"bearer": []}]);
    }
    if let Some(body) = route.body {
        operation["requestBody"] = json!({"required": true, "content": content(body)});
    }
    operation
}

fn right(access: Access) -> String {
    match access {
        Access::Open => "Needs no credential.".to_owned(),
        Access::Key(right) => format!("Needs an API key with the right `{right}`."),
        Access::Either(one, other) => format!("Needs an API key with the right `{one}` or `{other}`."),
        Access::Operator => "Needs an API key with the right `admin` in the default tenant.".to_owned(),
        Access::Device => "Needs the device's token, or an API key with the right `ingest`.".to_owned(),
    }
}

fn parameters(route: &Route) -> Vec<Value> {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path =
        in_path.map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}));
    let in_query = route.parameters.iter().map(|parameter| {
        json!({
            "name": parameter.name, "in": "query", "required": parameter.required,
            "description": parameter.says, "schema": {"type": "string"},
        })
    });
    in_path.chain(in_query).collect()
}

/// A JSON body by its example.
fn content(example: &str) -> Value {
    let example: Value = serde_json::from_str(example).expect("a test parses every example of the table");
    json!({"application/json": {"schema": schema(&example), "example": example}})
}

/// The schema that an example is an instance of. A null says nothing about what else may stand there.
fn schema(example: &Value) -> Value {
    match example {
        Value::Null => json!({}),
        Value::Bool(_) => json!({"type": "boolean"}),
        Value::Number(number) if number.is_f64() => json!({"type": "number"}),
        Value::Number(_) => json!({"type": "integer"}),
        Value::String(_) => json!({"type": "string"}),
        Value::Array(elements) => json!({"type": "array", "items": elements.first().map_or(json!({}), schema)}),
        Value::Object(members) => {
            let properties: Map<String, Value> =
                members.iter().map(|(name, value)| (name.clone(), schema(value))).collect();
            json!({"type": "object", "properties": properties})
        }
    }
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "code", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"type": "string", "description": "Stable, for programs."},
            "detail": {"type": "string", "description": "What is wrong and what to do, for a person."},
        },
    })
}
