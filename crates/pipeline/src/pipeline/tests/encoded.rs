//! Avro and Protobuf payloads, by example: bytes written by hand.

use model::contract::*;
use model::{ClassRules, Profile};

use super::contracts::*;
use super::*;

fn avro_root(whole: bool, fields: Vec<Field>, nodes: Vec<AvroNode>) -> Root {
    Root { layout: Some(Layout::Avro(AvroLayout { nodes, fingerprint: 0x0807_0605_0403_0201 })), ..root(whole, fields) }
}

/// `{ts: timestamp-micros, temp: double [-40, 125], count: [null, long], state: enum, raw: bytes, list: array<int>}`
fn avro() -> Root {
    let nullable = Rule { nullable: true, ..rule(Kind::Long) };
    let fields = vec![
        required(field("ts", Part::Ts(Some(TsUnit::Microseconds)), rule(Kind::Long))),
        required(metric("temp", ranged(-40.0, 125.0, rule(Kind::Double)))),
        metric("count", nullable),
        required(metric("state", rule(Kind::Text))),
        required(metric("raw", Rule::default())),
    ];
    let nodes = vec![
        AvroNode::Record(vec![1, 2, 3, 6, 7, 8]),
        AvroNode::Long(Some(0)),
        AvroNode::Double(Some(1)),
        AvroNode::Union(vec![4, 5]),
        AvroNode::Null,
        AvroNode::Long(Some(2)),
        AvroNode::Enum(vec!["idle".to_owned(), "run".to_owned()], Some(3)),
        AvroNode::Bytes,
        AvroNode::Array(9),
        AvroNode::Int(None),
    ];
    avro_root(false, fields, nodes)
}

/// ts = 3 ms, these bytes for `temp` and `count`, state `run`, raw of one byte, an array of two.
pub fn datum(temp: f64, count: &[u8]) -> Vec<u8> {
    let ts = [0xF0, 0x2E]; // zig-zag of 3000
    [&ts[..], &temp.to_le_bytes(), count, &[2], &[2, 0xFF], &[3, 4, 2, 4, 0]].concat()
}

pub fn avro_pipeline() -> Pipeline {
    let mut pipeline = Pipeline::new(Partition(3), Plan::default());
    let rules = rules(ClassRules { schema_id: Some(PUMP), ..ClassRules::default() });
    let controls = [bind(0, device(1, "pump")), schema(7, vec![place("pump", 1, PUMP)], Language::Avro, avro()), rules];
    process(&mut pipeline, &batch(RECEIVED, &controls, &[]), &mut Output::default());
    pipeline
}

#[track_caller]
fn check(pipeline: &mut Pipeline, format: Format, payloads: &[Vec<u8>], expect: &[&str]) {
    let mut output = Output::default();
    let payloads: Vec<_> = payloads.iter().map(|payload| (GroupKey { format, ..key(0) }, payload.clone())).collect();
    process(pipeline, &batch(RECEIVED, &[], &payloads), &mut output);
    let lines: Vec<_> = lines(&output)
        .iter()
        .map(|line| line.rsplit_once(" | ").map_or(&**line, |(line, _)| line).to_owned())
        .collect();
    assert_eq!(lines, expect);
    assert_eq!(output.defects, []);
}

