//! Sealing: frozen chunks become blocks, and the catalog names them together with the addresses that they cover.
//!
//! Chunks are sealed in the order in which they were frozen. Block files are written and synced first, then their
//! directory, then the catalog; a crash in between leaves files that no catalog names, which the next start removes.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Offset, Partition, Table};

use crate::catalog::Entry;
use crate::error::Error;
use crate::head::Chunk;
use crate::sorted::SortedRows;
use crate::store::Shared;
use crate::write::{BlockOf, Workshop, write_block};

mod queue;

pub use queue::{Group, Job, Queue};

/// The sealing thread: seals until the store closes, and then what still waits.
pub fn run(shared: &Shared) {
    while let Some(mut group) = shared.queue.wait() {
        if let Err(error) = seal(shared, &mut group) {
            shared.note_failure(&error);
            shared.queue.give_back(group);
            if !shared.queue.wait_to_retry() {
                return;
            }
        } else {
            shared.maintenance.wake();
        }
    }
}

/// Seals everything that waits.
pub fn run_waiting(shared: &Shared) -> Result<(), Error> {
    while let Some(mut group) = shared.queue.take() {
        if let Err(error) = seal(shared, &mut group) {
            shared.queue.give_back(group);
            return Err(error);
        }
    }
    Ok(())
}

/// Seals a group with one change of the catalog. What was written before a failure is not written again.
fn seal(shared: &Shared, group: &mut Group) -> Result<(), Error> {
    if group.written.is_none() && !group.chunks.is_empty() {
        group.written = Some(write_chunks(shared, &group.chunks)?);
    }
    let written = group.written.as_deref().unwrap_or_default();
    let mut coverage: BTreeMap<(Partition, Table), (Offset, u32)> = BTreeMap::new();
    for chunk in &group.chunks {
        // Chunks of a table come in order: the last one's end counts.
        coverage.insert((chunk.partition, chunk.table.clone()), chunk.end());
    }
    let sealed: Vec<&Arc<Chunk>> = group.chunks.iter().collect();
    shared.commit(written.to_vec(), &[], &sealed, |catalog| {
        catalog.coverage.extend(coverage);
        if let Some((partition, at)) = group.barrier {
            catalog.set_replay_from(partition, at);
        }
    })
}

fn write_chunks(shared: &Shared, chunks: &[Arc<Chunk>]) -> Result<Vec<Entry>, Error> {
    let mut written = Vec::new();
    let mut workshop = shared.sealing.lock().expect("no holder of this lock panics");
    let result = chunks.iter().try_for_each(|chunk| write_chunk(shared, &mut workshop, chunk, &mut written));
    let result = result.and_then(|()| shared.sync_blocks());
    match result {
        Ok(()) => Ok(written),
        Err(error) => {
            shared.remove_files(&written);
            Err(error)
        }
    }
}

fn write_chunk(
    shared: &Shared,
    workshop: &mut Workshop,
    chunk: &Arc<Chunk>,
    written: &mut Vec<Entry>,
) -> Result<(), Error> {
    let visible = chunk.visible();
    let parts = SortedRows::from_chunk(&visible, |device| shared.is_erased(device), &mut workshop.spare);
    for (part, late) in parts.into_iter().zip([false, true]) {
        let Some(mut rows) = part else { continue };
        let narrow = rows.split_narrow();
        let mut of = BlockOf {
            table: &chunk.table,
            partition: chunk.partition,
            sequences: (chunk.sequence, chunk.sequence),
            late,
            narrow: false,
        };
        written.push(write_block(shared, workshop, &rows, &of)?);
        workshop.spare.give_rows(rows);
        if let Some(narrow) = narrow {
            of.narrow = true;
            written.push(write_block(shared, workshop, &narrow, &of)?);
            workshop.spare.give_rows(narrow);
        }
    }
    Ok(())
}
