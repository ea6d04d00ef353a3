//! Pages of numbers → cells, by a decoder of our own: a query for one device reads one page of each column of each block,
//! and the `parquet` crate's readers spend most of that time on making themselves (a compression context for each
//! column). Whatever this decoder does not know, they read.

use std::ops::Range;
use std::sync::Mutex;

use model::wire::Short;
use parquet::basic::{Compression, Encoding, Type as PhysicalType};
use zstd::bulk::Decompressor;

use crate::sorted::{Optional, Present};

mod delta;
mod header;
mod hybrid;
#[cfg(test)]
mod tests;

use header::{Header, Kind};

/// More than any page of ours takes: what a header says is not trusted with memory.
const PAGE_BYTES_MAX: usize = 64 << 20;
/// Decoders that are kept for the next query.
const SPARE_MAX: usize = 16;

/// Why a page could not be decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Undecoded {
    /// It is laid out in a way that this decoder does not know.
    Unknown,
    /// It is not what its header says.
    Damaged,
}

impl From<Short> for Undecoded {
    fn from(_: Short) -> Self {
        Self::Damaged
    }
}

/// Decoders between two uses: a compression context is dear to make.
#[derive(Default)]
pub struct Decoders(Mutex<Vec<Decoder>>);

impl Decoders {
    pub fn take(&self) -> Decoder {
        self.0.lock().expect("no holder of this lock panics").pop().unwrap_or_default()
    }

    pub fn give_back(&self, decoder: Decoder) {
        let mut spare = self.0.lock().expect("no holder of this lock panics");
        if spare.len() < SPARE_MAX {
            spare.push(decoder);
        }
    }
}

/// Decodes pages of one column after the other.
#[derive(Default)]
pub struct Decoder {
    zstd: Option<Decompressor<'static>>,
    body: Vec<u8>,
    dictionary: Vec<u64>,
    levels: Vec<u32>,
    numbers: Vec<u32>,
}

/// How a column is stored.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    pub physical: PhysicalType,
    pub compression: Compression,
    /// Whether cells may be absent.
    pub optional: bool,
}

/// Cells of rows, gathered page by page.
#[derive(Default)]
pub struct Cells {
    values: Vec<u64>,
    /// Rows with a cell, as soon as one has none.
    present: Option<Vec<u32>>,
    rows: usize,
}

impl Cells {
    pub fn with_capacity(rows: usize) -> Self {
        Self { values: Vec::with_capacity(rows), present: None, rows: 0 }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn finish(self) -> Optional {
        let present = self.present.filter(|present| present.len() < self.rows);
        let present = present.map_or(Present::All, Present::Rows);
        Optional { present, values: self.values }
    }

    /// Rows of which each has a cell follow.
    fn add_all(&mut self, rows: usize) {
        if let Some(present) = &mut self.present {
            present.extend(self.rows as u32..(self.rows + rows) as u32);
        }
        self.rows += rows;
    }

    /// Rows follow of which those with level 1 have a cell.
    fn add_levels(&mut self, levels: &[u32]) {
        let before = self.rows as u32;
        let present = self.present.get_or_insert_with(|| (0..before).collect());
        let rows = (before..).zip(levels).filter(|(_, level)| **level == 1);
        present.extend(rows.map(|(row, _)| row));
        self.rows += levels.len();
    }
}

impl Decoder {
    /// Takes in the page with the dictionary; it stands alone in `bytes`.
    pub fn dictionary(&mut self, bytes: &[u8], of: Stored) -> Result<(), Undecoded> {
        self.dictionary.clear();
        let (header, rest) = Header::take(bytes)?;
        if header.kind != Kind::Dictionary || header.encoding != Encoding::PLAIN as i32 {
            return Err(Undecoded::Unknown);
        }
        let Self { zstd, body, dictionary, .. } = self;
        let page = decompress(zstd, body, rest, &header, of.compression)?;
        plain(page, of.physical, 0..header.values, dictionary)
    }

    /// Adds the cells of these rows, counted from the page's first one. Returns what follows the page.
    pub fn page<'a>(
        &mut self,
        bytes: &'a [u8],
        of: Stored,
        rows: Range<usize>,
        out: &mut Cells,
    ) -> Result<&'a [u8], Undecoded> {
        let (header, rest) = Header::take(bytes)?;
        if header.kind != Kind::Data || rows.end > header.values {
            return Err(Undecoded::Unknown);
        }
        let Self { zstd, body, dictionary, levels, numbers } = self;
        let mut page = decompress(zstd, body, rest, &header, of.compression)?;
        let mut wanted = rows.clone();
        let mut present = header.values;
        if of.optional {
            let (length, others) = page.split_first_chunk::<4>().ok_or(Undecoded::Damaged)?;
            let (encoded, others) =
                others.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or(Undecoded::Damaged)?;
            page = others;
            if hybrid::is_run(encoded, 1, header.values, 1) {
                out.add_all(rows.len());
            } else {
                levels.clear();
                hybrid::decode(encoded, 1, 0..header.values, levels)?;
                let count = |levels: &[u32]| levels.iter().map(|level| *level as usize).sum::<usize>();
                present = count(levels);
                let before = count(&levels[..rows.start]);
                wanted = before..before + count(&levels[rows.clone()]);
                out.add_levels(&levels[rows]);
            }
        } else {
            out.add_all(rows.len());
        }
        let before = out.values.len();
        let expected = before + wanted.len();
        values(page, &header, of, (wanted, present), (dictionary, numbers), &mut out.values)?;
        if out.values.len() != expected {
            return Err(Undecoded::Damaged);
        }
        rest.get(header.compressed..).ok_or(Undecoded::Damaged)
    }
}

