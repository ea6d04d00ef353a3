use super::*;
use crate::sorted::{DeviceRows, Optional};

fn rows() -> SortedRows {
    let device = |number: u8, rows: Range<usize>| DeviceRows { device: DeviceId::from_bytes([number; 16]), rows };
    SortedRows {
        devices: vec![device(3, 0..2), device(5, 2..3), device(9, 3..6)],
        ts: vec![-5, 7, i64::MIN, i64::MIN, 0, i64::MAX],
        boot: Optional::none(),
        seq: Optional::none(),
        received: Optional::none(),
        buffered: vec![false; 6],
        tags: Optional::none(),
        columns: Vec::new(),
        texts: Vec::new(),
    }
}

#[test]
fn what_is_decoded_is_what_was_encoded() {
    let mut bytes = Vec::new();
    Directory::encode(&rows(), &mut bytes);
    let directory = Directory::decode(&bytes).unwrap();
    let spans: Vec<Span> = directory.spans().collect();
    let span =
        |number: u8, rows, ts_min, ts_max| Span { device: DeviceId::from_bytes([number; 16]), rows, ts_min, ts_max };
    assert_eq!(spans, [span(3, 0..2, -5, 7), span(5, 2..3, i64::MIN, i64::MIN), span(9, 3..6, i64::MIN, i64::MAX)]);
    assert_eq!(directory.find(DeviceId::from_bytes([5; 16])), Some(spans[1].clone()));
    assert_eq!(directory.find(DeviceId::from_bytes([4; 16])), None);
    assert_eq!([2, 3, 4, 9, 10].map(|number| directory.row_from(DeviceId::from_bytes([number; 16]))), [0, 0, 2, 3, 6]);
}

#[test]
fn bytes_that_end_early_are_refused() {
    let mut bytes = Vec::new();
    Directory::encode(&rows(), &mut bytes);
    for len in 0..bytes.len() {
        assert!(Directory::decode(&bytes[..len]).is_err(), "{len}");
    }
}

#[test]
fn devices_that_are_asked_for_in_order_are_found() {
    let mut bytes = Vec::new();
    Directory::encode(&rows(), &mut bytes);
    let directory = Directory::decode(&bytes).unwrap();
    let seek = |at: usize, number: u8| directory.seek(at, DeviceId::from_bytes([number; 16]));
    for at in 0..=3 {
        let found = [1, 3, 4, 5, 9, 10].map(|number| seek(at, number));
        assert_eq!(found, [0, 0, 1, 1, 2, 3].map(|place: usize| place.max(at)), "{at}");
    }
}
