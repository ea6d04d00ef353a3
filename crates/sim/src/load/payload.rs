//! The generator's payloads: JSON whose every value is a function of (seed, device, boot, seq, ts), so that a checker
//! can tell a row that is right from one that is not without having kept it.
//!
//! A payload is a template: the fields that change are patched in place, three or four bytes each.
//!
//! ```text
//! {"ts":1700000000000,"metrics":{"temperature":23.4,"humidity":61.2},"seq":10042,"boot":3}
//! ```
//!
//! Values are tenths from 10.0 to 99.9. Each metric walks up and down over the seqs, as sensors do, with two or three
//! bits of noise that are a hash of all the arguments; the last metric's noise includes `ts`.

use model::{DeviceId, Millis};

use crate::seeded::{hash, mix};

#[cfg(test)]
mod tests;

/// Which metrics a payload has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Shape {
    /// Temperature and humidity, about 80 bytes.
    Two = 2,
    /// Twelve channels, about 230 bytes.
    Twelve = 12,
}

const TWO: [&str; 2] = ["temperature", "humidity"];
const TWELVE: [&str; 12] = [
    "temperature",
    "humidity",
    "pressure",
    "co2",
    "noise",
    "light",
    "vibration_x",
    "vibration_y",
    "vibration_z",
    "voltage",
    "current",
    "power",
];

impl Shape {
    /// The metrics' names, in the order of the payload.
    pub fn metrics(self) -> &'static [&'static str] {
        match self {
            Self::Two => &TWO,
            Self::Twelve => &TWELVE,
        }
    }

    /// From the number of metrics.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Two, Self::Twelve].into_iter().find(|shape| *shape as u8 == number)
    }
}

/// What one device's values depend on besides seq and ts.
pub fn device_key(seed: u64, device: DeviceId, boot: u32) -> u64 {
    let [high, low] = halves(device);
    hash([seed, high, low, u64::from(boot)])
}

fn halves(device: DeviceId) -> [u64; 2] {
    let (high, low) = device.0.as_u64_pair();
    [high, low]
}

/// The tenths of one metric, in 100..1000.
pub fn tenths(shape: Shape, metric: usize, key: u64, seq: u64, ts: Millis) -> u16 {
    let noise = seq_noise(key, seq);
    if metric + 1 == shape.metrics().len() {
        last_tenths(metric, key, seq, noise, ts)
    } else {
        early_tenths(metric, key, seq, noise)
    }
}

fn seq_noise(key: u64, seq: u64) -> u64 {
    mix(key ^ seq.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn early_tenths(metric: usize, key: u64, seq: u64, noise: u64) -> u16 {
    level(metric, key, seq) + ((noise >> (4 * metric)) & 3) as u16
}

fn last_tenths(metric: usize, key: u64, seq: u64, noise: u64, ts: Millis) -> u16 {
    level(metric, key, seq) + (mix(noise ^ ts as u64) & 7) as u16
}

/// The walk up and down: a triangle of 128 levels, one level every 16 seqs.
fn level(metric: usize, key: u64, seq: u64) -> u16 {
    let phase = (key >> metric) & 0xff;
    let place = ((seq >> 4) + phase) & 0xff;
    let triangle = if place < 128 { place } else { 255 - place };
    150 + 50 * metric as u16 + ((key >> 32) & 63) as u16 + triangle as u16
}

/// `23.4` for 234, for every number of tenths.
static TENTHS: [[u8; 4]; 1000] = {
    let mut table = [[0; 4]; 1000];
    let mut number = 0;
    while number < 1000 {
        table[number] =
            [b'0' + (number / 100) as u8, b'0' + (number / 10 % 10) as u8, b'.', b'0' + (number % 10) as u8];
        number += 1;
    }
    table
};

/// A payload with holes, for seqs of one length.
#[derive(Clone, Debug)]
pub struct Template {
    pub bytes: Vec<u8>,
    shape: Shape,
    ts_at: usize,
    seq_at: usize,
    seq_len: usize,
    values_at: [usize; 12],
    ts: Millis,
    seq: u64,
}

impl Template {
    /// For seqs with as many digits as `seq`; `boot` is in it if given. The payload stands behind `front`, which holds
    /// what comes before the first field, its opening brace included.
    pub fn behind(front: &[u8], shape: Shape, boot: Option<u32>, seq: u64) -> Self {
        let ts = 1_000_000_000_000;
        let mut text = String::from("\"ts\":");
        let ts_at = text.len();
        text += &format!("{ts},\"metrics\":{{");
        let mut values_at = [0; 12];
        for (place, name) in shape.metrics().iter().enumerate() {
            text += &format!("{}\"{name}\":", if place == 0 { "" } else { "," });
            values_at[place] = text.len();
            text += "10.0";
        }
        text += "},\"seq\":";
        let (seq_at, digits) = (text.len(), seq.to_string());
        text += &digits;
        if let Some(boot) = boot {
            text += &format!(",\"boot\":{boot}");
        }
        text.push('}');
        let values_at = values_at.map(|at| at + front.len());
        let (ts_at, seq_at) = (ts_at + front.len(), seq_at + front.len());
        let bytes = [front, text.as_bytes()].concat();
        Self { bytes, shape, ts_at, seq_at, seq_len: digits.len(), values_at, ts, seq }
    }

    /// A payload alone.
    pub fn new(shape: Shape, boot: Option<u32>, seq: u64) -> Self {
        Self::behind(b"{", shape, boot, seq)
    }

    /// Whether the template has room for exactly this seq.
    pub fn fits(&self, seq: u64) -> bool {
        digits(seq) == self.seq_len
    }

    /// Fills in one message.
    pub fn fill(&mut self, key: u64, seq: u64, ts: Millis) {
        if ts != self.ts {
            write_digits(&mut self.bytes[self.ts_at..self.ts_at + 13], ts as u64);
            self.ts = ts;
        }
        if seq != self.seq {
            write_digits(&mut self.bytes[self.seq_at..self.seq_at + self.seq_len], seq);
            self.seq = seq;
        }
        let noise = seq_noise(key, seq);
        let last = self.shape as usize - 1;
        for metric in 0..last {
            let at = self.values_at[metric];
            self.bytes[at..at + 4].copy_from_slice(&TENTHS[usize::from(early_tenths(metric, key, seq, noise))]);
        }
        let at = self.values_at[last];
        self.bytes[at..at + 4].copy_from_slice(&TENTHS[usize::from(last_tenths(last, key, seq, noise, ts))]);
    }
}

/// Decimal digits of `number`.
pub fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// Writes the last `out.len()` digits of `number`.
fn write_digits(out: &mut [u8], mut number: u64) {
    for byte in out.iter_mut().rev() {
        *byte = b'0' + (number % 10) as u8;
        number /= 10;
    }
}
