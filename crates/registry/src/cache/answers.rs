//! A bounded map of answers that age, and that never keeps an answer older than a change.
//!
//! Two generations each of what is known and of what is known to be absent: when the young one is full it becomes the
//! old one and the old one goes, so the bound costs no order list. An answer read from the database is put with the
//! stamp taken before the read; a change of any key of the same stripe in between makes the put a no-op.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::Clock;

/// A change of one key costs the reads in flight of one in this many their place in the cache, no more.
const STRIPES: usize = 64;

/// The state of a key's stripe before a read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp(u64);

#[derive(Debug)]
pub(crate) struct Answers<K, V> {
    state: Mutex<State<K, V>>,
    stripes: RandomState,
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
        Self { state: Mutex::new(state), stripes: RandomState::new(), age_max, clock }
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

    /// Keeps an answer, unless its stripe changed since `stamp`.
    pub fn put(&self, key: K, value: Option<V>, stamp: Stamp) {
        let stripe = self.stripe(&key);
        let until = self.clock.monotonic() + self.age_max;
        let mut state = self.lock();
        if state.changes[stripe] != stamp.0 {
            return;
        }
        match value {
            Some(value) => {
                let gone = state.known.put(key, value, until);
                drop(state);
                drop(gone);
            }
            None => {
                let gone = state.absent.put(key, (), until);
                drop(state);
                drop(gone);
            }
        }
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

type Aged<K, V> = HashMap<K, (V, Duration)>;

#[derive(Debug)]
struct Generations<K, V> {
    young: Aged<K, V>,
    old: Aged<K, V>,
    young_max: usize,
}

impl<K: Hash + Eq, V> Generations<K, V> {
    fn new(young_max: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), young_max }
    }

    fn get(&self, key: &K, now: Duration) -> Option<&V> {
        let (value, until) = self.young.get(key).or_else(|| self.old.get(key))?;
        (now < *until).then_some(value)
    }

    /// Gives back a generation that went, to be dropped outside the lock.
    fn put(&mut self, key: K, value: V, until: Duration) -> Aged<K, V> {
        let mut gone = HashMap::new();
        if self.young.len() >= self.young_max {
            gone = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        }
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
