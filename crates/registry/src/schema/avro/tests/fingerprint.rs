use super::*;
use crate::schema::avro::print::parsing_form;

/// The specification's own table (share/test/data/schema-tests.txt of Apache Avro).
#[test]
fn parsing_forms_and_fingerprints_are_the_specifications() {
    let check = |text: &str, form: &str, fingerprint: i64| {
        let schema = Avro::parse(text, &[]).unwrap();
        assert_eq!(parsing_form(&schema.types, schema.root).unwrap(), form);
        assert_eq!(schema.fingerprint, fingerprint.cast_unsigned(), "{text}");
    };
    check(r#""null""#, r#""null""#, 7195948357588979594);
    check(r#"{"type":"null"}"#, r#""null""#, 7195948357588979594);
    check(r#""boolean""#, r#""boolean""#, -6970731678124411036);
    check(r#""int""#, r#""int""#, 8247732601305521295);
    check(r#""long""#, r#""long""#, -3434872931120570953);
    check(r#"{"type":"long","logicalType":"timestamp-millis"}"#, r#""long""#, -3434872931120570953);
    check(r#""float""#, r#""float""#, 5583340709985441680);
    check(r#""double""#, r#""double""#, -8181574048448539266);
    check(r#""bytes""#, r#""bytes""#, 5746618253357095269);
    check(r#""string""#, r#""string""#, -8142146995180207161);
    check("[  ]", "[]", -1241056759729112623);
    check(r#"[ "int"  ]"#, r#"["int"]"#, -5232228896498058493);
    check(r#"[ "int" , {"type":"boolean"} ]"#, r#"["int","boolean"]"#, 5392556393470105090);
    check(
        r#"{"fields":[], "type":"record", "name":"foo", "doc":"foo", "aliases":["foo","bar"]}"#,
        r#"{"name":"foo","type":"record","fields":[]}"#,
        -4824392279771201922,
    );
    check(
        r#"{"fields":[], "type":"record", "name":"foo", "namespace":"x.y"}"#,
        r#"{"name":"x.y.foo","type":"record","fields":[]}"#,
        5916914534497305771,
    );
    check(
        r#"{"fields":[], "type":"record", "name":"a.b.foo", "namespace":"x.y"}"#,
        r#"{"name":"a.b.foo","type":"record","fields":[]}"#,
        -4616218487480524110,
    );
    check(
        r#"{"fields":[{"type":{"type":"boolean"}, "name":"f1"}], "type":"record", "name":"foo"}"#,
        r#"{"name":"foo","type":"record","fields":[{"name":"f1","type":"boolean"}]}"#,
        7843277075252814651,
    );
    check(
        r#"{ "fields":[{"type":"boolean", "aliases":[], "name":"f1", "default":true},
            {"order":"descending","name":"f2","doc":"Hello","type":"int"}], "type":"record", "name":"foo" }"#,
        r#"{"name":"foo","type":"record","fields":[{"name":"f1","type":"boolean"},{"name":"f2","type":"int"}]}"#,
        -4860222112080293046,
    );
    check(
        r#"{"type":"enum", "name":"foo", "symbols":["A1"]}"#,
        r#"{"name":"foo","type":"enum","symbols":["A1"]}"#,
        -6342190197741309591,
    );
    check(
        r#"{"namespace":"x.y.z", "type":"enum", "name":"foo", "doc":"foo bar", "symbols":["A1", "A2"]}"#,
        r#"{"name":"x.y.z.foo","type":"enum","symbols":["A1","A2"]}"#,
        -4448647247586288245,
    );
    check(
        r#"{"name":"foo","type":"fixed","size":15}"#,
        r#"{"name":"foo","type":"fixed","size":15}"#,
        1756455273707447556,
    );
    check(
        r#"{"namespace":"x.y.z", "type":"fixed", "name":"foo", "doc":"foo bar", "size":32}"#,
        r#"{"name":"x.y.z.foo","type":"fixed","size":32}"#,
        -3064184465700546786,
    );
    check(r#"{ "items":{"type":"null"}, "type":"array"}"#, r#"{"type":"array","items":"null"}"#, -589620603366471059);
    check(r#"{ "values":"string", "type":"map"}"#, r#"{"type":"map","values":"string"}"#, -8732877298790414990);
    check(
        r#"{"name":"PigValue","type":"record", "fields":[{"name":"value", "type":["null", "int", "long", "PigValue"]}]}"#,
        r#"{"name":"PigValue","type":"record","fields":[{"name":"value","type":["null","int","long","PigValue"]}]}"#,
        -1759257747318642341,
    );
}