/// Adds the cells `wanted` of the `present` ones of a page.
fn values(
    page: &[u8],
    header: &Header,
    of: Stored,
    (wanted, present): (Range<usize>, usize),
    (dictionary, numbers): (&[u64], &mut Vec<u32>),
    out: &mut Vec<u64>,
) -> Result<(), Undecoded> {
    const PLAIN: i32 = Encoding::PLAIN as i32;
    const DICTIONARY: i32 = Encoding::RLE_DICTIONARY as i32;
    const OLD_DICTIONARY: i32 = 2;
    const DELTA: i32 = Encoding::DELTA_BINARY_PACKED as i32;
    const STREAMS: i32 = Encoding::BYTE_STREAM_SPLIT as i32;
    match (header.encoding, of.physical) {
        (PLAIN, physical) => plain(page, physical, wanted, out),
        (DICTIONARY | OLD_DICTIONARY, _) => {
            let (width, packed) = page.split_first().ok_or(Undecoded::Damaged)?;
            numbers.clear();
            hybrid::decode(packed, u32::from(*width), wanted, numbers)?;
            let Some(last) = numbers.iter().max() else { return Ok(()) };
            if *last as usize >= dictionary.len() {
                return Err(Undecoded::Damaged);
            }
            out.extend(numbers.iter().map(|number| dictionary[*number as usize]));
            Ok(())
        }
        (DELTA, PhysicalType::INT64) => Ok(delta::decode(page, wanted, out)?),
        (STREAMS, PhysicalType::DOUBLE) => {
            let streams = page.get(..8 * present).ok_or(Undecoded::Damaged)?;
            let start = out.len();
            out.resize(start + wanted.len(), 0);
            for (byte, stream) in streams.chunks_exact(present.max(1)).enumerate() {
                let bytes = &stream[wanted.clone()];
                out[start..].iter_mut().zip(bytes).for_each(|(word, part)| *word |= u64::from(*part) << (8 * byte));
            }
            Ok(())
        }
        _ => Err(Undecoded::Unknown),
    }
}

fn plain(page: &[u8], physical: PhysicalType, wanted: Range<usize>, out: &mut Vec<u64>) -> Result<(), Undecoded> {
    let part = |size: usize| page.get(wanted.start * size..wanted.end * size).ok_or(Undecoded::Damaged);
    match physical {
        PhysicalType::INT64 | PhysicalType::DOUBLE => {
            out.extend(part(8)?.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)));
        }
        PhysicalType::INT32 => {
            out.extend(part(4)?.as_chunks::<4>().0.iter().map(|word| u64::from(u32::from_le_bytes(*word))));
        }
        PhysicalType::BOOLEAN => {
            if wanted.end > page.len() * 8 {
                return Err(Undecoded::Damaged);
            }
            out.extend(wanted.map(|at| u64::from(page[at / 8] >> (at % 8) & 1)));
        }
        _ => return Err(Undecoded::Unknown),
    }
    Ok(())
}

/// The page's body.
fn decompress<'a>(
    zstd: &mut Option<Decompressor<'static>>,
    body: &'a mut Vec<u8>,
    bytes: &'a [u8],
    header: &Header,
    compression: Compression,
) -> Result<&'a [u8], Undecoded> {
    let bytes = bytes.get(..header.compressed).ok_or(Undecoded::Damaged)?;
    match compression {
        Compression::UNCOMPRESSED => Ok(bytes),
        Compression::ZSTD(_) => {
            if header.uncompressed > PAGE_BYTES_MAX {
                return Err(Undecoded::Unknown);
            }
            if zstd.is_none() {
                *zstd = Some(Decompressor::new().map_err(|_| Undecoded::Unknown)?);
            }
            let zstd = zstd.as_mut().expect("it was just made");
            body.clear();
            body.reserve(header.uncompressed);
            let len = zstd.decompress_to_buffer(bytes, body).map_err(|_| Undecoded::Damaged)?;
            if len == header.uncompressed { Ok(body) } else { Err(Undecoded::Damaged) }
        }
        _ => Err(Undecoded::Unknown),
    }
}
