//! Pages of one column after the other: header, compression, and the indexes that name them.

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder};
use parquet::file::page_index::offset_index::OffsetIndexMetaData;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use crate::block::varint;

/// Level of zstd: higher ones cost several times the time for a few percent.
const LEVEL: i32 = 1;
/// Of 32 parts, how many compression has to save: less is not worth the reader's time.
const SAVED_MIN_OF_32: usize = 1;

/// Pages, as they stand in the file from its first byte on, and what the footer says of them.
pub struct Pages {
    /// The file so far.
    pub file: Vec<u8>,
    /// The body of the page that is being made.
    pub body: Vec<u8>,
    pub columns: Vec<ColumnChunkMetaData>,
    pub indexes: Vec<OffsetIndexMetaData>,
    /// Cells, levels included, before they were compressed.
    pub bytes_uncompressed: i64,
    zstd: Compressor<'static>,
    compressed: Vec<u8>,
    chunk: Chunk,
}

/// The column that is being written.
struct Chunk {
    start: usize,
    is_compressed: bool,
    bytes_uncompressed: i64,
    rows: i64,
    dictionary_at: Option<i64>,
    data_at: Option<i64>,
    encodings: Vec<Encoding>,
    index: OffsetIndexBuilder,
}

impl Chunk {
    fn new(start: usize, is_compressed: bool) -> Self {
        Self {
            start,
            is_compressed,
            bytes_uncompressed: 0,
            rows: 0,
            dictionary_at: None,
            data_at: None,
            encodings: vec![Encoding::RLE],
            index: OffsetIndexBuilder::new(),
        }
    }
}

/// What a page is, for its header.
enum Kind {
    Dictionary,
    Data,
}

impl Pages {
    pub fn new() -> Result<Self, ParquetError> {
        Ok(Self {
            file: Vec::new(),
            body: Vec::new(),
            columns: Vec::new(),
            indexes: Vec::new(),
            bytes_uncompressed: 0,
            zstd: Compressor::new(LEVEL).map_err(external)?,
            compressed: Vec::new(),
            chunk: Chunk::new(0, false),
        })
    }

    /// Forgets the last file and keeps the memory.
    pub fn clear(&mut self) {
        self.file.clear();
        self.body.clear();
        self.columns.clear();
        self.indexes.clear();
        self.bytes_uncompressed = 0;
    }

    /// Bytes that the body of a page takes when it is compressed, and whether that saves enough.
    pub fn try_compress(&mut self) -> Result<(usize, bool), ParquetError> {
        self.compress()?;
        let (before, after) = (self.body.len(), self.compressed.len());
        Ok((after, after + before * SAVED_MIN_OF_32 / 32 < before))
    }

    /// Begins a column, whose pages are all compressed or all not.
    pub fn begin(&mut self, is_compressed: bool) {
        self.chunk = Chunk::new(self.file.len(), is_compressed);
    }

    /// Adds the body as the dictionary.
    pub fn put_dictionary(&mut self, values: usize) -> Result<(), ParquetError> {
        let at = self.put(Kind::Dictionary, values, Encoding::PLAIN)?;
        self.chunk.dictionary_at = Some(at);
        Ok(())
    }

    /// Adds the body as a page of rows.
    pub fn put_rows(&mut self, rows: usize, encoding: Encoding) -> Result<(), ParquetError> {
        let at = self.put(Kind::Data, rows, encoding)?;
        self.chunk.data_at.get_or_insert(at);
        self.chunk.rows += rows as i64;
        self.chunk.index.append_row_count(rows as i64);
        self.chunk.index.append_offset_and_size(at, (self.file.len() as i64 - at) as i32);
        Ok(())
    }

    /// Ends the column.
    pub fn end(&mut self, column: ColumnDescPtr, statistics: Statistics) -> Result<(), ParquetError> {
        let chunk = std::mem::replace(&mut self.chunk, Chunk::new(0, false));
        self.bytes_uncompressed += chunk.bytes_uncompressed;
        let codec =
            if chunk.is_compressed { Compression::ZSTD(ZstdLevel::try_new(LEVEL)?) } else { Compression::UNCOMPRESSED };
        let metadata = ColumnChunkMetaData::builder(column)
            .set_compression(codec)
            .set_encodings(chunk.encodings)
            .set_total_compressed_size((self.file.len() - chunk.start) as i64)
            .set_total_uncompressed_size(chunk.bytes_uncompressed)
            .set_num_values(chunk.rows)
            .set_dictionary_page_offset(chunk.dictionary_at)
            .set_data_page_offset(chunk.data_at.unwrap_or(0))
            .set_statistics(statistics);
        self.columns.push(metadata.build()?);
        self.indexes.push(chunk.index.build());
        Ok(())
    }

    /// Adds the body as a page and empties it; returns the page's place.
    fn put(&mut self, kind: Kind, values: usize, encoding: Encoding) -> Result<i64, ParquetError> {
        if self.chunk.is_compressed {
            self.compress()?;
        }
        let bytes = if self.chunk.is_compressed { &self.compressed } else { &self.body };
        let at = self.file.len();
        put_header(&mut self.file, &kind, self.body.len(), bytes.len(), values, encoding);
        let header = self.file.len() - at;
        self.file.extend_from_slice(bytes);
        self.chunk.bytes_uncompressed += (header + self.body.len()) as i64;
        if !self.chunk.encodings.contains(&encoding) {
            self.chunk.encodings.push(encoding);
        }
        self.body.clear();
        Ok(at as i64)
    }

    fn compress(&mut self) -> Result<(), ParquetError> {
        self.compressed.clear();
        self.compressed.reserve(zstd::zstd_safe::compress_bound(self.body.len()));
        self.zstd.compress_to_buffer(&self.body, &mut self.compressed).map_err(external)?;
        Ok(())
    }
}

fn external(error: std::io::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

/// A `PageHeader` of parquet.thrift in the compact protocol: fields are a byte of (step of the id << 4 | type) and the
/// value, here a zigzag varint (type 5) or a struct (type 12); a zero byte ends a struct.
fn put_header(out: &mut Vec<u8>, kind: &Kind, before: usize, after: usize, values: usize, encoding: Encoding) {
    const I32: u8 = 5;
    const STRUCT: u8 = 12;
    let field = |out: &mut Vec<u8>, step: u8, value: usize| {
        out.push(step << 4 | I32);
        varint::put_zigzag(out, value as i64);
    };
    let (page_type, header_id) = match kind {
        Kind::Data => (0, 5),
        Kind::Dictionary => (2, 7),
    };
    field(out, 1, page_type);
    field(out, 1, before);
    field(out, 1, after);
    out.push((header_id - 3) << 4 | STRUCT);
    field(out, 1, values);
    field(out, 1, encoding as usize);
    if matches!(kind, Kind::Data) {
        // Definition and repetition levels.
        field(out, 1, Encoding::RLE as usize);
        field(out, 1, Encoding::RLE as usize);
    }
    out.extend([0, 0]);
}
