//! `/v1/dead-letters`: what was rejected after it was accepted, newest first, and another try.
//!
//! They are read from the `dead-letter` topic, in windows from its end. A page that had to look at many letters to find
//! few ends early, with a cursor to go on from.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use journal::{Log, Topic};
use model::dead_letter::Entry;
use model::limits::LIST_ROWS_MAX;
use model::{Address, DeadLetter, ErrorKind, Format, Offset, PayloadKind, Reason, Replayed, Source};
use registry::Right;
use serde_json::{Value, json};

use self::filter::Filter;
use super::fields::Fields;
use super::query::permit;
use crate::http::problem::sentence;
use crate::http::{Access, App, Context, Problem, Route};
use crate::line::dead_letters::{DeadLetterError, entry, find, read};
use crate::line::ledger::Tries;

mod filter;
mod replay;

pub(crate) use replay::try_again;

const DEAD_LETTERS: Access = Access::Key(Right::DeadLetters);
const LETTER: &str = r#"{"id":"0-10042-0","device_id":"c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7","class":"pump","reason":"metric-type","sentence":"A metric is a number, a boolean or a short string.","detail":"a metric is a number, a boolean or a short string; found an array","path":"/metrics/pressure","schema_id":null,"schema_version":null,"kind":"data","format":"json","ts":1800000000000,"topic":"raw","partition":0,"offset":10042,"mqtt_topic":"tenant/0b2f6c1e-9d0a-4c55-8a43-3f1f5b6f0c11/device/c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7/data","state":"pending","tries":1,"last_try":{"at":1800000060000,"reason":"metric-type","path":"/metrics/pressure","detail":"…"},"payload":"eyJtZXRyaWNzIjp7InByZXNzdXJlIjpbMV19fQ=="}"#;
const LIST: &str = r#"{"dead_letters":[{"id":"0-10042-0","device_id":"c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7","class":"pump","reason":"metric-type","sentence":"A metric is a number, a boolean or a short string.","detail":"a metric is a number, a boolean or a short string; found an array","path":"/metrics/pressure","schema_id":null,"schema_version":null,"kind":"data","format":"json","ts":1800000000000,"topic":"raw","partition":0,"offset":10042,"mqtt_topic":"tenant/0b2f6c1e-9d0a-4c55-8a43-3f1f5b6f0c11/device/c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7/data","state":"pending","tries":1,"last_try":{"at":1800000060000,"reason":"metric-type"},"payload":"eyJtZXRyaWNzIjp7InByZXNzdXJlIjpbMV19fQ=="}],"next":null}"#;

/// Letters read from the topic at a time.
const WINDOW: u64 = 1000;
/// Letters that one request looks at before its page ends early.
const LOOKED_AT_MAX: u64 = 200_000;
/// Letters of a page that does not say how many.
const LIMIT_DEFAULT: usize = 100;
/// How long an answer waits for what is known of tries; after a start the log is read once.
const SETTLED_WAIT_MAX: Duration = Duration::from_secs(5);

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/dead-letters", DEAD_LETTERS, list)
            .says("Messages that were rejected after they were accepted, newest first; `payload` is base64. A page may be empty and still have a `next`.")
            .optional("device", "Only letters of this device.")
            .optional("class", "Only letters of devices of this class.")
            .optional("reason", "Only letters with this reason.")
            .optional("schema_id", "Only letters that were read under this schema.")
            .optional("state", "pending (not replayed, or rejected again), replayed, or all; all if absent.")
            .optional("from", "Received at or after: ISO 8601, Unix milliseconds, or like -1h.")
            .optional("to", "Received before.")
            .optional("limit", "Letters in the answer, at most 1000; 100 if absent.")
            .optional("cursor", "`next` of the page before.")
            .answers(200, LIST),
        Route::get("/v1/dead-letters/{id}", DEAD_LETTERS, show)
            .says("One dead letter; `last_try` says why it was rejected again, if it was.")
            .answers(200, LETTER),
        Route::post("/v1/dead-letters/replay", DEAD_LETTERS, replay::post)
            .says("Tries dead letters again, by `ids` or by `filter` (device, class, reason, schema_id, from, to; empty: all), the oldest first, under the rules that hold now. With `dry_run` it says how many would pass. One that has passed is skipped, so that it may be repeated. `next` is the `cursor` to go on from.")
            .takes(replay::BODY)
            .answers(200, replay::ANSWER),
    ]
}

