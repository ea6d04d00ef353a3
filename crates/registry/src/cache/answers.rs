//! A bounded map of answers that age, and that never keeps an answer older than a change.
//!
//! Two generations each of what is known and of what is known to be absent: when the young one is full it becomes the
//! old one and the old one goes, so the bound costs no order list. An answer read from the database is put with the
//! stamp taken before the read; a change of any key of the same stripe in between makes the put a no-op.

use std::hash::{BuildHasher, Hash};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{Clock, IdHash, IdMap};

use super::Revision;

/// A change of one key costs the reads in flight of one in this many their place in the cache, no more.
const STRIPES: usize = 64;

/// The state of a key's stripe before a read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp(u64);

impl Stamp {
    /// Changes are counted once they are durable and before they are announced, so this many are in what is read now.
    pub fn revision(self) -> Revision {
        Revision(self.0 as u32)
    }
}

#[derive(Debug)]
pub(crate) struct Answers<K, V> {
    state: Mutex<State<K, V>>,
    stripes: IdHash,
    age_max: Duration,
    clock: Clock,
}

#[derive(Debug)]
struct State<K, V> {
    known: Generations<K, V>,
    absent: Generations<K, ()>,
    changes: [u64; STRIPES],
}

impl<K: Hash + Eq + Copy, V: Clone> Answers<K, V> {
    pub fn new(known_max: usize, absent_max: usize, age_max: Duration, clock: Clock) -> Self {
        let state =
            State { known: Generations::new(known_max), absent: Generations::new(absent_max), changes: [0; STRIPES] };
        Self { state: Mutex::new(state), stripes: IdHash::default(), age_max, clock }
    }

    /// `None`: not here. `Some(None)`: known to be absent.
    pub fn get(&self, key: &K) -> Option<Option<V>> {
        let now = self.clock.monotonic();
        let state = self.lock();
        match state.known.get(key, now) {
            Some(value) => Some(Some(value.clone())),
            None => state.absent.get(key, now).map(|()| None),
        }
    }

    pub fn stamp(&self, key: &K) -> Stamp {
        Stamp(self.lock().changes[self.stripe(key)])
    }

    /// Those of the keys that are not here, with their stamps.
    pub fn missing(&self, keys: &[K]) -> Vec<(K, Stamp)> {
        let now = self.clock.monotonic();
        let state = self.lock();
        let known = |key: &K| state.known.get(key, now).is_some() || state.absent.get(key, now).is_some();
        let missing = keys.iter().filter(|key| !known(key));
        missing.map(|key| (*key, Stamp(state.changes[self.stripe(key)]))).collect()
    }

    /// Keeps an answer, unless its stripe changed since `stamp`.
    pub fn put(&self, key: K, value: Option<V>, stamp: Stamp) {
        self.put_all([(key, value, stamp)]);
    }

    /// As [`Answers::put`], for many; gives back those that it could not keep.
    pub fn put_all(&self, answers: impl IntoIterator<Item = (K, Option<V>, Stamp)>) -> Vec<K> {
        let until = self.clock.monotonic() + self.age_max;
        let (mut known_gone, mut absent_gone, mut changed) = (Vec::new(), Vec::new(), Vec::new());
        let mut state = self.lock();
        for (key, value, stamp) in answers {
            if state.changes[self.stripe(&key)] != stamp.0 {
                changed.push(key);
                continue;
            }
            match value {
                Some(value) => known_gone.extend(state.known.put(key, value, until)),
                None => absent_gone.extend(state.absent.put(key, (), until)),
            }
        }
        // What went is dropped outside the lock.
        drop(state);
        changed
    }

    pub fn forget(&self, key: &K) {
        let stripe = self.stripe(key);
        let mut state = self.lock();
        state.changes[stripe] += 1;
        state.known.remove(key);
        state.absent.remove(key);
    }

    pub fn forget_all(&self) {
        let mut state = self.lock();
        state.changes.iter_mut().for_each(|count| *count += 1);
        let gone = (state.known.take(), state.absent.take());
        drop(state);
        drop(gone);
    }

    fn stripe(&self, key: &K) -> usize {
        self.stripes.hash_one(key) as usize % STRIPES
    }

    /// No code under this lock can panic half-way through a change.
    fn lock(&self) -> MutexGuard<'_, State<K, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Aged<K, V> = IdMap<K, (V, Duration)>;

#[derive(Debug)]
struct Generations<K, V> {
    young: Aged<K, V>,
    old: Aged<K, V>,
    young_max: usize,
}

impl<K: Hash + Eq, V> Generations<K, V> {
    fn new(young_max: usize) -> Self {
        Self { young: IdMap::default(), old: IdMap::default(), young_max }
    }

    fn get(&self, key: &K, now: Duration) -> Option<&V> {
        let (value, until) = self.young.get(key).or_else(|| self.old.get(key))?;
        (now < *until).then_some(value)
    }

    /// Gives back a generation that went, to be dropped outside the lock.
    fn put(&mut self, key: K, value: V, until: Duration) -> Option<Aged<K, V>> {
        let full = self.young.len() >= self.young_max;
        let gone = full.then(|| std::mem::replace(&mut self.old, std::mem::take(&mut self.young)));
        self.young.insert(key, (value, until));
        gone
    }

    fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    fn take(&mut self) -> (Aged<K, V>, Aged<K, V>) {
        (std::mem::take(&mut self.young), std::mem::take(&mut self.old))
    }
}

#[cfg(test)]
mod tests;
