use model::contract::{
    AvroLayout, AvroNode, Bound, Field, Kind, Layout, MapOf, Others, Part, Root, Rule, TsUnit, Value as Held,
};

use super::*;

fn root(value: &Value) -> Root {
    schema(value).contract().unwrap_or_else(|unusable| panic!("{value}: {}", unusable.why)).roots.remove(0)
}

fn nodes(root: &Root) -> &[AvroNode] {
    let Some(Layout::Avro(AvroLayout { nodes, .. })) = &root.layout else { panic!("no layout of Avro") };
    nodes
}

fn of(path: &[&str], name: &str, part: Part, kinds: &[Kind]) -> Field {
    Field {
        path: path.iter().map(|name| (*name).to_owned()).collect(),
        name: name.to_owned(),
        part,
        rule: Rule { kinds: kinds.to_vec(), ..Rule::default() },
        required: true,
        default: None,
        description: None,
    }
}

#[test]
fn a_flat_record_field_by_field() {
    let motor = json!({"type": "record", "name": "Motor", "fields": [
        {"name": "temp", "type": {"type": "float", "unit": "Cel"}, "min": -40, "exclusive_max": 200.5, "doc": "Winding"},
    ]});
    let root = root(&json!({"type": "record", "name": "n.R", "fields": [
        {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "seq", "type": "long"},
        {"name": "boot", "type": ["null", "long"], "default": null},
        {"name": "buffered", "type": "boolean", "default": false},
        {"name": "tags", "type": {"type": "map", "values": "string"}},
        {"name": "motor", "type": motor},
        {"name": "mode", "type": {"type": "enum", "name": "Mode", "symbols": ["A", "B"]}, "default": "B"},
        {"name": "mixed", "type": ["string", "double", "null", "bytes"], "default": "x"},
        {"name": "raw", "type": "bytes"},
        {"name": "count", "type": "long", "required": false, "description": "Turns"},
    ]}));
    assert_eq!((root.name.as_str(), root.whole, &root.others), ("n.R", false, &Others::Class));
    let bound = |value: f64, exclusive: bool| Some(Bound { value, exclusive });
    let text = |text: &str| Held::Text(text.to_owned());
    let mut boot = Field { required: false, ..of(&["boot"], "boot", Part::Boot, &[Kind::Long]) };
    boot.rule.nullable = true;
    let mut temp = of(&["motor", "temp"], "motor.temp", Part::Metric, &[Kind::Double]);
    temp.rule = Rule { min: bound(-40.0, false), max: bound(200.5, true), unit: Some("Cel".to_owned()), ..temp.rule };
    temp.description = Some("Winding".to_owned());
    let mut mode =
        Field { required: false, default: Some(text("B")), ..of(&["mode"], "mode", Part::Metric, &[Kind::Text]) };
    mode.rule.one_of = vec![text("A"), text("B")];
    let mut mixed = of(&["mixed"], "mixed", Part::Metric, &[Kind::Text, Kind::Double]);
    mixed = Field { required: false, default: Some(text("x")), ..mixed };
    mixed.rule.nullable = true;
    let count = of(&["count"], "count", Part::Metric, &[Kind::Long]);
    assert_eq!(
        root.fields,
        [
            of(&["ts"], "ts", Part::Ts(Some(TsUnit::Microseconds)), &[Kind::Long]),
            of(&["seq"], "seq", Part::Seq, &[Kind::Long]),
            boot,
            Field {
                required: false,
                default: Some(Held::Bool(false)),
                ..of(&["buffered"], "buffered", Part::Buffered, &[Kind::Bool])
            },
            temp,
            mode,
            mixed,
            Field { required: false, ..of(&["raw"], "raw", Part::Metric, &[]) },
            Field { required: false, description: Some("Turns".to_owned()), ..count },
        ]
    );
    let nodes = nodes(&root);
    let AvroNode::Record(members) = &nodes[0] else { panic!("{nodes:?}") };
    let at = |member: usize| &nodes[members[member] as usize];
    assert_eq!(at(0), &AvroNode::Long(Some(0)));
    let AvroNode::Union(branches) = at(2) else { panic!("{nodes:?}") };
    assert_eq!(
        branches.iter().map(|at| &nodes[*at as usize]).collect::<Vec<_>>(),
        [&AvroNode::Null, &AvroNode::Long(Some(2))]
    );
    let AvroNode::Map(values, MapOf::Tags) = at(4) else { panic!("{nodes:?}") };
    assert_eq!(nodes[*values as usize], AvroNode::Text(None));
    let AvroNode::Record(motor) = at(5) else { panic!("{nodes:?}") };
    assert_eq!(nodes[motor[0] as usize], AvroNode::Float(Some(4)));
    assert_eq!(at(6), &AvroNode::Enum(vec!["A".to_owned(), "B".to_owned()], Some(5)));
    assert_eq!(at(8), &AvroNode::Bytes);
}

#[test]
fn a_whole_message() {
    let metrics = json!({"type": "record", "name": "M", "fields": [{"name": "temp", "type": "double"}, {"name": "rpm", "type": "int"}]});
    let tags = json!({"type": "record", "name": "T", "fields": [{"name": "line", "type": "string"}]});
    let root = root(&record(&json!([
        {"name": "ts", "type": "long"},
        {"name": "metrics", "type": metrics},
        {"name": "tags", "type": ["null", tags], "default": null},
        {"name": "firmware", "type": "string"},
    ])));
    assert!(root.whole);
    let mut rpm = of(&["metrics", "rpm"], "rpm", Part::Metric, &[Kind::Long]);
    rpm.rule.min = Some(Bound { value: f64::from(i32::MIN), exclusive: false });
    rpm.rule.max = Some(Bound { value: f64::from(i32::MAX), exclusive: false });
    assert_eq!(
        root.fields,
        [
            of(&["ts"], "ts", Part::Ts(None), &[Kind::Long]),
            of(&["metrics", "temp"], "temp", Part::Metric, &[Kind::Double]),
            rpm,
            Field { required: false, ..of(&["tags", "line"], "line", Part::Tag, &[Kind::Text]) },
            Field { required: false, ..of(&["firmware"], "firmware", Part::Metric, &[]) },
        ]
    );
}

