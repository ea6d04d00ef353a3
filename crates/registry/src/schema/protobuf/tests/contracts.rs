use model::contract::{
    Bound, Field, Kind, Language, Layout, MapOf, Others, Part, ProtobufField, ProtobufKind, Root, Rule, TsUnit, Value,
};

use super::*;

fn root(text: &str) -> Root {
    let contract = parsed(text).contract().unwrap();
    assert_eq!(contract.language, Language::Protobuf);
    contract.roots.into_iter().next().unwrap()
}

fn layout(root: &Root) -> &[Vec<ProtobufField>] {
    let Some(Layout::Protobuf(layout)) = &root.layout else { panic!("{root:?}") };
    &layout.messages
}

fn unusable(body: &str) -> String {
    proto3(body).contract().unwrap_err().why
}

fn rule(kind: Kind) -> Rule {
    Rule { kinds: vec![kind], ..Rule::default() }
}

fn texts(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| Value::Text((*name).to_owned())).collect()
}

/// A field that is kept; its name is the last part of the path, or all of it for a metric.
fn field(path: &str, part: Part, rule: Rule) -> Field {
    let path: Vec<_> = path.split('.').map(str::to_owned).collect();
    let name = match part {
        Part::Metric => path.iter().skip(usize::from(path[0] == "metrics")).cloned().collect::<Vec<_>>().join("."),
        _ => path.last().unwrap().clone(),
    };
    Field { path, name, part, rule, required: false, default: None, description: None }
}

fn metric(path: &str, kind: Kind) -> Field {
    field(path, Part::Metric, rule(kind))
}

fn at(number: u32, kind: ProtobufKind) -> ProtobufField {
    ProtobufField { number, kind, implicit: false, oneof: None }
}

fn implicit(number: u32, kind: ProtobufKind) -> ProtobufField {
    ProtobufField { number, kind, implicit: true, oneof: None }
}

