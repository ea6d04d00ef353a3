use super::*;

/// Every case both ways. A promotion too many or too few fails here: each of the specification's promotions is a case, its
/// way back is one, and so are the pairs that look like promotions and are none (int to string, fixed to bytes …).
#[test]
fn the_table_of_evolution_cases() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../../../../tests/data/avro-cases.json")).unwrap();
    assert_eq!(cases.len(), 97);
    for case in cases {
        let (old, new) = (schema(&case["old"]), schema(&case["new"]));
        for (reader, writer, verdict) in [(&new, &old, "backward"), (&old, &new, "forward")] {
            let differences = reader.cannot_read(writer);
            assert_eq!(differences.is_empty(), case[verdict] == true, "{} {verdict}: {differences:?}", case["name"]);
            if let Some(addition) = case["addition"].as_bool() {
                let differences = reader.beyond_additions_to(writer);
                assert_eq!(differences.is_empty(), addition, "{} within a major: {differences:?}", case["name"]);
            }
        }
    }
}

/// Of every two primitive types, exactly these can be read: the specification's list.
#[test]
fn promotions_are_these_and_no_others() {
    let all = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];
    let promotions = [
        ("int", "long"),
        ("int", "float"),
        ("int", "double"),
        ("long", "float"),
        ("long", "double"),
        ("float", "double"),
        ("string", "bytes"),
        ("bytes", "string"),
    ];
    for writer in all {
        for reader in all {
            let reads = schema(&json!(reader)).cannot_read(&schema(&json!(writer))).is_empty();
            assert_eq!(reads, reader == writer || promotions.contains(&(writer, reader)), "{writer} as {reader}");
        }
    }
}

#[test]
fn all_differences_are_told_with_kind_and_path() {
    let check = |reader: &Value, writer: &Value, expect: &[(&str, &str)]| {
        assert_eq!(kinds(&schema(reader).cannot_read(&schema(writer))), expect, "{reader} {writer}");
    };
    let named = |name: &str, symbols: &[&str], size: u32| {
        record(&json!([
            {"name": "e", "type": {"type": "enum", "name": name, "symbols": symbols}},
            {"name": "a", "type": {"type": "array", "items": {"type": "fixed", "name": "F", "size": size}}},
            {"name": "m", "type": {"type": "map", "values": ["null", {"type": "record", "name": "N", "fields": [{"name": name, "type": "int"}]}]}},
        ]))
    };
    check(
        &named("E", &["A"], 1),
        &named("D", &["A", "B", "C"], 2),
        &[
            ("NAME_MISMATCH", "/fields/0/type/name"),
            ("MISSING_ENUM_SYMBOLS", "/fields/0/type/symbols"),
            ("FIXED_SIZE_MISMATCH", "/fields/1/type/items/size"),
            ("READER_FIELD_MISSING_DEFAULT_VALUE", "/fields/2/type/values/1/fields/0"),
        ],
    );
    check(&json!("int"), &json!("long"), &[("TYPE_MISMATCH", "/")]);
    check(
        &field(&json!(["null", "int"])),
        &field(&json!(["int", "string"])),
        &[("MISSING_UNION_BRANCH", "/fields/0/type/1")],
    );
    check(&field(&json!("int")), &field(&json!(["int", "string"])), &[("TYPE_MISMATCH", "/fields/0/type")]);
}

/// Where Java's answer is "compatible" and the data are misread or not readable.
#[test]
fn no_false_compatible() {
    let check = |reader: &Value, writer: &Value, reads: bool| {
        let differences = schema(reader).cannot_read(&schema(writer));
        assert_eq!(differences.is_empty(), reads, "{reader} reads {writer}: {differences:?}");
    };
    let logical = |of: &str, word: &str| json!({"type": of, "logicalType": word});
    check(&logical("long", "timestamp-micros"), &logical("long", "timestamp-millis"), false);
    check(&logical("long", "timestamp-micros"), &logical("int", "date"), false);
    check(&logical("long", "timestamp-micros"), &json!("long"), true);
    check(&logical("long", "unheard-of"), &logical("long", "timestamp-millis"), true);
    check(&json!([logical("long", "timestamp-micros"), "double"]), &logical("long", "timestamp-millis"), false);
    let decimal = |scale: u32| json!({"type": "fixed", "name": "D", "size": 8, "logicalType": "decimal", "precision": 9, "scale": scale});
    check(&decimal(2), &decimal(2), true);
    check(&decimal(2), &decimal(3), false);
    let split = json!([{"name": "a", "type": "int"}, {"name": "b", "type": "int", "aliases": ["a"], "default": 0}]);
    check(&record(&split), &record(&json!([{"name": "a", "type": "int"}])), false);
    let two = json!([
        {"type": "record", "name": "x.N", "fields": [{"name": "a", "type": "int"}]},
        {"type": "record", "name": "y.N", "fields": [{"name": "b", "type": "int"}]},
    ]);
    check(&two, &json!({"type": "record", "name": "z.N", "fields": [{"name": "b", "type": "int"}]}), false);
}

/// A name is compared by what it stands for, in whichever schema it is defined and wherever.
#[test]
fn names_are_followed() {
    let inner = |of: &str| json!({"type": "record", "name": "X", "fields": [{"name": of, "type": "int"}]});
    let writer = record(&json!([{"name": "a", "type": inner("p")}, {"name": "b", "type": "X"}]));
    let reader = record(&json!([{"name": "c", "type": inner("q"), "default": {"q": 1}}, {"name": "b", "type": "X"}]));
    let differences = schema(&reader).cannot_read(&schema(&writer));
    assert_eq!(kinds(&differences), [("READER_FIELD_MISSING_DEFAULT_VALUE", "/fields/1/type/fields/0")]);
}

/// 400 records of one unqualified name on both sides: each is compared with each.
#[test]
fn a_comparison_is_bounded_and_says_so() {
    let record =
        |n: usize| json!({"type": "record", "name": format!("n{n}.T"), "fields": [{"name": "v", "type": "int"}]});
    let schema = schema(&json!((0..400).map(record).collect::<Vec<_>>()));
    assert_eq!(kinds(&schema.cannot_read(&schema)), [("TOO_MUCH_TO_COMPARE", "/")]);
}
