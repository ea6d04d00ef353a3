use std::ops::Range;

use model::{ColumnKey, DeviceId};

use super::*;
use crate::sorted::DeviceRows;

const ROWS: usize = 128;

/// A row's ts, boot and seq, and its cells.
type Shown = (i64, Option<u32>, Option<u64>, Vec<(u16, u64)>);

fn column(name: &str, kind: ValueKind, cells: &[(u32, u64)]) -> (ColumnKey, Optional) {
    let (rows, values) = cells.iter().copied().unzip();
    (ColumnKey { name: name.into(), kind }, Optional { present: Present::Rows(rows), values })
}

/// Two devices of 64 rows each; rows 60 to 63 and 127 are far ahead of their receipt.
fn rows() -> SortedRows {
    let device = |number: u8, rows: Range<usize>| DeviceRows { device: DeviceId::from_bytes([number; 16]), rows };
    let ahead = [60, 61, 62, 63, 127];
    SortedRows {
        devices: vec![device(3, 0..64), device(5, 64..ROWS)],
        ts: (0..ROWS as i64).map(|row| 1_000_000 + row).collect(),
        boot: Optional { present: Present::Rows(vec![59]), values: vec![7] },
        seq: Optional { present: Present::All, values: (0..ROWS as u64).collect() },
        received: Optional { present: Present::Rows(ahead.to_vec()), values: vec![0; ahead.len()] },
        buffered: vec![false; ROWS],
        tags: Optional::none(),
        columns: vec![
            (
                ColumnKey { name: "a".into(), kind: ValueKind::F64 },
                Optional { present: Present::All, values: (0..ROWS as u64).collect() },
            ),
            column("b", ValueKind::I64, &[(2, 20), (61, 21), (70, -4i64 as u64)]),
            column("c", ValueKind::Str, &[(59, 0), (126, 0)]),
            column("b", ValueKind::Bool, &[(1, 1), (71, 1)]),
        ],
        texts: vec!["run".into()],
    }
}

fn coded(rows: &SortedRows) -> (Latest, Vec<ColumnStatistics>, Directory, Vec<u8>) {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    assert!(Latest::encode(rows, &mut bytes));
    Directory::encode(rows, &mut directory);
    let directory = Directory::decode(&directory).unwrap();
    let columns: Vec<_> = rows.columns.iter().map(|(key, cells)| ColumnStatistics::of(key, cells)).collect();
    (Latest::decode(&bytes, &directory, &columns).unwrap(), columns, directory, bytes)
}

#[test]
fn each_metric_has_its_last_row_that_is_not_ahead_of_its_receipt() {
    let (latest, ..) = coded(&rows());
    let of = |device: usize| -> Vec<Shown> {
        let cells = |cells: &[Cell]| cells.iter().map(|cell| (cell.column, cell.bits)).collect();
        latest.rows(device).map(|(key, found)| (key.ts - 1_000_000, key.boot, key.seq, cells(found))).collect()
    };
    assert_eq!(of(0), [(2, None, Some(2), vec![(1, 20)]), (59, Some(7), Some(59), vec![(0, 59), (2, 0)])]);
    assert_eq!(of(1), [(71, None, Some(71), vec![(3, 1)]), (126, None, Some(126), vec![(0, 126), (2, 0)])]);
    assert_eq!(&**latest.text(0), "run");
}

#[test]
fn bytes_that_are_not_what_was_encoded_are_refused() {
    let (_, columns, directory, mut bytes) = coded(&rows());
    for len in 0..bytes.len() {
        assert!(Latest::decode(&bytes[..len], &directory, &columns).is_err(), "{len}");
    }
    bytes.push(0);
    assert!(Latest::decode(&bytes, &directory, &columns).is_err());
}

#[test]
fn a_block_with_few_rows_a_device_has_no_section() {
    let mut rows = rows();
    rows.devices[1].rows = 64..ROWS - 1;
    rows.ts.pop();
    assert!(!Latest::encode(&rows, &mut Vec::new()));
}
