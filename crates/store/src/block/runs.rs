//! Columns that are one long run or a few, written without a look at each row: device ids, and columns in which no cell
//! is present.
//!
//! Parquet's hybrid encoding keeps a run as a varint of twice its length and then the value in as few bytes as it needs
//! (<https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE>). The pages are not compressed: ids are
//! random, and the runs of a block take a few kilobytes.

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, Type as PhysicalType};
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::encode::PAGE_ROWS;
use super::varint;
use crate::sorted::DeviceRows;

type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

/// Writes the column of device ids: a dictionary, and the runs of each device.
pub fn put_devices(group: &mut Group<'_>, column: ColumnDescPtr, devices: &[DeviceRows]) -> Result<(), ParquetError> {
    let rows = devices.last().map_or(0, |span| span.rows.end);
    let ids: Vec<u8> = devices.iter().flat_map(|span| *span.device.as_bytes()).collect();
    let mut chunk = Chunk::default();
    chunk.put(Page::DictionaryPage {
        buf: ids.into(),
        num_values: devices.len() as u32,
        encoding: Encoding::PLAIN,
        is_sorted: true,
    })?;
    let bits = usize::BITS - (devices.len() - 1).leading_zeros();
    let mut number = 0;
    for start in (0..rows).step_by(PAGE_ROWS) {
        let end = rows.min(start + PAGE_ROWS);
        let mut runs = vec![bits as u8];
        loop {
            let span = &devices[number].rows;
            put_run(&mut runs, span.end.min(end) - span.start.max(start), number, bits);
            if span.end >= end {
                number += usize::from(span.end == end);
                break;
            }
            number += 1;
        }
        chunk.put_rows(end - start, runs, Encoding::RLE_DICTIONARY)?;
    }
    let id = |span: &DeviceRows| FixedLenByteArray::from(ByteArray::from(span.device.as_bytes().to_vec()));
    let (least, greatest) = (devices.first().map(id), devices.last().map(id));
    let statistics = Statistics::fixed_len_byte_array(least, greatest, None, Some(0), false);
    chunk.close(group, column, rows, statistics)
}

/// Writes an optional column without a present cell.
pub fn put_absent(group: &mut Group<'_>, column: ColumnDescPtr, rows: usize) -> Result<(), ParquetError> {
    let mut levels = Vec::new();
    put_run(&mut levels, rows, 0, 1);
    let mut page = (levels.len() as u32).to_le_bytes().to_vec();
    page.extend_from_slice(&levels);
    let mut chunk = Chunk::default();
    chunk.put_rows(rows, page, Encoding::PLAIN)?;
    let absent = Some(rows as u64);
    let statistics = match column.physical_type() {
        PhysicalType::BOOLEAN => Statistics::boolean(None, None, None, absent, false),
        PhysicalType::INT32 => Statistics::int32(None, None, None, absent, false),
        PhysicalType::INT64 => Statistics::int64(None, None, None, absent, false),
        PhysicalType::DOUBLE => Statistics::double(None, None, None, absent, false),
        _ => Statistics::byte_array(None, None, None, absent, false),
    };
    chunk.close(group, column, rows, statistics)
}

fn put_run(out: &mut Vec<u8>, length: usize, value: usize, bits: u32) {
    varint::put(out, (length as u64) << 1);
    out.extend_from_slice(&value.to_le_bytes()[..bits.div_ceil(8) as usize]);
}

/// A column chunk whose pages are made here.
struct Chunk {
    bytes: TrackedWrite<Vec<u8>>,
    pages: OffsetIndexBuilder,
    dictionary_at: Option<u64>,
    data_at: Option<u64>,
    encodings: Vec<Encoding>,
}

impl Default for Chunk {
    fn default() -> Self {
        Self {
            bytes: TrackedWrite::new(Vec::new()),
            pages: OffsetIndexBuilder::new(),
            dictionary_at: None,
            data_at: None,
            encodings: vec![Encoding::RLE],
        }
    }
}

impl Chunk {
    fn put(&mut self, page: Page) -> Result<PageWriteSpec, ParquetError> {
        self.encodings.push(page.encoding());
        let is_dictionary = matches!(page, Page::DictionaryPage { .. });
        let len = page.buffer().len();
        let written = SerializedPageWriter::new(&mut self.bytes).write_page(CompressedPage::new(page, len))?;
        let at = if is_dictionary { &mut self.dictionary_at } else { &mut self.data_at };
        at.get_or_insert(written.offset);
        Ok(written)
    }

    fn put_rows(&mut self, rows: usize, bytes: Vec<u8>, encoding: Encoding) -> Result<(), ParquetError> {
        let written = self.put(Page::DataPage {
            buf: Bytes::from(bytes),
            num_values: rows as u32,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        })?;
        self.pages.append_row_count(rows as i64);
        self.pages.append_offset_and_size(written.offset as i64, written.compressed_size as i32);
        self.pages.append_unencoded_byte_array_data_bytes(None);
        Ok(())
    }

    fn close(
        self,
        group: &mut Group<'_>,
        column: ColumnDescPtr,
        rows: usize,
        statistics: Statistics,
    ) -> Result<(), ParquetError> {
        let bytes = Bytes::from(self.bytes.into_inner()?);
        let metadata = ColumnChunkMetaData::builder(column)
            .set_compression(Compression::UNCOMPRESSED)
            .set_encodings(self.encodings)
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(bytes.len() as i64)
            .set_num_values(rows as i64)
            .set_dictionary_page_offset(self.dictionary_at.map(|at| at as i64))
            .set_data_page_offset(self.data_at.unwrap_or(0) as i64)
            .set_statistics(statistics)
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: rows as u64,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(self.pages.build()),
        };
        group.append_column(&bytes, close)
    }
}
