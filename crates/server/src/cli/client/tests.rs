use super::*;

#[test]
fn query_values_are_escaped() {
    assert_eq!(with_query("/v1/devices", &[]), "/v1/devices");
    assert_eq!(with_query("/x", &[("metric", "a b&c"), ("to", "-1h")]), "/x?metric=a%20b%26c&to=-1h");
}

#[test]
fn without_a_server_the_message_says_what_to_do() {
    let connection = Connection { data: "/nonexistent".into(), ..Connection::default() };
    let message = Client::open(&connection).err().expect("there is no server").to_string();
    assert!(message.contains("/nonexistent/listen.json") && message.contains("--url"), "{message}");
}

#[test]
fn url_and_key_come_from_the_data_directory() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("listen.json"), r#"{"http":"127.0.0.1:4711"}"#).expect("written");
    std::fs::write(dir.path().join("admin.key"), "twk_x\n").expect("written");
    let connection = Connection { data: dir.path().to_owned(), ..Connection::default() };
    let client = Client::open(&connection).expect("both are there");
    assert_eq!((client.url(), client.key.as_str()), ("http://127.0.0.1:4711", "twk_x"));
}
