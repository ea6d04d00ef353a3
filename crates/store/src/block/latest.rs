//! The latest section: for each device of a block the rows that hold its latest values, so that nobody looks for them
//! among the device's rows.
//!
//! ```text
//! latest = per device, in the order of the directory: rows varint
//!          | per row: key (`block/key.rs`, beside the device's last ts)
//!            | cells varint | per cell: column varint | f64, zigzag (i64), u8 (bool), or length varint and UTF-8
//! ```
//!
//! A cell is a metric's latest value: that of the last row in the order of keys that has one and may be the latest
//! ([`RowKey::may_be_latest`]). A metric that came with two types has one cell.

use std::collections::HashMap;
use std::sync::Arc;

use model::ValueKind;
use model::wire::{Reader, Short, Writer};

use super::cache::Cached;
use super::directory::Directory;
use super::key::{put_key, take_key};
use super::statistics::ColumnStatistics;
use super::varint;
use crate::key::RowKey;
use crate::sorted::{Optional, Present, SortedRows};

#[cfg(test)]
mod tests;

/// Rows per device from which on the section is written: it takes some 25 bytes a device, so at most half a byte a row,
/// and without it a device's rows are few enough to be looked through.
const ROWS_PER_DEVICE_MIN: usize = 64;

/// The latest rows of each device of a block.
#[derive(PartialEq, Debug)]
pub struct Latest {
    /// For each device its first row; one more for the end.
    starts: Vec<u32>,
    /// Each row's key, and its first cell.
    rows: Vec<(RowKey, u32)>,
    cells: Vec<Cell>,
    texts: Vec<Arc<str>>,
}

/// A latest value: the column, by its number among the block's metrics, and the bits. Strings are numbers of texts.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Cell {
    pub column: u16,
    pub bits: u64,
}

impl Cached for Latest {
    fn bytes(&self) -> usize {
        let texts: usize = self.texts.iter().map(|text| text.len() + 32).sum();
        size_of_val(&*self.starts) + size_of_val(&*self.rows) + size_of_val(&*self.cells) + texts
    }
}

impl Latest {
    /// The rows of the device at this place of the directory, each with its cells.
    pub fn rows(&self, device: usize) -> impl Iterator<Item = (RowKey, &[Cell])> {
        (self.starts[device] as usize..self.starts[device + 1] as usize).map(|at| {
            let (key, first) = self.rows[at];
            let end = self.rows.get(at + 1).map_or(self.cells.len(), |(_, next)| *next as usize);
            (key, &self.cells[first as usize..end])
        })
    }

    pub fn text(&self, number: u64) -> &Arc<str> {
        &self.texts[number as usize]
    }

    /// Writes the section, unless the block is better off without it; says whether it did.
    pub fn encode(rows: &SortedRows, out: &mut Vec<u8>) -> bool {
        if rows.len() < ROWS_PER_DEVICE_MIN * rows.devices.len() {
            return false;
        }
        let encoder = Encoder::new(rows);
        let mut found = Vec::new();
        for at in 0..rows.devices.len() {
            encoder.find(at, &mut found);
            encoder.put(at, &found, out);
        }
        true
    }

    pub fn decode(bytes: &[u8], directory: &Directory, columns: &[ColumnStatistics]) -> Result<Self, Short> {
        let mut reader = Reader(bytes);
        let mut numbers = HashMap::new();
        let mut latest = Self { starts: vec![0], rows: Vec::new(), cells: Vec::new(), texts: Vec::new() };
        for span in directory.spans() {
            for _ in 0..varint::take(&mut reader)? {
                let key = take_key(&mut reader, span.ts_max)?;
                latest.rows.push((key, latest.cells.len() as u32));
                for _ in 0..varint::take(&mut reader)? {
                    let column = varint::take(&mut reader)?;
                    let kind = columns.get(column as usize).ok_or(Short)?.key.kind;
                    let bits = latest.take_bits(&mut reader, kind, &mut numbers)?;
                    latest.cells.push(Cell { column: column as u16, bits });
                }
            }
            latest.starts.push(latest.rows.len() as u32);
        }
        if reader.0.is_empty() { Ok(latest) } else { Err(Short) }
    }

