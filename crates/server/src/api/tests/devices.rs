//! Devices, tokens and imports.

use model::DeviceId;
use serde_json::{Value, json};

use super::Api;

fn path(device: &Value) -> String {
    format!("/v1/devices/{}", device["device_id"].as_str().expect("a device has an id"))
}

#[tokio::test]
async fn a_device_from_beginning_to_end() {
    let api = Api::new().await;
    let new = json!({"device_class": "pump", "metadata": {"site": "north"}});
    let (status, made) = api.call(&api.acme, "POST", "/v1/devices", new).await;
    assert_eq!(status, 201);
    let topic = format!("tenant/{}/device/{}/data", made["tenant_id"], made["device_id"]).replace('"', "");
    assert_eq!(made["topic"], topic);
    assert!(made["auth_token"].as_str().is_some_and(|token| token.starts_with("twd_")));
    let shown = json!({
        "device_id": made["device_id"], "tenant_id": made["tenant_id"], "device_class": "pump", "schema_id": null,
        "status": "active", "registered_at": 1_800_000_000_000_i64, "last_seen_at": null,
        "metadata": {"site": "north"}
    });
    assert_eq!(api.call(&api.acme, "GET", &path(&made), None).await, (200, shown.clone()));
    let list = |devices: Value| json!({"devices": devices, "next": null});
    for (query, expect) in [
        ("", json!([shown])),
        ("?class=pump&status=active", json!([shown])),
        ("?class=valve", json!([])),
        ("?status=inactive", json!([])),
    ] {
        assert_eq!(api.call(&api.acme, "GET", &format!("/v1/devices{query}"), None).await, (200, list(expect)));
    }
    let (status, changed) = api.call(&api.acme, "PATCH", &path(&made), json!({"status": "inactive"})).await;
    assert_eq!((status, &changed["status"], &changed["metadata"]), (200, &json!("inactive"), &shown["metadata"]));
    assert_eq!(api.call(&api.acme, "DELETE", &path(&made), None).await, (204, Value::Null));
    assert_eq!(api.refused(&api.acme, "GET", &path(&made), None).await, (404, "device-unknown".to_owned()));
    let again = json!({"device_id": made["device_id"]});
    assert_eq!(api.refused(&api.acme, "POST", "/v1/devices", again).await, (409, "device-conflict".to_owned()));
}

#[tokio::test]
async fn what_does_not_fit_is_a_problem() {
    let api = Api::new().await;
    let device = path(&api.device().await);
    let check = async |method: &str, path: &str, body: Option<Value>, status: u16, code: &str| {
        assert_eq!(api.refused(&api.acme, method, path, body).await, (status, code.to_owned()), "{method} {path}");
    };
    check("GET", "/v1/devices?state=active", None, 400, "parameter-unknown").await;
    check("GET", "/v1/devices?status=asleep", None, 400, "parameter-invalid").await;
    check("GET", "/v1/devices?limit=many", None, 400, "parameter-invalid").await;
    check("GET", "/v1/devices?cursor=x", None, 400, "invalid-value").await;
    check("GET", "/v1/devices/x", None, 400, "device-id-malformed").await;
    check("GET", &format!("/v1/devices/{}", DeviceId::random()), None, 404, "device-unknown").await;
    check("POST", "/v1/devices", Some(json!({"device_clas": "typo"})), 400, "body-invalid").await;
    check("POST", "/v1/devices", Some(json!({"device_class": "a/b"})), 400, "invalid-value").await;
    check("POST", "/v1/devices", Some(json!([])), 400, "body-invalid").await;
    check("PATCH", &device, Some(json!({"status": "asleep"})), 400, "invalid-value").await;
    check("POST", &format!("{device}/token"), Some(json!({"overlap": 5})), 400, "body-invalid").await;
    let unknown = format!("/v1/devices/{}?data=erase", DeviceId::random());
    check("DELETE", &unknown, None, 404, "device-unknown").await;
    check("DELETE", &format!("{device}?data=all"), None, 400, "parameter-invalid").await;
    assert_eq!(api.call(&api.acme, "GET", &device, None).await.0, 200);
}

