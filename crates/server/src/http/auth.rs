//! Who calls: the bearer token of a request becomes a [`Context`], before the body is read.
//!
//! The tenant comes from the credential only. A route never sees a request that its [`Access`] does not allow.

use std::fmt;

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use model::TenantId;

use crate::http::App;
use crate::http::problem::Problem;

/// What an API key may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Right {
    Ingest,
    Query,
    Devices,
    Schemas,
    DeadLetters,
    Admin,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingest => "ingest",
            Self::Query => "query",
            Self::Devices => "devices",
            Self::Schemas => "schemas",
            Self::DeadLetters => "dead-letters",
            Self::Admin => "admin",
        })
    }
}

/// Who may call a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Everybody, without a credential.
    Open,
    /// An API key with this right.
    Key(Right),
    /// The device that the path's `{device_id}` names, with its token; or an API key with the right `ingest`.
    Device,
}

/// The authenticated caller of a request.
#[derive(Clone, Debug)]
pub struct Context {
    /// The caller's tenant: the only one whose data the request may touch.
    pub tenant: TenantId,
}

impl<S: Send + Sync> FromRequestParts<S> for Context {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let context = parts.extensions.get::<Self>().cloned();
        Ok(context.expect("a route whose handler takes a Context does not have Access::Open"))
    }
}

/// Lets the request through to the route's handler if its credential allows it.
pub async fn authorize(app: App, access: Access, request: Request, next: Next) -> Response {
    if access == Access::Open {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    match authenticate(&app, access, &mut parts).await {
        Ok(context) => parts.extensions.insert(context),
        Err(problem) => return problem.into_response(),
    };
    next.run(Request::from_parts(parts, body)).await
}

async fn authenticate(_app: &App, _access: Access, parts: &mut Parts) -> Result<Context, Problem> {
    let token = bearer(&parts.headers)?;
    Err(Problem::unauthorized("token-wrong", format!("The token of {} characters is not known.", token.len())))
}

/// The token of `Authorization: Bearer …`.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        let detail = "The request has no credential. Send `Authorization: Bearer <device token or API key>`.";
        return Err(Problem::unauthorized("token-missing", detail));
    };
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    token.ok_or_else(|| {
        let detail = "The Authorization header is not of the form `Bearer <token>`.";
        Problem::unauthorized("token-malformed", detail)
    })
}