    fn take_bits(
        &mut self,
        reader: &mut Reader<'_>,
        kind: ValueKind,
        numbers: &mut HashMap<Arc<str>, u64>,
    ) -> Result<u64, Short> {
        match kind {
            ValueKind::F64 => reader.u64(),
            ValueKind::I64 => varint::take_zigzag(reader).map(|value| value as u64),
            ValueKind::Bool => reader.u8().map(u64::from),
            ValueKind::Str => {
                let len = varint::take(reader)? as usize;
                let text = std::str::from_utf8(reader.take(len)?).map_err(|_| Short)?;
                if let Some(number) = numbers.get(text) {
                    return Ok(*number);
                }
                let text: Arc<str> = text.into();
                self.texts.push(text.clone());
                numbers.insert(text, self.texts.len() as u64 - 1);
                Ok(self.texts.len() as u64 - 1)
            }
        }
    }
}

/// A value that was found: its row, its column, and its place among the column's present cells.
type Found = (usize, usize, usize);

struct Encoder<'a> {
    rows: &'a SortedRows,
    /// For each column the first one that holds the same metric, maybe with another type.
    firsts: Vec<usize>,
    /// Whether no row of the block can be ahead of its receipt.
    all_may_be: bool,
}

impl<'a> Encoder<'a> {
    fn new(rows: &'a SortedRows) -> Self {
        let mut by_name: HashMap<&Arc<str>, usize> = HashMap::new();
        let columns = rows.columns.iter().enumerate();
        let firsts = columns.map(|(at, (key, _))| *by_name.entry(&key.name).or_insert(at)).collect();
        Self { rows, firsts, all_may_be: rows.received.values.is_empty() }
    }

    /// The latest values of a device, in the order of rows.
    fn find(&self, device: usize, found: &mut Vec<Found>) {
        found.clear();
        let span = self.rows.devices[device].rows.clone();
        for (column, (_, cells)) in self.rows.columns.iter().enumerate() {
            let Some((row, at)) = self.last(cells, span.start, span.end) else { continue };
            let is_twin = |(_, other, _): &Found| self.firsts[*other] == self.firsts[column];
            let twin = if self.firsts[column] < column { found.iter().position(is_twin) } else { None };
            match twin {
                None => found.push((row, column, at)),
                // Of two types of a metric, the later row counts.
                Some(twin) if row > found[twin].0 => found[twin] = (row, column, at),
                Some(_) => {}
            }
        }
        found.sort_unstable();
    }

    /// The last row that has a cell and may be the latest, and the place of its cell.
    fn last(&self, cells: &Optional, start: usize, end: usize) -> Option<(usize, usize)> {
        let may_be = |row: usize| self.all_may_be || self.rows.key(row).may_be_latest();
        match &cells.present {
            Present::All => (start..end).rev().find(|row| may_be(*row)).map(|row| (row, row)),
            Present::Rows(rows) => {
                let end = rows.partition_point(|row| (*row as usize) < end);
                let of_device = rows[..end].iter().enumerate().rev().take_while(|(_, row)| **row as usize >= start);
                let mut of_device = of_device.map(|(at, row)| (*row as usize, at));
                of_device.find(|(row, _)| may_be(*row))
            }
        }
    }

    fn put(&self, device: usize, found: &[Found], out: &mut Vec<u8>) {
        let last_ts = self.rows.ts[self.rows.devices[device].rows.end - 1];
        let by_row = || found.chunk_by(|(row, ..), (other, ..)| row == other);
        varint::put(out, by_row().count() as u64);
        for of_row in by_row() {
            put_key(out, self.rows.key(of_row[0].0), last_ts);
            varint::put(out, of_row.len() as u64);
            for (_, column, at) in of_row {
                let (key, cells) = &self.rows.columns[*column];
                varint::put(out, *column as u64);
                self.put_bits(out, key.kind, cells.values[*at]);
            }
        }
    }

    fn put_bits(&self, out: &mut Vec<u8>, kind: ValueKind, bits: u64) {
        match kind {
            ValueKind::F64 => out.u64(bits),
            ValueKind::I64 => varint::put_zigzag(out, bits as i64),
            ValueKind::Bool => out.u8(bits as u8),
            ValueKind::Str => {
                let text = &self.rows.texts[bits as usize];
                varint::put(out, text.len() as u64);
                out.extend_from_slice(text.as_bytes());
            }
        }
    }
}
