//! `POST /v1/dead-letters/replay`: dead letters are tried again under the rules that hold now.
//!
//! A replay appends each letter to `raw`, with its id in front, and waits until it has been derived: what became of it is an
//! entry of the topic `dead-letter`, so that it survives like the letter does. One that has passed is never tried again. A
//! dry run derives the same with a pipeline that is thrown away.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use model::dead_letter::Entry;
use model::limits::{LIST_ROWS_MAX, PAYLOAD_BYTES_MAX, REPLAY_LETTER_BYTES_MAX, REPLAY_LETTERS_MAX};
use model::{Address, DeadLetter, DeviceId, ErrorKind, GroupFlags, Offset, Replay, Source, TenantId};
use registry::{DeviceAuth, Durability};
use serde::Deserialize;
use serde_json::{Value, json};

use super::filter::{Asked, Filter};
use super::{LOOKED_AT_MAX, cursor, letter_id, read_log, settle};
use crate::http::{App, Context, JsonBody, Problem};
use crate::line::dead_letters::{find, read};
use crate::line::intake::Submission;
use crate::line::ledger::Ledger;
use crate::line::trial::try_out;

pub const BODY: &str =
    r#"{"filter":{"class":"pump","reason":"wrong-type","from":"-24h"},"dry_run":true,"limit":10000}"#;
pub const ANSWER: &str = r#"{"dry_run":true,"selected":120,"would_pass":117,"would_fail":{"out-of-range":2},"skipped":{"replayed":1},"examples":[{"id":"0-10042-0","reason":"out-of-range","path":"/metrics/pressure","detail":"…"}],"next":null}"#;

/// Payloads that go into `raw` together.
const PORTION_LETTERS: usize = 1000;
/// How long a request waits until what it has appended is derived: less than what asks waits for an answer.
const DERIVED_WAIT_MAX: Duration = Duration::from_secs(10);
/// Failures of a dry run that are shown whole.
const EXAMPLES_MAX: usize = 10;

/// The body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    ids: Option<Vec<String>>,
    filter: Option<Asked>,
    #[serde(default)]
    dry_run: bool,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// Letters to be tried, in the order in which they were received.
#[derive(Default)]
struct Selection {
    letters: Vec<DeadLetter>,
    bytes: usize,
    selected: usize,
    skipped: BTreeMap<&'static str, usize>,
    /// Where in the topic the next request goes on.
    next: Option<Offset>,
}

/// What became of them.
#[derive(Default)]
struct Outcome {
    passed: usize,
    failed: BTreeMap<&'static str, usize>,
    /// Appended, and not derived in time.
    undecided: usize,
    examples: Vec<Value>,
}

/// Letters of a device that may be tried, under the class that it has now.
type Candidates = Vec<(DeadLetter, Arc<DeviceAuth>)>;

enum Choice {
    Ids(BTreeSet<Address>),
    Filter { filter: Filter, from: Option<Offset>, limit: usize },
}

