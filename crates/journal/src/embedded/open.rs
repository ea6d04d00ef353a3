//! From a directory to a log that takes batches.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Condvar, Mutex};

use model::{Clock, Disk, Partition};

use super::append::BATCH_ROOM;
use super::keeper::Failure;
use super::segment::{Begin, Segment};
use super::{Prepared, Shared, State};
use crate::recovery::repair::{self, Repaired};
use crate::recovery::survey::{self, Depth, Survey, Surveyed};
use crate::recovery::verdict::{self, Verdict};
use crate::recovery::{self, LogRecovery};
use crate::segment::{self, SEGMENT_HEAD_BYTES};
use crate::tail::Tail;
use crate::watermark::Watermark;
use crate::{Error, JournalConfig, SegmentId, Topic};

/// Recovers a log, or makes an empty one.
pub(super) fn open(
    config: &JournalConfig,
    disk: Arc<dyn Disk>,
    clock: Clock,
    topic: Topic,
    partition: Partition,
) -> Result<(Shared, LogRecovery), Error> {
    let dir = recovery::log_dir(&config.dir, topic, partition);
    recovery::create_log_dir(disk.as_ref(), &config.dir, topic, partition)?;
    let survey = survey::survey(disk.as_ref(), &dir, (topic, partition), Depth::Needed, &mut |_| ())?;
    let verdict = verdict::verdict(&survey);
    let repaired = repair::repair(disk.as_ref(), &dir, &survey, &verdict, config.segment_bytes)?;
    let state = build_state(&survey, &verdict, &repaired);
    let recovered = LogRecovery {
        topic,
        partition,
        segments: state.segments.len(),
        oldest: state.oldest(),
        end: verdict.end,
        torn_bytes: verdict.torn_bytes,
        torn_batches: verdict.torn_batches,
        torn_at: verdict.torn_at.clone(),
        corrupt: verdict.corrupt.clone(),
        damage: survey.damage().chain(repaired.damage.iter().cloned()).collect(),
        rewritten: repaired.rewritten,
    };
    let log_time = survey.log_time();
    let shared = Shared {
        topic,
        partition,
        dir,
        disk,
        segment_bytes: config.segment_bytes,
        tail_bytes_max: config.tail_bytes(topic),
        commits_max: config.commits_in_flight_max.max(1),
        retention: config.retention(topic),
        corrupt: verdict.corrupt.clone(),
        opened: (log_time, clock.monotonic()),
        clock,
        watermark: Arc::new(Watermark::new(verdict.end)),
        synced: AtomicU64::new(verdict.end),
        slot_free: AtomicBool::new(false),
        poisoned: AtomicBool::new(false),
        state: Mutex::new(state),
        work: Condvar::new(),
        needed: Condvar::new(),
        settled: Condvar::new(),
        writer: Mutex::default(),
        upkeep: Mutex::default(),
    };
    open_files(&shared, &verdict, repaired.prepared)?;
    make_ready(&shared)?;
    Ok((shared, recovered))
}

/// Opens the files that are written to: the current segment's, and those of one that was made ready before.
fn open_files(shared: &Shared, verdict: &Verdict, prepared: Option<(SegmentId, u64)>) -> Result<(), Error> {
    let mut state = shared.state();
    let open = |path: &Path| shared.open_files(path).map_err(Error::io("open", path));
    if let (Some(current), Some(_)) = (state.segments.back(), verdict.resume_at) {
        current.start(open(&current.path)?);
    }
    if let Some((id, generation)) = prepared {
        let files = open(&segment::path(&shared.dir, id))?;
        state.prepared = Some(Prepared { id, generation, files });
    }
    Ok(())
}

/// Lets the first append succeed. A full disk is no reason not to open: what is there can be read.
fn make_ready(shared: &Shared) -> Result<(), Error> {
    let mut state = shared.state();
    if !shared.topic.derived() && state.prepared.is_none() && state.room() < BATCH_ROOM.min(shared.segment_bytes) {
        let (id, spare) = (state.next_id(), state.take_spare());
        match shared.prepare(id, spare) {
            Err(Failure::Poison(error)) => return Err(error),
            made => shared.note_prepared(&mut state, made),
        }
    }
    shared.note_slot(&state);
    Ok(())
}

fn build_state(survey: &Survey, verdict: &Verdict, repaired: &Repaired) -> State {
    let kept = &survey.segments[..verdict.kept];
    State {
        segments: in_use(kept),
        position: verdict.resume_at.unwrap_or(u64::MAX),
        end: verdict.end,
        begin: verdict.resume_at == Some(SEGMENT_HEAD_BYTES),
        prepared: None,
        obstacle: None,
        no_space: None,
        retry: false,
        spares: repaired.spares.clone(),
        spare_next: repaired.spares.iter().max().map_or(0, |last| last + 1),
        first_id: kept.last().map_or(0, |last| last.id + 1),
        unreadable: kept.iter().filter(|segment| segment.base.is_none()).map(|segment| segment.id).collect(),
        queue: VecDeque::new(),
        pending: VecDeque::new(),
        pending_first: 0,
        pending_bytes: 0,
        commits_running: 0,
        tail: Tail::default(),
        poison: None,
        closing: false,
        batches: 0,
        commits: 0,
    }
}

fn in_use(kept: &[Surveyed]) -> VecDeque<Arc<Segment>> {
    let mut place = 0;
    let mut segments = VecDeque::new();
    for segment in kept {
        let (Some(base), Some(generation)) = (segment.base, segment.generation) else { continue };
        let file_bytes = segment.identity.map_or(segment.file_len, |identity| identity.file_bytes);
        let begin = Begin {
            id: segment.id,
            path: segment.path.clone(),
            generation,
            base,
            file_bytes,
            place,
            log_time: segment.log_time(),
        };
        place += file_bytes;
        segments.push_back(Arc::new(Segment::new(begin)));
    }
    segments
}
