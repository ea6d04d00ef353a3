use model::{Control, OpenMode, SessionKey};

use super::*;

fn held() -> HeldIds {
    let mut held = HeldIds::default();
    held.apply(&Control::Held { session: SessionKey(1), packet_id: 2, payload_hash: 3 });
    held
}

fn snapshot(offset: Offset) -> Snapshot {
    Snapshot::new(offset, &held(), vec![1, 2, 3], |out| out.resize(out.len() + offset as usize, 7))
}

/// The offset of a snapshot whose content is right.
fn check(stored: Option<Stored>) -> Option<Offset> {
    let stored = stored?;
    assert_eq!((stored.pipeline(), &stored.held), (&vec![7; stored.offset as usize][..], &held()));
    Some(stored.offset)
}

fn open(dir: &Path) -> Snapshots {
    Snapshots::open(Arc::new(disk::RealDisk), dir, Partition(0)).expect("opens")
}

#[test]
fn the_newest_that_is_not_newer_is_used_and_older_ones_go() {
    let dir = tempfile::tempdir().expect("a directory");
    let snapshots = open(dir.path());
    assert!(snapshots.newest(u64::MAX).expect("reads").is_none());
    for offset in [5, 10, 15, 20] {
        snapshots.write(snapshot(offset)).expect("writes");
    }
    assert_eq!(check(snapshots.newest(17).expect("reads")), Some(15));
    assert_eq!(snapshots.prune(17).expect("prunes"), Some(10));
    assert!(snapshots.newest(9).expect("reads").is_none());
    assert_eq!(check(snapshots.newest(100).expect("reads")), Some(20));
}

#[test]
fn a_damaged_one_is_passed_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let snapshots = open(dir.path());
    for offset in [5, 10] {
        snapshots.write(snapshot(offset)).expect("writes");
    }
    let file = disk::RealDisk.open(&snapshots.path(10), OpenMode::ReadWrite).expect("opens");
    file.write_at(&[0xFF], 30).expect("writes");
    assert_eq!(check(snapshots.newest(u64::MAX).expect("reads")), Some(5));
}

#[test]
fn every_cut_is_noticed() {
    let bytes = snapshot(9).seal();
    assert_eq!(check(Stored::decode(bytes.clone()).ok()), Some(9));
    for len in 0..bytes.len() {
        assert!(Stored::decode(bytes[..len].to_vec()).is_err(), "cut at {len}");
    }
}

/// The directory's own name was never synced: the first power cut after a trim took all snapshots with it.
#[test]
fn a_snapshot_that_is_written_survives_the_power_cut_in_a_new_data_directory() {
    for seed in 0..20 {
        let disk = disk::FaultDisk::new();
        disk.create_dir(Path::new("/data")).expect("creates");
        disk.sync_dir(Path::new("/")).expect("syncs");
        let open = |disk: &disk::FaultDisk| {
            Snapshots::open(Arc::new(disk.clone()), Path::new("/data/snapshots"), Partition(0))
        };
        open(&disk).expect("opens").write(snapshot(5)).expect("writes");
        let left = disk.crash(seed);
        assert_eq!(check(open(&left).expect("opens").newest(9).expect("reads")), Some(5), "seed {seed}");
    }
}
