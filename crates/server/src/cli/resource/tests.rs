use serde_json::json;

use super::*;

#[test]
fn pairs_are_json_where_they_read_as_json() {
    let check = |text: &str, value: Value| assert_eq!(pair(text).expect("a pair").1, value, "{text}");
    check("site=north", json!("north"));
    check("floor=3", json!(3));
    check("ok=true", json!(true));
    check("at={\"x\":1}", json!({"x": 1}));
    check("formula=a=b", json!("a=b"));
    check("gone=none", Value::Null);
    check("empty=", json!(""));
    assert_eq!(pair("site").expect_err("no value").to_string(), "`site` is not of the form NAME=VALUE");
}

#[test]
fn what_was_not_given_is_not_sent() {
    let given = || {
        let mut members = Members::default();
        members.set("schema_id", &Some("none".to_owned()));
        members.set("status", &None);
        members.pairs("metadata", &["a=1".to_owned(), "b=none".to_owned()]).expect("two pairs");
        members
    };
    assert_eq!(given().for_create(), json!({"metadata": {"a": 1}}));
    assert_eq!(
        given().for_update().expect("it is not empty"),
        json!({"schema_id": null, "metadata": {"a": 1, "b": null}})
    );
    assert!(Members::default().for_update().is_err());
}

#[test]
fn cells_are_short() {
    let check = |value: Value, text: &str| assert_eq!(cell(&value), text);
    check(Value::Null, "");
    check(json!("active"), "active");
    check(json!(["ingest", "query"]), "ingest,query");
    check(json!({"hot": "7d", "warm": null, "cold": "90d"}), "cold=90d hot=7d");
    check(json!(1_800_000_000_000_i64), "1800000000000");
    assert_eq!(member("last_seen_at", &json!(1_800_000_000_000_i64)), "2027-01-15T08:00:00.000Z");
    assert_eq!(member("last_seen_at", &Value::Null), "");
    assert_eq!(member("devices", &json!(5)), "5");
}