async fn list(State(app): State<App>, context: Context, mut fields: Fields) -> Result<Json<Value>, Problem> {
    let now = app.clock.now_ms();
    let filter = Filter::of_query(context.tenant, &mut fields, now)?;
    let state = filter::State::of_query(&mut fields)?;
    let limit = if fields.has("limit") { fields.limit(LIST_ROWS_MAX)? } else { LIMIT_DEFAULT };
    let before = fields.take("cursor")?.map(|text| cursor(&text)).transpose()?;
    settle(&app).await;
    let ledger = app.ledger.clone();
    let wanted = move |letter: &DeadLetter| filter.wants(letter, &ledger) && state.wants(letter, &ledger);
    let page = read_log(&app, move |log| newest_first(log, before, limit, wanted)).await?;
    let shown = |letter: &DeadLetter| shown(letter, app.ledger.tries(letter.address));
    let letters: Vec<Value> = page.letters.iter().map(shown).collect();
    Ok(Json(json!({"dead_letters": letters, "next": page.next.map(|next| next.to_string())})))
}

async fn show(State(app): State<App>, context: Context, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let address = letter_id(&id)?;
    settle(&app).await;
    let tries = app.ledger.tries(address);
    let found = read_log(&app, move |log| {
        let last = tries.map(|tries| entry(log, tries.offset)).transpose()?.flatten();
        Ok(find(log, address)?.map(|letter| (letter, last)))
    });
    let kept =
        |letter: &DeadLetter| letter.source.tenant() == context.tenant && letter.received >= app.ledger.kept_from();
    let Some((letter, last)) = found.await?.filter(|(letter, _)| kept(letter)) else {
        let detail = format!("There is no dead letter `{id}` here; it may have been too old to be kept.");
        return Err(Problem::not_found("dead-letter-unknown", detail));
    };
    let mut document = shown(&letter, tries);
    if let Some(Entry::Replayed(Replayed { rejected: Some(rejection), .. })) = last {
        document["last_try"]["path"] = rejection.path.into();
        document["last_try"]["detail"] = detail(rejection.reason, &rejection.detail).into();
    }
    Ok(Json(document))
}

/// Waits a moment until it is known what became of the letters that were tried so far.
pub(crate) async fn settle(app: &App) {
    if !app.ledger.wait_reached(app.dead_letters.durable(), SETTLED_WAIT_MAX).await {
        tracing::warn!("the dead letters are still being read: which of them were replayed is not wholly known");
    }
}

/// Reads the topic on a thread of its own kind, once it is its turn.
pub(crate) async fn read_log<T: Send + 'static>(
    app: &App,
    read: impl FnOnce(&Log) -> Result<T, DeadLetterError> + Send + 'static,
) -> Result<T, Problem> {
    let permit = permit(app.queries()).await?;
    let log = app.dead_letters.clone();
    let task = tokio::task::spawn_blocking(move || {
        let answer = read(&log);
        drop(permit);
        answer
    });
    Ok(task.await.expect("reading dead letters does not panic")?)
}

/// Letters, and where to go on.
struct Page {
    letters: Vec<DeadLetter>,
    /// The offset before which the next page begins.
    next: Option<Offset>,
}

fn newest_first(
    log: &Log,
    before: Option<Offset>,
    limit: usize,
    wanted: impl Fn(&DeadLetter) -> bool,
) -> Result<Page, DeadLetterError> {
    let mut page = Page { letters: Vec::new(), next: None };
    let mut end = before.unwrap_or(Offset::MAX).min(log.durable());
    let stop = end.saturating_sub(LOOKED_AT_MAX);
    while end > log.oldest() {
        if end <= stop {
            page.next = Some(end);
            return Ok(page);
        }
        let start = end.saturating_sub(WINDOW).max(log.oldest());
        for (offset, entry) in window(log, start, end)?.into_iter().rev() {
            let Entry::Letter(letter) = entry else { continue };
            if page.letters.len() == limit {
                page.next = Some(offset + 1);
                return Ok(page);
            }
            if wanted(&letter) {
                page.letters.push(letter);
            }
        }
        end = start;
    }
    Ok(page)
}

