//! Putting right what the verdict says. Any part of it can be cut off and is done again at the next start.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use model::{Blocks, Disk, DiskFile, Offset, OpenMode};

use super::survey::{KEPT_PREFIX, Survey, Surveyed};
use super::verdict::Verdict;
use crate::frame::Header;
use crate::segment::{self, BEGINNING_AT, Beginning};
use crate::{Error, SegmentId};

#[cfg(test)]
mod tests;

/// Zeros written at once.
const ZEROS_BYTES: u64 = 1 << 20;

/// What the files are now.
#[derive(Debug, Default)]
pub(crate) struct Repaired {
    pub(crate) spares: Vec<u64>,
    /// A segment that was made ready before and never begun, with its generation.
    pub(crate) prepared: Option<(SegmentId, u64)>,
    /// Batches written again.
    pub(crate) rewritten: u64,
    /// One sentence for each file that was set aside.
    pub(crate) damage: Vec<String>,
}

/// Frees the files behind the end, the newest first so that a log that is cut off here still ends where it ends; zeroes
/// the torn tail; writes again and syncs what the watermark does not vouch for. Such a frame may be in the page cache
/// only, and marked clean there if its sync failed in an earlier life: reading it back proves nothing.
pub(crate) fn repair(
    disk: &dyn Disk,
    dir: &Path,
    survey: &Survey,
    verdict: &Verdict,
    segment_bytes: u64,
) -> Result<Repaired, Error> {
    let mut repaired = Repaired { spares: survey.spares.clone(), ..Repaired::default() };
    let (kept, freed) = survey.segments.split_at(verdict.kept);
    let log_time = survey.log_time();
    if let Some(segment) = kept.last()
        && verdict.torn_bytes > 0
    {
        vouch(disk, segment, survey.watermark, log_time)?;
    }
    let next_id = kept.last().map_or(0, |segment| segment.id + 1);
    for segment in freed.iter().rev() {
        if segment.id == next_id && is_ready(segment, segment_bytes) {
            repaired.prepared = segment.generation.map(|generation| (segment.id, generation));
        } else {
            free(disk, dir, segment, &mut repaired)?;
        }
    }
    if let (Some(segment), Some(position)) = (kept.last(), verdict.resume_at) {
        cut(disk, segment, position, verdict.torn_end)?;
    }
    for segment in kept {
        repaired.rewritten += rewrite(disk, segment, survey.watermark..verdict.end, log_time)?;
    }
    disk.sync_dir(dir).map_err(Error::io("sync", dir))?;
    Ok(repaired)
}

/// Has the segment say the watermark before the frames are cut that may be the only ones to say it: without them what stands
/// behind damage would be a torn tail to the next start.
fn vouch(disk: &dyn Disk, segment: &Surveyed, watermark: Offset, log_time: Duration) -> Result<(), Error> {
    let (Some(base), Some(generation)) = (segment.base, segment.generation) else { return Ok(()) };
    let said = segment.beginning.unwrap_or(Beginning { id: segment.id, generation, base, watermark: 0, log_time });
    if said.watermark >= watermark {
        return Ok(());
    }
    let path = &segment.path;
    let file = disk.open(path, OpenMode::ReadWrite).map_err(Error::io("open", path))?;
    let beginning = Beginning { watermark, ..said }.encode();
    file.write_at(&beginning, BEGINNING_AT).map_err(Error::io("write", path))?;
    file.sync_data().map_err(Error::io("sync", path))
}

fn is_ready(segment: &Surveyed, segment_bytes: u64) -> bool {
    let sized = segment.file_len == segment_bytes
        && segment.identity.is_some_and(|identity| identity.file_bytes == segment_bytes);
    sized && segment.base.is_none() && segment.scan.as_ref().is_some_and(|scan| scan.broken.is_empty())
}

