//! Serving a router on a socket: bounded connections, bounded patience with clients, and an end that finishes what was
//! begun.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use model::limits::{HTTP_CONNECTIONS_MAX, HTTP_HEADER_WAIT_MAX, HTTP_REQUEST_WAIT_MAX};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt;

use crate::gateway::sockets::ACCEPT_ADVICE;
use crate::http::App;
use crate::http::problem::Problem;

/// How long requests in flight may take to finish once the server ends.
const DRAIN_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long accepting pauses when the kernel has no descriptor left: connections that end free some.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// What is counted of a listener's connections.
#[derive(Clone, Debug, Default)]
pub struct Connections {
    pub open: Gauge,
    pub accept_failures: Counter,
}

/// Serves until `stop` becomes true (or its sender goes), then lets requests in flight finish.
pub async fn serve(listener: TcpListener, router: Router, counts: Connections, mut stop: watch::Receiver<bool>) {
    let mut failing = false;
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &slots) => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, slot)) => {
                failing = false;
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HTTP_HEADER_WAIT_MAX)
                    .serve_connection(TokioIo::new(stream), service(router.clone()));
                let connection = graceful.watch(connection);
                let counted = Counted::new(counts.open.clone());
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "an HTTP connection ended early");
                    }
                    drop((counted, slot));
                });
            }
            Err(error) => {
                counts.accept_failures.inc();
                if !std::mem::replace(&mut failing, true) {
                    tracing::error!(%error, "HTTP connections cannot be accepted; {}", ACCEPT_ADVICE);
                }
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_WAIT_MAX, graceful.shutdown()).await.is_err() {
        tracing::warn!("some HTTP requests did not finish in time and were cut off unanswered");
    }
}

/// The next connection, once there is a slot for it; until then the kernel's queue holds it.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, slot))
}

fn service(
    router: Router,
) -> impl hyper::service::Service<
    hyper::Request<Incoming>,
    Response = Response,
    Error = Infallible,
    Future = impl Future<Output = Result<Response, Infallible>>,
> {
    hyper::service::service_fn(move |request: hyper::Request<Incoming>| router.clone().oneshot(request.map(Body::new)))
}

/// Counts a connection for as long as it lives.
struct Counted(Gauge);

impl Counted {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Bounds how long a request may take, and counts it by its route.
pub async fn bound_and_count(State(app): State<App>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = match tokio::time::timeout(HTTP_REQUEST_WAIT_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let seconds = HTTP_REQUEST_WAIT_MAX.as_secs();
            let detail = format!("The request took longer than {seconds} s and was given up: nothing is acknowledged.");
            let problem = Problem::new(model::ErrorKind::Unavailable, "request-timeout", detail);
            problem.status(StatusCode::SERVICE_UNAVAILABLE).into_response()
        }
    };
    app.metrics.request(route.as_ref().map_or("none", |route| route.as_str()), response.status().as_u16());
    response
}
