//! `POST /v1/ingest`: messages of many devices in one body, for field gateways and bridges.
//!
//! Each item is a message with a `device_id`, which is taken out before the message is journaled. An item that cannot be
//! taken is refused by its index, and does not hold up the others.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use model::limits::PAYLOAD_BYTES_MAX;
use model::{DeviceId, Format, PayloadKind};
use registry::DeviceAuth;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::json;
use serde_json::value::RawValue;

use super::{Answer, PAYLOADS_PER_REQUEST_MAX, Sender, Shape, refuse_at_quota, split, submit, too_many};
use crate::http::body::{Inflated, media_type, read_inflated};
use crate::http::{App, Context, Problem, ndjson};

/// An item: whose it is, and the message without its `device_id`; or the code that it is refused with.
pub type Item = Result<(DeviceId, Bytes), &'static str>;

pub async fn post(State(app): State<App>, context: Context, headers: HeaderMap, body: Body) -> Answer {
    refuse_at_quota(&app, context.tenant)?;
    let shape = Shape::of(&media_type(&headers), None)?;
    let Inflated { bytes, turn } = read_inflated(&app, &headers, body).await?;
    let items = tokio::task::spawn_blocking(move || read(shape, &bytes)).await;
    let items = items.expect("reading items does not panic")?;
    let named: Vec<DeviceId> = items.iter().flatten().map(|(id, _)| *id).collect();
    app.registry.learn(&named).await?;
    let mut devices: HashMap<DeviceId, Result<Arc<DeviceAuth>, &'static str>> = HashMap::new();
    let (mut submissions, mut refused) = (Vec::new(), Vec::new());
    for (index, item) in items.into_iter().enumerate() {
        let code = match item {
            Err(code) => code,
            Ok((id, payload)) => {
                let device = match devices.entry(id) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(unknown) => unknown.insert(look_up(&app, &context, id).await?),
                };
                match device {
                    Err(code) => *code,
                    Ok(device) => {
                        submissions.push(Sender::of(device).submission(PayloadKind::Data, Format::Json, payload));
                        continue;
                    }
                }
            }
        };
        refused.push(json!({"index": index, "code": code}));
    }
    let accepted = submissions.len();
    if accepted == 0 && !refused.is_empty() {
        let detail = "None of the items was accepted; `refused` says why for each.";
        return Err(Problem::invalid("nothing-accepted", detail).with("refused", refused));
    }
    let known: Vec<DeviceId> = devices.iter().filter(|(_, found)| found.is_ok()).map(|(id, _)| *id).collect();
    submit(&app, submissions, &known).await?;
    drop(turn);
    Ok((StatusCode::ACCEPTED, Json(json!({"accepted": accepted, "refused": refused}))))
}

/// The device, or the code to refuse its items with; fails only if nothing can be said at all.
async fn look_up(app: &App, context: &Context, id: DeviceId) -> Result<Result<Arc<DeviceAuth>, &'static str>, Problem> {
    match app.registry.device_of(context.tenant, id).await {
        Ok(device) => Ok(Ok(device)),
        Err(error @ registry::Error::Denied(_)) => Ok(Err(error.code())),
        Err(error) => Err(error.into()),
    }
}

fn read(shape: Shape, body: &Bytes) -> Result<Vec<Item>, Problem> {
    let mut items = Vec::new();
    // One more than a request may bring says that there are too many.
    let mut add = |text: &[u8]| {
        if items.len() <= PAYLOADS_PER_REQUEST_MAX {
            items.push(item(text));
        }
    };
    match shape {
        Shape::Lines => ndjson::lines(body).for_each(|(_, line)| add(&line)),
        Shape::Whole(Format::Json) => {
            pipeline::elements(Format::Json, body, add).map_err(|error| split::malformed(Format::Json, body, &error))?
        }
        Shape::Whole(_) => {
            let detail = "Messages of many devices in one body are JSON or newline-delimited JSON.";
            let problem = Problem::invalid("media-type-unsupported", detail);
            return Err(problem.status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
    }
    if items.len() > PAYLOADS_PER_REQUEST_MAX { Err(too_many()) } else { Ok(items) }
}

/// Reads one item.
pub fn item(text: &[u8]) -> Item {
    let Members(members) = serde_json::from_slice(text).map_err(|_| "not-well-formed")?;
    let mut ids = members.iter().filter(|(name, _)| name == "device_id").map(|(_, value)| value.get());
    let id = ids.next().ok_or("device-id-missing")?;
    if ids.next().is_some() {
        return Err("duplicate-field");
    }
    let id: String = serde_json::from_str(id).map_err(|_| "device-id-malformed")?;
    let id = id.parse().map_err(|_| "device-id-malformed")?;
    let message = without_id(&members);
    if message.len() > PAYLOAD_BYTES_MAX { Err("payload-too-large") } else { Ok((id, message.into())) }
}

/// The object again, every other member's value byte for byte as it was.
fn without_id(members: &[(String, &RawValue)]) -> Vec<u8> {
    let mut out = vec![b'{'];
    for (name, value) in members.iter().filter(|(name, _)| name != "device_id") {
        if out.len() > 1 {
            out.push(b',');
        }
        serde_json::to_writer(&mut out, name).expect("a string is JSON and a Vec takes it");
        out.push(b':');
        out.extend_from_slice(value.get().as_bytes());
    }
    out.push(b'}');
    out
}

/// An object's members in order, values as they stand in the text; a name may come twice.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}