#[test]
fn a_flat_message() {
    let root = root(
        "syntax = \"proto3\";
         package plant.v1;
         import \"google/protobuf/timestamp.proto\";
         import \"google/protobuf/wrappers.proto\";
         import \"tidewater/options.proto\";
         message Reading {
           google.protobuf.Timestamp ts = 1;
           uint64 seq = 2;
           uint32 boot = 3;
           bool buffered = 4;
           map<string, string> tags = 5;
           // Of the bearing,
           // at its top.
           double temperature = 6 [(tidewater.unit) = \"Cel\", (tidewater.min) = -40, (tidewater.max) = 125.5];
           optional float pressure = 7 [(tidewater.required) = true];
           oneof position { sint64 left = 8; fixed64 right = 9; }
           Mode mode = 10;
           google.protobuf.DoubleValue level = 11;
           Motor motor = 12;
           repeated double samples = 13;
           bytes raw = 14;
           map<string, double> extra = 15;
           Reading before = 16;
           enum Mode { option allow_alias = true; OFF = 0; ON = 1; RUNNING = 1; }
         }
         message Motor { int32 speed = 1; string state = 2; repeated Motor parts = 3; }",
    );
    assert_eq!(root.indexes, [0]);
    assert_eq!(root.name, "plant.v1.Reading");
    assert!(!root.whole);
    assert_eq!(root.others, Others::Class);
    let bound = |value| Some(Bound { value, exclusive: false });
    let temperature = Rule { min: bound(-40.0), max: bound(125.5), unit: Some("Cel".to_owned()), ..rule(Kind::Double) };
    let expected = [
        field("ts", Part::Ts(Some(TsUnit::Iso8601)), rule(Kind::Text)),
        field("seq", Part::Seq, rule(Kind::Long)),
        field("boot", Part::Boot, rule(Kind::Long)),
        field("buffered", Part::Buffered, rule(Kind::Bool)),
        Field {
            description: Some("Of the bearing,\nat its top.".to_owned()),
            ..field("temperature", Part::Metric, temperature)
        },
        Field { required: true, ..metric("pressure", Kind::Double) },
        metric("left", Kind::Long),
        metric("right", Kind::Long),
        field("mode", Part::Metric, Rule { one_of: texts(&["OFF", "ON", "RUNNING"]), ..rule(Kind::Text) }),
        field("level", Part::Metric, Rule { nullable: true, ..rule(Kind::Double) }),
        metric("motor.speed", Kind::Long),
        metric("motor.state", Kind::Text),
        field("motor.parts", Part::Metric, Rule::default()),
        field("samples", Part::Metric, Rule::default()),
        field("raw", Part::Metric, Rule::default()),
        field("extra", Part::Metric, Rule::default()),
        field("before", Part::Metric, Rule::default()),
    ];
    assert_eq!(root.fields.len(), expected.len());
    for (field, expected) in root.fields.iter().zip(&expected) {
        assert_eq!(field, expected);
    }
    use ProtobufKind::{
        Bool, Bytes, Double, Enum, Fixed64, Float, Ignored, Int32, Map, Message, Sint64, Text, Timestamp, Uint32,
        Uint64,
    };
    let mode = vec![(0, "OFF".to_owned()), (1, "ON".to_owned())];
    assert_eq!(
        layout(&root),
        [
            vec![
                at(1, Timestamp(Some(0))),
                at(2, Uint64(Some(1))),
                at(3, Uint32(Some(2))),
                at(4, Bool(Some(3))),
                at(5, Map(MapOf::Tags, Box::new(Text(None)))),
                implicit(6, Double(Some(4))),
                at(7, Float(Some(5))),
                ProtobufField { oneof: Some(0), ..at(8, Sint64(Some(6))) },
                ProtobufField { oneof: Some(0), ..at(9, Fixed64(Some(7))) },
                implicit(10, Enum(mode, Some(8))),
                at(11, Message(1)),
                at(12, Message(2)),
                at(13, Ignored),
                at(14, Bytes),
                at(15, Ignored),
                at(16, Ignored),
            ],
            vec![implicit(1, Double(Some(9)))],
            vec![implicit(1, Int32(Some(10))), implicit(2, Text(Some(11))), at(3, Ignored)],
        ]
    );
}

#[test]
fn a_whole_message() {
    let root = root(
        "syntax = \"proto3\";
         import \"tidewater/options.proto\";
         message Envelope {
           int64 ts = 1 [(tidewater.ts_unit) = \"us\"];
           string device = 2;
           Metrics metrics = 3;
           Tags tags = 4;
           float seq = 5;
         }
         message Metrics { double temp = 1; Motor motor = 2; }
         message Motor { bool on = 1; int64 ts = 2; }
         message Tags { string line = 1; int32 shift = 2; }",
    );
    assert!(root.whole);
    let expected = [
        field("ts", Part::Ts(Some(TsUnit::Microseconds)), rule(Kind::Long)),
        field("device", Part::Metric, Rule::default()),
        metric("metrics.temp", Kind::Double),
        metric("metrics.motor.on", Kind::Bool),
        metric("metrics.motor.ts", Kind::Long),
        field("tags.line", Part::Tag, rule(Kind::Text)),
        Field { name: "shift".to_owned(), ..field("tags.shift", Part::Metric, Rule::default()) },
        field("seq", Part::Metric, Rule::default()),
    ];
    assert_eq!(root.fields, expected);
    use ProtobufKind::{Bool, Double, Ignored, Int64, Message, Text};
    assert_eq!(
        layout(&root),
        [
            vec![at(1, Int64(Some(0))), at(2, Ignored), at(3, Message(1)), at(4, Message(3)), at(5, Ignored)],
            vec![implicit(1, Double(Some(2))), at(2, Message(2))],
            vec![implicit(1, Bool(Some(3))), implicit(2, Int64(Some(4)))],
            vec![at(1, Text(Some(5))), at(2, Ignored)],
        ]
    );
}

#[test]
fn a_map_of_metrics() {
    let root = root(
        "syntax = \"proto3\"; import \"tidewater/options.proto\";
         message M { string ts = 1; map<string, sint32> metrics = 2 [(tidewater.unit) = \"mm\", (tidewater.min) = 0]; }",
    );
    assert!(root.whole);
    assert_eq!(root.fields, [field("ts", Part::Ts(None), rule(Kind::Text))]);
    let value =
        Rule { min: Some(Bound { value: 0.0, exclusive: false }), unit: Some("mm".to_owned()), ..rule(Kind::Long) };
    assert_eq!(root.others, Others::Like(Box::new(value)));
    let map = ProtobufKind::Map(MapOf::Metrics, Box::new(ProtobufKind::Sint32(None)));
    assert_eq!(layout(&root), [vec![at(1, ProtobufKind::Text(Some(0))), at(2, map)]]);
}

#[test]
fn proto2_says_what_is_required_and_what_is_the_default() {
    let root = root(
        "syntax = \"proto2\";
         message M {
           required double a = 1;
           optional int32 b = 2 [default = -7];
           optional E e = 3 [default = Y];
           required N sure = 4;
           optional N maybe = 5;
           optional group G = 6 { optional int32 x = 1; }
           optional float f = 7 [default = 1.5];
           enum E { X = 0; Y = 1; }
         }
         message N { required bool on = 1; optional string s = 2 [default = \"idle\"]; }",
    );
    let required = |field: Field| Field { required: true, ..field };
    let default = |field: Field, value| Field { default: Some(value), ..field };
    let e = field("e", Part::Metric, Rule { one_of: texts(&["X", "Y"]), ..rule(Kind::Text) });
    let idle = || Value::Text("idle".to_owned());
    assert_eq!(
        root.fields,
        [
            required(metric("a", Kind::Double)),
            default(metric("b", Kind::Long), Value::Long(-7)),
            default(e, Value::Text("Y".to_owned())),
            required(metric("sure.on", Kind::Bool)),
            default(metric("sure.s", Kind::Text), idle()),
            metric("maybe.on", Kind::Bool),
            default(metric("maybe.s", Kind::Text), idle()),
            field("g", Part::Metric, Rule::default()),
            default(metric("f", Kind::Double), Value::Double(1.5)),
        ]
    );
    let top = &layout(&root)[0];
    assert!(top.iter().all(|field| !field.implicit));
    assert_eq!(top[5], at(6, ProtobufKind::Ignored));
}

#[test]
fn every_message_type_with_metrics_is_a_root() {
    let contract = proto3(
        "package p;
         message None { bytes b = 1; message Inner { double x = 1; } map<string, int32> m = 2; message Deep {
             message Deeper { double y = 1; } } }
         message Flat { map<string, int32> m = 1; double z = 2; message Other { int32 ts = 1; } }",
    )
    .contract()
    .unwrap();
    let roots: Vec<_> = contract.roots.iter().map(|root| (root.name.as_str(), root.indexes.clone())).collect();
    // The second nested type of None is the entry of its map: m is declared between the other two.
    assert_eq!(roots, [("p.None.Inner", vec![0, 0]), ("p.None.Deep.Deeper", vec![0, 2, 0]), ("p.Flat", vec![1])]);
    assert_eq!(contract.root(&[1]).unwrap().name, "p.Flat");
    assert_eq!(contract.root(&[]).unwrap().name, "p.None.Inner");
}

#[test]
fn types_of_references_are_expanded() {
    let references = [reference(
        "common/geo.proto",
        "syntax = \"proto3\"; package common; import \"google/type/latlng.proto\";
         message Place { google.type.LatLng at = 1; google.protobuf.Any any = 2; }
         import \"google/protobuf/any.proto\";",
    )];
    let text = "syntax = \"proto3\"; import \"common/geo.proto\"; message M { common.Place place = 1; }";
    let contract = Protobuf::parse(text, &references).unwrap().contract().unwrap();
    assert_eq!(contract.roots.len(), 1);
    assert_eq!(
        contract.roots[0].fields,
        [
            metric("place.at.latitude", Kind::Double),
            metric("place.at.longitude", Kind::Double),
            field("place.any", Part::Metric, Rule::default()),
        ]
    );
}

#[test]
fn what_cannot_be_checked_is_said() {
    let import = "import \"tidewater/options.proto\";";
    let check = |body: &str, expected: &str| assert_eq!(unusable(&format!("{import}{body}")), expected, "{body}");
    let none = "no message type has a metric, which is a field of a number, bool, string or enum that is not repeated: add \
                one, or a `map<string, double> metrics`";
    check("message M { bytes b = 1; repeated int32 r = 2; int64 ts = 3; }", none);
    check("enum E { A = 0; }", none);
    check(
        "message M { string s = 1 [(tidewater.unit) = \"Cel\"]; }",
        "field `M.s`: `unit`, `min` and `max` are for numbers: leave them out",
    );
    check(
        "message M { double d = 1 [(tidewater.min) = 2, (tidewater.max) = 1]; }",
        "field `M.d`: `min` and `max` must be numbers, and `min` not above `max`",
    );
    let why = unusable(&format!("{import} message M {{ double d = 1 [(tidewater.unit) = \"Celsius?\"]; }}"));
    assert!(why.starts_with("field `M.d`: ") && why.contains("Celsius?"), "{why}");
    check(
        "message M { double d = 1; int64 ts = 2 [(tidewater.ts_unit) = \"hours\"]; }",
        "field `M.ts`: ts_unit `hours` is none of s, ms, us, ns and iso8601",
    );
    check(
        "message M { double d = 1; string ts = 2 [(tidewater.ts_unit) = \"ms\"]; }",
        "field `M.ts`: ts_unit must be iso8601 for a string, and another one for a number",
    );
    check(
        "message M { double d = 1 [(tidewater.ts_unit) = \"ms\"]; }",
        "field `M.d`: `ts_unit` is for the field `ts` of a message: leave it out",
    );
    let deep: String = (0..40).map(|at| format!("message M{at} {{ M{} m = 1; }}", at + 1)).collect();
    check(
        &format!("{deep} message M40 {{ double d = 1; }}"),
        "field `M31.m`: messages are nested more than 32 deep: flatten them",
    );
    let long = "x".repeat(70);
    check(
        &format!("message M {{ N {long} = 1; }} message N {{ int32 {long} = 1; }}"),
        &format!("field `N.{long}`: the metric's name `{long}.{long}` is longer than 128 bytes"),
    );
}
