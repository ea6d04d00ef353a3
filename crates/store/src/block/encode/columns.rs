//! Columns of a block as pages: which encoding each gets, and how its cells are laid out.

use std::ops::Range;
use std::sync::Arc;

use parquet::basic::Encoding;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescPtr;

use super::bits::{pack, put_hybrid, put_run, width_of};
use super::delta;
use super::dictionary::{Dictionary, VALUES_MAX};
use super::pages::Pages;
use crate::sorted::{DeviceRows, Optional, Present};

/// Rows of one page: a query for one device reads at least one page of each column.
const PAGE_ROWS: usize = 8192;
/// Bytes of strings at which a page ends earlier.
const PAGE_TEXT_BYTES: usize = 1 << 20;
/// Bytes of strings beyond which a dictionary of them would not pay.
const DICTIONARY_TEXT_BYTES_MAX: usize = 1 << 20;
/// How many cells are looked at to choose an encoding.
const SAMPLE_CELLS: usize = 1 << 14;
/// Of so many cells of a sample, how many may differ for a dictionary to pay: doubles without one take all their bytes,
/// integers only what their differences take.
const DOUBLES_PER_VALUE: usize = 2;
const INTEGERS_PER_VALUE: usize = 64;

/// How a column's cells may be laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// Integers whose differences are smaller than they are.
    Times,
    Integers,
    /// Integers of 32 bits.
    ShortIntegers,
    Doubles,
    Booleans,
}

/// Which cells of the column that is written are present.
#[derive(Clone, Copy)]
pub enum Levels<'a> {
    /// The column has no absent cells by its schema.
    Required,
    All,
    /// These rows, ascending.
    Rows(&'a [u32]),
}

impl<'a> From<&'a Present> for Levels<'a> {
    fn from(present: &'a Present) -> Self {
        match present {
            Present::All => Self::All,
            Present::Rows(rows) => Self::Rows(rows),
        }
    }
}

impl Levels<'_> {
    /// The cells that stand in these rows.
    fn cells(&self, rows: &Range<usize>) -> Range<usize> {
        match self {
            Self::Required | Self::All => rows.clone(),
            Self::Rows(present) => {
                let place = |row: usize| present.partition_point(|other| (*other as usize) < row);
                place(rows.start)..place(rows.end)
            }
        }
    }

    /// Adds the levels of these rows: 1 is present. `cells` are their cells.
    fn put(&self, out: &mut Vec<u8>, rows: &Range<usize>, cells: &Range<usize>, levels: &mut Vec<u32>) {
        if matches!(self, Self::Required) {
            return;
        }
        let at = out.len();
        out.extend([0; 4]);
        match self {
            Self::Rows(present) if cells.len() < rows.len() => {
                levels.clear();
                levels.resize(rows.len(), 0);
                present[cells.clone()].iter().for_each(|row| levels[*row as usize - rows.start] = 1);
                put_hybrid(out, levels, 1);
            }
            _ => put_run(out, rows.len(), 1, 1),
        }
        let len = (out.len() - at - 4) as u32;
        out[at..at + 4].copy_from_slice(&len.to_le_bytes());
    }
}

/// The rows of the page that begins at `start`, by default.
fn page_rows(rows: usize, start: usize) -> usize {
    rows.min(start + PAGE_ROWS)
}

/// Writes columns, one after the other, in the order of the schema.
pub struct Columns<'a> {
    pub pages: &'a mut Pages,
    pub dictionary: &'a mut Dictionary,
    pub rows: usize,
    pub levels: &'a mut Vec<u32>,
}

type Written = Result<(), ParquetError>;
/// Adds cells to a page's body.
type Put = fn(&mut Vec<u8>, &[u64]);

