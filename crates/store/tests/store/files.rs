//! Blocks read by the Parquet crate's own reader.

use std::path::Path;

use bytes::Bytes;
use model::ValueKind;
use model::limits::COLUMNS_PER_BLOCK_MAX;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use store::Value;

use crate::fixture::{Message, NOW, World, device, everything};

/// The rows of a block file as (name, field) lists.
fn rows(world: &World, name: &str) -> Vec<Vec<(String, Field)>> {
    let bytes = world.disk.contents(&Path::new("/data/store/blocks").join(name)).unwrap();
    let reader = SerializedFileReader::new(Bytes::from(bytes)).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(|row| row.unwrap().into_columns()).collect()
}

fn field<'a>(row: &'a [(String, Field)], name: &str) -> &'a Field {
    &row.iter().find(|(other, _)| other == name).unwrap().1
}

#[test]
fn a_block_is_plain_parquet_sorted_by_device_and_time() {
    let mut world = World::new(100);
    let mut late = Message::number(0, NOW - 7_200_000, 2.5).seq(u64::MAX).tags(r#"{"line":"A"}"#);
    (late.boot, late.buffered) = (Some(u32::MAX), true);
    world.send(&[Message::number(1, NOW + 5, 1.0), late, Message::number(1, NOW, 0.0)]);
    world.seal();
    let rows = rows(&world, &world.block_files()[0]);
    let names: Vec<&str> = rows[0].iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["device_id", "ts", "received", "seq", "boot", "buffered", "tags", "temperature"]);
    let id = |number: usize| Field::Bytes(device(number).as_bytes().to_vec().into());
    assert_eq!(rows.iter().map(|row| field(row, "device_id").clone()).collect::<Vec<_>>(), [id(0), id(1), id(1)]);
    let first = &rows[0];
    assert_eq!(field(first, "ts"), &Field::TimestampMillis(NOW - 7_200_000));
    assert_eq!(field(first, "received"), &Field::TimestampMillis(NOW));
    assert_eq!(field(first, "seq"), &Field::ULong(u64::MAX));
    assert_eq!(field(first, "boot"), &Field::UInt(u32::MAX));
    assert_eq!(field(first, "buffered"), &Field::Bool(true));
    assert_eq!(field(first, "tags"), &Field::Str(r#"{"line":"A"}"#.to_owned()));
    assert_eq!(field(first, "temperature"), &Field::Double(2.5));
    assert_eq!(field(&rows[1], "ts"), &Field::TimestampMillis(NOW));
    for absent in ["received", "seq", "boot", "tags"] {
        assert_eq!(field(&rows[1], absent), &Field::Null);
    }
}

#[test]
fn columns_that_would_have_one_name_are_told_apart() {
    let mut world = World::new(100);
    let of = |value: Value| Message::new(0, NOW, &[("state", value.clone()), ("ts", value)]);
    world.send(&[of(Value::F64(0.5)), of(Value::I64(7)), of(Value::Bool(true)), of(Value::Str("on".into()))]);
    world.seal();
    let rows = rows(&world, &world.block_files()[0]);
    let expected = [Field::Double(0.5), Field::Long(7), Field::Bool(true), Field::Str("on".to_owned())];
    let names = ["", " (long)", " (boolean)", " (string)"];
    for ((row, expected), suffix) in rows.iter().zip(expected).zip(names) {
        assert_eq!(field(row, &format!("state{suffix}")), &expected);
    }
    assert_eq!(field(&rows[0], "ts (double)"), &Field::Double(0.5));
    assert_eq!(world.store.points(&everything("ts")).unwrap().points.len(), 4);
}

#[test]
fn rows_far_from_their_receipt_have_a_block_of_their_own() {
    let mut world = World::new(100);
    let hour = 3_600_000;
    let times = [0, -24 * hour, -24 * hour - 1, hour, hour + 1];
    world.send(&times.map(|apart| Message::number(0, NOW + apart, apart as f64)));
    world.seal();
    let files = world.block_files();
    assert_eq!(files.len(), 2);
    assert_eq!(rows(&world, &files[0]).len(), 3);
    let late: Vec<_> = rows(&world, &files[1]).iter().map(|row| field(row, "ts").clone()).collect();
    assert_eq!(late, [-24 * hour - 1, hour + 1].map(|apart| Field::TimestampMillis(NOW + apart)));
    world.check();
}

/// A class whose devices make up metric names spills into a narrow block.
#[test]
fn columns_without_room_become_rows_of_a_narrow_block() {
    let mut world = World::new(100);
    let names: Vec<String> = (0..COLUMNS_PER_BLOCK_MAX + 20).map(|at| format!("m{at}")).collect();
    let wide = |ts: i64| {
        let metrics: Vec<_> = names.iter().map(|name| (name.as_str(), Value::F64(ts as f64))).collect();
        Message::new(0, ts, &metrics).tags(r#"{"line":"A"}"#)
    };
    world.send(&[wide(NOW), wide(NOW + 1)]);
    let last = everything(&names[names.len() - 1]);
    let before = world.store.points(&last).unwrap().points;
    assert_eq!(before.len(), 2);
    for _ in 0..4 {
        world.seal();
        let files = world.block_files();
        let narrow = rows(&world, &files[files.len() - 1]);
        assert_eq!(narrow.len(), 40);
        assert_eq!(field(&narrow[0], "metric"), &Field::Str(format!("m{COLUMNS_PER_BLOCK_MAX}")));
        assert_eq!(field(&narrow[0], "value"), &Field::Double(field_ts(&narrow[0]) as f64));
        let mut tagged = last.clone();
        tagged.tag = Some(("line".to_owned(), "A".to_owned()));
        tagged.kind = Some(ValueKind::F64);
        tagged.limit = 2;
        assert_eq!(world.store.points(&tagged).unwrap().points, before);
        world.send(&[wide(NOW + world.next as i64), wide(NOW + world.next as i64 + 1)]);
    }
    world.store.maintain().unwrap();
    // The wide blocks became one, and so did the narrow ones.
    assert_eq!(world.store.figures().blocks, 2);
    let found = world.store.points(&last).unwrap().points;
    assert_eq!(found.len(), 10);
    let latest = world.store.latest(crate::fixture::TENANT, device(0), Default::default()).unwrap().metrics;
    assert_eq!(latest.len(), names.len());
    assert!(latest.iter().all(|(_, ts, _)| *ts == found[9].ts));
}

fn field_ts(row: &[(String, Field)]) -> i64 {
    let Field::TimestampMillis(ts) = field(row, "ts") else { panic!("ts is a timestamp") };
    *ts
}
