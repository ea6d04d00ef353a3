use model::{Control, OpenMode, SessionKey};

use super::*;

fn snapshot(offset: Offset) -> Snapshot {
    let mut held = HeldIds::default();
    held.apply(&Control::Held { session: SessionKey(1), packet_id: 2, payload_hash: 3 });
    Snapshot { offset, pipeline: vec![7; offset as usize], held }
}

fn open(dir: &Path) -> Snapshots {
    Snapshots::open(Arc::new(disk::RealDisk), dir, Partition(0)).expect("opens")
}

#[test]
fn the_newest_that_is_not_newer_is_used_and_older_ones_go() {
    let dir = tempfile::tempdir().expect("a directory");
    let snapshots = open(dir.path());
    assert_eq!(snapshots.newest(u64::MAX).expect("reads"), None);
    for offset in [5, 10, 15, 20] {
        snapshots.write(&snapshot(offset)).expect("writes");
    }
    assert_eq!(snapshots.newest(17).expect("reads"), Some(snapshot(15)));
    assert_eq!(snapshots.prune(17).expect("prunes"), Some(10));
    assert_eq!(snapshots.newest(9).expect("reads"), None);
    assert_eq!(snapshots.newest(100).expect("reads"), Some(snapshot(20)));
}

#[test]
fn a_damaged_one_is_passed_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let snapshots = open(dir.path());
    for offset in [5, 10] {
        snapshots.write(&snapshot(offset)).expect("writes");
    }
    let file = disk::RealDisk.open(&snapshots.path(10), OpenMode::ReadWrite).expect("opens");
    file.write_at(&[0xFF], 30).expect("writes");
    assert_eq!(snapshots.newest(u64::MAX).expect("reads"), Some(snapshot(5)));
}

#[test]
fn every_cut_is_noticed() {
    let bytes = encode(&snapshot(9));
    assert_eq!(decode(&bytes), Ok(snapshot(9)));
    for len in 0..bytes.len() {
        assert_eq!(decode(&bytes[..len]), Err(Short), "cut at {len}");
    }
}
