//! The stored form of the catalog.
//!
//! All integers are little-endian; texts are a length u32 and UTF-8; a list is a count u32 and its items.
//!
//! ```text
//! catalog  = "TWCATLOG" | version u16 | generation u64 | aged to i64
//!          | tables | positions | coverage | erased | blocks | CRC32C u32 of everything before it
//! table    = tenant 16 bytes | kind u8 (1 readings, 2 events) | class text
//! position = partition u16 | replay from u64
//! coverage = partition u16 | table u32 (its place in the list) | offset u64 | index u32
//! erased   = device 16 bytes | erased at i64
//! block    = id u64 | table u32 | partition u16 | first sequence u64 | last sequence u64 | flags u8 (1 late, 2 narrow,
//!            4 damaged) | rows u64 | devices u32 | device min 16 bytes | device max 16 bytes | ts min i64 | ts max i64
//!          | newest i64 | bytes u64 | tail at u64 | tail crc u32
//! ```

use std::collections::BTreeMap;

use model::wire::{Reader, Short, Writer};
use model::{DeviceId, Partition, Table, TableKind, TenantId};

use super::{Catalog, Entry};

const MAGIC: &[u8; 8] = b"TWCATLOG";
/// The version that this program writes and reads.
pub const VERSION: u16 = 1;

/// Why a file is no catalog.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unreadable {
    /// It is of this version of the format.
    Version(u16),
    /// It is not what was written.
    Damaged(&'static str),
}

impl From<Short> for Unreadable {
    fn from(_: Short) -> Self {
        Self::Damaged("it is cut short")
    }
}

/// The bytes of a catalog.
pub fn encode(catalog: &Catalog) -> Vec<u8> {
    let mut tables: BTreeMap<&Table, u32> = BTreeMap::new();
    let named = catalog.coverage.keys().map(|(_, table)| table);
    for table in named.chain(catalog.blocks.iter().map(|entry| &entry.table)) {
        tables.insert(table, 0);
    }
    let mut out = MAGIC.to_vec();
    out.u16(VERSION);
    out.u64(catalog.generation);
    out.u64(catalog.aged_to as u64);
    out.u32(tables.len() as u32);
    for ((table, place), next) in tables.iter_mut().zip(0..) {
        *place = next;
        encode_table(table, &mut out);
    }
    out.u32(catalog.replay_from.len() as u32);
    for (partition, offset) in &catalog.replay_from {
        out.u16(partition.0);
        out.u64(*offset);
    }
    out.u32(catalog.coverage.len() as u32);
    for ((partition, table), (offset, index)) in &catalog.coverage {
        out.u16(partition.0);
        out.u32(tables[table]);
        out.u64(*offset);
        out.u32(*index);
    }
    out.u32(catalog.erased.len() as u32);
    for (device, at) in &catalog.erased {
        out.extend_from_slice(device.as_bytes());
        out.u64(*at as u64);
    }
    out.u32(catalog.blocks.len() as u32);
    for entry in &catalog.blocks {
        encode_entry(entry, tables[&entry.table], &mut out);
    }
    let crc = crc32c::crc32c(&out);
    out.u32(crc);
    out
}

fn encode_table(table: &Table, out: &mut Vec<u8>) {
    out.extend_from_slice(table.tenant.as_bytes());
    out.u8(match table.kind {
        TableKind::Readings => 1,
        TableKind::Events => 2,
    });
    out.text(&table.class);
}

fn encode_entry(entry: &Entry, table: u32, out: &mut Vec<u8>) {
    out.u64(entry.id);
    out.u32(table);
    out.u16(entry.partition.0);
    out.u64(entry.sequences.0);
    out.u64(entry.sequences.1);
    out.u8(u8::from(entry.late) | u8::from(entry.narrow) << 1 | u8::from(entry.damaged) << 2);
    out.u64(entry.rows);
    out.u32(entry.devices);
    out.extend_from_slice(entry.device_min.as_bytes());
    out.extend_from_slice(entry.device_max.as_bytes());
    for time in [entry.ts_min, entry.ts_max, entry.newest] {
        out.u64(time as u64);
    }
    out.u64(entry.bytes);
    out.u64(entry.tail_at);
    out.u32(entry.tail_crc);
}

/// Reads what [`encode`] wrote.
pub fn decode(bytes: &[u8]) -> Result<Catalog, Unreadable> {
    let (checked, crc) = bytes.split_last_chunk::<4>().ok_or(Short)?;
    let mut reader = Reader(checked);
    if reader.array::<8>()? != *MAGIC {
        return Err(Unreadable::Damaged("it does not begin like a catalog"));
    }
    let version = reader.u16()?;
    if crc32c::crc32c(checked) != u32::from_le_bytes(*crc) {
        return Err(Unreadable::Damaged("its checksum is wrong"));
    }
    if version != VERSION {
        return Err(Unreadable::Version(version));
    }
    let mut catalog = Catalog { generation: reader.u64()?, aged_to: reader.u64()? as i64, ..Catalog::default() };
    let tables: Vec<Table> = list(&mut reader, decode_table)?;
    let table = |place: u32| tables.get(place as usize).cloned().ok_or(Short);
    catalog.replay_from = list(&mut reader, |reader| Ok((Partition(reader.u16()?), reader.u64()?)))?;
    catalog.coverage = list(&mut reader, |reader| {
        let key = (Partition(reader.u16()?), table(reader.u32()?)?);
        Ok((key, (reader.u64()?, reader.u32()?)))
    })?;
    catalog.erased = list(&mut reader, |reader| Ok((DeviceId::from_bytes(reader.array()?), reader.u64()? as i64)))?;
    catalog.blocks = list(&mut reader, |reader| decode_entry(reader, &table))?;
    if reader.0.is_empty() { Ok(catalog) } else { Err(Unreadable::Damaged("it is longer than its contents")) }
}

fn list<T, C: FromIterator<T>>(
    reader: &mut Reader<'_>,
    mut item: impl FnMut(&mut Reader<'_>) -> Result<T, Short>,
) -> Result<C, Short> {
    let count = reader.u32()?;
    (0..count).map(|_| item(reader)).collect()
}

fn decode_table(reader: &mut Reader<'_>) -> Result<Table, Short> {
    let tenant = TenantId::from_bytes(reader.array()?);
    let kind = match reader.u8()? {
        1 => TableKind::Readings,
        2 => TableKind::Events,
        _ => return Err(Short),
    };
    Ok(Table { tenant, kind, class: reader.text()?.into() })
}

fn decode_entry(reader: &mut Reader<'_>, table: &impl Fn(u32) -> Result<Table, Short>) -> Result<Entry, Short> {
    let id = reader.u64()?;
    let table = table(reader.u32()?)?;
    let partition = Partition(reader.u16()?);
    let sequences = (reader.u64()?, reader.u64()?);
    let flags = reader.u8()?;
    Ok(Entry {
        id,
        table,
        partition,
        sequences,
        late: flags & 1 != 0,
        narrow: flags & 2 != 0,
        damaged: flags & 4 != 0,
        rows: reader.u64()?,
        devices: reader.u32()?,
        device_min: DeviceId::from_bytes(reader.array()?),
        device_max: DeviceId::from_bytes(reader.array()?),
        ts_min: reader.u64()? as i64,
        ts_max: reader.u64()? as i64,
        newest: reader.u64()? as i64,
        bytes: reader.u64()?,
        tail_at: reader.u64()?,
        tail_crc: reader.u32()?,
    })
}
