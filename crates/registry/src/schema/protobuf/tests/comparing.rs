use super::*;

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    old: String,
    new: String,
    backward: bool,
    forward: bool,
    why: String,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("cases.json")).unwrap()
}

#[test]
fn compatibility_is_that_of_the_cases() {
    let cases = cases();
    assert_eq!(cases.len(), 77);
    for case in cases {
        let (old, new) = (parsed(&case.old), parsed(&case.new));
        let (backward, forward) = (new.cannot_read(&old), old.cannot_read(&new));
        assert_eq!(backward.is_empty(), case.backward, "{}: {} {backward:?}", case.name, case.why);
        assert_eq!(forward.is_empty(), case.forward, "{} forward: {} {forward:?}", case.name, case.why);
    }
}

#[test]
fn every_schema_reads_itself_and_is_no_addition_to_itself() {
    for case in cases() {
        for schema in [parsed(&case.old), parsed(&case.new)] {
            assert_eq!(schema.cannot_read(&schema), [], "{}", case.name);
            assert_eq!(schema.beyond_additions_to(&schema), [], "{}", case.name);
        }
    }
}

/// What a change of the body of a file is beyond an addition.
fn beyond(before: &str, now: &str) -> Vec<&'static str> {
    let import = "import \"tidewater/options.proto\";";
    kinds(&proto3(&format!("{import}{now}")).beyond_additions_to(&proto3(&format!("{import}{before}"))))
}

#[test]
fn optional_fields_and_new_types_are_additions() {
    let check = |before: &str, now: &str| assert_eq!(beyond(before, now), Vec::<&str>::new(), "{now}");
    check("message M { int32 a = 1; }", "message M { int32 a = 1; double b = 2; }");
    check("message M { int32 a = 1; }", "message M { optional N b = 2; int32 a = 1; } message N { string s = 1; }");
    check(
        "message M { int32 a = 1; }",
        "message M { int32 a = 1; oneof o { int32 b = 2; int32 c = 3; } enum E { A = 0; } }",
    );
    check("message M { N n = 1; message N {} }", "message M { M.N n = 1; message N { int32 a = 1; } message O {} }");
    check(
        "message M { int32 a = 1; }",
        "// Now with words.\nmessage M { int32 a = 1 [deprecated = true]; reserved 9; }",
    );
    check("message M { double a = 1 [(tidewater.min) = 1]; }", "message M { double a = 1 [(tidewater.min) = 1.0]; }");
}

#[test]
fn all_else_is_beyond_additions() {
    let check =
        |before: &str, now: &str, expected: &[&str]| assert_eq!(beyond(before, now), expected, "{before} -> {now}");
    let m = "message M { int32 a = 1; }";
    check(m, "message M { reserved 1; }", &["FIELD_REMOVED"]);
    check(m, "message M { int32 b = 1; }", &["FIELD_NAME_CHANGED"]);
    check(m, "message M { int32 a = 2; }", &["FIELD_NUMBER_CHANGED"]);
    check(m, "message M { int64 a = 1; }", &["FIELD_TYPE_CHANGED"]);
    check(m, "message M { optional int32 a = 1; }", &["FIELD_LABEL_CHANGED"]);
    check(m, "message M { repeated int32 a = 1; }", &["FIELD_TYPE_CHANGED", "FIELD_LABEL_CHANGED"]);
    check(m, "message M { oneof o { int32 a = 1; } }", &["FIELD_LABEL_CHANGED", "FIELD_ONEOF_CHANGED"]);
    check(m, "message M { int32 a = 1 [(tidewater.unit) = \"Cel\"]; }", &["FIELD_UNIT_CHANGED"]);
    check(m, "message M { int32 a = 1 [(tidewater.max) = 1]; }", &["FIELD_RANGE_CHANGED"]);
    check(m, "message M { int32 a = 1 [(tidewater.required) = true]; }", &["FIELD_LABEL_CHANGED"]);
    check(m, "message M { int32 a = 1; int32 b = 2 [(tidewater.required) = true]; }", &["REQUIRED_FIELD_ADDED"]);
    check(m, "message N {} message M { int32 a = 1; }", &["MESSAGE_MOVED"]);
    check(m, "message N { int32 a = 1; }", &["MESSAGE_REMOVED"]);
    check("message M { message N {} }", "message M {}", &["MESSAGE_REMOVED"]);
    check(m, &format!("package p; {m}"), &["PACKAGE_CHANGED"]);
    check("message M { reserved 2; }", "message M { int32 a = 2; }", &["RESERVED_FIELD_ADDED"]);
    check("message M { reserved \"a\"; }", "message M { int32 a = 2; }", &["RESERVED_FIELD_ADDED"]);
    check(
        "message M { int64 ts = 1; }",
        "message M { int64 ts = 1 [(tidewater.ts_unit) = \"s\"]; }",
        &["FIELD_UNIT_CHANGED"],
    );
    let oneof = "message M { oneof o { int32 a = 1; int32 b = 2; } }";
    check(oneof, "message M { oneof o { int32 a = 1; int32 b = 2; int32 c = 3; } }", &["ONEOF_FIELD_ADDED"]);
    check(
        oneof,
        "message M { oneof p { int32 a = 1; int32 b = 2; } }",
        &["FIELD_ONEOF_CHANGED", "FIELD_ONEOF_CHANGED"],
    );
    let e = "enum E { A = 0; B = 1; }";
    check(e, "enum E { A = 0; B = 1; C = 2; }", &["ENUM_CONST_ADDED"]);
    check(e, "enum E { A = 0; reserved 1; }", &["ENUM_CONST_REMOVED"]);
    check(e, "enum E { A = 0; C = 1; }", &["ENUM_CONST_REMOVED", "ENUM_CONST_ADDED"]);
    check(e, "", &["ENUM_REMOVED"]);
    let (old, new) =
        ("syntax = \"proto2\"; message M { required int32 a = 1; }", "message M { optional int32 a = 1; }");
    assert_eq!(kinds(&parsed(new).beyond_additions_to(&parsed(old))), ["FIELD_LABEL_CHANGED"]);
    let new = "message M { required int32 a = 1; optional int32 b = 2 [default = 3]; required int32 c = 3; }";
    assert_eq!(kinds(&parsed(new).beyond_additions_to(&parsed(old))), ["REQUIRED_FIELD_ADDED"]);
    assert_eq!(kinds(&proto3("").beyond_additions_to(&parsed(""))), ["SYNTAX_CHANGED"]);
}

