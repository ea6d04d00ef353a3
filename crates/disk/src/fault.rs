//! A file system in memory that treats unsynced work as a real one may.
//!
//! Every file has two contents: what the process reads back, and what is on the medium. Writes go to the first and
//! wait; a sync applies them to the second. Names work likewise: changes of a directory wait for `sync_dir`. A crash
//! keeps a seeded choice of what waits: all, none, a prefix or any subset, each write whole, torn at a byte, or some of
//! its sectors. A failed sync behaves as Linux does: what waited never reaches the medium, although it is still read
//! back, every handle that was open hears of the failure once, and later syncs succeed.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use model::blocks::BLOCK_BYTES;
use model::disk::Entry;
use model::{Disk, DiskFile, OpenMode};

use crate::inject::{Faults, Operation};

mod content;
mod names;
#[cfg(test)]
mod tests;

use content::Content;
use names::{Names, Node};

/// A small deterministic generator (splitmix64): crashes must be the same on every machine and version.
struct Choice(u64);

impl Choice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, or 0.
    fn below(&mut self, limit: usize) -> usize {
        if limit == 0 { 0 } else { (self.next() % limit as u64) as usize }
    }

    fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

/// A disk in memory with crashes and failures. Clones share one disk.
#[derive(Clone)]
pub struct FaultDisk {
    faults: Faults,
    state: Arc<Mutex<State>>,
}

#[derive(Clone)]
struct State {
    names: Names,
    files: HashMap<u64, Content>,
    file_next: u64,
    dead: bool,
    capacity: u64,
    lying: bool,
}

impl Default for FaultDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl FaultDisk {
    /// An empty disk without a limit.
    pub fn new() -> Self {
        let state = State {
            names: Names::default(),
            files: HashMap::new(),
            file_next: 0,
            dead: false,
            capacity: u64::MAX,
            lying: false,
        };
        Self::of(state)
    }

    /// An empty disk that says that it syncs and does not: what a negative control runs on.
    pub fn lying() -> Self {
        let disk = Self::new();
        disk.state().lying = true;
        disk
    }

    /// The plan of failures of this disk.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Limits the sum of file lengths; more is refused with `StorageFull`.
    pub fn set_capacity(&self, bytes: u64) {
        self.state().capacity = bytes;
    }

    /// Power cut: what is on the disk afterwards. What was not synced is kept as `seed` chooses. This disk is dead: every
    /// operation on it and its files fails, so that what ran on it cannot touch the disk any more.
    pub fn crash(&self, seed: u64) -> Self {
        let survivor = self.kill();
        let mut choice = Choice(seed);
        {
            let mut state = survivor.state();
            let State { names, files, .. } = &mut *state;
            names.crash(&mut choice);
            let linked = names.files();
            files.retain(|id, _| linked.contains(id));
            let mut ids: Vec<_> = files.keys().copied().collect();
            ids.sort_unstable();
            for id in ids {
                files.get_mut(&id).expect("listed above").crash(&mut choice);
            }
        }
        survivor
    }

    /// Ends the process, not the machine: what was written is still there, synced or not. This disk is dead, as after
    /// [`FaultDisk::crash`].
    pub fn kill(&self) -> Self {
        let mut state = self.state();
        let survivor = Self::of(state.clone());
        state.dead = true;
        survivor
    }

    /// The bytes of a file, past all failures: for a test that damages them.
    pub fn contents(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut state = self.state();
        Ok(state.file_at(path)?.data().to_vec())
    }

    /// Replaces the bytes of a file, durably and past all failures.
    pub fn set_contents(&self, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
        self.state().file_at(path)?.replace(bytes);
        Ok(())
    }

    /// A copy that shares nothing with this disk, with its own plan of failures.
    pub fn fork(&self) -> Self {
        Self::of(self.state().clone())
    }

    fn of(state: State) -> Self {
        Self { faults: Faults::default(), state: Arc::new(Mutex::new(state)) }
    }

    fn enter(&self, operation: Operation, path: &Path) -> io::Result<MutexGuard<'_, State>> {
        let planned = self.faults.enter(operation, path);
        let state = self.state();
        planned?;
        state.check_alive()?;
        Ok(state)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{} does not exist", path.display()))
}

impl State {
    fn check_alive(&self) -> io::Result<()> {
        if self.dead { Err(io::Error::other("the disk is gone: it crashed")) } else { Ok(()) }
    }

