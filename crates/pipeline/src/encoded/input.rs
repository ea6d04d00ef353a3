//! Bytes with a position: what both encodings are made of.

use crate::draft::{Failure, Scalar};

/// What is left of a payload, or of a part of it.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, end: bytes.len() }
    }

    /// All of the payload.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    #[inline]
    pub fn at(&self) -> usize {
        self.at
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.at == self.end
    }

    pub fn left(&self) -> usize {
        self.end - self.at
    }

    #[cold]
    pub fn error(&self, what: impl Into<String>) -> Failure {
        Failure::not_well_formed(self.at, what)
    }

    #[cold]
    fn ended(&self, what: &str) -> Failure {
        self.error(format!("expected {what}, found the end"))
    }

    /// So many bytes, as a claim of the payload's.
    #[inline]
    pub fn take(&mut self, len: u64, what: &str) -> Result<&'a [u8], Failure> {
        match usize::try_from(len).ok().filter(|len| *len <= self.left()) {
            Some(len) => {
                self.at += len;
                Ok(&self.bytes[self.at - len..self.at])
            }
            None => Err(self.error(format!("{what} of {len} bytes, {} are left", self.left()))),
        }
    }

    /// The part of so many bytes that comes next; this goes on behind it.
    pub fn part(&mut self, len: u64, what: &str) -> Result<Self, Failure> {
        let start = self.at;
        self.take(len, what)?;
        Ok(Self { bytes: self.bytes, at: start, end: self.at })
    }

    #[inline]
    pub fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Failure> {
        match self.bytes[self.at..self.end].first_chunk::<N>() {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => Err(self.ended(what)),
        }
    }

    /// An integer in groups of seven bits, the lowest first: at most ten bytes, of 64 bits together.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, Failure> {
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let [byte] = self.array("an integer")?;
            if shift == 63 && byte > 1 {
                return Err(self.error("an integer of more than 64 bits"));
            }
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    /// As [`Input::varint`], with the sign in the lowest bit.
    #[inline]
    pub fn zig_zag(&mut self) -> Result<i64, Failure> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// UTF-8 of so many bytes.
    #[inline]
    pub fn text(&mut self, len: u64) -> Result<&'a [u8], Failure> {
        let start = self.at;
        let text = self.take(len, "a string")?;
        if text.is_ascii() || std::str::from_utf8(text).is_ok() {
            return Ok(text);
        }
        Err(Failure::not_well_formed(start, "a string that is not UTF-8"))
    }
}

/// A signed integer as every format gives it.
#[inline]
pub fn integer(value: i64) -> Scalar<'static> {
    Scalar::Integer { negative: value < 0, magnitude: value.unsigned_abs() }
}
