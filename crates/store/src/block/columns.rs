//! Rows of an opened block: only the pages that hold them are read.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use model::{ColumnKey, ValueKind};
use parquet::basic::Type as PhysicalType;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::serialized_reader::SerializedPageReader;

use super::decode::{Cells, Decoder, Stored, Undecoded};
use super::schema::Fixed;
use super::tail::Tail;
use crate::error::Error;
use crate::sorted::{DeviceRows, Optional, Present, SortedRows};

/// Reads columns of a block, and gathers their strings.
pub struct Reader<'a> {
    tail: &'a Tail,
    /// From the first page on.
    decoder: Option<Decoder>,
    texts: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u64>,
}

impl<'a> Reader<'a> {
    pub fn new(tail: &'a Tail) -> Self {
        Self { tail, decoder: None, texts: Vec::new(), numbers: HashMap::new() }
    }

    /// The number of a string, whether it was read or not.
    pub fn number(&mut self, text: &str) -> u64 {
        number_of(&mut self.texts, &mut self.numbers, text)
    }

    /// A string by its number.
    pub fn text(&self, number: u64) -> &Arc<str> {
        &self.texts[number as usize]
    }

    pub fn ts(&mut self, rows: Range<usize>) -> Result<Vec<i64>, Error> {
        let cells = self.cells(Fixed::Ts as usize, rows)?;
        Ok(cells.values.into_iter().map(|bits| bits as i64).collect())
    }

    pub fn received(&mut self, rows: Range<usize>) -> Result<Optional, Error> {
        self.cells(Fixed::Received as usize, rows)
    }

    pub fn seq(&mut self, rows: Range<usize>) -> Result<Optional, Error> {
        self.cells(Fixed::Seq as usize, rows)
    }

    pub fn boot(&mut self, rows: Range<usize>) -> Result<Optional, Error> {
        self.cells(Fixed::Boot as usize, rows)
    }

    pub fn tags(&mut self, rows: Range<usize>) -> Result<Optional, Error> {
        self.texts(Fixed::Tags as usize, rows)
    }

    /// A metric's column, by its position among all columns.
    pub fn metric(&mut self, column: usize, kind: ValueKind, rows: Range<usize>) -> Result<Optional, Error> {
        match kind {
            ValueKind::F64 | ValueKind::I64 | ValueKind::Bool => self.cells(column, rows),
            ValueKind::Str => self.texts(column, rows),
        }
    }

    /// These rows whole.
    pub fn rows(mut self, rows: Range<usize>) -> Result<SortedRows, Error> {
        let spans = self.tail.directory.spans();
        let devices = spans.filter_map(|span| {
            let cut = span.rows.start.max(rows.start)..span.rows.end.min(rows.end);
            let of_device = || DeviceRows { device: span.device, rows: cut.start - rows.start..cut.end - rows.start };
            (!cut.is_empty()).then(of_device)
        });
        let devices = devices.collect();
        let mut columns: Vec<(ColumnKey, Optional)> = Vec::new();
        for (at, key) in self.tail.find_columns(|_| true) {
            columns.push((key.clone(), self.metric(at, key.kind, rows.clone())?));
        }
        columns.retain(|(_, cells)| !cells.values.is_empty());
        Ok(SortedRows {
            devices,
            ts: self.ts(rows.clone())?,
            boot: self.boot(rows.clone())?,
            seq: self.seq(rows.clone())?,
            received: self.received(rows.clone())?,
            buffered: self.buffered(rows.clone())?,
            tags: self.tags(rows)?,
            columns,
            texts: std::mem::take(&mut self.texts),
        })
    }

    fn texts(&mut self, column: usize, rows: Range<usize>) -> Result<Optional, Error> {
        let count = rows.len();
        if self.tail.is_absent(column) {
            return Ok(Optional::none());
        }
        let (levels, values) = self.read::<ByteArrayType>(column, rows)?;
        let mut numbers = Vec::with_capacity(values.len());
        let mut last: Option<(&ByteArray, u64)> = None;
        for value in &values {
            // Values of a dictionary share their bytes.
            let same = last.filter(|(bytes, _)| bytes.data().as_ptr() == value.data().as_ptr() && *bytes == value);
            let number = match same {
                Some((_, number)) => number,
                None => {
                    let text = value.as_utf8().map_err(|_| self.unreadable(column, "a string is not UTF-8"))?;
                    number_of(&mut self.texts, &mut self.numbers, text)
                }
            };
            last = Some((value, number));
            numbers.push(number);
        }
        Ok(Optional { present: present(&levels, count), values: numbers })
    }

