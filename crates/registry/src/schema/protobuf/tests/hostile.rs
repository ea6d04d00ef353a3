use model::limits::SCHEMA_BYTES_MAX;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

fn refused(text: &str, references: &[ReferencedText]) -> String {
    Protobuf::parse(text, references).unwrap_err().why
}

#[test]
fn values_of_options_that_nest_deep() {
    let recursive = "import \"google/protobuf/descriptor.proto\"; message A { A a = 1; repeated A l = 2; }
                     extend google.protobuf.MessageOptions { A deep = 50000; }";
    let check = |value: &str| {
        let text = format!("syntax = \"proto3\"; {recursive} message M {{ option (deep) = {{ {value} }}; }}");
        assert_eq!(refused(&text, &[]), "the value of option `deep` has more than 128 opening braces");
    };
    check(&format!("{}{}", "a{".repeat(100_000), "}".repeat(100_000)));
    check(&"a<".repeat(100_000));
    check(&format!("{}{}", "l:[{".repeat(50_000), "}]".repeat(50_000)));
    // As deep as it may be, on the stack of a thread of the server.
    let value = format!("{}{}", "a{".repeat(128), "}".repeat(128));
    proto3(&format!("{recursive} message M {{ option (deep) = {{ {value} }}; }}"));
    let parts = ".a".repeat(100);
    let text = format!("syntax = \"proto3\"; {recursive} message M {{ option (deep){parts} = {{}}; }}");
    assert_eq!(refused(&text, &[]), "the name of option `deep…` has more than 32 parts");
}

#[test]
fn descriptors_with_options_that_are_not_interpreted() {
    use prost_reflect::prost::Message as _;
    use prost_reflect::prost_types::{
        FileDescriptorProto, FileOptions, UninterpretedOption, uninterpreted_option::NamePart,
    };

    let name = vec![NamePart { name_part: "deep".to_owned(), is_extension: true }];
    let option = UninterpretedOption { name, aggregate_value: Some("a{".repeat(100_000)), ..Default::default() };
    let options = FileOptions { uninterpreted_option: vec![option], ..Default::default() };
    let file = FileDescriptorProto { options: Some(options), ..Default::default() };
    assert_eq!(
        refused(&STANDARD.encode(file.encode_to_vec()), &[]),
        "option `deep` of the descriptor is not interpreted: serialize the descriptor of a compiled file"
    );
}

#[test]
fn entries_of_maps_that_are_none() {
    use prost_reflect::prost::Message as _;
    use prost_reflect::prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto, MessageOptions};

    let field = |name: &str, number| FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(1),
        r#type: Some(5),
        ..Default::default()
    };
    let check = |fields: Vec<FieldDescriptorProto>| {
        let options = Some(MessageOptions { map_entry: Some(true), ..Default::default() });
        let entry = DescriptorProto { name: Some("E".to_owned()), field: fields, options, ..Default::default() };
        let outer = DescriptorProto { name: Some("M".to_owned()), nested_type: vec![entry], ..Default::default() };
        let file = FileDescriptorProto { message_type: vec![outer], ..Default::default() };
        assert_eq!(
            refused(&STANDARD.encode(file.encode_to_vec()), &[]),
            "`E` says that it is an entry of a map and has not just `key = 1` and `value = 2`"
        );
    };
    check(vec![]);
    check(vec![field("key", 1)]);
    check(vec![field("key", 1), field("value", 3)]);
    check(vec![field("key", 1), field("value", 2), field("more", 3)]);
}

#[test]
fn more_than_the_limits() {
    let fields: String = (1..=10_000).map(|at| format!("int32 f{at} = {at};")).collect();
    let constants: String = (0..20_000).map(|at| format!("C{at} = {at};")).collect();
    let messages: String = (0..20_001).map(|at| format!("message M{at} {{}}")).collect();
    let nested = format!("{}{}", "message M {".repeat(40), "}".repeat(40));
    let reserved: String = (1..=20_000).map(|at| format!("reserved {at};")).collect();
    let package = "a.".repeat(100_000);
    let check = |body: &str, expected: &str| {
        let why = refused(&format!("syntax = \"proto3\"; {body}"), &[]);
        assert!(why.contains(expected), "{why}");
    };
    check(&format!("message M {{ {fields} }}"), "`M` has 10000 fields, and at most 1024 are allowed: split it");
    check(&format!("enum E {{ {constants} }}"), "`E` has 20000 constants, and at most 1024 are allowed: split it");
    check(&messages, "it declares more than 20000 names");
    check(&nested, "reached maximum recursion limit for nested messages");
    check(&format!("message M {{ {reserved} }}"), "`M` has 20000 reserved ranges, and at most 1024 are allowed");
    check(
        &format!("package {package}a;"),
        "the full name of package `a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.…` is longer",
    );
    check(&format!("message {} {{}}", "x".repeat(200)), "is longer than 128 bytes");
    check(&" ".repeat(SCHEMA_BYTES_MAX), "and at most 524288 are allowed");
    let references: Vec<_> = (0..33).map(|at| reference(&format!("r{at}.proto"), "")).collect();
    assert_eq!(refused("", &references), "the schema has 33 references, and at most 32 are allowed");
    let large = " ".repeat(SCHEMA_BYTES_MAX);
    let references: Vec<_> = (0..4).map(|at| reference(&format!("r{at}.proto"), &large)).collect();
    assert!(refused(" ", &references).starts_with("the schema and its references have 2097153 bytes"));
}

