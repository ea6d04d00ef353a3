//! What is refused before it reaches a handler.

use std::io::{Read, Write};

use super::Running;

#[test]
fn credentials_are_checked_before_anything_else() {
    let running = Running::start();
    let (device, other) = (running.device("pump"), running.device("pump"));
    let ingest = format!("/v1/ingest/{}", device.id);
    let metrics = format!("/v1/devices/{}/metrics?metric=a", device.id);
    let wrong_key = format!("twk_{}", "a".repeat(49));
    for (method, path, token, status, code) in [
        ("POST", ingest.as_str(), "", 401, "credential-missing"),
        ("POST", &ingest, "nonsense", 401, "credential-invalid"),
        ("POST", &ingest, "twd_nonsense", 401, "credential-invalid"),
        ("POST", &ingest, &other.token, 401, "credential-invalid"),
        ("POST", &ingest, &wrong_key, 401, "credential-invalid"),
        ("POST", "/v1/ingest", &device.token, 403, "right-missing"),
        ("POST", "/v1/ingest/nonsense", &device.token, 400, "device-id-malformed"),
        ("GET", &metrics, &device.token, 403, "right-missing"),
        ("GET", "/v1/nothing", "", 404, "path-unknown"),
        ("POST", "/v1/keys?tenant=other", &running.key, 400, "parameter-unknown"),
        ("PUT", "/v1/devices", "", 405, "method-not-allowed"),
    ] {
        let answer = running.request(method, path, token, &[], b"{");
        assert_eq!(answer.problem(), (status, code.to_owned()), "{method} {path}");
        assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401);
    }
}

#[test]
fn a_key_may_do_what_its_rights_say() {
    let running = Running::start();
    let device = running.device("pump");
    let body = serde_json::json!({"name": "reader", "rights": ["query"]});
    let key = running.post("/v1/keys", &body).json()["token"].as_str().unwrap().to_owned();
    let status = |method: &str, path: &str| running.request(method, path, &key, &[], b"").status;
    assert_eq!(status("GET", &format!("/v1/devices/{}/latest", device.id)), 200);
    assert_eq!(status("GET", "/v1/devices"), 403);
    assert_eq!(status("GET", "/v1/dead-letters"), 403);
    assert_eq!(status("POST", &format!("/v1/ingest/{}", device.id)), 403);
}

#[test]
fn bodies_are_bounded_and_of_a_known_type() {
    let running = Running::start();
    let device = running.device("pump");
    let path = format!("/v1/ingest/{}", device.id);
    let send =
        |headers: &[(&str, &str)], body: &[u8]| running.request("POST", &path, &device.token, headers, body).problem();
    let bomb = zstd::bulk::compress(&vec![b' '; 80 << 20], 1).unwrap();
    assert_eq!(send(&[("content-encoding", "zstd")], &bomb), (413, "body-too-large".to_owned()));
    assert_eq!(send(&[("content-encoding", "br")], b"x"), (415, "encoding-unsupported".to_owned()));
    assert_eq!(send(&[("content-type", "image/png")], b"{}"), (415, "media-type-unsupported".to_owned()));
    assert_eq!(send(&[], b"{\"metrics\": {\"a\" 1}}"), (400, "not-well-formed".to_owned()));
    // Only begun: the server closes on what it does not want to read, and who still writes may lose the answer.
    let mut stream = std::net::TcpStream::connect(running.world().listen.http).unwrap();
    let (token, length) = (&device.token, 9 << 20);
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n "
    )
    .unwrap();
    let answer = read_answer(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("connection: close"), "{answer}");
}

#[test]
fn a_refusal_before_the_body_leaves_the_connection_usable() {
    // A refused POST once closed the connection behind its answer, and the next request on it was lost.
    let running = Running::start();
    let mut stream = std::net::TcpStream::connect(running.world().listen.http).unwrap();
    for _ in 0..3 {
        stream.write_all(b"POST /v1/ingest HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n").unwrap();
        stream.write_all(b"{}").unwrap();
        let answer = read_answer(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 401") && !answer.contains("connection: close"), "{answer}");
    }
    stream.write_all(b"POST /v1/ingest HTTP/1.1\r\nHost: t\r\nContent-Length: 999999\r\n\r\n{").unwrap();
    let answer = read_answer(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("connection: close"), "{answer}");
}

/// One answer with a body of known length.
fn read_answer(stream: &mut std::net::TcpStream) -> String {
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    let head = String::from_utf8(answer).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    stream.read_exact(&mut vec![0; length]).unwrap();
    head
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let directory = tempfile::TempDir::new().unwrap();
    let mut config = server::config::Config::default();
    config.base.data = directory.path().to_owned();
    config.mqtt.listen.set_port(0);
    config.operations.listen.set_port(0);
    config.http.listen = address;
    let start = server::run::Server::start(config, std::sync::Arc::new(disk::RealDisk), model::Clock::system());
    let message = server::cli::serve::runtime().unwrap().block_on(start).err().unwrap().to_string();
    assert!(message.contains(&address.to_string()) && message.contains("--http"), "{message}");
}