    fn buffered(&mut self, rows: Range<usize>) -> Result<Vec<bool>, Error> {
        let cells = self.cells(Fixed::Buffered as usize, rows)?;
        Ok(cells.values.into_iter().map(|bits| bits != 0).collect())
    }

    /// Cells of a column of numbers.
    pub(super) fn cells(&mut self, column: usize, rows: Range<usize>) -> Result<Optional, Error> {
        if rows.is_empty() || self.tail.is_absent(column) {
            return Ok(Optional::none());
        }
        match self.decode(column, rows.clone())? {
            Some(cells) => Ok(cells),
            None => self.cells_otherwise(column, rows),
        }
    }

    /// `None` if the column is laid out in a way that only the `parquet` crate's readers know.
    fn decode(&mut self, column: usize, rows: Range<usize>) -> Result<Option<Optional>, Error> {
        let tail = self.tail;
        let group = tail.metadata.row_group(0);
        let (chunk, schema) = (group.column(column), group.schema_descr().column(column));
        let of = Stored {
            physical: chunk.column_type(),
            compression: chunk.compression(),
            optional: schema.max_def_level() > 0,
        };
        let pages = self.pages(column)?;
        let first = pages.partition_point(|page| page.first_row_index as usize <= rows.start).saturating_sub(1);
        let end = pages.partition_point(|page| (page.first_row_index as usize) < rows.end);
        let parts = self.read_pages(chunk, &pages[..end], first)?;
        let mut cells = Cells::with_capacity(rows.len());
        let decoder = self.decoder.get_or_insert_with(|| tail.decoders.take());
        let mut decode = || {
            let mut bytes = &parts[parts.len() - 1].1[..];
            let dictionary_at = chunk.byte_range().0;
            if dictionary_at < pages[0].offset as u64 {
                let dictionary_end = pages[0].offset as usize - dictionary_at as usize;
                let (dictionary, rest) = parts[0].1.split_at_checked(dictionary_end).ok_or(Undecoded::Damaged)?;
                decoder.dictionary(dictionary, of)?;
                if first == 0 {
                    bytes = rest;
                }
            }
            for at in first..end {
                let start = pages[at].first_row_index as usize;
                let next = pages.get(at + 1).map_or(tail.directory.rows(), |next| next.first_row_index as usize);
                let wanted = rows.start.max(start) - start..rows.end.min(next) - start;
                bytes = decoder.page(bytes, of, wanted, &mut cells)?;
            }
            if cells.rows() == rows.len() { Ok(()) } else { Err(Undecoded::Damaged) }
        };
        match decode() {
            Ok(()) => Ok(Some(cells.finish())),
            Err(Undecoded::Unknown) => Ok(None),
            Err(Undecoded::Damaged) => Err(self.unreadable(column, "a page is not what its header says")),
        }
    }

    pub(super) fn cells_otherwise(&self, column: usize, rows: Range<usize>) -> Result<Optional, Error> {
        match self.tail.metadata.row_group(0).column(column).column_type() {
            PhysicalType::DOUBLE => self.cells_as::<DoubleType>(column, rows, f64::to_bits),
            PhysicalType::INT64 => self.cells_as::<Int64Type>(column, rows, |value| value as u64),
            PhysicalType::INT32 => self.cells_as::<Int32Type>(column, rows, |value| u64::from(value as u32)),
            PhysicalType::BOOLEAN => self.cells_as::<BoolType>(column, rows, u64::from),
            _ => Err(self.unreadable(column, "a column of numbers is of another type")),
        }
    }

    fn cells_as<T: DataType>(
        &self,
        column: usize,
        rows: Range<usize>,
        bits: impl Fn(T::T) -> u64,
    ) -> Result<Optional, Error> {
        let count = rows.len();
        let (levels, values) = self.read::<T>(column, rows)?;
        Ok(Optional { present: present(&levels, count), values: values.into_iter().map(bits).collect() })
    }

