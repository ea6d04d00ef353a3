//! `/v1/schemas` over the router.

use serde_json::json;

use super::Api;

const AVRO: &str = r#"{"type":"record","name":"R","fields":[{"name":"x","type":"double"}]}"#;

#[tokio::test]
async fn a_schema_is_registered_once_and_found() {
    let api = Api::new().await;
    let key = api.acme.clone();
    let new = json!({"subject": "pump", "type": "avro", "schema": AVRO, "metadata": {"owner": "me"}});
    let (status, made) = api.call(&key, "POST", "/v1/schemas", new.clone()).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!((&made["id"], &made["subject"]), (&json!(1), &json!("pump")));
    assert_eq!((&made["version"], &made["major"]), (&json!(1), &json!(1)));
    assert_eq!(api.call(&key, "POST", "/v1/schemas", new.clone()).await, (200, made.clone()));
    // The document itself is as good as its text.
    let document = json!({"subject": "pump", "type": "avro", "schema": {"type": "string"}, "major": true});
    let (status, second) = api.call(&key, "POST", "/v1/schemas", document).await;
    assert_eq!((status, &second["major"]), (201, &json!(2)), "{second}");

    let path = format!("/v1/schemas/{}", made["schema_id"].as_str().unwrap_or_default());
    let (status, shown) = api.call(&key, "GET", &path, None).await;
    assert_eq!(status, 200);
    assert_eq!((&shown["type"], &shown["metadata"]["owner"]), (&json!("avro"), &json!("me")));
    assert_eq!(shown["versions"][0]["version"], 1);
    let (_, by_id) = api.call(&key, "GET", "/v1/schemas/ids/1", None).await;
    assert_eq!((&by_id["schema"], &by_id["places"][0]["schema_id"]), (&shown["schema"], &made["schema_id"]));

    let (_, page) = api.call(&key, "GET", "/v1/schemas?limit=1", None).await;
    assert_eq!((&page["schemas"][0]["schema_id"], &page["next"]), (&made["schema_id"], &json!("1:pump")));
    let (_, page) = api.call(&key, "GET", "/v1/schemas?limit=1&cursor=1:pump", None).await;
    assert_eq!((&page["schemas"][0]["schema_id"], &page["next"]), (&second["schema_id"], &json!(null)));
    let (_, none) = api.call(&key, "GET", "/v1/schemas?subject=fan", None).await;
    assert_eq!(none["schemas"], json!([]));

    assert_eq!(api.call(&key, "DELETE", &path, None).await.0, 204);
    let (status, gone) = api.call(&key, "GET", &path, None).await;
    assert_eq!((status, &gone["code"]), (404, &json!("schema-unknown")));
}

#[tokio::test]
async fn a_schema_that_is_named_stays() {
    let api = Api::new().await;
    let key = api.acme.clone();
    let new = json!({"subject": "pump", "type": "avro", "schema": AVRO});
    let (_, made) = api.call(&key, "POST", "/v1/schemas", new).await;
    let class = json!({"name": "pump", "schema_id": made["schema_id"]});
    assert_eq!(api.call(&key, "POST", "/v1/classes", class).await.0, 201);
    let path = format!("/v1/schemas/{}", made["schema_id"].as_str().unwrap_or_default());
    let (status, refused) = api.call(&key, "DELETE", &path, None).await;
    assert_eq!((status, &refused["code"], &refused["who"]), (409, &json!("schema-in-use"), &json!(["class `pump`"])));
}

