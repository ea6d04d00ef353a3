use serde::Deserialize;
use serde_json::{Value, json};

use crate::schema::Json;

/// `backward`: new reads what old wrote; `forward`: old reads what new wrote.
#[derive(Deserialize)]
struct Case {
    name: String,
    old: Value,
    new: Value,
    backward: bool,
    forward: bool,
}

fn parse(schema: &Value) -> Json {
    Json::parse(&schema.to_string(), &[]).unwrap_or_else(|invalid| panic!("{schema}: {invalid}"))
}

#[test]
fn the_table_of_cases() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("cases.json")).expect("the table");
    let mut wrong = Vec::new();
    for Case { name, old, new, backward, forward } in &cases {
        let (old, new) = (parse(old), parse(new));
        let (back, forth) = (new.cannot_read(&old), old.cannot_read(&new));
        if back.is_empty() != *backward {
            wrong.push(format!("{name}: backward is {backward}, found {back:?}"));
        }
        if forth.is_empty() != *forward {
            wrong.push(format!("{name}: forward is {forward}, found {forth:?}"));
        }
    }
    assert_eq!(cases.len(), 109);
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[track_caller]
fn check(old: Value, new: Value, expected: &[(&str, &str)]) {
    let found = parse(&new).cannot_read(&parse(&old));
    let found: Vec<_> = found.iter().map(|difference| (difference.kind, difference.path.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn differences_say_what_and_where() {
    let with = |property: Value| json!({"type": "object", "properties": {"a/b": {"type": "object", "properties": {"c": property}}}});
    let path = "#/properties/a~1b/properties/c";
    check(with(json!({"type": "number"})), with(json!({"type": "string"})), &[("TYPE_CHANGED", path)]);
    check(
        with(json!({"type": "number"})),
        with(json!({"type": "integer"})),
        &[("TYPE_NARROWED", &format!("{path}/type"))],
    );
    check(
        with(json!({"type": "string"})),
        with(json!({"type": "string", "maxLength": 5, "pattern": "a"})),
        &[("MAX_LENGTH_ADDED", &format!("{path}/maxLength")), ("PATTERN_ADDED", &format!("{path}/pattern"))],
    );
    let found = parse(&with(json!({"type": "string"}))).cannot_read(&parse(&with(json!({"type": "null"}))));
    assert_eq!(
        found[0].detail,
        format!("A type at path '{path}' is different between the new schema and the old schema")
    );
}

/// Where the rules of Confluent would let data pass that the reader refuses.
#[test]
fn holes_are_closed() {
    let closed = |properties: Value| json!({"type": "object", "properties": properties, "patternProperties": {"^x": {"type": "string"}}, "additionalProperties": false});
    check(
        closed(json!({})),
        closed(json!({"x1": {"type": "number"}})),
        &[("PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", "#/properties/x1")],
    );
    check(json!({"minLength": 1}), json!({"type": "string", "minLength": 1}), &[("TYPE_NARROWED", "#/type")]);
    check(
        json!({"oneOf": [{"type": "integer"}, {"type": "string"}]}),
        json!({"oneOf": [{"type": "number"}, {"type": "string"}, {"type": "integer", "minimum": 5}]}),
        &[("COMBINED_TYPE_SUBSCHEMAS_CHANGED", "#/oneOf")],
    );
    check(
        json!({"type": "integer", "minimum": 5}),
        json!({"oneOf": [{"type": "integer"}, {"type": "number"}]}),
        &[("TYPE_CHANGED", "#")],
    );
    check(
        json!({"type": "number", "maximum": 9007199254740993_u64}),
        json!({"type": "number", "maximum": 9007199254740992_u64}),
        &[("MAXIMUM_DECREASED", "#/maximum")],
    );
    let dialect = "https://json-schema.org/draft/2020-12/schema";
    check(
        json!({"$schema": dialect, "type": "object", "allOf": [{"properties": {"b": {}}}]}),
        json!({"$schema": dialect, "type": "object", "allOf": [{"properties": {"b": {}}}], "unevaluatedProperties": false}),
        &[("COMBINED_TYPE_SUBSCHEMAS_CHANGED", "#/allOf")],
    );
}

#[test]
fn recursion_is_compared_once_more_where_an_assumption_failed() {
    let list = |kind: &str| {
        json!({"definitions": {
        "node": {"type": "object", "additionalProperties": false, "properties": {"next": {"anyOf": [{"$ref": "#/definitions/node"}, {"type": "null"}]}, "value": {"type": kind}}}},
        "$ref": "#/definitions/node"})
    };
    let (old, new) = (parse(&list("number")), parse(&list("integer")));
    assert!(old.cannot_read(&new).is_empty());
    let found = new.cannot_read(&old);
    assert!(found.iter().any(|found| found.kind == "TYPE_NARROWED"), "{found:?}");
}

#[test]
fn hostile_pairs_take_bounded_time() {
    let nested = |leaf: &str| {
        let mut definitions = serde_json::Map::new();
        for n in 0..60 {
            let next = json!({"$ref": format!("#/definitions/d{}", (n + 1) % 60)});
            let members: Vec<_> = (0..20)
                .map(
                    |m| json!({"type": "object", "properties": {format!("p{m}"): next}, "required": [format!("p{m}")]}),
                )
                .collect();
            definitions.insert(format!("d{n}"), json!({"anyOf": members}));
        }
        definitions.insert("d59".to_owned(), json!({"type": leaf}));
        json!({"definitions": definitions, "$ref": "#/definitions/d0"})
    };
    let (old, new) = (parse(&nested("string")), parse(&nested("number")));
    assert!(!new.cannot_read(&old).is_empty());
}
