//! Where each device's rows are in a block.

use std::ops::Range;

use model::wire::{Reader, Short, Writer};
use model::{DeviceId, Millis};

use super::varint;
use crate::sorted::SortedRows;

#[cfg(test)]
mod tests;

/// The devices of a block, ascending.
pub struct Directory {
    devices: Vec<DeviceId>,
    /// For each device its first row; one more for the end.
    starts: Vec<u32>,
    /// For each device its first and last ts.
    times: Vec<(Millis, Millis)>,
}

/// The rows of one device in a block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    pub device: DeviceId,
    pub rows: Range<usize>,
    pub ts_min: Millis,
    pub ts_max: Millis,
}

impl Directory {
    /// The rows of a device, if it has any.
    pub fn find(&self, device: DeviceId) -> Option<Span> {
        self.devices.binary_search(&device).ok().map(|at| self.span(at))
    }

    /// The place of the first device from `at` on that is not less than `device`: for devices that are asked for in order.
    pub fn seek(&self, at: usize, device: DeviceId) -> usize {
        let mut step = 1;
        while self.devices.get(at + step - 1).is_some_and(|other| *other < device) {
            step *= 2;
        }
        let (from, to) = (at + step / 2, self.devices.len().min(at + step - 1));
        from + self.devices[from..to].partition_point(|other| *other < device)
    }

    /// The spans of all devices.
    pub fn spans(&self) -> impl Iterator<Item = Span> + '_ {
        (0..self.devices.len()).map(|at| self.span(at))
    }

    /// The devices, ascending.
    pub fn devices(&self) -> &[DeviceId] {
        &self.devices
    }

    /// The first row of the first device that is not less than `device`.
    pub fn row_from(&self, device: DeviceId) -> usize {
        self.starts[self.devices.partition_point(|other| *other < device)] as usize
    }

    pub fn rows(&self) -> usize {
        self.starts.last().map_or(0, |end| *end as usize)
    }

    /// Memory that it takes.
    pub fn bytes(&self) -> usize {
        self.devices.len() * (size_of::<DeviceId>() + size_of::<u32>() + size_of::<(Millis, Millis)>())
    }

    pub fn span(&self, at: usize) -> Span {
        let (ts_min, ts_max) = self.times[at];
        Span { device: self.devices[at], rows: self.starts[at] as usize..self.starts[at + 1] as usize, ts_min, ts_max }
    }

    /// The stored form for these rows.
    pub fn encode(rows: &SortedRows, out: &mut Vec<u8>) {
        out.u32(rows.devices.len() as u32);
        for span in &rows.devices {
            out.extend_from_slice(span.device.as_bytes());
        }
        let mut before: Millis = 0;
        for span in &rows.devices {
            let (first, last) = (rows.ts[span.rows.start], rows.ts[span.rows.end - 1]);
            varint::put(out, span.rows.len() as u64);
            varint::put_zigzag(out, first.wrapping_sub(before));
            varint::put(out, last.wrapping_sub(first) as u64);
            before = first;
        }
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Short> {
        let mut reader = Reader(bytes);
        let count = reader.u32()? as usize;
        let ids = reader.take(count.checked_mul(16).ok_or(Short)?)?;
        let id = |bytes: &[u8]| DeviceId::from_bytes(bytes.try_into().expect("sixteen bytes"));
        let devices = ids.chunks_exact(16).map(id).collect();
        let (mut starts, mut times) = (vec![0u32], Vec::with_capacity(count));
        let (mut row, mut before) = (0u32, 0i64);
        for _ in 0..count {
            let rows = u32::try_from(varint::take(&mut reader)?).map_err(|_| Short)?;
            let first = before.wrapping_add(varint::take_zigzag(&mut reader)?);
            let last = first.wrapping_add(varint::take(&mut reader)? as i64);
            row = row.checked_add(rows).ok_or(Short)?;
            starts.push(row);
            times.push((first, last));
            before = first;
        }
        Ok(Self { devices, starts, times })
    }
}
