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
//! Stored as elapsed u64 (ms) | last receive time i64 | any batch yet u8 | sweep u32 | count u32, then per slot: tag u8
//! (0 empty, 1 packed, 2 wide) and that form.

use std::time::Duration;

use model::limits::{DEDUP_RUNS_MAX, DEDUP_RUNS_PER_DEVICE_MAX, DEDUP_RUNS_PER_DEVICE_MIN, DEDUP_WINDOW};
use model::wire::{Reader, Short, Writer};

mod packed;
mod recent;
mod runs;
#[cfg(test)]
mod tests;
mod wide;

use packed::Packed;
use runs::{Minute, day};
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
    /// The window's clock.
    elapsed_ms: u64,
    /// Receive time of the last batch.
    received: Option<i64>,
    /// Runs in wide slots.
    runs: usize,
    /// The next slot to look at for what is past.
    sweep: usize,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Slot {
    Empty,
    Packed(Packed),
    Wide(Box<Wide>),
}

const _: () = assert!(size_of::<Slot>() == 32, "a regular device costs 32 bytes");
const _: () = assert!(DEDUP_WINDOW.as_secs() == 24 * 3600, "runs are forgotten by the day");

/// The most that the window's clock takes from one batch to the next.
const STEP_MAX: Duration = Duration::from_secs(3600);
/// Slots looked at per batch for what is past: all of a million devices within a minute of traffic, unnoticed.
const SWEEP_PER_BATCH: usize = 256;

impl Windows {
    /// Opens a window for one more device and returns its slot.
    pub fn open(&mut self) -> u32 {
        self.slots.push(Slot::Empty);
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
        let continues = match &mut self.slots[slot as usize] {
            Slot::Packed(packed) => packed.extend(identity, now),
            Slot::Wide(wide) => wide.day == day(now) && wide.extend(identity, now),
            Slot::Empty => false,
        };
        continues || *identity == Identity::None || self.admit_slowly(slot, identity, now)
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
        match std::mem::replace(&mut self.slots[slot], Slot::Empty) {
            Slot::Empty => Box::default(),
            Slot::Packed(packed) => Box::new(packed.unpack()),
            Slot::Wide(wide) => {
                self.runs -= wide.runs();
                wide
            }
        }
    }

    /// Puts a window into an emptied slot in the smallest form that holds it.
    fn put(&mut self, slot: usize, wide: Box<Wide>) {
        self.slots[slot] = match Packed::pack(&wide) {
            _ if wide.is_empty() => Slot::Empty,
            Some(packed) => Slot::Packed(packed),
            None => {
                self.runs += wide.runs();
                Slot::Wide(wide)
            }
        };
    }

    /// Gives back the memory of devices that are silent, a few per batch. Changes no answer.
    fn sweep(&mut self) {
        let now = self.now();
        let end = self.slots.len().min(self.sweep + SWEEP_PER_BATCH);
        for slot in self.sweep..end {
            match &self.slots[slot] {
                Slot::Packed(packed) if packed.is_past(now) => self.slots[slot] = Slot::Empty,
                Slot::Wide(wide) if wide.day != day(now) => {
                    let mut wide = self.take(slot);
                    wide.forget_past(now);
                    self.put(slot, wide);
                }
                _ => {}
            }
        }
        self.sweep = end;
    }

    /// Bytes that the windows take.
    pub fn bytes(&self) -> usize {
        let wide = self.slots.iter().map(|slot| if let Slot::Wide(wide) = slot { wide.bytes() } else { 0 });
        self.slots.capacity() * size_of::<Slot>() + wide.sum::<usize>()
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u64(self.elapsed_ms);
        out.u64(self.received.unwrap_or_default() as u64);
        out.u8(self.received.is_some().into());
        out.u32(self.sweep as u32);
        out.u32(self.slots.len() as u32);
        for slot in &self.slots {
            match slot {
                Slot::Empty => out.u8(0),
                Slot::Packed(packed) => {
                    out.u8(1);
                    packed.encode(out);
                }
                Slot::Wide(wide) => {
                    out.u8(2);
                    wide.encode(out);
                }
            }
        }
    }

    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Short> {
        let mut windows = Self { elapsed_ms: reader.u64()?, ..Self::default() };
        let received = reader.u64()? as i64;
        windows.received = (reader.u8()? != 0).then_some(received);
        windows.sweep = reader.u32()? as usize;
        let count = reader.u32()?;
        // Each takes at least a byte.
        windows.slots.reserve_exact(reader.0.len().min(count as usize));
        for _ in 0..count {
            let slot = match reader.u8()? {
                0 => Slot::Empty,
                1 => Slot::Packed(Packed::decode(reader)?),
                2 => Slot::Wide(Box::new(Wide::decode(reader)?)),
                _ => return Err(Short),
            };
            if let Slot::Wide(wide) = &slot {
                windows.runs += wide.runs();
            }
            windows.slots.push(slot);
        }
        Ok(windows)
    }
}
