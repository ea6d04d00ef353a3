use super::*;

fn file(disk: &FaultDisk, name: &str, mode: OpenMode) -> Box<dyn DiskFile> {
    disk.open(&path(name), mode).unwrap()
}

fn path(name: &str) -> PathBuf {
    Path::new("/d").join(name)
}

fn disk() -> FaultDisk {
    let disk = FaultDisk::new();
    disk.create_dir(Path::new("/d")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk
}

#[test]
fn synced_bytes_and_names_survive_every_crash() {
    for seed in 0..100 {
        let mut disk = disk();
        let handle = file(&disk, "a", OpenMode::CreateNew);
        handle.write_at(b"safe", 0).unwrap();
        handle.sync_data().unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        handle.write_at(b"lost", 4).unwrap();
        let dead = std::mem::take(&mut disk);
        disk = dead.crash(seed);
        assert!(handle.write_at(b"x", 0).is_err() && dead.list(Path::new("/d")).is_err(), "nothing outlives the crash");
        assert!(disk.contents(&path("a")).unwrap().starts_with(b"safe"));
    }
}

#[test]
fn unsynced_work_is_lost_kept_and_torn_over_the_seeds() {
    let (mut nothing, mut torn, mut everything, mut nameless) = (0, 0, 0, 0);
    for seed in 0..200 {
        let disk = disk();
        let handle = file(&disk, "a", OpenMode::CreateNew);
        disk.sync_dir(Path::new("/d")).unwrap();
        handle.write_at(&[7; 2048], 0).unwrap();
        file(&disk, "b", OpenMode::CreateNew);
        let disk = disk.crash(seed);
        nameless += usize::from(disk.contents(&path("b")).is_err());
        let sevens = disk.contents(&path("a")).unwrap().into_iter().filter(|byte| *byte == 7).count();
        match sevens {
            0 => nothing += 1,
            2048 => everything += 1,
            _ => torn += 1,
        }
    }
    assert!(nothing > 10 && torn > 10 && everything > 10 && nameless > 50, "{nothing} {torn} {everything} {nameless}");
}

#[test]
fn a_lying_disk_syncs_nothing() {
    let disk = FaultDisk::lying();
    disk.create_dir(Path::new("/d")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    let lost = (0..50).filter(|seed| {
        let disk = disk.fork();
        let handle = file(&disk, "a", OpenMode::CreateNew);
        handle.write_at(b"x", 0).unwrap();
        handle.sync_data().unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        let disk = disk.crash(*seed);
        disk.contents(&path("a")).is_err()
    });
    assert!(lost.count() > 5);
}

#[test]
fn after_a_failed_sync_the_next_one_lies_as_linux_does() {
    let disk = disk();
    let (first, second) = (file(&disk, "a", OpenMode::CreateNew), file(&disk, "a", OpenMode::ReadWrite));
    disk.sync_dir(Path::new("/d")).unwrap();
    disk.faults().fail(Operation::SyncData, 1, 1, io::ErrorKind::Other);
    first.write_at(b"x", 0).unwrap();
    assert!(first.sync_data().is_err());
    assert!(second.sync_data().is_err(), "each handle hears of it");
    assert!(first.sync_data().is_ok() && second.sync_data().is_ok());
    assert_eq!(disk.contents(&path("a")).unwrap(), b"x");
    let disk = disk.crash(1);
    assert_eq!(disk.contents(&path("a")).unwrap(), b"");
}

#[test]
fn a_full_disk_refuses_growth_and_the_nth_call_fails() {
    let disk = disk();
    disk.set_capacity(1000);
    let handle = file(&disk, "a", OpenMode::CreateNew);
    assert_eq!(handle.allocate(2000).unwrap_err().kind(), io::ErrorKind::StorageFull);
    handle.allocate(1000).unwrap();
    handle.write_at(&[1; 10], 0).unwrap();
    assert_eq!(disk.free_bytes(&path("a")).unwrap(), 0);
    assert_eq!(handle.write_at(&[1; 10], 995).unwrap_err().kind(), io::ErrorKind::StorageFull);
    disk.faults().fail(Operation::Write, 2, 1, io::ErrorKind::Other);
    let answers = [1, 2, 3].map(|byte| handle.write_at(&[byte], 0).is_ok());
    assert_eq!(answers, [true, false, true]);
}

#[test]
fn failures_under_a_name_leave_the_rest_alone() {
    let disk = disk();
    let (inside, beside) = (file(&disk, "a", OpenMode::CreateNew), file(&disk, "ab", OpenMode::CreateNew));
    disk.faults().fail_under("a", Operation::Write, io::ErrorKind::StorageFull);
    for _ in 0..3 {
        assert_eq!(inside.write_at(b"x", 0).unwrap_err().kind(), io::ErrorKind::StorageFull);
        beside.write_at(b"x", 0).unwrap();
    }
    assert!(inside.sync_data().is_ok(), "another operation");
    disk.faults().heal();
    inside.write_at(b"x", 0).unwrap();
}

#[test]
fn a_rename_is_kept_or_lost_as_one() {
    for seed in 0..50 {
        let disk = disk();
        file(&disk, "old", OpenMode::CreateNew);
        disk.sync_dir(Path::new("/d")).unwrap();
        disk.rename(&path("old"), &path("new")).unwrap();
        let disk = disk.crash(seed);
        let names: Vec<_> = disk.list(Path::new("/d")).unwrap().into_iter().map(|entry| entry.name).collect();
        assert!(names == ["old"] || names == ["new"], "{names:?}");
    }
}

#[test]
fn held_calls_wait_until_released() {
    let disk = disk();
    let handle = file(&disk, "a", OpenMode::CreateNew);
    disk.faults().hold(Operation::SyncData);
    std::thread::scope(|scope| {
        let sync = scope.spawn(|| handle.sync_data());
        disk.faults().wait_held(Operation::SyncData, 1);
        assert!(!sync.is_finished());
        disk.faults().release(Operation::SyncData);
        sync.join().unwrap().unwrap();
    });
}
