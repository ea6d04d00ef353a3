use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn a_file_is_private_and_reads_back_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("a/b");
    RealDisk.create_dir(&inner).unwrap();
    RealDisk.create_dir(&inner).unwrap();
    let path = inner.join("file");
    let file = RealDisk.open(&path, OpenMode::CreateNew).unwrap();
    file.allocate(8192).unwrap();
    file.allocate(100).unwrap();
    file.write_at(b"abc", 8190).unwrap();
    file.sync_data().unwrap();
    RealDisk.sync_dir(&inner).unwrap();

    assert_eq!(file.len().unwrap(), 8193);
    let mut buf = [1; 8];
    assert_eq!(file.read_at(&mut buf, 8187).unwrap(), 6);
    assert_eq!(buf, [0, 0, 0, b'a', b'b', b'c', 1, 1]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, FILE_MODE);
    assert_eq!(fs::metadata(&inner).unwrap().permissions().mode() & 0o777, DIR_MODE);
    assert!(RealDisk.open(&path, OpenMode::CreateNew).is_err());
}

#[test]
fn list_is_sorted_and_rename_replaces() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["b", "a"] {
        RealDisk.open(&dir.path().join(name), OpenMode::CreateNew).unwrap().write_at(name.as_bytes(), 0).unwrap();
    }
    let names = |dir: &Path| RealDisk.list(dir).unwrap().into_iter().map(|e| (e.name, e.len)).collect::<Vec<_>>();
    assert_eq!(names(dir.path()), [("a".to_owned(), 1), ("b".to_owned(), 1)]);
    RealDisk.rename(&dir.path().join("b"), &dir.path().join("a")).unwrap();
    assert_eq!(model::disk::read_all(&RealDisk, &dir.path().join("a")).unwrap(), b"b");
    RealDisk.remove(&dir.path().join("a")).unwrap();
    assert_eq!(names(dir.path()), []);
    assert!(RealDisk.free_bytes(dir.path()).unwrap() > 0);
}

#[test]
fn whole_blocks_written_directly_are_read_back_through_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let file = RealDisk.open(&path, OpenMode::CreateNew).unwrap();
    file.allocate(4096).unwrap();
    file.write_at(b"behind", 1024).unwrap();
    let mut buf = [0; 6];
    assert_eq!(file.read_at(&mut buf, 1024).unwrap(), 6, "the page is in the cache now");

    let direct = RealDisk.open(&path, OpenMode::Direct).unwrap();
    direct.write_at(model::Blocks::copy_of(&[b'x'; 600]).whole(), 512).unwrap();
    direct.sync_data().unwrap();
    let mut buf = [1; 1024];
    assert_eq!(file.read_at(&mut buf, 512).unwrap(), 1024);
    assert!(buf[..600].iter().all(|byte| *byte == b'x') && buf[600..].iter().all(|byte| *byte == 0));
}
