use super::*;

fn why(text: &str) -> String {
    Avro::parse(text, &[]).expect_err(text).why
}

#[test]
fn what_is_no_schema_is_refused_with_its_place() {
    let check = |value: Value, part: &str| {
        let why = why(&value.to_string());
        assert!(why.contains(part), "{value}: {why}");
    };
    check(json!("strin"), "at /: the type strin is not defined before it is used");
    check(json!("record"), "alone is no type");
    check(json!(1), "a type is a name in quotes");
    check(json!({"name": "a"}), "a type has a `type`");
    check(json!({"type": {"type": "int"}}), "in the place of this object");
    check(json!({"type": "record", "fields": []}), "has no `name`");
    check(json!({"type": "record", "name": "R"}), "the record R has no `fields`");
    check(json!({"type": "record", "name": "9", "fields": []}), "at /name: \"9\" in the namespace \"\" is no name");
    check(json!({"type": "record", "name": "a..b", "fields": []}), "is no name");
    check(json!({"type": "record", "name": "x.int", "fields": []}), "cannot be defined");
    check(json!({"type": "record", "name": "R", "namespace": 1, "fields": []}), "at /namespace");
    check(record(&json!(["x"])), "at /fields/0: a field is an object");
    check(record(&json!([{"name": "x"}])), "at /fields/0: the field x has no `type`");
    check(record(&json!([{"name": "x-y", "type": "int"}])), "at /fields/0/name: \"x-y\" is no name");
    check(
        record(&json!([{"name": "x", "type": "int"}, {"name": "x", "type": "int"}])),
        "at /fields/1: the record R has the field x twice",
    );
    check(record(&json!([{"name": "x", "type": "int", "order": "up"}])), "at /fields/0/order");
    check(record(&json!([{"name": "x", "type": "int", "aliases": "y"}])), "at /fields/0/aliases");
    check(record(&json!([{"name": "x", "type": "int", "aliases": ["y z"]}])), "at /fields/0/aliases");
    check(field(&record(&json!([]))), "at /fields/0/type: R is defined twice");
    check(json!({"type": "enum", "name": "E", "symbols": ["A", "A"]}), "the symbol A twice");
    check(json!({"type": "enum", "name": "E", "symbols": ["a-b"]}), "at /symbols");
    check(json!({"type": "enum", "name": "E", "symbols": ["A"], "default": "B"}), "at /default: \"B\" is no symbol");
    check(json!({"type": "enum", "name": "E"}), "has no `symbols`");
    for size in [json!(0), json!(-1), json!(1.5), json!("4"), json!(1_u64 << 40)] {
        check(json!({"type": "fixed", "name": "F", "size": size}), "at /size");
    }
    check(json!({"type": "array"}), "array has no `items`");
    check(json!({"type": "map"}), "map has no `values`");
    check(json!(["int", ["null"]]), "at /1: a union holds no union");
    check(json!(["int", {"type": "int", "logicalType": "date"}]), "at /1: a union has one branch of a kind");
    check(json!([{"type": "fixed", "name": "F", "size": 1}, "F"]), "F is here twice");
    check(json!({"type": "array", "items": {"type": "nope", "unit": "Cel"}}), "stand at its definition");
    assert!(why(r#"{"type":"int","type":"long"}"#).contains("\"type\" is there twice at line 1"));
    assert!(why("{").contains("line 1 column 1"));
    assert!(why(r#""int" "int""#).contains("trailing"));
}

#[test]
fn a_default_is_a_value_of_its_type() {
    let point = json!({"type": "record", "name": "P", "fields": [{"name": "a", "type": "int"}, {"name": "b", "type": "int", "default": 1}]});
    let fits = |of: &Value, default: &Value| {
        let value = record(&json!([{"name": "x", "type": of, "default": default}]));
        Avro::parse(&value.to_string(), &[]).map(|_| ()).map_err(|invalid| invalid.why)
    };
    let good = [
        (json!("null"), json!(null)),
        (json!("boolean"), json!(true)),
        (json!("int"), json!(-2_147_483_648)),
        (json!("long"), json!(i64::MIN)),
        (json!("float"), json!(1)),
        (json!("double"), json!(0.5)),
        (json!("string"), json!("x")),
        (json!("bytes"), json!("\u{ff}")),
        (json!(["null", "int"]), json!(null)),
        (json!(["null", "int"]), json!(7)),
        (json!({"type": "array", "items": "int"}), json!([1, 2])),
        (json!({"type": "map", "values": "int"}), json!({"a": 1})),
        (json!({"type": "fixed", "name": "F", "size": 2}), json!("\u{0}\u{ff}")),
        (json!({"type": "enum", "name": "E", "symbols": ["A"]}), json!("A")),
        (point.clone(), json!({"a": 1})),
    ];
    for (of, default) in good {
        assert_eq!(fits(&of, &default), Ok(()), "{of} {default}");
    }
    let bad = [
        (json!("null"), json!(0)),
        (json!("boolean"), json!("true")),
        (json!("int"), json!(2_147_483_648_u32)),
        (json!("int"), json!(1.0)),
        (json!("long"), json!(u64::MAX)),
        (json!("double"), json!("0.5")),
        (json!("string"), json!(1)),
        (json!("bytes"), json!("\u{100}")),
        (json!(["null", "int"]), json!("x")),
        (json!({"type": "array", "items": "int"}), json!([1, "2"])),
        (json!({"type": "map", "values": "int"}), json!([])),
        (json!({"type": "fixed", "name": "F", "size": 2}), json!("a")),
        (json!({"type": "enum", "name": "E", "symbols": ["A"]}), json!("B")),
        (point, json!({"b": 1})),
    ];
    for (of, default) in bad {
        let why = fits(&of, &default).unwrap_err();
        assert!(why.starts_with("at /fields/0/default: "), "{of} {default}: {why}");
    }
}

#[test]
fn names_are_found_by_the_rules_of_namespaces() {
    let inner = json!({"type": "fixed", "name": "F", "size": 1});
    let value = json!({"type": "record", "name": "a.b.R", "fields": [
        {"name": "x", "type": inner}, {"name": "y", "type": "F"}, {"name": "z", "type": "a.b.F"}, {"name": "r", "type": ["null", "R"]},
    ]});
    assert_eq!(
        schema(&value).canonical(),
        r#"{"type":"record","name":"R","namespace":"a.b","fields":[{"name":"x","type":{"type":"fixed","name":"F","size":1}},{"name":"y","type":"F"},{"name":"z","type":"F"},{"name":"r","type":["null","R"]}]}"#
    );
    let bare = json!([{"type": "fixed", "name": "F", "size": 1}, {"type": "record", "name": "a.R", "fields": [{"name": "x", "type": "F"}]}]);
    schema(&bare);
    let far = json!([{"type": "fixed", "name": "b.F", "size": 1}, {"type": "record", "name": "a.R", "fields": [{"name": "x", "type": "F"}]}]);
    assert!(why(&far.to_string()).contains("the type a.F is not defined"));
}

#[test]
fn references_are_parsed_first_and_in_order() {
    let text = |name: &str, text: Value| ReferencedText { name: name.to_owned(), text: text.to_string() };
    let unit = text("x.U", json!({"type": "enum", "name": "x.U", "symbols": ["A"]}));
    let point = text("x.P", json!({"type": "record", "name": "x.P", "fields": [{"name": "u", "type": "U"}]}));
    let main = field(&json!("x.P")).to_string();
    let schema = Avro::parse(&main, &[unit.clone(), point.clone(), unit.clone()]).unwrap();
    assert_eq!(schema.canonical(), r#"{"type":"record","name":"R","fields":[{"name":"x","type":"x.P"}]}"#);
    assert_eq!(
        schema.resolved(),
        r#"{"type":"record","name":"R","fields":[{"name":"x","type":{"type":"record","name":"P","namespace":"x","fields":[{"name":"u","type":{"type":"enum","name":"U","symbols":["A"]}}]}}]}"#
    );
    assert_eq!(Avro::parse(&schema.resolved(), &[]).unwrap().fingerprint, schema.fingerprint);
    let why = Avro::parse(&main, &[point, unit]).unwrap_err().why;
    assert!(why.starts_with("in the referenced schema \"x.P\": at /fields/0/type: "), "{why}");
}

#[test]
fn what_is_beyond_a_limit_is_refused_with_a_sentence() {
    let fields: Vec<Value> = (0..10_000).map(|n| json!({"name": format!("f{n}"), "type": "double"})).collect();
    assert!(why(&record(&json!(fields)).to_string()).contains("the record R has 10000 fields, and 1024 are allowed"));
    assert!(why(&"x".repeat(600 << 10)).contains("bytes, and 524288 are allowed"));
    let default = json!([{"name": "x", "type": "string", "default": "x".repeat(5000)}]);
    assert!(why(&record(&default).to_string()).contains("at /fields/0/default: the default has 5002 bytes"));
    let nested = (0..32).fold(json!("int"), |of, _| json!({"type": "array", "items": of}));
    schema(&nested);
    assert!(why(&json!({"type": "array", "items": nested}).to_string()).contains("types nest deeper than 32 levels"));
    assert!(why(&"[".repeat(10_000)).contains("recursion limit exceeded"));
    let deep = (0..40).fold(json!(1), |value, _| json!([value]));
    assert!(why(&json!({"type": "int", "deep": deep}).to_string()).contains("at /deep: the value nests deeper"));
    let reference = ReferencedText { name: "x".to_owned(), text: "\"int\"".to_owned() };
    assert!(Avro::parse("\"int\"", &vec![reference; 33]).unwrap_err().why.contains("33 references"));
}

/// A chain of types, each defined beside the one that it holds, is flat in its own text and deep where it is inlined.
#[test]
fn references_that_nest_too_deep_when_inlined_are_refused() {
    let chain: Vec<Value> = (0..100)
        .map(|n| {
            let of = if n == 0 { "int".to_owned() } else { format!("T{}", n - 1) };
            json!({"type": "record", "name": format!("T{n}"), "fields": [{"name": "x", "type": of}]})
        })
        .collect();
    let reference = ReferencedText { name: "T99".to_owned(), text: json!(chain).to_string() };
    assert!(Avro::parse("\"T30\"", std::slice::from_ref(&reference)).is_ok());
    assert!(Avro::parse("\"T99\"", &[reference]).unwrap_err().why.contains("deeper than 32 levels"));
}

#[test]
fn a_value_of_a_record_ends() {
    let of = |fields: Value| Avro::parse(&record(&fields).to_string(), &[]).map(|_| ()).map_err(|invalid| invalid.why);
    let good = [
        json!([{"name": "x", "type": ["null", "R"]}]),
        json!([{"name": "x", "type": {"type": "array", "items": "R"}}]),
        json!([{"name": "x", "type": {"type": "map", "values": "R"}, "default": {}}]),
        json!([{"name": "x", "type": ["null", "R"], "default": null}]),
        json!([{"name": "x", "type": ["R", "null"], "default": {"x": null}}]),
    ];
    for fields in good {
        assert_eq!(of(fields.clone()), Ok(()), "{fields}");
    }
    let inner = |of: &str| json!({"type": "record", "name": "I", "fields": [{"name": "y", "type": of}]});
    let bad = [
        (json!([{"name": "x", "type": "R"}]), "the record R has no value that ends: its field x must"),
        (json!([{"name": "x", "type": inner("R")}]), "the record R has no value that ends: its field x must"),
        (json!([{"name": "x", "type": ["null", inner("I")]}]), "the record I has no value that ends: its field y must"),
        (
            json!([{"name": "x", "type": ["R", "null"], "default": {}}]),
            "at /fields/0/default: {} fits no branch of the union",
        ),
    ];
    for (fields, part) in bad {
        let why = of(fields.clone()).expect_err(&fields.to_string());
        assert!(why.starts_with(part), "{fields}: {why}");
    }
}

/// Each level of a default may be any of many records: tried one after the other, that is 40 to the power of 20.
#[test]
fn a_hostile_default_is_checked_in_bounded_time() {
    let names: Vec<String> = (0..40).map(|n| format!("T{n}")).collect();
    let union: Vec<Value> = (0..40)
        .map(|n| {
            let of = if n == 0 { json!(["null", "T0"]) } else { json!(names[..=n]) };
            json!({"type": "record", "name": names[n], "fields": [{"name": "f", "type": of}]})
        })
        .collect();
    let default = (0..20).fold(json!({"f": 1}), |inner, _| json!({"f": inner}));
    let why =
        why(&record(&json!([{"name": "u", "type": union}, {"name": "x", "type": names, "default": default}]))
            .to_string());
    assert!(why.starts_with("at /fields/1/default: "), "{why}");
}
