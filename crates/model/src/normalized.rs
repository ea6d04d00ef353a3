//! The `normalized` topic: accepted messages as its readers get them, free of device indices.
//!
//! A batch's body is its tables one behind the other, each the rows that one batch of `raw` gave it. Layout, little-
//! endian, texts and blobs as length u32 and bytes:
//!
//! ```text
//! table = tenant 16 bytes | class text | kind u8 (1 readings, 2 events) | received i64 (Unix ms)
//!       | column count u32 | columns (kind u8, name text)
//!       | row count u32 | rows
//! row   = offset u64 | index u32 | device 16 bytes | ts i64 | flags u8 | seq u64 | boot u32 | tags text (empty: none)
//!       | value count u32 | values (column u32, then 8 bytes of bits, or a text for a string)
//! ```
//!
//! A row's address is that of its message in `raw`, so deriving it again gives the same one.

use std::sync::Arc;

use crate::ids::{DeviceId, DeviceIndex, Offset, TenantId};
use crate::rows::{ColumnKey, RowFlags, Rows, Table, TableKind, ValueKind};
use crate::wire::{Reader, Short, Writer};

#[cfg(test)]
mod tests;

/// The rows of one table from one batch of `raw`.
#[derive(Clone, PartialEq, Debug)]
pub struct Normalized {
    pub table: Table,
    /// Receive time of the batch (Unix ms).
    pub received: i64,
    pub columns: Vec<ColumnKey>,
    pub rows: Vec<NormalizedRow>,
}

/// One accepted message.
#[derive(Clone, PartialEq, Debug)]
pub struct NormalizedRow {
    pub offset: Offset,
    /// The address's index within the payload.
    pub index: u32,
    pub device: DeviceId,
    /// Unix ms.
    pub ts: i64,
    pub flags: RowFlags,
    pub seq: Option<u64>,
    pub boot: Option<u32>,
    /// A JSON object of strings with sorted names.
    pub tags: Option<String>,
    /// Column (a position in [`Normalized::columns`]) and value, by ascending column.
    pub values: Vec<(u32, Value)>,
}

/// The value of a metric.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    F64(f64),
    I64(i64),
    Bool(bool),
    Str(String),
}

/// Appends the stored form of `rows`. `device_of` says which device an index is.
pub fn encode(rows: &Rows, device_of: impl Fn(DeviceIndex) -> DeviceId, out: &mut Vec<u8>) {
    let table = &rows.layout.table;
    out.extend_from_slice(table.tenant.as_bytes());
    out.text(&table.class);
    out.u8(kind_tag(table.kind));
    out.u64(rows.received as u64);
    out.u32(rows.layout.columns.len() as u32);
    for column in &rows.layout.columns {
        out.u8(column.kind as u8);
        out.text(&column.name);
    }
    out.u32(rows.len() as u32);
    // Columns are stored by row: each column's values ascend by row, so one position per column walks along.
    let mut next = vec![0; rows.columns.len()];
    let mut next_tags = 0;
    for row in 0..rows.len() {
        out.u64(rows.offset[row]);
        out.u32(rows.index[row]);
        out.extend_from_slice(device_of(rows.device[row]).as_bytes());
        out.u64(rows.ts[row] as u64);
        out.u8(rows.flags[row].0);
        out.u64(rows.seq[row]);
        out.u32(rows.boot[row]);
        let tagged = rows.tags.rows.get(next_tags) == Some(&(row as u32));
        out.text(if tagged { rows.text_of(rows.tags.bits[next_tags]) } else { "" });
        next_tags += usize::from(tagged);
        encode_values(rows, row as u32, &mut next, out);
    }
}

fn encode_values(rows: &Rows, row: u32, next: &mut [usize], out: &mut Vec<u8>) {
    let count_at = out.len();
    let mut count = 0_u32;
    out.u32(0);
    for (at, column) in rows.columns.iter().enumerate() {
        if column.rows.get(next[at]) != Some(&row) {
            continue;
        }
        let bits = column.bits[next[at]];
        out.u32(at as u32);
        match rows.layout.columns[at].kind {
            ValueKind::Str => out.text(rows.text_of(bits)),
            ValueKind::F64 | ValueKind::I64 | ValueKind::Bool => out.u64(bits),
        }
        next[at] += 1;
        count += 1;
    }
    out[count_at..count_at + 4].copy_from_slice(&count.to_le_bytes());
}

/// The tables of a batch's body.
pub fn decode(body: &[u8]) -> Result<Vec<Normalized>, Short> {
    let mut reader = Reader(body);
    let mut tables = Vec::new();
    while !reader.0.is_empty() {
        tables.push(decode_table(&mut reader)?);
    }
    Ok(tables)
}

fn decode_table(reader: &mut Reader<'_>) -> Result<Normalized, Short> {
    let tenant = TenantId::from_bytes(reader.array()?);
    let class: Arc<str> = reader.text()?.into();
    let kind = match reader.u8()? {
        1 => TableKind::Readings,
        2 => TableKind::Events,
        _ => return Err(Short),
    };
    let received = reader.u64()? as i64;
    let mut columns = Vec::new();
    for _ in 0..reader.u32()? {
        let kind = ValueKind::from_tag(reader.u8()?).ok_or(Short)?;
        columns.push(ColumnKey { name: reader.text()?.into(), kind });
    }
    let mut rows = Vec::new();
    for _ in 0..reader.u32()? {
        rows.push(decode_row(reader, &columns)?);
    }
    Ok(Normalized { table: Table { tenant, class, kind }, received, columns, rows })
}

fn decode_row(reader: &mut Reader<'_>, columns: &[ColumnKey]) -> Result<NormalizedRow, Short> {
    let (offset, index) = (reader.u64()?, reader.u32()?);
    let device = DeviceId::from_bytes(reader.array()?);
    let (ts, flags) = (reader.u64()? as i64, RowFlags(reader.u8()?));
    let (seq, boot) = (reader.u64()?, reader.u32()?);
    let tags = Some(reader.text()?).filter(|tags| !tags.is_empty()).map(str::to_owned);
    let mut values = Vec::new();
    for _ in 0..reader.u32()? {
        let at = reader.u32()?;
        let value = match columns.get(at as usize).ok_or(Short)?.kind {
            ValueKind::F64 => Value::F64(f64::from_bits(reader.u64()?)),
            ValueKind::I64 => Value::I64(reader.u64()? as i64),
            ValueKind::Bool => Value::Bool(reader.u64()? != 0),
            ValueKind::Str => Value::Str(reader.text()?.to_owned()),
        };
        values.push((at, value));
    }
    let seq = flags.has(RowFlags::HAS_SEQ).then_some(seq);
    let boot = flags.has(RowFlags::HAS_BOOT).then_some(boot);
    Ok(NormalizedRow { offset, index, device, ts, flags, seq, boot, tags, values })
}

fn kind_tag(kind: TableKind) -> u8 {
    match kind {
        TableKind::Readings => 1,
        TableKind::Events => 2,
    }
}
