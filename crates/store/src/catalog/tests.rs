use model::{TableKind, TenantId};

use super::format::{Unreadable, decode, encode};
use super::*;

mod changes;

fn table(class: &str, kind: TableKind) -> Table {
    Table { tenant: TenantId::from_bytes([1; 16]), class: class.into(), kind }
}

fn catalog() -> Catalog {
    let entry = Entry {
        id: 17,
        table: table("pumps", TableKind::Readings),
        partition: Partition(2),
        sequences: (3, 9),
        late: true,
        narrow: false,
        damaged: true,
        rows: 1 << 40,
        devices: 12,
        device_min: DeviceId::from_bytes([2; 16]),
        device_max: DeviceId::from_bytes([200; 16]),
        ts_min: i64::MIN,
        ts_max: i64::MAX,
        newest: -1,
        bytes: 77,
        tail_at: 70,
        tail_crc: 0xDEAD_BEEF,
    };
    let mut narrow = entry.clone();
    (narrow.id, narrow.late, narrow.narrow, narrow.damaged) = (18, false, true, false);
    Catalog {
        generation: 5,
        aged_to: -7,
        replay_from: [(Partition(0), 10), (Partition(2), u64::MAX)].into(),
        coverage: [((Partition(0), table("fans", TableKind::Events)), (12, 3))].into(),
        erased: [(DeviceId::from_bytes([9; 16]), 1_700_000_000_000)].into(),
        blocks: vec![entry, narrow],
    }
}

#[test]
fn what_is_decoded_is_what_was_encoded() {
    for catalog in [catalog(), Catalog::default()] {
        assert_eq!(decode(&encode(&catalog)), Ok(catalog));
    }
}

#[test]
fn bytes_that_end_early_are_refused() {
    let bytes = encode(&catalog());
    for len in 0..bytes.len() {
        assert!(matches!(decode(&bytes[..len]), Err(Unreadable::Damaged(_))), "{len}");
    }
}

#[test]
fn coverage_behind_the_place_of_replay_is_forgotten() {
    let mut catalog = catalog();
    let fans = table("fans", TableKind::Events);
    assert_eq!(catalog.covered_to(Partition(0), &fans), (12, 3));
    assert_eq!(catalog.covered_to(Partition(0), &table("pumps", TableKind::Readings)), (10, 0));
    catalog.set_replay_from(Partition(0), 12);
    assert_eq!(catalog.covered_to(Partition(0), &fans), (12, 3));
    catalog.set_replay_from(Partition(0), 13);
    assert_eq!(catalog.covered_to(Partition(0), &fans), (13, 0));
    assert!(catalog.coverage.is_empty());
    catalog.set_replay_from(Partition(0), 1);
    assert_eq!(catalog.covered_to(Partition(0), &fans), (13, 0));
}
