//! Tenants, keys and classes.

use serde_json::{Value, json};

use super::Api;

#[tokio::test]
async fn the_operator_makes_a_tenant_and_its_first_key() {
    let api = Api::new().await;
    let (status, tenant) = api.call(&api.operator, "POST", "/v1/tenants", json!({"name": "new"})).await;
    assert_eq!((status, &tenant["name"], &tenant["limits"]["devices"]), (201, &json!("new"), &Value::Null));
    let new = json!({"name": "first", "rights": ["admin"], "tenant": "new"});
    let (status, key) = api.call(&api.operator, "POST", "/v1/keys", new).await;
    assert_eq!((status, &key["tenant_id"], &key["rights"]), (201, &tenant["tenant_id"], &json!(["admin"])));
    let token = key["token"].as_str().expect("the token is in this answer");
    let (status, seen) = api.call(token, "GET", "/v1/tenants", None).await;
    assert_eq!((status, &seen), (200, &json!({"tenants": [tenant], "next": null})));
    let path = format!("/v1/keys/{}", key["key_id"].as_str().expect("a key has an id"));
    let (status, shown) = api.call(token, "GET", &path, None).await;
    assert_eq!((status, shown.get("token")), (200, None));
    assert_eq!(api.call(&api.operator, "DELETE", &format!("{path}?tenant=new"), None).await, (204, Value::Null));
    assert_eq!(api.refused(token, "GET", "/v1/tenants", None).await, (401, "credential-invalid".to_owned()));
}

/// For the administrator of one tenant, other tenants do not exist.
#[tokio::test]
async fn an_administrator_stays_within_the_tenant() {
    let api = Api::new().await;
    let unknown = (404, "tenant-unknown".to_owned());
    assert_eq!(api.refused(&api.acme, "GET", "/v1/tenants/default", None).await, unknown);
    assert_eq!(api.refused(&api.acme, "GET", "/v1/keys?tenant=default", None).await, unknown);
    let new = json!({"name": "mine", "rights": ["admin"], "tenant": "default"});
    assert_eq!(api.refused(&api.acme, "POST", "/v1/keys", new).await, unknown);
    let missing = (403, "right-missing".to_owned());
    assert_eq!(api.refused(&api.acme, "POST", "/v1/tenants", json!({"name": "x"})).await, missing);
    let more = json!({"limits": {"devices": 9}});
    assert_eq!(api.refused(&api.acme, "PATCH", "/v1/tenants/acme", more.clone()).await, missing);
    assert_eq!(api.refused(&api.acme, "DELETE", "/v1/tenants/acme", None).await, missing);
    assert_eq!(api.call(&api.acme, "GET", "/v1/tenants/acme", None).await.0, 200);
    let (status, changed) = api.call(&api.operator, "PATCH", "/v1/tenants/acme", more).await;
    assert_eq!((status, &changed["limits"]["devices"]), (200, &json!(9)));
    assert_eq!(api.call(&api.operator, "DELETE", "/v1/tenants/acme", None).await.0, 204);
    assert_eq!(api.call(&api.acme, "GET", "/v1/tenants/acme", None).await.0, 401);
}

#[tokio::test]
async fn a_key_needs_the_right() {
    let api = Api::new().await;
    let new = json!({"name": "dashboard", "rights": ["query"]});
    let (_, key) = api.call(&api.acme, "POST", "/v1/keys", new).await;
    let token = key["token"].as_str().expect("the token is in this answer");
    for path in ["/v1/devices", "/v1/classes", "/v1/keys", "/v1/tenants"] {
        assert_eq!(api.refused(token, "GET", path, None).await, (403, "right-missing".to_owned()), "{path}");
    }
    let path = format!("/v1/keys/{}", key["key_id"].as_str().expect("a key has an id"));
    let (status, changed) = api.call(&api.acme, "PATCH", &path, json!({"rights": ["devices"]})).await;
    assert_eq!((status, &changed["rights"]), (200, &json!(["devices"])));
    assert_eq!(api.call(token, "GET", "/v1/devices", None).await.0, 200);
}

#[tokio::test]
async fn a_class_from_beginning_to_end() {
    let api = Api::new().await;
    let new = json!({"name": "Line A", "retention": {"hot": "7d"}, "durability": "memory"});
    let (status, class) = api.call(&api.acme, "POST", "/v1/classes", new.clone()).await;
    assert_eq!((status, &class["retention"]), (201, &json!({"hot": "7d", "warm": null, "cold": null})));
    assert_eq!(api.refused(&api.acme, "POST", "/v1/classes", new).await, (409, "class-conflict".to_owned()));
    let patch = json!({"retention": {"warm": "90d"}, "durability": null});
    let (status, class) = api.call(&api.acme, "PATCH", "/v1/classes/Line%20A", patch).await;
    assert_eq!((status, &class["retention"]["hot"], &class["durability"]), (200, &json!("7d"), &json!("persisted")));
    assert_eq!(api.call(&api.acme, "GET", "/v1/classes/Line%20A", None).await, (200, class.clone()));
    assert_eq!(api.call(&api.acme, "GET", "/v1/classes", None).await.1, json!({"classes": [class], "next": null}));
    let wrong = json!({"name": "b", "retention": {"hot": "a week"}});
    let (status, problem) = api.call(&api.acme, "POST", "/v1/classes", wrong).await;
    assert_eq!((status, &problem["code"]), (400, &json!("body-invalid")));
    let detail = problem["detail"].as_str().expect("a problem has a detail");
    assert!(detail.contains("`a week` is not a duration: write for example 7d, 12h or 90s"), "{detail}");
    assert_eq!(api.call(&api.acme, "DELETE", "/v1/classes/Line%20A", None).await.0, 204);
    assert_eq!(api.refused(&api.acme, "GET", "/v1/classes/Line%20A", None).await, (404, "class-unknown".to_owned()));
}
