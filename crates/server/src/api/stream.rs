//! `/v1/stream`: accepted messages as they become queryable, as server-sent events.
//!
//! Each stream is a cursor on the `normalized` topic. A client that reads slowly lags behind; it holds up nobody.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::stream::{self, Stream, StreamExt};
use model::normalized::{Normalized, NormalizedRow, Value};
use model::{DeviceId, TableKind, TenantId};
use registry::Right;
use serde_json::{Map, json};

use super::fields::Fields;
use crate::http::auth::device_id;
use crate::http::{Access, App, Context, Problem, Route};
use crate::line::PARTITION;

/// How often a quiet stream says that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/stream", Access::Key(Right::Query), follow)
            .says("Messages from now on, as server-sent events `reading` and `event`; `end` says why a stream ended.")
            .optional("device", "Only messages of this device.")
            .optional("class", "Only messages of devices of this class."),
    ]
}

/// Which messages are asked for.
struct Filter {
    tenant: TenantId,
    device: Option<DeviceId>,
    class: Option<String>,
}

impl Filter {
    fn wants(&self, table: &Normalized) -> bool {
        table.table.tenant == self.tenant && self.class.as_deref().is_none_or(|class| *table.table.class == *class)
    }
}

async fn follow(
    State(app): State<App>,
    context: Context,
    mut fields: Fields,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let device = fields.take("device")?.map(|text| device_id(&text)).transpose()?;
    let filter = Filter { tenant: context.tenant, device, class: fields.take("class")? };
    let batches = stream::unfold(Some((app.normalized.register(), filter)), async |state| {
        let (mut cursor, filter) = state?;
        match cursor.next().await {
            Ok(tables) => Some((events(&tables, &filter), Some((cursor, filter)))),
            Err(why) => Some((vec![Event::default().event("end").data(why.to_string())], None)),
        }
    });
    let events = batches.flat_map(|events| stream::iter(events.into_iter().map(Ok)));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn events(tables: &[Normalized], filter: &Filter) -> Vec<Event> {
    let mut events = Vec::new();
    for table in tables.iter().filter(|table| filter.wants(table)) {
        for row in table.rows.iter().filter(|row| filter.device.is_none_or(|device| device == row.device)) {
            events.push(event(table, row));
        }
    }
    events
}

fn event(table: &Normalized, row: &NormalizedRow) -> Event {
    let mut document = Map::new();
    document.insert("device_id".into(), json!(row.device));
    document.insert("class".into(), json!(&*table.table.class));
    document.insert("ts".into(), json!(row.ts));
    if let Some(seq) = row.seq {
        document.insert("seq".into(), json!(seq));
    }
    if let Some(boot) = row.boot {
        document.insert("boot".into(), json!(boot));
    }
    if let Some(tags) = row.tags.as_deref().and_then(parsed) {
        document.insert("tags".into(), tags);
    }
    let values = row.values.iter().map(|(at, value)| (table.columns[*at as usize].name.to_string(), value));
    let name = match table.table.kind {
        TableKind::Readings => {
            let metrics: Map<_, _> = values.map(|(name, value)| (name, shown(value))).collect();
            document.insert("metrics".into(), metrics.into());
            "reading"
        }
        TableKind::Events => {
            // The columns of an event: its type, and its data as JSON text.
            for (name, value) in values {
                let shown = match value {
                    Value::Str(text) if name == "data" => parsed(text).unwrap_or_else(|| json!(text)),
                    value => shown(value),
                };
                document.insert(name, shown);
            }
            "event"
        }
    };
    let id = model::Address { partition: PARTITION, offset: row.offset, index: row.index };
    Event::default().event(name).id(id.to_string()).data(serde_json::Value::Object(document).to_string())
}

/// JSON text of a row.
pub fn parsed(text: &str) -> Option<serde_json::Value> {
    serde_json::from_str(text).ok()
}

/// The value of a metric.
pub fn shown(value: &Value) -> serde_json::Value {
    match value {
        Value::F64(number) => json!(number),
        Value::I64(number) => json!(number),
        Value::Bool(value) => json!(value),
        Value::Str(text) => json!(text),
    }
}
