//! Schemas that mean harm, and what becomes of each. Used by the tests of the crate, those of the server, and the benchmark.

#![allow(dead_code, reason = "not each of them uses all of a case")]

use serde_json::{Map, Value, json};

/// What a schema becomes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Becomes {
    /// It is no schema here; the sentence has this in it.
    Refused(&'static str),
    /// It may be registered, and messages cannot be checked by it; the sentence has this in it.
    Unusable(&'static str),
    /// A contract.
    Usable,
}

/// A text, and those that it refers to by these names.
pub struct Case {
    pub name: &'static str,
    /// `avro`, `json` or `protobuf`.
    pub language: &'static str,
    pub text: String,
    pub references: Vec<(String, String)>,
    pub becomes: Becomes,
}

use Becomes::{Refused, Unusable, Usable};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    json_cases(&mut cases);
    avro_cases(&mut cases);
    protobuf_cases(&mut cases);
    cases
}

/// Keywords on top of a schema that would be fine without them.
fn with(keywords: Value) -> Value {
    let mut schema = json!({"type": "object", "properties": {"x": {"type": "number"}}});
    for (keyword, value) in keywords.as_object().expect("an object of keywords") {
        schema[keyword] = value.clone();
    }
    schema
}

/// A schema whose property `x` is this.
fn x(value: Value) -> Value {
    json!({"type": "object", "properties": {"x": value}})
}

fn many(count: usize, entry: impl Fn(usize) -> (String, Value)) -> Value {
    Value::Object((0..count).map(entry).collect::<Map<_, _>>())
}

/// Definitions in a row, each of which is made of the next one; the last is a number.
fn row(count: usize, of: impl Fn(Value) -> Value) -> Value {
    let next = |n: usize| json!({"$ref": format!("#/definitions/d{}", n + 1)});
    let definition = |n: usize| (format!("d{n}"), if n + 1 == count { json!({"type": "number"}) } else { of(next(n)) });
    json!({"type": "object", "properties": {"x": {"$ref": "#/definitions/d0"}}, "definitions": many(count, definition)})
}

