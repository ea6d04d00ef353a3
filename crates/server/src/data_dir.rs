//! The data directory: who owns it, of which version it is, and the small files in it that people and tools read.
//!
//! ```text
//! DIR/lock           held while a server runs; its pid
//! DIR/version        the layout's version
//! DIR/admin.key      the first admin API key, mode 0600
//! DIR/listen.json    the addresses in use, written once the server is ready and removed when it ends
//! DIR/registry.db    registry        DIR/journal/  topics      DIR/store/  blocks and catalog      DIR/snapshots/
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use model::ErrorKind;
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// The version of the layout above. It changes when an older binary could not read what a newer one wrote.
pub const VERSION: u32 = 1;

/// The addresses in use, as in `listen.json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Listen {
    pub mqtt: SocketAddr,
    pub http: SocketAddr,
    pub operations: SocketAddr,
    /// The loopback listener without credentials, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dev_anonymous: Option<SocketAddr>,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error(
        "the data directory {} is in use by a tidewater server with pid {pid}; stop that one first, or give this one another directory with --data",
        dir.display()
    )]
    Locked { dir: PathBuf, pid: String },
    #[error(
        "the data directory {} has layout version {found}, and this binary reads version {VERSION}; use the binary that wrote it, or another directory with --data",
        dir.display()
    )]
    Version { dir: PathBuf, found: String },
    #[error("the data directory {} cannot be used: {doing} failed: {source}", dir.display())]
    Io { dir: PathBuf, doing: &'static str, source: io::Error },
}

impl DataDirError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Locked { .. } => ErrorKind::Conflict,
            Self::Version { .. } => ErrorKind::Invalid,
            Self::Io { .. } => ErrorKind::Unavailable,
        }
    }
}

/// A data directory that this process owns until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// The advisory lock goes with the descriptor, so a killed process never leaves one behind.
    _lock: File,
}

impl DataDir {
    /// Creates the directory (mode 0700) if need be, takes its lock and checks its version.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let fail = |doing| move |source| DataDirError::Io { dir: path.to_owned(), doing, source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(fail("creating it"))?;
        let lock = lock(path)?;
        check_version(path)?;
        remove_if_there(&path.join("listen.json")).map_err(fail("removing listen.json"))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    pub fn store(&self) -> PathBuf {
        self.path.join("store")
    }

    pub fn snapshots(&self) -> PathBuf {
        self.path.join("snapshots")
    }

    pub fn registry(&self) -> PathBuf {
        self.path.join("registry.db")
    }

    /// Keeps the admin key where the command line finds it.
    pub fn write_admin_key(&self, key: &str) -> io::Result<PathBuf> {
        let path = self.path.join("admin.key");
        write_private(&path, format!("{key}\n").as_bytes())?;
        Ok(path)
    }

    /// Says where the server listens. Whoever waits for the file can connect once it is there.
    pub fn write_listen(&self, listen: &Listen) -> io::Result<()> {
        let text = serde_json::to_vec(listen)?;
        let temporary = self.path.join("listen.json.tmp");
        write_private(&temporary, &text)?;
        fs::rename(&temporary, self.path.join("listen.json"))
    }

    /// Takes the addresses back at the end.
    pub fn remove_listen(&self) -> io::Result<()> {
        remove_if_there(&self.path.join("listen.json"))
    }
}

fn lock(path: &Path) -> Result<File, DataDirError> {
    let fail = |doing| move |source| DataDirError::Io { dir: path.to_owned(), doing, source };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path.join("lock"))
        .map_err(fail("opening its lock file"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid).map_err(fail("reading its lock file"))?;
            return Err(DataDirError::Locked { dir: path.to_owned(), pid: pid.trim().to_owned() });
        }
        Err(TryLockError::Error(source)) => return Err(fail("locking it")(source)),
    }
    let pid = format!("{}\n", std::process::id());
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(pid.as_bytes()))
        .map_err(fail("writing its lock file"))?;
    Ok(file)
}

fn check_version(path: &Path) -> Result<(), DataDirError> {
    let fail = |doing| move |source| DataDirError::Io { dir: path.to_owned(), doing, source };
    let file = path.join("version");
    match fs::read_to_string(&file) {
        Ok(text) if text.trim().parse() == Ok(VERSION) => Ok(()),
        Ok(text) => Err(DataDirError::Version { dir: path.to_owned(), found: text.trim().to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_private(&file, format!("{VERSION}\n").as_bytes()).map_err(fail("writing its version"))
        }
        Err(error) => Err(fail("reading its version")(error)),
    }
}

/// Writes a file that only its owner may read, and syncs it.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
