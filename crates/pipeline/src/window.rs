//! The windows in which a re-send is recognised: exact, one per device, in receive time (RULES, "Duplicates").
//!
//! A regular device costs one slot of 32 bytes ([`packed`]); any other one spills into a general form ([`wide`]). A
//! message is forgotten one to two days after it came. In doubt a message is kept: what is forgotten to bound memory
//! can be stored twice, never dropped wrongly.
//!
//! Rules that are not in RULES.md word for word:
//! - One window serves a device's messages and events, and all indices of the device: (device, boot, seq) alone decides.
//! - Without boot, a seq that is lower than the greatest seq of the newest epoch in the window, with a ts greater than
//!   every ts of that epoch, opens a new epoch whether or not the seq was seen.
//! - Time is a clock of the window's own: it follows the receive time of batches, never goes back, and takes at most
//!   an hour per batch, so that a jump of the machine's clock forgets nothing. While hardly anything arrives, messages
//!   are remembered for longer.
//!
//! Stored as elapsed u64 (ms) | last receive time i64 | any batch yet u8 | sweep u32 | wide count u32, then per wide slot:
//! slot u32 and that form | count u32 | the slots as they are in memory, 32 bytes each.

use std::time::Duration;

use model::limits::{DEDUP_RUNS_MAX, DEDUP_RUNS_PER_DEVICE_MAX, DEDUP_RUNS_PER_DEVICE_MIN, DEDUP_WINDOW};
use model::wire::{Reader, Short, Writer};
use zerocopy::IntoBytes;

mod packed;
mod recent;
mod runs;
mod slot;
#[cfg(test)]
mod tests;
mod wide;

use packed::Packed;
use runs::{Minute, day};
use slot::{Kind, Slot};
use wide::Wide;

/// What decides whether a message was seen before.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Identity {
    Boot {
        boot: u32,
        seq: u64,
    },
    Ts {
        ts: i64,
        seq: u64,
    },
    /// With seq and neither ts nor boot: the hash of the message's bytes.
    Payload(u128),
    /// Without seq: the hash of ts and all values.
    Values(u128),
    /// Neither ts nor seq: at least once.
    None,
}

/// The windows of a partition's devices.
#[derive(Debug, Default)]
pub struct Windows {
    slots: Vec<Slot>,
    /// The windows of slots that are wide, where [`Slot::wide`] says; `None` where one went.
    wide: Vec<Option<Box<Wide>>>,
    /// Places in `wide` that are free.
    free: Vec<u32>,
    /// The window's clock.
    elapsed_ms: u64,
    /// Receive time of the last batch.
    received: Option<i64>,
    /// Runs in wide slots.
    runs: usize,
    /// The next slot to look at for what is past.
    sweep: usize,
}

const _: () = assert!(DEDUP_WINDOW.as_secs() == 24 * 3600, "runs are forgotten by the day");

const WIDE_IS_THERE: &str = "a wide slot's window is put before the slot and taken with it";

/// The most that the window's clock takes from one batch to the next.
const STEP_MAX: Duration = Duration::from_secs(3600);
/// Slots looked at per batch for what is past: all of a million devices within a minute of traffic, unnoticed.
const SWEEP_PER_BATCH: usize = 256;

