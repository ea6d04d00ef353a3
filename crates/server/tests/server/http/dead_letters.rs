//! Dead letters over HTTP: filters, pages, single letters.

use serde_json::{Value, json};

use super::{Device, Running};

fn reject(running: &Running, device: &Device, count: usize) -> Vec<Value> {
    let messages: Vec<_> = (0..count).map(|seq| json!({"seq": seq, "metrics": {"a": [seq]}})).collect();
    running.ingest(device, &json!(messages));
    let path = format!("/v1/dead-letters?device={}&limit=1000", device.id);
    let answer = running
        .eventually(&path, |answer| answer["dead_letters"].as_array().is_some_and(|it| it.len() >= count.min(1000)));
    answer["dead_letters"].as_array().unwrap().clone()
}

#[test]
fn a_letter_says_what_was_wrong_where_and_keeps_the_bytes() {
    let running = Running::start();
    let device = running.device("pump");
    let letters = reject(&running, &device, 1);
    let letter = &letters[0];
    for (field, expect) in [
        ("device_id", json!(device.id)),
        ("class", json!("pump")),
        ("reason", json!("metric-type")),
        ("path", json!("/metrics/a")),
        ("schema_id", json!(null)),
        ("topic", json!("raw")),
        ("partition", json!(0)),
        // {"metrics":{"a":[0]},"seq":0}
        ("payload", json!("eyJtZXRyaWNzIjp7ImEiOlswXX0sInNlcSI6MH0=")),
    ] {
        assert_eq!(letter[field], expect, "{field}");
    }
    let id = letter["id"].as_str().unwrap();
    assert_eq!(running.get(&format!("/v1/dead-letters/{id}")).json(), *letter);
    assert_eq!(running.get("/v1/dead-letters/0-999-0").problem(), (404, "dead-letter-unknown".to_owned()));
    assert_eq!(running.get("/v1/dead-letters/x").problem(), (400, "dead-letter-id-malformed".to_owned()));
}

#[test]
fn the_newest_come_first_in_pages_that_meet() {
    let running = Running::start();
    let device = running.device("pump");
    let all = reject(&running, &device, 2500);
    assert_eq!(all.len(), 1000);
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = running.get(&format!("/v1/dead-letters?limit=700{cursor}")).json();
        found.extend(page["dead_letters"].as_array().unwrap().iter().map(|letter| letter["id"].clone()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let expect: Vec<_> = (0..2500).rev().map(|index| json!(format!("0-0-{index}"))).collect();
    assert_eq!(found, expect);
    for index in [0, 1234, 2499] {
        assert_eq!(running.get(&format!("/v1/dead-letters/0-0-{index}")).status, 200, "{index}");
    }
}

#[test]
fn filters_choose() {
    let running = Running::start();
    let (first, second) = (running.device("pump"), running.device("fan"));
    reject(&running, &first, 2);
    reject(&running, &second, 1);
    running.ingest(&first, &json!({"seq": 9}));
    let count = |query: &str| {
        running.get(&format!("/v1/dead-letters?{query}")).json()["dead_letters"].as_array().map_or(0, Vec::len)
    };
    running.eventually("/v1/dead-letters?reason=metrics-missing", |answer| answer["dead_letters"][0].is_object());
    assert_eq!(count(""), 4);
    assert_eq!(count(&format!("device={}", first.id)), 3);
    assert_eq!(count("class=fan"), 1);
    assert_eq!(count("reason=metric-type&class=pump"), 2);
    assert_eq!(count("from=-1h"), 4);
    assert_eq!(count("to=-1h"), 0);
    assert_eq!(running.get("/v1/dead-letters?reason=bad").problem(), (400, "parameter-invalid".to_owned()));
}
