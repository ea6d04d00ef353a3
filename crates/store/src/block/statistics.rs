//! Totals of each column of a block.

use model::wire::{Reader, Short, Writer};
use model::{ColumnKey, ValueKind};

use crate::query::accumulate::Totals;
use crate::sorted::Optional;

/// A column of a block, how many of its cells are present, and their totals unless they are strings.
#[derive(Clone, PartialEq, Debug)]
pub struct ColumnStatistics {
    pub key: ColumnKey,
    pub present: u64,
    pub totals: Option<Totals>,
}

impl ColumnStatistics {
    pub fn of(key: &ColumnKey, column: &Optional) -> Self {
        let count = column.values.len() as u64;
        let totals = match key.kind {
            ValueKind::Str => None,
            ValueKind::F64 => {
                let (sum, min, max) = sum_doubles(&column.values);
                Some(Totals::Doubles { count, sum, min, max })
            }
            ValueKind::I64 | ValueKind::Bool => {
                let values = || column.values.iter().map(|bits| *bits as i64);
                let (min, max) = (values().min().unwrap_or(i64::MAX), values().max().unwrap_or(i64::MIN));
                Some(Totals::Integers { count, sum: values().map(i128::from).sum(), min, max })
            }
        };
        Self { key: key.clone(), present: count, totals }
    }

    pub fn encode_all(all: &[Self], out: &mut Vec<u8>) {
        out.u16(all.len() as u16);
        for column in all {
            out.text(&column.key.name);
            out.u8(column.key.kind as u8);
            out.u64(column.present);
            match column.totals {
                None => {}
                Some(Totals::Doubles { sum, min, max, .. }) => {
                    [sum, min, max].into_iter().for_each(|value| out.u64(value.to_bits()));
                }
                Some(Totals::Integers { sum, min, max, .. }) => {
                    out.u128(sum as u128);
                    [min, max].into_iter().for_each(|value| out.u64(value as u64));
                }
            }
        }
    }

    pub fn decode_all(bytes: &[u8]) -> Result<Vec<Self>, Short> {
        let mut reader = Reader(bytes);
        let count = reader.u16()?;
        (0..count).map(|_| Self::decode(&mut reader)).collect()
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Short> {
        let name = reader.text()?.into();
        let tag = reader.u8()?;
        let kinds = [ValueKind::F64, ValueKind::I64, ValueKind::Bool, ValueKind::Str];
        let kind = kinds.into_iter().find(|kind| *kind as u8 == tag).ok_or(Short)?;
        let present = reader.u64()?;
        let totals = match kind {
            ValueKind::Str => None,
            ValueKind::F64 => {
                let mut value = || reader.u64().map(f64::from_bits);
                Some(Totals::Doubles { count: present, sum: value()?, min: value()?, max: value()? })
            }
            ValueKind::I64 | ValueKind::Bool => {
                let sum = reader.u128()? as i128;
                let mut value = || reader.u64().map(|bits| bits as i64);
                Some(Totals::Integers { count: present, sum, min: value()?, max: value()? })
            }
        };
        Ok(Self { key: ColumnKey { name, kind }, present, totals })
    }
}

/// Sum, least and greatest of doubles, given as bits: in lanes side by side, for one addition alone takes four cycles.
fn sum_doubles(values: &[u64]) -> (f64, f64, f64) {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let (mut least, mut greatest) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
    let mut take = |lane: usize, bits: u64| {
        let value = f64::from_bits(bits);
        sums[lane] += value;
        // What is not a number is neither.
        least[lane] = if value < least[lane] { value } else { least[lane] };
        greatest[lane] = if value > greatest[lane] { value } else { greatest[lane] };
    };
    let (whole, rest) = values.as_chunks::<LANES>();
    for values in whole {
        (0..LANES).for_each(|lane| take(lane, values[lane]));
    }
    rest.iter().enumerate().for_each(|(lane, bits)| take(lane, *bits));
    let min = least.into_iter().fold(f64::INFINITY, f64::min);
    (sums.into_iter().sum(), min, greatest.into_iter().fold(f64::NEG_INFINITY, f64::max))
}
