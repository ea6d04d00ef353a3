//! Maintenance: one worker that drops what is past retention, rewrites what holds erased devices, and merges small
//! blocks. What to do is chosen by pure functions of the catalog ([`crate::catalog::choose`]).

use std::collections::HashSet;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use model::{Clock, DeviceId};

use crate::catalog::{Catalog, Entry, choose};
use crate::error::Error;
use crate::store::Shared;
use crate::write::Workshop;

mod merge;

/// How often retention is looked at.
const WAIT: Duration = Duration::from_secs(60);

/// The state of the worker.
pub struct Maintenance {
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
        Self { wake: Mutex::default(), woken: Condvar::new(), work: Mutex::new(work) }
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
        if let Err(error) = run_due(shared) {
            shared.note_failure(&error);
        }
    }
}

/// Does what there is to do now, until nothing is left or the store closes.
pub fn run_due(shared: &Shared) -> Result<(), Error> {
    let mut work = shared.maintenance.work.lock().expect("no holder of this lock panics");
    work.drop_old(shared)?;
    work.rewrite_erased(shared)?;
    while !shared.maintenance.is_closed() && work.merge_next(shared)? {}
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

    fn rewrite_erased(&mut self, shared: &Shared) -> Result<(), Error> {
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
            merge::merge(shared, &mut self.workshop, &[*id])?;
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
    fn merge_next(&mut self, shared: &Shared) -> Result<bool, Error> {
        let catalog = shared.catalog();
        let age_max = |table: &model::Table| shared.tables.get_or_new(table).age_max_ms();
        let Some(ids) = choose::merge(&catalog, |entry| self.is_final.contains(&entry.id), age_max) else {
            self.is_final.retain(|id| catalog.blocks.iter().any(|entry| entry.id == *id));
            return Ok(false);
        };
        match merge::merge(shared, &mut self.workshop, &ids) {
            Ok(true) => Ok(true),
            Ok(false) => {
                self.is_final.extend(ids);
                Ok(true)
            }
            // A block that is damaged is set aside, and the next choice is made without it.
            Err(error) if shared.set_aside(&error) => Ok(true),
            Err(error) => Err(error),
        }
    }
}
