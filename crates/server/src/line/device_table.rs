//! Which [`DeviceIndex`] stands for which [`Source`] in this data directory, and which [`Profile`] its device has.
//!
//! Shared by every gateway loop and HTTP. It is asked when a connection binds a topic, never per message. The log is
//! where a binding lives (`Control::BindDevices`); this table is rebuilt from snapshot and log at start, before anything is
//! accepted. A device takes 28 bytes, and about 7 in the hash table, which holds indices alone; what it shares with others is
//! in its *cohort*: the class and the profile.
//!
//! Profiles are not rebuilt: who is about to use an index says the profile that holds, and whatever was in force before the
//! start, the first batch that uses an index binds it again. What somebody learnt before a change never replaces what was
//! learnt after it ([`registry::Revision`]), however long it was under way: it would stay, because a connection does not
//! ask again for a topic that it has bound.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::HashTable;
use model::{Control, DeviceId, DeviceIndex, IdHash, Profile, Source, TenantId, limits};
use registry::{KnownProfile, Revision};

#[cfg(test)]
mod tests;

/// The bindings in use. An index is never reused and never changes its device.
#[derive(Debug)]
pub struct DeviceTable {
    bindings: RwLock<Bindings>,
    /// Whether [`Bindings::changed`] has any: asked for each batch.
    changed: AtomicBool,
    /// See [`DeviceTable::indices_per_batch`].
    indices_per_batch: AtomicUsize,
}

impl Default for DeviceTable {
    fn default() -> Self {
        Self {
            bindings: RwLock::default(),
            changed: AtomicBool::new(false),
            indices_per_batch: AtomicUsize::new(usize::MAX),
        }
    }
}

#[derive(Debug, Default)]
struct Bindings {
    by_entry: HashTable<DeviceIndex>,
    /// By index.
    entries: Vec<Entry>,
    /// By index: how new the profile is.
    revisions: Vec<Revision>,
    classes: Vec<(TenantId, Arc<str>)>,
    class_numbers: HashMap<(TenantId, Arc<str>), u32>,
    cohorts: Vec<Cohort>,
    cohort_numbers: HashMap<(u32, Arc<Profile>), u32>,
    /// Cohorts without devices, whose numbers are given again.
    empty_cohorts: Vec<u32>,
    /// Indices whose profile is another one than they were bound with.
    changed: Vec<DeviceIndex>,
    hash: IdHash,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Entry {
    /// A log that was trimmed away had the binding.
    Unbound,
    Device {
        device: DeviceId,
        /// Position in [`Bindings::cohorts`].
        cohort: u32,
    },
    /// Boxed: there are few, and the others are many.
    Topic(Box<Source>),
}

/// What devices have in common.
#[derive(Debug)]
struct Cohort {
    /// Position in [`Bindings::classes`].
    class: u32,
    profile: Arc<Profile>,
    devices: u32,
}

/// Every index is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "this data directory has seen {} devices and free topics, as many as it can number; start a new data directory",
    limits::DEVICE_INDICES_MAX
)]
pub struct TableFull;

impl DeviceTable {
    /// The index that stands for `source`; a new one if it has none yet. From now on its device has this profile, unless it
    /// has one that is known to be newer; a free topic has none.
    pub fn index_of(&self, source: &Source, known: &KnownProfile) -> Result<DeviceIndex, TableFull> {
        let bindings = self.read();
        if let Some(index) = bindings.find(source)
            && bindings.has_nothing_of(index, known)
        {
            return Ok(index);
        }
        drop(bindings);
        self.measure(source, &known.profile);
        let mut bindings = self.write();
        if let Some(index) = bindings.find(source) {
            if bindings.learn(index, known) {
                bindings.changed.push(index);
                self.changed.store(true, Ordering::Release);
            }
            return Ok(index);
        }
        let index = bindings.entries.len() as u32;
        if index >= limits::DEVICE_INDICES_MAX {
            return Err(TableFull);
        }
        bindings.bind(DeviceIndex(index), source, known);
        Ok(DeviceIndex(index))
    }

    /// How many of these indices one batch may use, so that what binds them stays within [`limits::BATCH_BINDING_BYTES_MAX`].
    pub fn indices_per_batch(&self) -> usize {
        self.indices_per_batch.load(Ordering::Relaxed)
    }

