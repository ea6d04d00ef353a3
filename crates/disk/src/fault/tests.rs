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

/// Cuts the power at the n-th change and writes down all of them.
struct CutAt {
    nth: usize,
    seen: Mutex<Vec<String>>,
}

impl Watcher for CutAt {
    fn before(&self, change: &Change<'_>) -> Next {
        let mut seen = self.seen.lock().unwrap();
        seen.push(format!("{:?} {} {} {}", change.operation, change.path.display(), change.offset, change.len));
        if seen.len() == self.nth { Next::Cut } else { Next::Go }
    }
}

/// Creates, writes, syncs and renames a file, a change after the other.
fn changes(disk: &FaultDisk) -> io::Result<()> {
    let handle = disk.open(&path("a"), OpenMode::CreateNew)?;
    handle.allocate(1024)?;
    handle.write_at(&[7; 512], 512)?;
    handle.sync_data()?;
    handle.set_len(1024)?;
    disk.sync_dir(Path::new("/d"))?;
    disk.rename(&path("a"), &path("b"))?;
    disk.remove(&path("b"))?;
    disk.create_dir(&path("c"))
}

#[test]
fn a_watcher_stands_at_every_change_and_nothing_happens_after_the_cut() {
    let all = [
        "Open /d/a 0 0",
        "Allocate /d/a 0 1024",
        "Write /d/a 512 512",
        "SyncData /d/a 0 0",
        "SetLen /d/a 0 1024",
        "SyncDir /d 0 0",
        "Rename /d/a 0 0",
        "Remove /d/b 0 0",
        "CreateDir /d/c 0 0",
    ];
    for nth in 1..=all.len() {
        let mut kept = [0; 2];
        for seed in 0..40 {
            let (disk, watcher) = (disk(), Arc::new(CutAt { nth, seen: Mutex::default() }));
            disk.watch(watcher.clone());
            assert_eq!(changes(&disk).unwrap_err().to_string(), gone().to_string(), "{nth}");
            assert_eq!(*watcher.seen.lock().unwrap(), all[..nth], "nothing after it");
            let left = disk.crash(seed);
            let written = left.contents(&path("a")).is_ok_and(|bytes| bytes.ends_with(&[7; 512]));
            kept[0] += usize::from(written);
            kept[1] += usize::from(left.contents(&path("b")).is_ok());
        }
        // A write on its way may be kept; what was synced before is; a rename on its way is kept or not.
        match nth {
            1 | 2 => assert_eq!(kept, [0, 0]),
            3..=6 => assert!((1..40).contains(&kept[0]) && kept[1] == 0, "{nth} {kept:?}"),
            7 | 8 => assert!(kept[0] + kept[1] >= 20 && kept[1] > 0 && kept[0] > 0, "{nth} {kept:?}"),
            _ => assert!(kept[1] < 40, "{nth} {kept:?}"),
        }
    }
}

#[test]
fn a_disk_can_lie_about_one_kind_of_sync() {
    let loses = |sync, what: fn(&FaultDisk) -> bool| {
        (0..40).any(|seed| {
            let disk = disk();
            disk.lie_about(sync);
            let handle = file(&disk, "a", OpenMode::CreateNew);
            handle.write_at(b"safe", 0).unwrap();
            handle.sync_data().unwrap();
            disk.sync_dir(Path::new("/d")).unwrap();
            what(&disk.crash(seed))
        })
    };
    let nameless = |disk: &FaultDisk| disk.contents(&path("a")).is_err();
    let emptied = |disk: &FaultDisk| disk.contents(&path("a")).is_ok_and(|bytes| bytes != b"safe");
    assert!(loses(Operation::SyncDir, nameless) && !loses(Operation::SyncDir, emptied));
    assert!(loses(Operation::SyncData, emptied) && !loses(Operation::SyncData, nameless));
}
