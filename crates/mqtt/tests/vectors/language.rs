//! The payload language of the vectors: tokens separated by spaces.
//!
//! Two-digit hex bytes · `iN` one byte · `HN` `kN` `mN` `sN` two bytes big-endian · `LN` four bytes · `vN` `rN` variable
//! byte integer, those that are too large included · `'text'` UTF-8 bytes.

/// The bytes that a payload stands for.
pub fn bytes(payload: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = payload.trim_start();
    while !rest.is_empty() {
        let token_len = if let Some(text) = rest.strip_prefix('\'') {
            2 + text.find('\'').ok_or_else(|| format!("unclosed text in `{payload}`"))?
        } else {
            rest.find(' ').unwrap_or(rest.len())
        };
        token(&rest[..token_len], &mut out).ok_or_else(|| format!("bad token `{}`", &rest[..token_len]))?;
        rest = rest[token_len..].trim_start();
    }
    Ok(out)
}

fn token(token: &str, out: &mut Vec<u8>) -> Option<()> {
    let (first, number) = token.split_at(1);
    match first {
        "'" => out.extend_from_slice(&token.as_bytes()[1..token.len() - 1]),
        "i" => out.push(number.parse().ok()?),
        "H" | "k" | "m" | "s" => out.extend_from_slice(&number.parse::<u16>().ok()?.to_be_bytes()),
        "L" => out.extend_from_slice(&number.parse::<u32>().ok()?.to_be_bytes()),
        "v" | "r" => variable(out, number.parse().ok()?),
        _ => {
            for pair in token.as_bytes().chunks(2) {
                let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
                out.push(u8::from_str_radix(pair, 16).ok()?);
            }
        }
    }
    Some(())
}

/// Appends a variable byte integer of any length.
pub fn variable(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
