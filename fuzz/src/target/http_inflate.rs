//! Compressed bodies.
//!
//! Holds: no panic; what comes out is never longer than the limit, and memory follows what came out, not what a header
//! promises (the fuzzer's own limit of memory).

use server::http::inflate::{Encoding, inflate};

use crate::input::Input;

pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (encoding, limit) = match input.u8() % 6 {
        0 => (Encoding::Gzip, 1 << 16),
        1 => (Encoding::Zstd, 1 << 16),
        2 => (Encoding::Identity, 1 << 10),
        3 => (Encoding::Gzip, 16),
        4 => (Encoding::Zstd, 16),
        _ => (Encoding::Zstd, 0),
    };
    if let Ok(inflated) = inflate(encoding, input.0, limit) {
        assert!(inflated.len() <= limit);
    }
}
