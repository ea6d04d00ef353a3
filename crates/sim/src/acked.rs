//! The acked-set log: what a generator sent and what was acknowledged to it, in a file outside the fault domain.
//!
//! It holds ranges, not messages: a payload is a function of (seed, device, boot, seq, ts), see [`crate::load::payload`],
//! and messages are numbered within their stream, see [`crate::load::stream`]. `sent` is reserved ahead and synced before
//! any message of it leaves; `acked` is written after; both every 100 ms. What is not logged as acked counts as
//! unacknowledged, so a generator that is killed never claims too much.
//!
//! ```text
//! file    = "TWACKED1" | record…
//! record  = body length u32 | crc32c of the body u32 | body
//! body    = 1 | seed u64 | boot u32 | shape u8 | started i64 (Unix ms)               a run of the generator begins
//!         | 2 | stream u32 | tenant 16 | first seq u64 | count u32 | device 16 …       a stream of this run
//!         | 3 | stream u32 | from u64 | to u64                                        [from, to) may have been sent
//!         | 4 | stream u32 | from u64 | to u64                                        [from, to) were acknowledged
//!         | 5 | stream u32 | from u64 | to u64                                        [from, to) were refused
//!         | 6 | stream u32 | 0 u64    | to u64                                        exactly [0, to) were sent
//! ```
//!
//! Integers are little-endian. Stream numbers belong to the run before them. A record that is cut short or fails its
//! checksum ends the log: it was being written when the generator died.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use model::wire::{Reader, Short, Writer};
use model::{DeviceId, Millis, TenantId};

use crate::load::payload::Shape;

mod ranges;
#[cfg(test)]
mod tests;
mod writer;

pub use ranges::Ranges;
pub use writer::{AckedLog, StreamGauge};

const MAGIC: &[u8; 8] = b"TWACKED1";

/// One record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    Run(Run),
    Stream { stream: u32, tenant: TenantId, first_seq: u64, devices: Arc<[DeviceId]> },
    Sent { stream: u32, from: u64, to: u64 },
    Acked { stream: u32, from: u64, to: u64 },
    Refused { stream: u32, from: u64, to: u64 },
    End { stream: u32, to: u64 },
}

/// What holds for all streams of one run of a generator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    pub seed: u64,
    pub boot: u32,
    pub shape: Shape,
    /// When it began (Unix ms).
    pub started: Millis,
}

impl Record {
    /// Appends the record with its length and checksum.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.u64(0);
        match self {
            Self::Run(run) => {
                out.u8(1);
                out.u64(run.seed);
                out.u32(run.boot);
                out.u8(run.shape as u8);
                out.u64(run.started as u64);
            }
            Self::Stream { stream, tenant, first_seq, devices } => {
                out.u8(2);
                out.u32(*stream);
                out.extend_from_slice(tenant.as_bytes());
                out.u64(*first_seq);
                out.u32(devices.len() as u32);
                devices.iter().for_each(|device| out.extend_from_slice(device.as_bytes()));
            }
            Self::Sent { stream, from, to } => range(out, 3, *stream, *from, *to),
            Self::Acked { stream, from, to } => range(out, 4, *stream, *from, *to),
            Self::Refused { stream, from, to } => range(out, 5, *stream, *from, *to),
            Self::End { stream, to } => range(out, 6, *stream, 0, *to),
        }
        let body = &out[start + 8..];
        let (len, sum) = (body.len() as u32, crc32c::crc32c(body));
        out[start..start + 4].copy_from_slice(&len.to_le_bytes());
        out[start + 4..start + 8].copy_from_slice(&sum.to_le_bytes());
    }

    /// Reads the first record of `input` and moves `input` behind it.
    pub fn decode(input: &mut &[u8]) -> Result<Self, Short> {
        let mut reader = Reader(input);
        let (len, sum) = (reader.u32()? as usize, reader.u32()?);
        let body = reader.take(len)?;
        if crc32c::crc32c(body) != sum {
            return Err(Short);
        }
        let rest = reader.0;
        let mut body = Reader(body);
        let record = match body.u8()? {
            1 => {
                let (seed, boot, shape) = (body.u64()?, body.u32()?, body.u8()?);
                let shape = Shape::from_number(shape).ok_or(Short)?;
                Self::Run(Run { seed, boot, shape, started: body.u64()? as i64 })
            }
            2 => {
                let (stream, tenant, first_seq) = (body.u32()?, TenantId::from_bytes(body.array()?), body.u64()?);
                let count = body.u32()? as usize;
                let devices = body.take(count.saturating_mul(16))?.as_chunks::<16>().0;
                Self::Stream {
                    stream,
                    tenant,
                    first_seq,
                    devices: devices.iter().copied().map(DeviceId::from_bytes).collect(),
                }
            }
            tag => {
                let (stream, from, to) = (body.u32()?, body.u64()?, body.u64()?);
                match tag {
                    3 => Self::Sent { stream, from, to },
                    4 => Self::Acked { stream, from, to },
                    5 => Self::Refused { stream, from, to },
                    6 => Self::End { stream, to },
                    _ => return Err(Short),
                }
            }
        };
        *input = rest;
        Ok(record)
    }
}

