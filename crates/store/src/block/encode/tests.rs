//! What is encoded is what the Parquet crate's own readers decode.

use std::path::Path;
use std::sync::Arc;

use disk::FaultDisk;
use model::{ColumnKey, DeviceId, Disk, OpenMode, Partition, Table, TableKind, TenantId, ValueKind};
use proptest::prelude::*;

use super::Encoder;
use crate::block::{Reader, Tail};
use crate::catalog::Entry;
use crate::sorted::{DeviceRows, Optional, Present, SortedRows};

/// Encodes rows and reads them back through the checked reader.
fn round_trip(encoder: &mut Encoder, rows: &SortedRows) -> SortedRows {
    let encoded = encoder.encode(rows).unwrap();
    let disk = FaultDisk::new();
    let path = Path::new("/block");
    disk.open(path, OpenMode::CreateNew).unwrap().write_at(encoded.bytes, 0).unwrap();
    let entry = Entry {
        id: 1,
        table: Table { tenant: TenantId(uuid::Uuid::nil()), class: "pumps".into(), kind: TableKind::Readings },
        partition: Partition(0),
        sequences: (0, 0),
        late: false,
        narrow: false,
        damaged: false,
        rows: rows.len() as u64,
        devices: rows.devices.len() as u32,
        device_min: rows.devices[0].device,
        device_max: rows.devices[rows.devices.len() - 1].device,
        ts_min: 0,
        ts_max: 0,
        newest: 0,
        bytes: encoded.bytes.len() as u64,
        tail_at: encoded.tail_at,
        tail_crc: encoded.tail_crc,
    };
    let tail = Tail::open(&disk, path, &entry, Arc::default()).unwrap();
    compare_readers(&tail, rows.len());
    Reader::new(&tail).rows(0..rows.len()).unwrap()
}

/// Our own decoder gives what the `parquet` crate's readers do, whichever rows are asked for.
fn compare_readers(tail: &Tail, rows: usize) {
    let numbers = tail.find_columns(|key| key.kind != ValueKind::Str).map(|(at, _)| at);
    for column in (1..6).chain(numbers).filter(|column| !tail.is_absent(*column)) {
        for wanted in [0..rows, rows / 3..rows - rows / 4, rows - 1..rows, rows / 2..rows / 2 + 1] {
            let ours = Reader::new(tail).cells(column, wanted.clone()).unwrap();
            assert_eq!(ours, Reader::new(tail).cells_otherwise(column, wanted.clone()).unwrap(), "{column} {wanted:?}");
        }
    }
}

/// The cells of a column as they would be printed, so that strings compare by what they say.
fn printed(rows: &SortedRows, kind: ValueKind, cells: &Optional) -> Vec<(usize, String)> {
    let print =
        |bits: u64| if kind == ValueKind::Str { rows.texts[bits as usize].to_string() } else { bits.to_string() };
    cells.cells().map(|(row, bits)| (row, print(bits))).collect()
}

fn assert_same(found: &SortedRows, rows: &SortedRows) {
    assert_eq!(found.devices, rows.devices);
    assert_eq!(found.ts, rows.ts);
    assert_eq!(found.buffered, rows.buffered);
    for (found, rows) in [(&found.boot, &rows.boot), (&found.seq, &rows.seq), (&found.received, &rows.received)] {
        assert_eq!(found, rows);
    }
    assert_eq!(printed(found, ValueKind::Str, &found.tags), printed(rows, ValueKind::Str, &rows.tags));
    assert_eq!(found.columns.len(), rows.columns.len());
    for ((key, of_found), (expected, of_rows)) in found.columns.iter().zip(&rows.columns) {
        assert_eq!(key, expected);
        assert_eq!(printed(found, key.kind, of_found), printed(rows, key.kind, of_rows), "{key:?}");
    }
}

/// How the values of a column come about, from a random number and the row.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Constant,
    Few,
    Runs,
    Rising,
    Any,
}

fn value(shape: Shape, kind: ValueKind, random: u64, row: usize) -> u64 {
    let number = match shape {
        Shape::Constant => 7,
        Shape::Few => random % 300,
        Shape::Runs => (row / 500) as u64,
        Shape::Rising => row as u64 * 1000 + random % 3,
        Shape::Any => random,
    };
    match kind {
        ValueKind::F64 => match shape {
            // Signals of not-a-number compare as bits.
            Shape::Any => number,
            _ => (number as f64 / 10.0).to_bits(),
        },
        ValueKind::I64 => number,
        ValueKind::Bool => number & 1,
        ValueKind::Str => number % 40,
    }
}

