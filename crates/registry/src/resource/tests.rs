use std::time::Duration;

use serde_json::json;

use super::class::ClassSettings;
use super::key::{Right, Rights};
use super::*;

fn object(value: Value) -> Patch {
    serde_json::from_value(value).unwrap()
}

#[test]
fn durations_read_and_write() {
    let check = |text: &str, ms: Option<u64>| assert_eq!(duration_text::parse(text), ms.map(Duration::from_millis));
    check("7d", Some(604_800_000));
    check("1w", Some(604_800_000));
    check("90s", Some(90_000));
    check("5ms", Some(5));
    check("0s", Some(0));
    for wrong in ["", "7", "d", "7 d", "-7d", "1.5h", "7days", "99999999999999999999d", "18446744073709551615w"] {
        check(wrong, None);
    }
    let write = |text: &str, expect: &str| {
        assert_eq!(duration_text::format(duration_text::parse(text).unwrap()), expect);
    };
    write("1w", "7d");
    write("48h", "2d");
    write("90s", "90s");
    write("60s", "1m");
    write("1500ms", "1500ms");
    write("0s", "0s");
}

/// The examples of RFC 7396, appendix A, that concern objects.
#[test]
fn merge_patch_is_the_standards() {
    let check = |target: Value, patch: Value, expect: Value| {
        let mut target = object(target);
        merge(&mut target, &object(patch));
        assert_eq!(Value::Object(target), expect);
    };
    check(json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"}));
    check(json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"}));
    check(json!({"a":"b"}), json!({"a":null}), json!({}));
    check(json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"}));
    check(json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"}));
    check(json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}}));
    check(json!({"a":"foo"}), json!({"a":{"b":1}}), json!({"a":{"b":1}}));
    check(json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1}));
    check(json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}}));
}

#[test]
fn names_that_would_hurt_elsewhere_are_refused() {
    for good in ["a", "pump-7", "Line A", "v1.2", "site:7", &"x".repeat(128)] {
        assert!(check_name("name", good).is_ok(), "{good:?}");
    }
    for bad in ["", " a", "a ", ".a", "a/b", "a+", "#", "ü", "a\n", "a\0", &"x".repeat(129)] {
        assert!(check_name("name", bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_class_reads_with_defaults_and_refuses_what_it_does_not_know() {
    let class: ClassSettings = serde_json::from_value(json!({"name": "pump"})).unwrap();
    assert_eq!(class, ClassSettings::defaults("pump"));
    let text = serde_json::to_value(&class).unwrap();
    assert_eq!(
        text,
        json!({
            "name": "pump", "retention": {"hot": null, "warm": null, "cold": null}, "durability": "persisted",
            "schema_id": null, "format": null, "unknown_fields": "keep", "ts_unit": "ms", "units": {}, "computed": [], "quarantine": null, "tags": [], "free_topics": false, "metadata": {},
            "limits": {"messages_per_second": null, "bytes_per_second": null}
        })
    );
    assert_eq!(serde_json::from_value::<ClassSettings>(text).unwrap(), class);
    assert!(serde_json::from_value::<ClassSettings>(json!({"name": "pump", "colour": 1})).is_err());
}

#[test]
fn retention_is_ages_in_order() {
    let check = |retention: Value, expect: Option<&str>| {
        let class: ClassSettings = serde_json::from_value(json!({"name": "a", "retention": retention})).unwrap();
        assert_eq!(class.check().err().map(|error| error.to_string()).as_deref(), expect);
    };
    check(json!({"hot": "7d", "warm": "90d"}), None);
    check(json!({"hot": "7d", "cold": "7d"}), None);
    check(
        json!({"hot": "7d", "cold": "1d"}),
        Some("`retention.cold` must not be less than retention.hot: all are ages since receipt"),
    );
    check(json!({"warm": "0s"}), Some("`retention.warm` must not be zero: use null to keep data for ever"));
}

#[test]
fn a_patch_keeps_the_rest_and_null_takes_back_the_default() {
    let mut class = ClassSettings::defaults("pump");
    class.retention.hot = Some(Duration::from_secs(60));
    class.free_topics = true;
    let patch = object(json!({"retention": {"warm": "2d"}, "free_topics": null, "metadata": {"site": "B"}}));
    let patched = patched(&class, &patch).unwrap();
    assert_eq!(patched.retention.hot, Some(Duration::from_secs(60)));
    assert_eq!(patched.retention.warm, Some(Duration::from_secs(172_800)));
    assert!(!patched.free_topics);
    assert_eq!(patched.metadata["site"], "B");
}

#[test]
fn rights_are_a_set_in_which_admin_has_all() {
    let rights: Rights = serde_json::from_value(json!(["query", "ingest", "query"])).unwrap();
    assert_eq!(serde_json::to_value(rights).unwrap(), json!(["ingest", "query"]));
    assert!(rights.allow(Right::Query) && !rights.allow(Right::Devices) && !rights.allow(Right::Admin));
    let admin: Rights = [Right::Admin].into_iter().collect();
    assert!(Right::ALL.into_iter().all(|right| admin.allow(right)));
    assert!(serde_json::from_value::<Rights>(json!(["root"])).is_err());
}
