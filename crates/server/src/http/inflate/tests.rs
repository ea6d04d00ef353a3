use std::io::Write;

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 1).expect("compressed")
}

fn code(result: Result<Vec<u8>, Problem>) -> &'static str {
    result.expect_err("refused").code()
}

#[test]
fn a_body_comes_out_as_it_went_in() {
    for text in [&b""[..], b"{}", &[7; 100_000]] {
        assert_eq!(inflate(Encoding::Identity, text, 100_000).expect("read"), text);
        assert_eq!(inflate(Encoding::Gzip, &gzip(text), 100_000).expect("read"), text);
        assert_eq!(inflate(Encoding::Zstd, &zstd(text), 100_000).expect("read"), text);
    }
    let two_members = [gzip(b"a"), gzip(b"b")].concat();
    assert_eq!(inflate(Encoding::Gzip, &two_members, 10).expect("read"), b"ab");
}

#[test]
fn a_bomb_stops_at_the_limit() {
    let zeros = vec![0; 1 << 22];
    for (encoding, bomb) in [(Encoding::Gzip, gzip(&zeros)), (Encoding::Zstd, zstd(&zeros))] {
        assert_eq!(code(inflate(encoding, &bomb, (1 << 22) - 1)), "body-too-large");
        assert_eq!(inflate(encoding, &bomb, 1 << 22).expect("read").len(), 1 << 22);
    }
}

#[test]
fn a_huge_window_is_refused_before_it_is_allocated() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder");
    encoder.window_log(27).expect("set");
    encoder.write_all(&[1; 100]).expect("written");
    assert_eq!(code(inflate(Encoding::Zstd, &encoder.finish().expect("finished"), 1000)), "encoding-invalid");
}

#[test]
fn what_is_not_compressed_as_it_says_is_refused() {
    let whole = gzip(b"some text that is long enough to be cut");
    for encoding in [Encoding::Gzip, Encoding::Zstd] {
        assert_eq!(code(inflate(encoding, b"{\"metrics\":{}}", 100)), "encoding-invalid");
    }
    assert_eq!(code(inflate(Encoding::Gzip, &whole[..whole.len() - 3], 100)), "encoding-invalid");
    assert_eq!(Encoding::from_header(Some("br")).expect_err("refused").code(), "encoding-unsupported");
}
