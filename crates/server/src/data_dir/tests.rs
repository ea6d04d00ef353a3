use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn a_second_owner_is_told_who_the_first_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = DataDir::open(dir.path()).expect("opens");
    let text = DataDir::open(dir.path()).expect_err("it is locked").to_string();
    assert!(text.contains(&format!("pid {}", std::process::id())), "{text}");
    drop(first);
    DataDir::open(dir.path()).expect("free again");
}

#[test]
fn another_version_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(DataDir::open(dir.path()).expect("opens"));
    fs::write(dir.path().join("version"), "99\n").expect("writes");
    let text = DataDir::open(dir.path()).expect_err("another version").to_string();
    assert!(text.contains("layout version 99") && text.contains("--data"), "{text}");
}

#[test]
fn the_admin_key_is_private() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = DataDir::open(&dir.path().join("new")).expect("opens");
    let path = data.write_admin_key("twk_x").expect("writes");
    assert_eq!(fs::metadata(path).expect("there").permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(data.path()).expect("there").permissions().mode() & 0o777, 0o700);
}
