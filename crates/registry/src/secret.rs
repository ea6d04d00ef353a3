//! Tokens: what they look like, how they are made, recognised and compared.
//!
//! Text: `twd_` (device) or `twk_` (API key), 43 random characters of base 62 (256 bits), then 6 characters of base 62
//! that are the CRC32C of all before them: 53 characters. The checksum finds a typing or copying mistake before any
//! look-up. Only the SHA-256 of the whole text is ever stored; a hash without salt is enough because the text is
//! random.

use std::fmt;

use rand::Rng;
use rand::distr::Alphanumeric;
use sha2::{Digest as _, Sha256};

/// 62^43 > 2^256.
const RANDOM_CHARACTERS: usize = 43;
/// 62^6 > 2^32.
const CHECKSUM_CHARACTERS: usize = 6;
const PREFIX_CHARACTERS: usize = 4;
const TOKEN_CHARACTERS: usize = PREFIX_CHARACTERS + RANDOM_CHARACTERS + CHECKSUM_CHARACTERS;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What a token is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SecretKind {
    Device,
    Key,
}

impl SecretKind {
    /// The first four characters of its tokens.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Device => "twd_",
            Self::Key => "twk_",
        }
    }
}

/// A token in plain text, on its way to the one who asked for it. `Debug` does not show it and there is no `Display`:
/// who wants the text says [`Secret::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new random token, from the thread's cryptographic generator (ChaCha12, seeded by the operating system).
    pub fn random(kind: SecretKind) -> Self {
        let mut text = String::with_capacity(TOKEN_CHARACTERS);
        text.push_str(kind.prefix());
        text.extend(rand::rng().sample_iter(Alphanumeric).take(RANDOM_CHARACTERS).map(char::from));
        let checksum = checksum(text.as_bytes());
        text.extend(checksum.map(char::from));
        Self(text)
    }

    /// The token's text.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What is stored of a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// The digest of what a peer sent, or `None` if it cannot be a token of this kind: wrong prefix, length, alphabet
    /// or checksum. That answer depends on the text alone, so it tells nothing about what is registered.
    pub fn of_token(kind: SecretKind, text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != TOKEN_CHARACTERS || !text.starts_with(kind.prefix()) {
            return None;
        }
        let (body, sum) = bytes.split_at(TOKEN_CHARACTERS - CHECKSUM_CHARACTERS);
        let well_formed = body[PREFIX_CHARACTERS..].iter().all(u8::is_ascii_alphanumeric) && sum == checksum(body);
        well_formed.then(|| Self::of(text))
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let (high, low) = text.split_at_checked(32)?;
        let half = |text| u128::from_str_radix(text, 16).ok().filter(|_| !text.starts_with('+'));
        let mut digest = [0; 32];
        digest[..16].copy_from_slice(&half(high)?.to_be_bytes());
        digest[16..].copy_from_slice(&half(low).filter(|_| low.len() == 32)?.to_be_bytes());
        Some(Self(digest))
    }

    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// Equality in a time that does not depend on where the two differ.
    pub fn same(&self, other: &Self) -> bool {
        let difference = self.0.iter().zip(&other.0).fold(0, |seen, (a, b)| std::hint::black_box(seen | (a ^ b)));
        difference == 0
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// CRC32C (Castagnoli) in base 62, most significant digit first.
fn checksum(text: &[u8]) -> [u8; CHECKSUM_CHARACTERS] {
    let mut rest = crc32c::crc32c(text) as usize;
    let mut digits = [b'0'; CHECKSUM_CHARACTERS];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[rest % 62];
        rest /= 62;
    }
    digits
}

#[cfg(test)]
mod tests;
