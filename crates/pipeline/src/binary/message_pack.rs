//! The items of MessagePack.

use rmp::Marker;

use super::{Item, Items};
use crate::draft::{Failure, Scalar};

/// A position in a MessagePack payload.
pub struct MessagePack<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> MessagePack<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Failure> {
        let rest = &self.bytes[self.at..];
        let Some(taken) = rest.get(..len) else {
            let what = format!("{len} bytes should follow, {} are left", rest.len());
            return Err(Failure::not_well_formed(self.at, what));
        };
        self.at += len;
        Ok(taken)
    }

    /// A big-endian number of so many bytes.
    fn number(&mut self, bytes: usize) -> Result<u64, Failure> {
        Ok(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn unsigned(&mut self, bytes: usize) -> Result<Item<'a>, Failure> {
        Ok(integer(self.number(bytes)? as i128))
    }

    fn signed(&mut self, bytes: usize) -> Result<Item<'a>, Failure> {
        let unused = 64 - 8 * bytes as u32;
        Ok(integer(((self.number(bytes)? << unused) as i64 >> unused).into()))
    }

    fn text(&mut self, len: u64) -> Result<Item<'a>, Failure> {
        let start = self.at;
        let text = self.take(len as usize)?;
        match std::str::from_utf8(text) {
            Ok(text) => Ok(Item::Scalar(Scalar::Text(text.as_bytes()))),
            Err(_) => Err(Failure::not_well_formed(start, "a string that is not UTF-8")),
        }
    }

    fn extension(&mut self, len: u64) -> Result<Item<'a>, Failure> {
        self.take(1 + len as usize)?;
        Ok(Item::Scalar(Scalar::Extension))
    }
}

fn integer(value: i128) -> Item<'static> {
    Item::Scalar(Scalar::Integer { negative: value < 0, magnitude: value.unsigned_abs() as u64 })
}

impl<'a> Items<'a> for MessagePack<'a> {
    fn next<'b>(&mut self, _scratch: &'b mut Vec<u8>) -> Result<Item<'b>, Failure>
    where
        'a: 'b,
    {
        let start = self.at;
        Ok(match Marker::from_u8(self.take(1)?[0]) {
            Marker::FixPos(value) => integer(value.into()),
            Marker::FixNeg(value) => integer(value.into()),
            Marker::U8 => self.unsigned(1)?,
            Marker::U16 => self.unsigned(2)?,
            Marker::U32 => self.unsigned(4)?,
            Marker::U64 => self.unsigned(8)?,
            Marker::I8 => self.signed(1)?,
            Marker::I16 => self.signed(2)?,
            Marker::I32 => self.signed(4)?,
            Marker::I64 => self.signed(8)?,
            Marker::F32 => Item::Scalar(Scalar::Float(f32::from_bits(self.number(4)? as u32).into())),
            Marker::F64 => Item::Scalar(Scalar::Float(f64::from_bits(self.number(8)?))),
            Marker::Null => Item::Scalar(Scalar::Null),
            Marker::True => Item::Scalar(Scalar::Bool(true)),
            Marker::False => Item::Scalar(Scalar::Bool(false)),
            Marker::FixStr(len) => self.text(len.into())?,
            marker @ (Marker::Str8 | Marker::Str16 | Marker::Str32) => {
                let len = self.number(1 << (marker.to_u8() - Marker::Str8.to_u8()))?;
                self.text(len)?
            }
            marker @ (Marker::Bin8 | Marker::Bin16 | Marker::Bin32) => {
                let len = self.number(1 << (marker.to_u8() - Marker::Bin8.to_u8()))?;
                Item::Bytes(self.take(len as usize)?)
            }
            Marker::FixArray(len) => Item::Array(Some(len.into())),
            Marker::Array16 => Item::Array(Some(self.number(2)? as usize)),
            Marker::Array32 => Item::Array(Some(self.number(4)? as usize)),
            Marker::FixMap(len) => Item::Map(Some(len.into())),
            Marker::Map16 => Item::Map(Some(self.number(2)? as usize)),
            Marker::Map32 => Item::Map(Some(self.number(4)? as usize)),
            marker @ (Marker::FixExt1 | Marker::FixExt2 | Marker::FixExt4 | Marker::FixExt8 | Marker::FixExt16) => {
                self.extension(1 << (marker.to_u8() - Marker::FixExt1.to_u8()))?
            }
            marker @ (Marker::Ext8 | Marker::Ext16 | Marker::Ext32) => {
                let len = self.number(1 << (marker.to_u8() - Marker::Ext8.to_u8()))?;
                self.extension(len)?
            }
            Marker::Reserved => return Err(Failure::not_well_formed(start, "byte 0xc1, which MessagePack never uses")),
        })
    }

    fn take_break(&mut self) -> bool {
        false
    }

    fn at(&self) -> usize {
        self.at
    }

    fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}
