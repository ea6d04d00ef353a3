//! The items of CBOR (RFC 8949).

use minicbor::Decoder;
use minicbor::data::Type;

use super::{Item, Items};
use crate::draft::{Failure, Scalar};

/// A position in a CBOR payload.
pub struct Cbor<'a> {
    decoder: Decoder<'a>,
}

impl<'a> Cbor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { decoder: Decoder::new(bytes) }
    }

    fn item<'b>(&mut self, scratch: &'b mut Vec<u8>) -> Result<Item<'b>, minicbor::decode::Error>
    where
        'a: 'b,
    {
        let decoder = &mut self.decoder;
        Ok(match decoder.datatype()? {
            Type::U8 | Type::U16 | Type::U32 | Type::U64 => {
                Item::Scalar(Scalar::Integer { negative: false, magnitude: decoder.u64()? })
            }
            Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => Item::Scalar(negative(decoder.int()?.into())),
            Type::F16 => Item::Scalar(Scalar::Float(decoder.f16()?.into())),
            Type::F32 => Item::Scalar(Scalar::Float(decoder.f32()?.into())),
            Type::F64 => Item::Scalar(Scalar::Float(decoder.f64()?)),
            Type::Bool => Item::Scalar(Scalar::Bool(decoder.bool()?)),
            Type::Null => decoder.null().map(|()| Item::Scalar(Scalar::Null))?,
            Type::Undefined => decoder.undefined().map(|()| Item::Scalar(Scalar::Null))?,
            Type::Simple => decoder.simple().map(|_| Item::Scalar(Scalar::Extension))?,
            Type::String => Item::Scalar(Scalar::Text(decoder.str()?.as_bytes())),
            Type::StringIndef => {
                scratch.clear();
                for piece in decoder.str_iter()? {
                    scratch.extend_from_slice(piece?.as_bytes());
                }
                Item::Scalar(Scalar::Text(scratch))
            }
            Type::Bytes => Item::Bytes(decoder.bytes()?),
            Type::BytesIndef => {
                scratch.clear();
                for piece in decoder.bytes_iter()? {
                    scratch.extend_from_slice(piece?);
                }
                Item::Bytes(scratch)
            }
            Type::Array | Type::ArrayIndef => Item::Array(decoder.array()?.map(saturate)),
            Type::Map | Type::MapIndef => Item::Map(decoder.map()?.map(saturate)),
            Type::Tag => Item::Tag(decoder.tag()?.as_u64()),
            Type::Break => {
                decoder.set_position(decoder.position() + 1);
                Item::Break
            }
            Type::Unknown(byte) => {
                return Err(minicbor::decode::Error::message(format!("byte 0x{byte:02x}, which CBOR never uses")));
            }
        })
    }
}

/// A count that no payload reaches stays one that no payload reaches.
fn saturate(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

fn negative(value: i128) -> Scalar<'static> {
    match u64::try_from(value.unsigned_abs()) {
        Ok(magnitude) => Scalar::Integer { negative: true, magnitude },
        // −2^64, the only one that is left.
        Err(_) => Scalar::Float(value as f64),
    }
}

impl<'a> Items<'a> for Cbor<'a> {
    #[inline(always)]
    fn next<'b>(&mut self, scratch: &'b mut Vec<u8>) -> Result<Item<'b>, Failure>
    where
        'a: 'b,
    {
        let start = self.decoder.position();
        self.item(scratch).map_err(|error| Failure::not_well_formed(start, error.to_string()))
    }

    fn take_break(&mut self) -> bool {
        let is_break = matches!(self.decoder.datatype(), Ok(Type::Break));
        if is_break {
            self.decoder.set_position(self.decoder.position() + 1);
        }
        is_break
    }

    fn at(&self) -> usize {
        self.decoder.position()
    }

    fn bytes(&self) -> &'a [u8] {
        self.decoder.input()
    }
}
