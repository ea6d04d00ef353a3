//! Sorted rows → the bytes of a block, by an encoder of our own: each column is laid out page by page in memory that the
//! next block uses again. The footer is written by the `parquet` crate.

use model::wire::Writer;
use model::{ColumnKey, ValueKind};
use parquet::errors::ParquetError;
use parquet::file::statistics::Statistics;
use parquet::schema::types::SchemaDescriptor;

use super::GRANULE_BYTES;
use super::directory::Directory;
use super::latest::Latest;
use super::rollup;
use super::schema::{Fixed, names, schema};
use super::statistics::ColumnStatistics;
use crate::query::accumulate::Totals;
use crate::sorted::{Optional, SortedRows};

mod bits;
mod columns;
mod delta;
mod dictionary;
mod footer;
mod pages;
#[cfg(test)]
mod tests;

use columns::{Columns, Layout};
use dictionary::Dictionary;
use pages::Pages;

/// What a Parquet file begins with.
const MAGIC: &[u8] = b"PAR1";

/// The bytes of a block and what the catalog has to know of them.
pub struct Encoded<'a> {
    pub bytes: &'a [u8],
    /// Where the part begins whose checksum is in the catalog.
    pub tail_at: u64,
    pub tail_crc: u32,
}

/// Encodes one block after the other in the same memory.
pub struct Encoder {
    pages: Pages,
    dictionary: Dictionary,
    levels: Vec<u32>,
}

impl Encoder {
    pub fn new() -> Result<Self, ParquetError> {
        Ok(Self { pages: Pages::new()?, dictionary: Dictionary::default(), levels: Vec::new() })
    }

    /// Encodes rows. Fails only if the Parquet crate finds a fault in what it is given, which would be a defect of ours.
    pub fn encode(&mut self, rows: &SortedRows) -> Result<Encoded<'_>, ParquetError> {
        let keys: Vec<&ColumnKey> = rows.columns.iter().map(|(key, _)| key).collect();
        let schema = SchemaDescriptor::new(schema(&keys, &names(&keys))?);
        let statistics: Vec<_> = rows.columns.iter().map(|(key, cells)| ColumnStatistics::of(key, cells)).collect();
        self.pages.clear();
        self.pages.file.extend_from_slice(MAGIC);
        self.put_fixed(rows, &schema)?;
        self.put_metrics(rows, &schema, &statistics)?;
        let sections = put_sections(&mut self.pages.file, rows, &statistics);
        footer::put(&mut self.pages, schema, rows.len(), sections.places())?;
        let (bytes, tail_at) = (&self.pages.file, sections.tail_at);
        Ok(Encoded { tail_at: tail_at as u64, tail_crc: crc32c::crc32c(&bytes[tail_at..]), bytes })
    }

    fn columns(&mut self, rows: &SortedRows) -> Columns<'_> {
        let (pages, dictionary, levels) = (&mut self.pages, &mut self.dictionary, &mut self.levels);
        Columns { pages, dictionary, levels, rows: rows.len() }
    }

    fn put_fixed(&mut self, rows: &SortedRows, schema: &SchemaDescriptor) -> Result<(), ParquetError> {
        let mut columns = self.columns(rows);
        let of = |fixed: Fixed| schema.column(fixed as usize);
        columns.put_devices(of(Fixed::DeviceId), &rows.devices)?;
        let (first, last) = rows.ts_ends();
        columns.put_times(of(Fixed::Ts), &rows.ts, Statistics::int64(Some(first), Some(last), None, Some(0), false))?;
        let times = ends(rows.received.values.iter().map(|bits| *bits as i64));
        let times = Statistics::int64(times.0, times.1, None, absent(&rows.received, rows), false);
        columns.put_cells(of(Fixed::Received), Layout::Times, &rows.received, times)?;
        // Both are unsigned, and so is their order.
        let seqs = ends(rows.seq.values.iter().copied());
        let signed = |seq: Option<u64>| seq.map(|seq| seq as i64);
        let seqs = Statistics::int64(signed(seqs.0), signed(seqs.1), None, absent(&rows.seq, rows), false);
        columns.put_cells(of(Fixed::Seq), Layout::Times, &rows.seq, seqs)?;
        let boots = ends(rows.boot.values.iter().copied());
        let signed = |boot: Option<u64>| boot.map(|boot| boot as i32);
        let boots = Statistics::int32(signed(boots.0), signed(boots.1), None, absent(&rows.boot, rows), false);
        columns.put_cells(of(Fixed::Boot), Layout::ShortIntegers, &rows.boot, boots)?;
        let (all, any) = (!rows.buffered.contains(&false), rows.buffered.contains(&true));
        let buffered = Statistics::boolean(Some(all), Some(any), None, Some(0), false);
        columns.put_flags(of(Fixed::Buffered), &rows.buffered, buffered)?;
        columns.put_texts(of(Fixed::Tags), &rows.texts, &rows.tags)
    }

    fn put_metrics(
        &mut self,
        rows: &SortedRows,
        schema: &SchemaDescriptor,
        statistics: &[ColumnStatistics],
    ) -> Result<(), ParquetError> {
        let mut columns = self.columns(rows);
        for (at, ((key, cells), statistics)) in rows.columns.iter().zip(statistics).enumerate() {
            let column = schema.column(Fixed::ALL.len() + at);
            let layout = match key.kind {
                ValueKind::Str => {
                    columns.put_texts(column, &rows.texts, cells)?;
                    continue;
                }
                ValueKind::F64 => Layout::Doubles,
                ValueKind::I64 => Layout::Integers,
                ValueKind::Bool => Layout::Booleans,
            };
            columns.put_cells(column, layout, cells, metric_statistics(statistics, absent(cells, rows)))?;
        }
        Ok(())
    }
}

