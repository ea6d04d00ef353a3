use super::*;

#[test]
fn canonical_keeps_what_means_something_and_nothing_else() {
    let check = |text: &str, canonical: &str| assert_eq!(Avro::parse(text, &[]).unwrap().canonical(), canonical);
    check(r#"{ "type" : "string" }"#, r#""string""#);
    check(r#"{"unit":"Cel","type":"double","name":"x"}"#, r#"{"type":"double","unit":"Cel"}"#);
    check(
        r#"{"fields":[{"default":null,"type":["null",{"type":"int"}],"doc":"d","name":"x","order":"ascending","aliases":["b","a"],"unit":"Cel"}],
            "aliases":["n.Q","m.S"],"doc":"D","name":"n.R","type":"record"}"#,
        r#"{"type":"record","name":"R","namespace":"n","doc":"D","fields":[{"name":"x","type":["null","int"],"doc":"d","default":null,"aliases":["b","a"],"unit":"Cel"}],"aliases":["Q","m.S"]}"#,
    );
    check(
        r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"x","type":{"type":"enum","name":"E","namespace":"n","symbols":["A"],"default":"A"}},{"name":"y","type":"n.E","order":"ignore"}]}"#,
        r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"x","type":{"type":"enum","name":"E","symbols":["A"],"default":"A"}},{"name":"y","type":"E","order":"ignore"}]}"#,
    );
    check(
        r#"{"type":"record","name":"n.R","fields":[{"name":"x","type":{"type":"fixed","name":"F","namespace":"","size":2}}]}"#,
        r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"x","type":{"type":"fixed","name":"F","namespace":"","size":2}}]}"#,
    );
}

#[test]
fn normalized_has_full_names_and_sorted_aliases() {
    let schema = schema(&json!({"type": "record", "name": "R", "namespace": "n", "aliases": ["Z", "A"], "fields": [
        {"name": "x", "type": {"type": "fixed", "name": "F", "size": 2}, "aliases": ["z", "a"]},
    ]}));
    let normalized = r#"{"name":"n.R","type":"record","fields":[{"name":"x","type":{"name":"n.F","type":"fixed","size":2},"order":"ascending","aliases":["a","z"]}],"aliases":["n.A","n.Z"]}"#;
    assert_eq!(schema.normalized(), normalized);
    assert_eq!(Avro::parse(normalized, &[]).unwrap().normalized(), normalized);
}