    /// Takes note of what binding the index will take, before somebody uses it.
    fn measure(&self, source: &Source, profile: &Profile) {
        let fit = limits::BATCH_BINDING_BYTES_MAX / Control::binding_bytes(source, profile);
        self.indices_per_batch.fetch_min(fit.max(1), Ordering::Relaxed);
    }

    /// The index that stands for `source`, if one does.
    pub fn find(&self, source: &Source) -> Option<DeviceIndex> {
        self.read().find(source)
    }

    /// The records that bind these indices, one for each topic and for each class and profile. An index that was not given
    /// out is left out.
    pub fn bindings(&self, indices: &[DeviceIndex]) -> Vec<Control> {
        self.read().records(indices)
    }

    /// Takes the indices whose devices have another profile than they were bound with.
    pub fn take_changed(&self) -> Vec<DeviceIndex> {
        if !self.changed.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut bindings = self.write();
        self.changed.store(false, Ordering::Release);
        std::mem::take(&mut bindings.changed)
    }

    /// Takes over bindings that snapshot or log have.
    pub fn restore(&self, bindings: impl IntoIterator<Item = (DeviceIndex, Source)>) {
        let (mut table, usual) = (self.write(), KnownProfile::default());
        let bindings = bindings.into_iter();
        table.reserve(bindings.size_hint().1.unwrap_or(0));
        for (index, source) in bindings {
            if table.find(&source) != Some(index) {
                if matches!(source, Source::Topic { .. }) {
                    self.measure(&source, &usual.profile);
                }
                table.bind(index, &source, &usual);
            }
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Bindings> {
        self.bindings.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Bindings> {
        self.bindings.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bindings {
    fn reserve(&mut self, more: usize) {
        self.entries.reserve(more);
        self.revisions.reserve(more);
        let Self { entries, cohorts, hash, by_entry, .. } = self;
        by_entry.reserve(more, |index| hash_of(hash, cohorts, &entries[index.as_usize()]));
    }

    fn find(&self, source: &Source) -> Option<DeviceIndex> {
        match source {
            Source::Device { tenant, device, class } => {
                let class = self.class_number(*tenant, class)?;
                let same = |index: &DeviceIndex| match &self.entries[index.as_usize()] {
                    Entry::Device { device: other, cohort } => {
                        other == device && self.cohorts[*cohort as usize].class == class
                    }
                    Entry::Unbound | Entry::Topic(_) => false,
                };
                self.by_entry.find(hash_of_device(&self.hash, *device, class), same).copied()
            }
            Source::Topic { .. } => {
                let same = |index: &DeviceIndex| match &self.entries[index.as_usize()] {
                    Entry::Topic(other) => **other == *source,
                    Entry::Unbound | Entry::Device { .. } => false,
                };
                self.by_entry.find(self.hash.hash_one(source), same).copied()
            }
        }
    }

    fn class_number(&self, tenant: TenantId, class: &Arc<str>) -> Option<u32> {
        // Devices that come together are mostly of one class, the one that came last.
        let last = self.classes.len().checked_sub(1)?;
        let (of, name) = &self.classes[last];
        if *of == tenant && name == class {
            return Some(last as u32);
        }
        self.class_numbers.get(&(tenant, class.clone())).copied()
    }

    /// Whether there is nothing to learn about the index's device from this.
    fn has_nothing_of(&self, index: DeviceIndex, known: &KnownProfile) -> bool {
        let revision = self.revisions[index.as_usize()];
        known.revision.is_older_than(revision) || known.revision == revision && self.has_profile(index, &known.profile)
    }

    fn has_profile(&self, index: DeviceIndex, profile: &Arc<Profile>) -> bool {
        match &self.entries[index.as_usize()] {
            Entry::Device { cohort, .. } => {
                let other = &self.cohorts[*cohort as usize].profile;
                Arc::ptr_eq(other, profile) || other == profile
            }
            Entry::Unbound | Entry::Topic(_) => true,
        }
    }

    /// Takes note of what is known, unless something newer is; whether the profile is another one than before.
    fn learn(&mut self, index: DeviceIndex, known: &KnownProfile) -> bool {
        let revision = &mut self.revisions[index.as_usize()];
        if known.revision.is_older_than(*revision) {
            return false;
        }
        *revision = known.revision;
        self.set_profile(index, &known.profile)
    }

    /// Whether the profile is another one than before.
    fn set_profile(&mut self, index: DeviceIndex, profile: &Arc<Profile>) -> bool {
        if self.has_profile(index, profile) {
            return false;
        }
        let Entry::Device { device, cohort: before } = self.entries[index.as_usize()] else { return false };
        let cohort = self.cohort(self.cohorts[before as usize].class, profile);
        self.leave(before);
        self.entries[index.as_usize()] = Entry::Device { device, cohort };
        true
    }

    /// A cohort, with one device more.
    fn cohort(&mut self, class: u32, profile: &Arc<Profile>) -> u32 {
        // As with classes: mostly the one that came last.
        let last = self.cohorts.len().wrapping_sub(1);
        let is_last = self
            .cohorts
            .get(last)
            .is_some_and(|cohort| cohort.class == class && cohort.devices > 0 && cohort.profile == *profile);
        let known =
            if is_last { Some(last as u32) } else { self.cohort_numbers.get(&(class, profile.clone())).copied() };
        if let Some(number) = known {
            self.cohorts[number as usize].devices += 1;
            return number;
        }
        let cohort = Cohort { class, profile: profile.clone(), devices: 1 };
        let number = match self.empty_cohorts.pop() {
            Some(number) => {
                self.cohorts[number as usize] = cohort;
                number
            }
            None => {
                self.cohorts.push(cohort);
                self.cohorts.len() as u32 - 1
            }
        };
        self.cohort_numbers.insert((class, profile.clone()), number);
        number
    }

    /// A device leaves its cohort.
    fn leave(&mut self, number: u32) {
        let cohort = &mut self.cohorts[number as usize];
        cohort.devices -= 1;
        if cohort.devices == 0 {
            self.cohort_numbers.remove(&(cohort.class, cohort.profile.clone()));
            self.empty_cohorts.push(number);
        }
    }

    /// Makes an index stand for a source that no index stands for.
    fn bind(&mut self, index: DeviceIndex, source: &Source, known: &KnownProfile) {
        let entry = match source {
            Source::Device { tenant, device, class } => {
                let number = self.class_number(*tenant, class).unwrap_or_else(|| {
                    let number = self.classes.len() as u32;
                    self.class_numbers.insert((*tenant, class.clone()), number);
                    self.classes.push((*tenant, class.clone()));
                    number
                });
                Entry::Device { device: *device, cohort: self.cohort(number, &known.profile) }
            }
            Source::Topic { .. } => Entry::Topic(Box::new(source.clone())),
        };
        if self.entries.len() <= index.as_usize() {
            self.entries.resize(index.as_usize() + 1, Entry::Unbound);
            self.revisions.resize(index.as_usize() + 1, Revision::default());
        }
        self.revisions[index.as_usize()] = known.revision;
        let Self { entries, cohorts, hash, by_entry, .. } = self;
        let hash_value = hash_of(hash, cohorts, &entry);
        entries[index.as_usize()] = entry;
        by_entry.insert_unique(hash_value, index, |index| hash_of(hash, cohorts, &entries[index.as_usize()]));
    }

    fn records(&self, indices: &[DeviceIndex]) -> Vec<Control> {
        let mut records = Vec::new();
        let mut devices: Vec<(u32, DeviceIndex, DeviceId)> = Vec::new();
        for index in indices {
            match self.entries.get(index.as_usize()) {
                Some(Entry::Device { device, cohort }) => devices.push((*cohort, *index, *device)),
                Some(Entry::Topic(source)) => records.push(Control::bind(*index, Source::clone(source))),
                Some(Entry::Unbound) | None => {}
            }
        }
        // Neighbours are mostly of one cohort, and then there is nothing to sort.
        devices.sort_by_key(|(cohort, ..)| *cohort);
        for devices in devices.chunk_by(|(one, ..), (next, ..)| one == next) {
            let Cohort { class, profile, .. } = &self.cohorts[devices[0].0 as usize];
            let (tenant, class) = self.classes[*class as usize].clone();
            let devices = devices.iter().map(|(_, index, device)| (*index, *device)).collect();
            records.push(Control::BindDevices { tenant, class, profile: profile.clone(), devices });
        }
        records
    }
}

/// What an entry is found by: a device's profile is no part of it.
fn hash_of(hash: &IdHash, cohorts: &[Cohort], entry: &Entry) -> u64 {
    match entry {
        Entry::Unbound => 0,
        Entry::Device { device, cohort } => hash_of_device(hash, *device, cohorts[*cohort as usize].class),
        Entry::Topic(source) => hash.hash_one(&**source),
    }
}

fn hash_of_device(hash: &IdHash, device: DeviceId, class: u32) -> u64 {
    hash.hash_one((device, class))
}
