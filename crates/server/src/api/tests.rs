//! The registry's resources over the router, without a socket.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use http_body_util::BodyExt;
use model::Clock;
use registry::{KeySettings, Registry, Right, TenantSettings};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::http::{App, Parts};
use crate::line::Line;
use crate::line::plans::Plans;

mod devices;
mod keys;
mod schemas;

/// A router on a registry of its own: the operator's key, and the tenant `acme` with an admin key.
pub(crate) struct Api {
    pub router: Router,
    pub registry: Registry,
    operator: String,
    pub acme: String,
    _line: Line,
    _directory: TempDir,
}

impl Api {
    pub async fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let url = format!("sqlite:{}", directory.path().join("registry.db").display());
        let clock = Clock::manual(1_800_000_000_000);
        let registry = Registry::open(&url, clock.clone()).await.expect("a new registry opens");
        let operator = registry.bootstrap(|_| Ok(())).await.expect("a new registry takes its tenants").admin_key;
        let operator = operator.expect("the first start makes a key").expose().to_owned();
        let acme = TenantSettings::defaults("acme");
        let acme = registry.create_tenant(acme).await.expect("the name is free").tenant_id;
        let admin = KeySettings { name: "admin".to_owned(), rights: [Right::Admin].into_iter().collect() };
        let acme = registry.create_key(acme, admin).await.expect("the tenant exists").token.expose().to_owned();
        let (line, restored, store) = Line::in_memory(directory.path(), clock.clone());
        let plans = Plans::new(registry.clone(), line.raw.clone(), restored.rules, clock.clone());
        let app = App::new(Parts {
            clock,
            metrics: Default::default(),
            registry: registry.clone(),
            store,
            intake: line.intake.clone(),
            plans: Arc::new(plans),
            external: None,
            dead_letters: line.dead_letters.clone(),
            ledger: line.ledger.clone(),
            trials: line.trials.clone(),
            normalized: line.normalized.clone(),
        });
        let router = crate::http::routes::router(super::routes(), app);
        Self { router, registry, operator, acme, _line: line, _directory: directory }
    }

    /// Status and body of an answer; null if it has none.
    async fn call(&self, key: &str, method: &str, path: &str, body: impl Into<Option<Value>>) -> (u16, Value) {
        let body = body.into();
        let media = if body.is_some() { "application/json" } else { "" };
        self.send(key, method, path, media, body.map(|body| body.to_string()).unwrap_or_default()).await
    }

    async fn send(&self, key: &str, method: &str, path: &str, media: &str, body: String) -> (u16, Value) {
        let mut request =
            Request::builder().method(method).uri(path).header(header::AUTHORIZATION, format!("Bearer {key}"));
        if !media.is_empty() {
            request = request.header(header::CONTENT_TYPE, media);
        }
        let body = if body.is_empty() { Body::empty() } else { Body::from(body) };
        let request = request.body(body).expect("the request is well formed");
        let answer = self.router.clone().oneshot(request).await.expect("the router does not fail");
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.expect("the answer is in memory").to_bytes();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).expect("it is JSON") };
        (status, body)
    }

    /// Status and `code` of a refusal.
    async fn refused(&self, key: &str, method: &str, path: &str, body: impl Into<Option<Value>>) -> (u16, String) {
        let (status, body) = self.call(key, method, path, body).await;
        assert_eq!(body["status"], status, "a problem document: {body}");
        (status, body["code"].as_str().expect("a problem has a code").to_owned())
    }

    /// A device of `acme`: what its registration answered.
    async fn device(&self) -> Value {
        let (status, body) = self.call(&self.acme, "POST", "/v1/devices", json!({})).await;
        assert_eq!(status, 201, "{body}");
        body
    }
}
