//! A page's header: a `PageHeader` of parquet.thrift in the compact protocol
//! (<https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>).

use model::wire::{Reader, Short};

use super::Undecoded;
use crate::block::varint;

/// Structs within structs, as far as they are skipped.
const DEPTH_MAX: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Data,
    Dictionary,
}

/// What a header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub kind: Kind,
    pub uncompressed: usize,
    pub compressed: usize,
    /// Absent ones included.
    pub values: usize,
    pub encoding: i32,
}

const I32: u8 = 5;
const STRUCT: u8 = 12;

impl Header {
    /// The header, and what follows it.
    pub fn take(bytes: &[u8]) -> Result<(Self, &[u8]), Undecoded> {
        let mut reader = Reader(bytes);
        let (mut sizes, mut kind, mut values, mut encoding) = ([None; 2], None, None, None);
        let mut id = 0;
        while let Some(kind_of_field) = field(&mut reader, &mut id)? {
            match (id, kind_of_field) {
                (1, I32) => {
                    kind = match varint::take_zigzag(&mut reader)? {
                        0 => Some(Kind::Data),
                        2 => Some(Kind::Dictionary),
                        _ => return Err(Undecoded::Unknown),
                    }
                }
                (2 | 3, I32) => sizes[id as usize - 2] = Some(size(&mut reader)?),
                (5 | 7, STRUCT) => {
                    let mut id = 0;
                    while let Some(kind) = field(&mut reader, &mut id)? {
                        match (id, kind) {
                            (1, I32) => values = Some(size(&mut reader)?),
                            (2, I32) => encoding = i32::try_from(varint::take_zigzag(&mut reader)?).ok(),
                            _ => skip(&mut reader, kind, DEPTH_MAX)?,
                        }
                    }
                }
                (_, kind) => skip(&mut reader, kind, DEPTH_MAX)?,
            }
        }
        let header = || {
            let [uncompressed, compressed] = [sizes[0]?, sizes[1]?];
            Some(Self { kind: kind?, uncompressed, compressed, values: values?, encoding: encoding? })
        };
        Ok((header().ok_or(Undecoded::Damaged)?, reader.0))
    }
}

fn size(reader: &mut Reader<'_>) -> Result<usize, Short> {
    usize::try_from(varint::take_zigzag(reader)?).map_err(|_| Short)
}

/// The type of the next field, whose id is the last one's and a step; `None` at the end of the struct.
fn field(reader: &mut Reader<'_>, id: &mut i64) -> Result<Option<u8>, Short> {
    let byte = reader.u8()?;
    if byte == 0 {
        return Ok(None);
    }
    match byte >> 4 {
        0 => *id = varint::take_zigzag(reader)?,
        step => *id += i64::from(step),
    }
    Ok(Some(byte & 15))
}

fn skip(reader: &mut Reader<'_>, kind: u8, depth: usize) -> Result<(), Undecoded> {
    let depth = depth.checked_sub(1).ok_or(Undecoded::Unknown)?;
    match kind {
        // Booleans stand in the type.
        1 | 2 => {}
        3 => {
            reader.u8()?;
        }
        4..=6 => {
            varint::take(reader)?;
        }
        7 => {
            reader.u64()?;
        }
        8 => {
            let len = varint::take(reader)? as usize;
            reader.take(len)?;
        }
        STRUCT => {
            let mut id = 0;
            while let Some(kind) = field(reader, &mut id)? {
                skip(reader, kind, depth)?;
            }
        }
        _ => return Err(Undecoded::Unknown),
    }
    Ok(())
}