    fn file_at(&mut self, path: &Path) -> io::Result<&mut Content> {
        match self.names.get(path) {
            Some(Node::File(id)) => Ok(self.files.get_mut(&id).expect("every name has its file")),
            _ => Err(not_found(path)),
        }
    }

    fn used(&self) -> u64 {
        self.files.values().map(|file| file.data().len() as u64).sum()
    }

    fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.used())
    }
}

impl Disk for FaultDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.enter(Operation::Open, path)?;
        let id = match (state.names.get(path), mode) {
            (Some(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(Node::File(id)), _) => id,
            (None, OpenMode::CreateNew) => {
                let id = state.file_next;
                state.file_next += 1;
                state.names.link(path, Node::File(id))?;
                state.files.insert(id, Content::default());
                id
            }
            _ => return Err(not_found(path)),
        };
        let errors_seen = state.files[&id].errors();
        let (writable, direct) = (mode != OpenMode::Read, mode == OpenMode::Direct);
        let (disk, path) = (self.clone(), path.to_owned());
        Ok(Box::new(Handle { disk, path, id, writable, direct, errors_seen: Mutex::new(errors_seen) }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let state = self.enter(Operation::List, dir)?;
        let children = state.names.children(dir)?;
        let entries = children.into_iter().map(|(name, node)| match node {
            Node::Dir => Entry { name, len: 0, is_dir: true },
            Node::File(id) => Entry { name, len: state.files[&id].data().len() as u64, is_dir: false },
        });
        Ok(entries.collect())
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.enter(Operation::CreateDir, dir)?.names.create_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.enter(Operation::Rename, from)?.names.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.enter(Operation::Remove, path)?.names.unlink(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.enter(Operation::SyncDir, dir)?;
        if !state.lying {
            state.names.sync(dir);
        }
        Ok(())
    }

    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        Ok(self.state().free())
    }
}

struct Handle {
    disk: FaultDisk,
    /// What the file was called when it was opened.
    path: PathBuf,
    id: u64,
    writable: bool,
    direct: bool,
    errors_seen: Mutex<u64>,
}

impl Handle {
    /// Runs `act` on the file, unless the handle is dead or may not write.
    fn with<T>(&self, operation: Operation, act: impl FnOnce(&mut Content, &Limits) -> io::Result<T>) -> io::Result<T> {
        let planned = self.disk.faults.enter(operation, &self.path);
        let mut state = self.disk.state();
        state.check_alive()?;
        if operation != Operation::Read && !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let limits = Limits { free: state.free(), lying: state.lying };
        let file = state.files.get_mut(&self.id).expect("a live handle keeps its file");
        if let Err(error) = planned {
            if operation == Operation::SyncData {
                file.fail_sync();
                *self.errors_seen.lock().expect("no holder of this lock panics") = file.errors();
            }
            return Err(error);
        }
        act(file, &limits)
    }
}

struct Limits {
    free: u64,
    lying: bool,
}

impl Limits {
    fn grow(&self, from: usize, to: u64) -> io::Result<()> {
        if to.saturating_sub(from as u64) > self.free { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl Handle {
    /// Direct access takes whole, aligned blocks only.
    fn check_blocks(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let whole = buf.as_ptr().addr().is_multiple_of(BLOCK_BYTES)
            && buf.len().is_multiple_of(BLOCK_BYTES)
            && offset.is_multiple_of(BLOCK_BYTES as u64);
        if self.direct && !whole { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(()) }
    }
}

impl DiskFile for Handle {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.check_blocks(buf, offset)?;
        self.with(Operation::Read, |file, _| Ok(file.read(buf, offset as usize)))
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.check_blocks(buf, offset)?;
        self.with(Operation::Write, |file, limits| {
            limits.grow(file.data().len(), offset + buf.len() as u64)?;
            file.write(buf, offset as usize);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(Operation::SyncData, |file, limits| {
            let mut seen = self.errors_seen.lock().expect("no holder of this lock panics");
            if *seen != file.errors() {
                *seen = file.errors();
                return Err(io::Error::other("an earlier write-back of this file failed"));
            }
            if !limits.lying {
                file.sync();
            }
            Ok(())
        })
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.with(Operation::Allocate, |file, limits| {
            limits.grow(file.data().len(), len)?;
            if len as usize > file.data().len() {
                file.set_len(len as usize);
            }
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(Operation::SetLen, |file, limits| {
            limits.grow(file.data().len(), len)?;
            file.set_len(len as usize);
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        Ok(state.files.get_mut(&self.id).map_or(0, |file| file.data().len() as u64))
    }
}
