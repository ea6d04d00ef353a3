//! Events: what a device sends that is not a set of metrics.

use std::sync::Arc;

use model::{DeviceId, Millis, TableKind, TenantId};

use super::points::Page;
use super::scan::Selection;
use super::{Budget, Cursor, Scope, SourceRead, Value};
use crate::error::Error;
use crate::store::Shared;

/// The columns of an events table (`model::TableKind::Events`).
const COLUMNS: [&str; 2] = ["type", "data"];

/// A question for events.
#[derive(Clone, Debug)]
pub struct EventQuery {
    pub tenant: TenantId,
    pub scope: Scope,
    /// Only events of this type.
    pub event_type: Option<String>,
    /// Inclusive.
    pub from: Millis,
    /// Exclusive.
    pub to: Millis,
    /// Events in the answer.
    pub limit: usize,
    pub cursor: Option<Cursor>,
    pub budget: Budget,
}

/// One event.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    pub device: DeviceId,
    pub ts: Millis,
    pub event_type: Arc<str>,
    /// JSON text, where the event has data.
    pub data: Option<Arc<str>>,
    pub seq: Option<u64>,
    pub boot: Option<u32>,
}

/// The answer: ascending by (ts, boot, seq), then by device.
#[derive(Clone, PartialEq, Debug)]
pub struct Events {
    pub events: Vec<Event>,
    pub next: Option<Cursor>,
    pub sources: Vec<SourceRead>,
}

/// See [`crate::Store::events`].
pub(crate) fn run(shared: &Shared, query: &EventQuery) -> Result<Events, Error> {
    let page = Page {
        tenant: query.tenant,
        scope: &query.scope,
        kind: TableKind::Events,
        selection: Selection::Texts(COLUMNS),
        from: query.from,
        to: query.to,
        tag: None,
        limit: query.limit,
        cursor: query.cursor,
        budget: query.budget,
    };
    let is_wanted = |value: &Option<Value>| match (&query.event_type, value) {
        (None, value) => value.is_some(),
        (Some(wanted), Some(Value::Str(found))) => **wanted == **found,
        _ => false,
    };
    let (rows, next, sources) = page.read(shared, |row| is_wanted(&row.values[0]))?;
    let events = rows.into_iter().filter_map(|row| {
        let [Some(Value::Str(event_type)), data] = row.values else { return None };
        let data = data.and_then(|data| if let Value::Str(text) = data { Some(text) } else { None });
        let (ts, boot, seq) = (row.key.ts, row.key.boot, row.key.seq);
        Some(Event { device: row.device, ts, event_type, data, seq, boot })
    });
    Ok(Events { events: events.collect(), next, sources })
}
