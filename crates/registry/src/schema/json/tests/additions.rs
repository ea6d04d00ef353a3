use serde_json::{Value, json};

use crate::schema::Json;

fn parse(schema: &Value) -> Json {
    Json::parse(&schema.to_string(), &[]).unwrap_or_else(|invalid| panic!("{schema}: {invalid}"))
}

fn before() -> Value {
    json!({
        "type": "object",
        "required": ["t"],
        "properties": {
            "t": {"type": "number", "minimum": 0, "unit": "Cel"},
            "s": {"enum": ["a", "b"], "default": "a"},
            "o": {"type": "object", "properties": {"x": {"type": ["integer", "null"]}}}
        }
    })
}

#[track_caller]
fn check(pointer: &str, value: Value, expected: &[&str]) {
    let mut now = before();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let parent = now.pointer_mut(parent).expect("there").as_object_mut().expect("an object");
    match value {
        Value::Null => drop(parent.remove(key)),
        value => drop(parent.insert(key.to_owned(), value)),
    }
    let found = parse(&now).beyond_additions_to(&parse(&before()));
    let kinds: Vec<_> = found.iter().map(|difference| difference.kind).collect();
    assert_eq!(kinds, expected, "{found:?}");
}

#[test]
fn optional_properties_may_be_added_and_nothing_else() {
    check("/properties/new", json!({"type": "string", "default": "x", "description": "new"}), &[]);
    check(
        "/properties/o/properties/new",
        json!({"type": "object", "properties": {"y": {"type": "number"}}, "required": ["y"]}),
        &[],
    );
    check("/properties/t/description", json!("said better"), &[]);
    check("/title", json!("Reading"), &[]);
    check("/properties/t/examples", json!([1]), &[]);
    check("/required", json!(["t"]), &[]);
    check("/properties/o/properties/x/type", json!(["null", "integer"]), &[]);
    check("/properties/s/enum", json!(["b", "a"]), &[]);

    check("/properties/t", Value::Null, &["PROPERTY_REMOVED"]);
    check("/properties/o/properties/x", Value::Null, &["PROPERTY_REMOVED"]);
    check("/properties/t/type", json!("integer"), &["TYPE_CHANGED"]);
    check("/properties/o/properties/x/type", json!("integer"), &["TYPE_CHANGED"]);
    check("/properties/t/minimum", json!(-5), &["MINIMUM_CHANGED"]);
    check("/properties/t/minimum", Value::Null, &["MINIMUM_CHANGED"]);
    check("/properties/t/maximum", json!(5), &["MAXIMUM_CHANGED"]);
    check("/properties/t/unit", json!("K"), &["UNIT_CHANGED"]);
    check("/properties/t/unit", Value::Null, &["UNIT_CHANGED"]);
    check("/properties/s/default", json!("b"), &["DEFAULT_CHANGED"]);
    check("/properties/s/enum", json!(["a", "b", "c"]), &["ENUM_ARRAY_CHANGED"]);
    check("/required", json!([]), &["REQUIRED_ATTRIBUTE_REMOVED"]);
    check("/required", json!(["t", "s"]), &["REQUIRED_ATTRIBUTE_ADDED"]);
    check("/additionalProperties", json!(false), &["SCHEMA_ADDED"]);
    check("/properties/t/not", json!({"const": 5}), &["SCHEMA_ADDED"]);
    check("/properties/t/allOf", json!([{"maximum": 5}]), &["SCHEMA_ADDED"]);
}

#[test]
fn a_new_property_that_is_required() {
    let mut now = before();
    now["properties"]["n"] = json!({"type": "number"});
    now["required"] = json!(["t", "n"]);
    let found = parse(&now).beyond_additions_to(&parse(&before()));
    assert_eq!((found.len(), found[0].kind, found[0].path.as_str()), (1, "REQUIRED_PROPERTY_ADDED", "#/properties/n"));
}

#[test]
fn changes_behind_a_reference_count() {
    let with = |kind: &str| json!({"definitions": {"t": {"type": kind}}, "type": "object", "properties": {"a": {"$ref": "#/definitions/t"}, "next": {"$ref": "#"}}});
    let found = parse(&with("number")).beyond_additions_to(&parse(&with("string")));
    assert_eq!((found.len(), found[0].kind, found[0].path.as_str()), (1, "TYPE_CHANGED", "#/properties/a/type"));
}
