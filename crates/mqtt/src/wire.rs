//! The primitive types of the wire (MQTT 5.0 section 1.5): big-endian integers, variable byte integers, texts and
//! binary data with a two-byte length.

use crate::error::Error;
use crate::text;

/// The largest variable byte integer: four bytes of seven bits.
pub const VARIABLE_MAX: u32 = 268_435_455;

/// Takes values from the front of a packet's bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(SHORT)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*head)
    }

    pub fn u8(&mut self) -> Result<u8, Error> {
        Ok(self.array::<1>()?[0])
    }

    pub fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    pub fn variable(&mut self) -> Result<u32, Error> {
        match variable(self.0)? {
            Some((value, len)) => {
                self.0 = &self.0[len..];
                Ok(value)
            }
            None => Err(SHORT),
        }
    }

    pub fn binary(&mut self) -> Result<&'a [u8], Error> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// A text under the rules of [`text::check`].
    pub fn text(&mut self) -> Result<&'a str, Error> {
        text::check(self.binary()?).ok_or(Error::Malformed("text is not UTF-8 or has a character that is not allowed"))
    }

    /// The packet ends here.
    pub fn end(self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Malformed("bytes behind the end of the packet's content")) }
    }
}

const SHORT: Error = Error::Malformed("the packet ends before its content does");

/// Reads a variable byte integer from the front: value and length. `None` if the bytes end before it does.
pub(crate) fn variable(bytes: &[u8]) -> Result<Option<(u32, usize)>, Error> {
    let mut value = 0;
    for (at, &byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            if byte == 0 && at > 0 {
                return Err(Error::Malformed("variable byte integer is longer than needed"));
            }
            return Ok(Some((value, at + 1)));
        }
    }
    if bytes.len() < 4 { Ok(None) } else { Err(Error::Malformed("variable byte integer has more than four bytes")) }
}

/// `value` as a variable byte integer: its bytes and how many of them count. The caller has kept it within
/// [`VARIABLE_MAX`].
pub(crate) fn variable_bytes(mut value: u32) -> ([u8; 4], usize) {
    debug_assert!(value <= VARIABLE_MAX);
    let mut bytes = [0; 4];
    let mut len = 0;
    while value >= 0x80 && len < 3 {
        bytes[len] = value as u8 | 0x80;
        value >>= 7;
        len += 1;
    }
    bytes[len] = value as u8 & 0x7F;
    (bytes, len + 1)
}

/// Appends a variable byte integer, within [`VARIABLE_MAX`].
pub(crate) fn put_variable(out: &mut Vec<u8>, value: u32) {
    let (bytes, len) = variable_bytes(value);
    out.extend_from_slice(&bytes[..len]);
}

pub(crate) fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(crate) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends binary data or a text with its two-byte length; what exceeds it is cut. Callers hold texts within limits.
pub(crate) fn put_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = bytes.len().min(usize::from(u16::MAX));
    debug_assert_eq!(len, bytes.len());
    put_u16(out, len as u16);
    out.extend_from_slice(&bytes[..len]);
}
