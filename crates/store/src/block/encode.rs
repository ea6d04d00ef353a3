//! Sorted rows → the bytes of a block.

use std::collections::HashSet;
use std::sync::Arc;

use model::wire::Writer;
use model::{ColumnKey, ValueKind};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnDescPtr, ColumnPath, SchemaDescriptor};

use super::directory::Directory;
use super::runs::{put_absent, put_devices};
use super::schema::{Fixed, names, schema};
use super::statistics::ColumnStatistics;
use super::{GRANULE_BYTES, METADATA_KEY};
use crate::sorted::{Optional, Present, SortedRows};

/// Rows of one page: a query for one device reads at least one page of each column.
pub const PAGE_ROWS: usize = 8192;
/// How many rows the writer takes between two looks at a page's size.
const WRITE_ROWS: usize = 1024;
/// A dictionary larger than this would not pay: 128 Ki doubles.
const DICTIONARY_BYTES_MAX: usize = 1 << 20;
/// How many values are looked at to choose an encoding for doubles.
const SAMPLE_VALUES: usize = 16_384;

/// The bytes of a block and what the catalog has to know of them.
pub struct Encoded {
    pub bytes: Vec<u8>,
    /// Where the part begins whose checksum is in the catalog.
    pub tail_at: u64,
    pub tail_crc: u32,
}

/// Encodes rows. Fails only if the Parquet writer finds a fault in what it is given, which would be a defect of ours.
pub fn encode(rows: &SortedRows) -> Result<Encoded, ParquetError> {
    let keys: Vec<&ColumnKey> = rows.columns.iter().map(|(key, _)| key).collect();
    let names = names(&keys);
    let schema = schema(&keys, &names)?;
    let properties = Arc::new(properties(rows, &names)?);
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties)?;
    let mut columns = Columns::new(writer.schema_descr(), rows);
    let mut group = writer.next_row_group()?;
    columns.write(rows, &mut group)?;
    group.close()?;
    let statistics: Vec<_> = rows.columns.iter().map(|(key, cells)| ColumnStatistics::of(key, cells)).collect();
    let tail_at = write_sections(&mut writer, rows, &statistics)?;
    let bytes = writer.into_inner()?;
    let tail_crc = crc32c::crc32c(&bytes[tail_at..]);
    Ok(Encoded { tail_at: tail_at as u64, tail_crc, bytes })
}

