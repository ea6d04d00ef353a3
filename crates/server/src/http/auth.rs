//! Who calls: the bearer token of a request becomes a [`Context`], before the body is read.
//!
//! The tenant comes from the credential only. A route never sees a request that its [`Access`] does not allow.

use std::sync::Arc;

use axum::RequestPartsExt;
use axum::extract::{FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use model::{DeviceId, TenantId};
use registry::{DeviceAuth, KeyAuth, Right};

use crate::http::App;
use crate::http::problem::Problem;

/// Who may call a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Everybody, without a credential.
    Open,
    /// An API key with this right.
    Key(Right),
    /// An API key with one of these rights.
    Either(Right, Right),
    /// An API key with the right `admin` in the default tenant.
    Operator,
    /// The device that the path's `{device_id}` names, with its token; or an API key with the right `ingest`.
    Device,
}

/// The authenticated caller of a request.
#[derive(Clone, Debug)]
pub struct Context {
    /// The caller's tenant: the only one whose data the request may touch.
    pub tenant: TenantId,
    pub caller: Caller,
}

/// What a credential belongs to.
#[derive(Clone, Debug)]
pub enum Caller {
    Key(Arc<KeyAuth>),
    Device(Arc<DeviceAuth>),
}

impl<S: Send + Sync> FromRequestParts<S> for Context {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let context = parts.extensions.get::<Self>().cloned();
        Ok(context.expect("a route whose handler takes a Context does not have Access::Open"))
    }
}

/// The request with its caller's [`Context`], if its credential allows the route.
pub async fn authorize(app: &App, access: Access, request: Request) -> Result<Request, Problem> {
    if access == Access::Open {
        return Ok(request);
    }
    let (mut parts, body) = request.into_parts();
    let context = authenticate(app, access, &mut parts).await?;
    parts.extensions.insert(context);
    Ok(Request::from_parts(parts, body))
}

async fn authenticate(app: &App, access: Access, parts: &mut Parts) -> Result<Context, Problem> {
    let token = bearer(&parts.headers)?.to_owned();
    if token.starts_with("twd_") {
        return authenticate_device(app, access, parts, &token).await;
    }
    if !token.starts_with("twk_") {
        let detail =
            "The token is neither an API key (`twk_…`) nor a device token (`twd_…`). Send it whole and unchanged.";
        return Err(Problem::unauthorized("credential-invalid", detail));
    }
    let key = app.registry.authenticate_key(&token).await?;
    let needed = match access {
        Access::Open => None,
        Access::Key(right) => Some(right),
        Access::Either(one, other) => Some(if key.allows(other) { other } else { one }),
        Access::Operator if key.operator => None,
        Access::Operator => {
            let detail = "Only a key with the right `admin` in the default tenant may do this.";
            return Err(Problem::forbidden("right-missing", detail));
        }
        Access::Device => Some(Right::Ingest),
    };
    match needed {
        Some(right) if !key.allows(right) => {
            let detail = format!("This key does not have the right `{right}`. Use one that has it, or add the right.");
            Err(Problem::forbidden("right-missing", detail))
        }
        _ => Ok(Context { tenant: key.tenant, caller: Caller::Key(key) }),
    }
}

async fn authenticate_device(app: &App, access: Access, parts: &mut Parts, token: &str) -> Result<Context, Problem> {
    let path = parts.extract::<RawPathParams>().await.ok();
    let named = path.iter().flatten().find(|(name, _)| *name == "device_id").map(|(_, value)| value.to_owned());
    let (Access::Device, Some(named)) = (access, named) else {
        let detail =
            "A device token is good for `POST /v1/ingest/{device_id}` of its device. For this, use an API key.";
        return Err(Problem::forbidden("right-missing", detail));
    };
    let device = device_id(&named)?;
    let device = app.registry.authenticate_device(device, token).await?;
    Ok(Context { tenant: device.tenant, caller: Caller::Device(device) })
}

/// The device that a path or a query names.
pub fn device_id(text: &str) -> Result<DeviceId, Problem> {
    text.parse().map_err(|_| {
        let detail = format!("`{text}` is not a device id: a device id is a UUID.");
        Problem::invalid("device-id-malformed", detail)
    })
}

/// The token of `Authorization: Bearer …`.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        let detail = "The request has no credential. Send `Authorization: Bearer <device token or API key>`.";
        return Err(Problem::unauthorized("credential-missing", detail));
    };
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    token.ok_or_else(|| {
        let detail = "The Authorization header is not of the form `Bearer <token>`.";
        Problem::unauthorized("credential-malformed", detail)
    })
}
