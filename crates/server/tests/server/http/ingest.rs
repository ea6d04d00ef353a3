//! Messages over HTTP: what is accepted, in which forms, and what is refused.

use serde_json::json;

use super::Running;

const NDJSON: [(&str, &str); 1] = [("content-type", "application/x-ndjson")];

#[test]
fn what_is_accepted_is_read_back_exactly_and_survives_a_restart() {
    let mut running = Running::start();
    let device = running.device("pump");
    let messages: Vec<_> = (0..50)
        .map(|seq| json!({"ts": 1_700_000_000_000i64 + seq, "seq": seq, "metrics": {"a": 0.1 * seq as f64}}))
        .collect();
    running.ingest(&device, &json!(messages));
    // The same again is a re-send.
    running.ingest(&device, &json!(messages));
    let found = running.points(&device, "a", 50);
    let received = &found[0]["received"];
    let expect = (0..50).map(
        |seq| json!({"ts": 1_700_000_000_000i64 + seq, "value": 0.1 * seq as f64, "seq": seq, "received": received}),
    );
    let expect: Vec<_> = expect.collect();
    assert_eq!(found, expect);
    running.restart();
    assert_eq!(running.points(&device, "a", 50), expect);
    // Known again after the restart.
    running.ingest(&device, &json!(messages[..1]));
    running.ingest(&device, &json!({"ts": 1_700_000_000_100i64, "seq": 100, "metrics": {"a": 1.0}}));
    assert_eq!(running.points(&device, "a", 51).len(), 51);
}

#[test]
fn a_key_sends_for_many_devices_and_bad_items_are_refused_by_index() {
    let running = Running::start();
    let (first, second) = (running.device("pump"), running.device("fan"));
    let off = running.device("pump");
    let patch = running.request(
        "PATCH",
        &format!("/v1/devices/{}", off.id),
        &running.key,
        &[("content-type", "application/json")],
        br#"{"status":"inactive"}"#,
    );
    assert_eq!(patch.status, 200);
    let items = json!([
        {"device_id": first.id, "seq": 1, "metrics": {"a": 1}},
        {"device_id": "00000000-0000-4000-8000-000000000000", "metrics": {"a": 1}},
        {"device_id": second.id, "seq": 1, "metrics": {"a": 2}},
        {"metrics": {"a": 3}},
        {"device_id": off.id, "metrics": {"a": 4}},
    ]);
    let answer = running.post("/v1/ingest", &items);
    let refused = json!([
        {"index": 1, "code": "device-unknown"},
        {"index": 3, "code": "device-id-missing"},
        {"index": 4, "code": "device-inactive"},
    ]);
    assert_eq!((answer.status, answer.json()), (202, json!({"accepted": 2, "refused": refused})));
    assert_eq!(running.points(&first, "a", 1)[0]["value"], 1.0);
    assert_eq!(running.points(&second, "a", 1)[0]["value"], 2.0);

    let none = running.post("/v1/ingest", &json!([items[3]]));
    assert_eq!(none.problem(), (400, "nothing-accepted".to_owned()));
    assert_eq!(none.json()["refused"], json!([{"index": 0, "code": "device-id-missing"}]));
}

#[test]
fn statuses_decide_inactive_is_refused_quarantined_is_dead_lettered() {
    let running = Running::start();
    let device = running.device("pump");
    let path = format!("/v1/ingest/{}", device.id);
    let set = |status: &str| {
        let body = format!("{{\"status\":\"{status}\"}}");
        let json = [("content-type", "application/json")];
        let device = format!("/v1/devices/{}", device.id);
        assert_eq!(running.request("PATCH", &device, &running.key, &json, body.as_bytes()).status, 200);
    };
    let send = || running.request("POST", &path, &device.token, &[], br#"{"seq":1,"metrics":{"a":1}}"#);
    set("inactive");
    assert_eq!(send().problem(), (403, "device-inactive".to_owned()));
    set("quarantined");
    assert_eq!(send().status, 202);
    let letters = format!("/v1/dead-letters?device={}", device.id);
    let letters = running.eventually(&letters, |answer| answer["dead_letters"][0].is_object());
    assert_eq!(letters["dead_letters"][0]["reason"], "quarantined");
    set("active");
    assert_eq!(send().status, 202);
    assert_eq!(running.points(&device, "a", 1).len(), 1);
}

#[test]
fn events_have_their_own_way() {
    let running = Running::start();
    let device = running.device("door");
    let path = format!("/v1/ingest/{}/events", device.id);
    let lines = b"{\"type\":\"opened\",\"ts\":1000,\"seq\":1,\"data\":{\"by\":[\"key\"]}}\n{\"type\":\"closed\",\"ts\":2000,\"seq\":2}\n";
    let answer = running.request("POST", &path, &device.token, &NDJSON, lines);
    assert_eq!((answer.status, answer.json()), (202, json!({"accepted": 2})));
    let all = format!("/v1/devices/{}/events?from=0&to=3000", device.id);
    let found = running.eventually(&all, |answer| answer["events"].as_array().is_some_and(|it| it.len() == 2));
    let opened = json!({"type": "opened", "ts": 1000, "seq": 1, "data": {"by": ["key"]}});
    assert_eq!(found, json!({"events": [opened, {"type": "closed", "ts": 2000, "seq": 2}], "next": null}));
    assert_eq!(running.get(&format!("{all}&type=opened")).json()["events"], json!([opened]));
    let page = running.get(&format!("{all}&limit=1")).json();
    assert_eq!(page["events"], json!([opened]));
    let cursor = page["next"].as_str().unwrap();
    assert_eq!(running.get(&format!("{all}&limit=1&cursor={cursor}")).json()["events"][0]["type"], "closed");
}

#[test]
fn a_long_array_is_taken_whole_though_a_payload_could_not_hold_it() {
    let running = Running::start();
    let device = running.device("pump");
    let messages: Vec<_> = (0..12_000).map(|seq| json!({"ts": seq, "seq": seq, "metrics": {"a": seq}})).collect();
    running.ingest(&device, &json!(messages));
    let path = format!("/v1/devices/{}/metrics?metric=a&from=0&to=20000&resolution=all&agg=count,sum", device.id);
    let answer = running.eventually(&path, |answer| answer["points"][0]["count"] == 12_000);
    assert_eq!(answer["points"][0]["sum"], 71_994_000.0);
}
