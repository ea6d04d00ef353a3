//! The route table: one entry says how a route is called, who may call it, what it takes and what it answers.
//!
//! The router, the authorization of every request and `/openapi.json` are all made from this table, so that none of
//! them can drift from the others.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, Request};
use axum::handler::Handler;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::routing::{MethodFilter, MethodRouter, on};

use crate::http::App;
use crate::http::auth::{self, Access};
use crate::http::problem::Problem;

/// One route.
pub struct Route {
    /// `GET`, `POST`, …
    pub method: Method,
    /// The path with `{parameters}`.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// One sentence for the API's description.
    pub summary: &'static str,
    /// Query parameters.
    pub parameters: Vec<Parameter>,
    /// An example of the body, as JSON; `None` if the route takes none.
    pub body: Option<&'static str>,
    /// The status of success, and an example of its answer as JSON (empty: no body).
    pub answer: (u16, &'static str),
    handler: MethodRouter<App>,
}

/// One query parameter.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    pub name: &'static str,
    pub says: &'static str,
    pub required: bool,
}

impl Parameter {
    /// Whether a query's field is this parameter. `tag.NAME` stands for every name.
    fn is_meant_by(&self, field: &str) -> bool {
        match self.name.strip_suffix("NAME") {
            Some(prefix) => field.starts_with(prefix),
            None => field == self.name,
        }
    }
}

impl Route {
    /// A route without description, parameters and body, that answers 200.
    pub fn new<H, T>(method: Method, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).expect("routes use the standard methods");
        let (summary, parameters, answer) = ("", Vec::new(), (200, ""));
        Self { method, path, access, summary, parameters, body: None, answer, handler: on(filter, handler) }
    }

    pub fn get<H: Handler<T, App>, T: 'static>(path: &'static str, access: Access, handler: H) -> Self {
        Self::new(Method::GET, path, access, handler)
    }

    pub fn post<H: Handler<T, App>, T: 'static>(path: &'static str, access: Access, handler: H) -> Self {
        Self::new(Method::POST, path, access, handler)
    }

    pub fn patch<H: Handler<T, App>, T: 'static>(path: &'static str, access: Access, handler: H) -> Self {
        Self::new(Method::PATCH, path, access, handler)
    }

    pub fn delete<H: Handler<T, App>, T: 'static>(path: &'static str, access: Access, handler: H) -> Self {
        Self::new(Method::DELETE, path, access, handler)
    }

    /// What the route does, in one sentence.
    pub fn says(mut self, summary: &'static str) -> Self {
        self.summary = summary;
        self
    }

    /// Adds an optional query parameter.
    pub fn optional(mut self, name: &'static str, says: &'static str) -> Self {
        self.parameters.push(Parameter { name, says, required: false });
        self
    }

    /// Adds a query parameter that must be given.
    pub fn required(mut self, name: &'static str, says: &'static str) -> Self {
        self.parameters.push(Parameter { name, says, required: true });
        self
    }

    /// The body that it takes, by example (JSON).
    pub fn takes(mut self, example: &'static str) -> Self {
        self.body = Some(example);
        self
    }

    /// The status and the body of success, by example (JSON; empty for no body).
    pub fn answers(mut self, status: u16, example: &'static str) -> Self {
        self.answer = (status, example);
        self
    }
}

/// The router of these routes. Each request is authorized, and its query checked against the table, before its handler
/// runs and before its body is read; paths and methods that are not in the table are answered with problem documents.
pub fn router(routes: Vec<Route>, app: App) -> Router {
    let mut router = Router::new();
    for route in routes {
        let (app, access, parameters) = (app.clone(), route.access, Arc::<[Parameter]>::from(route.parameters));
        let guard = middleware::from_fn(move |request: Request, next: Next| {
            let (app, parameters) = (app.clone(), parameters.clone());
            async move {
                let request = auth::authorize(&app, access, request).await?;
                refuse_unknown(&parameters, request.uri())?;
                Ok::<_, Problem>(next.run(request).await)
            }
        });
        router = router.route(route.path, route.handler.layer(guard));
    }
    router.fallback(no_such_path).method_not_allowed_fallback(no_such_method).with_state(app)
}

/// A parameter that nobody reads is a mistake of the caller, not noise: `to=` for `tenant=` would be answered wrongly.
fn refuse_unknown(parameters: &[Parameter], uri: &Uri) -> Result<(), Problem> {
    let Ok(Query(given)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else {
        return Err(Problem::invalid("parameter-invalid", "The query string cannot be read: escape it (RFC 3986)."));
    };
    let Some((name, _)) =
        given.iter().find(|(name, _)| !parameters.iter().any(|parameter| parameter.is_meant_by(name)))
    else {
        return Ok(());
    };
    let takes = match parameters.iter().map(|parameter| parameter.name).collect::<Vec<_>>().join(", ") {
        names if names.is_empty() => "It takes none.".to_owned(),
        names => format!("It takes: {names}."),
    };
    Err(Problem::invalid("parameter-unknown", format!("`{name}` is not a parameter of `{}`. {takes}", uri.path())))
}

async fn no_such_path(request: Request) -> Problem {
    let path = request.uri().path();
    Problem::not_found("path-unknown", format!("There is no `{path}` here. `/openapi.json` lists every path."))
}

async fn no_such_method(request: Request) -> Problem {
    let (method, path) = (request.method(), request.uri().path());
    let detail = format!("`{path}` does not take {method}. `/openapi.json` lists what it takes.");
    Problem::invalid("method-not-allowed", detail).status(StatusCode::METHOD_NOT_ALLOWED)
}