    /// Levels (none for a required column) and present values of these rows.
    fn read<T: DataType>(&self, column: usize, rows: Range<usize>) -> Result<(Vec<i16>, Vec<T::T>), Error> {
        let (mut levels, mut values) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        if rows.is_empty() {
            return Ok((levels, values));
        }
        let mut reader = self.open_column::<T>(column, &rows)?;
        let mut fill = || {
            let skipped = reader.skip_records(rows.start)?;
            let (records, ..) = reader.read_records(rows.len(), Some(&mut levels), None, &mut values)?;
            Ok::<_, ParquetError>(skipped == rows.start && records == rows.len())
        };
        match fill() {
            Ok(true) => Ok((levels, values)),
            Ok(false) => Err(self.unreadable(column, "a column ends early")),
            Err(error) => Err(self.unreadable(column, &error.to_string())),
        }
    }

    /// A reader of a column over the pages that hold these rows.
    fn open_column<T: DataType>(&self, column: usize, rows: &Range<usize>) -> Result<ColumnReaderImpl<T>, Error> {
        let group = self.tail.metadata.row_group(0);
        let chunk = group.column(column);
        let pages = self.pages(column)?;
        let first = pages.partition_point(|page| page.first_row_index as usize <= rows.start).saturating_sub(1);
        let end = pages.partition_point(|page| (page.first_row_index as usize) < rows.end);
        let parts = self.read_pages(chunk, &pages[..end], first)?;
        let window = Arc::new(self.tail.window(parts));
        let total = self.tail.directory.rows();
        let reader = SerializedPageReader::new(window, chunk, total, Some(pages.to_vec()));
        let reader = reader.map_err(|error| self.unreadable(column, &error.to_string()))?;
        Ok(ColumnReaderImpl::new(group.schema_descr().column(column), Box::new(reader)))
    }

    fn pages(&self, column: usize) -> Result<&'a [PageLocation], Error> {
        let tail: &'a Tail = self.tail;
        let index = tail.metadata.offset_index().and_then(|index| index.first()?.get(column));
        let pages = index.map(|index| index.page_locations().as_slice()).filter(|pages| !pages.is_empty());
        pages.ok_or_else(|| self.unreadable(column, "a column has no page"))
    }

    /// The dictionary, if there is one, and the pages from `first` on.
    fn read_pages(
        &self,
        chunk: &ColumnChunkMetaData,
        pages: &[PageLocation],
        first: usize,
    ) -> Result<Vec<(u64, bytes::Bytes)>, Error> {
        let (start, _) = chunk.byte_range();
        let dictionary_end = pages[0].offset as u64;
        let data_start = pages[first].offset as u64;
        let last = &pages[pages.len() - 1];
        let data_end = last.offset as u64 + last.compressed_page_size as u64;
        if first == 0 {
            return Ok(vec![(start, self.tail.read(start, data_end)?)]);
        }
        let mut parts = Vec::with_capacity(2);
        if start < dictionary_end {
            parts.push((start, self.tail.read(start, dictionary_end)?));
        }
        parts.push((data_start, self.tail.read(data_start, data_end)?));
        Ok(parts)
    }

    fn unreadable(&self, column: usize, what: &str) -> Error {
        let at = self.tail.metadata.row_group(0).column(column).byte_range().0;
        self.tail.damaged(at, what)
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.decoder.take().into_iter().for_each(|decoder| self.tail.decoders.give_back(decoder));
    }
}

fn number_of(texts: &mut Vec<Arc<str>>, numbers: &mut HashMap<Arc<str>, u64>, text: &str) -> u64 {
    if let Some(number) = numbers.get(text) {
        return *number;
    }
    let text: Arc<str> = text.into();
    texts.push(text.clone());
    numbers.insert(text, texts.len() as u64 - 1);
    texts.len() as u64 - 1
}

/// The present cells by their levels. A required column has none.
fn present(levels: &[i16], rows: usize) -> Present {
    if levels.len() < rows || levels.iter().all(|level| *level == 1) {
        return Present::All;
    }
    let rows = levels.iter().zip(0u32..).filter(|(level, _)| **level == 1);
    Present::Rows(rows.map(|(_, row)| row).collect())
}