impl Columns<'_> {
    /// The device ids: a dictionary, and the run of each device.
    pub fn put_devices(&mut self, column: ColumnDescPtr, devices: &[DeviceRows]) -> Written {
        self.pages.begin(false);
        devices.iter().for_each(|span| self.pages.body.extend_from_slice(span.device.as_bytes()));
        self.pages.put_dictionary(devices.len())?;
        let width = width_of(devices.len());
        let mut number = 0;
        for start in (0..self.rows).step_by(PAGE_ROWS) {
            let end = page_rows(self.rows, start);
            self.pages.body.push(width as u8);
            loop {
                let span = &devices[number].rows;
                let run = span.end.min(end) - span.start.max(start);
                put_run(&mut self.pages.body, run, number as u32, width);
                if span.end >= end {
                    number += usize::from(span.end == end);
                    break;
                }
                number += 1;
            }
            self.pages.put_rows(end - start, Encoding::RLE_DICTIONARY)?;
        }
        let id = |span: &DeviceRows| FixedLenByteArray::from(ByteArray::from(span.device.as_bytes().to_vec()));
        let ends = (devices.first().map(id), devices.last().map(id));
        self.pages.end(column, Statistics::fixed_len_byte_array(ends.0, ends.1, None, Some(0), false))
    }

    /// The times of all rows.
    pub fn put_times(&mut self, column: ColumnDescPtr, times: &[i64], statistics: Statistics) -> Written {
        let put = |out: &mut Vec<u8>, range: Range<usize>| delta::put(out, &times[range], |ts| ts as u64);
        self.put_pages(column, Encoding::DELTA_BINARY_PACKED, Levels::Required, statistics, page_rows, put)
    }

    /// A flag of all rows.
    pub fn put_flags(&mut self, column: ColumnDescPtr, flags: &[bool], statistics: Statistics) -> Written {
        let put = |out: &mut Vec<u8>, range: Range<usize>| put_bits(out, flags[range].iter().copied());
        self.put_pages(column, Encoding::PLAIN, Levels::Required, statistics, page_rows, put)
    }

    /// Cells as bits, laid out as their type and their values suggest.
    pub fn put_cells(
        &mut self,
        column: ColumnDescPtr,
        layout: Layout,
        cells: &Optional,
        statistics: Statistics,
    ) -> Written {
        if cells.values.is_empty() {
            return self.put_absent(column, statistics);
        }
        let (values, levels) = (&cells.values, Levels::from(&cells.present));
        let has_few = match layout {
            Layout::Times | Layout::Booleans => false,
            Layout::Integers => self.find_few(values, INTEGERS_PER_VALUE),
            Layout::Doubles => self.find_few(values, DOUBLES_PER_VALUE),
            Layout::ShortIntegers => self.dictionary.fill(values.iter().copied(), VALUES_MAX),
        };
        if has_few {
            let put: Put = if layout == Layout::ShortIntegers { put_short_words } else { put_words };
            return self.put_dictionary(column, levels, statistics, put);
        }
        let (encoding, put): (_, Put) = match layout {
            Layout::Times | Layout::Integers => (Encoding::DELTA_BINARY_PACKED, put_differences),
            Layout::Doubles => (Encoding::BYTE_STREAM_SPLIT, put_streams),
            Layout::ShortIntegers => (Encoding::PLAIN, put_short_words),
            Layout::Booleans => (Encoding::PLAIN, |out, cells| put_bits(out, cells.iter().map(|cell| *cell != 0))),
        };
        self.put_pages(column, encoding, levels, statistics, page_rows, |out, range| put(out, &values[range]))
    }

    /// Strings, given by their numbers.
    pub fn put_texts(&mut self, column: ColumnDescPtr, texts: &[Arc<str>], cells: &Optional) -> Written {
        let absent = Some((self.rows - cells.values.len()) as u64);
        if cells.values.is_empty() {
            return self.put_absent(column, text_statistics(std::iter::empty(), absent));
        }
        let put = |out: &mut Vec<u8>, cells: &[u64]| {
            for text in cells.iter().map(|number| &texts[*number as usize]) {
                out.extend_from_slice(&(text.len() as u32).to_le_bytes());
                out.extend_from_slice(text.as_bytes());
            }
        };
        let len = |number: &u64| texts[*number as usize].len();
        let distinct_max = VALUES_MAX.min(cells.values.len().div_ceil(2));
        let has_few = self.dictionary.fill(cells.values.iter().copied(), distinct_max);
        if has_few && self.dictionary.values.iter().map(len).sum::<usize>() <= DICTIONARY_TEXT_BYTES_MAX {
            let statistics =
                text_statistics(self.dictionary.values.iter().map(|number| &*texts[*number as usize]), absent);
            return self.put_dictionary(column, (&cells.present).into(), statistics, put);
        }
        let levels = Levels::from(&cells.present);
        let page_end = |rows: usize, start: usize| {
            let end = page_rows(rows, start);
            let (mut bytes, cells_of) = (0, levels.cells(&(start..end)));
            let is_over = |number: &u64| {
                bytes += len(number);
                bytes > PAGE_TEXT_BYTES
            };
            match (cells.values[cells_of.clone()].iter().position(is_over), levels) {
                (None, _) => end,
                (Some(over), Levels::Rows(present)) => (start + 1).max(present[cells_of.start + over] as usize),
                (Some(over), _) => start + over.max(1),
            }
        };
        let statistics = text_statistics(std::iter::empty(), absent);
        let values = &cells.values;
        self.put_pages(column, Encoding::PLAIN, levels, statistics, page_end, |out, range| put(out, &values[range]))
    }

    /// A column without a present cell: one page for all rows.
    pub fn put_absent(&mut self, column: ColumnDescPtr, statistics: Statistics) -> Written {
        self.pages.begin(false);
        let (mut levels, body) = (Vec::new(), &mut self.pages.body);
        put_run(&mut levels, self.rows, 0, 1);
        body.extend_from_slice(&(levels.len() as u32).to_le_bytes());
        body.extend_from_slice(&levels);
        self.pages.put_rows(self.rows, Encoding::PLAIN)?;
        self.pages.end(column, statistics)
    }

    /// Fills the dictionary if it pays; whether it does, a sample says.
    fn find_few(&mut self, cells: &[u64], cells_per_value: usize) -> bool {
        let step = (cells.len() / SAMPLE_CELLS).max(1);
        let sample = cells.iter().step_by(step).copied();
        let distinct_max = sample.len().div_ceil(cells_per_value);
        self.dictionary.fill(sample, distinct_max) && self.dictionary.fill(cells.iter().copied(), VALUES_MAX)
    }

    /// Writes the column whose cells are in the dictionary. Numbers that fill whole bytes leave more for compression
    /// than numbers packed as tightly as they go: the first page says which is shorter.
    fn put_dictionary(
        &mut self,
        column: ColumnDescPtr,
        levels: Levels<'_>,
        statistics: Statistics,
        put_values: impl Fn(&mut Vec<u8>, &[u64]),
    ) -> Written {
        let dictionary = std::mem::take(self.dictionary);
        let tight = width_of(dictionary.values.len());
        let mut best: Option<(usize, u32, bool)> = None;
        for width in [tight, tight.next_multiple_of(8)] {
            let (bytes, is_compressed) = self.try_page(levels, &put_numbers(&dictionary.cells, width))?;
            if best.is_none_or(|(least, ..)| bytes < least) {
                best = Some((bytes, width, is_compressed));
            }
        }
        let (_, width, is_compressed) = best.expect("two widths were tried");
        self.pages.begin(is_compressed);
        put_values(&mut self.pages.body, &dictionary.values);
        self.pages.put_dictionary(dictionary.values.len())?;
        let put = put_numbers(&dictionary.cells, width);
        self.put_rows(Encoding::RLE_DICTIONARY, levels, page_rows, put)?;
        *self.dictionary = dictionary;
        self.pages.end(column, statistics)
    }

    fn put_pages(
        &mut self,
        column: ColumnDescPtr,
        encoding: Encoding,
        levels: Levels<'_>,
        statistics: Statistics,
        page_end: impl Fn(usize, usize) -> usize,
        put: impl Fn(&mut Vec<u8>, Range<usize>),
    ) -> Written {
        let (_, is_compressed) = self.try_page(levels, &put)?;
        self.pages.begin(is_compressed);
        self.put_rows(encoding, levels, page_end, put)?;
        self.pages.end(column, statistics)
    }

    /// Makes the first page, to see what it takes and whether compression pays.
    fn try_page(
        &mut self,
        levels: Levels<'_>,
        put: &impl Fn(&mut Vec<u8>, Range<usize>),
    ) -> Result<(usize, bool), ParquetError> {
        self.fill_page(levels, 0..page_rows(self.rows, 0), put);
        let before = self.pages.body.len();
        let (after, saves) = self.pages.try_compress()?;
        self.pages.body.clear();
        Ok((if saves { after } else { before }, saves))
    }

    fn put_rows(
        &mut self,
        encoding: Encoding,
        levels: Levels<'_>,
        page_end: impl Fn(usize, usize) -> usize,
        put: impl Fn(&mut Vec<u8>, Range<usize>),
    ) -> Written {
        let mut start = 0;
        while start < self.rows {
            let end = page_end(self.rows, start);
            self.fill_page(levels, start..end, &put);
            self.pages.put_rows(end - start, encoding)?;
            start = end;
        }
        Ok(())
    }

    fn fill_page(&mut self, levels: Levels<'_>, rows: Range<usize>, put: &impl Fn(&mut Vec<u8>, Range<usize>)) {
        let cells = levels.cells(&rows);
        levels.put(&mut self.pages.body, &rows, &cells, self.levels);
        put(&mut self.pages.body, cells);
    }
}

