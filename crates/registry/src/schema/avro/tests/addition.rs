use super::*;

#[test]
fn only_optional_fields_are_added_within_a_major() {
    let base = json!({"name": "a", "type": "int"});
    let check = |before: Value, now: Value, expect: &[(&str, &str)]| {
        let found = schema(&record(&now)).beyond_additions_to(&schema(&record(&before)));
        assert_eq!(kinds(&found), expect, "{before} to {now}: {found:?}");
    };
    let one = |value: Value| json!([value]);
    check(json!([base]), json!([base]), &[]);
    check(json!([base]), json!([base, {"name": "b", "type": "int", "default": 0}]), &[]);
    check(json!([base]), json!([{"name": "b", "type": ["null", "int"], "default": null}, base]), &[]);
    check(
        json!([base]),
        json!([base, {"name": "b", "type": ["null", "int"]}]),
        &[("REQUIRED_FIELD_ADDED", "/fields/1")],
    );
    check(json!([base, {"name": "b", "type": "int"}]), json!([base]), &[("FIELD_REMOVED", "/fields")]);
    check(
        json!([base, {"name": "b", "type": "int"}]),
        json!([{"name": "b", "type": "int"}, base]),
        &[("FIELD_MOVED", "/fields/1")],
    );
    check(
        json!([base]),
        json!([{"name": "b", "type": "int", "aliases": ["a"], "default": 0}]),
        &[("FIELD_RENAMED", "/fields/0")],
    );
    check(json!([base]), json!([{"name": "a", "type": "int", "doc": "d", "aliases": ["z"], "note": 1}]), &[]);
    check(
        json!([base]),
        json!([{"name": "a", "type": "int", "default": 0}]),
        &[("DEFAULT_CHANGED", "/fields/0/default")],
    );
    check(
        json!([base]),
        json!([{"name": "a", "type": "int", "unit": "Cel"}]),
        &[("ATTRIBUTE_CHANGED", "/fields/0/unit")],
    );
    let of = |of: Value| json!({"name": "a", "type": of});
    check(one(of(json!("int"))), one(of(json!("long"))), &[("TYPE_CHANGED", "/fields/0/type")]);
    check(one(of(json!("int"))), one(of(json!(["null", "int"]))), &[("TYPE_CHANGED", "/fields/0/type")]);
    check(
        one(of(json!(["null", "int"]))),
        one(of(json!(["null", "int", "string"]))),
        &[("TYPE_CHANGED", "/fields/0/type")],
    );
    check(
        one(of(json!("double"))),
        one(of(json!({"type": "double", "unit": "Cel"}))),
        &[("ATTRIBUTE_CHANGED", "/fields/0/type")],
    );
    let long = |word: &str| of(json!({"type": "long", "logicalType": word}));
    check(one(long("timestamp-millis")), one(long("timestamp-micros")), &[("LOGICAL_TYPE_CHANGED", "/fields/0/type")]);
    let symbols = |symbols: &[&str], default: &str| {
        of(json!({"type": "enum", "name": "E", "symbols": symbols, "default": default}))
    };
    check(one(symbols(&["A"], "A")), one(symbols(&["A", "B"], "A")), &[("SYMBOLS_CHANGED", "/fields/0/type/symbols")]);
    check(
        one(symbols(&["A", "B"], "A")),
        one(symbols(&["A", "B"], "B")),
        &[("DEFAULT_CHANGED", "/fields/0/type/default")],
    );
    let nested =
        |fields: Value| of(json!({"type": "array", "items": {"type": "record", "name": "N", "fields": fields}}));
    let more = json!([{"name": "p", "type": "int"}, {"name": "q", "type": "int", "default": 0}]);
    check(one(nested(json!([{"name": "p", "type": "int"}]))), one(nested(more)), &[]);
    check(
        one(nested(json!([{"name": "p", "type": "int"}]))),
        one(nested(json!([]))),
        &[("FIELD_REMOVED", "/fields/0/type/items/fields")],
    );
    let fixed = |name: &str, size: u32| of(json!({"type": "fixed", "name": name, "size": size}));
    check(one(fixed("F", 1)), one(fixed("F", 2)), &[("SIZE_CHANGED", "/fields/0/type/size")]);
    check(one(fixed("n.F", 1)), one(fixed("m.F", 1)), &[("NAME_CHANGED", "/fields/0/type/name")]);
}
