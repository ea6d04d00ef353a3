//! A file system in memory that treats unsynced work as a real one may.
//!
//! Every file has two contents: what the process reads back, and what is on the medium. Writes go to the first and
//! wait; a sync applies them to the second. Names work likewise: changes of a directory wait for `sync_dir`. A crash
//! keeps a seeded choice of what waits: all, none, a prefix or any subset, each write whole, torn at a byte, or some of
//! its 512-byte sectors. The power can be cut before any operation that changes something ([`Watcher`]). A failed sync behaves as Linux does: what waited never reaches the medium, although it is still read
//! back, every handle that was open hears of the failure once, and later syncs succeed.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use model::blocks::BLOCK_BYTES;
use model::disk::Entry;
use model::{Disk, DiskFile, OpenMode};

use crate::inject::{Faults, Operation};

mod content;
mod names;
#[cfg(test)]
mod tests;
mod watch;

use content::Content;
use names::{Names, Node};

pub use watch::{Change, CountDown, Next, Watcher};

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

    /// What a crash keeps of one file's or directory's changes, of which `waiting` wait.
    fn kept(&mut self, waiting: usize) -> Kept {
        match self.below(4) {
            0 => Kept::Nothing,
            1 => Kept::Everything,
            2 => Kept::Prefix(self.below(waiting + 1)),
            _ => Kept::Any,
        }
    }
}

/// What a crash keeps of changes that were not synced.
#[derive(Clone, Copy)]
enum Kept {
    Nothing,
    Everything,
    /// So many of the oldest; the next one in part.
    Prefix(usize),
    /// Each by itself: whole, in part, or not.
    Any,
}

/// A disk in memory with crashes and failures. Clones share one disk.
#[derive(Clone)]
pub struct FaultDisk {
    faults: Faults,
    watcher: Arc<OnceLock<Arc<dyn Watcher>>>,
    state: Arc<Mutex<State>>,
}

#[derive(Clone)]
struct State {
    names: Names,
    files: HashMap<u64, Content>,
    file_next: u64,
    dead: bool,
    capacity: u64,
    /// The syncs that are only said to have happened.
    lies: Vec<Operation>,
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
            lies: Vec::new(),
        };
        Self::of(state)
    }

    /// An empty disk that says that it syncs and does not: what a negative control runs on.
    pub fn lying() -> Self {
        let disk = Self::new();
        disk.lie_about(Operation::SyncData);
        disk.lie_about(Operation::SyncDir);
        disk
    }

    /// From now on this kind of sync says that it syncs and does not, on what is left after a crash too.
    pub fn lie_about(&self, sync: Operation) {
        self.state().lies.push(sync);
    }

    /// Lets `watcher` stand at every change of this disk. There is one for the life of the disk: what is left after a
    /// crash has none.
    pub fn watch(&self, watcher: Arc<dyn Watcher>) {
        assert!(self.watcher.set(watcher).is_ok(), "a disk has one watcher");
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
        // Of a disk that is dead already nobody sees anything any more.
        let mut left = if state.dead { state.take() } else { state.clone() };
        left.dead = false;
        state.dead = true;
        Self::of(left)
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
        Self { faults: Faults::default(), watcher: Arc::default(), state: Arc::new(Mutex::new(state)) }
    }

    /// Tells the watcher of a change; whether the power goes with it.
    fn is_last(&self, change: &Change<'_>) -> bool {
        self.watcher.get().is_some_and(|watcher| watcher.before(change) == Next::Cut)
    }

    /// Makes a change of names.
    fn change_names(
        &self,
        operation: Operation,
        path: &Path,
        act: impl FnOnce(&mut Names) -> io::Result<()>,
    ) -> io::Result<()> {
        let is_last = self.is_last(&Change { operation, path, offset: 0, len: 0 });
        let mut state = self.enter(operation, path)?;
        if is_last {
            return Err(state.cut(|state| act(&mut state.names)));
        }
        act(&mut state.names)
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

fn gone() -> io::Error {
    io::Error::other("the disk is gone: it crashed")
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{} does not exist", path.display()))
}

impl State {
    fn check_alive(&self) -> io::Result<()> {
        if self.dead { Err(gone()) } else { Ok(()) }
    }

    /// The power goes: nobody hears how `act` went.
    fn cut<T>(&mut self, act: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Error {
        let unheard = act(self);
        drop(unheard);
        self.dead = true;
        gone()
    }

    fn take(&mut self) -> Self {
        let Self { names, files, file_next, dead, capacity, lies } = self;
        let (file_next, dead, capacity) = (*file_next, *dead, *capacity);
        Self {
            names: std::mem::take(names),
            files: std::mem::take(files),
            file_next,
            dead,
            capacity,
            lies: std::mem::take(lies),
        }
    }

    fn create(&mut self, path: &Path) -> io::Result<u64> {
        let id = self.file_next;
        self.file_next += 1;
        self.names.link(path, Node::File(id))?;
        self.files.insert(id, Content::default());
        Ok(id)
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
        let creates = mode == OpenMode::CreateNew;
        let is_last = creates && self.is_last(&Change { operation: Operation::Open, path, offset: 0, len: 0 });
        let mut state = self.enter(Operation::Open, path)?;
        let id = match (state.names.get(path), mode) {
            (Some(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(Node::File(id)), _) => id,
            (None, OpenMode::CreateNew) if is_last => return Err(state.cut(|state| state.create(path))),
            (None, OpenMode::CreateNew) => state.create(path)?,
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
        self.change_names(Operation::CreateDir, dir, |names| names.create_dir(dir))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change_names(Operation::Rename, from, |names| names.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change_names(Operation::Remove, path, |names| names.unlink(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let is_last = self.is_last(&Change { operation: Operation::SyncDir, path: dir, offset: 0, len: 0 });
        let mut state = self.enter(Operation::SyncDir, dir)?;
        if is_last {
            return Err(state.cut(|_| Ok(())));
        }
        if !state.lies.contains(&Operation::SyncDir) {
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
    /// Changes the file or makes it durable, unless the handle is dead or may not write.
    fn change(
        &self,
        (operation, offset, len): (Operation, u64, u64),
        act: impl FnOnce(&mut Content, &Limits) -> io::Result<()>,
    ) -> io::Result<()> {
        let is_last = self.disk.is_last(&Change { operation, path: &self.path, offset, len });
        self.with(operation, |file, limits| {
            if !is_last {
                return act(file, limits);
            }
            if operation != Operation::SyncData {
                drop(act(file, limits));
            }
            Err(gone())
        })
        .inspect_err(|_| self.disk.state().dead |= is_last)
    }

    /// Runs `act` on the file, unless the handle is dead or may not write.
    fn with<T>(&self, operation: Operation, act: impl FnOnce(&mut Content, &Limits) -> io::Result<T>) -> io::Result<T> {
        let planned = self.disk.faults.enter(operation, &self.path);
        let mut state = self.disk.state();
        state.check_alive()?;
        if operation != Operation::Read && !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let limits = Limits { free: state.free(), lying: state.lies.contains(&Operation::SyncData) };
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
        self.change((Operation::Write, offset, buf.len() as u64), |file, limits| {
            limits.grow(file.data().len(), offset + buf.len() as u64)?;
            file.write(buf, offset as usize);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change((Operation::SyncData, 0, 0), |file, limits| {
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
        self.change((Operation::Allocate, 0, len), |file, limits| {
            limits.grow(file.data().len(), len)?;
            if len as usize > file.data().len() {
                file.set_len(len as usize);
            }
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change((Operation::SetLen, 0, len), |file, limits| {
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