fn json_cases(cases: &mut Vec<Case>) {
    let mut add = |name, text: String, becomes| {
        cases.push(Case { name, language: "json", text, references: Vec::new(), becomes });
    };
    let mut case = |name, schema: Value, becomes| add(name, schema.to_string(), becomes);
    let number = |n: usize| (format!("f{n}"), json!({"type": "number"}));
    case("10,000 fields", json!({"properties": many(10_000, number)}), Refused("10000 properties, at most 1024"));
    let group = |n: usize| (format!("g{n}"), json!({"type": "object", "properties": many(1000, number)}));
    case("1,000 fields in each of 10 objects", json!({"properties": many(10, group)}), Unusable("1024"));
    case("it holds itself", with(json!({"properties": {"next": {"$ref": "#"}}})), Unusable("itself"));
    case("it is itself", json!({"$ref": "#"}), Unusable("leads back to itself"));
    let ring = json!({"a": {"$ref": "#/definitions/b"}, "b": {"$ref": "#/definitions/a"}});
    case("a ring of references", json!({"$ref": "#/definitions/a", "definitions": ring}), Unusable("leads back"));
    case("a remote reference", x(json!({"$ref": "http://127.0.0.1:9/x.json"})), Refused("nothing is ever fetched"));
    case("a reference to a file", x(json!({"$ref": "file:///etc/passwd"})), Refused("nothing is ever fetched"));
    let based = json!({"$id": "http://127.0.0.1:9/dir/", "properties": {"x": {"$ref": "x.json"}}});
    case("a reference that an $id makes remote", based, Refused("nothing is ever fetched"));
    case("a remote meta-schema", with(json!({"$schema": "http://127.0.0.1:9/schema"})), Refused("which is none of"));
    case("an $id that is no URI", with(json!({"$id": "http://[::1"})), Refused(""));
    case("a default of 1 MB", x(json!({"type": "string", "default": "x".repeat(1 << 20)})), Refused("524288"));
    case("a default of 400 KB", x(json!({"type": "string", "default": "x".repeat(400_000)})), Refused("4096"));
    let constants: Vec<String> = (0..50_000).map(|n| n.to_string()).collect();
    case("an enum of 50,000", x(json!({"type": "string", "enum": constants})), Refused("50000 values, at most 1024"));
    case("a pattern that looks around", x(json!({"type": "string", "pattern": "(?=a)b"})), Refused("look-ahead"));
    case(
        "a pattern that is huge",
        x(json!({"type": "string", "pattern": "((a{99}){99}){99}"})),
        Refused("repetitions"),
    );
    let slow = "(((a+)+)+)+$";
    case("a pattern that makes others backtrack", x(json!({"type": "string", "pattern": slow})), Usable);
    let costly =
        |n: usize| (format!("f{n}"), json!({"type": "string", "pattern": format!("^(\\w{{1,60}}){{1,9}}{n}$")}));
    case("as many costly patterns as may be", json!({"properties": many(40, costly)}), Usable);
    let why = "more than 4096 KiB together when compiled";
    case("more costly patterns than may be", json!({"properties": many(60, costly)}), Refused(why));
    let same = |n: usize| (costly(n).0, costly(0).1);
    case("a costly pattern for each of many", json!({"properties": many(700, same)}), Usable);
    case("nested objects", (0..100).fold(json!({}), |of, _| json!({"properties": {"x": of}})), Refused("deep"));
    case("doubling by allOf", row(60, |next| json!({"allOf": [next.clone(), next]})), Unusable(""));
    case("doubling by properties", row(60, |next| json!({"properties": {"a": next.clone(), "b": next}})), Unusable(""));
    case("doubling by anyOf", row(60, |next| json!({"anyOf": [next.clone(), next]})), Unusable("anyOf"));
    case("doubling by not and if", row(60, |next| json!({"not": next.clone(), "if": next})), Unusable(""));
    let long = row(4000, |next| json!({"properties": {"a": next}}));
    case("4,000 references in a row", long, Unusable(""));
    case("$dynamicRef", dynamic("$dynamicRef", "2020-12", "#node"), Unusable("`$dynamicRef`"));
    case("$recursiveRef", dynamic("$recursiveRef", "2019-09", "#"), Unusable("`$recursiveRef`"));
    case(
        "a control character in a name",
        json!({"properties": {"a\u{1}b": {"type": "number"}}}),
        Unusable("printable"),
    );
    case("an empty name", json!({"properties": {"": {"type": "number"}}}), Unusable("printable"));
    case("a name of 10 KB", json!({"properties": {"x".repeat(10_000): {"type": "number"}}}), Unusable("printable"));
    let twice = json!({"a.b": {"type": "number"}, "a": {"type": "object", "properties": {"b": {"type": "number"}}}});
    case("two fields of one name", json!({"properties": twice}), Unusable("`a.b`"));
    case("a length beyond all", x(json!({"type": "string", "maxLength": 1e30})), Usable);
    case("a step near zero", x(json!({"type": "number", "multipleOf": 5e-324})), Usable);
    case("a step of zero", x(json!({"type": "number", "multipleOf": 0})), Refused("multipleOf"));
    case(
        "10,000 required names",
        json!({"required": (0..10_000).map(|n| n.to_string()).collect::<Vec<_>>()}),
        Unusable(""),
    );
    case("10,000 definitions", with(json!({"definitions": many(10_000, number)})), Usable);
    let same = r#"{"properties": {"x": {"type": "number"}, "x": {"type": "string"}}}"#;
    add("one key twice", same.to_owned(), Refused("twice"));
    add("brackets without end", "[".repeat(100_000), Refused("deep"));
    add(
        "a number beyond a double",
        r#"{"properties":{"x":{"type":"number","minimum":1e999}}}"#.to_owned(),
        Refused(""),
    );
    add(
        "a number of 100,000 digits",
        format!(r#"{{"properties":{{"x":{{"minimum":{}}}}}}}"#, "9".repeat(100_000)),
        Refused(""),
    );
    add("a zero byte", "{\"title\":\"\0\"}".to_owned(), Refused("JSON"));
    add("half a surrogate", r#"{"title":"\ud800"}"#.to_owned(), Refused("JSON"));
}

fn dynamic(keyword: &str, draft: &str, to: &str) -> Value {
    let mut schema = json!({
        "$schema": format!("https://json-schema.org/draft/{draft}/schema"), "type": "object",
        "properties": {"x": {"type": "number"}, "next": {}},
    });
    if keyword == "$dynamicRef" {
        schema["$dynamicAnchor"] = json!("node");
    } else {
        schema["$recursiveAnchor"] = json!(true);
    }
    schema["properties"]["next"][keyword] = json!(to);
    schema
}

/// A record with these fields.
fn record(fields: Value) -> Value {
    json!({"type": "record", "name": "R", "fields": fields})
}

/// A record with the field `x` of this type, and a metric.
fn holding(of: Value) -> Value {
    record(json!([{"name": "m", "type": "double"}, {"name": "x", "type": of}]))
}

fn avro_cases(cases: &mut Vec<Case>) {
    let mut add = |name, text: String, becomes| {
        cases.push(Case { name, language: "avro", text, references: Vec::new(), becomes });
    };
    let mut case = |name, schema: Value, becomes| add(name, schema.to_string(), becomes);
    let fields = |count: usize| -> Vec<Value> {
        (0..count).map(|n| json!({"name": format!("f{n}"), "type": "double"})).collect()
    };
    case("10,000 fields", record(json!(fields(10_000))), Refused("10000 fields, and 1024 are allowed"));
    let inner = |n: usize| json!({"name": format!("r{n}"), "type": {"type": "record", "name": format!("R{n}"), "fields": fields(1000)}});
    let outer: Vec<Value> = (0..10).map(inner).collect();
    case("1,000 fields in each of 10 records", record(json!(outer)), Unusable("1024 fields"));
    case("it holds itself", holding(json!(["null", "R"])), Usable);
    case("it must hold itself", holding(json!("R")), Refused("the record R has no value that ends: its field x"));
    let both = json!([{"type": "record", "name": "A", "fields": [{"name": "b", "type": "R"}]}, "R"]);
    case("a union of nothing but itself", holding(both), Refused("has no value that ends"));
    let next =
        json!([{"name": "m", "type": "double", "default": 0}, {"name": "next", "type": ["R", "null"], "default": {}}]);
    case("a default that holds itself", record(next), Refused("at /fields/1/default: "));
    case("it holds lists of itself", holding(json!({"type": "array", "items": "R"})), Usable);
    case("a name that nobody defined", holding(json!("com.example.Unknown")), Refused("com.example.Unknown"));
    case(
        "a default of 1 MB",
        record(json!([{"name": "x", "type": "string", "default": "x".repeat(1 << 20)}])),
        Refused("524288"),
    );
    case(
        "a default of 400 KB",
        record(json!([{"name": "x", "type": "string", "default": "x".repeat(400_000)}])),
        Refused("default has"),
    );
    let symbols: Vec<String> = (0..40_000).map(|n| format!("S{n}")).collect();
    case(
        "an enum of 40,000",
        holding(json!({"type": "enum", "name": "E", "symbols": symbols})),
        Refused("40000 symbols"),
    );
    let branches: Vec<Value> =
        (0..8_000).map(|n| json!({"type": "fixed", "name": format!("F{n}"), "size": 1})).collect();
    case("a union of 8,000", holding(json!(branches)), Usable);
    let aliases: Vec<String> = (0..40_000).map(|n| format!("a{n}")).collect();
    case(
        "40,000 aliases",
        record(json!([{"name": "x", "type": "double", "aliases": aliases}])),
        Refused("40000 aliases, and 64 are allowed"),
    );
    case(
        "nested arrays",
        holding((0..1000).fold(json!("int"), |of, _| json!({"type": "array", "items": of}))),
        Refused(""),
    );
    let doubling: Vec<Value> = (0..60)
        .map(|n| {
            let of = if n == 0 { json!("double") } else { json!(format!("T{}", n - 1)) };
            json!({"type": "record", "name": format!("T{n}"), "fields": [{"name": "a", "type": of}, {"name": "b", "type": of}]})
        })
        .collect();
    let mut members: Vec<Value> =
        doubling.into_iter().enumerate().map(|(n, of)| json!({"name": format!("t{n}"), "type": of})).collect();
    members.push(json!({"name": "m", "type": "double"}));
    case("doubling records", record(json!(members)), Unusable("1024"));
    case(
        "one name twice",
        record(json!([{"name": "a", "type": {"type": "fixed", "name": "F", "size": 1}},
        {"name": "b", "type": {"type": "fixed", "name": "F", "size": 2}}])),
        Refused("F"),
    );
    case("one field twice", record(json!([{"name": "a", "type": "int"}, {"name": "a", "type": "long"}])), Refused("a"));
    case("a control character in a name", record(json!([{"name": "a\u{1}b", "type": "int"}])), Refused("name"));
    case(
        "a fixed beyond all",
        holding(json!({"type": "fixed", "name": "F", "size": 9_000_000_000_000_000_000_u64})),
        Refused("size"),
    );
    case(
        "a fixed of 2 GB",
        holding(json!({"type": "fixed", "name": "F", "size": 2_000_000_000})),
        Refused("1 to 1048576"),
    );
    case("a fixed below zero", holding(json!({"type": "fixed", "name": "F", "size": -1})), Refused("size"));
    case(
        "a decimal beyond all",
        holding(json!({"type": "bytes", "logicalType": "decimal", "precision": 1e18, "scale": 1e18})),
        Usable,
    );
    case("a name as top", json!("R"), Refused("R"));
    add(
        "one key twice",
        r#"{"type":"record","name":"R","fields":[],"fields":[{"name":"x","type":"int"}]}"#.to_owned(),
        Refused("twice"),
    );
    add("brackets without end", "[".repeat(100_000), Refused(""));
    add(
        "a documentation of 500 KB",
        record(json!([{"name": "x", "type": "int", "doc": "x".repeat(500_000)}])).to_string(),
        Usable,
    );
}

fn proto(body: &str) -> String {
    format!("syntax = \"proto3\"; {body}")
}

fn protobuf_cases(cases: &mut Vec<Case>) {
    let mut case = |name, text: String, becomes| {
        cases.push(Case { name, language: "protobuf", text, references: Vec::new(), becomes });
    };
    let fields = |count: usize| -> String { (1..=count).map(|n| format!("double f{n} = {n};")).collect() };
    case("10,000 fields", proto(&format!("message M {{ {} }}", fields(10_000))), Refused("10000 fields"));
    let groups: String = (0..10).map(|n| format!("message G{n} {{ {} }}", fields(1000))).collect();
    let uses: String = (0..10).map(|n| format!("G{n} g{n} = {};", n + 1)).collect();
    case(
        "1,000 fields in each of 10 messages",
        proto(&format!("message M {{ {uses} }} {groups}")),
        Unusable("1024 fields"),
    );
    case("it holds itself", proto("message M { double x = 1; M next = 2; }"), Usable);
    case(
        "an import that nobody registered",
        proto("import \"secret.proto\"; message M { double x = 1; }"),
        Refused("`secret.proto` is imported"),
    );
    case(
        "a remote import",
        proto("import \"http://127.0.0.1:9/x.proto\"; message M { double x = 1; }"),
        Refused("relative path"),
    );
    case("an import of a file", proto("import \"/etc/passwd\"; message M { double x = 1; }"), Refused("relative path"));
    case("a type that nobody defined", proto("message M { Unknown x = 1; }"), Refused("Unknown"));
    let text = "x".repeat(400_000);
    case(
        "a default of 400 KB",
        format!("syntax = \"proto2\"; message M {{ optional string x = 1 [default = \"{text}\"]; }}"),
        Unusable("default"),
    );
    let constants: String = (0..20_000).map(|n| format!("C{n} = {n};")).collect();
    case(
        "an enum of 20,000",
        proto(&format!("enum E {{ {constants} }} message M {{ E e = 1; }}")),
        Refused("20000 constants"),
    );
    case(
        "nested messages",
        proto(&format!("{}{}", "message M {".repeat(1000), "}".repeat(1000))),
        Refused("recursion"),
    );
    case("nested braces of an option", proto(&format!("option x = {{ {} }};", "a {".repeat(100_000))), Refused(""));
    let doubling: String = (0..60).map(|n| format!("message M{n} {{ M{m} a = 1; M{m} b = 2; }}", m = n + 1)).collect();
    case(
        "doubling messages",
        proto(&format!("{doubling} message M60 {{ double d = 1; }}")),
        Unusable("more than 32 deep"),
    );
    case("one name twice", proto("message M { double x = 1; } message M { double y = 1; }"), Refused("M"));
    case("one field twice", proto("message M { double x = 1; double x = 2; }"), Refused("x"));
    case("one number twice", proto("message M { double x = 1; double y = 1; }"), Refused("1"));
    case("a number beyond all", proto("message M { double x = 99999999999; }"), Refused(""));
    case(
        "a name of 10 KB",
        proto(&format!("message M {{ double {} = 1; }}", "x".repeat(10_000))),
        Refused("128 bytes"),
    );
    case("a control character", proto("message M { double \u{1}x = 1; }"), Refused(""));
    case("a comment without end", proto(&format!("/* {}", "x".repeat(400_000))), Refused(""));
    case("parentheses without end", proto(&"(".repeat(200_000)), Refused(""));
    case("a descriptor that is none", "A".repeat(400_000), Refused(""));
    case("500,000 line breaks", format!("{}message M {{}}", "\n".repeat(500_000)), Unusable("no message type"));
}