#[tokio::test]
async fn another_tenant_finds_nothing() {
    let api = Api::new().await;
    let device = path(&api.device().await);
    for (method, path, body) in [
        ("GET", device.clone(), None),
        ("PATCH", device.clone(), Some(json!({"status": "inactive"}))),
        ("DELETE", device.clone(), None),
        ("POST", format!("{device}/token"), None),
    ] {
        let refused = api.refused(&api.operator, method, &path, body).await;
        assert_eq!(refused, (404, "device-unknown".to_owned()), "{method} {path}");
    }
    assert_eq!(api.call(&api.operator, "GET", "/v1/devices", None).await.1["devices"], json!([]));
}

#[tokio::test]
async fn a_token_is_rotated_with_and_without_overlap() {
    let api = Api::new().await;
    let device = api.device().await;
    let id: DeviceId = device["device_id"].as_str().and_then(|id| id.parse().ok()).expect("it is a UUID");
    let good = async |answer: &Value| {
        let token = answer["auth_token"].as_str().expect("the token is in this answer");
        api.registry.authenticate_device(id, token).await.is_ok()
    };
    let path = format!("{}/token", path(&device));
    let (status, second) = api.call(&api.acme, "POST", &path, json!({"overlap_seconds": 60})).await;
    assert_eq!((status, &second["previous_until"]), (201, &json!(1_800_000_060_000_i64)));
    assert_eq!(second["topic"], device["topic"]);
    assert!(good(&device).await && good(&second).await);
    let (status, third) = api.call(&api.acme, "POST", &path, None).await;
    assert_eq!((status, &third["previous_until"]), (201, &Value::Null));
    assert!(!good(&device).await && !good(&second).await && good(&third).await);
    assert_eq!(api.call(&api.acme, "POST", &path, json!({})).await.0, 201);
}

#[tokio::test]
async fn the_same_device_again_has_no_token() {
    let api = Api::new().await;
    let new = json!({"device_id": DeviceId::random(), "metadata": {"a": 1}});
    let (status, first) = api.call(&api.acme, "POST", "/v1/devices", new.clone()).await;
    assert_eq!(status, 201);
    let (status, again) = api.call(&api.acme, "POST", "/v1/devices", new).await;
    assert_eq!((status, &again["auth_token"]), (200, &Value::Null));
    assert_eq!((&again["device_id"], &again["topic"]), (&first["device_id"], &first["topic"]));
}

#[tokio::test]
async fn an_import_answers_each_line() {
    let api = Api::new().await;
    let id = DeviceId::random();
    let body = format!(
        "{{\"device_id\":\"{id}\",\"device_class\":\"pump\"}}\n\n{{\"device_id\":\"{id}\",\"device_class\":\"pump\"}}\nnonsense\n{{\"colour\":1}}\n{{\"device_id\":\"{id}\"}}\n{{}}"
    );
    let (status, answer) = api.send(&api.acme, "POST", "/v1/devices:import", "application/x-ndjson", body).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!((&answer["created"], &answer["existing"], &answer["refused"]), (&json!(2), &json!(1), &json!(3)));
    let rows = answer["devices"].as_array().expect("each line has its answer");
    let seen: Vec<_> =
        rows.iter().map(|row| (row["line"].as_u64(), row["code"].as_str(), row["auth_token"].is_string())).collect();
    assert_eq!(
        seen,
        [
            (Some(1), None, true),
            (Some(3), None, false),
            (Some(4), Some("not-well-formed"), false),
            (Some(5), Some("body-invalid"), false),
            (Some(6), Some("device-conflict"), false),
            (Some(7), None, true),
        ]
    );
    let many = "{}\n".repeat(10_001);
    let (status, problem) = api.send(&api.acme, "POST", "/v1/devices:import", "application/x-ndjson", many).await;
    assert_eq!((status, &problem["code"]), (413, &json!("body-too-large")));
    let (status, problem) = api.send(&api.acme, "POST", "/v1/devices:import", "text/csv", "a,b".to_owned()).await;
    assert_eq!((status, &problem["code"]), (415, &json!("media-type-unsupported")));
}
