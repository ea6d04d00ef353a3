//! Verification of a run: reads the acked-set log, the store through the query API, and where asked the journal, and lets
//! [`crate::check`] count.
//!
//! It goes device by device, and reads the journal in passes over as many devices as fit a bound, so that its memory does
//! not grow with the run. What was acknowledged a moment ago may take a moment to be queryable: a device that misses
//! something is read again until the wait is over.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use model::Clock;
use serde::Serialize;

use crate::acked;
use crate::api::Api;
use crate::check::{self, Counts, Evidence, Expected};

mod raw;
#[cfg(test)]
mod tests;

/// What to verify against what.
#[derive(Clone, Debug)]
pub struct VerifyConfig {
    pub url: String,
    /// An API key of the log's tenant with the rights `query` and `dead-letters`.
    pub key: String,
    /// An API key of another tenant, with which none of the devices may be readable.
    pub foreign_key: Option<String>,
    pub acked_log: PathBuf,
    /// The directory of the server's journal, to tell lost from unseen and to check the order.
    pub journal: Option<PathBuf>,
    /// How long to wait for what is not queryable yet.
    pub wait: Duration,
}

/// The outcome.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Verdict {
    #[serde(flatten)]
    pub counts: Counts,
    /// Whether every count that has to be zero and could be checked is zero.
    pub clean: bool,
    /// Bytes at the end of the log that its generator did not complete.
    pub log_torn_bytes: u64,
    /// How long it took until everything was queryable, or until the wait was over.
    pub waited_ms: u64,
}

/// Messages whose places in the journal are held in memory at once.
const PASS_MESSAGES_MAX: u64 = 4_000_000;
/// How often a device that misses something is read again.
const RETRY: Duration = Duration::from_millis(100);

/// Reads everything and counts. `progress` is given the devices done and all.
pub fn run(config: &VerifyConfig, clock: &Clock, mut progress: impl FnMut(usize, usize)) -> Result<Verdict> {
    let logged = acked::read(&config.acked_log)?;
    let expected = check::expectations(&logged);
    let api = Api::new(&config.url, &config.key);
    let mut verifier = Verifier { config, clock, api, start: clock.monotonic(), waited: Duration::ZERO };
    let (mut counts, mut done) = (Counts::default(), 0);
    for pass in passes(&expected) {
        let mut raw = match &config.journal {
            Some(journal) => Some(raw::read(journal, pass.iter().map(|expected| expected.device))?),
            None => None,
        };
        for one in pass {
            let raw = raw.as_mut().map(|raw| raw.remove(&one.device).unwrap_or_default());
            counts += verifier.device(one, raw).with_context(|| format!("device {}", one.device))?;
            done += 1;
            progress(done, expected.len());
        }
    }
    let waited_ms = verifier.waited.as_millis() as u64;
    Ok(Verdict { counts, clean: counts.clean(), log_torn_bytes: logged.torn_bytes, waited_ms })
}

/// Devices in groups of at most [`PASS_MESSAGES_MAX`] acknowledged messages, at least one device each.
fn passes(expected: &[Expected]) -> impl Iterator<Item = &[Expected]> {
    let mut rest = expected;
    std::iter::from_fn(move || {
        let mut messages = 0;
        let fits = rest.iter().take_while(|one| {
            messages += one.boots.values().map(|said| said.acked.count()).sum::<u64>();
            messages <= PASS_MESSAGES_MAX
        });
        let (pass, more) = rest.split_at(fits.count().max(1).min(rest.len()));
        rest = more;
        (!pass.is_empty()).then_some(pass)
    })
}

struct Verifier<'a> {
    config: &'a VerifyConfig,
    clock: &'a Clock,
    api: Api,
    start: Duration,
    waited: Duration,
}

impl Verifier<'_> {
    fn device(&mut self, expected: &Expected, raw: Option<Vec<check::RawMessage>>) -> Result<Counts> {
        let mut evidence = Evidence { raw, foreign: self.foreign(expected)?, ..Evidence::default() };
        // What was acknowledged was in the journal before it was read here: what is not there does not come any more.
        let awaited = |counts: &Counts| counts.unseen.unwrap_or(counts.lost);
        loop {
            evidence.stored = self.stored(expected)?;
            let mut counts = check::check(expected, &evidence);
            if counts.lost + counts.unseen.unwrap_or(0) == 0 {
                return Ok(counts);
            }
            evidence.dead = self.api.dead_letters(expected.device)?;
            counts = check::check(expected, &evidence);
            let over = self.clock.monotonic() >= self.start + self.config.wait;
            if over || awaited(&counts) == 0 {
                return Ok(counts);
            }
            std::thread::sleep(RETRY);
            self.waited = self.clock.monotonic() - self.start;
        }
    }

    /// All readings of the device, a list per metric.
    fn stored(&self, expected: &Expected) -> Result<Vec<Vec<check::Point>>> {
        let shapes: BTreeSet<&[&str]> = expected.boots.values().map(|said| said.shape.metrics()).collect();
        // Runs of different shapes over the same devices share their first metrics' names, in the same order.
        let metrics = shapes.into_iter().max_by_key(|metrics| metrics.len()).unwrap_or_default();
        let read = |metric: &&str| Ok(self.api.points(expected.device, metric)?.unwrap_or_default());
        metrics.iter().map(read).collect()
    }

    /// How many readings of the device another tenant sees.
    fn foreign(&self, expected: &Expected) -> Result<Option<u64>> {
        let Some(key) = &self.config.foreign_key else { return Ok(None) };
        let metric = expected.boots.values().next().map_or("", |said| said.shape.metrics()[0]);
        let seen = self.api.with_key(key).points(expected.device, metric)?;
        Ok(Some(seen.map_or(0, |points| points.len() as u64)))
    }
}
