//! Rows → a synced block file and its entry for the catalog.

use model::{DiskFile, OpenMode, Partition, Table};

use crate::block::Encoder;
use crate::catalog::{Entry, block_name};
use crate::error::Error;
use crate::sorted::{SortedRows, Spare};
use crate::store::Shared;

/// What a thread that writes blocks uses again for the next one.
#[derive(Default)]
pub struct Workshop {
    pub spare: Spare,
    encoder: Option<Encoder>,
}

/// What a block is, besides its rows.
pub struct BlockOf<'a> {
    pub table: &'a Table,
    pub partition: Partition,
    pub sequences: (u64, u64),
    pub late: bool,
    pub narrow: bool,
}

/// Writes and syncs a block's file. Its name is durable only once the directory is synced.
pub fn write_block(
    shared: &Shared,
    workshop: &mut Workshop,
    rows: &SortedRows,
    of: &BlockOf<'_>,
) -> Result<Entry, Error> {
    let id = shared.next_block();
    let path = shared.blocks_dir().join(block_name(id));
    let defect = |error: parquet::errors::ParquetError| Error::Corrupt {
        path: path.clone(),
        at: 0,
        what: format!("the block cannot be encoded: {error}"),
    };
    let encoder = match &mut workshop.encoder {
        Some(encoder) => encoder,
        none => none.insert(Encoder::new().map_err(defect)?),
    };
    let encoded = encoder.encode(rows).map_err(defect)?;
    let write = || {
        let file: Box<dyn DiskFile> = shared.disk.open(&path, OpenMode::CreateNew)?;
        file.write_at(encoded.bytes, 0)?;
        file.sync_data()
    };
    if let Err(source) = write() {
        // After a failed sync the file is not to be trusted: the next attempt writes another one.
        if let Err(error) = shared.disk.remove(&path) {
            tracing::debug!(path = %path.display(), %error, "a block that failed stays until the next start");
        }
        return Err(Error::Disk { what: "cannot write", path, source });
    }
    let (ts_min, ts_max) = rows.ts_ends();
    let received_max = rows.received.values.iter().map(|bits| *bits as i64).max();
    Ok(Entry {
        id,
        table: of.table.clone(),
        partition: of.partition,
        sequences: of.sequences,
        late: of.late,
        narrow: of.narrow,
        damaged: false,
        rows: rows.len() as u64,
        devices: rows.devices.len() as u32,
        device_min: rows.devices[0].device,
        device_max: rows.devices[rows.devices.len() - 1].device,
        ts_min,
        ts_max,
        newest: received_max.map_or(ts_max, |received| received.max(ts_max)),
        bytes: encoded.bytes.len() as u64,
        tail_at: encoded.tail_at,
        tail_crc: encoded.tail_crc,
    })
}
