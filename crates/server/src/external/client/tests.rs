//! The client against a server that says what a test wants it to.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, sync_channel};

use super::*;

/// Answers one request with these bytes, and gives back what was asked.
fn answering(answer: Vec<u8>) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let (asked, requests) = sync_channel(1);
    std::thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else { return };
        let mut request = vec![0; 4096];
        let read = stream.read(&mut request).unwrap_or(0);
        drop(asked.send(String::from_utf8_lossy(&request[..read]).into_owned()));
        // A client that has read enough goes away.
        drop(stream.write_all(&answer));
    });
    (address, requests)
}

fn http(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).into_bytes()
}

async fn subjects(answer: Vec<u8>) -> Result<Vec<String>, Failure> {
    let (address, _asked) = answering(answer);
    Client::new(&format!("http://{address}/base/"), None).subjects().await
}

#[track_caller]
fn unavailable<T: fmt::Debug>(outcome: Result<T, Failure>, part: &str) {
    match outcome {
        Err(Failure::Unavailable(why)) if why.contains(part) => {}
        other => panic!("not out of reach because of `{part}`: {other:?}"),
    }
}

#[tokio::test]
async fn an_answer_is_read() {
    let (address, asked) = answering(http("200 OK", r#"{"subject":"a/b","version":2,"id":7,"schema":"{}","new":1}"#));
    let client = Client::new(&format!("http://{address}/base"), Some("me:secret"));
    let version = client.version("a/b c", 2).await.expect("it answers");
    assert_eq!((version.id, version.schema.as_str(), version.schema_type), (7, "{}", None));
    let request = asked.recv().expect("it was asked").to_lowercase();
    assert!(request.starts_with("get /base/subjects/a%2fb%20c/versions/2 http"), "{request}");
    let basic = STANDARD.encode("me:secret").to_lowercase();
    assert!(request.contains(&format!("authorization: basic {basic}\r\n")), "{request}");
    assert!(!format!("{client:?}").contains("secret"));

    let (address, asked) = answering(http("200 OK", r#"{"id":9}"#));
    let client = Client::new(&format!("http://{address}"), Some("token"));
    let new = NewSchema::new(model::contract::Language::Json, "{}");
    assert_eq!(client.register("s", &new).await, Ok(9));
    assert!(asked.recv().expect("it was asked").contains("Bearer token\r\n"));
}

#[tokio::test]
async fn only_a_registry_can_say_that_there_is_none() {
    for code in [40401, 40402, 40403] {
        let answer = http("404 Not Found", &format!(r#"{{"error_code":{code},"message":"none"}}"#));
        assert_eq!(subjects(answer).await, Err(Failure::Unknown));
    }
    unavailable(subjects(http("404 Not Found", "<html>")).await, "check its path");
    unavailable(subjects(http("404 Not Found", r#"{"error_code":404,"message":"HTTP 404"}"#)).await, "check its path");
}

#[tokio::test]
async fn what_is_no_answer_is_out_of_reach() {
    unavailable(subjects(http("200 OK", "<html>")).await, "no registry says");
    unavailable(subjects(http("200 OK", r#"{"id":1}"#)).await, "no registry says");
    unavailable(subjects(http("500 No", r#"{"error_code":50001,"message":"the store"}"#)).await, "500: the store");
    unavailable(subjects(http("503 No", "")).await, "answers 503");
    unavailable(subjects(http("429 Slow", r#"{"error_code":429,"message":"slow down"}"#)).await, "429");
    unavailable(subjects(http("401 No", "")).await, "credentials");
    unavailable(subjects(b"HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n[".to_vec()).await, "broke off");
    unavailable(subjects(b"SSH-2.0-x\r\n".to_vec()).await, "");
    let refused = subjects(http("422 No", r#"{"error_code":42201,"message":"no schema"}"#)).await;
    assert_eq!(refused, Err(Failure::Refused { status: 422, message: "no schema".to_owned() }));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (other, asked) = answering(http("200 OK", r#"["stolen"]"#));
    let redirect = format!("HTTP/1.1 302 Found\r\nlocation: http://{other}/subjects\r\ncontent-length: 0\r\n\r\n");
    unavailable(subjects(redirect.into_bytes()).await, "redirects");
    assert!(asked.try_recv().is_err(), "nobody else is asked");
}

#[tokio::test]
async fn an_answer_has_a_limit() {
    let mut huge = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n[\"", ANSWER_BYTES_MAX + 3).into_bytes();
    huge.resize(huge.len() + ANSWER_BYTES_MAX as usize + 1, b'x');
    unavailable(subjects(huge).await, "more than");
    let many = format!("[{}]", vec!["\"s\""; SUBJECTS_MAX + 1].join(","));
    unavailable(subjects(http("200 OK", &many)).await, "more than 20000 are not followed");
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("it is bound");
    let client = Client::with_wait(&format!("http://{address}"), None, Duration::from_millis(20));
    unavailable(client.subjects().await, "timeout");
    drop(silent);
    unavailable(client.subjects().await, "");
}