fn free(disk: &dyn Disk, dir: &Path, segment: &Surveyed, repaired: &mut Repaired) -> Result<(), Error> {
    let path = &segment.path;
    let aside = segment.is_unreadable() && !is_zero(disk, path)?;
    let spare = repaired.spares.iter().max().map_or(0, |last| last + 1);
    let to =
        if aside { dir.join(format!("{KEPT_PREFIX}{:016x}", segment.id)) } else { segment::spare_path(dir, spare) };
    disk.rename(path, &to).map_err(Error::io("rename", path))?;
    disk.sync_dir(dir).map_err(Error::io("sync", dir))?;
    if aside {
        let sentence = format!(
            "{} ({} bytes) is no segment that can be read; it was set aside as {}",
            path.display(),
            segment.file_len,
            to.display()
        );
        repaired.damage.push(sentence);
    } else {
        repaired.spares.push(spare);
    }
    Ok(())
}

fn is_zero(disk: &dyn Disk, path: &Path) -> Result<bool, Error> {
    let file = disk.open(path, OpenMode::Read).map_err(Error::io("open", path))?;
    let mut buf = vec![0; ZEROS_BYTES as usize];
    let mut at = 0;
    loop {
        let read = file.read_at(&mut buf, at).map_err(Error::io("read", path))?;
        if read == 0 {
            return Ok(true);
        }
        if buf[..read].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at += read as u64;
    }
}

/// Zeroes from `position` to `torn_end` and gives a shortened file its length back.
fn cut(disk: &dyn Disk, segment: &Surveyed, position: u64, torn_end: u64) -> Result<(), Error> {
    let path = &segment.path;
    let full = segment.identity.map_or(segment.file_len, |identity| identity.file_bytes);
    if torn_end <= position && segment.file_len >= full {
        return Ok(());
    }
    let file = disk.open(path, OpenMode::ReadWrite).map_err(Error::io("open", path))?;
    write_zeros(file.as_ref(), position, torn_end).map_err(Error::io("write", path))?;
    file.allocate(full).map_err(Error::io("allocate", path))?;
    file.sync_data().map_err(Error::io("sync", path))
}

/// Writes zeros from `from` to `to`.
pub(crate) fn write_zeros(file: &dyn DiskFile, mut from: u64, to: u64) -> std::io::Result<()> {
    let zeros = Blocks::zeroed(ZEROS_BYTES.min(to.saturating_sub(from)) as usize);
    while from < to {
        let len = ZEROS_BYTES.min(to - from);
        file.write_at(&zeros[..len as usize], from)?;
        from += len;
    }
    Ok(())
}

/// Writes the frames of `offsets` again, and the beginning of a segment that begins there; its log time is `log_time` if
/// that was not durable.
fn rewrite(disk: &dyn Disk, segment: &Surveyed, offsets: Range<Offset>, log_time: Duration) -> Result<u64, Error> {
    let unproven = |header: &&Header| header.base >= offsets.start && header.end() <= offsets.end;
    let frames: Vec<_> = segment.frames().iter().filter(unproven).collect();
    if frames.is_empty() {
        return Ok(0);
    }
    let path = &segment.path;
    let file = disk.open(path, OpenMode::ReadWrite).map_err(Error::io("open", path))?;
    let again = |position: u64, len: usize| {
        let mut bytes = vec![0; len];
        let read = file.read_at(&mut bytes, position)?;
        file.write_at(&bytes[..read], position)
    };
    if let (Some(base), Some(generation)) = (segment.base.filter(|base| *base >= offsets.start), segment.generation) {
        let again = Beginning { id: segment.id, generation, base, watermark: offsets.start, log_time };
        let beginning = Beginning { watermark: offsets.start, ..segment.beginning.unwrap_or(again) }.encode();
        file.write_at(&beginning, BEGINNING_AT).map_err(Error::io("write", path))?;
    }
    for header in &frames {
        again(header.position, header.frame_len()).map_err(Error::io("write", path))?;
    }
    file.sync_data().map_err(Error::io("sync", path))?;
    Ok(frames.len() as u64)
}