/// A step of splitmix64.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A column of `rows` cells of which `absent` in 4 are absent; they come in stretches.
fn column(rows: usize, kind: ValueKind, shape: Shape, absent: u64, seed: u64) -> Optional {
    let cell = |row: usize| {
        let is_absent = mix(seed ^ (row as u64 / 40)) % 4 < absent;
        (!is_absent).then(|| value(shape, kind, mix(seed ^ row as u64 ^ 1 << 40), row))
    };
    Optional::gather(rows, (0..rows).map(cell))
}

fn sorted_rows(device_rows: &[usize], plan: &[(ValueKind, Shape, u64)], seed: u64) -> SortedRows {
    let mut devices = Vec::new();
    let mut next = 0;
    for (number, count) in device_rows.iter().enumerate() {
        devices.push(DeviceRows { device: DeviceId::from_bytes([number as u8; 16]), rows: next..next + count });
        next += count;
    }
    let of = |kind, at: usize, (shape, absent)| column(next, kind, shape, absent, seed ^ (at as u64) << 32);
    let columns = plan.iter().enumerate().map(|(at, (kind, shape, absent))| {
        (ColumnKey { name: format!("m{at}").into(), kind: *kind }, of(*kind, at, (*shape, *absent)))
    });
    let columns = columns.filter(|(_, cells)| !cells.values.is_empty()).collect();
    let first = plan[0];
    let narrow = |mut cells: Optional| {
        cells.values.iter_mut().for_each(|bits| *bits = u64::from(*bits as u32));
        cells
    };
    SortedRows {
        ts: (0..next)
            .map(|row| 1_700_000_000_000 + value(first.1, ValueKind::I64, mix(row as u64), row) as i64 % 7777)
            .collect(),
        boot: narrow(of(ValueKind::I64, 100, (first.1, first.2))),
        seq: of(ValueKind::I64, 101, (first.1, first.2)),
        received: of(ValueKind::I64, 102, (first.1, 3)),
        buffered: (0..next).map(|row| value(first.1, ValueKind::Bool, mix(row as u64), row) == 1).collect(),
        tags: of(ValueKind::Str, 103, (first.1, first.2)),
        columns,
        texts: (0..40).map(|number| Arc::from("é".repeat(number * number))).collect(),
        devices,
    }
}

fn kinds() -> impl Strategy<Value = ValueKind> {
    prop::sample::select(vec![ValueKind::F64, ValueKind::I64, ValueKind::Bool, ValueKind::Str])
}

fn shapes() -> impl Strategy<Value = Shape> {
    prop::sample::select(vec![Shape::Constant, Shape::Few, Shape::Runs, Shape::Rising, Shape::Any])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_encoded_is_read_back(
        device_rows in prop::collection::vec(prop_oneof![1usize..5, 100usize..300, 8000usize..9000], 1..6),
        plan in prop::collection::vec((kinds(), shapes(), 0u64..5), 1..6),
        seed: u64,
    ) {
        let rows = sorted_rows(&device_rows, &plan, seed);
        let mut encoder = Encoder::new().unwrap();
        assert_same(&round_trip(&mut encoder, &rows), &rows);
        // What the encoder remembers of one block does not show in the next.
        let other = sorted_rows(&[3, 1], &plan, !seed);
        assert_same(&round_trip(&mut encoder, &other), &other);
        assert_same(&round_trip(&mut encoder, &rows), &rows);
    }
}

/// Strings that fill a page before its rows do.
#[test]
fn long_strings_are_cut_into_more_pages() {
    let mut rows = sorted_rows(&[3000], &[(ValueKind::F64, Shape::Rising, 0)], 1);
    rows.texts = (0..3000).map(|number| Arc::from(format!("{number} {}", "x".repeat(2000)))).collect();
    let all = Optional { present: Present::All, values: (0..3000).collect() };
    let some = Optional { present: Present::Rows((0..1500).map(|at| at * 2).collect()), values: (0..1500).collect() };
    let key = |name: &str| ColumnKey { name: name.into(), kind: ValueKind::Str };
    rows.tags = Optional::none();
    rows.columns = vec![(key("data"), all), (key("note"), some)];
    assert_same(&round_trip(&mut Encoder::new().unwrap(), &rows), &rows);
}
