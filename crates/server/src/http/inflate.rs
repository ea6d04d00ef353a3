//! Decompression of request bodies, capped: a bomb stops at a limit that has nothing to do with its own size.

use std::io::{self, Read};

use axum::http::StatusCode;

use crate::http::problem::Problem;

#[cfg(test)]
mod tests;

/// How a body is compressed (`Content-Encoding`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

/// The largest zstd window that is accepted (8 MiB, what RFC 9659 asks of HTTP): a frame header alone could ask for gigabytes.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

impl Encoding {
    /// The encoding that a header names; an absent or empty one is `identity`.
    pub fn from_header(value: Option<&str>) -> Result<Self, Problem> {
        match value.unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            other => {
                let detail = format!("Content-Encoding `{other}` is not supported: send gzip, zstd or none.");
                let problem = Problem::invalid("encoding-unsupported", detail);
                Err(problem.status(StatusCode::UNSUPPORTED_MEDIA_TYPE))
            }
        }
    }
}

/// Decompresses a body of at most `bytes_max` bytes. All members of a gzip file and all frames of zstd are read.
pub fn inflate(encoding: Encoding, body: &[u8], bytes_max: usize) -> Result<Vec<u8>, Problem> {
    let read = match encoding {
        Encoding::Identity => read_capped(body, bytes_max),
        Encoding::Gzip => read_capped(flate2::read::MultiGzDecoder::new(body), bytes_max),
        Encoding::Zstd => zstd::stream::read::Decoder::new(body).and_then(|mut decoder| {
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            read_capped(decoder, bytes_max)
        }),
    };
    match read {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => {
            let detail = format!("The body is larger than {bytes_max} bytes after decompression. Send it in parts.");
            Err(Problem::invalid("body-too-large", detail).status(StatusCode::PAYLOAD_TOO_LARGE))
        }
        Err(error) => {
            let detail = format!("The body is not valid {encoding:?} data as Content-Encoding says: {error}.");
            Err(Problem::invalid("encoding-invalid", detail))
        }
    }
}

/// Everything from `reader`, or `None` if it is more than `bytes_max`. Memory grows with what was really read.
fn read_capped(reader: impl Read, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= bytes_max).then_some(bytes))
}
