use super::*;
use crate::api;

#[test]
fn every_route_is_described_with_a_summary_and_examples_that_parse() {
    let routes = api::routes();
    let document = describe(&routes);
    for route in &routes {
        let method = route.method.as_str().to_ascii_lowercase();
        let operation = &document["paths"][route.path][&method];
        assert_eq!(operation["summary"], route.summary, "{method} {}", route.path);
        assert!(!route.summary.is_empty(), "{method} {} says nothing", route.path);
        assert!(operation["responses"][route.answer.0.to_string()].is_object());
    }
    let described: usize =
        document["paths"].as_object().expect("paths").values().map(|path| path.as_object().map_or(0, Map::len)).sum();
    assert_eq!(described, routes.len(), "no route is described twice");
}

#[test]
fn every_parameter_of_a_path_is_described() {
    let document = describe(&api::routes());
    let operation = &document["paths"]["/v1/devices/{device_id}/metrics"]["get"];
    let names: Vec<_> =
        operation["parameters"].as_array().expect("a list").iter().map(|each| each["name"].clone()).collect();
    assert_eq!(names[..2], ["device_id", "metric"]);
    assert_eq!(operation["security"], json!([{"bearer": []}]));
}

#[test]
fn a_schema_is_read_off_an_example() {
    let example = json!({"a": 1, "b": [{"c": 1.5}], "d": null});
    let expect = json!({"type": "object", "properties": {
        "a": {"type": "integer"},
        "b": {"type": "array", "items": {"type": "object", "properties": {"c": {"type": "number"}}}},
        "d": {},
    }});
    assert_eq!(schema(&example), expect);
}
