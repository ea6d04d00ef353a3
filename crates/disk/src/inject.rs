//! Failures on order: the n-th call of an operation fails, or waits until it is let go.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use model::disk::Entry;
use model::{Disk, DiskFile, OpenMode};

/// The operations of the `Disk` contract that can be made to fail.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operation {
    Open,
    List,
    CreateDir,
    Rename,
    Remove,
    SyncDir,
    Read,
    Write,
    SyncData,
    Allocate,
    SetLen,
}

/// A plan of failures. Clones share one plan.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    plan: Mutex<Plan>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Plan {
    calls: HashMap<Operation, u64>,
    failures: Vec<Failure>,
    held: HashMap<Operation, Hold>,
}

#[derive(Debug)]
struct Failure {
    operation: Operation,
    /// The part of the path that a file has to have; all files without it.
    under: Option<String>,
    /// Counted as [`Faults::calls`] counts.
    first: u64,
    times: u64,
    kind: io::ErrorKind,
}

impl Failure {
    fn concerns(&self, call: u64, path: &Path) -> bool {
        let under = self.under.as_deref().is_none_or(|name| path.iter().any(|part| part == name));
        under && call >= self.first && call - self.first < self.times
    }
}

#[derive(Debug, Default)]
struct Hold {
    closed: bool,
    waiting: usize,
}

impl Faults {
    /// Makes the `nth` call of `operation` from now on (1 is the next) fail, and the `times - 1` calls after it.
    pub fn fail(&self, operation: Operation, nth: u64, times: u64, kind: io::ErrorKind) {
        let mut plan = self.plan();
        let first = plan.calls.get(&operation).copied().unwrap_or(0) + nth;
        plan.failures.push(Failure { operation, under: None, first, times, kind });
    }

    /// Makes every call of `operation` fail whose path has a part called `name`, as `dead-letter` for that log's files.
    pub fn fail_under(&self, name: &str, operation: Operation, kind: io::ErrorKind) {
        let under = Some(name.to_owned());
        self.plan().failures.push(Failure { operation, under, first: 0, times: u64::MAX, kind });
    }

    /// Forgets the failures that have not happened yet.
    pub fn heal(&self) {
        self.plan().failures.clear();
    }

    /// Calls of `operation` so far, failed ones included.
    pub fn calls(&self, operation: Operation) -> u64 {
        self.plan().calls.get(&operation).copied().unwrap_or(0)
    }

    /// Makes calls of `operation` wait until [`Faults::release`]: a stalled disk.
    pub fn hold(&self, operation: Operation) {
        self.plan().held.entry(operation).or_default().closed = true;
    }

    /// Lets the calls go that [`Faults::hold`] stopped.
    pub fn release(&self, operation: Operation) {
        self.plan().held.entry(operation).or_default().closed = false;
        self.0.changed.notify_all();
    }

    /// Blocks until `count` calls of `operation` are held.
    pub fn wait_held(&self, operation: Operation, count: usize) {
        let plan = self.plan();
        let few = |plan: &mut Plan| plan.held.get(&operation).is_none_or(|hold| hold.waiting < count);
        drop(self.0.changed.wait_while(plan, few).expect("no holder of this lock panics"));
    }

    /// Counts a call on the file or directory at `path`; waits or fails if the plan says so.
    pub(crate) fn enter(&self, operation: Operation, path: &Path) -> io::Result<()> {
        let mut plan = self.plan();
        let count = plan.calls.entry(operation).or_default();
        *count += 1;
        let call = *count;
        if plan.held.get(&operation).is_some_and(|hold| hold.closed) {
            plan = self.wait_for_release(plan, operation);
        }
        let hit = |failure: &&Failure| failure.operation == operation && failure.concerns(call, path);
        match plan.failures.iter().find(hit) {
            Some(failure) => Err(io::Error::new(failure.kind, format!("injected on call {call} of {operation:?}"))),
            None => Ok(()),
        }
    }

    fn wait_for_release<'a>(&'a self, mut plan: MutexGuard<'a, Plan>, operation: Operation) -> MutexGuard<'a, Plan> {
        plan.held.entry(operation).or_default().waiting += 1;
        self.0.changed.notify_all();
        let closed = |plan: &mut Plan| plan.held.get(&operation).is_some_and(|hold| hold.closed);
        let mut plan = self.0.changed.wait_while(plan, closed).expect("no holder of this lock panics");
        plan.held.entry(operation).or_default().waiting -= 1;
        plan
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.plan.lock().expect("no holder of this lock panics")
    }
}

/// Another disk with failures in front of it. A failed operation does not reach that disk.
pub struct InjectedDisk {
    inner: Arc<dyn Disk>,
    faults: Faults,
}

impl InjectedDisk {
    /// `inner`, failing as `faults` says.
    pub fn new(inner: Arc<dyn Disk>, faults: Faults) -> Self {
        Self { inner, faults }
    }
}

impl Disk for InjectedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        self.faults.enter(Operation::Open, path)?;
        let (inner, path) = (self.inner.open(path, mode)?, path.to_owned());
        Ok(Box::new(InjectedFile { inner, path, faults: self.faults.clone() }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.faults.enter(Operation::List, dir)?;
        self.inner.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.faults.enter(Operation::CreateDir, dir)?;
        self.inner.create_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.faults.enter(Operation::Rename, from)?;
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.faults.enter(Operation::Remove, path)?;
        self.inner.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.faults.enter(Operation::SyncDir, dir)?;
        self.inner.sync_dir(dir)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.inner.free_bytes(path)
    }
}

struct InjectedFile {
    inner: Box<dyn DiskFile>,
    path: PathBuf,
    faults: Faults,
}

impl DiskFile for InjectedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.faults.enter(Operation::Read, &self.path)?;
        self.inner.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.faults.enter(Operation::Write, &self.path)?;
        self.inner.write_at(buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.faults.enter(Operation::SyncData, &self.path)?;
        self.inner.sync_data()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.faults.enter(Operation::Allocate, &self.path)?;
        self.inner.allocate(len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.faults.enter(Operation::SetLen, &self.path)?;
        self.inner.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
}
