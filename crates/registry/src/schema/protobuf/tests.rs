use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

mod comparing;
mod contracts;
mod hostile;

fn parsed(text: &str) -> Protobuf {
    Protobuf::parse(text, &[]).unwrap()
}

fn proto3(body: &str) -> Protobuf {
    parsed(&format!("syntax = \"proto3\";\n{body}"))
}

fn refusal(text: &str) -> String {
    Protobuf::parse(text, &[]).unwrap_err().why
}

fn reference(name: &str, text: &str) -> ReferencedText {
    ReferencedText { name: name.to_owned(), text: text.to_owned() }
}

fn kinds(differences: &[Difference]) -> Vec<&'static str> {
    differences.iter().map(|difference| difference.kind).collect()
}

#[test]
fn whitespace_comments_and_form_do_not_make_another_schema() {
    let schema = proto3(
        "package p; import \"google/protobuf/timestamp.proto\"; import \"confluent/meta.proto\";
         import \"tidewater/options.proto\";
         message M { google.protobuf.Timestamp ts = 1; optional int32 some_name = 2; map<string, double> metrics = 3;
           oneof o { N n = 4; E e = 5; }
           double x = 6 [(tidewater.min) = -5, (tidewater.unit) = \"Cel\", deprecated = true,
             (confluent.field_meta) = { doc: \"d\", params: [{ key: \"b\", value: \"1\" }, { key: \"a\", value: \"2\" },
               { key: \"c\", value: \"3\" }] }];
           message N { bytes b = 1; } enum E { A = 0; } reserved 9, 20 to 30; }",
    );
    let spaced = parsed(
        "// A file.\nsyntax = \"proto3\";package p;\nimport 'google/protobuf/timestamp.proto';
         import \"confluent/meta.proto\"; import \"tidewater/options.proto\";
         /* M */ message M { .google.protobuf.Timestamp ts=1; optional int32 some_name=2 [json_name = \"someName\"];
           map<string,double> metrics = 3; // metrics
           oneof o { M.N n = 4; .p.M.E e = 5; }
           double x = 6 [(.tidewater.min) = -5.0, (tidewater.unit) = 'Cel', deprecated = true,
             (confluent.field_meta).doc = \"d\", (confluent.field_meta).params = { key: \"c\" value: \"3\" },
             (confluent.field_meta).params = { key: \"b\" value: \"1\" },
             (confluent.field_meta).params = { key: \"a\" value: \"2\" }];
           message N { bytes b = 0x1; } enum E { A = 0; } reserved 9, 20 to 30; }",
    );
    assert_eq!(schema.canonical(), spaced.canonical());
    for form in [schema.canonical(), schema.serialized(), spaced.serialized()] {
        assert_eq!(parsed(&form).canonical(), schema.canonical());
        assert_eq!(parsed(&form).serialized(), schema.serialized());
        assert_eq!(parsed(&form).contract().unwrap().roots, {
            let mut roots = schema.contract().unwrap().roots;
            roots.iter_mut().flat_map(|root| &mut root.fields).for_each(|field| field.description = None);
            roots
        });
    }
}

#[test]
fn what_a_schema_says_makes_another_schema() {
    let base = "import \"tidewater/options.proto\"; message M { int32 a = 1; double b = 2; enum E { A = 0; } }";
    let others = [
        base.replace("a = 1", "a = 3"),
        base.replace("int32 a", "int32 c"),
        base.replace("int32 a", "int64 a"),
        base.replace("int32 a", "optional int32 a"),
        base.replace("A = 0", "A = 0; B = 1"),
        base.replace("b = 2", "b = 2 [(tidewater.unit) = \"Cel\"]"),
        base.replace("b = 2", "b = 2 [(tidewater.min) = 0]"),
        base.replace("b = 2", "b = 2 [deprecated = true]"),
        base.replace("b = 2", "b = 2 [json_name = \"c\"]"),
        base.replace("int32 a = 1; double b = 2;", "double b = 2; int32 a = 1;"),
        format!("package p; {base}"),
    ];
    for other in others {
        assert_ne!(proto3(base).canonical(), proto3(&other).canonical(), "{other}");
    }
    assert_ne!(
        parsed("syntax = \"proto2\"; message M { optional int32 a = 1; }").canonical(),
        proto3("message M { optional int32 a = 1; }").canonical()
    );
    assert_eq!(
        parsed("syntax = \"proto2\"; message M { optional int32 a = 1; }").canonical(),
        parsed("message M { optional int32 a = 1; }").canonical()
    );
}

#[test]
fn a_normalized_schema_has_its_parts_in_order() {
    let one = proto3(
        "import \"google/type/latlng.proto\"; import public \"google/type/date.proto\";
         message M { int32 c = 3; oneof o { int32 d = 9; int32 a = 1; } int32 b = 2; reserved 8, 7;
           enum E { Z = 0; Y = 2; X = -1; } }
         message N { google.type.LatLng at = 1; google.type.Date on = 2; }",
    );
    let other = proto3(
        "import public \"google/type/date.proto\"; import \"google/type/latlng.proto\";
         message M { int32 b = 2; int32 c = 3; oneof o { int32 a = 1; int32 d = 9; } reserved 7, 8;
           enum E { Z = 0; X = -1; Y = 2; } }
         message N { google.type.Date on = 2; google.type.LatLng at = 1; }",
    );
    assert_ne!(one.canonical(), other.canonical());
    assert_eq!(one.normalized(), other.normalized());
    let normalized = parsed(&one.normalized());
    assert_eq!(normalized.normalized(), one.normalized());
    assert_eq!(kinds(&normalized.beyond_additions_to(&one)), Vec::<&str>::new());
}

#[test]
fn a_client_gets_a_descriptor_back() {
    use prost_reflect::prost::Message as _;
    use prost_reflect::prost_types::FileDescriptorProto;

    let references = [reference("common/unit.proto", "syntax = \"proto3\"; message U { double x = 1; }")];
    let text = "syntax = \"proto3\"; import \"common/unit.proto\"; message B { map<string, int32> m = 2; U u = 1; } message A {}";
    let schema = Protobuf::parse(text, &references).unwrap();
    let file = FileDescriptorProto::decode(STANDARD.decode(schema.serialized()).unwrap().as_slice()).unwrap();
    assert_eq!(file.dependency, ["common/unit.proto"]);
    assert_eq!(file.syntax(), "proto3");
    assert_eq!(file.source_code_info, None);
    assert_eq!(file.message_type.iter().map(|message| message.name()).collect::<Vec<_>>(), ["B", "A"]);
    assert_eq!(file.message_type[0].field.iter().map(|field| field.number()).collect::<Vec<_>>(), [2, 1]);
    assert!(file.message_type[0].nested_type[0].options.as_ref().unwrap().map_entry());
    // A reference may be in the other form, and a file may come back under the name that its client gave it.
    let reference_of_bytes = [reference("common/unit.proto", &parsed(&references[0].text).serialized())];
    let mut renamed = file;
    renamed.name = Some("client/own.proto".to_owned());
    let sent = STANDARD.encode(renamed.encode_to_vec());
    assert_eq!(Protobuf::parse(&sent, &reference_of_bytes).unwrap().canonical(), schema.canonical());
}

#[test]
fn known_files_need_no_reference() {
    for name in [
        "google/protobuf/any.proto",
        "google/protobuf/api.proto",
        "google/protobuf/descriptor.proto",
        "google/protobuf/duration.proto",
        "google/protobuf/empty.proto",
        "google/protobuf/field_mask.proto",
        "google/protobuf/source_context.proto",
        "google/protobuf/struct.proto",
        "google/protobuf/timestamp.proto",
        "google/protobuf/type.proto",
        "google/protobuf/wrappers.proto",
        "google/type/calendar_period.proto",
        "google/type/color.proto",
        "google/type/date.proto",
        "google/type/datetime.proto",
        "google/type/dayofweek.proto",
        "google/type/decimal.proto",
        "google/type/expr.proto",
        "google/type/fraction.proto",
        "google/type/interval.proto",
        "google/type/latlng.proto",
        "google/type/money.proto",
        "google/type/month.proto",
        "google/type/phone_number.proto",
        "google/type/postal_address.proto",
        "google/type/quaternion.proto",
        "google/type/timeofday.proto",
        "confluent/meta.proto",
        "confluent/type/decimal.proto",
        "confluent/types/decimal.proto",
        "confluent/type/variant.proto",
        "tidewater/options.proto",
    ] {
        proto3(&format!("import \"{name}\"; message M {{ double x = 1; }}"));
    }
    // A client of Python registers what its file imports, and that file itself may be registered.
    parsed(include_str!("proto/tidewater/options.proto"));
    let own = reference("tidewater/options.proto", "this is not looked at");
    let text = "import \"tidewater/options.proto\"; message M { optional double x = 1 [(tidewater.unit) = \"V\"]; }";
    let schema = Protobuf::parse(text, &[own]).unwrap();
    assert_eq!(schema.contract().unwrap().roots[0].fields[0].rule.unit.as_deref(), Some("V"));
}

#[test]
fn a_refusal_says_where_and_what() {
    let check = |text: &str, expected: &str| assert_eq!(refusal(text), expected, "{text}");
    check(
        "syntax = \"proto3\";\nmessage M {\n  int32 a = ;\n}",
        "line 3, column 13: expected an integer, but found ';'",
    );
    check("syntax = \"proto3\";\nmessage M {\n  Missing a = 1;\n}", "line 3, column 3: name 'Missing' is not defined");
    check(
        "syntax = \"proto3\";\nmessage M {\n  int32 a = 1;\n  int32 b = 1;\n}",
        "line 4, column 13: field number '1' is already used",
    );
    check(
        "syntax = \"proto3\";\nimport \"a.proto\";",
        "line 2, column 1: `a.proto` is imported, and no reference has that name: register it and name it in `references`",
    );
    check(
        "edition = \"2023\"; message M {}",
        "line 1, column 1: editions are not supported: write `syntax = \"proto3\";` or `syntax = \"proto2\";` instead",
    );
    check(
        "QUJD",
        "the base64 is not that of a FileDescriptorProto: failed to decode Protobuf message: \
         FileDescriptorProto.options: invalid wire type: SixtyFourBit (expected LengthDelimited)",
    );
}
