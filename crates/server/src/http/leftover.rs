//! What a handler left unread of a request's body.
//!
//! A refusal often comes before the body was read. Were the connection closed on it at once, the client could lose the
//! answer, or find out only with its next request. So a short rest is read and dropped, and before a long one the
//! client is told that the connection ends (`Connection: close`).

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Frame, SizeHint};

/// A rest up to here is read.
const REST_BYTES_MAX: usize = 64 << 10;
/// How long the client may take to send it.
const REST_WAIT_MAX: Duration = Duration::from_secs(1);

/// A body that the handler reads, and of which the rest can be taken back.
#[derive(Clone)]
struct Shared(Arc<Mutex<Body>>);

impl Shared {
    fn take(&self) -> Body {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}

/// Answers the request and sees to what was left unread.
pub async fn finish(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let shared = Shared(Arc::new(Mutex::new(body)));
    let mut response = next.run(Request::from_parts(parts, Body::new(shared.clone()))).await;
    let rest = shared.take();
    if !rest.is_end_stream() && !drain(rest).await {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Reads the rest if it is short; false if it is not, so that the connection cannot go on. What is known to be long is
/// not even begun: a client that asked first (`Expect: 100-continue`) keeps it.
async fn drain(rest: Body) -> bool {
    if rest.size_hint().lower() > REST_BYTES_MAX as u64 {
        return false;
    }
    let rest = Limited::new(rest, REST_BYTES_MAX).collect();
    matches!(tokio::time::timeout(REST_WAIT_MAX, rest).await, Ok(Ok(_)))
}
