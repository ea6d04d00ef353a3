use super::*;

/// Checks a body and compares the messages found, or the sentence.
fn check(format: Format, body: &[u8], expect: Result<&[&[u8]], &str>) {
    let mut found = Vec::new();
    let outcome = elements(format, body, |element| found.push(element));
    let outcome = outcome.map(|()| &found[..]).map_err(|error| error.to_string());
    assert_eq!(outcome.as_deref().map_err(String::as_str), expect, "{}", String::from_utf8_lossy(body));
    assert_eq!(super::check(format, body).ok(), expect.ok().map(<[&[u8]]>::len));
}

#[test]
fn an_object_or_an_array_of_objects() {
    check(Format::Json, b" {\"a\":[1]}\n", Ok(&[b"{\"a\":[1]}"]));
    check(Format::Json, b"[{} , {\"a\":1}]", Ok(&[b"{}", b"{\"a\":1}"]));
    check(Format::Json, b"[]", Ok(&[]));
    check(Format::MessagePack, &[0x92, 0x80, 0x81, 0xa1, b'a', 0xc0], Ok(&[&[0x80], &[0x81, 0xa1, b'a', 0xc0]]));
    check(Format::Cbor, &[0x9f, 0xa0, 0xff], Ok(&[&[0xa0]]));
    check(Format::Avro, b"\x00\xff", Ok(&[b"\x00\xff"]));
    check(Format::Protobuf, b"", Ok(&[b""]));
    // The Confluent wire format, whatever its schema says of the rest.
    check(Format::Json, b"\x00\x00\x00\x00\x07{", Ok(&[b"\x00\x00\x00\x00\x07{"]));
}

#[test]
fn anything_else_is_said_where_it_goes_wrong() {
    check(Format::Json, b"", Err("expected a value, found the end at byte 0"));
    check(Format::Json, b"{\"a\":1,}", Err("expected a name in quotes, found `}` at byte 7"));
    check(Format::Json, b"{\"a\" 1}", Err("expected `:`, found `1` at byte 5"));
    check(Format::Json, b"{} {}", Err("expected the end, found `{` at byte 3"));
    let no_object = "expected an object or an array of objects, found a value that is no object";
    check(Format::Json, b"7", Err(&format!("{no_object} at byte 0")));
    check(Format::Json, b"[{},7]", Err(&format!("{no_object} at byte 4")));
    check(Format::Json, &b"[".repeat(99), Err("nested deeper than 32 levels at byte 32"));
    check(Format::MessagePack, &[0x81, 0xa1], Err("1 bytes should follow, 0 are left at byte 2"));
    check(Format::MessagePack, &[0x07], Err("expected an object or an array of objects, found 7 at byte 0"));
    check(Format::MessagePack, &[0x80, 0x80], Err("1 bytes behind the value at byte 1"));
    check(Format::Cbor, &[0xa1, 0x00], Err("end of input bytes at byte 2"));
}