/// The entries at the offsets from `start` to `end`, exclusive.
fn window(log: &Log, start: Offset, end: Offset) -> Result<Vec<(Offset, Entry)>, DeadLetterError> {
    let mut entries = Vec::new();
    let mut from = start;
    while from < end {
        let part = read(log, from)?;
        let Some((last, _)) = part.last() else { break };
        from = last + 1;
        entries.extend(part.into_iter().filter(|(offset, _)| *offset < end));
    }
    Ok(entries)
}

/// A letter as it is shown, with what is known of its tries.
fn shown(letter: &DeadLetter, tries: Option<Tries>) -> Value {
    let (device, class) = match &letter.source {
        Source::Device { device, class, .. } => (Some(*device), Some(class.as_ref())),
        Source::Topic { .. } => (None, None),
    };
    let passed = tries.is_some_and(|tries| tries.passed);
    let last_try = tries.map(|tries| json!({"at": tries.at, "reason": tries.rejected.map(|reason| reason.code())}));
    json!({
        "id": letter.address.to_string(),
        "device_id": device,
        "class": class,
        "reason": letter.reason.code(),
        "sentence": letter.reason.sentence(),
        "detail": detail(letter.reason, &letter.detail),
        "path": letter.path,
        "schema_id": letter.schema.map(|schema| schema.schema_id),
        "schema_version": letter.schema.map(|schema| schema.version),
        "kind": kind(letter.kind),
        "format": format(letter.format),
        "ts": letter.received,
        "topic": Topic::Raw.name(),
        "partition": letter.address.partition,
        "offset": letter.address.offset,
        "mqtt_topic": mqtt_topic(letter),
        "state": if passed { "replayed" } else { "pending" },
        "tries": tries.map_or(0, |tries| tries.count),
        "last_try": last_try,
        "payload": STANDARD.encode(&letter.payload),
    })
}

/// The particulars, or what the reason says where there are none.
fn detail(reason: Reason, detail: &str) -> &str {
    if detail.is_empty() { reason.sentence() } else { detail }
}

fn kind(kind: PayloadKind) -> &'static str {
    match kind {
        PayloadKind::Data => "data",
        PayloadKind::Events => "events",
        PayloadKind::Free => "free",
    }
}

fn format(format: Format) -> &'static str {
    match format {
        Format::Json => "json",
        Format::MessagePack => "msgpack",
        Format::Cbor => "cbor",
        Format::Avro => "avro",
        Format::Protobuf => "protobuf",
    }
}

/// The topic that the message has over MQTT, whichever way it came.
fn mqtt_topic(letter: &DeadLetter) -> String {
    match &letter.source {
        Source::Device { tenant, device, .. } => format!("tenant/{tenant}/device/{device}/{}", kind(letter.kind)),
        Source::Topic { topic, .. } => topic.to_string(),
    }
}

fn letter_id(text: &str) -> Result<Address, Problem> {
    text.parse().map_err(|error: model::ids::AddressError| {
        Problem::invalid("dead-letter-id-malformed", sentence(&error.to_string()))
    })
}

fn cursor(text: &str) -> Result<Offset, Problem> {
    text.parse().map_err(|_| {
        Problem::invalid("query-invalid", format!("`{text}` is not a cursor: take `next` of the page before."))
    })
}

impl From<DeadLetterError> for Problem {
    fn from(error: DeadLetterError) -> Self {
        let detail = sentence(&error.to_string());
        match error {
            DeadLetterError::Journal(error) => Self::new(error.kind(), "dead-letters-unavailable", detail),
            DeadLetterError::Layout(..) => Self::new(ErrorKind::Corrupt, "dead-letters-damaged", detail),
        }
    }
}