fn properties(rows: &SortedRows, names: &[String]) -> Result<WriterProperties, ParquetError> {
    let path = |name: &str| ColumnPath::new(vec![name.to_owned()]);
    let fixed = |fixed: Fixed| path(fixed.name());
    let mut properties = WriterProperties::builder()
        .set_created_by(format!("tidewater {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(None)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(WRITE_ROWS)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
        .set_column_dictionary_enabled(fixed(Fixed::Buffered), false);
    for column in [Fixed::Ts, Fixed::Received, Fixed::Seq] {
        properties = delta(properties, fixed(column));
    }
    for ((key, cells), name) in rows.columns.iter().zip(names) {
        properties = match key.kind {
            ValueKind::F64 if !has_few_values(cells) => properties
                .set_column_dictionary_enabled(path(name), false)
                .set_column_encoding(path(name), Encoding::BYTE_STREAM_SPLIT),
            ValueKind::I64 => delta(properties, path(name)),
            ValueKind::Bool => properties.set_column_dictionary_enabled(path(name), false),
            ValueKind::F64 | ValueKind::Str => properties,
        };
    }
    Ok(properties.build())
}

fn delta(
    properties: parquet::file::properties::WriterPropertiesBuilder,
    column: ColumnPath,
) -> parquet::file::properties::WriterPropertiesBuilder {
    properties
        .set_column_dictionary_enabled(column.clone(), false)
        .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED)
}

/// Whether a dictionary pays: at most half of a sample's values differ.
fn has_few_values(cells: &Optional) -> bool {
    let step = (cells.values.len() / SAMPLE_VALUES).max(1);
    let sample = || cells.values.iter().step_by(step);
    let differing = sample().collect::<HashSet<_>>().len();
    differing * 2 <= sample().count()
}

/// Writes a block's columns in the order of the schema.
struct Columns {
    schema: Vec<ColumnDescPtr>,
    /// The column that is written next.
    next: usize,
    rows: usize,
    /// Definition levels of a column without absent cells.
    ones: Vec<i16>,
    texts: Vec<ByteArray>,
}

type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

impl Columns {
    fn new(schema: &SchemaDescriptor, rows: &SortedRows) -> Self {
        Self {
            schema: schema.columns().to_vec(),
            next: 0,
            rows: rows.len(),
            ones: vec![1; rows.len()],
            texts: rows.texts.iter().map(|text| ByteArray::from(&**text)).collect(),
        }
    }

    fn write(&mut self, rows: &SortedRows, group: &mut Group<'_>) -> Result<(), ParquetError> {
        put_devices(group, self.take_column(), &rows.devices)?;
        self.put::<Int64Type>(group, &rows.ts, None)?;
        self.put_cells::<Int64Type>(group, &rows.received, |bits| bits as i64)?;
        self.put_cells::<Int64Type>(group, &rows.seq, |bits| bits as i64)?;
        self.put_cells::<Int32Type>(group, &rows.boot, |bits| bits as i32)?;
        self.put::<BoolType>(group, &rows.buffered, None)?;
        self.put_texts(group, &rows.tags)?;
        for (key, cells) in &rows.columns {
            match key.kind {
                ValueKind::F64 => self.put_cells::<DoubleType>(group, cells, f64::from_bits)?,
                ValueKind::I64 => self.put_cells::<Int64Type>(group, cells, |bits| bits as i64)?,
                ValueKind::Bool => self.put_cells::<BoolType>(group, cells, |bits| bits != 0)?,
                ValueKind::Str => self.put_texts(group, cells)?,
            }
        }
        Ok(())
    }

    fn take_column(&mut self) -> ColumnDescPtr {
        self.next += 1;
        self.schema[self.next - 1].clone()
    }

    fn put_texts(&mut self, group: &mut Group<'_>, cells: &Optional) -> Result<(), ParquetError> {
        let texts = std::mem::take(&mut self.texts);
        let put = self.put_cells::<ByteArrayType>(group, cells, |number| texts[number as usize].clone());
        self.texts = texts;
        put
    }

    fn put_cells<T: DataType>(
        &mut self,
        group: &mut Group<'_>,
        cells: &Optional,
        value: impl Fn(u64) -> T::T,
    ) -> Result<(), ParquetError> {
        if cells.values.is_empty() {
            return put_absent(group, self.take_column(), self.rows);
        }
        let values: Vec<T::T> = cells.values.iter().map(|bits| value(*bits)).collect();
        match &cells.present {
            Present::All => {
                let ones = std::mem::take(&mut self.ones);
                let put = self.put::<T>(group, &values, Some(&ones));
                self.ones = ones;
                put
            }
            Present::Rows(present) => {
                let mut levels = vec![0; self.rows];
                present.iter().for_each(|row| levels[*row as usize] = 1);
                self.put::<T>(group, &values, Some(&levels))
            }
        }
    }

    fn put<T: DataType>(
        &mut self,
        group: &mut Group<'_>,
        values: &[T::T],
        levels: Option<&[i16]>,
    ) -> Result<(), ParquetError> {
        self.next += 1;
        let column = group.next_column()?;
        let mut column = column.ok_or_else(|| ParquetError::General("more columns than fields".into()))?;
        column.typed::<T>().write_batch(values, levels, None)?;
        column.close()
    }
}

/// Writes what stands between the pages and the footer, and returns where the granules end.
fn write_sections(
    writer: &mut SerializedFileWriter<Vec<u8>>,
    rows: &SortedRows,
    statistics: &[ColumnStatistics],
) -> Result<usize, ParquetError> {
    let mut section = Vec::new();
    let mut places = serde_json::Map::new();
    places.insert("format".to_owned(), 1.into());
    let mut place = |name: &str, at: usize, len: usize| places.insert(name.to_owned(), serde_json::json!([at, len]));

    Directory::encode(rows, &mut section);
    place("directory", writer.bytes_written(), section.len());
    writer.write_all(&section)?;

    section.clear();
    ColumnStatistics::encode_all(statistics, &mut section);
    place("statistics", writer.bytes_written(), section.len());
    writer.write_all(&section)?;

    section.clear();
    writer.flush()?;
    let checked = writer.inner();
    let tail_at = checked.len();
    section.u32(GRANULE_BYTES as u32);
    checked.chunks(GRANULE_BYTES).for_each(|granule| section.u32(crc32c::crc32c(granule)));
    place("checks", tail_at, section.len());
    writer.write_all(&section)?;

    let places = serde_json::Value::Object(places).to_string();
    writer.append_key_value_metadata(KeyValue::new(METADATA_KEY.to_owned(), places));
    Ok(tail_at)
}
