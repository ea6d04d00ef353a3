//! What all queries share: which rows are meant, how long one may take, and how many run at once.

use std::sync::Arc;

use axum::http::StatusCode;
use model::limits::{LIST_ROWS_MAX, QUERY_POINTS_MAX, QUERY_WAIT_MAX};
use model::{DeviceId, ErrorKind, Millis, ValueKind};
use store::{Scope, Store};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::fields::Fields;
use crate::http::auth::device_id;
use crate::http::problem::sentence;
use crate::http::{App, Context, Problem};

/// How far back a query looks that does not say.
const SPAN_DEFAULT_MS: i64 = 3_600_000;

/// The parameters that every query over time has.
pub struct Span {
    /// Inclusive.
    pub from: Millis,
    /// Exclusive.
    pub to: Millis,
    pub limit: usize,
    pub cursor: Option<String>,
}

impl Span {
    pub fn take(fields: &mut Fields, now: Millis) -> Result<Self, Problem> {
        let to = fields.time("to", now)?;
        let from = fields.time("from", now)?;
        let to = to.unwrap_or(now);
        let from = from.unwrap_or(to.saturating_sub(SPAN_DEFAULT_MS));
        if from > to {
            return Err(Problem::invalid("time-invalid", "`from` is after `to`: exchange them."));
        }
        Ok(Self { from, to, limit: fields.limit(QUERY_POINTS_MAX)?, cursor: fields.take("cursor")? })
    }
}

/// The cursor of a query, read.
pub fn cursor<T: std::str::FromStr<Err = store::Error>>(text: Option<String>) -> Result<Option<T>, Problem> {
    Ok(text.map(|text| text.parse()).transpose()?)
}

/// The parameter `type`.
pub fn value_kind(fields: &mut Fields) -> Result<Option<ValueKind>, Problem> {
    const ALL: [ValueKind; 4] = [ValueKind::F64, ValueKind::I64, ValueKind::Bool, ValueKind::Str];
    let Some(text) = fields.take("type")? else { return Ok(None) };
    let kind = ALL.into_iter().find(|kind| kind.name() == text);
    kind.map(Some).ok_or_else(|| {
        let detail = format!("`type={text}` is not a type: choose double, long, boolean or string.");
        Problem::invalid("parameter-invalid", detail)
    })
}

/// The parameter `device`: ids with commas between.
pub fn devices(fields: &mut Fields) -> Result<Option<Vec<DeviceId>>, Problem> {
    let Some(text) = fields.take("device")? else { return Ok(None) };
    let devices = text.split(',').map(|id| device_id(id.trim())).collect::<Result<Vec<_>, _>>()?;
    if devices.len() > LIST_ROWS_MAX {
        let detail = format!("`device` names {} devices, at most {LIST_ROWS_MAX} are answered at once.", devices.len());
        return Err(Problem::invalid("parameter-invalid", detail));
    }
    Ok(Some(devices))
}

/// Runs a query on a thread of its own kind, once it is its turn.
pub async fn run<T: Send + 'static>(
    app: &App,
    query: impl FnOnce(&Store) -> Result<T, store::Error> + Send + 'static,
) -> Result<T, Problem> {
    let permit = permit(app.queries()).await?;
    let store = app.store.clone();
    // The permit goes along: a caller that goes away does not let another query in before this one has ended.
    let task = tokio::task::spawn_blocking(move || {
        let answer = query(&store);
        drop(permit);
        answer
    });
    match task.await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Problem::new(ErrorKind::Internal, "internal", "The query failed in a way that it should not.")),
    }
}

/// A turn among the queries that run at once.
pub async fn permit(queries: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
    match tokio::time::timeout(QUERY_WAIT_MAX / 2, queries.clone().acquire_owned()).await {
        Ok(permit) => Ok(permit.expect("the semaphore is never closed")),
        Err(_) => {
            let detail =
                "Too many queries are running; this one did not get its turn. Try again, or narrow the others.";
            Err(Problem::new(ErrorKind::Limited, "queries-busy", detail))
        }
    }
}

/// For an answer without rows: whether there is such a device at all. A deleted one's readings can still be asked for.
pub async fn refuse_unknown_device(app: &App, context: &Context, device: DeviceId) -> Result<(), Problem> {
    app.registry.device(context.tenant, device).await?;
    Ok(())
}

/// For an answer without rows: whether there is at all what the question was about.
pub async fn refuse_unknown(app: &App, context: &Context, scope: &Scope) -> Result<(), Problem> {
    match scope {
        Scope::Class(class) | Scope::DevicesOfClass(class, _) => {
            app.registry.class(context.tenant, class).await?;
        }
        Scope::Device(device) => refuse_unknown_device(app, context, *device).await?,
        Scope::Devices(devices) => {
            for device in devices {
                refuse_unknown_device(app, context, *device).await?;
            }
        }
    }
    Ok(())
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        let detail = sentence(&error.to_string());
        match error {
            store::Error::Query(_) => Self::new(error.kind(), "query-invalid", detail),
            // Trying the same again would not help.
            store::Error::Budget { .. } => {
                Self::new(ErrorKind::Invalid, "query-too-large", detail).status(StatusCode::UNPROCESSABLE_ENTITY)
            }
            store::Error::Disk { .. } | store::Error::Closed => Self::new(error.kind(), "store-unavailable", detail),
            store::Error::Corrupt { .. } | store::Error::Version { .. } => {
                Self::new(error.kind(), "store-damaged", detail)
            }
            store::Error::HeadFull => Self::new(error.kind(), "store-busy", detail),
            store::Error::Unbound(_) => Self::new(error.kind(), "internal", detail),
        }
    }
}
