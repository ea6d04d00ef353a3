use disk::FaultDisk;
use model::Partition;

use super::*;
use crate::Topic;
use crate::scan::Scan;
use crate::segment::{Identity, SEGMENT_HEAD_BYTES};

const FILE_BYTES: u64 = 1 << 16;
const BEGUN: Beginning = Beginning { id: 3, generation: 7, base: 20, watermark: 20, log_time: Duration::ZERO };

fn segment() -> Surveyed {
    let identity = Identity {
        topic: Topic::Raw,
        partition: Partition(0),
        recycled: false,
        id: 3,
        generation: 7,
        file_bytes: FILE_BYTES,
        made_ms: 0,
    };
    Surveyed::sound(3, identity, Some(BEGUN), Some(Scan { file_len: FILE_BYTES, ..Scan::default() }))
}

/// The beginning of the only segment after a repair that cut a tail, whose frames said that all below 27 was durable.
fn beginning_after(torn_bytes: u64) -> Option<Beginning> {
    let (disk, dir) = (FaultDisk::default(), Path::new("/log"));
    disk.create_dir(dir).unwrap();
    let segment = segment();
    let file = disk.open(&segment.path, OpenMode::CreateNew).unwrap();
    file.allocate(FILE_BYTES).unwrap();
    file.write_at(&BEGUN.encode(), BEGINNING_AT).unwrap();
    let path = segment.path.clone();
    let survey = Survey { watermark: 27, segments: vec![segment], ..Survey::default() };
    let verdict = Verdict {
        end: 27,
        kept: 1,
        resume_at: Some(SEGMENT_HEAD_BYTES),
        torn_end: SEGMENT_HEAD_BYTES + torn_bytes,
        torn_bytes,
        ..Verdict::default()
    };
    repair(&disk, dir, &survey, &verdict, FILE_BYTES).unwrap();
    let bytes = disk.contents(&path).unwrap();
    Beginning::decode(&bytes[BEGINNING_AT as usize..][..512], &path).unwrap()
}

/// A start that was cut off behind a torn tail took intact batches behind damage for a tail of their own.
#[test]
fn what_the_cut_frames_said_of_the_watermark_is_kept() {
    assert_eq!(beginning_after(1024), Some(Beginning { watermark: 27, ..BEGUN }));
    assert_eq!(beginning_after(0), Some(BEGUN), "nothing was cut that says it");
}
