//! An opened block: its file, its indexes and its directory, all checked.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use model::wire::{Reader, Short};
use model::{ColumnKey, Disk, DiskFile, OpenMode};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use super::cache::Cached;
use super::decode::Decoders;
use super::directory::Directory;
use super::file::{ReadError, Window, read_checked};
use super::latest::Latest;
use super::rollup::{Level, Rollup, RollupIndex};
use super::schema::Fixed;
use super::statistics::ColumnStatistics;
use super::{GRANULE_BYTES, METADATA_KEY};
use crate::catalog::Entry;
use crate::error::Error;

/// An opened block.
pub struct Tail {
    pub path: PathBuf,
    pub metadata: ParquetMetaData,
    pub directory: Directory,
    /// The metrics' columns, in the order of the file.
    pub columns: Vec<ColumnStatistics>,
    latest: Option<[u64; 2]>,
    rollups: Option<[u64; 2]>,
    /// For whoever reads pages.
    pub decoders: Arc<Decoders>,
    file: Box<dyn DiskFile>,
    len: u64,
    checks: Vec<u32>,
    tail_at: u64,
    tail_bytes: usize,
}

impl Tail {
    /// Opens and checks. A file that is missing, of another length, or not what was written is [`Error::Corrupt`].
    pub fn open(disk: &dyn Disk, path: &Path, entry: &Entry, decoders: Arc<Decoders>) -> Result<Self, Error> {
        let damaged = |at: u64, what: &str| Error::Corrupt { path: path.to_owned(), at, what: what.to_owned() };
        let failed = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::NotFound => damaged(0, "the file is missing"),
            _ => Error::Disk { what: "cannot read", path: path.to_owned(), source },
        };
        let file = disk.open(path, OpenMode::Read).map_err(failed)?;
        let len = file.len().map_err(failed)?;
        if len != entry.bytes {
            return Err(damaged(len, &format!("the file has {len} bytes, not {}", entry.bytes)));
        }
        let mut tail = vec![0; (len - entry.tail_at.min(len)) as usize];
        let read = file.read_at(&mut tail, entry.tail_at).map_err(failed)?;
        if read < tail.len() || crc32c::crc32c(&tail) != entry.tail_crc {
            return Err(damaged(entry.tail_at, "the indexes' checksum is wrong"));
        }
        let parsed = Parsed::new(len, entry.tail_at, Bytes::from(tail));
        let parsed = parsed.ok_or_else(|| damaged(entry.tail_at, "the indexes cannot be read"))?;
        let mut tail = Self {
            path: path.to_owned(),
            metadata: parsed.metadata,
            directory: Directory::decode(&[0; 4]).expect("no device"),
            columns: Vec::new(),
            latest: parsed.latest,
            rollups: parsed.rollups,
            decoders,
            file,
            len,
            checks: parsed.checks,
            tail_at: entry.tail_at,
            tail_bytes: (len - entry.tail_at) as usize,
        };
        let unreadable = |at: u64| move |_| damaged(at, "a section cannot be read");
        let [at, end] = parsed.directory;
        tail.directory = Directory::decode(&tail.read(at, end)?).map_err(unreadable(at))?;
        let [at, end] = parsed.statistics;
        tail.columns = ColumnStatistics::decode_all(&tail.read(at, end)?).map_err(unreadable(at))?;
        let columns = Fixed::ALL.len() + tail.columns.len();
        let is_whole = tail.metadata.row_group(0).num_columns() == columns;
        let rows = entry.rows as usize;
        if !is_whole || tail.directory.rows() != rows || tail.metadata.row_group(0).num_rows() != rows as i64 {
            return Err(damaged(entry.tail_at, "the sections contradict each other"));
        }
        Ok(tail)
    }

    /// Checked bytes of the pages and sections.
    pub fn read(&self, start: u64, end: u64) -> Result<Bytes, Error> {
        read_checked(&*self.file, &self.checks, self.tail_at, start, end).map_err(|error| match error {
            ReadError::Disk(source) => Error::Disk { what: "cannot read", path: self.path.clone(), source },
            ReadError::Damaged(at) => self.damaged(at, "a checksum is wrong"),
        })
    }

    /// A window on checked parts of the file.
    pub fn window(&self, parts: Vec<(u64, Bytes)>) -> Window {
        Window::new(self.len, parts)
    }

    /// Whether a receive time is stored for any row.
    pub fn has_received(&self) -> bool {
        !self.is_absent(Fixed::Received as usize)
    }

    /// Whether a column, by its position among all, has no value in the whole block, by its statistics.
    pub fn is_absent(&self, column: usize) -> bool {
        let chunk = self.metadata.row_group(0).column(column);
        let nulls = chunk.statistics().and_then(|statistics| statistics.null_count_opt());
        nulls == Some(self.directory.rows() as u64)
    }

    /// The position of a metric's column among all.
    pub fn position(&self, column: usize) -> usize {
        Fixed::ALL.len() + column
    }

    /// The position, among all columns, of those metrics' columns that are wanted.
    pub fn find_columns(&self, wanted: impl Fn(&ColumnKey) -> bool) -> impl Iterator<Item = (usize, &ColumnKey)> {
        let keys = self.columns.iter().map(|column| &column.key).enumerate();
        keys.filter(move |(_, key)| wanted(key)).map(|(at, key)| (Fixed::ALL.len() + at, key))
    }

    /// The latest section, if the block has it and it is what was written: rows tell the same at a higher cost.
    pub fn load_latest(&self) -> Result<Option<Latest>, Error> {
        let Some([at, end]) = self.latest else { return Ok(None) };
        self.load(at, end, |bytes| Latest::decode(bytes, &self.directory, &self.columns))
    }

    /// Where the rollups are, if the block has any and this part of them is what was written.
    pub fn load_rollup_index(&self) -> Result<Option<RollupIndex>, Error> {
        let Some([at, end]) = self.rollups else { return Ok(None) };
        let columns = self.columns.len();
        let index_end = end.min(at.saturating_add(RollupIndex::bytes_max(columns)));
        self.load(at, index_end, |bytes| RollupIndex::decode(bytes, at, columns))
    }

    /// The rollup of a column, by its number among the metrics, that stands here.
    pub fn load_rollup(&self, place: Range<u64>, level: Level, column: usize) -> Result<Option<Rollup>, Error> {
        let of = &self.columns[column];
        self.load(place.start, place.end, |bytes| Rollup::decode(bytes, level, &self.directory, of))
    }

    /// Loads a section that a block can do without. One that is damaged is none.
    fn load<T>(&self, at: u64, end: u64, decode: impl FnOnce(&[u8]) -> Result<T, Short>) -> Result<Option<T>, Error> {
        let decoded = match self.read(at, end) {
            Ok(bytes) => decode(&bytes).map_err(|_| self.damaged(at, "a section cannot be read")),
            Err(error) => Err(error),
        };
        match decoded {
            Ok(section) => Ok(Some(section)),
            Err(error @ Error::Corrupt { .. }) => {
                tracing::error!(%error, "a section of a block is damaged: its rows are read instead");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    pub fn damaged(&self, at: u64, what: &str) -> Error {
        Error::Corrupt { path: self.path.clone(), at, what: what.to_owned() }
    }
}

impl Cached for Tail {
    /// Decoded indexes take some times what they take in the file.
    fn bytes(&self) -> usize {
        self.directory.bytes() + 4 * self.tail_bytes
    }
}

/// What stands in the part of the file whose checksum is in the catalog.
struct Parsed {
    metadata: ParquetMetaData,
    checks: Vec<u32>,
    /// Start and end.
    directory: [u64; 2],
    statistics: [u64; 2],
    latest: Option<[u64; 2]>,
    rollups: Option<[u64; 2]>,
}

impl Parsed {
    fn new(len: u64, tail_at: u64, tail: Bytes) -> Option<Self> {
        let window = Window::new(len, vec![(tail_at, tail.clone())]);
        let reader = ParquetMetaDataReader::new().with_offset_index_policy(PageIndexPolicy::Required);
        let metadata = reader.parse_and_finish(&window).ok()?;
        if metadata.num_row_groups() != 1 {
            return None;
        }
        let own = metadata.file_metadata().key_value_metadata()?.iter().find(|pair| pair.key == METADATA_KEY)?;
        let places: serde_json::Value = serde_json::from_str(own.value.as_deref()?).ok()?;
        let place = |name: &str| {
            let at = places[name][0].as_u64()?;
            Some([at, at.checked_add(places[name][1].as_u64()?)?])
        };
        let [at, end] = place("checks")?;
        let skip = |at: u64| usize::try_from(at.checked_sub(tail_at)?).ok();
        let mut checks = Reader(tail.get(skip(at)?..skip(end)?)?);
        if checks.u32().ok()? as usize != GRANULE_BYTES {
            return None;
        }
        let checks = checks.0.chunks_exact(4).map(|crc| u32::from_le_bytes(crc.try_into().expect("four bytes")));
        let checks = checks.collect();
        let (directory, statistics) = (place("directory")?, place("statistics")?);
        Some(Self { checks, directory, statistics, latest: place("latest"), rollups: place("rollups"), metadata })
    }
}
