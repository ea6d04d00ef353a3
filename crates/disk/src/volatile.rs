//! Real files whose unsynced bytes die with the process, as they would with the power.
//!
//! A negative control runs the shipped line on this disk and kills it: what was acknowledged before its sync is gone.
//! With `lying`, a sync answers at once and hands nothing over, so that even a correct journal loses. Names are passed
//! on at once. What waits is kept in memory without a limit.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use model::disk::Entry;
use model::{Disk, DiskFile, OpenMode};

use crate::RealDisk;

#[cfg(test)]
mod tests;

const PAGE_BYTES: usize = 4096;

/// A real directory tree in front of which unsynced writes wait in memory.
pub struct VolatileDisk {
    lying: bool,
    waiting: Mutex<HashMap<PathBuf, Arc<Mutex<Waiting>>>>,
}

/// The pages of one file that were written and not handed over. All handles on the file share them.
#[derive(Default)]
struct Waiting {
    pages: BTreeMap<u64, Box<[u8; PAGE_BYTES]>>,
    /// Length as the process sees it; 0 while nothing waits.
    len: u64,
}

impl VolatileDisk {
    /// A sync hands over what waits; with `lying` it only says so.
    pub fn new(lying: bool) -> Self {
        Self { lying, waiting: Mutex::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<PathBuf, Arc<Mutex<Waiting>>>> {
        self.waiting.lock().expect("no holder of this lock panics")
    }
}

impl Disk for VolatileDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        // What waits is handed over from memory that is not aligned.
        let inner = RealDisk.open(path, if mode == OpenMode::Direct { OpenMode::ReadWrite } else { mode })?;
        let mut all = self.waiting();
        if mode == OpenMode::CreateNew {
            all.remove(path);
        }
        let waiting = all.entry(path.to_owned()).or_default().clone();
        Ok(Box::new(VolatileFile { inner, waiting, lying: self.lying }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = RealDisk.list(dir)?;
        let all = self.waiting();
        for entry in &mut entries {
            if let Some(waiting) = all.get(&dir.join(&entry.name)) {
                entry.len = entry.len.max(lock(waiting).len);
            }
        }
        Ok(entries)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut all = self.waiting();
        RealDisk.rename(from, to)?;
        match all.remove(from) {
            Some(waiting) => all.insert(to.to_owned(), waiting),
            None => all.remove(to),
        };
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.waiting().remove(path);
        RealDisk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        RealDisk.free_bytes(path)
    }
}

struct VolatileFile {
    inner: Box<dyn DiskFile>,
    waiting: Arc<Mutex<Waiting>>,
    lying: bool,
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().expect("no holder of this lock panics")
}

/// The parts of `offset..offset + len` by page: page number, position in the page, position in the range, length.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let (page, start) = (at / PAGE_BYTES as u64, (at % PAGE_BYTES as u64) as usize);
        let part = (page, start, done, (PAGE_BYTES - start).min(len - done));
        done += part.3;
        (part.3 > 0).then_some(part)
    })
}

impl VolatileFile {
    fn page<'a>(&self, waiting: &'a mut Waiting, page: u64) -> io::Result<&'a mut [u8; PAGE_BYTES]> {
        Ok(match waiting.pages.entry(page) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let mut bytes = Box::new([0; PAGE_BYTES]);
                self.inner.read_at(&mut bytes[..], page * PAGE_BYTES as u64)?;
                entry.insert(bytes)
            }
        })
    }
}

impl DiskFile for VolatileFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let waiting = lock(&self.waiting);
        let mut read = self.inner.read_at(buf, offset)?;
        let visible = (waiting.len.saturating_sub(offset) as usize).min(buf.len());
        if visible > read {
            buf[read..visible].fill(0);
            read = visible;
        }
        for (page, start, at, len) in parts(offset, read) {
            if let Some(bytes) = waiting.pages.get(&page) {
                buf[at..at + len].copy_from_slice(&bytes[start..start + len]);
            }
        }
        Ok(read)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let mut waiting = lock(&self.waiting);
        for (page, start, at, len) in parts(offset, buf.len()) {
            self.page(&mut waiting, page)?[start..start + len].copy_from_slice(&buf[at..at + len]);
        }
        waiting.len = waiting.len.max(offset + buf.len() as u64).max(self.inner.len()?);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.lying {
            return Ok(());
        }
        let mut waiting = lock(&self.waiting);
        for (page, bytes) in &waiting.pages {
            let at = page * PAGE_BYTES as u64;
            let len = PAGE_BYTES.min(waiting.len.saturating_sub(at) as usize);
            self.inner.write_at(&bytes[..len], at)?;
        }
        *waiting = Waiting::default();
        self.inner.sync_data()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.inner.allocate(len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut waiting = lock(&self.waiting);
        waiting.pages.retain(|page, _| page * (PAGE_BYTES as u64) < len);
        if let Some(bytes) = waiting.pages.get_mut(&(len / PAGE_BYTES as u64)) {
            bytes[(len % PAGE_BYTES as u64) as usize..].fill(0);
        }
        waiting.len = waiting.len.min(len);
        self.inner.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.waiting).len.max(self.inner.len()?))
    }
}
