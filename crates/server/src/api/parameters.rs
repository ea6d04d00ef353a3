//! Query parameters, and which tenant a request is about.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use model::TenantId;
use registry::{Error, Paging, Resource, TenantRef};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::http::problem::sentence;
use crate::http::{App, Caller, Context, Problem};

/// The query string as a value; what does not fit is a problem document.
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(value)) => Ok(Self(value)),
            Err(error) => Err(Problem::invalid("parameter-invalid", sentence(&error.body_text()))),
        }
    }
}

/// The parameters of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    cursor: Option<String>,
    limit: Option<usize>,
}

impl Listing {
    pub fn paging(&self) -> Paging {
        Paging { cursor: self.cursor.clone(), limit: self.limit }
    }
}

/// The tenant that an administrator's request is about: its own, or with the operator's key any that is named by name
/// or id. For everybody else other tenants do not exist.
pub async fn tenant_of(app: &App, context: &Context, named: Option<&str>) -> Result<TenantId, Problem> {
    let Some(named) = named else { return Ok(context.tenant) };
    let reference = TenantRef::from(named);
    let unknown = || Problem::from(Error::NotFound { what: Resource::Tenant, name: named.to_owned() });
    let operator = matches!(&context.caller, Caller::Key(key) if key.operator);
    let found = app.registry.tenant(&reference).await?.tenant_id;
    if operator || found == context.tenant { Ok(found) } else { Err(unknown()) }
}
