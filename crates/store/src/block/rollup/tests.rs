use model::ColumnKey;

use super::*;
use crate::sorted::{DeviceRows, Optional, Present, SortedRows};

const ROWS: usize = 1200;
/// The first millisecond of an hour.
const START: Millis = 1000 * HOUR;

/// Two devices, a row every 200 ms each for two minutes; a column of doubles, one of integers in every second row, and
/// one of strings.
fn rows() -> SortedRows {
    let device = |number: u8, rows: Range<usize>| DeviceRows { device: DeviceId::from_bytes([number; 16]), rows };
    let key = |name: &str, kind| ColumnKey { name: name.into(), kind };
    let every_second: Vec<u32> = (0..ROWS as u32).step_by(2).collect();
    SortedRows {
        devices: vec![device(3, 0..600), device(5, 600..ROWS)],
        ts: (0..ROWS as i64).map(|row| START + row % 600 * 200).collect(),
        boot: Optional::none(),
        seq: Optional { present: Present::All, values: (0..ROWS as u64).collect() },
        received: Optional::none(),
        buffered: vec![false; ROWS],
        tags: Optional::none(),
        columns: vec![
            (
                key("a", ValueKind::F64),
                Optional { present: Present::All, values: (0..ROWS).map(|row| (row as f64).to_bits()).collect() },
            ),
            (
                key("b", ValueKind::I64),
                Optional {
                    values: every_second.iter().map(|row| -i64::from(*row) as u64).collect(),
                    present: Present::Rows(every_second),
                },
            ),
            (key("c", ValueKind::Str), Optional { present: Present::All, values: vec![0; ROWS] }),
        ],
        texts: vec!["run".into()],
    }
}

struct Coded {
    bytes: Vec<u8>,
    index: RollupIndex,
    directory: Directory,
    columns: Vec<ColumnStatistics>,
}

fn coded(rows: &SortedRows) -> Coded {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    assert!(encode(rows, &mut bytes));
    Directory::encode(rows, &mut directory);
    let columns: Vec<_> = rows.columns.iter().map(|(key, cells)| ColumnStatistics::of(key, cells)).collect();
    let end = bytes.len().min(RollupIndex::bytes_max(columns.len()) as usize);
    let index = RollupIndex::decode(&bytes[..end], 0, columns.len()).unwrap();
    Coded { bytes, index, directory: Directory::decode(&directory).unwrap(), columns }
}

impl Coded {
    fn get(&self, level: Level, column: usize) -> Option<Rollup> {
        let place = self.index.place(level, column)?;
        let bytes = &self.bytes[place.start as usize..place.end as usize];
        Some(Rollup::decode(bytes, level, &self.directory, &self.columns[column]).unwrap())
    }
}

#[test]
fn buckets_hold_the_totals_of_their_rows() {
    let coded = coded(&rows());
    let doubles = |start, count, sum, min, max| RolledUp { start, totals: Totals::Doubles { count, sum, min, max } };
    let sum = |from: usize, to: usize| (from..to).sum::<usize>() as f64;
    let minutes = coded.get(Level::Minutes, 0).unwrap();
    let both = |first: usize| sum(first, first + 300) + sum(first + 600, first + 900);
    let expect = [doubles(START, 600, both(0), 0.0, 899.0), doubles(START + MINUTE, 600, both(300), 300.0, 1199.0)];
    assert_eq!(minutes.buckets(0), expect);
    let edges = |at: usize| minutes.edges()[at].map(|edge| (edge.key.seq, edge.device.as_bytes()[0], edge.bits));
    assert_eq!(edges(0), [(Some(0), 3, 0f64.to_bits()), (Some(899), 5, 899f64.to_bits())]);
    let hours = coded.get(Level::Hours, 0).unwrap();
    assert_eq!(hours.buckets(0), [doubles(START, 1200, sum(0, 1200), 0.0, 1199.0)]);
    let of_devices = coded.get(Level::DeviceMinutes, 0).unwrap();
    assert_eq!(of_devices.buckets(1)[1], doubles(START + MINUTE, 300, sum(900, 1200), 900.0, 1199.0));
    let integers = coded.get(Level::DeviceHours, 1).unwrap();
    let sum = -(600..1200).step_by(2).sum::<i128>();
    assert_eq!(integers.buckets(1)[0].totals, Totals::Integers { count: 300, sum, min: -1198, max: -600 });
    assert_eq!(coded.get(Level::Minutes, 2), None, "strings have no totals");
}

#[test]
fn a_level_with_few_rows_a_bucket_is_left_out() {
    let mut rows = rows();
    // Ten times as long: 60 rows a minute, 30 of each device.
    rows.ts.iter_mut().for_each(|ts| *ts = START + (*ts - START) * 10);
    let coded = coded(&rows);
    let has = Level::ALL.map(|level| coded.get(level, 0).is_some());
    assert_eq!(has, [true, false, true, false]);
    rows.ts[599] = i64::MAX;
    assert!(!encode(&rows, &mut Vec::new()));
    rows.ts[599] = rows.ts[598];
    rows.ts[0] = i64::MIN;
    assert!(!encode(&rows, &mut Vec::new()));
}

#[test]
fn bytes_that_are_not_what_was_encoded_are_refused() {
    let coded = coded(&rows());
    for level in Level::ALL {
        let place = coded.index.place(level, 1).unwrap();
        let bytes = &coded.bytes[place.start as usize..place.end as usize];
        for len in 0..bytes.len() {
            assert!(Rollup::decode(&bytes[..len], level, &coded.directory, &coded.columns[1]).is_err(), "{len}");
        }
    }
    assert!(RollupIndex::decode(&coded.bytes[..3], 0, 3).is_err());
}
