use super::*;

#[track_caller]
fn check(answer: fn(&[u8], &mut Vec<u8>) -> std::io::Result<usize>, input: &[u8], expect: &[u8], rest: usize) {
    let mut out = Vec::new();
    assert_eq!(answer(input, &mut out).unwrap(), input.len() - rest);
    assert_eq!(out, expect, "{}", String::from_utf8_lossy(&out));
}

#[test]
fn publishes_are_acknowledged_by_their_quality_of_service() {
    check(answer_mqtt, b"\x30\x03\x00\x01t", b"", 0);
    check(answer_mqtt, b"\x32\x06\x00\x01t\x12\x34x", b"\x40\x02\x12\x34", 0);
    check(answer_mqtt, b"\x34\x06\x00\x01t\x12\x34x\x62\x02\x12\x34", b"\x50\x02\x12\x34\x70\x02\x12\x34", 0);
    check(answer_mqtt, b"\xc0\x00\x32\x06\x00\x01t\x12", b"\xd0\x00", 6);
}

#[test]
fn what_is_no_packet_of_a_publisher_ends_the_connection() {
    assert!(answer_mqtt(b"\x32\x02\x00\x01", &mut Vec::new()).is_err());
    assert!(answer_mqtt(b"\x20\x02\x00\x00", &mut Vec::new()).is_err());
    assert!(answer_mqtt(b"\xe0\x00", &mut Vec::new()).is_err());
    assert!(answer_http(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", &mut Vec::new()).is_err());
}

#[test]
fn requests_are_answered_with_the_number_of_their_messages() {
    let input = b"POST / HTTP/1.1\r\nContent-Length: 21\r\n\r\n[{\"seq\":1},{\"seq\":2}]POST";
    let answer =
        b"HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n{\"accepted\":2}";
    check(answer_http, input, answer, 4);
}
