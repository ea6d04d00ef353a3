//! Strings of JSON: reading with every check, and writing.

use crate::draft::Failure;

#[cfg(test)]
mod tests;

/// The text of the string that begins with the quote at `start`, and the position behind its closing quote. A string
/// with escapes is put together in `scratch`; any other one stays where it is. The text is UTF-8.
pub fn read<'b>(bytes: &'b [u8], start: usize, scratch: &'b mut Vec<u8>) -> Result<(&'b [u8], usize), Failure> {
    let first = start + 1;
    let at = plain(bytes, first);
    let text = &bytes[first..at];
    match bytes.get(at) {
        Some(b'"') => {
            utf8(text, first)?;
            Ok((text, at + 1))
        }
        Some(b'\\') => {
            scratch.clear();
            scratch.extend_from_slice(text);
            let behind = escaped(bytes, at, scratch)?;
            utf8(scratch, first)?;
            Ok((scratch, behind))
        }
        Some(byte) => Err(control(*byte, at)),
        None => Err(unended(start)),
    }
}

/// As [`read`], for a good string without escapes; `None` for any other.
pub fn read_plain(bytes: &[u8], start: usize) -> Option<(&[u8], usize)> {
    let end = plain(bytes, start + 1);
    let text = &bytes[start + 1..end];
    let good = bytes.get(end) == Some(&b'"') && (text.is_ascii() || std::str::from_utf8(text).is_ok());
    good.then_some((text, end + 1))
}

/// The position of the first byte from `at` that ends a run of plain text: a quote, a backslash or a control character.
fn plain(bytes: &[u8], mut at: usize) -> usize {
    while let Some(eight) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes(eight.try_into().expect("eight bytes"));
        let special = special_bytes(word);
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)) {
        at += 1;
    }
    at
}

/// The top bit of each byte that is a quote, a backslash or below 0x20; bits above the lowest such byte may be wrong.
/// See Anderson, "Bit Twiddling Hacks", "Determine if a word has a byte less than n" and "equal to n".
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let quote = zero(word ^ (ONES * u64::from(b'"')));
    let backslash = zero(word ^ (ONES * u64::from(b'\\')));
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (quote | backslash | control) & TOPS
}

fn utf8(text: &[u8], first: usize) -> Result<(), Failure> {
    if text.is_ascii() || std::str::from_utf8(text).is_ok() {
        return Ok(());
    }
    Err(Failure::not_well_formed(first, "a string that is not UTF-8"))
}

fn control(byte: u8, at: usize) -> Failure {
    Failure::not_well_formed(at, format!("control character 0x{byte:02x} in a string must be escaped"))
}

fn unended(start: usize) -> Failure {
    Failure::not_well_formed(start, "a string that does not end")
}

/// Resolves the rest of a string from its first backslash and returns the position behind its closing quote.
fn escaped(bytes: &[u8], mut at: usize, scratch: &mut Vec<u8>) -> Result<usize, Failure> {
    loop {
        match bytes.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = escape(bytes, at, scratch)?,
            Some(byte @ 0..0x20) => return Err(control(*byte, at)),
            Some(_) => {
                let end = plain(bytes, at);
                scratch.extend_from_slice(&bytes[at..end]);
                at = end;
            }
            None => return Err(unended(at)),
        }
    }
}

fn escape(bytes: &[u8], at: usize, scratch: &mut Vec<u8>) -> Result<usize, Failure> {
    let byte = match bytes.get(at + 1) {
        Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
        Some(b'b') => 0x08,
        Some(b'f') => 0x0c,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'u') => return unicode(bytes, at, scratch),
        _ => return Err(Failure::not_well_formed(at, "an escape that JSON does not have")),
    };
    scratch.push(byte);
    Ok(at + 2)
}

/// `\uXXXX`, or two of them for a character beyond the basic plane (RFC 8259 section 7).
fn unicode(bytes: &[u8], at: usize, scratch: &mut Vec<u8>) -> Result<usize, Failure> {
    let unit = hex(bytes, at)?;
    let (code, behind) = match unit {
        0xd800..0xdc00 => {
            let low = if bytes.get(at + 6..at + 8) == Some(b"\\u") { hex(bytes, at + 6)? } else { 0 };
            if !(0xdc00..0xe000).contains(&low) {
                return Err(Failure::not_well_formed(at, "half of a surrogate pair"));
            }
            (0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00), at + 12)
        }
        _ => (unit, at + 6),
    };
    let Some(character) = char::from_u32(code) else {
        return Err(Failure::not_well_formed(at, "half of a surrogate pair"));
    };
    scratch.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Ok(behind)
}

/// The four hexadecimal digits of the `\u` at `at`.
fn hex(bytes: &[u8], at: usize) -> Result<u32, Failure> {
    let digits = bytes.get(at + 2..at + 6).unwrap_or_default();
    let value = digits.iter().try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?));
    match value {
        Some(value) if digits.len() == 4 => Ok(value),
        _ => Err(Failure::not_well_formed(at, "`\\u` takes four hexadecimal digits")),
    }
}

/// Appends a JSON string; `text` is UTF-8.
pub fn push_string(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
