//! Maintenance: one worker that drops what is past retention, rewrites what holds erased devices, and merges small
//! blocks. What to do is chosen by pure functions of the catalog ([`crate::catalog::choose`]).
//!
//! Merging can wait, ingest cannot: after each block that a merge writes, its thread rests. When it falls behind, more
//! blocks wait, each merge takes more of them at once, and a row is rewritten less often.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use model::{Clock, DeviceId};

use crate::catalog::{Catalog, Entry, choose};
use crate::error::Error;
use crate::store::Shared;
use crate::write::Workshop;

mod merge;

use merge::Merged;

/// How often retention is looked at.
const WAIT: Duration = Duration::from_secs(60);

/// How long the thread rests after work on a merge, in multiples of what the work took: so it takes a quarter of one
/// core at most.
const REST_PER_WORK: u32 = 3;

/// The state of the worker.
pub struct Maintenance {
    /// Rows that merges have written since the start.
    rows_merged: AtomicU64,
    wake: Mutex<Wake>,
    woken: Condvar,
    work: Mutex<Work>,
}

#[derive(Default)]
struct Wake {
    woken: bool,
    closed: bool,
}

/// What the worker remembers; held while it works, so that there is one worker.
struct Work {
    /// Monotonic time when retention was looked at last.
    aged_at: Duration,
    /// Blocks whose merge would make one that is too large: they are left alone.
    is_final: HashSet<u64>,
    /// Blocks and erased devices of which it is known that the one does not hold the other.
    is_free: HashSet<(u64, DeviceId)>,
    workshop: Workshop,
}

impl Maintenance {
    pub fn new(clock: &Clock) -> Self {
        let work = Work {
            aged_at: clock.monotonic(),
            is_final: HashSet::new(),
            is_free: HashSet::new(),
            workshop: Workshop::default(),
        };
        Self { rows_merged: AtomicU64::new(0), wake: Mutex::default(), woken: Condvar::new(), work: Mutex::new(work) }
    }

    /// There may be something to do.
    pub fn wake(&self) {
        self.wake.lock().expect("no holder of this lock panics").woken = true;
        self.woken.notify_all();
    }

    /// Lets the worker end after what it is doing.
    pub fn close(&self) {
        self.wake.lock().expect("no holder of this lock panics").closed = true;
        self.woken.notify_all();
    }

    /// Rows that merges have written since the start.
    pub fn rows_merged(&self) -> u64 {
        self.rows_merged.load(Ordering::Relaxed)
    }

    fn count_merged(&self, rows: u64) {
        self.rows_merged.fetch_add(rows, Ordering::Relaxed);
    }

    /// Lets others work after `worked`, unless the store closes.
    fn rest(&self, worked: Duration) {
        let wake = self.wake.lock().expect("no holder of this lock panics");
        let rested = self.woken.wait_timeout_while(wake, worked * REST_PER_WORK, |wake| !wake.closed);
        drop(rested.expect("no holder of this lock panics"));
    }

    fn is_closed(&self) -> bool {
        self.wake.lock().expect("no holder of this lock panics").closed
    }

    /// Waits for something to do; false once the store closes.
    fn wait(&self) -> bool {
        let wake = self.wake.lock().expect("no holder of this lock panics");
        let idle = |wake: &mut Wake| !wake.woken && !wake.closed;
        let (mut wake, _) = self.woken.wait_timeout_while(wake, WAIT, idle).expect("no holder of this lock panics");
        wake.woken = false;
        !wake.closed
    }
}

/// The worker's thread.
pub fn run(shared: &Shared) {
    while shared.maintenance.wait() {
        if let Err(error) = run_until_done(shared, |worked| shared.maintenance.rest(worked)) {
            shared.note_failure(&error);
        }
    }
}

/// Does what there is to do now, without a rest.
pub fn run_due(shared: &Shared) -> Result<(), Error> {
    run_until_done(shared, |_| {})
}

