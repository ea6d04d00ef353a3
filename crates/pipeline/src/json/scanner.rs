//! The grammar of JSON over a byte slice.
//!
//! Containers are walked as `let mut more = open_…()?; while more { …; more = next_…()? }`. Between calls the scanner
//! stands on the first byte of the next token; white space is read over at once.

use model::limits::PAYLOAD_DEPTH_MAX;

use super::{number, text};
use crate::draft::{Failure, Scalar};

/// A position in a payload.
pub struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

impl<'a> Scanner<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut scanner = Self { bytes, at: 0, depth: 0 };
        scanner.space();
        scanner
    }

    /// The byte at which the scanner stands; after a value, the one behind it (and behind a container, its white
    /// space is not read over yet).
    pub fn at(&self) -> usize {
        self.at
    }

    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Goes on behind a value that was read by other means.
    pub fn go_on(&mut self, behind: usize) {
        self.at = behind;
    }

    /// The first byte of the value to come.
    pub fn peek_value(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn expected(&self, what: &str) -> Failure {
        match self.bytes.get(self.at) {
            Some(byte @ 0x21..=0x7e) => {
                Failure::not_well_formed(self.at, format!("expected {what}, found `{}`", char::from(*byte)))
            }
            Some(byte) => Failure::not_well_formed(self.at, format!("expected {what}, found byte 0x{byte:02x}")),
            None => Failure::not_well_formed(self.at, format!("expected {what}, found the end")),
        }
    }

    /// Nothing but white space follows.
    pub fn end(&mut self) -> Result<(), Failure> {
        self.space();
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.expected("the end")) }
    }

    fn open(&mut self, close: u8) -> Result<bool, Failure> {
        self.depth += 1;
        if self.depth > PAYLOAD_DEPTH_MAX {
            return Err(Failure::too_deep(self.at));
        }
        self.at += 1;
        self.space();
        if self.peek_value() == Some(close) {
            self.at += 1;
            self.depth -= 1;
            return Ok(false);
        }
        Ok(true)
    }

    /// Behind an element or member: `,` and more, or the end of the container.
    fn next(&mut self, close: u8, what: &str) -> Result<bool, Failure> {
        self.space();
        match self.peek_value() {
            Some(b',') => {
                self.at += 1;
                self.space();
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            _ => Err(self.expected(what)),
        }
    }

    /// Steps into the array that begins here; `false` if it is empty.
    pub fn open_array(&mut self) -> Result<bool, Failure> {
        self.open(b']')
    }

    pub fn next_element(&mut self) -> Result<bool, Failure> {
        self.next(b']', "`,` or `]`")
    }

    /// Steps into the object that begins here; `false` if it is empty.
    pub fn open_object(&mut self) -> Result<bool, Failure> {
        self.open(b'}')
    }

    pub fn next_member(&mut self) -> Result<bool, Failure> {
        self.next(b'}', "`,` or `}`")
    }

    /// A member's name and the colon; the value comes next. Escapes are resolved into `scratch`.
    pub fn key<'b>(&mut self, scratch: &'b mut Vec<u8>) -> Result<&'b [u8], Failure>
    where
        'a: 'b,
    {
        if self.peek_value() != Some(b'"') {
            return Err(self.expected("a name in quotes"));
        }
        let key = self.string(scratch)?;
        self.space();
        if self.peek_value() != Some(b':') {
            return Err(self.expected("`:`"));
        }
        self.at += 1;
        self.space();
        Ok(key)
    }

    fn string<'b>(&mut self, scratch: &'b mut Vec<u8>) -> Result<&'b [u8], Failure>
    where
        'a: 'b,
    {
        let (text, behind) = text::read(self.bytes, self.at, scratch)?;
        self.at = behind;
        Ok(text)
    }

    /// Any value; an object or array is read over whole and only named.
    pub fn value<'b>(&mut self, scratch: &'b mut Vec<u8>) -> Result<Scalar<'b>, Failure>
    where
        'a: 'b,
    {
        match self.peek_value() {
            Some(b'-' | b'0'..=b'9') => {
                let (number, behind) = number::read(self.bytes, self.at)?;
                self.at = behind;
                Ok(number)
            }
            Some(b'"') => Ok(Scalar::Text(self.string(scratch)?)),
            Some(b't') => self.literal(b"true", Scalar::Bool(true)),
            Some(b'f') => self.literal(b"false", Scalar::Bool(false)),
            Some(b'n') => self.literal(b"null", Scalar::Null),
            Some(first @ (b'{' | b'[')) => {
                self.skip()?;
                Ok(if first == b'{' { Scalar::Object } else { Scalar::Array })
            }
            _ => Err(self.expected("a value")),
        }
    }

    fn literal(&mut self, word: &[u8], value: Scalar<'static>) -> Result<Scalar<'static>, Failure> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.expected("a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    /// Reads over any value, checking all of it, and returns its bytes.
    pub fn skip(&mut self) -> Result<&'a [u8], Failure> {
        let start = self.at;
        self.skip_with(&mut Vec::new())?;
        Ok(&self.bytes[start..self.at])
    }

    /// Recursion is bounded by [`PAYLOAD_DEPTH_MAX`].
    fn skip_with(&mut self, scratch: &mut Vec<u8>) -> Result<(), Failure> {
        match self.peek_value() {
            Some(b'{') => {
                let mut more = self.open_object()?;
                while more {
                    self.key(scratch)?;
                    self.skip_with(scratch)?;
                    more = self.next_member()?;
                }
            }
            Some(b'[') => {
                let mut more = self.open_array()?;
                while more {
                    self.skip_with(scratch)?;
                    more = self.next_element()?;
                }
            }
            _ => {
                self.value(scratch)?;
            }
        }
        Ok(())
    }
}
