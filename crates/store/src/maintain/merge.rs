//! Rewriting blocks as one run: blocks of at most [`BLOCK_ROWS_MAX`] rows, one after the other by device, so that a
//! merge needs the memory of one block however large the run is.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use model::DeviceId;

use crate::block::{Block, Reader, Tail};
use crate::catalog::Entry;
use crate::catalog::choose::BLOCK_ROWS_MAX;
use crate::error::Error;
use crate::sorted::SortedRows;
use crate::store::Shared;
use crate::write::{BlockOf, Workshop, write_block};

/// Rows of one device beyond which the blocks are not merged: it has whole pages of its own anyway.
const DEVICE_ROWS_MAX: usize = 2 * BLOCK_ROWS_MAX;

/// What became of a merge.
pub enum Merged {
    Done,
    /// The blocks cannot be merged within bounded memory; nothing has changed.
    TooLarge,
    /// The store closes; nothing has changed.
    Stopped,
}

/// Replaces blocks by one run with the same rows, without those of erased devices.
pub fn merge(shared: &Shared, workshop: &mut Workshop, ids: &[u64], rest: impl Fn(Duration)) -> Result<Merged, Error> {
    let catalog = shared.catalog();
    let entries: Vec<Entry> = catalog.blocks.into_iter().filter(|entry| ids.contains(&entry.id)).collect();
    let blocks: Vec<Arc<Block>> = entries.iter().map(|entry| shared.block(entry)).collect();
    let tails = blocks.iter().map(|block| block.open()).collect::<Result<Vec<_>, _>>()?;
    let Some(parts) = parts(&tails) else { return Ok(Merged::TooLarge) };
    let first = &entries[0];
    let mut of = BlockOf {
        table: &first.table,
        partition: first.partition,
        sequences: entries
            .iter()
            .fold(first.sequences, |all, entry| (all.0.min(entry.sequences.0), all.1.max(entry.sequences.1))),
        late: first.late,
        narrow: first.narrow,
    };
    let mut written = Vec::new();
    let result = parts.iter().try_for_each(|part| {
        let started = shared.clock.monotonic();
        if let Some(rows) = merge_part(shared, workshop, &tails, part)? {
            write_part(shared, workshop, rows, &mut of, &mut written)?;
        }
        rest(shared.clock.monotonic().saturating_sub(started));
        if shared.maintenance.is_closed() { Err(Error::Closed) } else { Ok(()) }
    });
    match result.and_then(|()| shared.sync_blocks()) {
        Ok(()) => {}
        Err(error) => {
            shared.remove_files(&written);
            return if matches!(error, Error::Closed) { Ok(Merged::Stopped) } else { Err(error) };
        }
    }
    shared.maintenance.count_merged(written.iter().map(|entry| entry.rows).sum());
    let ids: Vec<u64> = entries.iter().map(|entry| entry.id).collect();
    shared.commit(written, &ids, &[], |_| {})?;
    Ok(Merged::Done)
}

/// A range of devices; the end is exclusive, and `None` for the last.
type Part = (DeviceId, Option<DeviceId>);

/// Cuts the devices into ranges of at most [`BLOCK_ROWS_MAX`] rows, or one device.
fn parts(tails: &[Arc<Tail>]) -> Option<Vec<Part>> {
    let mut rows: BTreeMap<DeviceId, usize> = BTreeMap::new();
    for span in tails.iter().flat_map(|tail| tail.directory.spans()) {
        *rows.entry(span.device).or_default() += span.rows.len();
    }
    if tails.len() > 1 && rows.values().any(|rows| *rows > DEVICE_ROWS_MAX) {
        return None;
    }
    let mut parts: Vec<Part> = Vec::new();
    let mut of_part = usize::MAX;
    for (device, rows) in rows {
        if of_part.saturating_add(rows) > BLOCK_ROWS_MAX {
            if let Some(last) = parts.last_mut() {
                last.1 = Some(device);
            }
            parts.push((device, None));
            of_part = 0;
        }
        of_part += rows;
    }
    Some(parts)
}

fn merge_part(
    shared: &Shared,
    workshop: &mut Workshop,
    tails: &[Arc<Tail>],
    (from, to): &Part,
) -> Result<Option<SortedRows>, Error> {
    let mut inputs = Vec::with_capacity(tails.len());
    for tail in tails {
        let end = to.map_or(tail.directory.rows(), |to| tail.directory.row_from(to));
        let rows: Range<usize> = tail.directory.row_from(*from)..end;
        if !rows.is_empty() {
            inputs.push(Reader::new(tail).rows(rows)?);
        }
    }
    let merged = SortedRows::merge(&inputs, |device| shared.is_erased(device), &mut workshop.spare);
    inputs.into_iter().for_each(|rows| workshop.spare.give_rows(rows));
    Ok(merged)
}

fn write_part(
    shared: &Shared,
    workshop: &mut Workshop,
    mut rows: SortedRows,
    of: &mut BlockOf<'_>,
    written: &mut Vec<Entry>,
) -> Result<(), Error> {
    let narrow = if of.narrow { None } else { rows.split_narrow() };
    written.push(write_block(shared, workshop, &rows, of)?);
    workshop.spare.give_rows(rows);
    if let Some(narrow) = narrow {
        of.narrow = true;
        let result = write_block(shared, workshop, &narrow, of);
        of.narrow = false;
        written.push(result?);
    }
    Ok(())
}