#[test]
fn avro_in_its_three_forms() {
    let plain = datum(20.5, &[0]);
    let single = [&[0xC3, 0x01, 1, 2, 3, 4, 5, 6, 7, 8][..], &datum(21.5, &[2, 0x0E])].concat();
    let wire = [&[0, 0, 0, 0, 7][..], &datum(22.5, &[2, 0x01])].concat();
    check(
        &mut avro_pipeline(),
        Format::Avro,
        &[plain, single, wire.clone()],
        &[
            r#"1-0 d0 ts=3 temp=20.5 state="run""#,
            r#"2-0 d0 ts=3 temp=21.5 state="run" count=7l"#,
            r#"3-0 d0 ts=3 temp=22.5 state="run" count=-1l"#,
        ],
    );
    // What is said to be JSON follows the schema that it names.
    check(&mut avro_pipeline(), Format::Json, &[wire], &[r#"1-0 d0 ts=3 temp=22.5 count=-1l state="run""#]);
}

#[test]
fn avro_that_is_not_well_formed_says_where() {
    let good = datum(20.5, &[0]);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let mut long = vec![0xFF; 10];
    long.push(1);
    check(
        &mut avro_pipeline(),
        Format::Avro,
        &[
            good[..good.len() - 1].to_vec(),
            [&good[..], &[0]].concat(),
            with(10, 4),
            with(11, 4),
            with(12, 3),
            with(12, 0x7E),
            with(15, 6),
            long,
            datum(f64::NAN, &[0]),
            datum(200.0, &[0]),
        ],
        &[
            "1-0 not-well-formed | expected an integer, found the end at byte 18",
            "2-0 not-well-formed | 1 bytes behind the message at byte 19",
            "3-0 not-well-formed | a union of 2 branches has no branch 2 at byte 11",
            "4-0 not-well-formed | an enum of 2 symbols has no symbol 2 at byte 12",
            "5-0 not-well-formed | a length of -2 at byte 13",
            "6-0 not-well-formed | bytes of 63 bytes, 6 are left at byte 13",
            "7-0 not-well-formed | a block that says 3 bytes and has 2 at byte 18",
            "8-0 not-well-formed | an integer of more than 64 bits at byte 10",
            "9-0 number-not-finite /temp | found NaN",
            "10-0 out-of-range /temp | found 200, at least -40 and at most 125 is allowed",
        ],
    );
}

#[test]
fn avro_that_claims_much_is_bounded() {
    // A list within itself, and an array of nulls.
    let nodes = vec![AvroNode::Record(vec![1, 2]), AvroNode::Array(1), AvroNode::Array(3), AvroNode::Null];
    let root = avro_root(false, vec![default(metric("a", rule(Kind::Double)), Value::Double(1.0))], nodes);
    let mut pipeline = avro_pipeline();
    let control = schema(7, vec![place("pump", 1, PUMP)], Language::Avro, root);
    process(&mut pipeline, &batch(RECEIVED, &[control], &[]), &mut Output::default());
    let deep = vec![2; 1000];
    let many = vec![0, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F];
    let least = vec![0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0];
    check(
        &mut pipeline,
        Format::Avro,
        &[deep, many, least],
        &[
            "2-0 too-deep | nested deeper than 32 levels at byte 30",
            "3-0 not-well-formed | a block of 36028797018963967 elements, which cannot be at byte 9",
            "4-0 not-well-formed | a block of 9223372036854775808 elements, which cannot be at byte 12",
        ],
    );
}

#[test]
fn an_avro_map_of_metrics() {
    let nodes = vec![
        AvroNode::Record(vec![1, 3]),
        AvroNode::Map(2, MapOf::Metrics),
        AvroNode::Float(None),
        AvroNode::Map(4, MapOf::Tags),
        AvroNode::Text(None),
    ];
    let root = Root {
        others: Others::Like(Box::new(ranged(0.0, 9.0, rule(Kind::Double)))),
        ..avro_root(true, Vec::new(), nodes)
    };
    let mut pipeline = avro_pipeline();
    let control = schema(7, vec![place("pump", 1, PUMP)], Language::Avro, root);
    process(&mut pipeline, &batch(RECEIVED, &[control], &[]), &mut Output::default());
    let entry = |name: &str, value: f32| [&[name.len() as u8 * 2][..], name.as_bytes(), &value.to_le_bytes()].concat();
    let message = |entries: &[Vec<u8>]| {
        [&[entries.len() as u8 * 2][..], &entries.concat(), &[0, 2, 2, b't', 2, b'x', 0, 0]].concat()
    };
    check(
        &mut pipeline,
        Format::Avro,
        &[
            message(&[entry("a", 1.5), entry("b", 0.1)])[..].to_vec(),
            message(&[entry("a", 1.0), entry("a", 1.0)]),
            message(&[entry("a", 10.0)]),
        ]
        .map(|bytes| bytes[..bytes.len() - 1].to_vec()),
        &[
            r#"2-0 d0 ts=1700000000000* a=1.5 b=0.10000000149011612 tags={"t":"x"}"#,
            "3-0 duplicate-field /metrics/a |",
            "4-0 out-of-range /metrics/a | found 10, at least 0 and at most 9 is allowed",
        ],
    );
}

#[test]
fn a_newer_version_has_defaults_for_what_an_older_one_did_not_write() {
    let mut newer = avro();
    newer.fields.push(default(metric("extra", rule(Kind::Double)), Value::Double(5.0)));
    newer.fields.rotate_right(1);
    newer.layout = None;
    let mut pipeline = avro_pipeline();
    let control = schema(8, vec![place("pump", 2, PUMP)], Language::Avro, newer);
    process(&mut pipeline, &batch(RECEIVED, &[control], &[]), &mut Output::default());
    let wire = [&[0, 0, 0, 0, 7][..], &datum(22.5, &[0])].concat();
    check(&mut pipeline, Format::Avro, &[wire], &[r#"2-0 d0 ts=3 temp=22.5 state="run" extra=5.0"#]);
}

#[test]
fn avro_without_a_schema() {
    let mut pipeline = avro_pipeline();
    let rules = rules(ClassRules::default());
    process(&mut pipeline, &batch(RECEIVED, &[rules], &[]), &mut Output::default());
    check(
        &mut pipeline,
        Format::Avro,
        &[datum(1.0, &[0]), vec![0, 0, 0, 0, 9], [&[0, 0, 0, 0, 7][..], &datum(1.0, &[0])].concat()],
        &[
            r#"4-0 d0 ts=3 temp=1.0 state="run""#,
            "2-0 format-unsupported |",
            "3-0 schema-unknown | the payload names a schema that the tenant does not have",
        ],
    );
}

fn proto_field(number: u32, kind: ProtobufKind) -> ProtobufField {
    ProtobufField { number, kind, implicit: false, oneof: None }
}

fn implicit(number: u32, kind: ProtobufKind) -> ProtobufField {
    ProtobufField { implicit: true, ..proto_field(number, kind) }
}

/// `{1: double temp, 2: optional int64 count, 3: Motor {1: float temp, 2: State state}, 4: Timestamp ts, 5: repeated int32,
/// 6: map<string, string> tags, 15: sint32 delta}` and a second message type.
fn protobuf(id: u32) -> Control {
    let fields = vec![
        metric("temp", ranged(-40.0, 125.0, rule(Kind::Double))),
        metric("count", rule(Kind::Long)),
        metric("motor.temp", rule(Kind::Double)),
        metric("motor.state", rule(Kind::Text)),
        field("ts", Part::Ts(None), rule(Kind::Text)),
        metric("delta", rule(Kind::Long)),
    ];
    let states = vec![(0, "IDLE".to_owned()), (1, "RUN".to_owned())];
    let messages = vec![
        vec![
            implicit(1, ProtobufKind::Double(Some(0))),
            proto_field(2, ProtobufKind::Int64(Some(1))),
            proto_field(3, ProtobufKind::Message(1)),
            proto_field(4, ProtobufKind::Timestamp(Some(4))),
            proto_field(5, ProtobufKind::Ignored),
            proto_field(6, ProtobufKind::Map(MapOf::Tags, Box::new(ProtobufKind::Text(None)))),
            proto_field(15, ProtobufKind::Sint32(Some(5))),
        ],
        vec![implicit(1, ProtobufKind::Float(Some(2))), implicit(2, ProtobufKind::Enum(states, Some(3)))],
    ];
    let first =
        Root { indexes: vec![0], layout: Some(Layout::Protobuf(ProtobufLayout { messages })), ..root(false, fields) };
    let layout = ProtobufLayout { messages: vec![vec![proto_field(1, ProtobufKind::Uint64(Some(0)))]] };
    let second = Root {
        indexes: vec![1, 0],
        name: "other".to_owned(),
        layout: Some(Layout::Protobuf(layout)),
        ..root(false, vec![metric("n", rule(Kind::Long))])
    };
    let contract = Verdict::Usable(Contract { language: Language::Protobuf, roots: vec![first, second] });
    let record = SchemaRecord { id, places: vec![place("pump", 1, PUMP)], contract };
    Control::Schema { tenant: tenant(), record: Box::new(record) }
}

pub fn protobuf_pipeline() -> Pipeline {
    let mut pipeline = Pipeline::new(Partition(3), Plan::default());
    let controls = [bind_with(0, 1, Profile { schema_id: Some(PUMP), tags: Vec::new() }), protobuf(7)];
    process(&mut pipeline, &batch(RECEIVED, &controls, &[]), &mut Output::default());
    pipeline
}

#[test]
fn protobuf_bare_and_in_the_wire_format() {
    let temp = [&[0x09][..], &20.5_f64.to_le_bytes()].concat();
    let motor = [0x1A, 5, 0x0D, 0, 0, 0xC0, 0x3F]; // 1.5
    let state = [0x1A, 2, 0x10, 1];
    let ts = [0x22, 5, 0x08, 2, 0x10, 0xC0, 0x84];
    let ts = [&ts[..], &[0x3D]].concat(); // 2 s and 1,000,000 ns
    let ts = [&[0x22, 6][..], &ts[2..]].concat();
    let rest = [0x10, 5, 0x10, 7, 0x2A, 2, 1, 2, 0x28, 3, 0x32, 6, 0x0A, 1, b't', 0x12, 1, b'x', 0x78, 3];
    let unknown = [0x53, 0x08, 1, 0x5B, 0x5C, 0x54, 0xF8, 7, 1];
    let all = [&temp[..], &motor, &state, &ts, &rest, &unknown].concat();
    let named = |indexes: &[u8], body: &[u8]| [&[0, 0, 0, 0, 7][..], indexes, body].concat();
    check(
        &mut protobuf_pipeline(),
        Format::Protobuf,
        &[
            all.clone(),
            Vec::new(),
            named(&[0], &temp),
            named(&[4, 2, 0], &[8, 9]),
            named(&[2, 6], &temp),
            named(&[1], &temp),
        ],
        &[
            r#"1-0 d0 ts=2001 temp=20.5 count=7l motor.temp=1.5 motor.state="RUN" delta=-2l tags={"t":"x"}"#,
            "2-0 d0 ts=1700000000000* temp=0.0",
            "3-0 d0 ts=1700000000000* temp=20.5",
            "4-0 d0 ts=1700000000000* n=9l",
            "5-0 not-well-formed | the schema has no message type at [3] that has metrics",
            "6-0 not-well-formed | -1 message indexes",
        ],
    );
}

#[test]
fn of_a_oneof_the_last_on_the_wire_counts() {
    let fields = vec![
        metric("left", rule(Kind::Long)),
        metric("right", rule(Kind::Long)),
        metric("motor.temp", rule(Kind::Double)),
        metric("motor.speed", rule(Kind::Long)),
        metric("beside", rule(Kind::Long)),
    ];
    let member = |number, kind| ProtobufField { oneof: Some(0), ..proto_field(number, kind) };
    let messages = vec![
        vec![
            member(1, ProtobufKind::Int64(Some(0))),
            member(2, ProtobufKind::Int64(Some(1))),
            member(3, ProtobufKind::Message(1)),
            member(4, ProtobufKind::Bytes),
            proto_field(5, ProtobufKind::Int64(Some(4))),
        ],
        vec![implicit(1, ProtobufKind::Float(Some(2))), proto_field(2, ProtobufKind::Int64(Some(3)))],
    ];
    let root =
        Root { indexes: vec![0], layout: Some(Layout::Protobuf(ProtobufLayout { messages })), ..root(false, fields) };
    let mut pipeline = Pipeline::new(Partition(3), Plan::default());
    let profile = Profile { schema_id: Some(PUMP), tags: Vec::new() };
    let controls = [bind_with(0, 1, profile), schema(7, vec![place("pump", 1, PUMP)], Language::Protobuf, root)];
    process(&mut pipeline, &batch(RECEIVED, &controls, &[]), &mut Output::default());
    let (left, right, beside) = ([0x08, 1], [0x10, 2], [0x28, 5]);
    let (motor, more, bytes) = ([0x1A, 5, 0x0D, 0, 0, 0xC0, 0x3F], [0x1A, 2, 0x10, 9], [0x22, 1, 7]);
    check(
        &mut pipeline,
        Format::Protobuf,
        &[
            [&left[..], &right, &beside].concat(),
            [&right[..], &beside, &left].concat(),
            [&motor[..], &left].concat(),
            [&left[..], &motor, &more].concat(),
            [&motor[..], &left, &more].concat(),
            [&beside[..], &left, &bytes].concat(),
        ],
        &[
            "1-0 d0 ts=1700000000000* right=2l beside=5l",
            "2-0 d0 ts=1700000000000* beside=5l left=1l",
            "3-0 d0 ts=1700000000000* left=1l",
            "4-0 d0 ts=1700000000000* motor.temp=1.5 motor.speed=9l",
            "5-0 d0 ts=1700000000000* motor.temp=0.0 motor.speed=9l",
            "6-0 d0 ts=1700000000000* beside=5l",
        ],
    );
}

#[test]
fn protobuf_that_is_not_well_formed_says_where() {
    let group = vec![0x53; 100];
    check(
        &mut protobuf_pipeline(),
        Format::Protobuf,
        &[
            vec![0x09, 0, 0],
            vec![0x1A, 9, 0],
            vec![0x54],
            vec![0x57],
            vec![0x02, 0],
            group,
            vec![0x0A, 1, 0],
            vec![0x78, 0x80, 0x80],
            vec![0x32, 3, 0x0A, 1, 0xFF],
            [&[0x09][..], &f64::INFINITY.to_le_bytes()].concat(),
        ],
        &[
            "1-0 not-well-formed | expected a double, found the end at byte 1",
            "2-0 not-well-formed | a message of 9 bytes, 1 are left at byte 2",
            "3-0 not-well-formed | the end of a group that did not begin at byte 1",
            "4-0 not-well-formed | there is no wire type 7 at byte 1",
            "5-0 not-well-formed | a field of number 0 at byte 1",
            "6-0 too-deep | nested deeper than 32 levels at byte 32",
            "7-0 wrong-type /temp | found wire type 2, expected 1",
            "8-0 not-well-formed | expected an integer, found the end at byte 3",
            "9-0 not-well-formed | a string that is not UTF-8 at byte 4",
            "10-0 number-not-finite /temp | found inf",
        ],
    );
}

/// Once such a payload, of three bytes, kept the pipeline busy for an hour: nothing counted records without fields.
#[test]
fn values_without_bytes_are_counted() {
    let doubling = |last: u32| (2..last).map(|at| AvroNode::Record(vec![at + 1, at + 1]));
    let list = metric("list", Rule::default());
    for (depth, empty) in [(27, AvroNode::Record(vec![])), (28, AvroNode::Null)] {
        let nodes = [AvroNode::Record(vec![1]), AvroNode::Array(2)].into_iter().chain(doubling(depth)).chain([empty]);
        let root = avro_root(false, vec![list.clone()], nodes.collect());
        let controls = [
            bind(0, device(1, "pump")),
            schema(7, vec![place("pump", 1, PUMP)], Language::Avro, root),
            rules(ClassRules { schema_id: Some(PUMP), ..ClassRules::default() }),
        ];
        let mut pipeline = Pipeline::new(Partition(3), Plan::default());
        process(&mut pipeline, &batch(RECEIVED, &controls, &[]), &mut Output::default());
        // One element.
        let payload = vec![2, 0];
        let expect = "1-0 not-well-formed | more values without bytes than a message has at byte 1";
        check(&mut pipeline, Format::Avro, &[payload], &[expect]);
    }
}
