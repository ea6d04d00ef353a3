use super::*;

/// Reads a string that is followed by `,`.
fn check(literal: &[u8], expect: Result<&str, usize>) {
    let mut bytes = literal.to_vec();
    bytes.push(b',');
    let mut scratch = Vec::new();
    let found = match read(&bytes, 0, &mut scratch) {
        Ok((text, behind)) => {
            assert_eq!(bytes[behind..], *b",");
            Ok(std::str::from_utf8(text).expect("UTF-8"))
        }
        Err(failure) => Err(failure.offset),
    };
    assert_eq!(found, expect, "{}", String::from_utf8_lossy(literal));
}

#[test]
fn plain_and_escaped_texts() {
    check(br#""""#, Ok(""));
    check(br#""temperature of the oil""#, Ok("temperature of the oil"));
    check("\"Öl: 5 °C, a long text beyond a word\"".as_bytes(), Ok("Öl: 5 °C, a long text beyond a word"));
    check(br#""\"\\\/\b\f\n\r\t""#, Ok("\"\\/\u{8}\u{c}\n\r\t"));
    check(br#""a\u00e9\ud83d\ude00 and \u0000 to the end""#, Ok("aé😀 and \0 to the end"));
    check(b"\"del \x7f is plain\"", Ok("del \x7f is plain"));
}

#[test]
fn what_is_no_string_is_refused_where_it_goes_wrong() {
    check(br#""open"#, Err(0));
    check(br#""\x""#, Err(1));
    check(br#""\u12""#, Err(1));
    check(br#""\u12g4""#, Err(1));
    check(br#""\ud800""#, Err(1));
    check(br#""\ud800\n""#, Err(1));
    check(br#""\ud800\ud800""#, Err(1));
    check(br#""\udc00""#, Err(1));
    check(b"\"a\nb\"", Err(2));
    check(b"\"eight by\x1ftes\"", Err(9));
    check(b"\"\xff\"", Err(1));
    check(b"\"\xed\xa0\x80\"", Err(1));
    check(b"\"\xc3\\u00a9\"", Err(1));
}

#[test]
fn every_special_byte_is_found_at_every_place() {
    for byte in 0..=255_u8 {
        for place in 0..20 {
            let mut bytes = vec![b'a'; 20];
            bytes[place] = byte;
            let special = matches!(byte, b'"' | b'\\' | 0..0x20);
            assert_eq!(plain(&bytes, 0), if special { place } else { 20 }, "{byte} at {place}");
        }
    }
}

#[test]
fn a_written_string_reads_back() {
    let text = "a\"b\\c\n\u{1f}é😀";
    let mut out = Vec::new();
    push_string(text.as_bytes(), &mut out);
    assert_eq!(serde_json::from_slice::<String>(&out).expect("JSON"), text);
}