/// Works until nothing is left or the store closes. `rest` is called after each block that a merge wrote, with the time
/// that it took.
fn run_until_done(shared: &Shared, rest: impl Fn(Duration)) -> Result<(), Error> {
    let mut work = shared.maintenance.work.lock().expect("no holder of this lock panics");
    loop {
        work.drop_old(shared)?;
        work.rewrite_erased(shared, &rest)?;
        if shared.maintenance.is_closed() || !work.merge_next(shared, &rest)? {
            break;
        }
    }
    // Merges come in bursts: between them their memory is for others.
    work.workshop = Workshop::default();
    Ok(())
}

impl Work {
    fn drop_old(&mut self, shared: &Shared) -> Result<(), Error> {
        let elapsed = shared.clock.monotonic().saturating_sub(self.aged_at);
        let catalog = shared.catalog();
        let aged_to = choose::age_to(catalog.aged_to, shared.clock.now_ms(), elapsed);
        let kept_from = |table: &model::Table| shared.tables.get_or_new(table).kept_from(aged_to);
        let old = choose::drop_old(&catalog, kept_from);
        self.aged_at += elapsed;
        if old.is_empty() {
            // Where the clock stands is written down with the next change.
            shared.set_aged_to(aged_to);
            return Ok(());
        }
        tracing::info!(blocks = old.len(), "dropping blocks past retention");
        shared.commit(Vec::new(), &old, &[], |catalog| catalog.aged_to = aged_to)
    }

    fn rewrite_erased(&mut self, shared: &Shared, rest: &impl Fn(Duration)) -> Result<(), Error> {
        let catalog = shared.catalog();
        if catalog.erased.is_empty() {
            self.is_free.clear();
            return Ok(());
        }
        let mut failed = None;
        let holds = |entry: &Entry, device: DeviceId| {
            if self.is_free.contains(&(entry.id, device)) {
                return false;
            }
            match shared.block(entry).open() {
                Ok(tail) if tail.directory.find(device).is_some() => true,
                Ok(_) => {
                    self.is_free.insert((entry.id, device));
                    false
                }
                Err(error) => {
                    if !shared.set_aside(&error) {
                        failed = Some(error);
                    }
                    false
                }
            }
        };
        let ids = choose::rewrite(&catalog, holds);
        if let Some(error) = failed {
            return Err(error);
        }
        for id in &ids {
            merge::merge(shared, &mut self.workshop, &[*id], rest)?;
        }
        // What was just rewritten is looked at once more before a device is forgotten.
        if ids.is_empty() {
            self.forget_erased(shared, &catalog)?;
        }
        Ok(())
    }

    fn forget_erased(&mut self, shared: &Shared, catalog: &Catalog) -> Result<(), Error> {
        let forgotten = choose::forget(catalog, shared.clock.now_ms());
        if forgotten.is_empty() {
            return Ok(());
        }
        shared.commit(Vec::new(), &[], &[], |catalog| {
            catalog.erased.retain(|device, _| !forgotten.contains(device));
        })?;
        shared.unhide(&forgotten);
        Ok(())
    }

    /// Merges once; false if nothing is to be merged.
    fn merge_next(&mut self, shared: &Shared, rest: &impl Fn(Duration)) -> Result<bool, Error> {
        let catalog = shared.catalog();
        let age_max = |table: &model::Table| shared.tables.get_or_new(table).age_max_ms();
        let Some(ids) = choose::merge(&catalog, |entry| self.is_final.contains(&entry.id), age_max) else {
            self.is_final.retain(|id| catalog.blocks.iter().any(|entry| entry.id == *id));
            return Ok(false);
        };
        match merge::merge(shared, &mut self.workshop, &ids, rest) {
            Ok(Merged::Done) => Ok(true),
            Ok(Merged::Stopped) => Ok(false),
            Ok(Merged::TooLarge) => {
                self.is_final.extend(ids);
                Ok(true)
            }
            // A block that is damaged is set aside, and the next choice is made without it.
            Err(error) if shared.set_aside(&error) => Ok(true),
            Err(error) => Err(error),
        }
    }
}
