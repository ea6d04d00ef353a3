//! Cohorts: the devices of one class that have the same profile. What is read of a payload beside its bytes is found by
//! its device's cohort.
//!
//! A cohort that has lost its last device leaves its number to the next one: a fleet whose metadata changes does not
//! fill memory.
//!
//! Stored as count u32, then per number: 1 u8, table u32, profile as JSON (blob) | 0 u8 for one that is free.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use model::Profile;
use model::wire::{Reader, Short, Writer};

use crate::json::push_string;
use crate::plan::{from_json, json};

/// All cohorts; a cohort's number is its position.
#[derive(Debug, Default)]
pub struct Cohorts {
    list: Vec<Cohort>,
    by_profile: HashMap<(u32, Arc<Profile>), u32>,
    /// The lowest goes first, so that a restored state gives the same numbers.
    free: BTreeSet<u32>,
}

#[derive(Debug, Default)]
pub struct Cohort {
    pub table: u32,
    pub profile: Arc<Profile>,
    /// The profile's tags as a row has them; empty if there are none.
    pub tags: Vec<u8>,
    indices: u32,
    /// Its lane, if the plan has not changed since.
    lane: Option<(u64, u32)>,
    /// Where in the readings and in the events of a batch its tags stand: the batch, and as in [`model::Rows::tags`].
    pub written: [Option<(u64, u64)>; 2],
}

impl Cohorts {
    /// The number of a table's profile, made if need be.
    pub fn open(&mut self, table: u32, profile: &Arc<Profile>) -> u32 {
        if let Some(known) = self.by_profile.get(&(table, profile.clone())) {
            return *known;
        }
        let number = self.free.pop_first().unwrap_or(self.list.len() as u32);
        if number as usize == self.list.len() {
            self.list.push(Cohort::default());
        }
        self.list[number as usize] = Cohort::new(table, profile.clone());
        self.by_profile.insert((table, profile.clone()), number);
        number
    }

    /// One more index is of this cohort.
    pub fn join(&mut self, number: u32) {
        self.list[number as usize].indices += 1;
    }

    /// One index less is of this cohort.
    pub fn leave(&mut self, number: u32) {
        let cohort = &mut self.list[number as usize];
        cohort.indices -= 1;
        self.close_if_empty(number);
    }

    /// Gives the number back if no index came to use it.
    pub fn close_if_empty(&mut self, number: u32) {
        let cohort = &mut self.list[number as usize];
        if cohort.indices == 0 {
            self.by_profile.remove(&(cohort.table, cohort.profile.clone()));
            *cohort = Cohort::default();
            self.free.insert(number);
        }
    }

    pub fn get(&self, number: u32) -> &Cohort {
        &self.list[number as usize]
    }

    pub fn get_mut(&mut self, number: u32) -> &mut Cohort {
        &mut self.list[number as usize]
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn is_free(&self, number: u32) -> bool {
        self.free.contains(&number)
    }

    /// Whether an index is of this cohort.
    pub fn is_used(&self, number: u32) -> bool {
        self.list[number as usize].indices > 0
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u32(self.list.len() as u32);
        for (number, cohort) in (0..).zip(&self.list) {
            out.u8(u8::from(!self.free.contains(&number)));
            if !self.free.contains(&number) {
                out.u32(cohort.table);
                out.blob(&json(&*cohort.profile));
            }
        }
    }

    /// Fails where a table is not among these. Whoever has the indices lets them join.
    pub fn decode(reader: &mut Reader<'_>, tables: usize) -> Result<Self, Short> {
        let mut cohorts = Self::default();
        for number in 0..reader.u32()? {
            if reader.u8()? == 0 {
                cohorts.list.push(Cohort::default());
                cohorts.free.insert(number);
                continue;
            }
            let (table, profile) = (reader.u32()?, Arc::new(from_json(reader.blob()?)?));
            if table as usize >= tables {
                return Err(Short);
            }
            cohorts.list.push(Cohort::new(table, Arc::clone(&profile)));
            if cohorts.by_profile.insert((table, profile), number).is_some() {
                return Err(Short);
            }
        }
        Ok(cohorts)
    }
}

impl Cohort {
    fn new(table: u32, profile: Arc<Profile>) -> Self {
        let mut tags = Vec::new();
        for (name, value) in &profile.tags {
            tags.push(if tags.is_empty() { b'{' } else { b',' });
            push_string(name.as_bytes(), &mut tags);
            tags.push(b':');
            push_string(value.as_bytes(), &mut tags);
        }
        if !tags.is_empty() {
            tags.push(b'}');
        }
        Self { table, profile, tags, ..Self::default() }
    }

    /// The lane, if it was found under this state of the plan.
    #[inline]
    pub fn lane(&self, generation: u64) -> Option<u32> {
        self.lane.filter(|(found, _)| *found == generation).map(|(_, lane)| lane)
    }

    pub fn set_lane(&mut self, generation: u64, lane: u32) {
        self.lane = Some((generation, lane));
    }
}
