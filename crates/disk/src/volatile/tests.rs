use super::*;

fn written(lying: bool) -> (tempfile::TempDir, VolatileDisk, Box<dyn DiskFile>) {
    let dir = tempfile::tempdir().unwrap();
    let disk = VolatileDisk::new(lying);
    let file = disk.open(&dir.path().join("a"), OpenMode::CreateNew).unwrap();
    file.write_at(&[7; 5000], 100).unwrap();
    (dir, disk, file)
}

#[test]
fn what_was_written_is_read_back_and_reaches_the_file_with_the_sync() {
    let (dir, disk, file) = written(false);
    let other = disk.open(&dir.path().join("a"), OpenMode::Read).unwrap();
    let mut buf = [1; 6000];
    assert_eq!(other.read_at(&mut buf, 0).unwrap(), 5100);
    assert_eq!((buf[99], buf[100], buf[5099], buf[5100]), (0, 7, 7, 1));
    assert_eq!(std::fs::read(dir.path().join("a")).unwrap(), b"");
    file.sync_data().unwrap();
    assert_eq!(std::fs::read(dir.path().join("a")).unwrap(), buf[..5100]);
}

#[test]
fn a_lying_sync_hands_nothing_over() {
    let (dir, disk, file) = written(true);
    file.sync_data().unwrap();
    disk.rename(&dir.path().join("a"), &dir.path().join("b")).unwrap();
    assert_eq!(disk.list(dir.path()).unwrap()[0].len, 5100);
    assert_eq!(std::fs::read(dir.path().join("b")).unwrap(), b"");
}