#[test]
fn types_of_references_take_part() {
    let text = "syntax = \"proto3\"; import \"u.proto\"; message M { p.U u = 1; map<string, p.U> m = 2; }";
    let with = |body: &str| {
        let reference = reference(
            "u.proto",
            &format!("syntax = \"proto3\"; package p; message U {{ {body} }} enum E {{ A = 0; }}"),
        );
        Protobuf::parse(text, &[reference]).unwrap()
    };
    let (old, new, other) = (with("int32 x = 1;"), with("int32 x = 1; int32 y = 2;"), with("string x = 1;"));
    assert_eq!(new.cannot_read(&old), []);
    assert_eq!(new.beyond_additions_to(&old), []);
    let found = other.cannot_read(&old);
    assert_eq!(kinds(&found), ["FIELD_SCALAR_KIND_CHANGED"]);
    assert_eq!(found[0].path, "U.x");
    assert_eq!(found[0].detail, "a `int32` cannot be read as a `string`: give the field a new number");
    assert_eq!(kinds(&other.beyond_additions_to(&old)), ["FIELD_TYPE_CHANGED"]);
}

#[test]
fn differences_have_the_words_of_the_rules() {
    let check = |old: &str, new: &str, expected: &[(&str, &str)]| {
        let found = parsed(new).cannot_read(&parsed(old));
        let found: Vec<_> = found.iter().map(|difference| (difference.kind, difference.path.as_str())).collect();
        assert_eq!(found, expected, "{old} -> {new}");
    };
    check("package a; message M {}", "package b;", &[("PACKAGE_CHANGED", ""), ("MESSAGE_REMOVED", "M")]);
    check("message M { message N {} }", "message M {}", &[("MESSAGE_REMOVED", "M.N")]);
    check("message M { optional M m = 1; }", "message M { optional int32 m = 1; }", &[("FIELD_KIND_CHANGED", "M.m")]);
    check(
        "message M { optional group G = 1 {} }",
        "message M { optional G g = 1; message G {} }",
        &[("FIELD_KIND_CHANGED", "M.g")],
    );
    check(
        "message M { map<string, int32> m = 1; }",
        "message M { map<string, M> m = 1; }",
        &[("FIELD_KIND_CHANGED", "M.m")],
    );
    check("message M {}", "message M { required string s = 1; }", &[("REQUIRED_FIELD_ADDED", "M.s")]);
    check("message M { required string s = 1; }", "message M {}", &[("REQUIRED_FIELD_REMOVED", "M.s")]);
    check(
        "message M { oneof o { int32 a = 1; int32 b = 2; } }",
        "message M { oneof o { int32 a = 1; } }",
        &[("ONEOF_FIELD_REMOVED", "M.b")],
    );
    check(
        "message M { optional int32 a = 1; optional int32 b = 2; }",
        "message M { oneof o { int32 a = 1; int32 b = 2; } }",
        &[("MULTIPLE_FIELDS_MOVED_TO_ONEOF", "M.o")],
    );
}
