use super::*;

#[test]
fn they_come_from_one_place_in_one_line() {
    let dir = tempfile::TempDir::new().expect("a temporary directory can be made");
    let file = dir.path().join("credentials");
    let read = |file, variable: &str| read(file, Some(variable.to_owned())).map_err(|error| error.to_string());
    assert_eq!(read(None, ""), Ok(None));
    assert_eq!(read(None, "token\n"), Ok(Some("token".to_owned())));
    let missing = read(Some(&file), "").expect_err("there is no file");
    assert!(missing.contains("credentials_file") && missing.contains("cannot be read"), "{missing}");
    std::fs::write(&file, "me:secret\n").expect("it can be written");
    assert_eq!(read(Some(&file), ""), Ok(Some("me:secret".to_owned())));
    assert!(read(Some(&file), "token").expect_err("two of them").contains("both given"));
    std::fs::write(&file, "me:secret\nmore").expect("it can be written");
    let wrong = read(Some(&file), "").expect_err("two lines");
    assert!(wrong.contains("one line") && !wrong.contains("secret"), "{wrong}");
}
