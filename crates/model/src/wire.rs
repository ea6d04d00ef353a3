//! Little-endian reading and writing for the stored layouts of this crate.

/// Stored bytes ended early or name something that this version does not know.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the stored bytes are cut short or of a newer version")]
pub struct Short;

/// Appends fixed-width little-endian values; texts and blobs as length u32 and bytes.
pub trait Writer {
    fn u8(&mut self, value: u8);
    fn u16(&mut self, value: u16);
    fn u32(&mut self, value: u32);
    fn u64(&mut self, value: u64);
    fn u128(&mut self, value: u128);
    fn text(&mut self, value: &str);
    fn blob(&mut self, value: &[u8]);
}

impl Writer for Vec<u8> {
    fn u8(&mut self, value: u8) {
        self.push(value);
    }
    fn u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_le_bytes());
    }
    fn u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }
    fn u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }
    fn u128(&mut self, value: u128) {
        self.extend_from_slice(&value.to_le_bytes());
    }
    fn text(&mut self, value: &str) {
        self.blob(value.as_bytes());
    }
    fn blob(&mut self, value: &[u8]) {
        self.u32(value.len() as u32);
        self.extend_from_slice(value);
    }
}

/// Takes values from the front of stored bytes; every method fails with [`Short`] where they end early.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Short> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(Short)?;
        self.0 = rest;
        Ok(head)
    }
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Short)?;
        self.0 = rest;
        Ok(*head)
    }
    pub fn u8(&mut self) -> Result<u8, Short> {
        Ok(self.array::<1>()?[0])
    }
    pub fn u16(&mut self) -> Result<u16, Short> {
        self.array().map(u16::from_le_bytes)
    }
    pub fn u32(&mut self) -> Result<u32, Short> {
        self.array().map(u32::from_le_bytes)
    }
    pub fn u64(&mut self) -> Result<u64, Short> {
        self.array().map(u64::from_le_bytes)
    }
    pub fn u128(&mut self) -> Result<u128, Short> {
        self.array().map(u128::from_le_bytes)
    }
    pub fn blob(&mut self) -> Result<&'a [u8], Short> {
        let len = self.u32()? as usize;
        self.take(len)
    }
    pub fn text(&mut self) -> Result<&'a str, Short> {
        std::str::from_utf8(self.blob()?).map_err(|_| Short)
    }
}