pub async fn post(
    State(app): State<App>,
    context: Context,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Value>, Problem> {
    let (dry_run, choice) = (request.dry_run, request.choice(&app, &context)?);
    let tenant = context.tenant;
    // A caller that goes away does not leave a replay behind that nobody waits for.
    let task = tokio::spawn(async move { run(&app, tenant, choice, dry_run).await });
    task.await.expect("a replay does not panic").map(Json)
}

impl Request {
    fn choice(self, app: &App, context: &Context) -> Result<Choice, Problem> {
        let most = |limit: usize, max: usize| {
            let detail = format!("`limit` is a number from 1 to {max}, not {limit}.");
            if (1..=max).contains(&limit) { Ok(limit) } else { Err(Problem::invalid("body-invalid", detail)) }
        };
        match (self.ids, self.filter) {
            (Some(ids), None) if self.limit.is_none() && self.cursor.is_none() => {
                if ids.is_empty() || ids.len() > LIST_ROWS_MAX {
                    let detail = format!("`ids` names 1 to {LIST_ROWS_MAX} dead letters; for more use `filter`.");
                    return Err(Problem::invalid("body-invalid", detail));
                }
                Ok(Choice::Ids(ids.iter().map(|id| letter_id(id)).collect::<Result<_, _>>()?))
            }
            (None, Some(asked)) => Ok(Choice::Filter {
                filter: Filter::of_body(context.tenant, asked, app.clock.now_ms())?,
                from: self.cursor.as_deref().map(cursor).transpose()?,
                limit: most(self.limit.unwrap_or(REPLAY_LETTERS_MAX), REPLAY_LETTERS_MAX)?,
            }),
            _ => {
                let detail =
                    "Give either `ids`, or `filter` with optional `limit` and `cursor`; an empty filter means all.";
                Err(Problem::invalid("body-invalid", detail))
            }
        }
    }
}

async fn run(app: &App, tenant: TenantId, choice: Choice, dry_run: bool) -> Result<Value, Problem> {
    let _one_at_a_time = if dry_run { None } else { Some(app.replaying().lock().await) };
    settle(app).await;
    let mut selection = match choice {
        Choice::Ids(ids) => by_ids(app, tenant, ids).await?,
        Choice::Filter { filter, from, limit } => by_filter(app, filter, from, limit).await?,
    };
    let candidates = admit(app, tenant, &mut selection).await?;
    let outcome = match dry_run {
        true => rehearse(app, candidates).await?,
        false => replay(app, candidates).await?,
    };
    let Selection { selected, skipped, next, .. } = selection;
    let mut answer = json!({"dry_run": dry_run, "selected": selected, "skipped": skipped,
        "next": next.map(|next| next.to_string())});
    let (passed, failed) = if dry_run { ("would_pass", "would_fail") } else { ("replayed", "failed") };
    answer[passed] = outcome.passed.into();
    answer[failed] = json!(outcome.failed);
    if dry_run {
        answer["examples"] = outcome.examples.into();
    } else {
        answer["undecided"] = outcome.undecided.into();
    }
    Ok(answer)
}

/// Tries letters of one tenant again that still wait when it is their turn. Fails if what became of them was not seen in time.
pub(crate) async fn try_again(
    app: &App,
    tenant: TenantId,
    letters: Vec<DeadLetter>,
    waits: fn(&DeadLetter, &Ledger) -> bool,
) -> Result<(), Problem> {
    let _one_at_a_time = app.replaying().lock().await;
    settle(app).await;
    let mut selection = Selection::default();
    let still = letters.into_iter().filter(|letter| waits(letter, &app.ledger));
    still.for_each(|letter| selection.add(letter, false));
    let candidates = admit(app, tenant, &mut selection).await?;
    match replay(app, candidates).await?.undecided {
        0 => Ok(()),
        _ => Err(Problem::new(ErrorKind::Unavailable, "not-derived", "What was replayed is not derived yet.")),
    }
}

impl Selection {
    fn skip(&mut self, code: &'static str) {
        *self.skipped.entry(code).or_default() += 1;
    }

    fn add(&mut self, letter: DeadLetter, passed: bool) {
        self.selected += 1;
        if passed {
            self.skip("replayed");
        } else {
            self.bytes += letter.payload.len();
            self.letters.push(letter);
        }
    }
}

async fn by_ids(app: &App, tenant: TenantId, ids: BTreeSet<Address>) -> Result<Selection, Problem> {
    let ledger = app.ledger.clone();
    read_log(app, move |log| {
        let mut selection = Selection::default();
        for id in ids {
            let found = find(log, id)?;
            match found.filter(|letter| letter.source.tenant() == tenant && letter.received >= ledger.kept_from()) {
                // What is not here may be large, too.
                Some(_) if selection.bytes > REPLAY_LETTER_BYTES_MAX => selection.skip("too-many-bytes"),
                Some(letter) => selection.add(letter, ledger.passed(id)),
                None => selection.skip("dead-letter-unknown"),
            }
        }
        Ok(selection)
    })
    .await
}

/// From the oldest on, so that the messages of a device keep their order.
async fn by_filter(app: &App, filter: Filter, from: Option<Offset>, limit: usize) -> Result<Selection, Problem> {
    let ledger = app.ledger.clone();
    read_log(app, move |log| {
        let mut selection = Selection::default();
        let mut at = from.unwrap_or(0).max(log.oldest());
        let stop = at.saturating_add(LOOKED_AT_MAX);
        while at < log.durable() {
            for (offset, entry) in read(log, at)? {
                let full = selection.letters.len() >= limit || selection.bytes > REPLAY_LETTER_BYTES_MAX;
                if full || offset >= stop {
                    selection.next = Some(offset);
                    return Ok(selection);
                }
                at = offset + 1;
                if let Entry::Letter(letter) = entry
                    && filter.wants(&letter, &ledger)
                {
                    let passed = ledger.passed(letter.address);
                    selection.add(letter, passed);
                }
            }
        }
        Ok(selection)
    })
    .await
}

/// Finds each letter's device as it is now; leaves out those that may not be tried.
async fn admit(app: &App, tenant: TenantId, selection: &mut Selection) -> Result<Candidates, Problem> {
    let letters = std::mem::take(&mut selection.letters);
    let named: BTreeSet<DeviceId> = letters.iter().filter_map(|letter| letter.source.device()).collect();
    app.registry.learn(&named.iter().copied().collect::<Vec<_>>()).await?;
    let mut devices = HashMap::with_capacity(named.len());
    for device in named {
        let found = match app.registry.device_of(tenant, device).await {
            Ok(auth) if auth.quarantined() => Err("device-quarantined"),
            Ok(auth) => Ok(auth),
            Err(error @ registry::Error::Denied(_)) => Err(error.code()),
            Err(error) => return Err(error.into()),
        };
        devices.insert(device, found);
    }
    let mut candidates = Vec::with_capacity(letters.len());
    for letter in letters {
        match letter.source.device().and_then(|device| devices.get(&device)) {
            _ if letter.payload.len() > PAYLOAD_BYTES_MAX => selection.skip("payload-too-large"),
            Some(Ok(auth)) => candidates.push((letter, auth.clone())),
            Some(Err(code)) => selection.skip(code),
            None => selection.skip("device-unknown"),
        }
    }
    Ok(candidates)
}

fn source(auth: &DeviceAuth) -> Source {
    Source::Device { tenant: auth.tenant, device: auth.device, class: auth.class.clone() }
}

async fn rehearse(app: &App, candidates: Candidates) -> Result<Outcome, Problem> {
    let stopped = || Problem::new(ErrorKind::Unavailable, "ingest-stopped", "Nothing is derived any more; see /ready.");
    let pipeline = app.trials.pipeline().await.ok_or_else(stopped)?;
    let (intake, received) = (app.intake.clone(), app.clock.now_ms());
    let outcomes = read_log(app, move |_| {
        let mut letters = Vec::with_capacity(candidates.len());
        for (letter, auth) in &candidates {
            // A table that is full has no place for the device: it cannot send either.
            if let Ok(index) = intake.devices().index_of(&source(auth), &auth.profile) {
                letters.push((index, letter));
            }
        }
        let indices: BTreeSet<_> = letters.iter().map(|(index, _)| *index).collect();
        let bindings = intake.devices().bindings(&indices.into_iter().collect::<Vec<_>>());
        Ok(try_out(pipeline, &bindings, &letters, received))
    })
    .await?;
    let mut outcome = Outcome::default();
    for replayed in outcomes {
        let Some(rejection) = replayed.rejected else {
            outcome.passed += 1;
            continue;
        };
        *outcome.failed.entry(rejection.reason.code()).or_default() += 1;
        if outcome.examples.len() < EXAMPLES_MAX {
            let (id, reason) = (replayed.origin.to_string(), rejection.reason);
            let detail = if rejection.detail.is_empty() { reason.sentence() } else { &rejection.detail };
            outcome.examples.push(json!({"id": id, "reason": reason.code(), "path": rejection.path, "detail": detail}));
        }
    }
    Ok(outcome)
}

async fn replay(app: &App, candidates: Candidates) -> Result<Outcome, Problem> {
    let count = |letter: Address| app.ledger.tries(letter).map_or(0, |tries| tries.count);
    let before: Vec<(Address, u32)> =
        candidates.iter().map(|(letter, _)| (letter.address, count(letter.address))).collect();
    let mut portion: Vec<Submission> = Vec::new();
    let mut bytes = 0;
    for (letter, auth) in candidates {
        let submission = submission(&letter, &auth);
        if bytes + submission.payload.len() > PAYLOAD_BYTES_MAX || portion.len() == PORTION_LETTERS {
            submit(app, std::mem::take(&mut portion)).await?;
            bytes = 0;
        }
        bytes += submission.payload.len();
        portion.push(submission);
    }
    submit(app, portion).await?;
    wait_derived(app, &before).await;
    let mut outcome = Outcome::default();
    for (letter, before) in before {
        match app.ledger.tries(letter).filter(|tries| tries.count > before) {
            None => outcome.undecided += 1,
            Some(tries) if tries.passed => outcome.passed += 1,
            Some(tries) => {
                let code = tries.rejected.map_or("", |reason| reason.code());
                *outcome.failed.entry(code).or_default() += 1;
            }
        }
    }
    Ok(outcome)
}

fn submission(letter: &DeadLetter, auth: &DeviceAuth) -> Submission {
    let mut payload = Vec::with_capacity(Replay::BYTES + letter.payload.len());
    Replay { origin: letter.address }.encode(&mut payload);
    payload.extend_from_slice(&letter.payload);
    Submission {
        source: source(auth),
        profile: auth.profile.clone(),
        kind: letter.kind,
        format: letter.format,
        flags: GroupFlags::REPLAYED,
        durability: Durability::Persisted,
        payload: Bytes::from(payload),
    }
}

async fn submit(app: &App, portion: Vec<Submission>) -> Result<(), Problem> {
    if portion.is_empty() { Ok(()) } else { Ok(app.intake.submit(portion).await?) }
}

/// Waits until each of the letters was tried more often than before.
async fn wait_derived(app: &App, before: &[(Address, u32)]) {
    let mut progress = app.ledger.progress();
    let mut decided = 0;
    let all = async {
        loop {
            let tried =
                |(letter, count): &&(Address, u32)| app.ledger.tries(*letter).is_some_and(|tries| tries.count > *count);
            // They are derived in order.
            decided += before[decided..].iter().take_while(tried).count();
            if decided == before.len() || progress.changed().await.is_err() {
                return;
            }
        }
    };
    if tokio::time::timeout(DERIVED_WAIT_MAX, all).await.is_err() {
        tracing::warn!("replayed dead letters were not derived in time; what becomes of them is seen later");
    }
}