#[test]
fn expansions_that_grow() {
    // Each message holds the next one twice.
    let doubling: String =
        (0..30).map(|at| format!("message M{at} {{ M{n} a = 1; M{n} b = 2; }}", n = at + 1)).collect();
    let why = proto3(&format!("{doubling} message M30 {{ double d = 1; }}")).contract().unwrap_err().why;
    assert_eq!(why, "message type `M0` has more than 1024 fields, with those of the messages in it: split it");
    // Without a metric at the end nothing is kept, and the walk ends all the same.
    let why = proto3(&format!("{doubling} message M30 {{}} message X {{ int32 x = 1; }}")).contract().unwrap_err().why;
    assert!(why.contains("have more than 10000 fields and constants"), "{why}");
    let constants: String = (0..1_000).map(|at| format!("C{at} = {at};")).collect();
    let uses: String = (1..=1_000).map(|at| format!("E f{at} = {at};")).collect();
    let why = proto3(&format!("enum E {{ {constants} }} message M {{ {uses} }}")).contract().unwrap_err().why;
    assert!(why.contains("have more than 10000 fields and constants"), "{why}");
}

#[test]
fn imports_in_a_circle_or_missing() {
    let a = reference("a.proto", "syntax = \"proto3\";\nimport \"b.proto\";");
    let b = reference("b.proto", "syntax = \"proto3\";\n\nimport \"a.proto\";");
    assert_eq!(
        refused("import \"a.proto\";", &[a.clone(), b]),
        "reference `b.proto`: line 3, column 1: importing `a.proto` here closes a circle: files import each other"
    );
    assert_eq!(
        refused("import \"a.proto\";", &[a]),
        "reference `a.proto`: line 2, column 1: `b.proto` is imported, and no reference has that name: register it and name \
         it in `references`"
    );
    let broken = reference("a.proto", "syntax = \"proto3\";\nmessage {");
    assert_eq!(
        refused("import \"a.proto\";", &[broken]),
        "reference `a.proto`: line 2, column 9: expected an identifier, but found '{'"
    );
    let own = reference("tidewater/schema.proto", "");
    assert!(refused("import \"tidewater/schema.proto\";", &[own]).contains("closes a circle"));
    let chain: Vec<_> =
        (0..32).map(|at| reference(&format!("r{at}.proto"), &format!("import \"r{}.proto\";", at + 1))).collect();
    assert!(refused("import \"r0.proto\";", &chain).contains("`r32.proto` is imported"));
}

const SEED: &str = "syntax = \"proto3\"; package p.q;
import \"tidewater/options.proto\"; import \"confluent/meta.proto\"; import \"google/protobuf/timestamp.proto\";
option java_package = \"x.y\"; option (confluent.file_meta) = { doc: \"d\", params: { key: 'k' value: \"v\" } };
// About M.
message M { google.protobuf.Timestamp ts = 1; optional int32 a = 2 [(tidewater.unit) = \"Cel\", (tidewater.min) = -1.5e3];
  map<string, double> metrics = 3; oneof o { N n = 4; E e = 5; } repeated fixed32 r = 6 [packed = false]; reserved 7 to 9, 12;
  message N { bytes b = 1; M m = 2; } enum E { option allow_alias = true; A = 0; B = 0; } reserved \"old\"; }
service S { rpc Call(M) returns (stream M.N) { option deprecated = true; } }";

/// Everything that is done with a schema that was parsed.
fn use_of(schema: &Protobuf) {
    let canonical = schema.canonical();
    assert_eq!(parsed(&canonical).canonical(), canonical);
    assert_eq!(parsed(&schema.serialized()).canonical(), canonical);
    let normalized = parsed(&schema.normalized());
    assert_eq!(normalized.normalized(), schema.normalized());
    assert_eq!(schema.cannot_read(schema), []);
    assert_eq!(schema.beyond_additions_to(schema), []);
    assert_eq!(schema.contract().is_ok(), normalized.contract().is_ok());
    let seed = parsed(SEED);
    seed.cannot_read(schema);
    seed.beyond_additions_to(schema);
    schema.beyond_additions_to(&seed);
}

#[test]
fn the_seed_is_a_schema() {
    use_of(&parsed(SEED));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_text_is_a_schema_or_refused(cuts in prop::collection::vec((any::<Index>(), any::<Index>(), any::<Index>()), 1..4)) {
        let tokens: Vec<&str> = SEED.split_inclusive(|letter: char| !letter.is_alphanumeric()).collect();
        let mut mutated = tokens.clone();
        for (from, to, source) in cuts {
            let (from, to) = (from.index(mutated.len()), to.index(8));
            let end = (from + to).min(mutated.len());
            mutated.splice(from..end, [tokens[source.index(tokens.len())]]);
        }
        if let Ok(schema) = Protobuf::parse(&mutated.concat(), &[]) {
            use_of(&schema);
        }
    }

    #[test]
    fn a_mutated_descriptor_is_a_schema_or_refused(
        changes in prop::collection::vec((any::<Index>(), any::<u8>(), 0_u8..3), 1..6),
    ) {
        let mut bytes = STANDARD.decode(parsed(SEED).serialized()).unwrap();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => { bytes.remove(at); }
            }
        }
        if let Ok(schema) = Protobuf::parse(&STANDARD.encode(bytes), &[]) {
            use_of(&schema);
        }
    }

    #[test]
    fn any_text_is_a_schema_or_refused(text in ".{0,200}") {
        if let Ok(schema) = Protobuf::parse(&text, &[]) {
            use_of(&schema);
        }
    }
}
