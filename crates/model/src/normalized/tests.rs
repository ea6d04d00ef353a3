use super::*;
use crate::rows::{RowColumn, TableLayout};

fn rows() -> Rows {
    let column = |name: &str, kind| ColumnKey { name: name.into(), kind };
    let table = Table { tenant: TenantId::from_bytes([1; 16]), class: "pump".into(), kind: TableKind::Readings };
    let columns = vec![column("t", ValueKind::F64), column("state", ValueKind::Str), column("on", ValueKind::Bool)];
    let mut rows = Rows::new(Arc::new(TableLayout { table, columns }), 99);
    rows.offset = vec![7, 8];
    rows.index = vec![0, 3];
    rows.device = vec![DeviceIndex(4), DeviceIndex(5)];
    rows.ts = vec![-1, 1000];
    rows.seq = vec![10, 0];
    rows.boot = vec![0, 2];
    rows.flags = vec![RowFlags(RowFlags::HAS_SEQ), RowFlags(RowFlags::HAS_BOOT | RowFlags::BUFFERED)];
    rows.text = br#"idle{"line":"A"}"#.to_vec();
    rows.columns = vec![
        RowColumn { rows: vec![0, 1], bits: vec![1.5_f64.to_bits(), 2.5_f64.to_bits()] },
        RowColumn { rows: vec![1], bits: vec![4] },
        RowColumn { rows: vec![0], bits: vec![1] },
    ];
    rows.tags = RowColumn { rows: vec![1], bits: vec![4 << 32 | 12] };
    rows
}

fn encoded() -> Vec<u8> {
    let mut out = Vec::new();
    encode(&rows(), |index| DeviceId::from_bytes([index.0 as u8; 16]), &mut out);
    out
}

#[test]
fn rows_come_back_with_devices_and_values() {
    let tables = decode(&encoded()).expect("decodes");
    let [table] = tables.as_slice() else { panic!("one table") };
    assert_eq!((table.received, &*table.table.class), (99, "pump"));
    let [first, second] = table.rows.as_slice() else { panic!("two rows") };
    assert_eq!((first.offset, first.index, first.device), (7, 0, DeviceId::from_bytes([4; 16])));
    assert_eq!((first.ts, first.seq, first.boot, &first.tags), (-1, Some(10), None, &None));
    assert_eq!(first.values, [(0, Value::F64(1.5)), (2, Value::Bool(true))]);
    assert_eq!((second.ts, second.seq, second.boot), (1000, None, Some(2)));
    assert_eq!(second.tags.as_deref(), Some(r#"{"line":"A"}"#));
    assert_eq!(second.values, [(0, Value::F64(2.5)), (1, Value::Str("idle".into()))]);
}

#[test]
fn a_cut_body_is_refused_at_every_length() {
    let bytes = encoded();
    for len in 1..bytes.len() {
        assert_eq!(decode(&bytes[..len]), Err(Short), "cut at {len}");
    }
}
