//! The stored form of a row's key beside a ts that is near.
//!
//! ```text
//! key = flags u8 (1 boot, 2 seq, 4 received) | ts zigzag (less the other) | boot varint | seq varint
//!     | received zigzag (less ts)
//! ```

use model::Millis;
use model::wire::{Reader, Short, Writer};

use super::varint;
use crate::key::RowKey;

const BOOT: u8 = 1;
const SEQ: u8 = 2;
const RECEIVED: u8 = 4;

pub fn put_key(out: &mut Vec<u8>, key: RowKey, near: Millis) {
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    let apart = key.received != key.ts;
    out.u8(flag(key.boot.is_some(), BOOT) | flag(key.seq.is_some(), SEQ) | flag(apart, RECEIVED));
    varint::put_zigzag(out, key.ts.wrapping_sub(near));
    key.boot.iter().for_each(|boot| varint::put(out, u64::from(*boot)));
    key.seq.iter().for_each(|seq| varint::put(out, *seq));
    if apart {
        varint::put_zigzag(out, key.received.wrapping_sub(key.ts));
    }
}

pub fn take_key(reader: &mut Reader<'_>, near: Millis) -> Result<RowKey, Short> {
    let flags = reader.u8()?;
    let ts = near.wrapping_add(varint::take_zigzag(reader)?);
    let boot = if flags & BOOT != 0 { Some(varint::take(reader)? as u32) } else { None };
    let seq = if flags & SEQ != 0 { Some(varint::take(reader)?) } else { None };
    let received = if flags & RECEIVED != 0 { ts.wrapping_add(varint::take_zigzag(reader)?) } else { ts };
    Ok(RowKey { ts, boot, seq, received })
}