#[test]
fn a_map_of_metrics_says_what_each_is() {
    let root = root(&record(&json!([
        {"name": "metrics", "type": {"type": "map", "values": ["null", {"type": "double", "unit": "Cel", "min": 0}]}},
    ])));
    let rule = Rule {
        kinds: vec![Kind::Double],
        nullable: true,
        min: Some(Bound { value: 0.0, exclusive: false }),
        unit: Some("Cel".to_owned()),
        ..Rule::default()
    };
    assert_eq!((root.fields.len(), &root.others), (0, &Others::Like(Box::new(rule))));
    assert!(matches!(nodes(&root)[1], AvroNode::Map(_, MapOf::Metrics)));
}

#[test]
fn recursion_is_read_over() {
    let root = root(&record(&json!([{"name": "v", "type": "double"}, {"name": "next", "type": ["null", "R"]}])));
    assert_eq!(root.fields.len(), 2);
    let nodes = nodes(&root);
    let AvroNode::Record(top) = &nodes[0] else { panic!("{nodes:?}") };
    assert_eq!(nodes[top[0] as usize], AvroNode::Double(Some(0)));
    let AvroNode::Union(next) = &nodes[top[1] as usize] else { panic!("{nodes:?}") };
    let AvroNode::Record(over) = &nodes[next[1] as usize] else { panic!("{nodes:?}") };
    assert_eq!((&nodes[over[0] as usize], over[1]), (&AvroNode::Double(None), top[1]));
}

/// A record that may be absent gives its fields no defaults: they would be values of a record that is not there.
#[test]
fn defaults_inside_of_records() {
    let inner = json!({"type": "record", "name": "N", "fields": [{"name": "a", "type": "long", "default": 7}, {"name": "b", "type": "long"}]});
    let check = |of: Value, default: Option<Value>, expect: [(Option<i64>, bool); 2]| {
        let mut field = json!({"name": "n", "type": of});
        if let Some(default) = default {
            field["default"] = default;
        }
        let found: Vec<_> =
            root(&record(&json!([field]))).fields.into_iter().map(|field| (field.default, field.required)).collect();
        assert_eq!(found, expect.map(|(default, required)| (default.map(Held::Long), required)), "{field}");
    };
    check(inner.clone(), None, [(Some(7), false), (None, true)]);
    check(inner.clone(), Some(json!({"b": 2})), [(Some(7), false), (Some(2), false)]);
    check(json!(["null", inner]), Some(json!(null)), [(None, false), (None, false)]);
}

#[test]
fn what_cannot_be_checked_is_said() {
    let check = |value: Value, part: &str| {
        let why = schema(&value).contract().expect_err(&value.to_string()).why;
        assert!(why.contains(part), "{value}: {why}");
    };
    check(json!("int"), "top level is of the type int");
    check(json!(["null", record(&json!([]))]), "top level is of the type union");
    check(json!({"type": "map", "values": "int"}), "top level is of the type map");
    check(record(&json!([])), "no field of R can be a metric");
    check(field(&json!({"type": "array", "items": "int"})), "no field of R can be a metric");
    check(field(&json!([{"type": "record", "name": "N", "fields": []}, "int"])), "the field x: a union of a record");
    check(field(&json!([{"type": "enum", "name": "E", "symbols": ["A"]}, "int"])), "the field x: a union of an enum");
    let with = |name: &str, value: Value| record(&json!([{"name": "x", "type": "int", name: value}]));
    check(with("min", json!("1")), "the field x: `min` is a number");
    check(with("unit", json!(1)), "the field x: `unit` is a text");
    check(with("unit", json!("degC")), "the field x: `degC` is not a UCUM code: write `Cel`");
    check(record(&json!([{"name": "x", "type": "string", "unit": "Cel"}])), "`unit` is of numbers");
    check(with("required", json!("yes")), "the field x: `required`");
    check(record(&json!([{"name": "x", "type": "int", "min": 2, "max": 1}])), "no number is within its range");
    check(record(&json!([{"name": "x", "type": "string", "min": 2}])), "`min` is of numbers");
    check(record(&json!([{"name": "ts", "type": "long", "ts_unit": "min"}])), "`ts_unit` is one of");
    check(record(&json!([{"name": "ts", "type": {"type": "int", "logicalType": "date"}}])), "date is no instant");
    check(record(&json!([{"name": "metrics", "type": {"type": "map", "values": "bytes"}}])), "the field metrics");
    let wide = |name: &str, of: Value| {
        let fields: Vec<Value> = (0..40)
            .map(|n| json!({"name": format!("f{n}"), "type": if n == 0 { of.clone() } else { json!(name) }}))
            .collect();
        json!({"type": "record", "name": format!("W{name}"), "fields": fields})
    };
    let leaf = json!({"type": "record", "name": "L", "fields": [{"name": "v", "type": "int"}]});
    check(wide("WL", wide("L", leaf)), "one more than the 1024 fields");
}
