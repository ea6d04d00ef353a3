//! The contract through which every library touches files, so that a test can tear a write, lose what was not synced or
//! fill the disk. Crate `disk` implements it.
//!
//! What an implementation promises:
//! - bytes written are read back by the same process at once, and survive a crash only after [`DiskFile::sync_data`];
//! - a created, renamed or removed name survives a crash only after [`Disk::sync_dir`] on its directory;
//! - an error means that the operation may have happened in part. After a failed `sync_data` the file is never to be
//!   trusted again, however later calls answer.

use std::io;
use std::path::{Path, PathBuf};

/// How [`Disk::open`] opens a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenMode {
    /// An existing file, for reading.
    Read,
    /// An existing file, for reading and writing.
    ReadWrite,
    /// An existing file, for reading and writing past the page cache where the file system offers that: addresses,
    /// positions and lengths are multiples of [`BLOCK_BYTES`](crate::blocks::BLOCK_BYTES).
    Direct,
    /// A file that must not exist yet, for reading and writing, with mode 0600.
    CreateNew,
}

/// A file's name and length, as [`Disk::list`] reports it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub name: String,
    /// Length in bytes.
    pub len: u64,
    pub is_dir: bool,
}

/// A directory tree.
pub trait Disk: Send + Sync + 'static {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>>;
    /// The entries of a directory, sorted by name.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;
    /// Creates a directory (mode 0700) and its parents; an existing one is no error.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Renames a file, replacing `to` atomically.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Bytes that can still be written to the file system that holds `path`.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// An open file. Positions are absolute: there is no cursor, so that threads can share one.
#[allow(clippy::len_without_is_empty, reason = "a file's length, not a collection's")]
pub trait DiskFile: Send + Sync {
    /// Reads up to `buf.len()` bytes; fewer only at the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `buf`.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;
    /// Makes data and length durable (fdatasync).
    fn sync_data(&self) -> io::Result<()>;
    /// Grows the file to `len` bytes of zeros whose blocks are really there; never shrinks it.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// Cuts or grows the file to `len` bytes.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
}

/// The whole of a file.
pub fn read_all(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path, OpenMode::Read)?;
    let mut bytes = vec![0; file.len()? as usize];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Replaces `path` by `bytes` so that a crash leaves the old content or the new, never a mixture: writes `path.tmp`,
/// syncs it, renames it and syncs the directory.
pub fn write_atomic(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    let temporary = PathBuf::from(name);
    match disk.remove(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.open(&temporary, OpenMode::CreateNew)?;
    file.write_at(bytes, 0)?;
    file.sync_data()?;
    drop(file);
    disk.rename(&temporary, path)?;
    match path.parent() {
        Some(dir) => disk.sync_dir(dir),
        None => Ok(()),
    }
}
