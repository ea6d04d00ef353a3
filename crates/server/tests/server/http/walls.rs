//! Tenants are walls: another tenant's devices, readings and dead letters do not exist.

use serde_json::{Value, json};

use super::Running;

#[test]
fn another_tenant_sees_nothing_and_can_send_nothing() {
    let running = Running::start();
    let device = running.device("pump");
    running.ingest(&device, &json!([{"seq": 1, "metrics": {"a": 1}}, {"seq": 2}]));
    running.points(&device, "a", 1);
    let letter = running.eventually("/v1/dead-letters", |answer| answer["dead_letters"][0].is_object());
    let letter = letter["dead_letters"][0]["id"].as_str().unwrap().to_owned();

    let tenant = running.post("/v1/tenants", &json!({"name": "other"})).json();
    let id = tenant["tenant_id"].as_str().unwrap();
    let key = running.post("/v1/keys", &json!({"name": "all", "rights": ["admin"], "tenant": id}));
    let key = key.json()["token"].as_str().unwrap().to_owned();
    let ask = |method: &str, path: &str, body: &Value| {
        let json = [("content-type", "application/json")];
        running.request(method, path, &key, &json, body.to_string().as_bytes())
    };
    let get = |path: &str| ask("GET", path, &Value::Null);
    for path in [
        format!("/v1/devices/{}", device.id),
        format!("/v1/devices/{}/latest", device.id),
        format!("/v1/devices/{}/metrics?metric=a&from=0", device.id),
        format!("/v1/devices/{}/events?from=0", device.id),
        format!("/v1/dead-letters/{letter}"),
        "/v1/classes/pump/metrics?metric=a&from=0".to_owned(),
        "/v1/latest?class=pump".to_owned(),
    ] {
        assert_eq!(get(&path).status, 404, "{path}");
    }
    assert_eq!(get("/v1/dead-letters").json()["dead_letters"], json!([]));
    let replay = |body: Value| ask("POST", "/v1/dead-letters/replay", &body).json();
    for dry_run in [true, false] {
        let named = replay(json!({"ids": [letter], "dry_run": dry_run}));
        assert_eq!((&named["selected"], &named["skipped"]), (&json!(0), &json!({"dead-letter-unknown": 1})));
        assert_eq!(replay(json!({"filter": {}, "dry_run": dry_run}))["selected"], json!(0));
    }
    assert_eq!(get("/v1/devices").json()["devices"], json!([]));

    let message = json!({"seq": 3, "metrics": {"a": 3}});
    assert_eq!(
        ask("POST", &format!("/v1/ingest/{}", device.id), &message).problem(),
        (404, "device-unknown".to_owned())
    );
    let item = json!([{"device_id": device.id, "seq": 3, "metrics": {"a": 3}}]);
    let refused = ask("POST", "/v1/ingest", &item);
    assert_eq!(refused.problem(), (400, "nothing-accepted".to_owned()));
    assert_eq!(refused.json()["refused"], json!([{"index": 0, "code": "device-unknown"}]));
    assert_eq!(running.points(&device, "a", 1).len(), 1);
}