#[tokio::test]
async fn rights_hold() {
    let api = Api::new().await;
    let key = |rights: &'static str| {
        let body = json!({"name": "a key", "rights": [rights]});
        let api = &api;
        async move { api.call(&api.acme, "POST", "/v1/keys", body).await.1["token"].as_str().map(str::to_owned) }
    };
    let (schemas, query) = (key("schemas").await.unwrap_or_default(), key("query").await.unwrap_or_default());
    let devices = key("devices").await.unwrap_or_default();
    let new = json!({"subject": "pump", "type": "avro", "schema": AVRO});
    for (token, get, post) in [(&schemas, 200, 201), (&query, 200, 403), (&devices, 403, 403)] {
        assert_eq!(api.call(token, "GET", "/v1/schemas", None).await.0, get);
        assert_eq!(api.call(token, "POST", "/v1/schemas", new.clone()).await.0, post);
    }
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let api = Api::new().await;
    let key = api.acme.clone();
    for (body, status, code) in [
        (json!({"subject": "a", "type": "xml", "schema": "<a/>"}), 400, "body-invalid"),
        (json!({"subject": "a", "type": "avro"}), 400, "body-invalid"),
        (json!({"subject": "a", "type": "avro", "schema": AVRO, "colour": 1}), 400, "body-invalid"),
        (json!({"subject": ":.x:", "type": "avro", "schema": AVRO}), 400, "subject-invalid"),
        (json!({"subject": "a", "type": "avro", "schema": ""}), 400, "schema-invalid"),
    ] {
        let (got, problem) = api.call(&key, "POST", "/v1/schemas", body).await;
        assert_eq!((got, problem["code"].as_str()), (status, Some(code)), "{problem}");
    }
    assert_eq!(api.call(&key, "GET", "/v1/schemas/x", None).await.1["code"], "schema-id-malformed");
    assert_eq!(api.call(&key, "GET", "/v1/schemas/ids/x", None).await.1["code"], "schema-id-malformed");
    assert_eq!(api.call(&key, "GET", "/v1/schemas/ids/9", None).await.1["code"], "schema-unknown");
}

#[tokio::test]
async fn a_schema_is_tried_on_a_sample() {
    let api = Api::new().await;
    let key = api.acme.clone();
    let class = json!({"name": "pump", "format": "msgpack", "units": {"x": "Cel"}});
    assert_eq!(api.call(&key, "POST", "/v1/classes", class).await.0, 201);
    let text = r#"{"type":"record","name":"R","fields":[{"name":"x","type":"double","unit":"[degF]"}]}"#;
    let check = async |sample: serde_json::Value| {
        let body = json!({"type": "avro", "schema": text, "sample": sample});
        let (status, answer) = api.call(&key, "POST", "/v1/schemas/check", body).await;
        let reading = &answer["sample"]["readings"][0]["metrics"]["x"];
        let letter = &answer["sample"]["dead_letters"][0]["reason"];
        (status, json!([reading["value"], reading["unit"], letter, answer["code"]]))
    };
    // The document as it is written, and bytes in a format that is said, or is the class's, or the schema's own.
    let payload = json!({"x": 212.0});
    assert_eq!(check(json!({"payload": payload})).await, (200, json!([212.0, "[degF]", null, null])));
    let sample = json!({"payload": payload, "class": "pump"});
    assert_eq!(check(sample).await, (200, json!([100.0, "Cel", null, null])));
    let sample = json!({"payload": payload, "class": {"units": {"x": "Cel"}}});
    assert_eq!(check(sample).await, (200, json!([100.0, "Cel", null, null])));
    let sample = json!({"base64": "gaF4y0BqgAAAAAAA", "class": "pump"});
    assert_eq!(check(sample).await, (200, json!([100.0, "Cel", null, null])));
    let sample = json!({"base64": "AAAAAACAakA="});
    assert_eq!(check(sample).await, (200, json!([212.0, "[degF]", null, null])));
    let sample = json!({"base64": "eA==", "format": "json"});
    assert_eq!(check(sample).await, (200, json!([null, null, "not-well-formed", null])));
    let sample = json!({"payload": {"x": "hot"}});
    assert_eq!(check(sample).await, (200, json!([null, null, "wrong-type", null])));
    for (sample, status, code) in [
        (json!({}), 400, "body-invalid"),
        (json!({"payload": payload, "base64": "eA=="}), 400, "body-invalid"),
        (json!({"payload": payload, "format": "cbor"}), 400, "body-invalid"),
        (json!({"base64": "eA==", "format": "xml"}), 400, "body-invalid"),
        (json!({"base64": "?"}), 400, "body-invalid"),
        (json!({"payload": payload, "class": "fan"}), 404, "class-unknown"),
        (json!({"payload": payload, "class": {"unit": {}}}), 400, "body-invalid"),
        (json!({"payload": payload, "class": {"units": {"x": "kPa"}}}), 400, "invalid-value"),
    ] {
        assert_eq!(check(sample.clone()).await, (status, json!([null, null, null, code])), "{sample}");
    }
}
