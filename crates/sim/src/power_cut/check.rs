//! Comparing what is read back with what there is to be.

use std::collections::BTreeSet;
use std::fmt::Debug;

use model::{Millis, Offset};

use super::client::Sent;
use super::fleet::RETENTION;
use super::rules::{Expected, Held, Letter, Row};
use super::subject::RawBatch;

/// Everything that the line keeps.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Kept {
    /// The oldest offset of `raw`, and all batches from there.
    pub oldest: Offset,
    pub raw: Vec<RawBatch>,
    /// The offset behind what is derived, and that behind what is in synced blocks.
    pub visible_to: Offset,
    pub sealed_to: Offset,
    pub rows: Vec<Row>,
    /// Whether older dead letters were let go.
    pub letters_trimmed: bool,
    pub letters: Vec<Letter>,
    pub held: BTreeSet<Held>,
}

/// The age of a row counts from its receipt only where that is this far from its ts.
const RECEIVED_APART: Millis = 60_000;

/// Compares `raw` with what was accepted; `history` has every batch in order, with its first offset.
pub fn raw(kept: &Kept, history: &[(Offset, Sent)], durable: Offset) -> Result<(), String> {
    if kept.oldest > kept.sealed_to {
        return Err(format!("lost: raw begins at {}, blocks reach to {} only", kept.oldest, kept.sealed_to));
    }
    let mut expected = history.iter().filter(|(base, _)| *base >= kept.oldest).filter(|(base, _)| *base < durable);
    let mut next = kept.oldest;
    for found in &kept.raw {
        let Some((base, sent)) = expected.next() else {
            return Err(format!("raw has a batch at {:?} that was never accepted there", found.offsets));
        };
        let payloads: Vec<Vec<u8>> = sent.payloads.iter().map(|payload| payload.bytes.clone()).collect();
        let count = (payloads.len() as u64).max(1);
        let is_same = found.offsets == (*base..base + count) && found.received == sent.received;
        if !is_same || found.payloads != payloads || found.controls != sent.controls {
            return Err(format!(
                "raw at {:?} is not what was accepted at {base}: {found:?}, not {sent:?}",
                found.offsets
            ));
        }
        if *base != next {
            return Err(format!("raw goes on at {base} behind {next}"));
        }
        next = base + count;
    }
    match expected.next() {
        None if next == durable || kept.raw.is_empty() => Ok(()),
        None => Err(format!("raw is durable to {durable}, and there is nothing behind {next}")),
        Some((base, _)) => Err(format!("lost: the batch at {base} is not in raw, which is durable to {durable}")),
    }
}

/// Compares what was derived with the model of it, at this time.
pub fn derived(kept: &Kept, expected: &Expected, now: Millis) -> Result<(), String> {
    rows(&kept.rows, &expected.rows, now)?;
    let skip = if kept.letters_trimmed { expected.letters.len().saturating_sub(kept.letters.len()) } else { 0 };
    same("dead letters", &kept.letters, &expected.letters[skip..])?;
    let (found, held): (Vec<_>, Vec<_>) = (kept.held.iter().collect(), expected.held.iter().collect());
    same("held ids", &found, &held)
}

/// Rows past retention are gone; of those that are just about to be, either.
fn rows(found: &[Row], expected: &[(Row, Millis)], now: Millis) -> Result<(), String> {
    let kept_from = |row: &Row| RETENTION[row.table.1].map_or(Millis::MIN, |age| now - age);
    let is_due = |(row, from): &&(Row, Millis)| from.abs_diff(kept_from(row)) <= RECEIVED_APART as u64 + 1000;
    let is_kept = |one: &&(Row, Millis)| is_due(one) || one.1 > kept_from(&one.0);
    let mut found = found.to_vec();
    let mut expected: Vec<&(Row, Millis)> = expected.iter().filter(is_kept).collect();
    found.sort();
    expected.sort();
    let (mut found, mut expected) = (found.iter().peekable(), expected.into_iter().peekable());
    loop {
        match (found.peek(), expected.peek()) {
            (Some(row), Some((other, _))) if *row == other => {
                found.next();
                expected.next();
            }
            (row, Some(one)) if row.is_none_or(|row| *row > &one.0) => {
                if !is_due(one) {
                    return Err(format!("missing in the store: {:?}", one.0));
                }
                expected.next();
            }
            (Some(row), _) => return Err(format!("too much, or twice, in the store: {row:?}")),
            (None, _) => return Ok(()),
        }
    }
}

fn same<T: PartialEq + Debug>(what: &str, found: &[T], expected: &[T]) -> Result<(), String> {
    let at = found.iter().zip(expected).position(|(one, other)| one != other);
    if let Some(at) = at {
        return Err(format!("{what} differ at {at}: {:?}, not {:?}", found[at], expected[at]));
    }
    if found.len() != expected.len() {
        let common = found.len().min(expected.len());
        let (more, fewer) = (found.get(common), expected.get(common));
        return Err(format!("{} {what}, not {}: {more:?}, not {fewer:?}", found.len(), expected.len()));
    }
    Ok(())
}
