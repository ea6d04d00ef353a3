//! `GET …/events`: what a device said that is not a set of metrics.

use axum::Json;
use axum::extract::{Path, State};
use registry::Right;
use serde_json::{Value, json};
use store::{Budget, Event, EventQuery, Scope};

use super::fields::Fields;
use super::query::{self, Span, cursor};
use crate::http::auth::device_id;
use crate::http::{Access, App, Context, Problem, Route};

const EXAMPLE: &str =
    r#"{"events":[{"type":"door-opened","ts":1800000000000,"seq":10043,"data":{"door":2}}],"next":null}"#;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/devices/{device_id}/events", Access::Key(Right::Query), list)
            .says("Events of a device in the order of time.")
            .optional("type", "Only events of this type.")
            .optional("from", "Inclusive: ISO 8601, Unix milliseconds, or like -1h; an hour before `to` if absent.")
            .optional("to", "Exclusive; now if absent.")
            .optional("limit", "Events in the answer, at most 10000.")
            .optional("cursor", "`next` of the page before.")
            .answers(200, EXAMPLE),
    ]
}

async fn list(
    State(app): State<App>,
    context: Context,
    Path(device): Path<String>,
    mut fields: Fields,
) -> Result<Json<Value>, Problem> {
    let device = device_id(&device)?;
    let event_type = fields.take("type")?;
    let Span { from, to, limit, cursor: text } = Span::take(&mut fields, app.clock.now_ms())?;
    let first = text.is_none();
    let question = EventQuery {
        tenant: context.tenant,
        scope: Scope::Device(device),
        event_type,
        from,
        to,
        limit,
        cursor: cursor(text)?,
        budget: Budget::default(),
    };
    let found = query::run(&app, move |store| store.events(&question)).await?;
    if first && found.events.is_empty() {
        query::refuse_unknown_device(&app, &context, device).await?;
    }
    let events: Vec<Value> = found.events.iter().map(shown).collect();
    Ok(Json(json!({"events": events, "next": found.next.map(|next| next.to_string())})))
}

fn shown(event: &Event) -> Value {
    let mut shown = json!({"type": event.event_type.as_ref(), "ts": event.ts});
    if let Some(seq) = event.seq {
        shown["seq"] = seq.into();
    }
    if let Some(boot) = event.boot {
        shown["boot"] = boot.into();
    }
    if let Some(data) = &event.data {
        shown["data"] = serde_json::from_str(data).unwrap_or_else(|_| Value::String(data.to_string()));
    }
    shown
}
