//! Dead letters that wait for the external registry: found in the log, looked up, tried again.
//!
//! It is a cursor on the topic `dead-letter`: what waits is read from there a portion at a time, so that a long outage costs no
//! memory. Whether a letter waits is what the log says of it: it was rejected last as `schema-unavailable`. So one that was tried
//! before a crash is not tried twice, and one that was not is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use journal::Log;
use model::dead_letter::{Entry, Replayed};
use model::{Address, DeadLetter, Offset, Reason, TenantId};

use super::{External, ExternalError};
use crate::api::dead_letters::{read_log, settle, try_again};
use crate::http::{App, Problem};
use crate::line::dead_letters::{DeadLetterError, find, read};
use crate::line::ledger::Ledger;

/// Letters of one portion, and about how many bytes they may have.
const PORTION_LETTERS: usize = 1000;
const PORTION_BYTES: usize = 8 << 20;
/// Entries that one portion looks at.
const LOOKED_AT_MAX: u64 = 50_000;
/// Ids of one tenant that are asked for in a period: any device can make one up.
const LOOK_UPS_MAX: u32 = 1_000;
/// Ids of a portion that the registry may fail on while it answers otherwise.
const FAILURES_MAX: u32 = 3;
/// How often a letter is tried; then its ids are told of and forgotten again and again, and somebody has to look at it.
const TRIES_MAX: u32 = 100;

/// The cursor.
#[derive(Debug, Default)]
pub struct Waiting {
    position: Offset,
    /// The first of the letters behind the position that still wait.
    left: Option<Offset>,
    /// Ids asked for since the cursor was set back.
    asked: HashMap<TenantId, u32>,
}

/// Why a portion ended early; the cursor has not moved.
#[derive(Debug)]
pub enum Interrupted {
    External(ExternalError),
    Letters(Problem),
}

/// A stretch of the log.
struct Portion {
    /// By their addresses, each with its place in the log.
    letters: BTreeMap<Address, (Offset, DeadLetter)>,
    /// Where the next one begins.
    next: Offset,
}

impl Waiting {
    /// Looks again at what was left behind, from now on.
    pub fn set_back(&mut self) {
        self.position = self.left.take().unwrap_or(self.position).min(self.position);
        self.asked.clear();
    }

    /// Deals with the next portion; whether there is more.
    pub async fn pass(&mut self, app: &App, external: &External) -> Result<bool, Interrupted> {
        settle(app).await;
        let (ledger, from) = (app.ledger.clone(), self.position);
        let portion = read_log(app, move |log| portion(log, &ledger, from)).await.map_err(Interrupted::Letters)?;
        let undecided = self.look_up(external, &portion).await.map_err(Interrupted::External)?;
        let mut left = self.left;
        let mut of_tenants: BTreeMap<TenantId, (Offset, Vec<DeadLetter>)> = BTreeMap::new();
        for (offset, letter) in portion.letters.into_values() {
            let Some(id) = schema_of(&letter) else { continue };
            if undecided.contains(&id) {
                left = Some(left.map_or(offset, |left| left.min(offset)));
            } else {
                let (first, letters) = of_tenants.entry(id.0).or_insert((offset, Vec::new()));
                *first = offset.min(*first);
                letters.push(letter);
            }
        }
        for (tenant, (first, letters)) in of_tenants {
            // One tenant's trouble is not the others': its letters are looked at again in the next period.
            if let Err(problem) = try_again(app, tenant, letters, waits).await {
                tracing::warn!(%tenant, code = problem.code(), "letters that waited for a schema could not be tried again");
                left = Some(left.map_or(first, |left| left.min(first)));
            }
        }
        (self.position, self.left) = (portion.next, left);
        Ok(self.position < app.dead_letters.durable())
    }

    /// Has the portion's ids told of in the log; those that are not.
    async fn look_up(
        &mut self,
        external: &External,
        portion: &Portion,
    ) -> Result<BTreeSet<(TenantId, u32)>, ExternalError> {
        let ids: BTreeSet<_> = portion.letters.values().filter_map(|(_, letter)| schema_of(letter)).collect();
        let (mut undecided, mut failures) = (BTreeSet::new(), 0);
        for (tenant, id) in ids {
            if external.knows(tenant, id) {
                continue;
            }
            let asked = self.asked.entry(tenant).or_default();
            if *asked >= LOOK_UPS_MAX || failures >= FAILURES_MAX {
                undecided.insert((tenant, id));
                continue;
            }
            *asked += 1;
            match external.look_up(tenant, id).await {
                Ok(()) => {}
                // Is it the registry, or what it has under this id?
                Err(error @ ExternalError::Unavailable { .. }) => {
                    if external.take_all().await.is_err() {
                        return Err(error);
                    }
                    failures += 1;
                    undecided.insert((tenant, id));
                }
                Err(ExternalError::Gone) => {
                    undecided.insert((tenant, id));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(undecided)
    }
}

/// The letters that wait, from an offset of the log on.
fn portion(log: &Log, ledger: &Ledger, from: Offset) -> Result<Portion, DeadLetterError> {
    let from = from.max(log.oldest());
    let mut portion = Portion { letters: BTreeMap::new(), next: from };
    let mut bytes = 0;
    while portion.next < log.durable() {
        for (offset, entry) in read(log, portion.next)? {
            if portion.letters.len() >= PORTION_LETTERS || bytes > PORTION_BYTES || offset >= from + LOOKED_AT_MAX {
                return Ok(portion);
            }
            portion.next = offset + 1;
            let letter = match entry {
                Entry::Letter(letter) => Some(letter),
                // Another letter that waits since it was tried again.
                Entry::Replayed(Replayed { origin, rejected: Some(rejection), .. })
                    if rejection.reason == Reason::SchemaUnavailable =>
                {
                    find(log, origin)?
                }
                Entry::Replayed(_) => None,
            };
            if let Some(letter) = letter.filter(|letter| waits(letter, ledger)) {
                bytes += letter.payload.len();
                portion.letters.insert(letter.address, (offset, letter));
            }
        }
    }
    Ok(portion)
}

/// Whether the letter was last rejected because nobody had said what its schema is.
fn waits(letter: &DeadLetter, ledger: &Ledger) -> bool {
    let last = match ledger.tries(letter.address) {
        Some(tries) if tries.passed || tries.count >= TRIES_MAX => return false,
        Some(tries) => tries.rejected,
        None => Some(letter.reason),
    };
    last == Some(Reason::SchemaUnavailable) && letter.received >= ledger.kept_from() && schema_of(letter).is_some()
}

/// The id that the letter's payload names.
fn schema_of(letter: &DeadLetter) -> Option<(TenantId, u32)> {
    match letter.payload[..] {
        [0, a, b, c, d, ..] => Some((letter.source.tenant(), u32::from_be_bytes([a, b, c, d]))),
        _ => None,
    }
}