/// How many cells of a column are absent.
fn absent(cells: &Optional, rows: &SortedRows) -> Option<u64> {
    Some((rows.len() - cells.values.len()) as u64)
}

/// The least and the greatest value.
fn ends<T: Ord>(values: impl Iterator<Item = T> + Clone) -> (Option<T>, Option<T>) {
    (values.clone().min(), values.max())
}

/// What the footer says of a metric's column, from the totals that our own section has.
fn metric_statistics(statistics: &ColumnStatistics, absent: Option<u64>) -> Statistics {
    let is_any = statistics.present > 0;
    match (statistics.key.kind, statistics.totals) {
        (_, Some(Totals::Doubles { min, max, .. })) => {
            // Without a number there is no least one. Zeros are equal and have two forms; the format wants the outer ones.
            let end = |value: f64, zero: f64| value.is_finite().then_some(if value == 0.0 { zero } else { value });
            Statistics::double(end(min, -0.0), end(max, 0.0), None, absent, false)
        }
        (ValueKind::Bool, Some(Totals::Integers { min, max, .. })) => {
            let end = |value: i64| is_any.then_some(value != 0);
            Statistics::boolean(end(min), end(max), None, absent, false)
        }
        (_, Some(Totals::Integers { min, max, .. })) => {
            Statistics::int64(is_any.then_some(min), is_any.then_some(max), None, absent, false)
        }
        (_, None) => Statistics::byte_array(None, None, None, absent, false),
    }
}

/// The sections between the last page and the page indexes, and where they stand.
struct Sections {
    places: serde_json::Map<String, serde_json::Value>,
    /// Where the granules end.
    tail_at: usize,
}

impl Sections {
    /// Adds a section, unless `encode` says that the block does without it.
    fn put(&mut self, file: &mut Vec<u8>, name: &str, encode: impl FnOnce(&mut Vec<u8>) -> bool) {
        let at = file.len();
        if encode(file) {
            self.places.insert(name.to_owned(), serde_json::json!([at, file.len() - at]));
        } else {
            file.truncate(at);
        }
    }

    fn places(&self) -> String {
        serde_json::Value::Object(self.places.clone()).to_string()
    }
}

/// Adds what stands between the pages and the footer.
fn put_sections(file: &mut Vec<u8>, rows: &SortedRows, statistics: &[ColumnStatistics]) -> Sections {
    let mut sections = Sections { places: serde_json::Map::new(), tail_at: 0 };
    sections.places.insert("format".to_owned(), 1.into());
    sections.put(file, "directory", |out| {
        Directory::encode(rows, out);
        true
    });
    sections.put(file, "statistics", |out| {
        ColumnStatistics::encode_all(statistics, out);
        true
    });
    sections.put(file, "latest", |out| Latest::encode(rows, out));
    sections.put(file, "rollups", |out| rollup::encode(rows, out));
    sections.tail_at = file.len();
    let checks: Vec<u32> = file.chunks(GRANULE_BYTES).map(crc32c::crc32c).collect();
    sections.put(file, "checks", |out| {
        out.u32(GRANULE_BYTES as u32);
        checks.into_iter().for_each(|crc| out.u32(crc));
        true
    });
    sections
}
