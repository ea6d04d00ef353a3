//! The window of a regular device in 30 bytes: one numbering with at most three runs, so today's, yesterday's and one
//! gap.
//!
//! In memory and stored alike: highest u64 | mark 3 × u16 (boot, or the latest ts in 48 bits) | gaps below the first and
//! the second run 2 × u16 | day u16 | lengths 3 × u24, newest first | shape u8 (bits 0–1 runs − 1, bit 2 mark is a boot,
//! bit 3 + n run n is of the day before).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Identity;
use super::runs::{Minute, Run, Runs, day, morning};
use super::wide::{Epoch, Wide};

/// See the module header. No field is aligned wider than two bytes, so that the slot's tag fits beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Packed {
    highest: [u8; 8],
    mark: [u16; 3],
    gaps: [u16; RUNS - 1],
    day: u16,
    lengths: [[u8; 3]; RUNS],
    shape: u8,
}

const RUNS: usize = 3;
const IS_BOOT: u8 = 1 << 2;
const YESTERDAY: u8 = 1 << 3;
const LENGTH_MAX: u64 = (1 << 24) - 1;

impl Packed {
    /// All zeros: no window.
    pub const ZERO: Self =
        Self { highest: [0; 8], mark: [0; 3], gaps: [0; RUNS - 1], day: 0, lengths: [[0; 3]; RUNS], shape: 0 };

    /// No window, but a number.
    pub fn holding(number: u32) -> Self {
        Self { highest: u64::from(number).to_le_bytes(), ..Self::ZERO }
    }

    /// The number that [`Packed::holding`] was given.
    pub fn held(&self) -> u64 {
        u64::from_le_bytes(self.highest)
    }

    /// Takes in a message that continues the newest run, on the day of that run; `false` says nothing.
    pub fn extend(&mut self, identity: &Identity, now: Minute) -> bool {
        let (seq, mark, bit) = match *identity {
            Identity::Boot { boot, seq } => (seq, i64::from(boot), IS_BOOT),
            Identity::Ts { ts, seq } => (seq, ts.max(read_mark(self.mark)), 0),
            _ => return false,
        };
        let length = read_length(self.lengths[0]) + 1;
        let mark = write_mark(mark);
        let continues = u64::from_le_bytes(self.highest).checked_add(1) == Some(seq)
            && self.shape & (IS_BOOT | YESTERDAY) == bit
            && u32::from(self.day) == day(now)
            && length <= LENGTH_MAX
            && (bit == 0 || mark == Some(self.mark));
        let Some(mark) = mark.filter(|_| continues) else { return false };
        self.highest = seq.to_le_bytes();
        self.lengths[0] = write_length(length);
        self.mark = mark;
        true
    }

    /// Whether nothing of it is in the window any more.
    pub fn is_past(&self, now: Minute) -> bool {
        u32::from(self.day) + 1 < day(now)
    }

    /// The packed form, if the window has one.
    pub fn pack(wide: &Wide) -> Option<Self> {
        let (mark, bit, runs) = match (&wide.boots[..], &wide.epochs[..]) {
            ([(boot, runs)], []) => (i64::from(*boot), IS_BOOT, runs),
            ([], [Epoch { from: i64::MIN, to: i64::MAX, latest, runs }]) => (*latest, 0, runs),
            _ => return None,
        };
        if wide.has_recent() || !(1..=RUNS).contains(&runs.0.len()) {
            return None;
        }
        let mut packed = Self {
            highest: runs.highest()?.to_le_bytes(),
            mark: write_mark(mark)?,
            lengths: [[0; 3]; RUNS],
            gaps: [0; RUNS - 1],
            day: u16::try_from(wide.day).ok()?,
            shape: bit | (runs.0.len() - 1) as u8,
        };
        let mut above: Option<&Run> = None;
        for (n, run) in runs.0.iter().rev().enumerate() {
            if u64::from(run.more) + 1 > LENGTH_MAX {
                return None;
            }
            packed.lengths[n] = write_length(u64::from(run.more) + 1);
            packed.shape |= if day(run.at) < wide.day { YESTERDAY << n } else { 0 };
            if let Some(above) = above {
                packed.gaps[n - 1] = u16::try_from(above.lowest - run.highest() - 1).ok()?;
            }
            above = Some(run);
        }
        Some(packed)
    }

    /// The general form of the same window.
    pub fn unpack(&self) -> Wide {
        let (mut runs, mut above) = (Vec::with_capacity(RUNS + 1), u64::from_le_bytes(self.highest).wrapping_add(1));
        for n in 0..=usize::from(self.shape & 3) {
            let length = read_length(self.lengths[n]);
            let lowest = above.wrapping_sub(length);
            let days_ago = u32::from(self.shape & (YESTERDAY << n) != 0);
            let at = morning(u32::from(self.day) - days_ago);
            runs.push(Run { lowest, more: (length - 1) as u32, at });
            above = lowest.wrapping_sub(self.gaps.get(n).map_or(0, |gap| u64::from(*gap)));
        }
        runs.reverse();
        let runs = Runs(runs);
        let (day, mark) = (self.day.into(), read_mark(self.mark));
        if self.shape & IS_BOOT != 0 { Wide::of_boot(day, mark as u32, runs) } else { Wide::of_epoch(day, mark, runs) }
    }

    /// Whether its parts agree.
    pub fn is_sound(&self) -> bool {
        let runs = usize::from(self.shape & 3) + 1;
        if runs > RUNS {
            return false;
        }
        let lengths = self.lengths[..runs].iter().map(|length| read_length(*length));
        let gaps: u64 = self.gaps[..runs - 1].iter().map(|gap| u64::from(*gap)).sum();
        let span = lengths.clone().sum::<u64>() + gaps;
        let dated = self.day > 0 || self.shape / YESTERDAY == 0;
        dated && lengths.min() > Some(0) && span - 1 <= u64::from_le_bytes(self.highest)
    }
}

fn read_length([a, b, c]: [u8; 3]) -> u64 {
    u64::from(u32::from_le_bytes([a, b, c, 0]))
}

fn write_length(length: u64) -> [u8; 3] {
    let [a, b, c, ..] = length.to_le_bytes();
    [a, b, c]
}

/// 48 bits, sign-extended.
fn read_mark([a, b, c]: [u16; 3]) -> i64 {
    let bits = u64::from(a) | u64::from(b) << 16 | u64::from(c) << 32;
    (bits << 16) as i64 >> 16
}

/// `None` for a ts that 48 bits cannot hold: more than 4,000 years from 1970.
fn write_mark(mark: i64) -> Option<[u16; 3]> {
    let parts = [mark as u16, (mark >> 16) as u16, (mark >> 32) as u16];
    (read_mark(parts) == mark).then_some(parts)
}
