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

    #[inline]
    fn take(&mut self, len: usize) -> Result<&'a [u8], Failure> {
        match self.bytes[self.at..].get(..len) {
            Some(taken) => {
                self.at += len;
                Ok(taken)
            }
            None => Err(self.ends_early(len)),
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Failure> {
        match self.bytes[self.at..].first_chunk::<N>() {
            Some(taken) => {
                self.at += N;
                Ok(*taken)
            }
            None => Err(self.ends_early(N)),
        }
    }

    #[cold]
    fn ends_early(&self, len: usize) -> Failure {
        let left = self.bytes.len() - self.at;
        Failure::not_well_formed(self.at, format!("{len} bytes should follow, {left} are left"))
    }

    /// A length of 1, 2 or 4 bytes.
    fn length(&mut self, log2_width: u8) -> Result<usize, Failure> {
        Ok(match log2_width {
            0 => self.array::<1>()?[0].into(),
            1 => u16::from_be_bytes(self.array()?).into(),
            _ => u32::from_be_bytes(self.array()?) as usize,
        })
    }

    fn text(&mut self, len: usize) -> Result<Item<'a>, Failure> {
        let start = self.at;
        let text = self.take(len)?;
        if text.is_ascii() || std::str::from_utf8(text).is_ok() {
            return Ok(Item::Scalar(Scalar::Text(text)));
        }
        Err(Failure::not_well_formed(start, "a string that is not UTF-8"))
    }

    fn extension(&mut self, len: usize) -> Result<Item<'a>, Failure> {
        self.take(1 + len)?;
        Ok(Item::Scalar(Scalar::Extension))
    }
}

fn unsigned(magnitude: u64) -> Item<'static> {
    Item::Scalar(Scalar::Integer { negative: false, magnitude })
}

fn signed(value: i64) -> Item<'static> {
    Item::Scalar(Scalar::Integer { negative: value < 0, magnitude: value.unsigned_abs() })
}

impl<'a> Items<'a> for MessagePack<'a> {
    #[inline(always)]
    fn next<'b>(&mut self, _scratch: &'b mut Vec<u8>) -> Result<Item<'b>, Failure>
    where
        'a: 'b,
    {
        let start = self.at;
        Ok(match Marker::from_u8(self.array::<1>()?[0]) {
            Marker::FixPos(value) => unsigned(value.into()),
            Marker::FixNeg(value) => signed(value.into()),
            Marker::U8 => unsigned(self.array::<1>()?[0].into()),
            Marker::U16 => unsigned(u16::from_be_bytes(self.array()?).into()),
            Marker::U32 => unsigned(u32::from_be_bytes(self.array()?).into()),
            Marker::U64 => unsigned(u64::from_be_bytes(self.array()?)),
            Marker::I8 => signed(i8::from_be_bytes(self.array()?).into()),
            Marker::I16 => signed(i16::from_be_bytes(self.array()?).into()),
            Marker::I32 => signed(i32::from_be_bytes(self.array()?).into()),
            Marker::I64 => signed(i64::from_be_bytes(self.array()?)),
            Marker::F32 => Item::Scalar(Scalar::Float(f32::from_be_bytes(self.array()?).into())),
            Marker::F64 => Item::Scalar(Scalar::Float(f64::from_be_bytes(self.array()?))),
            Marker::Null => Item::Scalar(Scalar::Null),
            Marker::True => Item::Scalar(Scalar::Bool(true)),
            Marker::False => Item::Scalar(Scalar::Bool(false)),
            Marker::FixStr(len) => self.text(len.into())?,
            marker @ (Marker::Str8 | Marker::Str16 | Marker::Str32) => {
                let len = self.length(marker.to_u8() - Marker::Str8.to_u8())?;
                self.text(len)?
            }
            marker @ (Marker::Bin8 | Marker::Bin16 | Marker::Bin32) => {
                let len = self.length(marker.to_u8() - Marker::Bin8.to_u8())?;
                Item::Bytes(self.take(len)?)
            }
            Marker::FixArray(len) => Item::Array(Some(len.into())),
            Marker::Array16 => Item::Array(Some(self.length(1)?)),
            Marker::Array32 => Item::Array(Some(self.length(2)?)),
            Marker::FixMap(len) => Item::Map(Some(len.into())),
            Marker::Map16 => Item::Map(Some(self.length(1)?)),
            Marker::Map32 => Item::Map(Some(self.length(2)?)),
            marker @ (Marker::FixExt1 | Marker::FixExt2 | Marker::FixExt4 | Marker::FixExt8 | Marker::FixExt16) => {
                self.extension(1 << (marker.to_u8() - Marker::FixExt1.to_u8()))?
            }
            marker @ (Marker::Ext8 | Marker::Ext16 | Marker::Ext32) => {
                let len = self.length(marker.to_u8() - Marker::Ext8.to_u8())?;
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
