//! `/v1/dead-letters`: what was rejected after it was accepted, newest first.
//!
//! They are read from the `dead-letter` topic, in windows from its end. A page that had to look at many letters to find
//! few ends early, with a cursor to go on from.

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use journal::{Log, Topic};
use model::dead_letter::Entry;
use model::limits::LIST_ROWS_MAX;
use model::{Address, DeadLetter, DeviceId, ErrorKind, Millis, Offset, Reason, Source, TenantId};
use registry::Right;
use serde_json::{Value, json};

use super::fields::Fields;
use super::query::permit;
use crate::http::auth::device_id;
use crate::http::problem::sentence;
use crate::http::{Access, App, Context, Problem, Route};
use crate::line::dead_letters::{DeadLetterError, find, read};

const DEAD_LETTERS: Access = Access::Key(Right::DeadLetters);
const LETTER: &str = r#"{"id":"0-10042-0","device_id":"c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7","class":"pump","reason":"metric-type","detail":"a metric is a number, a boolean or a short string; found an array","path":"/metrics/pressure","schema_id":null,"ts":1800000000000,"topic":"raw","partition":0,"offset":10042,"payload":"eyJtZXRyaWNzIjp7InByZXNzdXJlIjpbMV19fQ=="}"#;
const LIST: &str = r#"{"dead_letters":[{"id":"0-10042-0","device_id":"c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7","class":"pump","reason":"metric-type","detail":"…","path":"/metrics/pressure","schema_id":null,"ts":1800000000000,"topic":"raw","partition":0,"offset":10042,"payload":"…"}],"next":null}"#;

/// Letters read from the topic at a time.
const WINDOW: u64 = 1000;
/// Letters that one request looks at before its page ends early.
const LOOKED_AT_MAX: u64 = 200_000;
/// Letters of a page that does not say how many.
const LIMIT_DEFAULT: usize = 100;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/dead-letters", DEAD_LETTERS, list)
            .says("Messages that were rejected after they were accepted, newest first; `payload` is base64. A page may be empty and still have a `next`.")
            .optional("device", "Only letters of this device.")
            .optional("class", "Only letters of devices of this class.")
            .optional("reason", "Only letters with this reason.")
            .optional("from", "Received at or after: ISO 8601, Unix milliseconds, or like -1h.")
            .optional("to", "Received before.")
            .optional("limit", "Letters in the answer, at most 1000; 100 if absent.")
            .optional("cursor", "`next` of the page before.")
            .answers(200, LIST),
        Route::get("/v1/dead-letters/{id}", DEAD_LETTERS, show).says("One dead letter.").answers(200, LETTER),
    ]
}

/// Which letters are asked for.
struct Filter {
    tenant: TenantId,
    device: Option<DeviceId>,
    class: Option<String>,
    reason: Option<Reason>,
    from: Option<Millis>,
    to: Option<Millis>,
}

impl Filter {
    fn wants(&self, letter: &DeadLetter) -> bool {
        let class = match &letter.source {
            Source::Device { class, .. } => Some(class.as_ref()),
            Source::Topic { .. } => None,
        };
        letter.source.tenant() == self.tenant
            && (self.device.is_none() || self.device == letter.source.device())
            && (self.class.is_none() || self.class.as_deref() == class)
            && self.reason.is_none_or(|reason| reason == letter.reason)
            && self.from.is_none_or(|from| letter.received >= from)
            && self.to.is_none_or(|to| letter.received < to)
    }
}

async fn list(State(app): State<App>, context: Context, mut fields: Fields) -> Result<Json<Value>, Problem> {
    let now = app.clock.now_ms();
    let filter = Filter {
        tenant: context.tenant,
        device: fields.take("device")?.map(|text| device_id(&text)).transpose()?,
        class: fields.take("class")?,
        reason: fields.take("reason")?.map(|text| reason(&text)).transpose()?,
        from: fields.time("from", now)?,
        to: fields.time("to", now)?,
    };
    let limit = if fields.has("limit") { fields.limit(LIST_ROWS_MAX)? } else { LIMIT_DEFAULT };
    let before = fields.take("cursor")?.map(|text| cursor(&text)).transpose()?;
    let page = read_log(&app, move |log| newest_first(log, before, limit, &filter)).await?;
    let letters: Vec<Value> = page.letters.iter().map(shown).collect();
    Ok(Json(json!({"dead_letters": letters, "next": page.next.map(|next| next.to_string())})))
}

async fn show(State(app): State<App>, context: Context, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let address: Address = id.parse().map_err(|error: model::ids::AddressError| {
        Problem::invalid("dead-letter-id-malformed", sentence(&error.to_string()))
    })?;
    let found = read_log(&app, move |log| find(log, address)).await?;
    match found.filter(|letter| letter.source.tenant() == context.tenant) {
        Some(letter) => Ok(Json(shown(&letter))),
        None => {
            let detail = format!("There is no dead letter `{id}` here; it may have been too old to be kept.");
            Err(Problem::not_found("dead-letter-unknown", detail))
        }
    }
}

/// Reads the topic on a thread of its own kind, once it is its turn.
async fn read_log<T: Send + 'static>(
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

fn newest_first(log: &Log, before: Option<Offset>, limit: usize, filter: &Filter) -> Result<Page, DeadLetterError> {
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
            if filter.wants(&letter) {
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

fn shown(letter: &DeadLetter) -> Value {
    let (device, class) = match &letter.source {
        Source::Device { device, class, .. } => (Some(*device), Some(class.as_ref())),
        Source::Topic { .. } => (None, None),
    };
    let detail = if letter.detail.is_empty() { letter.reason.sentence() } else { &letter.detail };
    json!({
        "id": letter.address.to_string(),
        "device_id": device,
        "class": class,
        "reason": letter.reason.code(),
        "detail": detail,
        "path": letter.path,
        "schema_id": letter.schema.map(|schema| schema.schema_id),
        "ts": letter.received,
        "topic": Topic::Raw.name(),
        "partition": letter.address.partition,
        "offset": letter.address.offset,
        "payload": STANDARD.encode(&letter.payload),
    })
}

fn reason(text: &str) -> Result<Reason, Problem> {
    Reason::ALL.iter().copied().find(|reason| reason.code() == text).ok_or_else(|| {
        let all = Reason::ALL.iter().map(|reason| reason.code()).collect::<Vec<_>>().join(", ");
        Problem::invalid("parameter-invalid", format!("`reason={text}` is not a reason. Reasons are: {all}."))
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
