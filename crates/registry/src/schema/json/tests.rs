use serde_json::json;

use crate::schema::{Json, ReferencedText};

mod additions;
mod comparing;
mod properties;

fn parse(text: &str) -> Result<Json, String> {
    Json::parse(text, &[]).map_err(|invalid| invalid.why)
}

#[track_caller]
fn check_refused(text: &str, parts: &[&str]) {
    let shown: String = text.chars().take(200).collect();
    let why = parse(text).expect_err(&shown);
    for part in parts {
        assert!(why.contains(part), "{part} is not in: {why}");
    }
    assert!(why.len() < 1000, "{} bytes: {why}", why.len());
}

fn named(name: &str, text: &str) -> ReferencedText {
    ReferencedText { name: name.to_owned(), text: text.to_owned() }
}

#[test]
fn every_draft_is_read() {
    for draft in [
        "http://json-schema.org/draft-04/schema#",
        "http://json-schema.org/draft-06/schema",
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2019-09/schema",
        "https://json-schema.org/draft/2020-12/schema",
    ] {
        parse(&json!({"$schema": draft, "type": "object", "properties": {"a": {"type": "number"}}}).to_string())
            .expect(draft);
    }
    parse("true").expect("a schema");
    parse(r#"{"exclusiveMinimum": 5}"#).expect("draft-07 without $schema");
    check_refused(r#"{"exclusiveMinimum": true}"#, &["#/exclusiveMinimum"]);
    parse(r#"{"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1, "exclusiveMinimum": true}"#)
        .expect("draft-04");
    check_refused(r#"{"$schema": "http://example.com/mine"}"#, &["$schema", "2020-12"]);
}

#[test]
fn texts_that_are_no_schemas() {
    check_refused("", &["is not JSON", "line 1"]);
    check_refused("{\"type\": \"string\",\n \"type\": \"number\"}", &["`type` appears twice", "line 2"]);
    check_refused("[]", &["an object or a boolean"]);
    check_refused("{} {}", &["trailing"]);
    check_refused(r#"{"type": "strin"}"#, &["#/type"]);
    check_refused(r#"{"properties": {"a": {"minLength": -1}}}"#, &["#/properties/a/minLength"]);
    check_refused(r#"{"$ref": "\u0000:["}"#, &["$ref"]);
}

#[test]
fn nothing_is_fetched() {
    let remote = r#"{"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/other.json"}}}"#;
    check_refused(remote, &["http://127.0.0.1:9/other.json", "nothing is ever fetched", "references"]);
    check_refused(r#"{"$ref": "other.json"}"#, &["other.json", "references"]);
    check_refused(r##"{"$ref": "#/definitions/none"}"##, &["leads nowhere", "/definitions/none"]);
    check_refused(r##"{"definitions": {"unused": {"$ref": "file:///etc/passwd"}}}"##, &["file:///etc/passwd"]);
    let given = named("http://127.0.0.1:9/other.json", r#"{"type": "number"}"#);
    Json::parse(remote, &[given]).expect("it came along");
    parse(r#"{"$ref": "http://json-schema.org/draft-07/schema#"}"#).expect("a meta-schema is known");
}

#[test]
fn references_are_found_by_name() {
    let other = named(
        "other.json",
        r#"{"$id": "http://example.com/deep/other.json", "properties": {"n": {"$ref": "third.json#/definitions/n"}}}"#,
    );
    let third = named("third.json", r#"{"definitions": {"n": {"type": "number"}}}"#);
    for reference in ["other.json", "./other.json", "http://example.com/deep/other.json"] {
        let text = json!({"$ref": reference}).to_string();
        Json::parse(&text, &[other.clone(), third.clone()]).expect(reference);
        let text = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "http://mine.example/a.json", "$ref": reference}).to_string();
        Json::parse(&text, &[other.clone(), third.clone()]).expect(reference);
    }
    let broken = Json::parse(r#"{"$ref": "other.json"}"#, &[named("other.json", "{")]).expect_err("broken").why;
    assert!(broken.contains("`other.json` is not JSON"), "{broken}");
}

#[test]
fn sizes_are_bounded() {
    let properties: serde_json::Map<_, _> = (0..10_000).map(|n| (format!("p{n}"), json!({"type": "number"}))).collect();
    check_refused(&json!({"properties": properties}).to_string(), &["10000 properties", "1024"]);
    check_refused(&json!({"type": "string", "default": "x".repeat(1 << 20)}).to_string(), &["524288"]);
    check_refused(&json!({"type": "string", "default": "x".repeat(1 << 16)}).to_string(), &["#/default", "4096"]);
    check_refused(&"{\"not\":".repeat(50_000), &["more than 32 deep"]);
    check_refused(&"[".repeat(100_000), &["more than 32 deep"]);
    let references: Vec<_> = (0..33).map(|n| named(&n.to_string(), "{}")).collect();
    assert!(Json::parse("{}", &references).expect_err("many").why.contains("33 references"));
    let references: Vec<_> =
        (0..5).map(|n| named(&n.to_string(), &format!("{{\"title\": \"{}\"}}", "x".repeat(500_000)))).collect();
    assert!(Json::parse("{}", &references).expect_err("long").why.contains("together"));
}

#[test]
fn hostile_regular_expressions() {
    let pattern = |pattern: &str| {
        json!({"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}}).to_string()
    };
    for hostile in ["(?=a)b", "(?<!a)b", "(a)\\1", "(", "a{100000}", "((a{100}){100}){100}", "[", "\\p{Nonsense}"] {
        check_refused(&pattern(hostile), &["`pattern` at `#/properties/a`"]);
    }
    check_refused(&pattern(&"a".repeat(2000)), &["longer than 1024 bytes"]);
    for fine in ["(a+)+$", "^(a|a)*$", "^[\\w.-]{1,64}$", "\\d{4}-\\d\\d", "^\\p{L}+$", "^[^/]+$"] {
        parse(&pattern(fine)).expect(fine);
    }
    check_refused(r#"{"patternProperties": {"(?=x)": {}}}"#, &["`patternProperties` at `#`"]);
    let many: serde_json::Map<_, _> =
        (0..40).map(|n| (n.to_string(), json!({"pattern": format!("{n}{}", "a".repeat(500))}))).collect();
    check_refused(&json!({"properties": many}).to_string(), &["together"]);
}

#[test]
fn recursive_schemas_are_registered() {
    parse(r##"{"type": "object", "properties": {"next": {"$ref": "#"}}}"##).expect("recursive");
    parse(r##"{"$ref": "#"}"##).expect("only itself");
    parse(r##"{"definitions": {"a": {"$ref": "#/definitions/b"}, "b": {"$ref": "#/definitions/a"}}, "$ref": "#/definitions/a"}"##).expect("a ring");
}

#[test]
fn long_chains_of_references() {
    let definitions: serde_json::Map<_, _> = (0..4000)
        .map(|n| {
            (format!("d{n}"), json!({"properties": {"a": {"$ref": format!("#/definitions/d{}", (n + 1) % 4000)}}}))
        })
        .collect();
    let long = json!({"definitions": definitions, "$ref": "#/definitions/d0"});
    let mut other = long.clone();
    other["definitions"]["d3999"] = json!({"type": "number"});
    let (long, other) = (parse(&long.to_string()).expect("long"), parse(&other.to_string()).expect("long"));
    assert!(long.contract().is_err());
    assert_eq!(other.cannot_read(&long)[0].kind, "SCHEMA_TOO_LARGE");
    assert_eq!(other.beyond_additions_to(&long)[0].kind, "SCHEMA_TOO_LARGE");
}

#[test]
fn identity() {
    let canonical = |text: &str| parse(text).expect(text).canonical();
    let one = canonical(
        "{\"type\": \"object\",\n\t\"properties\": {\"b\": {\"minimum\": 1.0}, \"a\": {}}, \"required\": [\"b\", \"a\"]}",
    );
    assert_eq!(one, r#"{"properties":{"a":{},"b":{"minimum":1.0}},"required":["b","a"],"type":"object"}"#);
    assert_eq!(canonical(&one), one);
    assert_ne!(canonical(r#"{"required": ["a", "b"]}"#), canonical(r#"{"required": ["b", "a"]}"#));
    assert_ne!(canonical(r#"{"minimum": 1.0}"#), canonical(r#"{"minimum": 1}"#));
    assert_ne!(canonical(r#"{"unit": "Cel"}"#), canonical(r#"{"unit": "K"}"#));
}