impl Windows {
    /// Opens a window for one more device and returns its slot.
    pub fn open(&mut self) -> u32 {
        self.slots.push(Slot::EMPTY);
        (self.slots.len() - 1) as u32
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Turns the clock to a batch's receive time.
    pub fn turn(&mut self, received: i64) {
        let before = self.now();
        let since = received.saturating_sub(self.received.unwrap_or(received)).max(0) as u64;
        self.elapsed_ms += since.min(STEP_MAX.as_millis() as u64);
        self.received = Some(received);
        if day(before) != day(self.now()) {
            self.sweep = 0;
        }
        self.sweep();
    }

    fn now(&self) -> Minute {
        (self.elapsed_ms / 60_000) as Minute
    }

    /// Takes an acceptable message in; `false` if it is a duplicate.
    pub fn admit(&mut self, slot: u32, identity: &Identity) -> bool {
        let now = self.now();
        let slot_of = &mut self.slots[slot as usize];
        let continues = match slot_of.kind() {
            Kind::Packed => slot_of.packed.extend(identity, now),
            Kind::Wide => {
                let wide = self.wide[slot_of.wide_at()].as_mut().expect(WIDE_IS_THERE);
                wide.day == day(now) && wide.extend(identity, now)
            }
            Kind::Empty => false,
        };
        continues || *identity == Identity::None || self.admit_slowly(slot, identity, now)
    }

    /// Takes a message out again that [`Windows::admit`] took in last.
    pub fn retract(&mut self, slot: u32, identity: &Identity) {
        let mut wide = self.take(slot as usize);
        wide.retract(identity);
        self.put(slot as usize, wide);
    }

    fn admit_slowly(&mut self, slot: u32, identity: &Identity, now: Minute) -> bool {
        let crowded = self.runs > DEDUP_RUNS_MAX;
        let runs_max = if crowded { DEDUP_RUNS_PER_DEVICE_MIN } else { DEDUP_RUNS_PER_DEVICE_MAX };
        let mut wide = self.take(slot as usize);
        let fresh = wide.admit(identity, now, runs_max);
        self.put(slot as usize, wide);
        fresh
    }

    /// Takes a slot's window out in the general form.
    fn take(&mut self, slot: usize) -> Box<Wide> {
        let taken = std::mem::replace(&mut self.slots[slot], Slot::EMPTY);
        match taken.kind() {
            Kind::Empty => Box::default(),
            Kind::Packed => Box::new(taken.packed.unpack()),
            Kind::Wide => {
                self.free.push(taken.wide_at() as u32);
                let wide = self.wide[taken.wide_at()].take().expect(WIDE_IS_THERE);
                self.runs -= wide.runs();
                wide
            }
        }
    }

    /// Puts a window into an emptied slot in the smallest form that holds it.
    fn put(&mut self, slot: usize, wide: Box<Wide>) {
        self.slots[slot] = match Packed::pack(&wide) {
            _ if wide.is_empty() => Slot::EMPTY,
            Some(packed) => Slot::packed(packed),
            None => self.keep_wide(wide),
        };
    }

    fn keep_wide(&mut self, wide: Box<Wide>) -> Slot {
        self.runs += wide.runs();
        let at = self.free.pop().unwrap_or_else(|| {
            self.wide.push(None);
            (self.wide.len() - 1) as u32
        });
        self.wide[at as usize] = Some(wide);
        Slot::wide(at)
    }

    /// Gives back the memory of devices that are silent, a few per batch. Changes no answer.
    fn sweep(&mut self) {
        let now = self.now();
        let end = self.slots.len().min(self.sweep + SWEEP_PER_BATCH);
        for slot in self.sweep..end {
            let found = &self.slots[slot];
            match found.kind() {
                Kind::Packed if found.packed.is_past(now) => self.slots[slot] = Slot::EMPTY,
                Kind::Wide if self.wide_of(found).day != day(now) => {
                    let mut wide = self.take(slot);
                    wide.forget_past(now);
                    self.put(slot, wide);
                }
                _ => {}
            }
        }
        self.sweep = end;
    }

    fn wide_of(&self, slot: &Slot) -> &Wide {
        self.wide[slot.wide_at()].as_ref().expect(WIDE_IS_THERE)
    }

    /// Bytes that the windows take.
    pub fn bytes(&self) -> usize {
        let wide = self.wide.iter().flatten().map(|wide| wide.bytes());
        self.slots.capacity() * size_of::<Slot>()
            + self.wide.capacity() * size_of::<Option<Box<Wide>>>()
            + wide.sum::<usize>()
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u64(self.elapsed_ms);
        out.u64(self.received.unwrap_or_default() as u64);
        out.u8(self.received.is_some().into());
        out.u32(self.sweep as u32);
        out.u32(self.wide.iter().flatten().count() as u32);
        let wide = || self.slots.iter().zip(0..).filter(|(slot, _)| slot.kind() == Kind::Wide);
        let any_wide = self.wide.len() > self.free.len();
        for (slot, number) in wide().take_while(|_| any_wide) {
            out.u32(number);
            self.wide_of(slot).encode(out);
        }
        out.u32(self.slots.len() as u32);
        let start = out.len();
        out.extend_from_slice(self.slots.as_bytes());
        // Where a window is in this process is not state.
        for (_, number) in wide().take_while(|_| any_wide) {
            let at = start + number as usize * size_of::<Slot>();
            out[at..at + size_of::<Slot>()].copy_from_slice(Slot::wide(0).as_bytes());
        }
    }

    /// Fails where a slot contradicts itself, or has no window.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Short> {
        let mut windows = Self { elapsed_ms: reader.u64()?, ..Self::default() };
        let received = reader.u64()? as i64;
        windows.received = (reader.u8()? != 0).then_some(received);
        windows.sweep = reader.u32()? as usize;
        let mut wide = Vec::new();
        for _ in 0..reader.u32()? {
            wide.push((reader.u32()?, Box::new(Wide::decode(reader)?)));
        }
        let count = reader.u32()? as usize;
        let stored = reader.take(count.checked_mul(size_of::<Slot>()).ok_or(Short)?)?;
        windows.slots = vec![Slot::EMPTY; count];
        windows.slots.as_mut_bytes().copy_from_slice(stored);
        let mut wide_slots = 0;
        for slot in &windows.slots {
            wide_slots += usize::from(slot.check()? == Kind::Wide);
        }
        // Each once, and none without.
        if wide_slots != wide.len() || !wide.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(Short);
        }
        for (number, wide) in wide {
            let is_wide = windows.slots.get(number as usize).is_some_and(|slot| slot.kind() == Kind::Wide);
            if !is_wide {
                return Err(Short);
            }
            windows.slots[number as usize] = windows.keep_wide(wide);
        }
        Ok(windows)
    }
}
