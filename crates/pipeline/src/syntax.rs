//! The syntactic check that a body must pass before it is accepted over HTTP (RULES, "Acceptance").

use model::{Format, Reason};

use crate::binary::{self, Cbor, MessagePack};
use crate::json;

#[cfg(test)]
mod tests;

/// A body that is not well-formed in its format.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what} at byte {offset}")]
pub struct SyntaxError {
    /// Where in the body, in bytes from its start.
    pub offset: usize,
    /// What was found or expected there.
    pub what: String,
}

/// Checks that `body` is one object or an array of objects, and counts its messages. Nothing is said about what the
/// objects hold. Avro and Protobuf bytes count as one well-formed message, and so does what begins with a zero byte, as the
/// Confluent wire format does and no other message: only their schema can tell.
pub fn check(format: Format, body: &[u8]) -> Result<usize, SyntaxError> {
    let mut count = 0;
    elements(format, body, |_| count += 1)?;
    Ok(count)
}

/// As [`check`], and hands over each message's bytes, in order, for a caller that has to split a large array. Those
/// handed over before an error are void.
pub fn elements<'a>(format: Format, body: &'a [u8], mut each: impl FnMut(&'a [u8])) -> Result<(), SyntaxError> {
    if body.first() == Some(&0) {
        each(body);
        return Ok(());
    }
    let outcome = match format {
        Format::Json => json::elements(body, &mut each),
        Format::MessagePack => binary::elements(MessagePack::new(body), &mut each),
        Format::Cbor => binary::elements(Cbor::new(body), &mut each),
        Format::Avro | Format::Protobuf => {
            each(body);
            Ok(())
        }
    };
    outcome.map_err(|failure| {
        let lead =
            if failure.reason == Reason::NotAMessage { "expected an object or an array of objects, " } else { "" };
        SyntaxError { offset: failure.offset, what: format!("{lead}{}", failure.what) }
    })
}
