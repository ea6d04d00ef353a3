use super::*;

fn mistakes(source: &str) -> Vec<String> {
    let mistakes = Config::parse(source).expect_err("the file has mistakes");
    mistakes.into_iter().map(|mistake| format!("{}: {}", mistake.line, mistake.text)).collect()
}

#[test]
fn an_empty_file_is_the_default_and_the_default_reads_back() {
    let default = Config::default();
    assert_eq!(Config::parse("").expect("valid"), default);
    assert_eq!(Config::parse(&default.show()).expect("valid"), default);
    let keys = default.show().lines().filter(|line| line.contains(" = ") && !line.starts_with('#')).count();
    assert!(keys <= 40, "{keys} keys");
}

#[test]
fn keys_are_read_in_tables_and_dotted() {
    let source = r#"
        data = "/srv/tidewater"
        http.listen = "127.0.0.1:0"
        [journal]
        url = "file:/fast/journal"
        retention = "2d"
        retention_bytes = "5GiB"
        [mqtt]
        receive_maximum = 20
        packet_bytes_max = 2_000_000
    "#;
    let config = Config::parse(source).expect("valid");
    assert_eq!(config.base.data, PathBuf::from("/srv/tidewater"));
    assert_eq!(config.http.listen.port(), 0);
    assert_eq!(config.journal.url, JournalUrl::File(Some("/fast/journal".into())));
    assert_eq!(config.journal.retention, Duration::from_secs(2 * 86_400));
    assert_eq!(config.journal.retention_bytes, Size(5 << 30));
    assert_eq!((config.mqtt.receive_maximum, config.mqtt.packet_bytes_max), (20, Size(2_000_000)));
}

#[test]
fn all_mistakes_are_reported_at_once_with_line_and_hint() {
    let source = "dta = \"x\"\n\n[mqtt]\nlissten = \"127.0.0.1:1\"\nreceive_maximum = 70000\n[journal]\n\
                  retention = 24\nurl = \"kafka://broker:9092\"\n[zebra]\nx = 1\n";
    let expect = [
        "1: `dta` is not a key. Did you mean `data`?",
        "4: `mqtt.lissten` is not a key. Did you mean `mqtt.listen`?",
        "5: `mqtt.receive_maximum` must be a whole number from 0 to 65535.",
        "7: `journal.retention` must be a duration, for example \"24h\" or \"7d\".",
        "8: `journal.url` must be one of the backends that this version supports: `file:`, `memory:` (`kafka:` is planned).",
        "9: `zebra` is not a key. `tidewater check-config` without a file lists every key.",
    ];
    assert_eq!(mistakes(source), expect);
}

#[test]
fn numbers_have_their_bounds() {
    let expect = [
        "1: `mqtt.receive_maximum` must be at least 1 (MQTT 5, 3.2.2.3.3).",
        "2: `mqtt.packet_bytes_max` must be from 1KiB to 8MiB.",
    ];
    assert_eq!(mistakes("mqtt.receive_maximum = 0\nmqtt.packet_bytes_max = \"1GiB\""), expect);
    let expect = "1: `journal.segment_bytes` must be from 4MiB to 1GiB in steps of 4KiB, and at least four times \
                  `mqtt.packet_bytes_max`.";
    for wrong in ["\"1MiB\"", "\"2GiB\"", "5000001"] {
        assert_eq!(mistakes(&format!("journal.segment_bytes = {wrong}")), [expect]);
    }
    assert_eq!(mistakes("journal.segment_bytes = \"8MiB\"\nmqtt.packet_bytes_max = \"4MiB\""), [expect]);
    assert!(Config::parse("journal.segment_bytes = \"4MiB\"").is_ok());
}

#[test]
fn broken_toml_is_reported_with_its_line() {
    let found = mistakes("data = \"x\"\n[mqtt\nlisten = 3\n");
    assert!(found[0].starts_with("2: "), "{found:?}");
}

#[test]
fn a_value_in_the_place_of_a_table_is_a_mistake() {
    assert_eq!(mistakes("mqtt = 3"), ["1: `mqtt` must be a table: write `[mqtt]` and its keys below."]);
}

#[test]
fn backends_that_are_not_built_are_named() {
    for (key, url) in [
        ("registry", "postgres://h/db"),
        ("cache", "redis://h"),
        ("store", "clickhouse://h"),
        ("store", "cassandra://h"),
        ("objects", "s3://bucket"),
    ] {
        let found = mistakes(&format!("{key}.url = \"{url}\""));
        assert!(found[0].contains("is planned"), "{found:?}");
    }
    assert_eq!(
        mistakes("journal.url = \"nonsense\""),
        ["1: `journal.url` must be a URL; supported: `file:`, `memory:`."]
    );
}

#[test]
fn the_command_line_overrides_the_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("tidewater.toml");
    fs::write(&file, "data = \"/a\"\nmqtt.listen = \"127.0.0.1:1\"\n").expect("written");
    let overrides = Overrides { config: Some(file), data: Some("/b".into()), ..Overrides::default() };
    let config = Config::load(&overrides).expect("valid");
    assert_eq!((config.base.data, config.mqtt.listen.port()), (PathBuf::from("/b"), 1));
}

#[test]
fn an_anonymous_listener_is_loopback_only() {
    let overrides = Overrides { dev_anonymous: "0.0.0.0:1884".parse().ok(), ..Overrides::default() };
    let message = Config::load(&overrides).expect_err("refused").to_string();
    assert!(message.contains("0.0.0.0:1884 is not a loopback address"), "{message}");
}

#[test]
fn schemas_come_from_a_url_without_a_password() {
    let config = Config::parse("[schemas]\nurl = \"https://registry:8081/base/\"\ncredentials_file = \"/run/secret\"");
    let schemas = config.expect("valid").schemas;
    assert_eq!(schemas.url, SchemasUrl::External("https://registry:8081/base".to_owned()));
    assert_eq!(schemas.credentials_file, Some("/run/secret".into()));
    let url = |url: &str| mistakes(&format!("schemas.url = \"{url}\"")).join("");
    assert!(url("http://me:secret@registry").contains("without credentials"));
    for wrong in ["http:registry", "https://", "http://registry/?a=b", "http://registry/#a", "http://a b"] {
        assert!(url(wrong).contains("a URL like"), "{wrong}: {}", url(wrong));
    }
    assert!(url("ftp://registry").contains("supported: `builtin:`, `http:`, `https:`"));
    let expect = "1: `schemas.credentials_file` must be left out while `schemas.url` is \"builtin:\": nobody asks for credentials there.";
    assert_eq!(mistakes("schemas.credentials_file = \"x\""), [expect]);
}