fn range(out: &mut Vec<u8>, tag: u8, stream: u32, from: u64, to: u64) {
    out.u8(tag);
    out.u32(stream);
    out.u64(from);
    out.u64(to);
}

/// One stream as the log tells it.
#[derive(Clone, PartialEq, Debug)]
pub struct LoggedStream {
    pub run: Run,
    pub tenant: TenantId,
    pub first_seq: u64,
    pub devices: Arc<[DeviceId]>,
    pub sent: Ranges,
    pub acked: Ranges,
    pub refused: Ranges,
}

impl LoggedStream {
    /// The seqs of its device number `place` within `numbers` of this stream.
    pub fn seqs(&self, numbers: &Ranges, place: usize) -> Ranges {
        let (place, count) = (place as u64, self.devices.len() as u64);
        // The first round in which this device's number is not below `number`.
        let round = |number: u64| self.first_seq + number.saturating_sub(place).div_ceil(count);
        numbers.iter().map(|(from, to)| (round(from), round(to))).collect()
    }
}

/// All of a log.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Logged {
    pub streams: Vec<LoggedStream>,
    /// Bytes at the end that were being written when the generator died.
    pub torn_bytes: u64,
    /// The boot that the next run of the generator has to use.
    pub next_boot: u32,
}

/// Reads a log.
pub fn read(path: &Path) -> Result<Logged> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read the acked-set log {}", path.display()))?;
    parse(&bytes).with_context(|| format!("{} is not an acked-set log", path.display()))
}

/// Reads a log's bytes.
pub fn parse(bytes: &[u8]) -> Result<Logged> {
    let mut rest = bytes.strip_prefix(MAGIC).context("it does not begin with TWACKED1")?;
    let mut logged = Logged::default();
    let mut run = None;
    let mut first_stream = 0;
    while let Ok(record) = Record::decode(&mut rest) {
        match record {
            Record::Run(next) => {
                run = Some(next);
                first_stream = logged.streams.len();
                logged.next_boot = logged.next_boot.max(next.boot + 1);
            }
            Record::Stream { stream, tenant, first_seq, devices } => {
                let run = run.context("a stream without a run")?;
                ensure!(logged.streams.len() - first_stream == stream as usize, "stream {stream} is out of its order");
                let (sent, acked, refused) = Default::default();
                logged.streams.push(LoggedStream { run, tenant, first_seq, devices, sent, acked, refused });
            }
            Record::Sent { stream, from, to } => of(&mut logged, first_stream, stream)?.sent.insert(from, to),
            Record::Acked { stream, from, to } => of(&mut logged, first_stream, stream)?.acked.insert(from, to),
            Record::Refused { stream, from, to } => of(&mut logged, first_stream, stream)?.refused.insert(from, to),
            Record::End { stream, to } => of(&mut logged, first_stream, stream)?.sent = [(0, to)].into_iter().collect(),
        }
    }
    logged.torn_bytes = rest.len() as u64;
    Ok(logged)
}

fn of(logged: &mut Logged, first_stream: usize, stream: u32) -> Result<&mut LoggedStream> {
    logged.streams.get_mut(first_stream + stream as usize).with_context(|| format!("stream {stream} is not declared"))
}
