//! The page indexes and the footer, written by the `parquet` crate: once per block they cost nothing.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::metadata::{
    FileMetaData, KeyValue, ParquetMetaDataBuilder, ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::file::writer::TrackedWrite;
use parquet::schema::types::SchemaDescriptor;

use super::pages::Pages;
use crate::block::METADATA_KEY;

/// Adds what stands behind the sections. `places` is our entry in the metadata.
pub fn put(pages: &mut Pages, schema: SchemaDescriptor, rows: usize, places: String) -> Result<(), ParquetError> {
    let schema = Arc::new(schema);
    let group = RowGroupMetaData::builder(schema.clone())
        .set_num_rows(rows as i64)
        .set_total_byte_size(pages.bytes_uncompressed)
        .set_column_metadata(std::mem::take(&mut pages.columns))
        .set_ordinal(0)
        .build()?;
    let created_by = Some(format!("tidewater {}", env!("CARGO_PKG_VERSION")));
    let entry = vec![KeyValue::new(METADATA_KEY.to_owned(), places)];
    let metadata =
        ParquetMetaDataBuilder::new(FileMetaData::new(1, rows as i64, created_by, Some(entry), schema, None))
            .add_row_group(group)
            .set_offset_index(Some(vec![std::mem::take(&mut pages.indexes)]))
            .build();
    let mut behind = Behind { skip: pages.file.len(), out: Vec::new() };
    let mut writer = TrackedWrite::new(&mut behind);
    writer.write_all(&pages.file)?;
    ParquetMetaDataWriter::new_with_tracked(writer, &metadata).finish()?;
    pages.file.extend_from_slice(&behind.out);
    Ok(())
}

/// Takes what comes after the bytes that are there already: the writer counts positions from the first byte it writes.
struct Behind {
    skip: usize,
    out: Vec<u8>,
}

impl Write for Behind {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        self.out.extend_from_slice(&bytes[skipped..]);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