fn put_words(out: &mut Vec<u8>, words: &[u64]) {
    words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
}

fn put_short_words(out: &mut Vec<u8>, words: &[u64]) {
    words.iter().for_each(|word| out.extend_from_slice(&(*word as u32).to_le_bytes()));
}

fn put_differences(out: &mut Vec<u8>, words: &[u64]) {
    delta::put(out, words, |word| word);
}

/// One stream for each byte of a double: signs and exponents repeat, and so do the low bytes of rounded values.
fn put_streams(out: &mut Vec<u8>, doubles: &[u64]) {
    (0..u64::BITS).step_by(8).for_each(|shift| out.extend(doubles.iter().map(|bits| (bits >> shift) as u8)));
}

fn put_bits(out: &mut Vec<u8>, bits: impl ExactSizeIterator<Item = bool>) {
    let padding = bits.len().next_multiple_of(8) - bits.len();
    pack(out, bits.map(u64::from).chain(std::iter::repeat_n(0, padding)), 1);
}

fn put_numbers(numbers: &[u32], width: u32) -> impl Fn(&mut Vec<u8>, Range<usize>) + '_ {
    move |out, range| {
        out.push(width as u8);
        put_hybrid(out, &numbers[range], width);
    }
}

/// The statistics of a column of strings. Long ones are left out: readers look at them to pass a file over.
fn text_statistics<'a>(texts: impl Iterator<Item = &'a str> + Clone, absent: Option<u64>) -> Statistics {
    const BYTES_MAX: usize = 64;
    let end = |text: Option<&str>| text.filter(|text| text.len() <= BYTES_MAX).map(ByteArray::from);
    Statistics::byte_array(end(texts.clone().min()), end(texts.max()), None, absent, false)
}
