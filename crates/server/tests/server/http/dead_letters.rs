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

/// Sets a device's status.
fn status(running: &Running, device: &Device, status: &str) {
    let (path, body) = (format!("/v1/devices/{}", device.id), json!({"status": status}).to_string());
    let answer =
        running.request("PATCH", &path, &running.key, &[("content-type", "application/json")], body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Sends these bodies while the device is quarantined, sets it active again, and gives its letters, oldest first.
fn quarantined(running: &Running, device: &Device, bodies: &[Value]) -> Vec<Value> {
    status(running, device, "quarantined");
    bodies.iter().for_each(|body| running.ingest(device, body));
    let path = format!("/v1/dead-letters?device={}&reason=quarantined&limit=1000", device.id);
    let all = |answer: &Value| answer["dead_letters"].as_array().is_some_and(|it| it.len() == bodies.len());
    let mut letters = running.eventually(&path, all)["dead_letters"].as_array().unwrap().clone();
    status(running, device, "active");
    letters.reverse();
    letters
}

fn replay(running: &Running, body: &Value) -> Value {
    let answer = running.post("/v1/dead-letters/replay", body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn message(seq: u64) -> Value {
    json!({"seq": seq, "ts": 1_700_000_000_000 + seq, "metrics": {"a": seq}})
}

#[test]
fn a_quarantined_device_is_heard_later() {
    let running = Running::start();
    let device = running.device("pump");
    let letters = quarantined(&running, &device, &[message(1), json!([message(2), message(3), {"seq": 4}])]);
    let filter = json!({"filter": {"device": device.id, "reason": "quarantined"}});

    // Not while it is quarantined.
    status(&running, &device, "quarantined");
    let nothing = json!({"dry_run": false, "selected": 2, "replayed": 0, "failed": {}, "undecided": 0,
        "skipped": {"device-quarantined": 2}, "next": null});
    assert_eq!(replay(&running, &filter), nothing);
    status(&running, &device, "active");

    let mut dry = filter.clone();
    dry["dry_run"] = json!(true);
    let would = json!({"dry_run": true, "selected": 2, "would_pass": 2, "would_fail": {}, "skipped": {}, "examples": [],
        "next": null});
    assert_eq!(replay(&running, &dry), would);
    assert_eq!(
        running.get(&format!("/v1/dead-letters?device={}&state=replayed", device.id)).json()["dead_letters"],
        json!([])
    );

    let done = json!({"dry_run": false, "selected": 2, "replayed": 2, "failed": {}, "undecided": 0, "skipped": {},
        "next": null});
    assert_eq!(replay(&running, &filter), done);
    assert_eq!(running.points(&device, "a", 3).len(), 3);
    // The array was taken apart: what was wrong in it is a letter of its own.
    let pending = running.get(&format!("/v1/dead-letters?device={}&state=pending", device.id)).json();
    assert_eq!(pending["dead_letters"].as_array().unwrap().len(), 1, "{pending}");
    assert_eq!(pending["dead_letters"][0]["reason"], "metrics-missing");
    for letter in &letters {
        let shown = running.get(&format!("/v1/dead-letters/{}", letter["id"].as_str().unwrap())).json();
        assert_eq!((&shown["state"], &shown["tries"]), (&json!("replayed"), &json!(1)), "{shown}");
        assert_eq!(shown["last_try"]["reason"], json!(null));
        assert_eq!(shown["mqtt_topic"].as_str().unwrap().rsplit('/').next(), Some("data"));
    }

    // Again it does nothing.
    let again = json!({"dry_run": false, "selected": 2, "replayed": 0, "failed": {}, "undecided": 0,
        "skipped": {"replayed": 2}, "next": null});
    assert_eq!(replay(&running, &filter), again);
    let ids: Vec<_> = letters.iter().map(|letter| letter["id"].clone()).collect();
    assert_eq!(replay(&running, &json!({"ids": ids})), again);
    assert_eq!(running.points(&device, "a", 3).len(), 3);
}

#[test]
fn what_is_rejected_again_stays_and_says_how_often_and_why() {
    let mut running = Running::start();
    let device = running.device("pump");
    let id = reject(&running, &device, 1)[0]["id"].as_str().unwrap().to_owned();
    let dry = replay(&running, &json!({"ids": [id], "dry_run": true}));
    assert_eq!((&dry["would_pass"], &dry["would_fail"]), (&json!(0), &json!({"metric-type": 1})));
    let example = &dry["examples"][0];
    assert_eq!((&example["id"], &example["path"]), (&json!(id), &json!("/metrics/a")));

    for _ in 0..2 {
        let answer = replay(&running, &json!({"ids": [id]}));
        assert_eq!((&answer["replayed"], &answer["failed"]), (&json!(0), &json!({"metric-type": 1})));
    }
    let path = format!("/v1/dead-letters/{id}");
    let shown = running.get(&path).json();
    assert_eq!((&shown["state"], &shown["tries"]), (&json!("pending"), &json!(2)));
    assert_eq!(
        (&shown["last_try"]["reason"], &shown["last_try"]["path"]),
        (&json!("metric-type"), &json!("/metrics/a"))
    );
    assert_eq!(running.get("/v1/dead-letters").json()["dead_letters"].as_array().unwrap().len(), 1);
    // It is known after a start, too.
    running.restart();
    assert_eq!(running.get(&path).json(), shown);
}

#[test]
fn two_replays_at_once_store_a_message_once() {
    let mut running = Running::start();
    let device = running.device("pump");
    // Nothing but the state of the letters tells these apart from new ones.
    let bodies: Vec<Value> = (0..50).map(|number| json!({"metrics": {"a": number}})).collect();
    quarantined(&running, &device, &bodies);
    let all = json!({"filter": {}});
    let (first, second) = std::thread::scope(|scope| {
        let other = scope.spawn(|| replay(&running, &all));
        (replay(&running, &all), other.join().unwrap())
    });
    let count = |answer: &Value| answer["replayed"].as_u64().unwrap();
    assert_eq!(count(&first) + count(&second), 50, "{first} {second}");
    assert_eq!(running.points(&device, "a", 50).len(), 50);
    running.restart();
    assert_eq!(replay(&running, &all)["skipped"], json!({"replayed": 50}));
    assert_eq!(running.points(&device, "a", 50).len(), 50);
}

#[test]
fn a_replay_goes_on_where_the_one_before_ended() {
    let running = Running::start();
    let device = running.device("pump");
    quarantined(&running, &device, &(0..7).map(message).collect::<Vec<_>>());
    let mut request = json!({"filter": {"device": device.id}, "limit": 3});
    let mut replayed = Vec::new();
    loop {
        let answer = replay(&running, &request);
        replayed.push(answer["replayed"].as_u64().unwrap());
        if answer["next"].is_null() {
            break;
        }
        request["cursor"] = answer["next"].clone();
    }
    assert_eq!(replayed, [3, 3, 1]);
    let seqs: Vec<_> = running.points(&device, "a", 7).iter().map(|point| point["seq"].clone()).collect();
    assert_eq!(json!(seqs), json!([0, 1, 2, 3, 4, 5, 6]));
}

#[test]
fn what_cannot_be_replayed_is_said() {
    let running = Running::start();
    let (gone, idle) = (running.device("pump"), running.device("pump"));
    quarantined(&running, &gone, &[message(1)]);
    quarantined(&running, &idle, &[message(1)]);
    let path = format!("/v1/devices/{}", gone.id);
    assert_eq!(running.request("DELETE", &path, &running.key, &[], b"").status, 204);
    status(&running, &idle, "inactive");
    let answer = replay(&running, &json!({"filter": {"from": "-1h", "to": "now", "class": "pump"}}));
    assert_eq!(answer["skipped"], json!({"device-unknown": 1, "device-inactive": 1}), "{answer}");
    assert_eq!(replay(&running, &json!({"ids": ["0-99999-0"]}))["skipped"], json!({"dead-letter-unknown": 1}));
    assert_eq!(replay(&running, &json!({"filter": {"to": "-1h"}}))["selected"], json!(0));
    for body in [
        json!({}),
        json!({"ids": []}),
        json!({"ids": ["0-0-0"], "filter": {}}),
        json!({"ids": ["0-0-0"], "limit": 3}),
        json!({"filter": {}, "limit": 0}),
        json!({"filter": {"device_id": "x"}}),
        json!({"filter": {}, "cursr": "3"}),
    ] {
        assert_eq!(
            running.post("/v1/dead-letters/replay", &body).problem(),
            (400, "body-invalid".to_owned()),
            "{body}"
        );
    }
    let reason = json!({"filter": {"reason": "bad"}});
    assert_eq!(running.post("/v1/dead-letters/replay", &reason).problem(), (400, "parameter-invalid".to_owned()));
    let id = json!({"ids": ["x"]});
    assert_eq!(running.post("/v1/dead-letters/replay", &id).problem(), (400, "dead-letter-id-malformed".to_owned()));
}

/// Changes a class.
fn class(running: &Running, name: &str, patch: &Value) {
    let (path, json) = (format!("/v1/classes/{name}"), [("content-type", "application/json")]);
    let answer = running.request("PATCH", &path, &running.key, &json, patch.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn a_class_that_is_mended_lets_its_letters_pass() {
    let running = Running::start();
    let device = running.device("strict");
    class(&running, "strict", &json!({"unknown_fields": "reject"}));
    running.ingest(&device, &json!({"seq": 1, "ts": 1, "odd": 7, "metrics": {"a": 1}}));
    let path = format!("/v1/dead-letters?device={}&reason=unknown-field", device.id);
    running.eventually(&path, |answer| answer["dead_letters"][0].is_object());
    let (all, dry) = (json!({"filter": {"class": "strict"}}), json!({"filter": {"class": "strict"}, "dry_run": true}));
    assert_eq!(replay(&running, &dry)["would_fail"], json!({"unknown-field": 1}));

    class(&running, "strict", &json!({"unknown_fields": "drop"}));
    assert_eq!(replay(&running, &dry)["would_pass"], json!(1));
    assert_eq!(replay(&running, &all)["replayed"], json!(1));
    assert_eq!(running.points(&device, "a", 1)[0]["value"], json!(1.0));
    assert_eq!(replay(&running, &all)["skipped"], json!({"replayed": 1}));
}

#[test]
fn a_device_that_sends_nonsense_is_quarantined_with_an_event_that_says_why() {
    let mut running = Running::start();
    let device = running.device("watched");
    class(&running, "watched", &json!({"quarantine": {"messages": 4, "rejected_percent": 50.0, "quarantine": true}}));
    running.ingest(&device, &json!([{"seq": 1}, {"seq": 2}, {"seq": 3}, {"seq": 4}]));
    let path = format!("/v1/devices/{}", device.id);
    running.eventually(&path, |answer| answer["status"] == "quarantined");
    let events = format!("{path}/events?type=device-quarantined&from=0");
    let event = running.eventually(&events, |answer| answer["events"][0].is_object())["events"][0].clone();
    assert_eq!(event["data"]["reason"], "metrics-missing", "{event}");

    // Somebody has set it active, and after a start it still is.
    status(&running, &device, "active");
    running.restart();
    running.ingest(&device, &message(9));
    running.points(&device, "a", 1);
    assert_eq!(running.get(&path).json()["status"], "active");
    assert_eq!(running.get(&events).json()["events"], json!([event]));
}

#[test]
fn the_letters_of_a_schema_are_listed_and_replayed_by_themselves() {
    let running = Running::start();
    let x = |maximum: u32| json!({"type": "object", "properties": {"x": {"type": "number", "maximum": maximum}}});
    let schema_ids = ["low", "high"].map(|subject| {
        let answer = running.post("/v1/schemas", &json!({"subject": subject, "type": "json", "schema": x(10)}));
        assert_eq!(answer.status, 201, "{}", answer.text());
        let schema_id = answer.json()["schema_id"].clone();
        running.post("/v1/classes", &json!({"name": subject, "schema_id": schema_id}));
        schema_id
    });
    let [low, high] = ["low", "high"].map(|class| running.device(class));
    (1..=3).for_each(|seq| running.ingest(&low, &json!({"seq": seq, "x": 20})));
    running.ingest(&high, &json!({"seq": 1, "x": 20}));
    let other = running.device("pump");
    reject(&running, &other, 1);
    let of = |schema_id: &Value| format!("/v1/dead-letters?schema_id={}", schema_id.as_str().unwrap());
    for (schema_id, device, count) in [(&schema_ids[0], &low, 3), (&schema_ids[1], &high, 1)] {
        let all = |answer: &Value| answer["dead_letters"].as_array().is_some_and(|it| it.len() == count);
        for letter in running.eventually(&of(schema_id), all)["dead_letters"].as_array().unwrap() {
            assert_eq!((&letter["schema_id"], &letter["device_id"]), (schema_id, &json!(device.id)), "{letter}");
        }
    }
    let unknown = running.get("/v1/dead-letters?schema_id=b9a6a1a0-0000-4000-8000-000000000000").json();
    assert_eq!(unknown["dead_letters"], json!([]));
    assert_eq!(running.get("/v1/dead-letters?schema_id=x").problem(), (400, "parameter-invalid".to_owned()));

    let answer =
        running.post("/v1/schemas", &json!({"subject": "low", "type": "json", "schema": x(30), "major": true}));
    assert_eq!(answer.status, 201, "{}", answer.text());
    class(&running, "low", &json!({"schema_id": answer.json()["schema_id"]}));
    let mut request = json!({"filter": {"schema_id": schema_ids[0]}, "dry_run": true});
    assert_eq!(replay(&running, &request)["would_pass"], json!(3));
    request["dry_run"] = json!(false);
    let done = replay(&running, &request);
    assert_eq!((&done["selected"], &done["replayed"]), (&json!(3), &json!(3)), "{done}");
    assert_eq!(running.points(&low, "x", 3).len(), 3);
    let pending = running.get(&format!("{}&state=pending", of(&schema_ids[1]))).json();
    assert_eq!(pending["dead_letters"].as_array().unwrap().len(), 1, "another schema's letters were left alone");
}
