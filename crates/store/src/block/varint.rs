//! LEB128 numbers.

use model::wire::{Reader, Short};

pub fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put(out, ((value << 1) ^ (value >> 63)) as u64);
}

pub fn take(reader: &mut Reader<'_>) -> Result<u64, Short> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = reader.u8()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Short)
}

pub fn take_zigzag(reader: &mut Reader<'_>) -> Result<i64, Short> {
    take(reader).map(|value| (value >> 1) as i64 ^ -((value & 1) as i64))
}
