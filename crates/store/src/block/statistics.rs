//! Totals of each column of a block.

use model::wire::{Reader, Short, Writer};
use model::{ColumnKey, ValueKind};

use crate::query::accumulate::Totals;
use crate::sorted::Optional;

const NO_DOUBLES: Totals = Totals::Doubles { count: 0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };
const NO_INTEGERS: Totals = Totals::Integers { count: 0, sum: 0, min: i64::MAX, max: i64::MIN };

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
            ValueKind::F64 => Some(Totals::of(key.kind, &column.values).unwrap_or(NO_DOUBLES)),
            ValueKind::I64 | ValueKind::Bool => Some(Totals::of(key.kind, &column.values).unwrap_or(NO_INTEGERS)),
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
